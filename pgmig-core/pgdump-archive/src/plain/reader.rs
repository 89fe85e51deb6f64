//! Reads a script piece by piece, and passes over data that are not SQL.

use super::header::{EntryHeader, is_header};
use crate::error::{ArchiveError, Place, ScriptProblem};
use crate::item::Coding;
use crate::reader::Reader;
use crate::sniff::{BYTE_ORDER_MARK, SCRIPT_TITLE};
use crate::sql::{PieceKind, ScriptPiece, ScriptSplitter, SqlError, StandardStrings};
use memchr::memmem;

/// The last words of pg_dump's scripts.
const COMPLETE: &[u8] = b"-- PostgreSQL database dump complete";
/// The end of COPY data, with the line feed before it. The end of its own line follows.
const END_OF_COPY: &[u8] = b"\n\\.";
/// The longest end of COPY data, with both ends of lines.
const LONGEST_END: usize = END_OF_COPY.len() + b"\r\n".len();

/// The next item of a script.
#[derive(Debug)]
pub(super) enum Event {
    Title,
    Complete,
    /// `-- Dumped from database version ...`
    ServerVersion(Vec<u8>),
    /// `-- Dumped by pg_dump version ...`
    DumpVersion(Vec<u8>),
    Entry(Box<EntryHeader>),
    Statement(ScriptPiece),
    /// A command of psql itself: its name, without the backslash and the arguments.
    Command {
        name: String,
        offset: u64,
    },
}

/// Reads a script.
pub(super) struct ScriptReader {
    reader: Reader,
    splitter: ScriptSplitter,
    /// Where the previous comment line ended, and whether such a line can precede an entry's header.
    above: Option<(u64, bool)>,
    peeked: Option<Event>,
    /// Whether nothing has been read.
    is_at_start: bool,
    /// Whether lines end in CR LF: the script's first line, or that of the COPY statement read last.
    has_returns: bool,
}

impl ScriptReader {
    pub(super) fn new(reader: Reader) -> Self {
        Self {
            reader,
            splitter: ScriptSplitter::new(),
            above: None,
            peeked: None,
            is_at_start: true,
            has_returns: false,
        }
    }

    pub(super) fn set_strings(&mut self, strings: StandardStrings) {
        self.splitter.set_strings(strings);
    }

    pub(super) fn reader(&mut self) -> &mut Reader {
        &mut self.reader
    }

    /// The text of a statement that was just returned.
    pub(super) fn text(&self, statement: &ScriptPiece) -> &[u8] {
        self.splitter.text(statement)
    }

    /// The next item; `None` at the end of the script.
    pub(super) fn next(&mut self) -> Result<Option<Event>, ArchiveError> {
        if let Some(event) = self.peeked.take() {
            return Ok(Some(event));
        }
        while let Some(piece) = self.piece()? {
            match piece.kind {
                PieceKind::Statement if self.text(&piece).ends_with(b";") => {
                    return Ok(Some(Event::Statement(piece)));
                }
                // A statement without a semicolon occurs only at the end of the input.
                PieceKind::Statement => return Err(self.problem(piece.offset, ScriptProblem::CutOff)),
                PieceKind::MetaCommand => {
                    let name = self.command_name(&piece);
                    return Ok(Some(Event::Command { name, offset: piece.offset }));
                }
                PieceKind::MetaCommandWithin => {
                    return Err(self.problem(piece.offset, ScriptProblem::Command(self.command_name(&piece))));
                }
                PieceKind::Comment => {
                    if let Some(event) = self.comment(&piece)? {
                        return Ok(Some(event));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Puts an event back: it will be the next one. Its text must not be needed after more has been read.
    pub(super) fn put_back(&mut self, event: Event) {
        self.peeked = Some(event);
    }

    /// Passes over the COPY data after a `COPY ... FROM stdin;` that was just returned. Returns where they are,
    /// including the line that ends them.
    pub(super) fn pass_over_copy_data(&mut self) -> Result<(u64, u64), ArchiveError> {
        self.begin_copy_data()?;
        // Start at the line feed before the data, so that an end in the first line is found, too.
        let start = self.splitter.offset().saturating_add(1);
        loop {
            let rest = self.splitter.rest();
            if let Some((at, length)) = end_of_copy(rest) {
                self.splitter.pass_over(at.saturating_add(length));
                return Ok((start, self.splitter.offset()));
            }
            let looked_at = rest.len().saturating_sub(LONGEST_END - 1);
            self.splitter.pass_over(looked_at);
            if !self.feed()? {
                return Err(self.reader.ended("the data of a table, which end with \\."));
            }
        }
    }

    /// Appends COPY data to `buffer`, about `at_most` bytes. Returns false once they include the line that ends the
    /// data. [`begin_copy_data`](Self::begin_copy_data) must have been called.
    pub(super) fn read_copy_data(
        &mut self,
        buffer: &mut Vec<u8>,
        at_most: usize,
    ) -> Result<bool, ArchiveError> {
        // The line feed before the next line has not been returned yet, because the end marker may begin with it.
        loop {
            let rest = self.splitter.rest();
            let data = rest.get(1..).unwrap_or_default();
            if let Some((at, length)) = end_of_copy(rest) {
                let end = at.saturating_add(length);
                append_rows(buffer, data.get(..end.saturating_sub(1)).unwrap_or_default(), self.has_returns);
                self.splitter.pass_over(end);
                return Ok(false);
            }
            // Return everything up to the last line feed; the line feed stays.
            let length = memchr::memrchr(b'\n', data).filter(|at| *at > 0);
            let partial = data.len().saturating_sub(LONGEST_END);
            let length = length.unwrap_or(if data.len() > at_most { partial } else { 0 });
            // A CR stays with its LF.
            let rows = data.get(..length).unwrap_or_default();
            let rows = rows.strip_suffix(b"\r").unwrap_or(rows);
            if !rows.is_empty() {
                append_rows(buffer, rows, self.has_returns);
                let length = rows.len();
                self.splitter.pass_over(length);
                return Ok(true);
            }
            if !self.feed()? {
                return Err(self.reader.ended("the data of a table, which end with \\."));
            }
        }
    }

    /// Begins COPY data. Their statement must end its line, and that line's end is the one that all rows have: so the server
    /// takes it too.
    pub(super) fn begin_copy_data(&mut self) -> Result<(), ArchiveError> {
        while matches!(self.splitter.rest(), b"" | b"\r") && self.feed()? {}
        self.has_returns = self.splitter.rest().starts_with(b"\r\n");
        if self.has_returns {
            self.splitter.pass_over(1);
        }
        match self.splitter.rest().first() {
            Some(b'\n') | None => Ok(()),
            Some(_) => Err(self.problem(self.splitter.offset(), ScriptProblem::AfterCopy)),
        }
    }

    /// How the rows are stored that [`pass_over_copy_data`](Self::pass_over_copy_data) passed over.
    pub(super) fn coding_of_rows(&self) -> Coding {
        if self.has_returns { Coding::StoredWithReturns } else { Coding::Stored }
    }

    /// The error for something at `offset`.
    pub(super) fn problem(&self, offset: u64, problem: ScriptProblem) -> ArchiveError {
        let place = Place { offset, ..*self.reader.place() };
        ArchiveError::Script { place: Box::new(place), problem }
    }

    fn piece(&mut self) -> Result<Option<ScriptPiece>, ArchiveError> {
        loop {
            match self.splitter.next() {
                Ok(Some(piece)) => return Ok(Some(piece)),
                Ok(None) if self.splitter.has_ended() => return Ok(None),
                Ok(None) => drop(self.feed()?),
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    /// Reads more of the script. Returns false at the end of the input.
    fn feed(&mut self) -> Result<bool, ArchiveError> {
        let bytes = self.reader.fill()?;
        let length = bytes.len();
        if length == 0 {
            self.splitter.end();
            return Ok(false);
        }
        // The start of the input was looked at as a whole, so a mark is not split.
        let is_at_start = std::mem::take(&mut self.is_at_start);
        let has_mark = is_at_start && bytes.starts_with(BYTE_ORDER_MARK);
        if is_at_start {
            let first_line = bytes.split(|byte| *byte == b'\n').next();
            self.has_returns = first_line.is_some_and(|line| line.ends_with(b"\r"));
        }
        let fed = self.splitter.feed(bytes);
        if has_mark {
            self.splitter.pass_over(BYTE_ORDER_MARK.len());
        }
        self.reader.consume(length);
        match fed {
            Ok(()) => Ok(true),
            Err(error) => Err(self.broken(error)),
        }
    }

    fn broken(&self, error: SqlError) -> ArchiveError {
        match error {
            SqlError::Unterminated { what, offset } => {
                self.problem(offset, ScriptProblem::Unterminated(what))
            }
            SqlError::StatementTooLong { offset, limit } => {
                self.problem(offset, ScriptProblem::TooLong(limit))
            }
            SqlError::Unexpected { .. } => ArchiveError::AfterError,
        }
    }

    fn command_name(&self, piece: &ScriptPiece) -> String {
        let line = String::from_utf8_lossy(self.splitter.text(piece)).into_owned();
        let name = line.strip_prefix('\\').unwrap_or_default().split(char::is_whitespace).next();
        name.unwrap_or_default().to_owned()
    }

    fn comment(&mut self, piece: &ScriptPiece) -> Result<Option<Event>, ArchiveError> {
        let line = self.splitter.text(piece).to_vec();
        let next_line = |end: u64| end.saturating_add(if self.has_returns { 2 } else { 1 });
        let follows = self.above.is_some_and(|(end, opens)| opens && next_line(end) == piece.offset);
        let opens = line == b"--"
            || follows && (line.starts_with(b"-- TOC entry ") || line.starts_with(b"-- Dependencies:"));
        self.above = Some((piece.end(), opens));
        if is_header(&line) {
            let header = EntryHeader::parse(&line).filter(|_| follows);
            return match header {
                Some(header) => Ok(Some(Event::Entry(Box::new(header)))),
                None => Err(self.problem(piece.offset, ScriptProblem::Header)),
            };
        }
        let after = |prefix: &[u8]| line.strip_prefix(prefix).map(<[u8]>::to_vec);
        Ok(match line.as_slice() {
            COMPLETE => Some(Event::Complete),
            SCRIPT_TITLE => Some(Event::Title),
            _ => after(b"-- Dumped from database version ")
                .map(Event::ServerVersion)
                .or_else(|| after(b"-- Dumped by pg_dump version ").map(Event::DumpVersion)),
        })
    }
}

/// Where the data end, and the length of the line that ends them with the line feed before it.
fn end_of_copy(data: &[u8]) -> Option<(usize, usize)> {
    memmem::find_iter(data, END_OF_COPY).find_map(|at| {
        let after = data.get(at.checked_add(END_OF_COPY.len())?..)?;
        let line_end = [&b"\n"[..], b"\r\n"].into_iter().find(|end| after.starts_with(end))?;
        Some((at, END_OF_COPY.len() + line_end.len()))
    })
}

/// Appends rows, with LF at the end of each. A value has no line end: COPY escapes them.
fn append_rows(buffer: &mut Vec<u8>, rows: &[u8], has_returns: bool) {
    if !has_returns {
        buffer.extend_from_slice(rows);
        return;
    }
    for line in rows.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(row) => {
                buffer.extend_from_slice(row);
                buffer.push(b'\n');
            }
            None => buffer.extend_from_slice(line),
        }
    }
}
