//! The table of contents.

use super::{
    entry::{CatalogId, DataState, DumpId, Entry, EntryKind, Oid, Section},
    error::{ArchiveError, Part},
    format::Format,
    header::Container,
    reader::Reader,
    session::SessionSettings,
    text::ArchiveText,
    version::ArchiveVersion,
};
use std::collections::HashMap;

/// PostgreSQL cannot make a text of 1 GiB, so no statement in a TOC is longer.
const MAX_TEXT: u64 = 0x3fff_ffff;
/// pg_dump's own names have about 15 bytes; file systems accept 255.
const MAX_FILE_NAME: u64 = 255;
/// Numbers are written in decimal, flags as "true" or "false".
const MAX_NUMBER: u64 = 32;
/// Memory is reserved for at most this many entries in advance. The count comes from the archive and may be wrong.
const FIRST_ENTRIES: usize = 4096;

/// The entries of an archive in its order, with an index.
#[derive(Debug, Default)]
pub(super) struct Toc {
    pub(super) entries: Vec<Entry>,
    pub(super) session: SessionSettings,
    by_id: HashMap<DumpId, usize>,
    /// Names of the data files by entry, in formats with a file for each.
    files: HashMap<DumpId, ArchiveText>,
    /// How many entries own a data block.
    blocks: usize,
}

impl Toc {
    /// Reads a table of contents. The reader is at its count of entries.
    pub(super) fn read(
        reader: &mut Reader,
        format: Format,
        container: Container,
    ) -> Result<Self, ArchiveError> {
        reader.enter(Part::Toc { number: 0, count: 0 });
        let count = read_count(reader)?;
        let mut toc = Self::default();
        toc.entries.reserve(usize::try_from(count).unwrap_or(FIRST_ENTRIES).min(FIRST_ENTRIES));
        for number in 1..=count {
            *reader.part_mut() = Part::Toc { number, count };
            let mut entry = read_entry(reader, container.version)?;
            let dump_id = entry.dump_id;
            if toc.by_id.contains_key(&dump_id) {
                return Err(reader.malformed(
                    "the dump ID",
                    format_args!("{dump_id} again"),
                    "one of its own",
                ));
            }
            match format {
                Format::Custom => entry.data = read_data_state(reader, entry.had_dumper)?,
                Format::Directory | Format::Tar | Format::Plain => {
                    let file = read_file_name(reader, entry.had_dumper)?;
                    entry.data = if file.is_some() { DataState::Member } else { DataState::NoData };
                    toc.files.extend(file.map(|file| (dump_id, file)));
                }
            }
            toc.session.note(&entry).map_err(|problem| problem.at(reader))?;
            toc.push(entry);
        }
        toc.entries.shrink_to_fit();
        if container.version < ArchiveVersion::V1_11 {
            toc.settle_sections();
        }
        Ok(toc)
    }

    /// Appends an entry. Its dump ID must be new.
    pub(super) fn push(&mut self, mut entry: Entry) {
        if let Some(last) = self.entries.last() {
            entry.share_texts(last);
        }
        self.by_id.insert(entry.dump_id, self.entries.len());
        self.blocks += usize::from(entry.has_data());
        self.entries.push(entry);
    }

    /// Checks that the file ends where the table of contents ends: otherwise entries beyond its count would be lost.
    /// `end` is the byte after the file's last, where that is known. In a stream more bytes may have been read
    /// already.
    pub(super) fn expect_end(&self, reader: &mut Reader, end: Option<u64>) -> Result<(), ArchiveError> {
        let is_end = match end {
            Some(end) => reader.offset() == end,
            None => reader.fill()?.is_empty(),
        };
        if is_end {
            return Ok(());
        }
        let what = "what follows the table of contents in its file";
        Err(reader.malformed(what, "something else", "the end of the file"))
    }

    /// Name of the file with an entry's data, in formats with a file for each.
    pub(super) fn file(&self, id: DumpId) -> Option<&ArchiveText> {
        self.files.get(&id)
    }

    /// Corrects the sections in archives that do not record them. There the kind alone is misleading for kinds that
    /// are younger than pg_restore's rule (policies, for example). pg_restore goes by the TOC's order. So entries
    /// behind the data are post-data, and without data so are entries behind the first post-data entry.
    fn settle_sections(&mut self) {
        let behind_data = self.entries.iter().rposition(|entry| entry.section == Section::Data);
        let first_post_data = || self.entries.iter().position(|entry| entry.section == Section::PostData);
        let Some(border) = behind_data.or_else(first_post_data) else { return };
        for entry in self.entries.iter_mut().skip(border) {
            if entry.section == Section::PreData {
                entry.section = Section::PostData;
            }
        }
    }

    /// The number of data blocks in the archive.
    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// The entries that own a data block.
    pub(super) fn with_data(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.has_data())
    }

    pub(super) fn get(&self, id: DumpId) -> Option<&Entry> {
        self.by_id.get(&id).and_then(|&index| self.entries.get(index))
    }

    /// Whether `other` lists the same entries. The offsets of their data may differ.
    pub(super) fn same_entries(&self, other: &Self) -> bool {
        let ids = |toc: &Self| toc.entries.iter().map(|entry| entry.dump_id).collect::<Vec<_>>();
        ids(self) == ids(other)
    }
}

/// pg_dump writes at least an ENCODING entry, and counts entries with a C int.
fn read_count(reader: &mut Reader) -> Result<u64, ArchiveError> {
    reader.int_within("the number of entries", 1, i64::from(i32::MAX))
}

/// Reads an entry, without the fields that only some formats have.
fn read_entry(reader: &mut Reader, version: ArchiveVersion) -> Result<Entry, ArchiveError> {
    let dump_id = read_dump_id(reader)?;
    let had_dumper = reader.int_within::<u8>("the data flag", 0, 1)? == 1;
    let catalog_id = CatalogId { table_oid: read_oid(reader)?, oid: read_oid(reader)? };
    let tag = required(reader, "the tag")?;
    let desc = required(reader, "the desc")?;
    let kind = EntryKind::from_desc(desc.as_bytes());
    let section = match version {
        v if v >= ArchiveVersion::V1_11 => read_section(reader)?,
        _ => Section::of_kind(kind),
    };
    let definition = reader.text("the definition", MAX_TEXT)?;
    let drop_statement = reader.text("the drop statement", MAX_TEXT)?;
    let copy_statement = reader.text("the copy statement", MAX_TEXT)?;
    let namespace = reader.text("the namespace", MAX_TEXT)?;
    let tablespace = reader.text("the tablespace", MAX_TEXT)?;
    let table_access_method = match version {
        v if v >= ArchiveVersion::V1_14 => reader.text("the table access method", MAX_TEXT)?,
        _ => None,
    };
    let relation_kind = match version {
        v if v >= ArchiveVersion::V1_16 => read_relation_kind(reader)?,
        _ => None,
    };
    let owner = reader.text("the owner", MAX_TEXT)?;
    let with_oids = read_with_oids(reader)?;
    let dependencies = read_dependencies(reader)?;
    Ok(Entry {
        dump_id,
        had_dumper,
        catalog_id,
        tag,
        desc,
        kind,
        section,
        definition,
        drop_statement,
        copy_statement,
        namespace,
        tablespace,
        table_access_method,
        relation_kind,
        owner,
        with_oids,
        dependencies,
        data: DataState::NoData,
    })
}

fn read_dump_id(reader: &mut Reader) -> Result<DumpId, ArchiveError> {
    let id = reader.int("the dump ID")?;
    let parsed = u32::try_from(id).ok().and_then(DumpId::new);
    parsed.ok_or_else(|| reader.malformed("the dump ID", id, "1 to 2147483647"))
}

fn required(reader: &mut Reader, what: &'static str) -> Result<ArchiveText, ArchiveError> {
    match reader.text(what, MAX_TEXT)? {
        Some(text) => Ok(text),
        None => Err(reader.malformed(what, "NULL", "a text")),
    }
}

fn read_oid(reader: &mut Reader) -> Result<Oid, ArchiveError> {
    let text = reader.text("the OID", MAX_NUMBER)?;
    match text.as_ref().and_then(decimal) {
        Some(oid) => Ok(Oid(oid)),
        None => Err(reader.malformed("the OID", shown(text.as_ref()), "a decimal number below 2^32")),
    }
}

fn read_section(reader: &mut Reader) -> Result<Section, ArchiveError> {
    Ok(match reader.int_within::<u8>("the section", 1, 4)? {
        1 => Section::None,
        2 => Section::PreData,
        3 => Section::Data,
        _ => Section::PostData,
    })
}

fn read_relation_kind(reader: &mut Reader) -> Result<Option<char>, ArchiveError> {
    let code = reader.int_within::<u8>("the relation kind", 0, 127)?;
    Ok(if code == 0 { None } else { Some(char::from(code)) })
}

fn read_with_oids(reader: &mut Reader) -> Result<bool, ArchiveError> {
    let text = reader.text("the WITH OIDS flag", MAX_NUMBER)?;
    match text.as_ref().map(ArchiveText::as_bytes) {
        Some(b"true") => Ok(true),
        Some(b"false") => Ok(false),
        _ => Err(reader.malformed("the WITH OIDS flag", shown(text.as_ref()), "\"true\" or \"false\"")),
    }
}

fn read_dependencies(reader: &mut Reader) -> Result<Vec<DumpId>, ArchiveError> {
    let mut dependencies = Vec::new();
    while let Some(text) = reader.text("the dependency", MAX_NUMBER)? {
        let Some(id) = decimal(&text).and_then(DumpId::new) else {
            return Err(reader.malformed("the dependency", shown(Some(&text)), "a dump ID"));
        };
        dependencies.push(id);
    }
    Ok(dependencies)
}

/// `_WriteExtraToc` of pg_backup_directory.c and pg_backup_tar.c: "" where there is no data.
fn read_file_name(reader: &mut Reader, had_dumper: bool) -> Result<Option<ArchiveText>, ArchiveError> {
    let file = reader.text("the data's file name", MAX_FILE_NAME)?.filter(|file| !file.is_empty());
    match (had_dumper, &file) {
        (true, None) => {
            Err(reader.malformed("the data's file name", "empty", "a name, as the entry has data"))
        }
        (false, Some(name)) => {
            let got = format_args!("\"{name}\"").to_string();
            Err(reader.malformed("the data's file name", got, "none, as the entry has no data"))
        }
        _ => Ok(file),
    }
}

/// `WriteOffset` of pg_backup_archiver.c, by `_WriteExtraToc` of pg_backup_custom.c.
fn read_data_state(reader: &mut Reader, had_dumper: bool) -> Result<DataState, ArchiveError> {
    let flag = reader.byte("the data offset's flag")?;
    let offset = reader.unsigned_offset("the data offset")?;
    let state = match flag {
        1 => DataState::NotSet,
        2 => DataState::Offset(offset),
        3 => DataState::NoData,
        other => {
            return Err(reader.malformed(
                "the data offset's flag",
                other,
                "1 (not set), 2 (set) or 3 (no data)",
            ));
        }
    };
    // pg_dump sets both from the same condition. Trusting only one of them could silently lose rows.
    match (had_dumper, state) {
        (true, DataState::NoData) => {
            Err(reader.malformed("the data offset's flag", "3 (no data)", "1 or 2, as the entry has data"))
        }
        (false, DataState::NotSet | DataState::Offset(_)) => {
            Err(reader.malformed("the data offset's flag", flag, "3 (no data), as the entry has none"))
        }
        _ => Ok(state),
    }
}

fn decimal(text: &ArchiveText) -> Option<u32> {
    let digits = text.to_str().ok()?;
    // `parse` would accept a sign.
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn shown(text: Option<&ArchiveText>) -> String {
    text.map_or_else(|| "NULL".to_owned(), |text| format!("\"{text}\""))
}
