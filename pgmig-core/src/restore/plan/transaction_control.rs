//! Finds statements that end a transaction, or that the server refuses inside one.

use crate::migrations;
use crate::restore::plan::Task;
use crate::sql::{StandardStrings, transaction_control};

/// The entry and its first statement that is not allowed inside a transaction, if any.
pub(crate) fn control_in(task: &Task, strings: StandardStrings) -> Option<String> {
    let control = task.statements.iter().find_map(|(_, sql)| {
        let control = transaction_control(sql, strings);
        control.or_else(|| migrations::why_alone(sql).map(str::to_owned))
    })?;
    Some(format!("{}: {control}", task.label))
}
