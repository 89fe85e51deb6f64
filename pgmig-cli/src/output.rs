//! What goes to standard output: the summary of a restore. And the one way to standard error.

use crate::table::{Align, Table, printable};
use anyhow::{Context, Result};
use pgmig_core::instance::Instance;
use pgmig_core::progress::Severity;
use pgmig_core::restore::{RestoreReport, TargetContents};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

/// Writes results to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match written {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

/// Writes lines to standard error, without control characters but the ends of lines. Where that is closed
/// there is nobody to tell.
pub(crate) fn say(text: &str) {
    let lines: Vec<String> = text.lines().map(printable).collect();
    let _ = writeln!(io::stderr().lock(), "{}", lines.join("\n"));
}

/// What a restore did, for people.
pub(crate) fn summary(report: &RestoreReport) -> String {
    let mut text = headline(report);
    section(&mut text, "Instances", &mapped_instances(report));
    section(&mut text, "Tables", &tables(report));
    if report.ddl_replacements > 0 {
        let _ = writeln!(text, "\n{} IDs replaced in definitions", count(report.ddl_replacements));
    }
    let in_objects = report.large_object_ids;
    if in_objects.replaced > 0 {
        let objects = plural(in_objects.objects, "large object");
        let _ = writeln!(text, "\n{} IDs replaced in {objects}", count(in_objects.replaced));
    }
    section(&mut text, "Migrations", &migrations(report));
    if !report.erased.is_empty() {
        let _ = writeln!(text, "\nErased from the target\n  {}", totals(&report.erased));
        text += &instances(&report.erased.instances);
    }
    if let Some(previous) = &report.previous {
        let _ = writeln!(text, "\nThe previous database is kept as {}", printable(previous));
    }
    text += &notices(report, Severity::Warning, "Warnings");
    text += &notices(report, Severity::Notice, "Notices");
    text
}

/// The totals of what a target holds.
pub(crate) fn totals(contents: &TargetContents) -> String {
    format!(
        "{}, {} in {}, {}; {}",
        plural(len(&contents.instances), "instance"),
        plural(contents.rows, "row"),
        plural(contents.tables, "table"),
        plural(contents.large_objects, "large object"),
        bytes(contents.bytes)
    )
}

/// One line for each instance; nothing where there is none.
pub(crate) fn instances(instances: &[Instance]) -> String {
    let mut table = Table::new(&[("instance", Align::Left), ("region", Align::Left), ("name", Align::Left)]);
    for instance in instances {
        table.row([instance.id.to_string(), instance.region.clone().unwrap_or_default(), label(instance)]);
    }
    if table.is_empty() { String::new() } else { table.render() }
}

fn headline(report: &RestoreReport) -> String {
    let rows: u64 = report.tables.iter().map(|table| table.rows).sum();
    let mut text = format!(
        "Restored {:?} in {}: {} in {}",
        report.database,
        duration(report.took),
        plural(rows, "row"),
        plural(len(&report.tables), "table")
    );
    let (objects, size) = report.large_objects;
    if objects > 0 {
        let _ = write!(text, ", {} ({})", plural(objects, "large object"), bytes(size));
    }
    match (&report.source_release, &report.target_release) {
        (Some(source), Some(target)) if source != target => {
            let _ = write!(text, ", upgraded from {source} to {target}");
        }
        (_, Some(target)) => {
            let _ = write!(text, ", at {target}");
        }
        (_, None) => {}
    }
    text.push('\n');
    text
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

fn notices(report: &RestoreReport, severity: Severity, title: &str) -> String {
    let mut text = String::new();
    for notice in report.notices.iter().filter(|notice| notice.severity == severity) {
        let _ = writeln!(text, "  {}", printable(&notice.text));
    }
    if text.is_empty() { text } else { format!("\n{title}\n{text}") }
}

fn section(text: &mut String, title: &str, table: &Table) {
    if !table.is_empty() {
        let _ = write!(text, "\n{title}\n{}", table.render());
    }
}

/// The name, where it has one, and what is special about it.
fn label(instance: &Instance) -> String {
    let name = instance.name.as_deref().unwrap_or("(no name)");
    if instance.deleted { format!("{name} (deleted)") } else { name.to_owned() }
}

pub(crate) fn len<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

pub(crate) fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// With a comma between thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In binary units, as PostgreSQL's own pg_size_pretty.
pub(crate) fn bytes(number: u64) -> String {
    indicatif::BinaryBytes(number).to_string()
}

/// To three digits or so.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..=59 => format!("{:.1} s", duration.as_secs_f64()),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        let texts = [0, 12, 999, 1_000, 123_456, 1_234_567].map(count);
        assert_eq!(texts, ["0", "12", "999", "1,000", "123,456", "1,234,567"]);
    }

    #[test]
    fn durations_are_short() {
        let texts = [0, 999, 1_000, 59_900, 61_000, 3_600_000, 90_060_000]
            .map(|milliseconds| duration(Duration::from_millis(milliseconds)));
        assert_eq!(texts, ["0 ms", "999 ms", "1.0 s", "59.9 s", "1 min 1 s", "1 h 0 min", "25 h 1 min"]);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([plural(0, "row"), plural(1, "row"), plural(2, "row")], ["0 rows", "1 row", "2 rows"]);
    }
}
