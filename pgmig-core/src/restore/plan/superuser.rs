//! Decides which entries a superuser creates: by their kind and text, never because the attempt as owner failed.

use super::facts::EmptyDatabase;
use super::function_settings::attributes;
use super::kinds::{self, Creator, Owner};
use super::words::{significant, words};
use crate::archive::Entry;
use crate::sql::{Parser, QualifiedName, StandardStrings, Token, TokenKind};

/// Languages whose functions only a superuser may create (`lanpltrusted` is false): PostgreSQL's own two, and the
/// untrusted ones that come with it. Only where neither the archive nor the server says what a language is.
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

/// A base type, with functions in C, or a shell type that was never completed.
pub(crate) fn is_base_type(sql: &str, strings: StandardStrings) -> bool {
    words(sql, strings, &["input", "="]) || is_shell_type(sql, strings)
}

/// `CREATE TYPE name` and nothing else.
pub(crate) fn is_shell_type(sql: &str, strings: StandardStrings) -> bool {
    let mut parser = Parser::new(sql, "CREATE TYPE", strings);
    let mut parse = || {
        parser.expect_word("create")?;
        parser.expect_word("type")?;
        parser.qualified_name()?;
        parser.expect_end_of_statement()
    };
    parse().is_ok()
}

/// An aggregate whose state is of type internal. pg_dump writes each clause in this way.
pub(crate) fn is_over_internal(sql: &str, strings: StandardStrings) -> bool {
    words(sql, strings, &["stype", "=", "internal"])
}

/// A LEAKPROOF function, or one with a support function, which the planner calls with its own structures.
pub(crate) fn is_privileged_function(sql: &str, strings: StandardStrings) -> bool {
    privileged_attribute(sql, strings).is_some()
}

/// The attribute of a function that only a superuser can give it.
pub(crate) fn privileged_attribute(sql: &str, strings: StandardStrings) -> Option<&'static str> {
    let tokens = attributes(sql, strings);
    let is = |token: &Token, word: &str| token.is_word(sql.as_bytes(), word);
    // A type may have this name, and a function may say that it is not.
    let can_be_attribute = |before: &Token| {
        !["returns", "setof", "not", "language", "to"].iter().any(|word| is(before, word))
            && !matches!(before.kind, TokenKind::Symbol(b'.' | b'=' | b','))
    };
    let has = |word| {
        tokens
            .windows(2)
            .any(|pair| matches!(pair, [before, token] if is(token, word) && can_be_attribute(before)))
    };
    [("leakproof", "LEAKPROOF"), ("support", "SUPPORT")]
        .into_iter()
        .find_map(|(word, name)| has(word).then_some(name))
}

/// The selectivity estimators of an operator.
pub(crate) fn estimators(sql: &str, strings: StandardStrings) -> Vec<QualifiedName> {
    let tokens = significant(sql, strings);
    let clauses = tokens.windows(3).filter(|clause| {
        matches!(clause, [word, equals, _] if equals.kind == TokenKind::Symbol(b'=')
            && ["restrict", "join"].iter().any(|wanted| word.is_word(sql.as_bytes(), wanted)))
    });
    let names = clauses.filter_map(|clause| sql.get(clause.last()?.span.start..));
    names.filter_map(|rest| Parser::new(rest, "CREATE OPERATOR", strings).qualified_name().ok()).collect()
}

/// The language of a function.
pub(crate) fn language(sql: &str, strings: StandardStrings) -> Option<String> {
    let tokens = attributes(sql, strings);
    tokens.windows(2).find_map(|pair| match pair {
        [keyword, language] if keyword.is_word(sql.as_bytes(), "language") => match language.kind {
            // pg_dump 8 and older write the name as a literal.
            TokenKind::String(_) => sql.get(language.body.clone()).map(str::to_lowercase),
            _ => language.name(sql),
        },
        _ => None,
    })
}

/// Whether a language that the server does not have yet is known as an untrusted one.
pub(crate) fn is_known_as_untrusted(language: &str) -> bool {
    UNTRUSTED_LANGUAGES.contains(&language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_a_function_is_found() {
        let language = |sql| language(sql, StandardStrings::On).unwrap_or_default();
        assert_eq!(
            language("CREATE FUNCTION f(language c) RETURNS int LANGUAGE SQL AS $$ LANGUAGE c $$;"),
            "sql"
        );
        assert_eq!(
            language("CREATE FUNCTION f() RETURNS int LANGUAGE \"Plx U\" AS $$ return 1 $$;"),
            "Plx U"
        );
        assert_eq!(language("CREATE FUNCTION f() RETURNS int AS 'x', 'y' LANGUAGE c STRICT;"), "c");
        assert_eq!(language("CREATE FUNCTION f() RETURNS int LANGUAGE 'C' AS 'x';"), "c");
        assert!(is_known_as_untrusted("internal") && !is_known_as_untrusted("plpgsql"));
    }

    #[test]
    fn estimators_of_operators_are_found() {
        let found = |sql| -> Vec<String> {
            estimators(sql, StandardStrings::On).iter().map(ToString::to_string).collect()
        };
        let operator = "CREATE OPERATOR public.= (\n    FUNCTION = public.f,\n    LEFTARG = restrict,\n    \
                        RESTRICT = \"Ext S\".sel,\n    JOIN = eqjoinsel\n);";
        assert_eq!(found(operator), ["\"Ext S\".sel", "eqjoinsel"]);
        assert!(found("CREATE OPERATOR public.= (\n    FUNCTION = public.f\n);").is_empty());
    }

    #[test]
    fn privileged_functions_are_told_by_their_attributes() {
        let privileged = |sql| is_privileged_function(sql, StandardStrings::On);
        assert!(privileged("CREATE FUNCTION f() RETURNS int LANGUAGE sql SUPPORT public.g AS 'x';"));
        assert!(privileged("CREATE FUNCTION f() RETURNS int LANGUAGE sql LEAKPROOF AS $$ SELECT 1 $$;"));
        for sql in [
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ LANGUAGE c leakproof $$;",
            "CREATE FUNCTION f(leakproof integer, language c) RETURNS int LANGUAGE plpgsql AS $$ x $$;",
            "CREATE FUNCTION f() RETURNS TABLE(leakproof integer) LANGUAGE sql AS $$ x $$;",
            "CREATE FUNCTION f() RETURNS public.leakproof LANGUAGE sql AS $$ x $$;",
            "CREATE FUNCTION f() RETURNS SETOF leakproof LANGUAGE sql NOT LEAKPROOF AS $$ x $$;",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT leakproof FROM t; END;",
            "CREATE FUNCTION f() RETURNS support LANGUAGE sql SET x TO support AS $$ x $$;",
        ] {
            assert!(!privileged(sql), "{sql}");
        }
        assert!(privileged("CREATE FUNCTION f(a int) RETURNS int STRICT LEAKPROOF LANGUAGE sql AS 'x';"));
    }
}
