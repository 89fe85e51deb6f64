//! Statements that no migration can have, or none in a transaction.

use crate::sql::{Lexer, StandardStrings, TokenKind};

/// First words of statements that the server never runs in a transaction block.
pub(super) const ALONE: [&[&str]; 8] = [
    &["vacuum"],
    &["create", "database"],
    &["drop", "database"],
    &["create", "tablespace"],
    &["drop", "tablespace"],
    &["alter", "system"],
    &["reindex", "database"],
    &["reindex", "system"],
];

/// The same if CONCURRENTLY follows.
const ALONE_CONCURRENTLY: [&[&str]; 5] = [
    &["create", "index"],
    &["create", "unique", "index"],
    &["drop", "index"],
    &["reindex"],
    &["alter", "table"],
];

/// What a statement says outside of parentheses, in lower case.
pub(super) struct Words(Vec<String>);

impl Words {
    pub(super) fn of(sql: &str) -> Self {
        let mut depth = 0_i32;
        let mut words = Vec::new();
        for token in Lexer::new(sql.as_bytes(), StandardStrings::On).map_while(Result::ok) {
            match token.kind {
                TokenKind::Symbol(b'(') => depth += 1,
                TokenKind::Symbol(b')') => depth -= 1,
                TokenKind::Word if depth == 0 => {
                    words.extend(sql.get(token.span).map(str::to_ascii_lowercase));
                }
                _ => {}
            }
        }
        Self(words)
    }

    /// Whether it copies rows from or to the client, which a file of migrations is not.
    pub(super) fn copy_through_client(&self) -> bool {
        let is_client = |pair: &[String]| match pair {
            [direction, place] => {
                (direction == "from" && place == "stdin") || (direction == "to" && place == "stdout")
            }
            _ => false,
        };
        self.begin(&["copy"]) && self.0.windows(2).any(is_client)
    }

    /// Whether the server refuses it in a transaction block.
    pub(super) fn need_no_transaction(&self) -> bool {
        let concurrently = self.0.iter().any(|word| word == "concurrently");
        ALONE.iter().any(|alone| self.begin(alone))
            || concurrently && ALONE_CONCURRENTLY.iter().any(|alone| self.begin(alone))
    }

    fn begin(&self, words: &[&str]) -> bool {
        self.0.get(..words.len()).is_some_and(|first| first == words)
    }
}

#[cfg(test)]
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
}
