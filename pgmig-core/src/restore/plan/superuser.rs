//! Which entries only a superuser can create: by a list of kinds, never because the attempt as owner failed.

use super::facts::EmptyDatabase;
use super::words::{significant, words};
use crate::archive::{Entry, EntryKind};
use crate::sql::{StandardStrings, Token};

/// Languages whose functions only a superuser may create (`lanpltrusted` is false): PostgreSQL's own two and
/// the untrusted variants of those that come with it.
const UNTRUSTED_LANGUAGES: [&str; 7] =
    ["c", "internal", "plperlu", "plpythonu", "plpython2u", "plpython3u", "pltclu"];

/// Whether `entry` has to be created by a superuser.
pub(crate) fn needs_superuser(
    entry: &Entry,
    sql: &str,
    strings: StandardStrings,
    database: &EmptyDatabase,
) -> bool {
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
        K::Extension => match entry.tag.to_str().ok().and_then(|name| database.available.get(name)) {
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
