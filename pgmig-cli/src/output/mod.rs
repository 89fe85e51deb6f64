//! Writes results to standard output, as text for people or as JSON for programs. All messages to standard error go
//! through this module, too. Both accept only [`Text`], or JSON that `document` has escaped.

mod backup;
mod data;
mod document;
mod figures;
pub(crate) mod inspection;
mod objects;
mod plan;
mod previous;
mod retrain;
mod summary;
mod text;

pub(crate) use backup::{backed_up, pruned};
pub(crate) use data::data;
pub(crate) use document::line as json_line;
pub(crate) use figures::{bytes, clock, count, duration, len, noun, plural};
pub(crate) use objects::objects;
pub(crate) use plan::plan;
pub(crate) use previous::{dropped, previous_list, previous_table, rolled_back};
pub(crate) use retrain::{lines, retrained, retraining};
pub(crate) use summary::{kept, summary};
pub(crate) use text::Text;

use crate::log;
use crate::table::{Align, Table};
use anyhow::{Context, Result};
use pgmig_core::instance::Instance;
use pgmig_core::progress::{Notice, Severity};
use pgmig_core::restore::{TableDifference, TargetContents};
use serde::Serialize;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether standard output has its document: it gets one only.
static PRINTED: AtomicBool = AtomicBool::new(false);

/// Writes results to standard output, and to the file of `--log-file`.
pub(crate) fn print(text: &Text) -> Result<()> {
    log::copy(text);
    write(text.as_str())
}

/// Writes a result to standard output as a JSON document of this kind.
pub(crate) fn print_document(kind: &str, body: &impl Serialize) -> Result<()> {
    let text = document::document(kind, body)?;
    PRINTED.store(true, Ordering::Relaxed);
    write(&text)
}

/// The text of a JSON document of this kind.
pub(crate) fn document_text(kind: &str, body: &impl Serialize) -> Result<String> {
    document::document(kind, body)
}

/// Writes a failure to standard output, unless a document of a result is there already.
pub(crate) fn print_failure(failure: &impl Serialize) {
    if !PRINTED.load(Ordering::Relaxed) {
        // Standard error has the failure, too.
        let _ = print_document("error", failure);
    }
}

fn write(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match written {
        // The reader (`head`, for example) has closed the pipe.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

/// Writes lines to standard error, and to the file of `--log-file`.
pub(crate) fn say(text: &Text) {
    log::copy(text);
    show(text);
}

/// Writes lines to standard error only. Errors are ignored: if standard error is closed, nobody reads them.
pub(crate) fn show(text: &Text) {
    let _ = io::stderr().lock().write_all(text.as_str().as_bytes());
}

/// Writes a value to standard error as a line of JSON.
pub(crate) fn say_json(value: &impl Serialize) {
    // Only maps with keys that are not strings could fail, and events have none.
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

/// A line for each instance. Empty if there are none.
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

/// The differences between the archive's tables and the target's own.
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

/// The instance's name if it has one, and its state if that is unusual.
pub(crate) fn label(instance: &Instance) -> String {
    let name = instance.name.as_deref().unwrap_or("(no name)");
    if instance.deleted { format!("{name} (deleted)") } else { name.to_owned() }
}
