//! The contents of a backup: the report of [`Backup::inspect`](super::Backup::inspect).

use crate::archive::{Archive, ArchiveText};
use crate::backup::holdings::TableHolding;
use crate::instance::Instance;
use crate::profile::SchemaVersion;
use crate::verify::LargeObjects;
use serde::Serialize;
use std::collections::HashMap;

/// The contents of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// Facts from the archive's header.
    pub archive: ArchiveFacts,
    /// The number of entries of each kind in the table of contents, the most frequent kind first.
    pub entries: Vec<KindCount>,
    /// The tables with rows in the archive, the largest first.
    pub tables: Vec<InspectedTable>,
    /// The large objects.
    pub large_objects: LargeObjects,
    /// The migration history of another tool, in words: the tool and the version it shows. `None` if there is no such
    /// history, or if it is sqlx's, which pgmig continues.
    pub other_history: Option<String>,
    /// The store in the archive; `None` if no known profile matches.
    pub store: Option<InspectedStore>,
}

/// Facts from an archive's header. Texts are unchanged, except that invalid UTF-8 is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ArchiveFacts {
    /// `custom`, `directory`, `tar` or `plain`.
    pub format: String,
    /// The version of the archive format, such as `1.14`.
    pub container_version: Option<String>,
    /// How pg_dump compressed the data: `none`, `gzip`, `lz4` or `zstd`.
    pub compression: String,
    /// How the file as a whole was compressed in addition, in the same words.
    pub file_compression: String,
    /// The size in bytes; unknown for a stream.
    pub bytes: Option<u64>,
    /// When it was made, by the clock of the machine that ran pg_dump: `2026-11-20 12:16:20`.
    pub created: Option<String>,
    /// The version of pg_dump.
    pub pg_dump_version: Option<String>,
    /// The version of the server.
    pub server_version: Option<String>,
    /// The name of the database.
    pub database: Option<String>,
    /// The encoding, by PostgreSQL's name.
    pub encoding: Option<String>,
    /// The number of entries in the table of contents.
    pub entries: usize,
}

/// The number of entries of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KindCount {
    /// The kind, by the archive's name for it: `TABLE DATA`, `INDEX` ...
    pub kind: String,
    /// The number of entries.
    pub count: u64,
}

/// A table with rows in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InspectedTable {
    /// `schema.table`, not quoted.
    pub table: String,
    /// The number of its rows.
    pub rows: u64,
    /// The bytes of its data, decompressed.
    pub data_bytes: u64,
    /// The bytes of its data in the archive; unknown for a stream.
    pub archive_bytes: Option<u64>,
}

/// The store in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InspectedStore {
    /// The name of its profile.
    pub profile: String,
    /// The version of its schema, and the releases with that version; `None` if pgmig cannot read a migration
    /// history.
    pub schema: Option<SchemaVersion>,
    /// The migrations that were applied to it, oldest first.
    pub migrations: Vec<InspectedMigration>,
    /// Its instances, in the order of their rows.
    pub instances: Vec<InspectedInstance>,
}

/// A migration that was applied to a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InspectedMigration {
    /// The migration's version.
    pub version: i64,
    /// The migration's description.
    pub description: String,
    /// False if it was running, or had failed half way, when the backup was made.
    pub finished: bool,
}

/// An instance of the store, and how many rows it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InspectedInstance {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    /// The tables with rows in which its ID or an alias occurs. `None` for a stream: most rows have already passed
    /// when its instances are known.
    pub tables: Option<Vec<TableHolding>>,
}

impl InspectedInstance {
    /// The number of rows in all tables in which it occurs.
    pub fn rows(&self) -> Option<u64> {
        Some(self.tables.as_ref()?.iter().map(|table| table.rows).sum())
    }
}

impl ArchiveFacts {
    /// Reads the facts of an archive, but no data.
    pub fn of(archive: &Archive) -> Self {
        let header = archive.header();
        let text = |text: &Option<ArchiveText>| {
            Some(String::from_utf8_lossy(text.as_ref()?.as_bytes()).into_owned())
        };
        Self {
            format: header.format.to_string(),
            container_version: header.container.map(|container| container.version.to_string()),
            compression: header.compression.to_string(),
            file_compression: header.wrapper.to_string(),
            bytes: archive.size(),
            created: header.created.map(|created| created.to_string()),
            pg_dump_version: text(&header.dump_version),
            server_version: text(&header.server_version),
            database: text(&header.database),
            encoding: archive.encoding().map(ToOwned::to_owned),
            entries: archive.entries().len(),
        }
    }
}

impl KindCount {
    /// Counts the entries of an archive by kind, the most frequent kind first.
    pub fn of(archive: &Archive) -> Vec<Self> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for entry in archive.entries() {
            *counts.entry(entry.desc.to_string()).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().map(|(kind, count)| Self { kind, count }).collect();
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind)));
        counts
    }
}
