//! Where one statement ends and the next begins: as `psql` finds it.

use super::SqlError;
use super::lexer::{Scanner, StandardStrings, Token, TokenKind};

/// The longest statement that is taken, in bytes: what a server takes in one message, and so what `pg_dump`
/// can have written from one row.
pub const MAX_STATEMENT_BYTES: usize = 1 << 30;

/// One statement of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// From its first token to its semicolon; the last one of a text may have none. White space and comments
    /// before it are left out.
    pub text: &'a [u8],
    /// Where it begins in the whole text, in bytes from 0.
    pub offset: u64,
}

/// Splits a stream of SQL, given in chunks of any size, into statements.
///
/// A semicolon ends a statement unless it stands in a string, a quoted name, a comment, parentheses or the
/// `BEGIN ATOMIC ... END` body of a function. Statements that are empty are left out. Memory: the largest
/// statement plus one chunk.
///
/// ```
/// use pgmig_core::sql::{StandardStrings, StatementSplitter};
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
/// # Ok::<(), pgmig_core::sql::SqlError>(())
/// ```
#[derive(Debug)]
pub struct StatementSplitter {
    buffer: Vec<u8>,
    scanner: Scanner,
    at_end: bool,
    limit: usize,
    /// Where the statement begins that is being read; `None` before its first token.
    start: Option<usize>,
    nesting: Nesting,
}

impl StatementSplitter {
    /// A splitter at the beginning of a text.
    pub fn new(strings: StandardStrings) -> Self {
        Self {
            buffer: Vec::new(),
            scanner: Scanner::new(strings),
            at_end: false,
            limit: MAX_STATEMENT_BYTES,
            start: None,
            nesting: Nesting::default(),
        }
    }

    /// Appends the next bytes of the text. Take the statements that they complete before the next call.
    ///
    /// # Errors
    ///
    /// [`SqlError::StatementTooLong`] if more than [`MAX_STATEMENT_BYTES`] are waiting for a statement's end.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), SqlError> {
        let done = self.start.unwrap_or_else(|| self.scanner.position());
        if done > 0 {
            self.buffer.drain(..done);
            self.scanner.rebase(done);
            self.start = self.start.map(|_| 0);
        }
        if self.buffer.len().saturating_add(chunk.len()) > self.limit {
            return Err(SqlError::StatementTooLong { offset: self.scanner.offset(0), limit: self.limit });
        }
        self.buffer.extend_from_slice(chunk);
        Ok(())
    }

    /// No more bytes will come.
    pub fn end(&mut self) {
        self.at_end = true;
    }

    /// The next complete statement; `None` if there is none before the next [`feed`](Self::feed) or, after
    /// [`end`](Self::end), at all.
    ///
    /// # Errors
    ///
    /// [`SqlError::Unterminated`] if the text ends inside a string, a quoted name or a comment.
    pub fn next_statement(&mut self) -> Result<Option<Statement<'_>>, SqlError> {
        while let Some(token) = self.scanner.scan(&self.buffer, self.at_end)? {
            if self.ends_statement(&token)
                && let Some(start) = self.start.take()
            {
                return Ok(Some(self.statement(start, token.span.end)));
            }
        }
        if self.at_end
            && let Some(start) = self.start.take()
        {
            return Ok(Some(self.statement(start, self.buffer.len())));
        }
        Ok(None)
    }

    fn statement(&self, start: usize, end: usize) -> Statement<'_> {
        let text = self.buffer.get(start..end).unwrap_or_default();
        Statement { text: text.trim_ascii_end(), offset: self.scanner.offset(start) }
    }

    /// Takes note of a token and tells whether it is the semicolon that ends the statement.
    fn ends_statement(&mut self, token: &Token) -> bool {
        if token.kind.is_blank() {
            return false;
        }
        if token.kind == TokenKind::Symbol(b';') && self.nesting.is_flat() {
            self.nesting = Nesting::default();
            return true;
        }
        self.start.get_or_insert(token.span.start);
        match token.kind {
            TokenKind::Symbol(symbol) => self.nesting.symbol(symbol),
            TokenKind::Word => self.nesting.word(self.buffer.get(token.span.clone()).unwrap_or_default()),
            _ => {}
        }
        false
    }
}

/// The statements of a complete text.
///
/// # Errors
///
/// [`SqlError::Unterminated`] if the text ends inside a string, a quoted name or a comment.
pub fn split_statements(sql: &str, strings: StandardStrings) -> Result<Vec<&str>, SqlError> {
    let mut scanner = Scanner::new(strings);
    let mut nesting = Nesting::default();
    let mut start = None;
    let mut statements = Vec::new();
    while let Some(token) = scanner.scan(sql.as_bytes(), true)? {
        let text = sql.get(token.span.clone()).unwrap_or_default();
        match token.kind {
            kind if kind.is_blank() => continue,
            TokenKind::Symbol(b';') if nesting.is_flat() => {
                nesting = Nesting::default();
                statements.extend(start.take().and_then(|start| sql.get(start..token.span.end)));
                continue;
            }
            TokenKind::Symbol(symbol) => nesting.symbol(symbol),
            TokenKind::Word => nesting.word(text.as_bytes()),
            _ => {}
        }
        start.get_or_insert(token.span.start);
    }
    statements.extend(start.and_then(|start| sql.get(start..)).map(str::trim_end));
    Ok(statements)
}

/// How deep in parentheses and in the body of a routine a place of a statement is, by the rules of psql's
/// `psqlscan.l`.
#[derive(Debug, Default)]
struct Nesting {
    parentheses: u64,
    blocks: u64,
    words: usize,
    /// The first letters of the statement's first words, of those that can make it a `CREATE [OR REPLACE]
    /// FUNCTION` or `PROCEDURE`.
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
