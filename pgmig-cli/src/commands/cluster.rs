//! Shows what is in a directory of pg_dumpall. Global objects are named only: their statements hold verifiers of passwords.

use crate::args::{Args, OutputFormat};
use crate::failure::Usage;
use crate::output::{self, Text};
use crate::table::{Align, Table};
use anyhow::Result;
use pgmig_core::Error;
use pgmig_core::archive::{ClusterDump, DumpedDatabase, Entry, EntryKind};
use pgmig_core::backup::Source;
use serde::Serialize;
use std::path::Path;

/// The document of `--output json`.
#[derive(Debug, Serialize)]
struct Cluster {
    databases: Vec<Database>,
    /// What all databases share: roles, tablespaces. They are never restored.
    globals: Vec<Global>,
}

#[derive(Debug, Serialize)]
struct Database {
    name: String,
    oid: u32,
    archive: String,
}

#[derive(Debug, Serialize)]
struct Global {
    kind: String,
    name: String,
}

/// Prints the databases and the global objects.
pub(crate) fn print(args: &Args, directory: &Path) -> Result<()> {
    let cluster = Cluster::read(directory)?;
    match args.output {
        OutputFormat::Json => output::print_document("cluster", &cluster),
        OutputFormat::Text => output::print(&cluster.text(directory)),
    }
}

/// The archive of a database in a directory of pg_dumpall.
pub(crate) fn database_of(directory: &Path, name: &str) -> Result<Source> {
    if !ClusterDump::is_at(directory) {
        let text = format!(
            "--source-database chooses from a directory of pg_dumpall, and {} is none",
            directory.display()
        );
        return Err(Usage::new(text).into());
    }
    let cluster = ClusterDump::open(directory).map_err(Error::from)?;
    Ok(Source::File(cluster.database(name).map_err(Error::from)?.path.clone()))
}

impl Cluster {
    fn read(directory: &Path) -> Result<Self, Error> {
        let dump = ClusterDump::open(directory)?;
        let database = |database: &DumpedDatabase| Database {
            name: database.name.clone(),
            oid: database.oid.0,
            archive: database.path.display().to_string(),
        };
        let is_object = |entry: &&Entry| {
            !matches!(entry.kind, EntryKind::Encoding | EntryKind::StdStrings | EntryKind::SearchPath)
        };
        let global = |entry: &Entry| Global { kind: entry.desc.to_string(), name: entry.tag.to_string() };
        let globals = dump.globals()?;
        let globals = globals.iter().flat_map(|archive| archive.entries()).filter(is_object).map(global);
        Ok(Self { databases: dump.databases().iter().map(database).collect(), globals: globals.collect() })
    }

    fn text(&self, directory: &Path) -> Text {
        let mut text = Text::of(format!("{}: a directory of pg_dumpall", directory.display()));
        let mut databases =
            Table::new(&[("database", Align::Left), ("OID", Align::Right), ("archive", Align::Left)]);
        for database in &self.databases {
            databases.row([database.name.clone(), database.oid.to_string(), database.archive.clone()]);
        }
        text.section("Databases", &databases);
        let mut globals = Table::new(&[("kind", Align::Left), ("name", Align::Left)]);
        for global in &self.globals {
            globals.row([global.kind.clone(), global.name.clone()]);
        }
        text.section("Shared by all databases, and never restored", &globals);
        text.line("");
        text.line("Restore one database with --source-database NAME.");
        text
    }
}
