//! Prints previous databases, and what was done with them, for people.

use super::{Text, bytes, duration, len, plural};
use crate::commands::previous::{Dropped, List, RolledBack};
use crate::table::{Align, Table};
use pgmig_core::restore::PreviousDatabase;
use std::time::Duration;

/// How much of a run's ID is shown: as much as the application name of its sessions holds.
const RUN: usize = 8;

/// The previous databases of a target, each with the command that puts it back.
pub(crate) fn previous_list(list: &List, is_quiet: bool) -> Text {
    let mut text = Text::new();
    if list.previous.is_empty() {
        if !is_quiet {
            text.line(format!("{:?} has no previous database", list.database));
        }
        return text;
    }
    let mut table = Table::new(&[
        ("previous database", Align::Left),
        ("size", Align::Right),
        ("replaced", Align::Left),
        ("run", Align::Left),
        ("command that puts it back", Align::Left),
    ]);
    for listed in &list.previous {
        let [name, size, replaced, run] = cells(&listed.previous);
        table.row([name, size, replaced, run, listed.rollback_command.clone()]);
    }
    text.table(&table);
    for previous in list.previous.iter().map(|listed| &listed.previous) {
        if !previous.is_kept {
            let name = &previous.name;
            text.title(&format!("{name} was not kept, but could not be dropped: the next restore drops it"));
        }
        let title = format!("{} cannot be put back at present:", previous.name);
        text.list(&title, &previous.obstacles);
    }
    text
}

/// A line for each previous database.
pub(crate) fn previous_table<'a>(previous: impl IntoIterator<Item = &'a PreviousDatabase>) -> Text {
    let mut table = Table::new(&[
        ("previous database", Align::Left),
        ("size", Align::Right),
        ("replaced", Align::Left),
        ("run", Align::Left),
    ]);
    previous.into_iter().for_each(|previous| table.row(cells(previous)));
    let mut text = Text::new();
    text.table(&table);
    text
}

fn cells(previous: &PreviousDatabase) -> [String; 4] {
    let unknown = || "unknown".to_owned();
    [
        previous.name.clone(),
        previous.bytes.map_or_else(unknown, bytes),
        previous.replaced_at.clone().unwrap_or_else(unknown),
        previous.run.chars().take(RUN).collect(),
    ]
}

/// What a rollback did, or would do.
pub(crate) fn rolled_back(done: &RolledBack, _is_quiet: bool) -> Text {
    let (database, restored) = (&done.database, &done.restored.name);
    let (Some(previous), Some(command)) = (&done.previous_database, &done.rollback_command) else {
        let mut text = Text::of(format!("A rollback would put back {restored} as {database:?}"));
        text.line("The present database would be kept as a previous database; nothing was changed");
        return text;
    };
    let mut text = Text::of(format!("Put back {restored} as {database:?}{}", took(done.took_seconds)));
    text.append(&kept_as(previous, command));
    text
}

/// The name of a previous database, and the command that goes back to it.
pub(crate) fn kept_as(previous: &str, command: &str) -> Text {
    let mut text = Text::of(format!("The previous database is kept as {previous}"));
    text.line(format!("To go back: {command}"));
    text
}

/// What was dropped, or would be.
pub(crate) fn dropped(done: &Dropped, _is_quiet: bool) -> Text {
    let freed = done.dropped.iter().filter_map(|previous| previous.bytes).sum();
    let number = plural(len(&done.dropped), "previous database");
    if done.dropped.is_empty() {
        return Text::of(format!("No previous database of {:?} is to be dropped", done.database));
    }
    let mut text = Text::of(if done.dry_run {
        format!("Would drop {number} of {:?} ({})", done.database, bytes(freed))
    } else {
        format!("Dropped {number} of {:?} ({}){}", done.database, bytes(freed), took(done.took_seconds))
    });
    for previous in &done.dropped {
        text.line(format!("  {}", previous.name));
    }
    text
}

fn took(seconds: Option<f64>) -> String {
    let took = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    took.map_or_else(String::new, |took| format!(" in {}", duration(took)))
}
