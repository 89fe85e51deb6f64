//! A plain script in a stream. Its entries are known up to the place that has been read.

use super::parser::{Found, ScriptParser};
use crate::entry::DumpId;
use crate::error::ArchiveError;
use crate::header::Header;
use crate::plain::objects::{ScriptObjects, Statements};
use crate::reader::Reader;
use crate::toc::Toc;

/// The data of a script in a stream. Each can be read once, in their order.
pub(crate) struct ScriptStream {
    parser: ScriptParser,
    state: State,
}

/// The data of one entry.
pub(crate) enum ScriptBlock<'a> {
    /// Rows or INSERT statements. The stream itself reads them.
    Data(&'a mut ScriptStream),
    Objects(ScriptObjects<'a>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The entries before these data are known, and the data come next.
    Before(Found),
    /// Within COPY data.
    Copy,
    /// Among INSERT statements.
    Inserts,
    /// In a transaction with large objects.
    Objects,
    /// Not within data.
    Between,
    Ended,
    Failed,
}

impl ScriptStream {
    /// Reads up to the first data; `reader` is at the start of the script.
    pub(crate) fn open(reader: Reader) -> Result<(Header, Toc, Self), ArchiveError> {
        let mut stream = Self { parser: ScriptParser::new(reader)?, state: State::Between };
        let mut toc = Toc::default();
        stream.advance(&mut toc)?;
        Ok((stream.parser.header.clone(), toc, stream))
    }

    /// Whether all entries are known.
    pub(crate) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Skips the rest of the current data, and advances to the next ones. Returns the entry that these belong to.
    /// Adds the entries before them to `toc`.
    pub(crate) fn advance(&mut self, toc: &mut Toc) -> Result<Option<DumpId>, ArchiveError> {
        match self.state {
            State::Before(found) => return Ok(Some(found.dump_id())),
            State::Ended => return Ok(None),
            State::Failed => return Err(ArchiveError::AfterError),
            State::Copy | State::Inserts | State::Objects => self.pass_over()?,
            State::Between => {}
        }
        self.state = State::Failed;
        let found = self.parser.next()?;
        self.parser.move_entries(toc);
        self.state = found.map_or(State::Ended, State::Before);
        self.parser.script.reader().report();
        Ok(found.map(Found::dump_id))
    }

    /// The next data.
    pub(crate) fn next(&mut self, toc: &mut Toc) -> Result<Option<(DumpId, ScriptBlock<'_>)>, ArchiveError> {
        self.advance(toc)?;
        let State::Before(found) = self.state else { return Ok(None) };
        let id = found.dump_id();
        let is_objects = found.is_objects();
        self.state = State::Failed;
        self.state = match found {
            Found::Copy(_) => {
                self.parser.script.begin_copy_data()?;
                State::Copy
            }
            Found::Inserts(_) => State::Inserts,
            Found::Objects(_) => State::Objects,
            Found::Nothing { .. } => State::Between,
        };
        if is_objects {
            let strings = self.parser.strings;
            let objects = ScriptObjects::new(Statements::Stream(self), strings);
            return Ok(Some((id, ScriptBlock::Objects(objects))));
        }
        Ok(Some((id, ScriptBlock::Data(self))))
    }

    /// Appends the next rows or statements to `buffer`, about `at_most` bytes. Appends nothing only at their end.
    pub(crate) fn read(&mut self, buffer: &mut Vec<u8>, at_most: usize) -> Result<usize, ArchiveError> {
        let before = buffer.len();
        let state = self.state;
        self.state = State::Failed;
        let goes_on = match state {
            State::Copy => self.parser.script.read_copy_data(buffer, at_most)?,
            State::Inserts => match self.parser.next_insert()? {
                Some(sql) => {
                    buffer.extend(sql);
                    buffer.push(b'\n');
                    true
                }
                None => false,
            },
            State::Failed => return Err(ArchiveError::AfterError),
            other => {
                self.state = other;
                return Ok(0);
            }
        };
        self.state = if goes_on { state } else { State::Between };
        Ok(buffer.len() - before)
    }

    /// The next statement of a transaction with large objects.
    pub(crate) fn next_statement(&mut self) -> Result<Option<Vec<u8>>, ArchiveError> {
        if self.state != State::Objects {
            return Ok(None);
        }
        self.state = State::Failed;
        let statement = self.parser.next_of_objects()?;
        let is_last = statement.as_ref().is_none_or(|sql| sql.eq_ignore_ascii_case(b"COMMIT;"));
        self.state = if is_last { State::Between } else { State::Objects };
        Ok(statement)
    }

    pub(crate) fn reader(&mut self) -> &mut Reader {
        self.parser.script.reader()
    }

    fn pass_over(&mut self) -> Result<(), ArchiveError> {
        const PIECE: usize = 64 * 1024;
        let mut passed = Vec::new();
        while self.state == State::Objects {
            self.next_statement()?;
        }
        while matches!(self.state, State::Copy | State::Inserts) {
            passed.clear();
            self.read(&mut passed, PIECE)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for ScriptStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptStream").field("state", &self.state).finish_non_exhaustive()
    }
}
