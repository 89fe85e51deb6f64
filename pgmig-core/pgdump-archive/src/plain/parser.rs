//! From a script to entries: assigns statements to entries, and recognises statements that only set up the session.

mod data;
mod session;
mod uncommented;

use super::entry::{OpenEntry, section};
use super::header::EntryHeader;
use super::names::{NamesWithLineEnds, Objects};
use super::reader::{Event, ScriptReader};
use super::setting::Setting;
use crate::compression::Compression;
use crate::entry::{DumpId, Entry, EntryKind, Section};
use crate::error::{ArchiveError, Part, ScriptProblem};
use crate::format::Format;
use crate::header::Header;
use crate::reader::Reader;
use crate::session::SessionSettings;
use crate::sniff;
use crate::sql::{QualifiedName, ScriptPiece, StandardStrings};
use crate::text::ArchiveText;
use crate::toc::Toc;
use data::is_copy;

/// The first words of statements that are left out: those of `--clean` before the first entry, and those of
/// `--create` before the script continues in the new database. A restore has a new database anyway.
const LEFT_OUT: [&[u8]; 6] = [
    b"DROP ",
    b"ALTER ",
    b"SELECT pg_catalog.lo_unlink(",
    b"SELECT CASE WHEN EXISTS(SELECT 1 FROM pg_catalog.pg_largeobject ",
    b"CREATE OR REPLACE VIEW ",
    b"UPDATE pg_catalog.pg_database SET datistemplate = false WHERE ",
];

/// The data of an entry that begin here, or that are missing although their comment is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// COPY data come next.
    Copy(DumpId),
    /// INSERT statements come next.
    Inserts(DumpId),
    /// A transaction with large objects comes next.
    Objects(DumpId),
    /// No data follow: an empty table with INSERT statements, for example.
    Nothing { dump_id: DumpId, objects: bool },
}

impl Found {
    /// The entry that the data belong to.
    pub(super) fn dump_id(self) -> DumpId {
        match self {
            Self::Copy(id) | Self::Inserts(id) | Self::Objects(id) | Self::Nothing { dump_id: id, .. } => id,
        }
    }

    /// Whether they are large objects.
    pub(super) fn is_objects(self) -> bool {
        matches!(self, Self::Objects(_) | Self::Nothing { objects: true, .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    BeforeTitle,
    Within,
    Complete,
    /// The script has no comments: neither a title nor a last line.
    Uncommented,
}

/// Reads a script's entries.
pub(super) struct ScriptParser {
    pub(super) script: ScriptReader,
    pub(super) header: Header,
    pub(super) strings: StandardStrings,
    /// Entries that have not been moved to the table of contents yet.
    entries: Vec<Entry>,
    /// Entries that hold the session's settings, with these settings.
    session: Vec<Entry>,
    settings: SessionSettings,
    /// Whether an entry has come that is not about the session or the database.
    has_objects: bool,
    stage: Stage,
    section: Section,
    access_method: Option<ArchiveText>,
    with_oids: bool,
    names: NamesWithLineEnds,
    objects: Objects,
    open: Option<OpenEntry>,
    /// The kind of the data found last, until their entry's next one.
    data: Option<EntryKind>,
    next_id: u32,
    /// The table of the current INSERT statements, in a script without comments.
    inserts_into: Option<QualifiedName>,
}

impl ScriptParser {
    /// `reader` is at the start of a script.
    pub(super) fn new(mut reader: Reader) -> Result<Self, ArchiveError> {
        reader.enter(Part::Script);
        let has_comments = sniff::has_title(reader.peek(sniff::SNIFF_LENGTH)?);
        let header = Header {
            format: Format::Plain,
            wrapper: Compression::None,
            container: None,
            compression: Compression::None,
            compression_level: None,
            created: None,
            database: None,
            server_version: None,
            dump_version: None,
            has_comments,
        };
        Ok(Self {
            script: ScriptReader::new(reader),
            header,
            strings: StandardStrings::On,
            entries: Vec::new(),
            session: Vec::new(),
            settings: SessionSettings::default(),
            has_objects: false,
            stage: if has_comments { Stage::BeforeTitle } else { Stage::Uncommented },
            section: Section::PreData,
            access_method: None,
            with_oids: false,
            names: NamesWithLineEnds::default(),
            objects: Objects::default(),
            open: None,
            data: None,
            next_id: 1,
            inserts_into: None,
        })
    }

    /// Advances to the next data; `None` at the end of the script, which must be marked as complete.
    pub(super) fn next(&mut self) -> Result<Option<Found>, ArchiveError> {
        while let Some(event) = self.script.next()? {
            // This ends the previous entry. If its data did not come, return that first.
            if matches!(event, Event::Entry(_) | Event::Complete | Event::Command { .. })
                && let Some(nothing) = self.close()?
            {
                self.script.put_back(event);
                return Ok(Some(nothing));
            }
            if let Some(found) = self.event(event)? {
                return Ok(Some(found));
            }
        }
        match self.stage {
            Stage::Complete => Ok(None),
            Stage::Uncommented => self.close(),
            Stage::BeforeTitle | Stage::Within => {
                let reader = self.script.reader();
                Err(reader.ended("the script, which ends with \"PostgreSQL database dump complete\""))
            }
        }
    }

    /// Adds the entries that have been completed to `toc`.
    pub(super) fn move_entries(&mut self, toc: &mut Toc) {
        for entry in self.entries.drain(..) {
            toc.push(entry);
        }
        toc.session.clone_from(&self.settings);
    }

    fn event(&mut self, event: Event) -> Result<Option<Found>, ArchiveError> {
        match event {
            Event::Title if self.stage == Stage::BeforeTitle => self.stage = Stage::Within,
            Event::Title => return Err(self.here(ScriptProblem::SeveralDumps)),
            Event::Complete => self.stage = Stage::Complete,
            Event::ServerVersion(version) => note(&mut self.header.server_version, version),
            Event::DumpVersion(version) => note(&mut self.header.dump_version, version),
            Event::Entry(header) => self.begin(*header)?,
            Event::Command { name, offset } => self.command(&name, offset)?,
            Event::Statement(piece) => return self.statement(&piece),
        }
        Ok(None)
    }

    fn begin(&mut self, header: EntryHeader) -> Result<(), ArchiveError> {
        if self.stage != Stage::Within {
            return Err(self.here(ScriptProblem::AfterEnd));
        }
        let dump_id = self.take_id()?;
        let entry = OpenEntry::new(header, dump_id);
        let has_data = matches!(entry.kind, EntryKind::TableData | EntryKind::Blobs);
        if entry.header.is_data != has_data {
            return Err(self.here(ScriptProblem::Header));
        }
        self.open = Some(entry);
        Ok(())
    }

    fn take_id(&mut self) -> Result<DumpId, ArchiveError> {
        let id = DumpId::new(self.next_id);
        self.next_id = self.next_id.saturating_add(1);
        id.ok_or_else(|| self.here(ScriptProblem::TooManyEntries))
    }

    /// Ends the open entry. Returns it if it should have had data and none came.
    fn close(&mut self) -> Result<Option<Found>, ArchiveError> {
        self.data = None;
        let Some(entry) = self.open.take() else { return Ok(None) };
        let (dump_id, has_data) = (entry.dump_id, entry.header.is_data);
        let objects = entry.kind == EntryKind::Blobs;
        self.push(entry);
        Ok(has_data.then_some(Found::Nothing { dump_id, objects }))
    }

    fn push(&mut self, entry: OpenEntry) {
        let section = section(entry.kind, self.section);
        self.section = self.section.max(section);
        let mut entry = entry.finish(section, self.access_method.as_ref(), self.with_oids);
        for text in [&entry.definition, &entry.copy_statement].into_iter().flatten() {
            self.names.note(text.as_bytes(), self.strings);
        }
        self.names.restore(&mut entry.tag);
        if let Some(namespace) = &mut entry.namespace {
            self.names.restore(namespace);
        }
        if entry.kind == EntryKind::Database {
            self.header.database = Some(entry.tag.clone());
        }
        self.has_objects |= !is_about_database(&entry);
        entry.dependencies = self.objects.dependencies(&entry);
        self.objects.note(&entry);
        self.entries.push(entry);
    }

    fn statement(&mut self, piece: &ScriptPiece) -> Result<Option<Found>, ArchiveError> {
        match self.stage {
            Stage::BeforeTitle => return Err(self.outside(piece)),
            Stage::Complete => return Err(self.script.problem(piece.offset, ScriptProblem::AfterEnd)),
            Stage::Within | Stage::Uncommented => {}
        }
        let sql = self.script.text(piece);
        if let Some(setting) = Setting::parse(sql, self.strings) {
            let sql = sql.to_vec();
            self.set(setting, &sql, piece.offset)?;
            return Ok(None);
        }
        if self.stage == Stage::Uncommented {
            return self.uncommented(piece);
        }
        match self.open.as_ref().map(|entry| entry.kind).or(self.data) {
            Some(EntryKind::TableData | EntryKind::Blobs) => self.data_statement(piece),
            _ if is_copy(sql) => Err(self.unexpected(piece)),
            Some(_) => {
                let strings = self.strings;
                if let Some(entry) = &mut self.open {
                    entry.statement(self.script.text(piece), strings);
                }
                Ok(None)
            }
            None if Setting::is_set(sql) || LEFT_OUT.iter().any(|begin| sql.starts_with(begin)) => Ok(None),
            None => Err(self.outside(piece)),
        }
    }

    fn command(&self, name: &str, offset: u64) -> Result<(), ArchiveError> {
        match name {
            // `\restrict` and `\unrestrict` surround every script since August 2025. psql then refuses all other
            // commands; this parser refuses them anyway.
            "restrict" | "unrestrict" => Ok(()),
            // After the entry of the database, where the script continues in that database.
            "connect" if self.has_objects => {
                Err(self.script.problem(offset, ScriptProblem::SeveralDatabases))
            }
            "connect" => Ok(()),
            other => Err(self.script.problem(offset, ScriptProblem::Command(other.to_owned()))),
        }
    }

    fn here(&mut self, problem: ScriptProblem) -> ArchiveError {
        let place = self.script.reader().place();
        ArchiveError::Script { place, problem }
    }

    fn outside(&self, piece: &ScriptPiece) -> ArchiveError {
        let words = first_words(self.script.text(piece));
        self.script.problem(piece.offset, ScriptProblem::Outside(words))
    }

    fn unexpected(&self, piece: &ScriptPiece) -> ArchiveError {
        let words = first_words(self.script.text(piece));
        self.script.problem(piece.offset, ScriptProblem::Unexpected(words))
    }
}

/// Whether an entry describes the database itself.
fn is_about_database(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Database | EntryKind::DatabaseProperties)
        || entry.tag.as_bytes().starts_with(b"DATABASE ")
}

fn note(slot: &mut Option<ArchiveText>, text: Vec<u8>) {
    slot.get_or_insert_with(|| ArchiveText::new(text));
}

/// The key words at the beginning of a statement. Names and values are left out: they must not appear in messages.
fn first_words(sql: &[u8]) -> String {
    let words = sql.split(u8::is_ascii_whitespace).take(3);
    let is_key_word = |word: &&[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_uppercase);
    let words: Vec<String> =
        words.take_while(is_key_word).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    if words.is_empty() { "a statement".to_owned() } else { words.join(" ") }
}
