//! Prints the result of a restore for people.

use super::previous::kept_as;
use super::{Text, bytes, count, difference_table, duration, instances, label, len, notices, plural, totals};
use crate::commands::restore::Restored;
use crate::table::{Align, Table};
use pgmig_core::progress::Severity;
use pgmig_core::restore::RestoreReport;
use std::fmt::Write as _;

/// The summary.
pub(crate) fn summary(restored: &Restored) -> Text {
    let report = &restored.report;
    let mut text = Text::of(headline(report));
    text.section("Instances", &mapped_instances(report));
    text.section("Tables", &tables(report));
    if report.ddl_replacements > 0 {
        text.title(&format!("{} IDs replaced in definitions", count(report.ddl_replacements)));
    }
    let in_objects = report.large_object_ids;
    if in_objects.replaced > 0 {
        let objects = plural(in_objects.objects, "large object");
        text.title(&format!("{} IDs replaced in {objects}", count(in_objects.replaced)));
    }
    text.section("Counted rows", &counts(report));
    if let Some(training) = report.training.as_ref().filter(|training| training.workspaces > 0) {
        text.line("");
        text.append(&super::retrain::training(training));
    }
    text.section("Migrations", &migrations(report));
    text.section("Differences from the target's schema", &difference_table(&report.differences));
    if !report.erased.is_empty() {
        text.title("Erased from the target");
        text.line(format!("  {}", totals(&report.erased)));
        text.append(&instances(&report.erased.instances));
    }
    if report.previous.is_some() || report.backup.is_some() {
        text.line("");
        text.append(&kept(restored));
    }
    text.list("Warnings", notices(&report.notices, Severity::Warning));
    text.list("Notices", notices(&report.notices, Severity::Notice));
    text
}

/// The name of the previous database if it was kept, the backup that was taken first, and the commands that go back.
pub(crate) fn kept(restored: &Restored) -> Text {
    let mut text = match (&restored.report.previous, &restored.rollback_command) {
        (Some(previous), Some(command)) => kept_as(previous, command),
        _ => Text::new(),
    };
    if let (Some(backup), Some(command)) = (&restored.report.backup, &restored.restore_command) {
        text.line(format!("The target was backed up as {}", backup.display()));
        text.line(format!("To go back: {command}"));
    }
    text
}

fn headline(report: &RestoreReport) -> String {
    let rows: u64 = report.tables.iter().map(|table| table.rows).sum();
    // A run of which only the swap was left has loaded none.
    let built = report.resumed.filter(|resumed| resumed.is_built);
    let (rows, tables) = match built {
        Some(built) => (built.rows, u64::try_from(built.tables).unwrap_or(u64::MAX)),
        None => (rows, len(&report.tables)),
    };
    let mut text = format!(
        "Restored {:?} in {}: {} in {}",
        report.database,
        duration(report.took),
        plural(rows, "row"),
        plural(tables, "table")
    );
    let (objects, size) = report.large_objects;
    if objects > 0 {
        let _ = write!(text, ", {} ({})", plural(objects, "large object"), bytes(size));
    }
    match (&report.source_version, &report.target_version) {
        (Some(source), Some(target)) if source != target => {
            let _ = write!(text, ", upgraded from {source} to {target}");
        }
        (_, Some(target)) => {
            let _ = write!(text, ", at {target}");
        }
        (_, None) => {}
    }
    if let Some(resumed) = &report.resumed {
        let _ = write!(
            text,
            "; it went on with an interrupted restore ({} and {} were there)",
            plural(resumed.rows, "row"),
            plural(u64::try_from(resumed.entries).unwrap_or(u64::MAX), "object")
        );
    }
    text
}

/// The manual's counts, as the queries by which it makes them.
fn counts(report: &RestoreReport) -> Table {
    let mut table = Table::new(&[("query", Align::Left), ("count", Align::Right)]);
    for counted in &report.counts {
        table.row([format!("SELECT count(*) FROM {}", counted.table), count(counted.rows)]);
    }
    table
}

fn mapped_instances(report: &RestoreReport) -> Table {
    let mut table = Table::new(&[("source", Align::Left), ("target", Align::Left), ("name", Align::Left)]);
    for instance in &report.instances {
        let same = instance.source.id == instance.target;
        let target = if same { "the same".to_owned() } else { instance.target.to_string() };
        table.row([instance.source.id.to_string(), target, label(&instance.source)]);
    }
    table
}

fn tables(report: &RestoreReport) -> Table {
    let mut table =
        Table::new(&[("table", Align::Left), ("rows", Align::Right), ("IDs replaced", Align::Left)]);
    for loaded in &report.tables {
        let replaced: Vec<String> = loaded
            .replacements
            .iter()
            .map(|column| format!("{} {}", column.column, count(column.count)))
            .collect();
        table.row([loaded.table.clone(), count(loaded.rows), replaced.join(", ")]);
    }
    table
}

fn migrations(report: &RestoreReport) -> Table {
    let mut table =
        Table::new(&[("version", Align::Right), ("took", Align::Right), ("migration", Align::Left)]);
    for migration in &report.migrations {
        table.row([migration.version.to_string(), duration(migration.took), migration.description.clone()]);
    }
    table
}
