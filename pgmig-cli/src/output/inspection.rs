//! What is in a backup, for people.

use super::{bytes, count, label, len, plural};
use crate::table::{Align, Table, printable};
use pgmig_core::backup::{ArchiveFacts, InspectedStore, Inspection};
use std::fmt::Write as _;

/// How many tables are shown: the largest.
const TABLES: usize = 20;

/// Everything that was found out.
pub(crate) fn text(inspection: &Inspection) -> String {
    let mut text = facts(&inspection.archive);
    match &inspection.store {
        Some(store) => text += &of_store(store),
        None => text += "store        none that is known\n",
    }
    if let Some(other) = &inspection.other_history {
        let _ = writeln!(text, "migrations   {}", printable(other));
    }
    if let Some(store) = &inspection.store {
        section(&mut text, "Instances", &instances(store));
    }
    let all: u64 = inspection.tables.iter().map(|table| table.rows).sum();
    if !inspection.tables.is_empty() {
        let of = plural(len(&inspection.tables), "table");
        let shown = if inspection.tables.len() > TABLES { ", the largest" } else { "" };
        section(&mut text, &format!("Tables ({of}, {}{shown})", plural(all, "row")), &tables(inspection));
    }
    if inspection.large_objects.count > 0 {
        let objects = plural(inspection.large_objects.count, "large object");
        let _ = writeln!(text, "\n{objects} ({})", bytes(inspection.large_objects.data_bytes));
    }
    section(&mut text, "Entries", &entries(inspection));
    // Last, because it is long.
    if let Some(store) = &inspection.store {
        section(&mut text, "Rows by instance", &holdings(store));
    }
    text
}

fn facts(archive: &ArchiveFacts) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<12} {}", printable(value));
    };
    let version = archive.container_version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let size = archive.bytes.map(|size| format!(", {}", bytes(size))).unwrap_or_default();
    let file = match archive.file_compression.as_str() {
        "none" => String::new(),
        codec => format!(", in a {codec} file"),
    };
    line("format", &format!("{}{version}, compression {}{file}{size}", archive.format, archive.compression));
    let optional = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    line("made", &optional(&archive.created));
    line("by pg_dump", &optional(&archive.pg_dump_version));
    line("from server", &optional(&archive.server_version));
    line("database", &optional(&archive.database));
    line("encoding", &optional(&archive.encoding));
    text
}

fn of_store(store: &InspectedStore) -> String {
    let mut text = format!("store        profile {}", printable(&store.profile));
    match &store.schema {
        Some(schema) => {
            let _ = write!(text, ", {schema}");
        }
        None => text += ", without a migration history of pgmig's (sqlx's)",
    }
    for migration in store.migrations.iter().filter(|migration| !migration.finished) {
        let description = printable(&migration.description);
        let _ = write!(text, "; migration {} ({description}) was not finished", migration.version);
    }
    text.push('\n');
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

fn section(text: &mut String, title: &str, table: &Table) {
    if !table.is_empty() {
        let _ = write!(text, "\n{title}\n{}", table.render());
    }
}
