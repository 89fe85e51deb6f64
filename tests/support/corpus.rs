//! A corpus of archives: their files, and the archives among them that hold a whole database.

use super::fixture::repository;
use pgmig_core::archive::{Archive, ArchiveError, Entry, EntryKind, Section};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Directories whose archives are broken on purpose.
const DAMAGED: [&str; 2] = ["damaged", "malformed"];

/// The extensions of archives' names.
const SUFFIXES: [&str; 3] = [".dump", ".tar.gz", ".sql.gz"];

/// Entries that set up a session or describe the database. Even a dump of a part has them.
const OF_NO_PART: [EntryKind; 5] = [
    EntryKind::Encoding,
    EntryKind::StdStrings,
    EntryKind::SearchPath,
    EntryKind::Database,
    EntryKind::DatabaseProperties,
];

/// The contents of an archive.
#[derive(Debug)]
pub(crate) enum Contents {
    /// A whole database, or all of its definitions.
    Full,
    /// A part of a database, with the missing kind of entry.
    Partial(String),
    /// An archive that only a newer server can restore, with the reason.
    Newer(String),
    /// Not an archive in custom format, or a damaged one.
    Unreadable(ArchiveError),
}

/// The archives that `make test-corpus` restores: those below `PGMIG_CORPUS`, otherwise the fixtures.
pub(crate) fn directory() -> PathBuf {
    std::env::var_os("PGMIG_CORPUS").map_or_else(|| repository().join("fixtures"), PathBuf::from)
}

/// Every archive below a directory (custom archives, packed directories, tars, packed scripts), sorted by path.
/// Archives of reports are left out, because they have tests of their own.
#[track_caller]
pub(crate) fn archives(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(directory, &mut found);
    found.sort();
    found
}

#[track_caller]
fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    let entries = directory.read_dir().unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("a directory can be listed").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !is_damaged(&path) && !path.ends_with("fixtures/reports") {
            collect(&path, found);
        } else if path.is_file()
            && SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
            && !is_rendering(&path)
        {
            found.push(path);
        }
    }
}

/// Whether the archives of a directory are broken on purpose.
pub(crate) fn is_damaged(directory: &Path) -> bool {
    DAMAGED.iter().any(|name| directory.ends_with(name))
}

/// The results of pg_restore for other archives, for comparison.
fn is_rendering(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(".dump.sql.gz"))
        || path.parent().is_some_and(|directory| directory.ends_with("expect"))
}

/// A custom archive of the same database: the archive itself, or one beside it that the same pg_dump wrote.
pub(crate) fn custom_of_the_same(archive: &Path) -> Option<PathBuf> {
    let name = archive.file_name()?.to_str()?;
    if name.ends_with(".dump") {
        return Some(archive.to_owned());
    }
    // `15_dir_gz.tar.gz` among the fixtures, `dir_gz.tar.gz` in a directory of the version elsewhere.
    let version = name.split_once('_').map(|(version, _)| version);
    let prefix = version.filter(|version| version.starts_with(|c: char| c.is_ascii_digit()));
    let prefix = prefix.map(|version| format!("{version}_")).unwrap_or_default();
    let names = ["file_gz", "pipe_gz", "file_lz4", "part_root"];
    let mut candidates = names.iter().map(|name| archive.with_file_name(format!("{prefix}{name}.dump")));
    candidates.find(|candidate| candidate.exists())
}

/// Whether pgmig can read an archive from standard input. Only a packed directory cannot be read, because its `toc.dat`
/// comes last.
pub(crate) fn can_be_a_stream(archive: &Path) -> bool {
    let name = archive.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    !name.contains("dir_")
}

impl Contents {
    /// The contents of the archive at `path`, as a server of this major version sees them.
    pub(crate) fn of(path: &Path, server: u32) -> Self {
        let archive = match Archive::open(path) {
            Ok(archive) => archive,
            Err(error) => return Self::Unreadable(error),
        };
        let header = archive.header();
        for (what, version) in [("pg_dump", &header.dump_version), ("server", &header.server_version)] {
            let version = version.as_ref().map(ToString::to_string).unwrap_or_default();
            if major(&version) > server {
                return Self::Newer(format!("made by {what} {version}, newer than this server"));
            }
        }
        match missing(archive.entries()) {
            Some(missing) => Self::Partial(missing),
            None => Self::Full,
        }
    }
}

/// 15 of `15.18 (Debian 15.18-0+deb12u1)`, 9 of `9.5.25`.
fn major(version: &str) -> u32 {
    let digits = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or_else(|_| panic!("{version:?} is no version"))
}

/// The reason why the entries are not a whole database: the first missing entry that another entry needs.
fn missing(entries: &[Entry]) -> Option<String> {
    let name = |entry: &Entry| {
        let schema = entry.namespace.as_ref().map(ToString::to_string).unwrap_or_default();
        (schema, entry.tag.to_string())
    };
    let of = |kind: EntryKind| entries.iter().filter(move |entry| entry.kind == kind);
    let tables: HashSet<_> = of(EntryKind::Table).map(name).collect();
    if let Some(orphan) = of(EntryKind::TableData).map(name).find(|table| !tables.contains(table)) {
        return Some(format!("rows of {}.{} without the table", orphan.0, orphan.1));
    }
    let defines = |entry: &&Entry| entry.section == Section::PreData && !OF_NO_PART.contains(&entry.kind);
    let needs = |entry: &&Entry| entry.section == Section::PostData || entry.kind == EntryKind::SequenceSet;
    if !entries.iter().any(|entry| defines(&entry))
        && let Some(entry) = entries.iter().find(needs)
    {
        return Some(format!("{} without any definition", entry.label()));
    }
    // An extension may create a schema, but no extension of the corpus does.
    let schemas: HashSet<_> = of(EntryKind::Schema).map(|entry| entry.tag.to_string()).collect();
    let is_there = |schema: &str| matches!(schema, "" | "public" | "pg_catalog") || schemas.contains(schema);
    let relations = of(EntryKind::Table).chain(of(EntryKind::View)).chain(of(EntryKind::Sequence));
    let homeless = relations.map(name).find(|(schema, _)| !is_there(schema));
    homeless.map(|(schema, relation)| format!("{schema}.{relation} without its schema"))
}
