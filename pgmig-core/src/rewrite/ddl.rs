//! Rewrites the literals of DDL.

use super::border::{Content, units};
use super::literal::{Body, Edits, encoding};
use super::rules::Rules;
use crate::sql::{Lexer, SqlError, StandardStrings, StringKind, Token, TokenKind, decode_literal};
use std::borrow::Cow;
use std::ops::Range;

/// Replaces IDs in the string constants of `sql`, one or more statements. Returns the number of replacements.
///
/// Three kinds of text stay unchanged:
///
/// - Names, including those in constants of `regclass` and similar types, and quoted names in the bodies of SQL and
///   PL/pgSQL routines. In other languages double quotes may enclose strings, so the whole body is rewritten.
/// - Comments outside of bodies.
/// - The bounds of RANGE partitions, since new IDs would change their order. The bounds of LIST partitions are
///   rewritten.
///
/// # Errors
///
/// [`SqlError::Unterminated`] if the text ends inside a string, a quoted name or a comment.
pub(crate) fn rewrite_ddl<'a>(
    sql: &'a str,
    rules: &Rules,
    strings: StandardStrings,
) -> Result<(Cow<'a, str>, u64), SqlError> {
    if !rules.reach_definitions() {
        return Ok((Cow::Borrowed(sql), 0));
    }
    let mut edits = Edits::default();
    let mut count = 0_u64;
    let mut statement = Vec::new();
    for token in Lexer::new(sql.as_bytes(), strings) {
        let token = token?;
        if token.kind.is_blank() {
            continue;
        }
        let ends = token.kind == TokenKind::Symbol(b';');
        statement.push(token);
        if ends {
            count = count.saturating_add(Statement::new(sql, &statement, strings).rewrite(rules, &mut edits));
            statement.clear();
        }
    }
    count = count.saturating_add(Statement::new(sql, &statement, strings).rewrite(rules, &mut edits));
    Ok((edits.apply(sql), count))
}

/// The tokens of one statement, without blanks.
#[derive(Debug)]
struct Statement<'a> {
    sql: &'a str,
    tokens: &'a [Token],
    strings: StandardStrings,
    /// The language of a routine's body, in the strings after `AS`; `None` for any other statement.
    body: Option<BodyLanguage>,
}

/// Types whose values are names of objects.
const NAME_TYPES: [&str; 11] = [
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
];

/// The language of a routine's body, as far as pgmig recognises names in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyLanguage {
    /// SQL or PL/pgSQL: double quotes enclose names.
    Sql,
    /// Any other language, in which double quotes may enclose strings.
    Other,
}

impl<'a> Statement<'a> {
    fn new(sql: &'a str, tokens: &'a [Token], strings: StandardStrings) -> Self {
        let mut statement = Self { sql, tokens, strings, body: None };
        statement.body = statement.is_routine().then(|| statement.language());
        statement
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.sql.as_bytes(), word))
    }

    /// Whether the statement creates a function or procedure, or is a `DO`.
    fn is_routine(&self) -> bool {
        let kind = if self.is_word(1, "or") && self.is_word(2, "replace") { 3 } else { 1 };
        self.is_word(0, "do")
            || (self.is_word(0, "create")
                && (self.is_word(kind, "function") || self.is_word(kind, "procedure")))
    }

    fn language(&self) -> BodyLanguage {
        // A parameter may have the name "language", too.
        let mut depth = 0_usize;
        let at = (0..self.tokens.len()).find(|&at| {
            match self.tokens.get(at).map(|token| token.kind) {
                Some(TokenKind::Symbol(b'(')) => depth = depth.saturating_add(1),
                Some(TokenKind::Symbol(b')')) => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && self.is_word(at, "language")
        });
        let Some(token) = at.and_then(|at| self.tokens.get(at.saturating_add(1))) else {
            // Only two kinds have no LANGUAGE: DO, whose default is PL/pgSQL, and routines whose body is not a
            // string.
            return BodyLanguage::Sql;
        };
        let name = match token.kind {
            TokenKind::String(_) => decode_literal(self.sql, token).unwrap_or_default(),
            _ => Cow::Borrowed(self.sql.get(token.body.clone()).unwrap_or_default()),
        };
        let is_sql = ["sql", "plpgsql"].iter().any(|sql| name.eq_ignore_ascii_case(sql));
        if is_sql { BodyLanguage::Sql } else { BodyLanguage::Other }
    }

    fn rewrite(&self, rules: &Rules, edits: &mut Edits) -> u64 {
        let mut count = 0_u64;
        let mut bound = RangeBound::default();
        for (at, token) in self.tokens.iter().enumerate() {
            bound.pass(token, self.sql);
            let TokenKind::String(kind) = token.kind else {
                continue;
            };
            if bound.is_inside() || self.is_name(at) {
                continue;
            }
            let (span, content) = (token.body.clone(), Content::Text);
            let body = Body { sql: self.sql, span, encoding: encoding(kind), content };
            let is_code = self.body == Some(BodyLanguage::Sql) && self.is_code(at);
            let names = if is_code { quoted_names(&body, kind, self.strings) } else { Vec::new() };
            count = count.saturating_add(body.rewrite(rules, &names, edits));
        }
        count
    }

    /// Whether the string at `at` names an object: `'store."log"'::regclass`, `setval('store."log_id_seq"', ...)`.
    fn is_name(&self, at: usize) -> bool {
        let is_symbol = |at: usize, symbol| {
            self.tokens.get(at).is_some_and(|token| token.kind == TokenKind::Symbol(symbol))
        };
        let is_cast = is_symbol(at.saturating_add(1), b':') && is_symbol(at.saturating_add(2), b':');
        let is_argument = at.checked_sub(1).is_some_and(|before| is_symbol(before, b'('));
        let any = |at: Option<usize>, words: &[&str]| {
            at.is_some_and(|at| words.iter().any(|word| self.is_word(at, word)))
        };
        // The type may have the prefix `pg_catalog`.
        (is_cast && [3, 5].into_iter().any(|after| any(at.checked_add(after), &NAME_TYPES)))
            || (is_argument && any(at.checked_sub(2), &["setval", "nextval", "currval"]))
    }

    /// Whether the string at `at` is a routine's body, and not the default of a parameter or a setting.
    fn is_code(&self, at: usize) -> bool {
        self.is_word(0, "do") || at.checked_sub(1).is_some_and(|before| self.is_word(before, "as"))
    }
}

/// The places of double-quoted names in the code of `body`. A server that does not check bodies accepts code that
/// cannot be split into tokens. From such a place on, no names are found.
fn quoted_names(body: &Body<'_>, kind: StringKind, strings: StandardStrings) -> Vec<Range<usize>> {
    let bytes = body.bytes();
    let (mut code, mut places) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len()));
    let mut was_quote = false;
    for unit in units(bytes, body.encoding) {
        let byte = u8::try_from(unit.value).unwrap_or(b'x');
        // The second of two quotes that stand for one.
        let is_doubled = kind != StringKind::Dollar && byte == b'\'' && was_quote;
        was_quote = byte == b'\'' && !is_doubled && unit.end.saturating_sub(unit.start) == 1;
        if !is_doubled {
            code.push(byte);
            places.push(unit.start);
        }
    }
    places.push(bytes.len());
    let place = |at: usize| places.get(at).copied().unwrap_or(bytes.len());
    Lexer::new(&code, strings)
        .map_while(Result::ok)
        .filter(|token| matches!(token.kind, TokenKind::QuotedIdent { .. }))
        .map(|token| place(token.span.start)..place(token.span.end))
        .collect()
}

/// Follows `FOR VALUES FROM (...) TO (...)`, the bounds of a RANGE partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum RangeBound {
    #[default]
    Outside,
    For,
    Values,
    /// After `FROM`, in this number of parentheses.
    Inside(usize),
    /// After the first list, before `TO`.
    Between,
}

impl RangeBound {
    fn pass(&mut self, token: &Token, sql: &str) {
        let is_word = |word| token.is_word(sql.as_bytes(), word);
        *self = match (*self, token.kind) {
            (RangeBound::For, _) if is_word("values") => RangeBound::Values,
            (RangeBound::Values, _) if is_word("from") => RangeBound::Inside(0),
            (RangeBound::Between, _) if is_word("to") => RangeBound::Inside(0),
            (RangeBound::Inside(depth), TokenKind::Symbol(b'(')) => {
                RangeBound::Inside(depth.saturating_add(1))
            }
            (RangeBound::Inside(1), TokenKind::Symbol(b')')) => RangeBound::Between,
            (RangeBound::Inside(depth), TokenKind::Symbol(b')')) => {
                RangeBound::Inside(depth.saturating_sub(1))
            }
            (inside @ RangeBound::Inside(_), _) => inside,
            _ if is_word("for") => RangeBound::For,
            _ => RangeBound::Outside,
        };
    }

    fn is_inside(self) -> bool {
        matches!(self, RangeBound::Inside(_))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::instance::InstanceId;

    const A: &str = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";
    const B: &str = "9d3a7e54-5c2b-4f7c-8e21-0b6a5d4c3b02";

    /// Checks the rewriting of A to B and back in `sql`. In it, `@` is an A that stays and `#` an A that must become
    /// B.
    fn check(sql: &str, strings: StandardStrings) {
        let (a, b): (InstanceId, InstanceId) = (A.parse().unwrap(), B.parse().unwrap());
        let rules = Rules::new([(a, b), (b, a)]);
        let input = sql.replace(['@', '#'], A);
        let (output, count) = rewrite_ddl(&input, &rules, strings).unwrap();
        assert_eq!(output, sql.replace('@', A).replace('#', B));
        assert_eq!(count, u64::try_from(sql.matches('#').count()).unwrap(), "{sql}");
    }

    #[test]
    fn replaces_an_id_in_a_comment() {
        let rules = Rules::new(InstanceId::from_number(1).zip(InstanceId::from_number(2)));
        let sql = "COMMENT ON TABLE t IS 'of 00000000-0000-0000-0000-000000000001';";
        let (sql, count) = rewrite_ddl(sql, &rules, StandardStrings::On).unwrap();
        assert_eq!(
            (sql.as_ref(), count),
            ("COMMENT ON TABLE t IS 'of 00000000-0000-0000-0000-000000000002';", 1)
        );
    }

    #[test]
    fn replaces_in_literals_only() {
        for sql in [
            "COMMENT ON COLUMN t.c IS 'e.g. #; it''s #'; -- @\n",
            "CREATE VIEW \"@\" AS SELECT '#'::uuid, E'\\t#', E'\\\\t@', 't@', $$#$$, U&'\\000a#' /* @ */",
            "CREATE INDEX i ON t (title) WHERE (tenant_id = '#'::uuid);",
            "CREATE POLICY p ON t WITH CHECK ((tenant_id <> ALL (ARRAY['#'::uuid, '{#,#}'])));",
            "ALTER TABLE t ALTER COLUMN c SET DEFAULT '{\"a\": \"#\"}'::jsonb",
            "",
        ] {
            check(sql, StandardStrings::On);
        }
        check("SELECT '\\t#', '\\\\t@', '\\'#'", StandardStrings::Off);
    }

    #[test]
    fn leaves_names_in_bodies_alone() {
        for sql in [
            "CREATE FUNCTION f(language text DEFAULT '\"#\"') RETURNS uuid LANGUAGE sql AS $_$ SELECT \"@\", '#', '\"#\"' -- #\n $_$;",
            "CREATE OR REPLACE FUNCTION f() RETURNS uuid LANGUAGE 'plpgsql' AS 'BEGIN \"it''s @\" := ''#''; END';",
            "CREATE PROCEDURE f() LANGUAGE plpgsql AS E'BEGIN \\'\"#\"\\'; \\x22@\"; END #'; COMMENT ON t IS '\"#\"';",
            "DO $$ BEGIN \"@\" := '#'; END $$",
            "CREATE FUNCTION f() RETURNS uuid AS $$ return \"#\" $$ LANGUAGE plpython3u;",
            "CREATE FUNCTION f() RETURNS uuid LANGUAGE sql BEGIN ATOMIC SELECT '#', \"@\"; END;",
            "CREATE FUNCTION f() RETURNS uuid LANGUAGE sql AS $$ SELECT \"@\", '# $$;",
        ] {
            check(sql, StandardStrings::On);
        }
    }

    #[test]
    fn leaves_names_in_constants_alone() {
        for sql in [
            "SELECT pg_catalog.setval('store.\"@\"', 7, true);",
            "ALTER TABLE t ALTER COLUMN id SET DEFAULT nextval('\"log_@_id_seq\"'::regclass), ALTER c SET DEFAULT '#'::uuid;",
            "CREATE VIEW v AS SELECT '\"@\"'::regclass, '@'::pg_catalog.regclass, '#'::text, f('#'), ('#' || '@'::regtype);",
        ] {
            check(sql, StandardStrings::On);
        }
    }

    #[test]
    fn leaves_range_bounds_alone() {
        for sql in [
            "ALTER TABLE ONLY p ATTACH PARTITION c FOR VALUES FROM ('@', f('@')) TO ('@', MAXVALUE);",
            "CREATE TABLE c PARTITION OF p (x DEFAULT '#') FOR VALUES FROM ('@') TO ('@') PARTITION BY LIST (f('#'));",
            "ALTER TABLE ONLY p ATTACH PARTITION c FOR VALUES IN ('#', '#');",
            "ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM ('@') TO ('@'); COMMENT ON TABLE c IS '#';",
            "CREATE TRIGGER t AFTER INSERT ON x FOR EACH ROW EXECUTE FUNCTION f('#');",
        ] {
            check(sql, StandardStrings::On);
        }
    }

    #[test]
    fn reports_an_unterminated_string() {
        assert!(rewrite_ddl("SELECT 'a", &Rules::default(), StandardStrings::On).is_err());
    }
}
