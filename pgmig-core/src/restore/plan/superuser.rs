//! Decides which entries a superuser creates: by their kind and text, never because the attempt as owner failed.

use super::facts::EmptyDatabase;
use super::kinds::{self, Creator, Owner};
use super::words::{significant, words};
use crate::archive::Entry;
use crate::sql::{StandardStrings, Token, TokenKind};

/// Languages whose functions only a superuser may create (`lanpltrusted` is false): PostgreSQL's own two, and the
/// untrusted ones that come with it.
const UNTRUSTED_LANGUAGES: [&str; 7] =
    ["c", "internal", "plperlu", "plpythonu", "plpython2u", "plpython3u", "pltclu"];

/// Whether `entry` has to be created by a superuser.
pub(crate) fn needs_superuser(
    entry: &Entry,
    sql: &str,
    strings: StandardStrings,
    database: &EmptyDatabase,
) -> bool {
    match kinds::of(entry.kind).creator {
        Creator::Anyone => false,
        Creator::Superuser => true,
        Creator::SuperuserIf(needs) => needs(sql, strings),
        Creator::ByExtension => match entry.tag.to_str().ok().and_then(|name| database.available.get(name)) {
            Some(extension) => !extension.for_everyone,
            // The server does not have it. CREATE EXTENSION fails for every role, with a message of the server.
            None => false,
        },
    }
}

/// Whether an object that a superuser has created can be given to a role that is not one.
pub(crate) fn can_be_handed_over(entry: &Entry, sql: &str, strings: StandardStrings) -> bool {
    match kinds::of(entry.kind).owner {
        Owner::Anyone(_) => true,
        Owner::AnyoneUnless(is_exception, _) => !is_exception(sql, strings),
        Owner::Superuser | Owner::Creator | Owner::Nobody => false,
    }
}

/// A publication FOR ALL TABLES.
pub(crate) fn publishes_all_tables(sql: &str, strings: StandardStrings) -> bool {
    words(sql, strings, &["for", "all", "tables"])
}

/// A cast WITHOUT FUNCTION: it reads the bytes of one type as a value of the other.
pub(crate) fn is_without_function(sql: &str, strings: StandardStrings) -> bool {
    words(sql, strings, &["without", "function"])
}

/// A base type, with functions in C.
pub(crate) fn is_base_type(sql: &str, strings: StandardStrings) -> bool {
    words(sql, strings, &["input", "="])
}

/// An aggregate whose state is of type internal. pg_dump writes each clause in this way.
pub(crate) fn is_over_internal(sql: &str, strings: StandardStrings) -> bool {
    words(sql, strings, &["stype", "=", "internal"])
}

/// A function in an untrusted language, or a LEAKPROOF one.
pub(crate) fn is_privileged_function(sql: &str, strings: StandardStrings) -> bool {
    let tokens = function_attributes(sql, strings);
    let is = |token: &Token, word: &str| token.is_word(sql.as_bytes(), word);
    // A type may have this name, and a function may say that it is not.
    let is_leakproof = |before: &Token| {
        !["returns", "setof", "not"].iter().any(|word| is(before, word))
            && before.kind != TokenKind::Symbol(b'.')
    };
    tokens
        .windows(2)
        .any(|pair| matches!(pair, [before, token] if is(token, "leakproof") && is_leakproof(before)))
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
}
