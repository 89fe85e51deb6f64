//! Finds where one statement ends and the next begins, as `psql` does.

use super::SqlError;
use super::lexer::{Lexer, StandardStrings, Token, TokenKind};
use super::scanner::{Scanner, trim_end};

/// The longest statement that is accepted, in bytes. A server accepts no longer message, so `pg_dump` cannot write a
/// longer statement from one row.
pub const MAX_STATEMENT_BYTES: usize = 1 << 30;

/// One statement of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// From its first token to its semicolon, without white space and comments before it. The last statement of a
    /// text may have no semicolon.
    pub text: &'a [u8],
    /// Where it begins in the whole text, in bytes from 0.
    pub offset: u64,
}

/// Splits a stream of SQL, given in chunks of any size, into statements.
///
/// A semicolon ends a statement unless it stands in a string, a quoted name, a comment, parentheses or the `BEGIN
/// ATOMIC ... END` body of a function. Empty statements are left out. The memory is that of the largest statement
/// plus one chunk.
///
/// ```
/// use pgdump_archive::sql::{StandardStrings, StatementSplitter};
/// let mut splitter = StatementSplitter::new(StandardStrings::On);
/// let mut statements = Vec::new();
/// for chunk in [b"INSERT INTO t VALUES (';".as_slice(), b"'); SELECT 1"] {
///     splitter.feed(chunk)?;
///     while let Some(statement) = splitter.next_statement()? {
///         statements.push(String::from_utf8_lossy(statement.text).into_owned());
///     }
/// }
/// splitter.end();
/// while let Some(statement) = splitter.next_statement()? {
///     statements.push(String::from_utf8_lossy(statement.text).into_owned());
/// }
/// assert_eq!(statements, ["INSERT INTO t VALUES (';');", "SELECT 1"]);
/// # Ok::<(), pgdump_archive::sql::SqlError>(())
/// ```
#[derive(Debug)]
pub struct StatementSplitter {
    buffer: Vec<u8>,
    scanner: Scanner,
    at_end: bool,
    limit: usize,
    current: Current,
}

impl StatementSplitter {
    /// A splitter at the beginning of a text.
    pub fn new(strings: StandardStrings) -> Self {
        Self {
            buffer: Vec::new(),
            scanner: Scanner::new(strings),
            at_end: false,
            limit: MAX_STATEMENT_BYTES,
            current: Current::default(),
        }
    }

    /// Appends the next bytes of the text. Read all statements that they complete before the next call.
    ///
    /// # Errors
    ///
    /// [`SqlError::StatementTooLong`] if more than [`MAX_STATEMENT_BYTES`] have come without a statement's end.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), SqlError> {
        let done = self.current.start.unwrap_or_else(|| self.scanner.position());
        if done > 0 {
            self.buffer.drain(..done);
            self.scanner.rebase(done);
            self.current.start = self.current.start.map(|_| 0);
        }
        if self.buffer.len().saturating_add(chunk.len()) > self.limit {
            return Err(SqlError::StatementTooLong { offset: self.scanner.offset(0), limit: self.limit });
        }
        self.buffer.extend_from_slice(chunk);
        Ok(())
    }

    /// Marks the end: no more bytes will come.
    pub fn end(&mut self) {
        self.at_end = true;
    }

    /// The next complete statement. `None` if more bytes are needed, or after the last statement once
    /// [`end`](Self::end) was called.
    ///
    /// # Errors
    ///
    /// [`SqlError::Unterminated`] if the text ends inside a string, a quoted name or a comment.
    pub fn next_statement(&mut self) -> Result<Option<Statement<'_>>, SqlError> {
        while let Some(token) = self.scanner.scan(&self.buffer, self.at_end)? {
            if let Some(start) = self.current.pass(&token, &self.buffer) {
                return Ok(Some(self.statement(start, token.span.end)));
            }
        }
        if self.at_end
            && let Some(start) = self.current.start.take()
        {
            return Ok(Some(self.statement(start, self.buffer.len())));
        }
        Ok(None)
    }

    fn statement(&self, start: usize, end: usize) -> Statement<'_> {
        let text = self.buffer.get(start..end).unwrap_or_default();
        Statement { text: trim_end(text), offset: self.scanner.offset(start) }
    }
}

/// The statements of a complete text.
///
/// # Errors
///
/// [`SqlError::Unterminated`] if the text ends inside a string, a quoted name or a comment.
pub fn split_statements(sql: &str, strings: StandardStrings) -> Result<Vec<&str>, SqlError> {
    let mut current = Current::default();
    let mut statements = Vec::new();
    for token in Lexer::new(sql.as_bytes(), strings) {
        let token = token?;
        let start = current.pass(&token, sql.as_bytes());
        statements.extend(start.and_then(|start| sql.get(start..token.span.end)));
    }
    let end = trim_end(sql.as_bytes()).len();
    statements.extend(current.start.and_then(|start| sql.get(start..end)));
    Ok(statements)
}

/// The current statement.
#[derive(Debug, Default)]
pub(super) struct Current {
    /// Where it begins; `None` before its first token.
    pub(super) start: Option<usize>,
    nesting: Nesting,
}

impl Current {
    /// Records a token of `input`. If the token is the semicolon that ends a statement which is not empty, returns
    /// where the statement begins.
    pub(super) fn pass(&mut self, token: &Token, input: &[u8]) -> Option<usize> {
        match token.kind {
            kind if kind.is_blank() => return None,
            TokenKind::Symbol(b';') if self.nesting.is_flat() => {
                self.nesting = Nesting::default();
                return self.start.take();
            }
            TokenKind::Symbol(symbol) => self.nesting.symbol(symbol),
            TokenKind::Word => self.nesting.word(input.get(token.span.clone()).unwrap_or_default()),
            _ => {}
        }
        self.start.get_or_insert(token.span.start);
        None
    }
}

/// How deep a place of a statement is in parentheses and in the body of a routine, by the rules of psql's
/// `psqlscan.l`.
#[derive(Debug, Default)]
struct Nesting {
    parentheses: u64,
    blocks: u64,
    words: usize,
    /// The first letters of the statement's first words, as far as these can form a `CREATE [OR REPLACE] FUNCTION` or
    /// `PROCEDURE`.
    initials: [u8; 4],
}

impl Nesting {
    fn is_flat(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn symbol(&mut self, symbol: u8) {
        match symbol {
            b'(' => self.parentheses = self.parentheses.saturating_add(1),
            b')' => self.parentheses = self.parentheses.saturating_sub(1),
            _ => {}
        }
    }

    fn word(&mut self, word: &[u8]) {
        let is = |other: &str| word.eq_ignore_ascii_case(other.as_bytes());
        if ["create", "function", "procedure", "or", "replace"].into_iter().any(is)
            && let (Some(slot), Some(first)) = (self.initials.get_mut(self.words), word.first())
        {
            *slot = first.to_ascii_lowercase();
        }
        self.words = self.words.saturating_add(1);
        let is_routine = matches!(self.initials, [b'c', b'f' | b'p', ..] | [b'c', b'o', b'r', b'f' | b'p']);
        if !is_routine || self.parentheses > 0 {
            return;
        }
        if is("begin") || (is("case") && self.blocks > 0) {
            self.blocks = self.blocks.saturating_add(1);
        } else if is("end") {
            self.blocks = self.blocks.saturating_sub(1);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split_chunks(
        sql: &[u8],
        size: usize,
        strings: StandardStrings,
    ) -> Result<Vec<(String, u64)>, SqlError> {
        let mut splitter = StatementSplitter::new(strings);
        let mut statements = Vec::new();
        let mut take = |splitter: &mut StatementSplitter| {
            while let Some(statement) = splitter.next_statement()? {
                statements.push((String::from_utf8_lossy(statement.text).into_owned(), statement.offset));
            }
            Ok(())
        };
        for chunk in sql.chunks(size) {
            splitter.feed(chunk)?;
            take(&mut splitter)?;
        }
        splitter.end();
        take(&mut splitter)?;
        Ok(statements)
    }

    const SCRIPT: &str = r#"-- a; comment
SET x = 'it''s; odd'; ; /* a; /* nested; */ b; */
SELECT $$a;$$, $t$ $$; $t $t$, "n;""; ", E'\';', $1;
CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);
CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC; SELECT CASE WHEN a THEN 1 END; END;
create procedure p(a int default (1)) begin atomic insert into t values (1); end;
BEGIN; SELECT 1e-5-.5, a$b; COMMIT ;
ÄÖ "ü"#;

    #[test]
    fn finds_what_psql_finds() {
        let statements = split_statements(SCRIPT, StandardStrings::On);
        assert!(matches!(statements, Err(SqlError::Unterminated { what: "quoted name", .. })));
        let script = format!("{SCRIPT}\" -- end");
        let statements = split_statements(&script, StandardStrings::On).unwrap();
        let beginnings: Vec<&str> = statements.iter().map(|text| text.get(..8).unwrap_or(text)).collect();
        assert_eq!(
            beginnings,
            [
                "SET x = ",
                "SELECT $",
                "CREATE R",
                "CREATE O",
                "create p",
                "BEGIN;",
                "SELECT 1",
                "COMMIT ;",
                "ÄÖ \"ü"
            ]
        );
        assert!(statements[2].ends_with("SELECT 2);") && statements[3].ends_with("END; END;"));
    }

    #[test]
    fn chunks_do_not_matter() {
        let script = format!("{SCRIPT}\"");
        let whole = split_statements(&script, StandardStrings::On).unwrap();
        for size in (1..40).chain([script.len()]) {
            let statements = split_chunks(script.as_bytes(), size, StandardStrings::On).unwrap();
            let texts: Vec<&str> = statements.iter().map(|(text, _)| text.as_str()).collect();
            assert_eq!(texts, whole, "{size}");
            for (text, offset) in &statements {
                assert!(script[usize::try_from(*offset).unwrap()..].starts_with(text));
            }
        }
    }

    #[test]
    fn only_what_postgresql_calls_space_is_cut_off_at_the_end() {
        for (sql, statement) in
            [("SELECT 1 \t\n\r\u{b}\u{c}", "SELECT 1"), ("SELECT é\u{a0}", "SELECT é\u{a0}")]
        {
            assert_eq!(split_statements(sql, StandardStrings::On).unwrap(), [statement]);
            let chunked = split_chunks(sql.as_bytes(), 1, StandardStrings::On).unwrap();
            assert_eq!(chunked, [(statement.to_owned(), 0)]);
        }
    }

    #[test]
    fn backslashes_depend_on_the_setting() {
        let sql = r"SELECT 'a\'; SELECT 'c';";
        assert_eq!(split_statements(sql, StandardStrings::On).unwrap().len(), 2);
        let error = split_statements(sql, StandardStrings::Off).unwrap_err();
        assert_eq!(error, SqlError::Unterminated { what: "string", offset: 22 });
        assert_eq!(split_chunks(sql.as_bytes(), 3, StandardStrings::Off), Err(error));
    }

    #[test]
    fn works_on_bytes() {
        let statements = split_chunks(b"SELECT '\xe9;'; SELECT \xe9;", 4, StandardStrings::On).unwrap();
        assert_eq!(statements.len(), 2);
    }

    #[test]
    fn limits_a_statement() {
        let mut splitter = StatementSplitter { limit: 10, ..StatementSplitter::new(StandardStrings::On) };
        splitter.feed(b"; SELECT").unwrap();
        assert_eq!(splitter.next_statement(), Ok(None));
        splitter.feed(b"1;  ").unwrap();
        assert_eq!(splitter.next_statement().unwrap().unwrap().text, b"SELECT1;");
        splitter.feed(b"SELECT '").unwrap();
        assert_eq!(splitter.next_statement(), Ok(None));
        assert_eq!(splitter.feed(b"123"), Err(SqlError::StatementTooLong { offset: 12, limit: 10 }));
    }

    proptest! {
        #[test]
        fn any_chunks_of_anything(
            parts in prop::collection::vec(prop::sample::select(vec![
                "'", "''", "\"", "\\", "$", "$$", "$a$", "--", "\n", "/*", "*/", "/", "*", ";", "(", ")", " ", "a",
                "e'", "E", "U&", "u&'", "1", "1.", ".", "e-", "begin", " create function ", "end", "é", "B'", "-",
                "\u{b}", "\u{85}",
            ]), 0..24),
            size in 1_usize..8,
        ) {
            let sql = parts.concat();
            let whole = split_statements(&sql, StandardStrings::On);
            let chunked = split_chunks(sql.as_bytes(), size, StandardStrings::On);
            match (whole, chunked) {
                (Ok(whole), Ok(chunked)) => {
                    let texts: Vec<&str> = chunked.iter().map(|(text, _)| text.as_str()).collect();
                    prop_assert_eq!(texts, whole);
                }
                (whole, chunked) => prop_assert_eq!(whole.unwrap_err(), chunked.unwrap_err()),
            }
        }
    }
}
