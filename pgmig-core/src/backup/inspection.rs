//! What is in a backup: the report of [`Backup::inspect`](super::Backup::inspect).

use crate::archive::{Archive, ArchiveText};
use crate::backup::holdings::TableHolding;
use crate::instance::Instance;
use crate::profile::SchemaVersion;
use crate::verify::LargeObjects;
use serde::Serialize;
use std::collections::HashMap;

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// What the archive says of itself.
    pub archive: ArchiveFacts,
    /// How many entries of each kind the table of contents has, most first.
    pub entries: Vec<KindCount>,
    /// The tables whose rows are in it, largest first.
    pub tables: Vec<InspectedTable>,
    /// The large objects.
    pub large_objects: LargeObjects,
    /// The migration history of another tool, in words: whose it is and which version it tells. `None` if there is none,
    /// or one of pgmig's.
    pub other_history: Option<String>,
    /// The store that is in it; `None` if it is none that is known.
    pub store: Option<InspectedStore>,
}

/// What an archive says of itself. Texts are as they are in it, with what is not UTF-8 replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ArchiveFacts {
    /// `custom`, `directory`, `tar` or `plain`.
    pub format: String,
    /// The container's version, such as `1.14`.
    pub container_version: Option<String>,
    /// How pg_dump compressed the data: `none`, `gzip`, `lz4` or `zstd`.
    pub compression: String,
    /// How the whole file was compressed on top of that, in the same words.
    pub file_compression: String,
    /// Size in bytes; unknown for a stream.
    pub bytes: Option<u64>,
    /// When it was made, by the clock of the machine that pg_dump ran on: `2026-11-20 12:16:20`.
    pub created: Option<String>,
    /// The version of pg_dump.
    pub pg_dump_version: Option<String>,
    /// The version of the server.
    pub server_version: Option<String>,
    /// The name of the database.
    pub database: Option<String>,
    /// The encoding, by PostgreSQL's name.
    pub encoding: Option<String>,
    /// Entries of the table of contents.
    pub entries: usize,
}

/// How many entries are of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// As the archive says it: `TABLE DATA`, `INDEX` ...
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// A table whose rows are in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InspectedTable {
    /// `schema.table`, not quoted.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its data, unpacked.
    pub data_bytes: u64,
    /// Bytes that they take in the archive; unknown for a stream.
    pub archive_bytes: Option<u64>,
}

/// The store in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InspectedStore {
    /// The name of its profile.
    pub profile: String,
    /// The version of its schema, and the releases that have it; `None` without a migration history that can be read.
    pub schema: Option<SchemaVersion>,
    /// The migrations that it has had, oldest first.
    pub migrations: Vec<InspectedMigration>,
    /// Its instances, in the order of their rows.
    pub instances: Vec<InspectedInstance>,
}

/// A migration that a store has had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InspectedMigration {
    /// Its version.
    pub version: i64,
    /// Its description.
    pub description: String,
    /// False if it was under way, or had failed half way, when the backup was taken.
    pub finished: bool,
}

/// An instance of the store, and how much of it there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InspectedInstance {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    /// The tables with rows in which its ID or an alias occurs. `None` for a stream: when its instances are known, most
    /// rows have gone by.
    pub tables: Option<Vec<TableHolding>>,
}

impl InspectedInstance {
    /// The rows of all tables in which it occurs.
    pub fn rows(&self) -> Option<u64> {
        Some(self.tables.as_ref()?.iter().map(|table| table.rows).sum())
    }
}

impl ArchiveFacts {
    /// The facts of an archive; reads no data.
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
    /// The entries of an archive by kind, most first.
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
