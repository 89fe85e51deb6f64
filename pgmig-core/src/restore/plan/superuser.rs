//! Decides which entries a superuser creates: by their kind and text, never because the attempt as owner failed.

use super::facts::EmptyDatabase;
use super::kinds::{self, Creator, Owner};
use super::words::{significant, words};
use crate::archive::Entry;
use crate::sql::{StandardStrings, Token};

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
    let tokens = significant(sql, strings);
    let is = |token: &Token, word: &str| token.is_word(sql.as_bytes(), word);
    tokens.iter().any(|token| is(token, "leakproof"))
        || tokens.windows(2).any(|pair| match pair {
            [keyword, language] if is(keyword, "language") => {
                let name = sql.get(language.body.clone()).unwrap_or_default().to_ascii_lowercase();
                UNTRUSTED_LANGUAGES.contains(&name.as_str())
            }
            _ => false,
        })
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
        assert!(!privileged(
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ LANGUAGE c leakproof $$;"
        ));
    }
}
