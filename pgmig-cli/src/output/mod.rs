//! What goes to standard output: results, as text for people or as JSON for programs. And the one way to standard
//! error. Both take [`Text`] only, or what `document` has escaped.

mod data;
mod document;
mod figures;
pub(crate) mod inspection;
mod plan;
mod summary;
mod text;

pub(crate) use data::data;
pub(crate) use figures::{bytes, count, duration, len, plural};
pub(crate) use plan::plan;
pub(crate) use summary::{kept, summary};
pub(crate) use text::Text;

use crate::table::{Align, Table};
use anyhow::{Context, Result};
use pgmig_core::instance::Instance;
use pgmig_core::progress::{Notice, Severity};
use pgmig_core::restore::{TableDifference, TargetContents};
use serde::Serialize;
use std::io::{self, Write as _};

/// Writes results to standard output.
pub(crate) fn print(text: &Text) -> Result<()> {
    write(text.as_str())
}

/// Writes a result to standard output as a JSON document of this kind.
pub(crate) fn print_document(kind: &str, body: &impl Serialize) -> Result<()> {
    write(&document::document(kind, body)?)
}

fn write(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match written {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

/// Writes lines to standard error. Where that is closed there is nobody to tell.
pub(crate) fn say(text: &Text) {
    let _ = io::stderr().lock().write_all(text.as_str().as_bytes());
}

/// Writes a value to standard error as a line of JSON.
pub(crate) fn say_json(value: &impl Serialize) {
    // Our events have no maps with odd keys, which is all that could fail.
    if let Ok(line) = document::line(value) {
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

/// Writes a message of this kind (`warning`, `notice`) to standard error.
pub(crate) fn tell(kind: &str, message: &str) {
    say(&Text::message(kind, message));
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
pub(crate) fn instances(instances: &[Instance]) -> Text {
    let mut text = Text::new();
    let mut table = Table::new(&[("instance", Align::Left), ("region", Align::Left), ("name", Align::Left)]);
    for instance in instances {
        table.row([instance.id.to_string(), instance.region.clone().unwrap_or_default(), label(instance)]);
    }
    if !table.is_empty() {
        text.table(&table);
    }
    text
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

/// The texts of the notices of this severity.
fn notices(notices: &[Notice], severity: Severity) -> impl Iterator<Item = &str> {
    notices.iter().filter(move |notice| notice.severity == severity).map(|notice| notice.text.as_str())
}

/// The name, where it has one, and what is special about it.
fn label(instance: &Instance) -> String {
    let name = instance.name.as_deref().unwrap_or("(no name)");
    if instance.deleted { format!("{name} (deleted)") } else { name.to_owned() }
}
