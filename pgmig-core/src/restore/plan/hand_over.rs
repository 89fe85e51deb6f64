//! The statement that gives an object of the superuser to `username`. It is made from the parsed names of the
//! object's entry.

use super::kinds;
use super::words::name_after;
use crate::archive::{Entry, EntryKind};
use crate::sql::{Lexer, StandardStrings, TokenKind, quote_ident};

/// The statement. `None` if the object has no owner, or its name cannot be parsed.
pub(super) fn hand_over(entry: &Entry, sql: &str, strings: StandardStrings, role: &str) -> Option<String> {
    use EntryKind as K;
    let tag = entry.tag.to_str().ok()?;
    let schema =
        || entry.namespace.as_ref()?.to_str().ok().filter(|schema| !schema.is_empty()).map(quote_ident);
    let name = match entry.kind {
        K::Server | K::ProceduralLanguage | K::Publication => quote_ident(tag),
        K::Type => entry.qualified_name().to_string(),
        K::OperatorClass | K::OperatorFamily => {
            let method = quote_ident(&name_after(sql, strings, &["using"])?);
            format!("{} USING {method}", entry.qualified_name())
        }
        K::Function | K::Procedure => {
            let signature = signature(tag, strings)?;
            match schema() {
                Some(schema) => format!("{schema}.{signature}"),
                None => signature.to_owned(),
            }
        }
        _ => return None,
    };
    let word = kinds::of(entry.kind).owner.alter_word()?;
    Some(format!("ALTER {word} {name} OWNER TO {}", quote_ident(role)))
}

/// A function's name and argument types, as in the archive's table of contents. `None` unless they are names with one
/// pair of parentheses.
fn signature(tag: &str, strings: StandardStrings) -> Option<&str> {
    let tokens: Vec<_> = Lexer::new(tag.as_bytes(), strings).collect::<Result<_, _>>().ok()?;
    let mut kinds = tokens.iter().map(|token| token.kind).filter(|kind| *kind != TokenKind::Whitespace);
    let is_name = |kind: TokenKind| matches!(kind, TokenKind::Word | TokenKind::QuotedIdent { .. });
    if !kinds.next().is_some_and(is_name) || kinds.next() != Some(TokenKind::Symbol(b'(')) {
        return None;
    }
    let arguments: Vec<TokenKind> = kinds.collect();
    let (last, arguments) = arguments.split_last()?;
    let in_arguments =
        |kind: &TokenKind| is_name(*kind) || matches!(kind, TokenKind::Symbol(b',' | b'.' | b'[' | b']'));
    (*last == TokenKind::Symbol(b')') && arguments.iter().all(in_arguments)).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_names_and_types_and_nothing_else() {
        let is_signature = |tag| signature(tag, StandardStrings::On).is_some();
        for tag in [
            "f()",
            "\"F \"(integer, timestamp with time zone, public.\"T\"[])",
            "f(VARIADIC anyarray)",
            "f(double precision)",
        ] {
            assert!(is_signature(tag), "{tag}");
        }
        for tag in [
            "f",
            "f() OWNER TO postgres; DROP TABLE t; --",
            "f(integer) OWNER TO x, g()",
            "f(integer); SELECT (1)",
            "f(1)",
            "f('x')",
            "f(integer) -- ",
            "f(/* */)",
        ] {
            assert!(!is_signature(tag), "{tag}");
        }
    }
}
