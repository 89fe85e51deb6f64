//! The known disagreements of other readers with pgmig, and their reasons. The contents of an archive decide, so the
//! list holds for any corpus.

use super::Contents;
use pgdump_archive::copy::CopyStatement;
use pgmig_core::archive::{Archive, ArchiveVersion, Compression, Container, DataState, Entry, EntryKind};

/// A shortcoming of another reader.
pub(super) struct Disagreement {
    pub(super) reader: &'static str,
    /// The beginning of the difference.
    pub(super) begins: &'static str,
    pub(super) cause: &'static str,
    /// Whether an archive shows this shortcoming.
    is_shown_by: fn(&Archive, &Contents) -> bool,
}

/// If an archive shows several shortcomings of a reader, the first one in this list is expected.
const ALL: [Disagreement; 9] = [
    Disagreement {
        reader: "libpgdump",
        begins: "error: unsupported archive version",
        cause: "reads 1.12 and later only",
        is_shown_by: |archive, _| container(archive).version < ArchiveVersion::V1_12,
    },
    Disagreement {
        reader: "libpgdump",
        begins: "error: panic",
        cause: "shifts by more than 32 bits where integers have 8 bytes",
        is_shown_by: |archive, _| container(archive).int_size != 4,
    },
    Disagreement {
        reader: "libpgdump",
        begins: "error: invalid UTF-8",
        cause: "takes every text for UTF-8",
        is_shown_by: |archive, _| {
            let mut texts = archive.entries().iter().flat_map(Entry::texts);
            texts.any(|text| text.to_str().is_err())
        },
    },
    Disagreement {
        reader: "libpgdump",
        begins: "data: none",
        cause: "finds data by the offsets of the table of contents only, and so none in an archive that went through a pipe",
        is_shown_by: |archive, ours| has_no_offsets(archive) && !ours.data.is_empty(),
    },
    Disagreement {
        reader: "libpgdump",
        begins: "large objects: ",
        cause: "takes the 0 that ends a compressed large object for the one that ends the list, and drops the rest",
        is_shown_by: |archive, ours| {
            matches!(archive.header().compression, Compression::Gzip | Compression::Lz4)
                && ours.large_objects.as_ref().is_some_and(|objects| !objects.is_empty())
        },
    },
    Disagreement {
        reader: "pgdumpx",
        begins: "error: unsupported archive version",
        cause: "reads 1.14 to 1.16 only",
        is_shown_by: |archive, _| container(archive).version < ArchiveVersion::V1_14,
    },
    Disagreement {
        reader: "pgdumpx",
        begins: "error: unsupported archive integer size",
        cause: "reads integers of 4 bytes only",
        is_shown_by: |archive, _| container(archive).int_size != 4,
    },
    Disagreement {
        reader: "pgdumpx",
        begins: "error: TOC dump ID",
        cause: "reads data by the offsets of the table of contents only",
        is_shown_by: |archive, ours| has_no_offsets(archive) && !ours.data.is_empty(),
    },
    Disagreement {
        reader: "pgdumpx",
        begins: "error: COPY row 1 ",
        cause: "counts one field in the empty line that is the row of a table without columns",
        is_shown_by: |archive, ours| {
            archive.entries().iter().any(|entry| {
                has_no_columns(entry)
                    && ours.rows.get(&entry.dump_id.get()).is_some_and(|rows| *rows > 0)
                    && is_defined(archive, entry)
            })
        },
    },
];

/// The known shortcoming of a reader that this archive shows; `None` if the reader should agree.
pub(super) fn known(reader: &str, archive: &Archive, ours: &Contents) -> Option<&'static Disagreement> {
    ALL.iter().find(|one| one.reader == reader && (one.is_shown_by)(archive, ours))
}

fn container(archive: &Archive) -> Container {
    archive.header().container.expect("a custom archive has a container")
}

fn has_no_offsets(archive: &Archive) -> bool {
    archive.entries().iter().any(|entry| entry.data == DataState::NotSet)
}

fn has_no_columns(entry: &Entry) -> bool {
    let copy = entry.copy_statement.as_ref().and_then(|copy| copy.to_str().ok());
    copy.and_then(|copy| CopyStatement::parse(copy).ok())
        .is_some_and(|copy| copy.columns.is_none_or(|columns| columns.is_empty()))
}

/// pgdumpx needs the table's definition to find rows. An archive of data alone has no definitions.
fn is_defined(archive: &Archive, data: &Entry) -> bool {
    let is_it = |entry: &Entry| entry.tag == data.tag && entry.namespace == data.namespace;
    archive.entries().iter().any(|entry| entry.kind == EntryKind::Table && is_it(entry))
}
