//! Other readers (libpgdump, pgdumpx, pg_restore) find the same in an archive as pgmig, entry by entry and byte by
//! byte. [`disagreements`] lists the exceptions with their reasons. The test fails if an exception no longer occurs.

#![allow(clippy::print_stdout, reason = "how much was compared is told")]

mod disagreements;

use crate::support::corpus::{archives, directory};
use crate::support::server::Server;
use pgdump_archive::copy::{EndMarker, RowSplitter};
use pgmig_core::archive::{Archive, ArchiveError, Block, Entry, EntryKind, Section};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The contents of an archive, as a reader finds them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Contents {
    /// The entries in the archive's order, with all fields that the reader returns.
    entries: Vec<String>,
    /// The data of each entry, unpacked, by dump ID.
    data: BTreeMap<u32, Vec<u8>>,
    /// The rows of each table whose data is a COPY stream, by dump ID.
    rows: BTreeMap<u32, u64>,
    /// The large objects by OID; `None` if the reader does not return them.
    large_objects: Option<BTreeMap<u32, Vec<u8>>>,
}

/// The fields of an entry, in an order that all readers share.
struct Fields<'a> {
    id: u32,
    table_oid: String,
    oid: String,
    section: &'static str,
    dependencies: Vec<u32>,
    texts: [Option<&'a [u8]>; 8],
}

impl Fields<'_> {
    fn line(self) -> String {
        let texts = self.texts.map(|text| text.map(|text| text.escape_ascii().to_string()));
        format!(
            "{} {} {} {} {:?} {texts:?}",
            self.id, self.table_oid, self.oid, self.section, self.dependencies
        )
    }
}

fn ours(archive: &Archive) -> Result<Contents, ArchiveError> {
    let mut contents = Contents { large_objects: Some(BTreeMap::new()), ..Contents::default() };
    for entry in archive.entries() {
        contents.entries.push(our_line(entry));
        if !entry.has_data() {
            continue;
        }
        let id = entry.dump_id.get();
        match archive.block(entry.dump_id)? {
            Block::Data(mut reader) => {
                let mut data = Vec::new();
                while reader.read_into(&mut data, 64 * 1024)? > 0 {}
                if entry.kind == EntryKind::TableData
                    && entry.copy_statement.as_ref().is_some_and(|c| !c.is_empty())
                {
                    let mut splitter = RowSplitter::new(EndMarker::Required);
                    let rows = splitter.push(&data, &mut Vec::new()).expect("the rows are sound");
                    contents.rows.insert(id, rows);
                }
                contents.data.insert(id, data);
            }
            Block::LargeObjects(mut objects) => {
                while let Some(oid) = objects.next_object()? {
                    let mut data = Vec::new();
                    while objects.read_into(&mut data, 64 * 1024)? > 0 {}
                    contents.large_objects.as_mut().expect("ours has some").insert(oid.0, data);
                }
            }
        }
    }
    Ok(contents)
}

fn our_line(entry: &Entry) -> String {
    let bytes = |text: &'_ Option<pgmig_core::archive::ArchiveText>| {
        text.as_ref().map(|text| text.as_bytes().to_vec())
    };
    let optional = [
        bytes(&entry.definition),
        bytes(&entry.drop_statement),
        bytes(&entry.copy_statement),
        bytes(&entry.namespace),
        bytes(&entry.tablespace),
        bytes(&entry.owner),
    ];
    let [definition, drop, copy, namespace, tablespace, owner] = &optional;
    Fields {
        id: entry.dump_id.get(),
        table_oid: entry.catalog_id.table_oid.to_string(),
        oid: entry.catalog_id.oid.to_string(),
        section: match entry.section {
            Section::None => "none",
            Section::PreData => "pre-data",
            Section::Data => "data",
            Section::PostData => "post-data",
        },
        dependencies: entry.dependencies.iter().map(|id| id.get()).collect(),
        texts: [
            Some(entry.tag.as_bytes()),
            Some(entry.desc.as_bytes()),
            definition.as_deref(),
            drop.as_deref(),
            copy.as_deref(),
            namespace.as_deref(),
            tablespace.as_deref(),
            owner.as_deref(),
        ],
    }
    .line()
}

fn libpgdump(path: &Path) -> Result<Contents, String> {
    let dump = libpgdump::load(path).map_err(|error| error.to_string())?;
    let mut contents = Contents::default();
    for entry in dump.entries() {
        let desc = entry.desc.as_str();
        let fields = Fields {
            id: entry.dump_id.unsigned_abs(),
            table_oid: entry.table_oid.clone(),
            oid: entry.oid.clone(),
            section: match entry.section {
                libpgdump::Section::None => "none",
                libpgdump::Section::PreData => "pre-data",
                libpgdump::Section::Data => "data",
                libpgdump::Section::PostData => "post-data",
            },
            dependencies: entry.dependencies.iter().map(|id| id.unsigned_abs()).collect(),
            texts: [
                entry.tag.as_deref(),
                Some(desc),
                entry.defn.as_deref(),
                entry.drop_stmt.as_deref(),
                entry.copy_stmt.as_deref(),
                entry.namespace.as_deref(),
                entry.tablespace.as_deref(),
                entry.owner.as_deref(),
            ]
            .map(|text| text.map(str::as_bytes)),
        };
        contents.entries.push(fields.line());
        if let Some(data) = dump.entry_data(entry.dump_id) {
            contents.data.insert(entry.dump_id.unsigned_abs(), data.to_vec());
        }
    }
    let objects = dump.blobs().into_iter().map(|(oid, data)| (oid.cast_unsigned(), data.to_vec()));
    contents.large_objects = Some(objects.collect());
    Ok(contents)
}

fn pgdumpx(path: &Path) -> Result<Contents, String> {
    use pgdumpx::{EntryReadLimits, Section};
    let said = |error: pgdumpx::PgDumpError| error.to_string();
    let mut archive = pgdumpx::Archive::open_path(path).map_err(said)?;
    let mut contents = Contents::default();
    let entries = archive.entries().to_vec();
    for entry in &entries {
        let id = entry.id().as_i32().unsigned_abs();
        fn bytes(text: Option<&pgdumpx::ArchiveString>) -> Option<&[u8]> {
            text.map(|text| text.as_bytes())
        }
        let fields = Fields {
            id,
            table_oid: String::from_utf8_lossy(entry.catalog_table_oid().as_bytes()).into_owned(),
            oid: String::from_utf8_lossy(entry.catalog_oid().as_bytes()).into_owned(),
            section: match entry.section() {
                Section::None => "none",
                Section::PreData => "pre-data",
                Section::Data => "data",
                Section::PostData => "post-data",
                _ => "another",
            },
            dependencies: entry.dependencies().iter().map(|id| id.as_i32().unsigned_abs()).collect(),
            texts: [
                Some(entry.name_bytes()),
                Some(entry.description_bytes()),
                bytes(entry.definition()),
                bytes(entry.drop_statement()),
                bytes(entry.copy_statement()),
                entry.namespace_bytes(),
                bytes(entry.tablespace()),
                entry.owner_bytes(),
            ],
        };
        contents.entries.push(fields.line());
        if entry.description_bytes() != b"TABLE DATA" {
            continue;
        }
        let mut data = Vec::new();
        archive.copy_entry_to(entry.id(), &mut data, EntryReadLimits::unlimited()).map_err(said)?;
        contents.data.insert(id, data);
        let is_copy = entry.copy_statement().is_some_and(|copy| !copy.as_bytes().is_empty());
        let schema = entry.namespace_bytes().unwrap_or_default();
        // This reader needs the table's definition to find rows. An archive of data alone has no definitions.
        if is_copy && archive.table(schema, entry.name_bytes()).is_some() {
            let mut reader = archive.table_rows(schema, entry.name_bytes()).map_err(said)?;
            let mut rows = 0;
            while reader.next_row().map_err(said)?.is_some() {
                rows += 1;
            }
            contents.rows.insert(id, rows);
        }
    }
    Ok(contents)
}

type Read = fn(&Path) -> Result<Contents, String>;

/// The first difference, if there is one. Fields that a reader does not return are not compared.
fn difference(ours: &Contents, theirs: &Result<Contents, String>) -> Option<String> {
    let theirs = match theirs {
        Ok(theirs) => theirs,
        Err(error) => return Some(format!("error: {error}")),
    };
    if ours.entries.len() != theirs.entries.len() {
        return Some(format!("entries: {} and {}", ours.entries.len(), theirs.entries.len()));
    }
    if let Some((ours, theirs)) = ours.entries.iter().zip(&theirs.entries).find(|(a, b)| a != b) {
        return Some(format!("entry: {ours} and {theirs}"));
    }
    for (id, data) in &theirs.data {
        if ours.data.get(id) != Some(data) {
            return Some(format!("data: of {id}"));
        }
    }
    if theirs.data.is_empty() && !ours.data.is_empty() {
        return Some("data: none".to_owned());
    }
    for (id, rows) in &theirs.rows {
        if ours.rows.get(id) != Some(rows) {
            return Some(format!("rows: {rows} of {id}"));
        }
    }
    let objects = theirs.large_objects.as_ref()?;
    (ours.large_objects.as_ref() != Some(objects)).then(|| format!("large objects: {}", objects.len()))
}

#[test]
fn other_readers_agree_or_it_is_known_why_not() {
    let (mut agree, mut known, mut wrong) = (0, 0, Vec::new());
    for path in custom_archives() {
        let name = path.display();
        let archive = Archive::open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let ours = ours(&archive).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (reader, read) in [("libpgdump", libpgdump as Read), ("pgdumpx", pgdumpx)] {
            let theirs = std::panic::catch_unwind(|| read(&path)).unwrap_or_else(|_| Err("panic".to_owned()));
            let found = difference(&ours, &theirs);
            match (&found, disagreements::known(reader, &archive, &ours)) {
                (None, None) => agree += 1,
                (Some(found), Some(expected)) if found.starts_with(expected.begins) => {
                    println!("{name}: {reader} {}", expected.cause);
                    known += 1;
                }
                (found, expected) => {
                    let found = found.as_deref().unwrap_or("nothing").chars().take(400).collect::<String>();
                    let expected = expected.map_or("nothing", |expected| expected.begins);
                    wrong.push(format!("{name}: {reader}: {found} differs, and {expected} should"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
    println!("{agree} agree, {known} do not, as is known");
    assert!(agree > 0);
}

/// The archives of the custom format. The other readers do not read other formats.
fn custom_archives() -> impl Iterator<Item = PathBuf> {
    archives(&directory())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "dump"))
}

/// The output of `pg_restore --list` of this server's version, if it can read the archive.
#[test]
fn pg_restore_lists_the_same() {
    let server = Server::of_this_run();
    let (mut compared, mut unread) = (0, 0);
    for path in custom_archives() {
        let output = server.program("pg_restore").env("TZ", "UTC").arg("--list").arg(&path).output().unwrap();
        let archive = Archive::open(&path).unwrap();
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(stderr.contains("unsupported version"), "{}: {stderr}", path.display());
            unread += 1;
            continue;
        }
        let theirs = String::from_utf8_lossy(&output.stdout).into_owned();
        let ours = archive.listing().to_string();
        // pg_restore 16 and later name the compression of older archives, too. pg_restore 15 and older print the level.
        let differs = ["; Archive created at", ";     Compression: "];
        let lines = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !differs.iter().any(|start| line.starts_with(start)));
            lines.map(ToOwned::to_owned).collect()
        };
        assert_eq!(lines(&ours), lines(&theirs), "{}", path.display());
        compared += 1;
    }
    println!("{compared} compared, {unread} newer than this pg_restore");
    assert!(compared > 0);
}
