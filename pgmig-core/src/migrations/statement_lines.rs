//! The lines of a migration's statements, and which of them control transactions.

/// Statements that begin or end a transaction.
const CONTROL: [(&str, Option<&str>); 7] = [
    ("BEGIN", None),
    ("START", Some("TRANSACTION")),
    ("COMMIT", None),
    ("END", None),
    ("ABORT", None),
    ("ROLLBACK", None),
    ("PREPARE", Some("TRANSACTION")),
];

/// How many characters of a statement a message shows.
const EXCERPT_CHARS: usize = 100;

/// A statement of a file, and its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlacedStatement<'a> {
    pub(super) sql: &'a str,
    /// 1-based line in the file of the statement's first word.
    pub(super) line: usize,
}

/// Finds the lines of statements, which are parts of `file` in their order.
pub(super) fn place<'a>(file: &str, statements: &[&'a str]) -> Vec<PlacedStatement<'a>> {
    let mut offset = 0;
    let mut placed = Vec::with_capacity(statements.len());
    for &sql in statements {
        let start = file.get(offset..).and_then(|rest| rest.find(sql)).map_or(offset, |at| offset + at);
        let first_word = start + (sql.len() - without_comments(sql).len());
        placed.push(PlacedStatement { sql, line: line_at(file, first_word) });
        offset = start + sql.len();
    }
    placed
}

impl PlacedStatement<'_> {
    /// The first word of a statement that begins or ends a transaction. Savepoint statements do neither.
    pub(super) fn transaction_control(self) -> Option<&'static str> {
        let text = without_comments(self.sql);
        let mut words =
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        let (first, second) = (words.next()?, words.next());
        let is =
            |word: Option<&str>, keyword: &str| word.is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        if is(Some(first), "ROLLBACK") && is(second, "TO") {
            return None;
        }
        let control = CONTROL
            .iter()
            .find(|(keyword, next)| is(Some(first), keyword) && next.is_none_or(|next| is(second, next)));
        control.map(|(keyword, _)| *keyword)
    }

    /// The first words of the statement on one line, for a message.
    pub(super) fn excerpt(self) -> String {
        let sql = without_comments(self.sql).trim_end_matches(|c: char| c == ';' || c.is_whitespace());
        let words: Vec<&str> = sql.split_whitespace().collect();
        let text = words.join(" ");
        let mut excerpt: String = text.chars().filter(|c| !c.is_control()).take(EXCERPT_CHARS).collect();
        if text.chars().count() > EXCERPT_CHARS {
            excerpt += " ...";
        }
        excerpt
    }

    /// The line in the file of the character at `position` in the statement, counted from 1.
    pub(super) fn line_of(self, position: Option<usize>) -> usize {
        let leading = self.sql.len() - without_comments(self.sql).len();
        let Some(position) = position else { return self.line };
        let at = 1 + self.sql.chars().take(position.saturating_sub(1)).filter(|c| *c == '\n').count();
        self.line + at.saturating_sub(line_at(self.sql, leading))
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// The text from its first word on. PostgreSQL's block comments nest.
fn without_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = after_block_comment(comment).trim_start();
        } else {
            return rest;
        }
    }
}

fn after_block_comment(comment: &str) -> &str {
    let mut depth = 1_usize;
    let mut rest = comment;
    while depth > 0 {
        let Some(at) = rest.find("*/").into_iter().chain(rest.find("/*")).min() else { return "" };
        let (_, mark) = rest.split_at(at);
        depth = if mark.starts_with("/*") { depth + 1 } else { depth - 1 };
        rest = mark.get(2..).unwrap_or("");
    }
    rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn control(sql: &str) -> Option<&'static str> {
        PlacedStatement { sql, line: 1 }.transaction_control()
    }

    #[test]
    fn statements_are_placed_at_their_first_word() {
        let file = "-- no-transaction\n-- why\nSELECT 1;\n\n/* a\n/* b */ */ SELECT 1;\nSELECT 1";
        let parts = [&file[..file.find(";\n\n").unwrap()], "/* a\n/* b */ */ SELECT 1", "SELECT 1"];
        let lines: Vec<_> = place(file, &parts).iter().map(|statement| statement.line).collect();
        assert_eq!(lines, [3, 6, 7]);
    }

    #[test]
    fn positions_become_lines_of_the_file() {
        let file = "SELECT 1;\n-- é\nSELECT\n  nothing";
        let placed = place(file, &["SELECT 1", "-- é\nSELECT\n  nothing"]);
        assert_eq!(placed[1].line, 3);
        let position = "-- é\nSELECT\n  n".chars().count();
        assert_eq!(placed[1].line_of(Some(position)), 4);
        assert_eq!(placed[1].line_of(None), 3);
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        let excerpt = |sql| PlacedStatement { sql, line: 1 }.excerpt();
        assert_eq!(excerpt("-- why\n  UPDATE t\n\tSET a = 1;\n"), "UPDATE t SET a = 1");
        let long = format!("SELECT '{}'", "é".repeat(200));
        assert_eq!(excerpt(&long), format!("SELECT '{} ...", "é".repeat(92)));
    }

    #[test]
    fn transaction_control_is_found_behind_comments() {
        assert_eq!(control("-- x\n/* y */ begin"), Some("BEGIN"));
        assert_eq!(control("START transaction ISOLATION LEVEL SERIALIZABLE"), Some("START"));
        assert_eq!(control("rollback"), Some("ROLLBACK"));
        assert_eq!(control("PREPARE TRANSACTION 'x'"), Some("PREPARE"));
    }

    #[test]
    fn other_statements_are_no_transaction_control() {
        for sql in [
            "ROLLBACK TO s",
            "SAVEPOINT s",
            "PREPARE p AS SELECT 1",
            "SELECT 'COMMIT'",
            "-- COMMIT",
            "",
            "ends",
        ] {
            assert_eq!(control(sql), None, "{sql}");
        }
    }
}
