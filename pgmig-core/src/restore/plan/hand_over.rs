//! The statement that gives an object of the superuser to `username`. It is made from the parsed names of the
//! object's entry.

use super::kinds;
use super::words::name_after;
use crate::archive::{Entry, EntryKind};
use crate::sql::{Lexer, Parser, QualifiedName, StandardStrings, TokenKind, quote_ident};

/// The statement. `None` if the object has no owner, or its name cannot be parsed.
pub(super) fn hand_over(entry: &Entry, sql: &str, strings: StandardStrings, role: &str) -> Option<String> {
    use EntryKind as K;
    let tag = entry.tag.to_str().ok()?;
    let name = match entry.kind {
        K::Server | K::ProceduralLanguage | K::Publication => quote_ident(tag),
        K::Type => entry.qualified_name().to_string(),
        K::OperatorClass | K::OperatorFamily => {
            let method = quote_ident(&name_after(sql, strings, &["using"])?);
            format!("{} USING {method}", entry.qualified_name())
        }
        K::Function | K::Procedure => routine(entry, sql, strings)?,
        _ => return None,
    };
    let word = kinds::of(entry.kind).owner.alter_word()?;
    Some(format!("ALTER {word} {name} OWNER TO {}", quote_ident(role)))
}

/// A function's name and argument types, as SQL. The entry's tag has the name without quotes, so the name comes from the
/// statement; the types come from the tag. `None` if either cannot be parsed.
pub(super) fn routine(entry: &Entry, sql: &str, strings: StandardStrings) -> Option<String> {
    let mut parser = Parser::new(sql, "CREATE FUNCTION", strings);
    parser.expect_word("create").ok()?;
    if parser.eat_word("or") {
        parser.expect_word("replace").ok()?;
    }
    if !parser.eat_word("function") {
        parser.expect_word("procedure").ok()?;
    }
    let QualifiedName { schema, name } = parser.qualified_name().ok()?;
    let schema = schema.or_else(|| entry.schema().map(str::to_owned)).filter(|schema| !schema.is_empty());
    let arguments = arguments(entry.tag.to_str().ok()?.strip_prefix(&name)?, strings)?;
    Some(format!("{}{arguments}", QualifiedName { schema, name }))
}

/// Types of arguments, as in the archive's table of contents. `None` unless they are names in one pair of parentheses.
fn arguments(tag: &str, strings: StandardStrings) -> Option<&str> {
    let tokens: Vec<_> = Lexer::new(tag.as_bytes(), strings).collect::<Result<_, _>>().ok()?;
    let mut kinds = tokens.iter().map(|token| token.kind).filter(|kind| *kind != TokenKind::Whitespace);
    let is_name = |kind: TokenKind| matches!(kind, TokenKind::Word | TokenKind::QuotedIdent { .. });
    if kinds.next() != Some(TokenKind::Symbol(b'(')) {
        return None;
    }
    let arguments: Vec<TokenKind> = kinds.collect();
    let (last, arguments) = arguments.split_last()?;
    let in_arguments =
        |kind: &TokenKind| is_name(*kind) || matches!(kind, TokenKind::Symbol(b',' | b'.' | b'[' | b']'));
    (*last == TokenKind::Symbol(b')') && arguments.iter().all(in_arguments)).then_some(tag)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::archive::{DumpId, EntryKind, Section};

    #[test]
    fn arguments_are_types_and_nothing_else() {
        let is_list = |tag| arguments(tag, StandardStrings::On).is_some();
        for tag in [
            "()",
            "(integer, timestamp with time zone, public.\"T\"[])",
            "(VARIADIC anyarray)",
            "(double precision)",
        ] {
            assert!(is_list(tag), "{tag}");
        }
        for tag in [
            "",
            "() OWNER TO postgres; DROP TABLE t; --",
            "(integer) OWNER TO x, g()",
            "(integer); SELECT (1)",
            "(1)",
            "('x')",
            "(integer) -- ",
            "(/* */)",
        ] {
            assert!(!is_list(tag), "{tag}");
        }
    }

    #[test]
    fn names_of_functions_come_from_their_statement() {
        let named = |tag: &str, sql: &str| {
            let entry = Entry::new(DumpId::new(1).unwrap(), EntryKind::Function, Section::PreData, tag);
            routine(&entry, sql, StandardStrings::On)
        };
        assert_eq!(
            named("Odd F(integer, text)", "CREATE FUNCTION public.\"Odd F\"(integer, t text) RETURNS x")
                .as_deref(),
            Some("public.\"Odd F\"(integer, text)")
        );
        assert_eq!(named("f()", "CREATE OR REPLACE PROCEDURE s.f()").as_deref(), Some("s.f()"));
        assert_eq!(named("g()", "CREATE FUNCTION s.f()"), None);
    }
}
