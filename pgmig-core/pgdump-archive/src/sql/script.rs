//! Splits a psql script into pieces: statements, comments, and psql's own commands.

use super::SqlError;
use super::lexer::{StandardStrings, TokenKind, to_offset};
use super::scanner::{Scanner, trim_end};
use super::statement::{Current, MAX_STATEMENT_BYTES};
use std::ops::Range;

/// The kind of a script's piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PieceKind {
    /// `-- ...` between statements, without its line end.
    Comment,
    /// A statement from its first token to its semicolon. The last statement of a script may have no semicolon.
    Statement,
    /// The rest of a line from a backslash on, where psql reads it as a command of its own.
    MetaCommand,
    /// Such a command in the middle of a statement.
    MetaCommandWithin,
}

/// A piece of a script. Its text is available until the next [`feed`](ScriptSplitter::feed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScriptPiece {
    pub(crate) kind: PieceKind,
    span: Range<usize>,
    /// Where it begins in the whole script, in bytes from 0.
    pub(crate) offset: u64,
}

impl ScriptPiece {
    /// Where it ends in the whole script.
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(to_offset(self.span.len()))
    }
}

/// Splits a script, given in chunks of any size. Unlike [`StatementSplitter`](super::StatementSplitter), it also
/// returns comments and psql's commands, and can pass over text that is not SQL (COPY data).
#[derive(Debug)]
pub(crate) struct ScriptSplitter {
    buffer: Vec<u8>,
    scanner: Scanner,
    at_end: bool,
    current: Current,
}

impl ScriptSplitter {
    pub(crate) fn new() -> Self {
        Self {
            buffer: Vec::new(),
            scanner: Scanner::new(StandardStrings::On),
            at_end: false,
            current: Current::default(),
        }
    }

    /// Sets how plain strings are read from here on.
    pub(crate) fn set_strings(&mut self, strings: StandardStrings) {
        self.scanner.set_strings(strings);
    }

    /// Appends the next bytes of the script. Read all pieces that they complete before the next call.
    pub(crate) fn feed(&mut self, chunk: &[u8]) -> Result<(), SqlError> {
        let done = self.current.start.unwrap_or_else(|| self.scanner.position());
        if done > 0 {
            self.buffer.drain(..done);
            self.scanner.rebase(done);
            self.current.start = self.current.start.map(|_| 0);
        }
        if self.buffer.len().saturating_add(chunk.len()) > MAX_STATEMENT_BYTES {
            let (offset, limit) = (self.scanner.offset(0), MAX_STATEMENT_BYTES);
            return Err(SqlError::StatementTooLong { offset, limit });
        }
        self.buffer.extend_from_slice(chunk);
        Ok(())
    }

    /// Marks the end: no more bytes will come.
    pub(crate) fn end(&mut self) {
        self.at_end = true;
    }

    /// Whether [`end`](Self::end) was called.
    pub(crate) fn has_ended(&self) -> bool {
        self.at_end
    }

    /// The next piece. `None` if more bytes are needed, or after the last piece of a script that has ended.
    pub(crate) fn next(&mut self) -> Result<Option<ScriptPiece>, SqlError> {
        loop {
            if self.is_at_backslash() {
                return Ok(self.meta_command());
            }
            let Some(token) = self.scanner.scan(&self.buffer, self.at_end)? else { break };
            if token.kind == TokenKind::LineComment && self.current.start.is_none() {
                return Ok(Some(self.piece(PieceKind::Comment, token.span.start, token.span.end)));
            }
            if let Some(start) = self.current.pass(&token, &self.buffer) {
                return Ok(Some(self.piece(PieceKind::Statement, start, token.span.end)));
            }
        }
        if self.at_end
            && let Some(start) = self.current.start.take()
        {
            let text = trim_end(self.buffer.get(start..).unwrap_or_default());
            let end = start.saturating_add(text.len());
            return Ok(Some(self.piece(PieceKind::Statement, start, end)));
        }
        Ok(None)
    }

    /// The text of the piece returned last.
    pub(crate) fn text(&self, piece: &ScriptPiece) -> &[u8] {
        self.buffer.get(piece.span.clone()).unwrap_or_default()
    }

    /// The bytes after the piece returned last.
    pub(crate) fn rest(&self) -> &[u8] {
        self.buffer.get(self.scanner.position()..).unwrap_or_default()
    }

    /// Where [`rest`](Self::rest) begins in the whole script.
    pub(crate) fn offset(&self) -> u64 {
        self.scanner.offset(self.scanner.position())
    }

    /// Passes over the first bytes of [`rest`](Self::rest) without examining them.
    pub(crate) fn pass_over(&mut self, bytes: usize) {
        self.scanner.pass_over(bytes.min(self.rest().len()));
    }

    fn is_at_backslash(&self) -> bool {
        self.scanner.is_between_tokens() && self.rest().first() == Some(&b'\\')
    }

    fn meta_command(&mut self) -> Option<ScriptPiece> {
        let line = memchr::memchr(b'\n', self.rest());
        let length = match line {
            Some(length) => length,
            None if self.at_end => self.rest().len(),
            None => return None,
        };
        let start = self.scanner.position();
        self.scanner.pass_over(length);
        let within = self.current.start.is_some();
        let kind = if within { PieceKind::MetaCommandWithin } else { PieceKind::MetaCommand };
        Some(self.piece(kind, start, start.saturating_add(length)))
    }

    fn piece(&self, kind: PieceKind, start: usize, end: usize) -> ScriptPiece {
        ScriptPiece { kind, span: start..end, offset: self.scanner.offset(start) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn pieces(script: &str, size: usize) -> Vec<(PieceKind, String)> {
        let mut splitter = ScriptSplitter::new();
        let mut pieces = Vec::new();
        let mut take = |splitter: &mut ScriptSplitter| {
            while let Some(piece) = splitter.next().unwrap() {
                let text = std::str::from_utf8(splitter.text(&piece)).unwrap();
                let at = usize::try_from(piece.offset).unwrap();
                assert_eq!(&script[at..at + text.len()], text);
                pieces.push((piece.kind, text.to_owned()));
            }
        };
        for chunk in script.as_bytes().chunks(size) {
            splitter.feed(chunk).unwrap();
            take(&mut splitter);
        }
        splitter.end();
        take(&mut splitter);
        pieces
    }

    #[test]
    fn comments_and_commands_are_pieces_only_between_statements_and_outside_of_strings() {
        use PieceKind::{Comment, MetaCommand, MetaCommandWithin, Statement};
        let script = "-- one\n\\connect \"a;b\" 'c\nSELECT '-- no\n\\no' /* -- \\no */ -- no\n, 1;\n--\nSELECT 2 \\gexec\n;\n\
                      CREATE FUNCTION f() AS $$\n-- Name: no\n\\! no\n$$;\\unrestrict x";
        let expected: Vec<(PieceKind, String)> = [
            (Comment, "-- one"),
            (MetaCommand, "\\connect \"a;b\" 'c"),
            (Statement, "SELECT '-- no\n\\no' /* -- \\no */ -- no\n, 1;"),
            (Comment, "--"),
            (MetaCommandWithin, "\\gexec"),
            (Statement, "SELECT 2 \\gexec\n;"),
            (Statement, "CREATE FUNCTION f() AS $$\n-- Name: no\n\\! no\n$$;"),
            (MetaCommand, "\\unrestrict x"),
        ]
        .map(|(kind, text)| (kind, text.to_owned()))
        .into();
        for size in [1, 2, 3, 7, 1000] {
            assert_eq!(pieces(script, size), expected, "in chunks of {size}");
        }
    }

    #[test]
    fn what_is_no_sql_can_be_passed_over() {
        let mut splitter = ScriptSplitter::new();
        splitter.feed(b"COPY t FROM stdin;\nit's \"data\n\\.\n\nSELECT 1;").unwrap();
        let copy = splitter.next().unwrap().unwrap();
        assert_eq!(splitter.text(&copy), b"COPY t FROM stdin;");
        assert_eq!((splitter.offset(), splitter.rest().first()), (18, Some(&b'\n')));
        splitter.pass_over(16);
        let select = splitter.next().unwrap().unwrap();
        assert_eq!(splitter.text(&select), b"SELECT 1;");
    }
}
