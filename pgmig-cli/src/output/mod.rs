//! What goes to standard output: results, as text for people or as JSON for programs. And the one way to standard
//! error.

mod document;
mod figures;
pub(crate) mod inspection;
mod plan;
mod summary;

pub(crate) use document::document;
pub(crate) use figures::{bytes, count, duration, len, plural};
pub(crate) use plan::plan;
pub(crate) use summary::{kept, summary};

use crate::table::{Align, Table, printable};
use anyhow::{Context, Result};
use pgmig_core::instance::Instance;
use pgmig_core::progress::{Notice, Severity};
use pgmig_core::restore::{TableDifference, TargetContents};
use std::fmt::Write as _;
use std::io::{self, Write as _};

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

/// Where the archive's tables are not the target's own.
fn difference_table(differences: &[TableDifference]) -> Table {
    let mut table = Table::new(&[
        ("table or column", Align::Left),
        ("difference", Align::Left),
        ("what becomes of it", Align::Left),
    ]);
    for difference in differences {
        let place = match &difference.column {
            Some(column) => format!("{}.{column}", difference.table),
            None => difference.table.clone(),
        };
        table.row([place, difference.what(), difference.then().to_owned()]);
    }
    table
}

/// The notices of this severity; nothing where there is none.
fn notices(notices: &[Notice], severity: Severity, title: &str) -> String {
    let notices = notices.iter().filter(|notice| notice.severity == severity);
    lines(title, notices.map(|notice| notice.text.as_str()))
}

/// A title and a line for each text; nothing where there is none.
fn lines<'a>(title: &str, texts: impl Iterator<Item = &'a str>) -> String {
    let lines: String = texts.map(|text| format!("  {}\n", printable(text))).collect();
    if lines.is_empty() { lines } else { format!("\n{title}\n{lines}") }
}

/// A title and a table; nothing where that is empty.
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
