//! `pgmig inspect --report DIR`: what a backup holds, and what of it is large.

use super::html::Html;
use super::page::{MOST_ROWS, STYLE, card, footer, more, percent, row, tiles, wide_table, with_bar};
use super::{Folder, Version, sha256};
use crate::output::{bytes, count, label, len, noun, plural};
use anyhow::Result;
use pgmig_core::backup::{InspectedStore, InspectedTable, Inspection};
use serde::Serialize;
use std::path::Path;

/// The report.
#[derive(Debug, Serialize)]
pub(crate) struct InspectionReport {
    pgmig: Version,
    file: String,
    /// `None` for a directory, or for standard input.
    archive_sha256: Option<String>,
    inspection: Inspection,
}

impl InspectionReport {
    /// The report about this file. Reads the file again.
    pub(crate) fn of(file: &Path, inspection: Inspection) -> Self {
        Self {
            pgmig: Version::of_this_build(),
            file: file.display().to_string(),
            archive_sha256: sha256(file),
            inspection,
        }
    }

    /// Writes both files.
    ///
    /// # Errors
    ///
    /// A file cannot be written.
    pub(crate) fn write(&self, folder: &Folder) -> Result<()> {
        folder.write("report_inspect", self, &self.page())
    }

    fn page(&self) -> String {
        let title = format!("Backup {}", self.file);
        let mut body = Html::of("h1", "", &title);
        body.push(&tiles(&self.figures()));
        body.push(&Html::element("div", "facts", &card("Backup", &self.facts())));
        body.push(&self.tables());
        if let Some(store) = &self.inspection.store {
            body.push(&instances(store));
        }
        body.push(&self.entries());
        body.push(&footer(&self.pgmig));
        Html::page(&title, STYLE, &body)
    }

    fn figures(&self) -> Vec<(String, String)> {
        let Inspection { tables, large_objects, store, .. } = &self.inspection;
        let rows: u64 = tables.iter().map(|table| table.rows).sum();
        let size: u64 = tables.iter().map(|table| table.data_bytes).sum();
        let instances = store.as_ref().map_or(0, |store| len(&store.instances));
        vec![
            (count(rows), format!("{} in {}", noun(rows, "row"), plural(len(tables), "table"))),
            (bytes(size), "of rows".to_owned()),
            (
                count(large_objects.count),
                format!("{}, {}", noun(large_objects.count, "large object"), bytes(large_objects.data_bytes)),
            ),
            (count(instances), noun(instances, "instance")),
        ]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let archive = &self.inspection.archive;
        let mut facts = vec![("file", self.file.clone())];
        facts.extend(archive.bytes.map(|size| ("size", format!("{} ({} bytes)", bytes(size), count(size)))));
        facts.extend(self.archive_sha256.clone().map(|hash| ("SHA-256", hash)));
        let version =
            archive.container_version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let entries = plural(archive.entries as u64, "entry");
        facts.push((
            "format",
            format!("{}{version}, compression {}, {entries}", archive.format, archive.compression),
        ));
        for (name, value) in [
            ("made", &archive.created),
            ("by pg_dump", &archive.pg_dump_version),
            ("from server", &archive.server_version),
            ("database", &archive.database),
            ("encoding", &archive.encoding),
            ("other migrations", &self.inspection.other_history),
        ] {
            facts.extend(value.clone().map(|value| (name, value)));
        }
        if let Some(store) = &self.inspection.store {
            facts.push(("profile", store.profile.clone()));
            facts.extend(store.schema.as_ref().map(|schema| ("schema", schema.to_string())));
        }
        facts
    }

    /// The tables, each with a bar for its part of the rows' bytes.
    fn tables(&self) -> Html {
        let tables = &self.inspection.tables;
        let largest = tables.iter().map(|table| table.data_bytes).max().unwrap_or_default();
        let heads = [
            ("", "table"),
            ("number", "rows"),
            ("number", "size"),
            ("number", "in the backup"),
            ("track", ""),
        ];
        let mut rows = row("th", &heads);
        for table in tables.iter().take(MOST_ROWS) {
            let InspectedTable { table: name, rows: held, data_bytes, archive_bytes, .. } = table;
            let stored = archive_bytes.map_or_else(|| "-".to_owned(), bytes);
            let cells = [
                ("", name.as_str()),
                ("number", &count(*held)),
                ("number", &bytes(*data_bytes)),
                ("number", &stored),
            ];
            rows.push(&with_bar(&cells, "rows", percent(*data_bytes as f64, largest as f64)));
        }
        let mut html = Html::of("h2", "", "Tables by size");
        html.push(&wide_table(&rows));
        html.push(&more(tables.len()));
        html
    }

    fn entries(&self) -> Html {
        let most = self.inspection.entries.iter().map(|kind| kind.count).max().unwrap_or_default();
        let mut rows = row("th", &[("", "kind of entry"), ("number", "count"), ("track", "")]);
        for kind in &self.inspection.entries {
            let cells = [("", kind.kind.as_str()), ("number", &count(kind.count))];
            rows.push(&with_bar(&cells, "entries", percent(kind.count as f64, most as f64)));
        }
        let mut html = Html::of("h2", "", "Entries");
        html.push(&wide_table(&rows));
        html
    }
}

fn instances(store: &InspectedStore) -> Html {
    let rows_of = |rows: Option<u64>| rows.map_or_else(|| "-".to_owned(), count);
    let most = store.instances.iter().filter_map(|instance| instance.rows()).max().unwrap_or_default();
    let heads = [("", "instance"), ("", "name"), ("", "region"), ("number", "rows"), ("track", "")];
    let mut rows = row("th", &heads);
    for inspected in store.instances.iter().take(MOST_ROWS) {
        let instance = &inspected.instance;
        let cells = [
            ("", &*instance.id.to_string()),
            ("", &label(instance)),
            ("", instance.region.as_deref().unwrap_or_default()),
            ("number", &rows_of(inspected.rows())),
        ];
        let share = percent(inspected.rows().unwrap_or_default() as f64, most as f64);
        rows.push(&with_bar(&cells, "rows", share));
    }
    let mut html = Html::of("h2", "", "Instances");
    html.push(&wide_table(&rows));
    html.push(&more(store.instances.len()));
    html
}
