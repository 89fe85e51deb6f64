//! Scripts whose comments were deleted: the entries come from the statements themselves.
//!
//! `supabase db dump` and `grep -v ^--` make such scripts. Each statement that makes an object begins an entry. What
//! pg_dump writes below an object without a comment (`ALTER TABLE ... REPLICA IDENTITY`) belongs to the entry above. The
//! tags are those of pg_dump, since all readers of an archive go by them.

mod object;
mod statement;

use super::header::EntryHeader;
use crate::sql::{Parser, QualifiedName, StandardStrings, Token, TokenKind};
use crate::text::ArchiveText;
use statement::meaning_of;
use std::borrow::Cow;
use std::ops::Range;

/// What a statement means for the entries.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It begins an entry.
    Begins(EntryHeader),
    /// It belongs to the entry above.
    Continues,
}

/// An INSERT statement names its table within so many bytes: two names of up to 63 bytes, and their quotes.
const INSERT_START: usize = 512;

/// The meaning of a statement. `None` if it is none that pg_dump writes.
pub(super) fn meaning(sql: &[u8], strings: StandardStrings) -> Option<Meaning> {
    let text = match as_text(sql) {
        Cow::Borrowed(text) => return meaning_of(text, strings),
        Cow::Owned(text) => text,
    };
    let bytes = |text: &ArchiveText| {
        let characters = text.to_str().unwrap_or_default().chars();
        ArchiveText::new(characters.filter_map(|c| u8::try_from(u32::from(c)).ok()).collect())
    };
    match meaning_of(&text, strings)? {
        Meaning::Begins(header) => Some(Meaning::Begins(EntryHeader {
            tag: bytes(&header.tag),
            namespace: header.namespace.as_ref().map(bytes),
            owner: header.owner.as_ref().map(bytes),
            ..header
        })),
        Meaning::Continues => Some(Meaning::Continues),
    }
}

/// A statement, or its start, to be parsed. If its names are in another encoding, each byte stands for a character.
fn as_text(sql: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(sql) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(sql.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// The table of an INSERT statement.
pub(super) fn inserts_into(sql: &[u8], strings: StandardStrings) -> Option<QualifiedName> {
    // Only the start is needed, and rows can be huge.
    let start = sql.get(..sql.len().min(INSERT_START))?;
    let ends_in_character = std::str::from_utf8(start).is_err_and(|error| error.error_len().is_none());
    let whole = std::str::from_utf8(start).map_or_else(|error| error.valid_up_to(), str::len);
    let sql = as_text(if ends_in_character { start.get(..whole)? } else { start });
    let mut parser = Parser::new(&sql, "INSERT statement", strings);
    (parser.eat_word("insert") && parser.eat_word("into")).then(|| parser.qualified_name().ok())?
}

/// The statement without `IF NOT EXISTS`, as pg_dump writes it: each object is made once.
pub(super) fn without_if_not_exists(sql: &[u8], strings: StandardStrings) -> Vec<u8> {
    let range = std::str::from_utf8(sql).ok().and_then(|text| if_not_exists(text, strings));
    match range {
        Some(range) => {
            let (before, after) = (sql.get(..range.start), sql.get(range.end..));
            [before.unwrap_or_default(), after.unwrap_or_default().trim_ascii_start()].concat()
        }
        None => sql.to_vec(),
    }
}

/// Where the words stand: after CREATE and the object's kind.
fn if_not_exists(sql: &str, strings: StandardStrings) -> Option<Range<usize>> {
    /// `CREATE TEXT SEARCH CONFIGURATION IF NOT EXISTS` has the most words before.
    const WORDS: usize = 7;
    let mut parser = Parser::new(sql, "CREATE", strings);
    parser.expect_word("create").ok()?;
    let words: Vec<Token> =
        (0..WORDS).map_while(|_| parser.next_if(|token| token.kind == TokenKind::Word)).collect();
    words.windows(3).find_map(|three| {
        let [first, second, last] = three else { return None };
        let is = |token: &Token, word| token.is_word(sql.as_bytes(), word);
        (is(first, "if") && is(second, "not") && is(last, "exists"))
            .then_some(first.span.start..last.span.end)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn shown(sql: &str) -> String {
        match meaning(sql.as_bytes(), StandardStrings::On) {
            Some(Meaning::Begins(header)) => {
                let schema = header.namespace.map(|schema| schema.to_string()).unwrap_or_default();
                format!(
                    "{}|{schema}|{}{}",
                    header.desc,
                    header.tag,
                    if header.is_data { "|data" } else { "" }
                )
            }
            Some(Meaning::Continues) => "above".to_owned(),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn statements_have_the_headers_of_pg_dump() {
        for (sql, expected) in [
            ("CREATE SCHEMA IF NOT EXISTS \"Odd s\";", "SCHEMA||Odd s"),
            ("CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;", "EXTENSION||citext"),
            ("CREATE TABLE IF NOT EXISTS \"public\".\"t\" (a int);", "TABLE|public|t"),
            ("CREATE UNLOGGED TABLE public.t (a int);", "TABLE|public|t"),
            ("CREATE FOREIGN TABLE public.t (a int) SERVER s;", "FOREIGN TABLE|public|t"),
            (
                "CREATE OR REPLACE FUNCTION public.f(a int, b numeric(1,2)) RETURNS int AS 'x';",
                "FUNCTION|public|f(a int, b numeric(1,2))",
            ),
            ("CREATE OPERATOR public.<=> (FUNCTION = f);", "OPERATOR|public|<=>"),
            (
                "CREATE OPERATOR CLASS public.oc FOR TYPE int USING btree AS STORAGE int;",
                "OPERATOR CLASS|public|oc",
            ),
            ("CREATE CAST (int  AS public.x) WITH INOUT;", "CAST||CAST (int AS public.x)"),
            ("CREATE UNIQUE INDEX i ON ONLY store.t USING btree (a);", "INDEX|store|i"),
            ("CREATE CONSTRAINT TRIGGER tr AFTER INSERT ON s.t EXECUTE FUNCTION f();", "TRIGGER|s|t tr"),
            ("CREATE RULE r AS ON INSERT TO s.t DO NOTHING;", "RULE|s|t r"),
            ("CREATE POLICY p ON s.t USING (true);", "POLICY|s|t p"),
            ("CREATE TRUSTED LANGUAGE l;", "PROCEDURAL LANGUAGE||l"),
            ("ALTER TABLE ONLY s.t ADD CONSTRAINT k PRIMARY KEY (a);", "CONSTRAINT|s|t k"),
            ("ALTER TABLE ONLY s.t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES u;", "FK CONSTRAINT|s|t k"),
            ("ALTER TABLE s.t ADD CONSTRAINT k CHECK (a > 0) NOT VALID;", "CHECK CONSTRAINT|s|t k"),
            ("ALTER TABLE ONLY s.t ALTER COLUMN a SET DEFAULT 1;", "DEFAULT|s|t a"),
            (
                "ALTER TABLE s.t ALTER COLUMN a ADD GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME s.q START 1);",
                "SEQUENCE|s|q",
            ),
            ("ALTER TABLE ONLY s.t ATTACH PARTITION s.p DEFAULT;", "TABLE ATTACH|s|p"),
            ("ALTER INDEX s.i ATTACH PARTITION s.j;", "INDEX ATTACH|s|j"),
            ("ALTER TABLE s.t ENABLE ROW LEVEL SECURITY;", "ROW SECURITY|s|t"),
            ("ALTER TABLE ONLY s.t FORCE ROW LEVEL SECURITY;", "above"),
            ("ALTER TABLE ONLY s.t REPLICA IDENTITY FULL;", "above"),
            ("ALTER TYPE s.e ADD VALUE 'x';", "above"),
            ("ALTER SEQUENCE s.q OWNED BY s.t.a;", "SEQUENCE OWNED BY|s|q"),
            (
                "ALTER DEFAULT PRIVILEGES FOR ROLE joe IN SCHEMA s GRANT SELECT ON TABLES TO x;",
                "DEFAULT ACL|s|DEFAULT PRIVILEGES FOR TABLES",
            ),
            ("ALTER PUBLICATION p ADD TABLE ONLY s.t;", "PUBLICATION TABLE|s|p t"),
            ("COMMENT ON COLUMN s.\"T x\".c IS 'x';", "COMMENT|s|COLUMN \"T x\".c"),
            ("COMMENT ON CONSTRAINT k ON DOMAIN s.d IS 'x';", "COMMENT|s|CONSTRAINT k ON DOMAIN d"),
            ("COMMENT ON FUNCTION s.f(a int) IS 'x';", "COMMENT|s|FUNCTION f(a int)"),
            ("COMMENT ON EXTENSION citext IS 'x';", "COMMENT||EXTENSION citext"),
            ("GRANT SELECT(a),INSERT ON TABLE s.t TO joe;", "ACL|s|TABLE t"),
            ("REVOKE ALL ON SCHEMA s FROM PUBLIC;", "ACL||SCHEMA s"),
            ("GRANT USAGE ON FOREIGN SERVER sv TO joe;", "ACL||SERVER sv"),
            ("COPY s.t (a) FROM stdin;", "TABLE DATA|s|t|data"),
            ("INSERT INTO s.t VALUES (1);", "TABLE DATA|s|t|data"),
            ("SELECT pg_catalog.setval('s.\"Q\"', 1, true);", "SEQUENCE SET|s|Q"),
            ("SELECT pg_catalog.lo_create('700001');", "BLOB||700001"),
            ("ALTER DOMAIN s.d ADD CONSTRAINT k CHECK (VALUE > 0) NOT VALID;", "CHECK CONSTRAINT|s|d k"),
            (
                "CREATE USER MAPPING FOR joe SERVER sv OPTIONS (user 'x');",
                "USER MAPPING||USER MAPPING joe SERVER sv",
            ),
            (
                "CREATE TRANSFORM FOR s.x LANGUAGE sql (FROM SQL WITH FUNCTION f(internal));",
                "TRANSFORM||TRANSFORM FOR s.x LANGUAGE sql",
            ),
            ("CREATE TRUSTED PROCEDURAL LANGUAGE l;", "PROCEDURAL LANGUAGE||l"),
            ("SECURITY LABEL FOR p ON TABLE s.t IS 'x';", "SECURITY LABEL|s|TABLE t"),
            ("SET SESSION AUTHORIZATION joe;", "above"),
            ("RESET SESSION AUTHORIZATION;", "above"),
            ("REFRESH MATERIALIZED VIEW s.m;", "MATERIALIZED VIEW DATA|s|m"),
            ("GRANT joe TO jim;", "none"),
            ("DO $$ BEGIN END $$;", "none"),
            ("DELETE FROM t;", "none"),
        ] {
            assert_eq!(shown(sql), expected, "{sql}");
        }
    }

    #[test]
    fn names_of_other_encodings_are_kept_byte_by_byte() {
        let found = meaning(b"CREATE TABLE s.\"t\xe4\xff\" (a int);", StandardStrings::On);
        let Some(Meaning::Begins(header)) = found else { panic!("{found:?}") };
        assert_eq!(header.tag.as_bytes(), b"t\xe4\xff");
    }

    #[test]
    fn inserts_are_told_apart_by_all_bytes_of_a_name() {
        let into = |sql: &[u8]| inserts_into(sql, StandardStrings::On);
        assert_ne!(into(b"INSERT INTO t\xa4\xa2 VALUES (1);"), into(b"INSERT INTO t\xa4\xa4 VALUES (1);"));
        // A character that the part which is read cuts in two.
        for length in 480..520 {
            let sql = format!("INSERT INTO \"t\u{e4}\" VALUES ('{}\u{20ac}');", "x".repeat(length));
            assert_eq!(
                into(sql.as_bytes()),
                into("INSERT INTO \"t\u{e4}\" VALUES (1);".as_bytes()),
                "{length}"
            );
        }
    }

    #[test]
    fn the_words_go_only_where_they_are_of_the_statement() {
        let without = |sql: &str| {
            String::from_utf8(without_if_not_exists(sql.as_bytes(), StandardStrings::On)).unwrap()
        };
        assert_eq!(without("CREATE TABLE IF NOT EXISTS t (a int);"), "CREATE TABLE t (a int);");
        let other = "CREATE FUNCTION f() RETURNS int AS 'CREATE TABLE IF NOT EXISTS t ()';";
        assert_eq!(without(other), other);
    }
}
