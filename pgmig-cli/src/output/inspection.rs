//! Prints the contents of a backup for people.

use super::{Text, bytes, count, label, len, plural};
use crate::table::{Align, Table};
use pgmig_core::backup::{ArchiveFacts, InspectedStore, Inspection};
use std::fmt::Write as _;

/// The number of tables that are shown, the largest first.
const TABLES: usize = 20;

/// Prints the whole inspection.
pub(crate) fn text(inspection: &Inspection) -> Text {
    let mut text = Text::new();
    facts(&mut text, &inspection.archive);
    fact(&mut text, "store", &inspection.store.as_ref().map_or("none that is known".to_owned(), of_store));
    if let Some(other) = &inspection.other_history {
        fact(&mut text, "migrations", other);
    }
    if let Some(store) = &inspection.store {
        text.section("Instances", &instances(store));
    }
    let all: u64 = inspection.tables.iter().map(|table| table.rows).sum();
    let of = plural(len(&inspection.tables), "table");
    let shown = if inspection.tables.len() > TABLES { ", the largest" } else { "" };
    text.section(&format!("Tables ({of}, {}{shown})", plural(all, "row")), &tables(inspection));
    if inspection.large_objects.count > 0 {
        let objects = plural(inspection.large_objects.count, "large object");
        text.title(&format!("{objects} ({})", bytes(inspection.large_objects.data_bytes)));
    }
    text.section("Entries", &entries(inspection));
    // The list comes last, because it is long.
    if let Some(store) = &inspection.store {
        text.section("Rows by instance", &holdings(store));
    }
    text
}

fn fact(text: &mut Text, name: &str, value: &str) {
    text.line(format!("{name:<12} {value}"));
}

fn facts(text: &mut Text, archive: &ArchiveFacts) {
    let version = archive.container_version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let size = archive.bytes.map(|size| format!(", {}", bytes(size))).unwrap_or_default();
    let file = match archive.file_compression.as_str() {
        "none" => String::new(),
        codec => format!(", in a {codec} file"),
    };
    let format = format!("{}{version}, compression {}{file}{size}", archive.format, archive.compression);
    fact(text, "format", &format);
    let mut optional = |name: &str, value: &Option<String>| {
        fact(text, name, value.as_deref().unwrap_or("unknown"));
    };
    optional("made", &archive.created);
    optional("by pg_dump", &archive.pg_dump_version);
    optional("from server", &archive.server_version);
    optional("database", &archive.database);
    optional("encoding", &archive.encoding);
}

fn of_store(store: &InspectedStore) -> String {
    let mut text = format!("profile {}", store.profile);
    match &store.schema {
        Some(schema) => {
            let _ = write!(text, ", {schema}");
        }
        None => text += ", without a migration history of pgmig's (sqlx's)",
    }
    for migration in store.migrations.iter().filter(|migration| !migration.finished) {
        let _ =
            write!(text, "; migration {} ({}) was not finished", migration.version, migration.description);
    }
    text
}

fn instances(store: &InspectedStore) -> Table {
    let columns =
        [("instance", Align::Left), ("region", Align::Left), ("rows", Align::Right), ("name", Align::Left)];
    let mut table = Table::new(&columns);
    for inspected in &store.instances {
        let instance = &inspected.instance;
        let rows = inspected.rows().map_or_else(|| "-".to_owned(), count);
        let region = instance.region.clone().unwrap_or_default();
        table.row([instance.id.to_string(), region, rows, label(instance)]);
    }
    table
}

fn holdings(store: &InspectedStore) -> Table {
    let columns = [("instance", Align::Left), ("rows", Align::Right), ("table", Align::Left)];
    let mut table = Table::new(&columns);
    for inspected in &store.instances {
        for held in inspected.tables.iter().flatten() {
            table.row([inspected.instance.id.to_string(), count(held.rows), held.table.clone()]);
        }
    }
    table
}

fn tables(inspection: &Inspection) -> Table {
    let columns = [
        ("rows", Align::Right),
        ("bytes", Align::Right),
        ("in the archive", Align::Right),
        ("table", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for inspected in inspection.tables.iter().take(TABLES) {
        let stored = inspected.archive_bytes.map_or_else(|| "-".to_owned(), bytes);
        table.row([count(inspected.rows), bytes(inspected.data_bytes), stored, inspected.table.clone()]);
    }
    table
}

fn entries(inspection: &Inspection) -> Table {
    let mut table = Table::new(&[("count", Align::Right), ("kind", Align::Left)]);
    for kind in &inspection.entries {
        table.row([count(kind.count), kind.kind.clone()]);
    }
    table
}
