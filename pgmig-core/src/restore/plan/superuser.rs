//! Which entries only a superuser can create: by a list of kinds, never because the attempt as owner failed.

use super::of_others::OfOthers;
use crate::archive::{Entry, EntryKind};
use crate::sql::{Lexer, QualifiedName, StandardStrings, Token, TokenKind};
use std::collections::{BTreeMap, BTreeSet};

/// Languages whose functions only a superuser may create (`lanpltrusted` is false): PostgreSQL's own two and
/// the untrusted variants of those that come with it.
const UNTRUSTED_LANGUAGES: [&str; 7] =
    ["c", "internal", "plperlu", "plpythonu", "plpython2u", "plpython3u", "pltclu"];

/// What the server says of an extension that could be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extension {
    /// Whether who may create objects in the database may create it.
    pub(crate) for_everyone: bool,
}

/// What `username` may do with a schema that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SchemaRights {
    /// Whether it is its own, directly or through a role.
    pub(crate) owns: bool,
    /// Whether it may create objects in it.
    pub(crate) creates: bool,
}

/// What a database holds before anything is restored into it: a new one, or one that has been cleared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fresh {
    /// Extensions that are there from the beginning (plpgsql).
    pub(crate) extensions: BTreeSet<String>,
    /// Extensions that the server could create.
    pub(crate) available: BTreeMap<String, Extension>,
    /// Schemas that are there, as far as a new database would not have them just so.
    pub(crate) schemas: BTreeMap<String, SchemaRights>,
    /// Foreign data wrappers that `username` may use.
    pub(crate) wrappers: BTreeSet<String>,
    /// Objects of others.
    pub(crate) of_others: OfOthers,
    /// Whether `username` may not create schemas, extensions and publications.
    pub(crate) closed: bool,
}

/// Whether `entry` has to be created by a superuser.
pub(crate) fn needs_superuser(entry: &Entry, sql: &str, strings: StandardStrings, fresh: &Fresh) -> bool {
    use EntryKind as K;
    match entry.kind {
        K::EventTrigger
        | K::ForeignDataWrapper
        // Not a superuser's by itself, but it takes a right on its wrapper, which is a superuser's as a rule.
        | K::Server
        | K::PublicationTablesInSchema
        | K::ProceduralLanguage
        | K::AccessMethod
        | K::OperatorClass
        | K::OperatorFamily
        | K::TextSearchParser
        | K::TextSearchTemplate
        // By who owns its functions, which are in C.
        | K::Transform
        | K::ShellType => true,
        K::Extension => match entry.tag.to_str().ok().and_then(|name| fresh.available.get(name)) {
            Some(extension) => !extension.for_everyone,
            // The server lacks it: creating it fails for everybody, with the server's own words.
            None => false,
        },
        K::Publication => words(sql, strings, &["for", "all", "tables"]),
        K::Function | K::Procedure => is_privileged_function(sql, strings),
        K::Cast => words(sql, strings, &["without", "function"]),
        K::Type => words(sql, strings, &["input", "="]),
        // pg_dump writes each clause so.
        K::Aggregate => words(sql, strings, &["stype", "=", "internal"]),
        _ => false,
    }
}

/// Whether the kind's objects can belong to a role that is no superuser, so that they are handed over.
pub(crate) fn can_be_handed_over(entry: &Entry, sql: &str, strings: StandardStrings) -> bool {
    use EntryKind as K;
    match entry.kind {
        K::Server
        | K::ProceduralLanguage
        | K::OperatorClass
        | K::OperatorFamily
        | K::Function
        | K::Procedure
        | K::Type => true,
        K::Publication => !words(sql, strings, &["for", "all", "tables"]),
        _ => false,
    }
}

fn is_privileged_function(sql: &str, strings: StandardStrings) -> bool {
    let tokens = function_attributes(sql, strings);
    let is = |token: &Token, word: &str| token.is_word(sql.as_bytes(), word);
    // A type may have this name, and a function may say that it is not.
    let is_leakproof = |before: &Token| {
        !["returns", "setof", "not"].iter().any(|word| is(before, word)) && before.kind != TokenKind::Symbol(b'.')
    };
    tokens.windows(2).any(|pair| matches!(pair, [before, token] if is(token, "leakproof") && is_leakproof(before)))
        || tokens.windows(2).any(|pair| match pair {
            [keyword, language] if is(keyword, "language") => {
                let name = sql.get(language.body.clone()).unwrap_or_default().to_ascii_lowercase();
                UNTRUSTED_LANGUAGES.contains(&name.as_str())
            }
            _ => false,
        })
}

/// What CREATE FUNCTION says of a function outside parentheses, up to its body: no parameter's name, nor a word of the body.
fn function_attributes(sql: &str, strings: StandardStrings) -> Vec<Token> {
    let mut depth = 0_u32;
    let mut attributes = Vec::new();
    for token in significant(sql, strings) {
        match token.kind {
            TokenKind::Symbol(b'(') => depth += 1,
            TokenKind::Symbol(b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        let begins_body = ["as", "begin", "return"].iter().any(|word| token.is_word(sql.as_bytes(), word));
        if depth == 0 && begins_body && !attributes.is_empty() {
            break;
        }
        if depth == 0 {
            attributes.push(token);
        }
    }
    attributes
}

/// The name that follows these words.
pub(crate) fn name_after(sql: &str, strings: StandardStrings, wanted: &[&str]) -> Option<String> {
    let tokens = significant(sql, strings);
    let is = |token: &Token, word: &str| token.is_word(sql.as_bytes(), word);
    let start = tokens
        .windows(wanted.len())
        .position(|window| window.iter().zip(wanted).all(|(token, word)| is(token, word)))?;
    let name = tokens.get(start + wanted.len())?;
    Some(QualifiedName::parse(sql.get(name.span.clone())?).ok()?.name)
}

/// Whether these words (or symbols) follow each other somewhere outside literals.
pub(crate) fn words(sql: &str, strings: StandardStrings, wanted: &[&str]) -> bool {
    let tokens = significant(sql, strings);
    let is = |token: &Token, word: &str| {
        token.is_word(sql.as_bytes(), word) || sql.get(token.span.clone()) == Some(word)
    };
    tokens.windows(wanted.len()).any(|window| window.iter().zip(wanted).all(|(token, word)| is(token, word)))
}

/// The tokens that mean something, up to the first that cannot be read: the server will say what is wrong.
fn significant(sql: &str, strings: StandardStrings) -> Vec<Token> {
    let tokens = Lexer::new(sql.as_bytes(), strings).map_while(Result::ok);
    tokens.filter(|token| !token.kind.is_blank() && !matches!(token.kind, TokenKind::Parameter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileged_functions_are_told_by_language_and_leakproof() {
        let privileged = |sql| is_privileged_function(sql, StandardStrings::On);
        assert!(privileged("CREATE FUNCTION f() RETURNS int LANGUAGE c AS '$libdir/x', 'f';"));
        assert!(privileged("CREATE FUNCTION f() RETURNS int LANGUAGE \"plpython3u\" AS $$ return 1 $$;"));
        assert!(privileged("CREATE FUNCTION f() RETURNS int LANGUAGE sql LEAKPROOF AS $$ SELECT 1 $$;"));
        for sql in [
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ LANGUAGE c leakproof $$;",
            "CREATE FUNCTION f(leakproof integer, language c) RETURNS int LANGUAGE plpgsql AS $$ x $$;",
            "CREATE FUNCTION f() RETURNS TABLE(leakproof integer) LANGUAGE sql AS $$ x $$;",
            "CREATE FUNCTION f() RETURNS public.leakproof LANGUAGE sql AS $$ x $$;",
            "CREATE FUNCTION f() RETURNS SETOF leakproof LANGUAGE sql NOT LEAKPROOF AS $$ x $$;",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT leakproof FROM t; END;",
        ] {
            assert!(!privileged(sql), "{sql}");
        }
        assert!(privileged("CREATE FUNCTION f(a int) RETURNS int LANGUAGE c STRICT AS 'x', 'y';"));
        assert!(privileged("CREATE FUNCTION f(a int) RETURNS int STRICT LEAKPROOF LANGUAGE sql AS 'x';"));
    }

    #[test]
    fn words_are_found_outside_literals_only() {
        let all_tables = |sql| words(sql, StandardStrings::On, &["for", "all", "tables"]);
        assert!(all_tables("CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert');"));
        assert!(!all_tables("CREATE PUBLICATION \"FOR ALL TABLES\" WITH (publish = 'FOR ALL TABLES');"));
        assert!(words("CREATE TYPE t (\n    INPUT = f,\n  x);", StandardStrings::On, &["input", "="]));
    }
}
