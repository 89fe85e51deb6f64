//! Recognises, by its words, a statement that cannot run in a transaction.

use crate::sql::{Lexer, StandardStrings, Token, TokenKind, decode_literal};

/// First words of statements that the server never runs in a transaction block.
const ALONE: [&[&str]; 9] = [
    &["vacuum"],
    &["create", "database"],
    &["drop", "database"],
    &["create", "tablespace"],
    &["drop", "tablespace"],
    &["alter", "system"],
    &["reindex", "database"],
    &["reindex", "system"],
    &["reindex", "schema"],
];

/// First words of statements that normally cannot run in one, or only as the first of a transaction.
const ALONE_OR_FIRST: [&[&str]; 6] = [
    &["create", "subscription"],
    &["drop", "subscription"],
    &["alter", "subscription"],
    &["discard", "all"],
    &["set", "transaction"],
    &["set", "local", "transaction"],
];

/// First words of statements that the server does not run in a transaction block if they contain CONCURRENTLY.
const ALONE_CONCURRENTLY: [&[&str]; 5] = [
    &["create", "index"],
    &["create", "unique", "index"],
    &["drop", "index"],
    &["reindex"],
    &["alter", "table"],
];

const NOT_WITHIN: &str = "the server does not run it within a transaction";

/// The reason why the server refuses a statement in a continued transaction; `None` if it does not.
pub(crate) fn why_alone(sql: &str) -> Option<&'static str> {
    let words = Words::of(sql);
    words.why_alone().or_else(|| words.need_no_transaction().then_some(NOT_WITHIN))
}

/// The tokens of a statement, without blanks and comments.
pub(super) struct Words<'a> {
    sql: &'a str,
    pub(super) tokens: Vec<Token>,
    /// The tokens outside of parentheses, without the semicolon at the end.
    outer: Vec<Token>,
}

impl<'a> Words<'a> {
    pub(super) fn of(sql: &'a str) -> Self {
        let tokens = Lexer::new(sql.as_bytes(), StandardStrings::On).map_while(Result::ok);
        let tokens: Vec<Token> = tokens.filter(|token| !token.kind.is_blank()).collect();
        let (mut depth, mut outer) = (0_u32, Vec::new());
        for token in &tokens {
            match token.kind {
                TokenKind::Symbol(b'(') => depth = depth.saturating_add(1),
                TokenKind::Symbol(b')') => depth = depth.saturating_sub(1),
                TokenKind::Symbol(b';') => {}
                _ if depth == 0 => outer.push(token.clone()),
                _ => {}
            }
        }
        Self { sql, tokens, outer }
    }

    pub(super) fn sql(&self) -> &'a str {
        self.sql
    }

    pub(super) fn is(&self, token: &Token, word: &str) -> bool {
        token.is_word(self.sql.as_bytes(), word)
    }

    /// Whether the statement begins with these words. Words in parentheses (the options of REINDEX) do not count.
    pub(super) fn begin(&self, words: &[&str]) -> bool {
        self.outer.len() >= words.len()
            && self.outer.iter().zip(words).all(|(token, word)| self.is(token, word))
    }

    fn are(&self, words: &[&str]) -> bool {
        self.outer.len() == words.len() && self.begin(words)
    }

    /// Whether these words follow each other outside of parentheses.
    fn hold(&self, words: &[&str]) -> bool {
        let same = |window: &[Token]| window.iter().zip(words).all(|(token, word)| self.is(token, word));
        self.outer.windows(words.len()).any(same)
    }

    /// The name after these words at the beginning, and after CONCURRENTLY if present.
    pub(super) fn name_after(&self, words: &[&str]) -> Option<&'a str> {
        let rest = self.outer.get(words.len()..).filter(|_| self.begin(words))?;
        let rest = match rest.split_first() {
            Some((first, rest)) if self.is(first, "concurrently") => rest,
            _ => rest,
        };
        self.sql.get(rest.first()?.span.start..rest.last()?.span.end)
    }

    /// Whether it copies rows from or to the client, which a migration cannot do.
    pub(super) fn copy_through_client(&self) -> bool {
        self.begin(&["copy"]) && (self.hold(&["from", "stdin"]) || self.hold(&["to", "stdout"]))
    }

    pub(super) fn need_no_transaction(&self) -> bool {
        self.stand_alone()
            || self.hold(&["concurrently"]) && ALONE_CONCURRENTLY.iter().any(|alone| self.begin(alone))
    }

    /// Whether the server refuses it in a transaction block, even without CONCURRENTLY.
    fn stand_alone(&self) -> bool {
        ALONE.iter().any(|alone| self.begin(alone))
            // Plain CLUSTER processes all tables that were clustered before.
            || self.are(&["cluster"])
            || self.are(&["cluster", "verbose"])
            || self.begin(&["alter", "database"]) && self.hold(&["set", "tablespace"])
    }

    /// The reason why it cannot run in a continued transaction; `None` if it can. The caller itself recognises
    /// statements that begin or end a transaction.
    pub(super) fn why_alone(&self) -> Option<&'static str> {
        if self.stand_alone() || ALONE_OR_FIRST.iter().any(|alone| self.begin(alone)) {
            return Some(NOT_WITHIN);
        }
        if self.detach_concurrently() {
            return Some("without CONCURRENTLY it does something else");
        }
        self.commit_in_block().then_some("it ends transactions")
    }

    fn detach_concurrently(&self) -> bool {
        let ends = self.outer.last().is_some_and(|last| self.is(last, "concurrently"));
        ends && self.begin(&["alter", "table"]) && self.hold(&["detach"])
    }

    /// Whether it is a DO block that contains COMMIT or ROLLBACK.
    fn commit_in_block(&self) -> bool {
        let bodies = self.outer.iter().filter(|token| matches!(token.kind, TokenKind::String(_)));
        let mut bodies = bodies.filter_map(|token| decode_literal(self.sql, token));
        self.begin(&["do"]) && bodies.any(|body| Words::of(&body).end_transactions())
    }

    fn end_transactions(&self) -> bool {
        let is_end = |pair: &[Token]| match pair {
            [end, next] => {
                (self.is(end, "commit") || self.is(end, "rollback"))
                    && (next.kind == TokenKind::Symbol(b';') || self.is(next, "and"))
            }
            _ => false,
        };
        self.tokens.windows(2).any(is_end)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn rows_through_the_client_are_found() {
        for sql in [
            "COPY t FROM stdin",
            "copy s.t (a, b) from STDIN WITH (FORMAT csv)",
            "/* x */ COPY (SELECT 1) TO STDOUT",
        ] {
            assert!(Words::of(sql).copy_through_client(), "{sql}");
        }
        for sql in [
            "COPY t FROM '/tmp/stdin'",
            "INSERT INTO t VALUES ('COPY t FROM stdin')",
            "COPY t FROM PROGRAM 'x'",
        ] {
            assert!(!Words::of(sql).copy_through_client(), "{sql}");
        }
    }

    #[test]
    fn what_needs_no_transaction_is_found() {
        for sql in [
            "CREATE INDEX CONCURRENTLY i ON t (a)",
            "-- why\ncreate unique index concurrently if not exists i on t (a)",
            "DROP INDEX CONCURRENTLY i",
            "REINDEX TABLE CONCURRENTLY t",
            "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
            "VACUUM (ANALYZE) t",
            "ALTER SYSTEM SET work_mem = '1GB'",
        ] {
            assert!(Words::of(sql).need_no_transaction(), "{sql}");
        }
        for sql in [
            "CREATE INDEX i ON t (a)",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
            "CREATE INDEX \"concurrently\" ON t (a)",
            "CREATE TABLE vacuum (a int)",
            "SELECT 'CREATE INDEX CONCURRENTLY i ON t (a)'",
        ] {
            assert!(!Words::of(sql).need_no_transaction(), "{sql}");
        }
    }

    #[test]
    fn what_needs_a_transaction_of_its_own_is_found() {
        for sql in [
            "VACUUM t",
            "VACUUM (FULL, VERBOSE)",
            "/* x */ alter system SET x = 1",
            "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
            "ALTER TABLE t DETACH PARTITION p CONCURRENTLY;",
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "REINDEX (VERBOSE) DATABASE d",
            "REINDEX (CONCURRENTLY) SCHEMA s",
            "CLUSTER;",
            "CLUSTER VERBOSE",
            "CLUSTER (VERBOSE)",
            "ALTER DATABASE \"d\" SET TABLESPACE x",
            "DROP SUBSCRIPTION IF EXISTS s",
            "DISCARD ALL",
            "DO $$ BEGIN LOOP UPDATE t SET a = 1; COMMIT; END LOOP; END $$",
            "DO LANGUAGE plpgsql 'BEGIN ROLLBACK AND CHAIN; END'",
        ] {
            assert!(Words::of(sql).why_alone().is_some(), "{sql}");
        }
        for sql in [
            "CREATE INDEX CONCURRENTLY i ON t (a)",
            "ALTER TABLE t DETACH PARTITION p",
            "ALTER TABLE t DETACH PARTITION concurrently FINALIZE",
            "SET search_path = x",
            "SAVEPOINT s",
            "SELECT 'VACUUM'",
            "CLUSTER t",
            "CLUSTER \"t\" USING i",
            "REINDEX (VERBOSE) TABLE database",
            "ALTER DATABASE d SET work_mem = '1GB'",
            "DISCARD TEMP",
            "DO $$ BEGIN RAISE NOTICE 'COMMIT;'; END $$",
            "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$",
        ] {
            assert!(Words::of(sql).why_alone().is_none(), "{sql}");
        }
    }

    #[test]
    fn the_name_comes_after_the_words() {
        let name = |sql| Words::of(sql).name_after(&["reindex", "table"]);
        assert_eq!(name("REINDEX (VERBOSE) TABLE CONCURRENTLY store.\"T t\";"), Some("store.\"T t\""));
        assert_eq!(name("REINDEX INDEX i"), None);
        assert_eq!(name("REINDEX TABLE"), None);
    }
}
