//! Statements that cannot be in a transaction that goes on: they end it, or the server refuses them in it.

use crate::migrations;
use crate::restore::plan::Task;
use crate::sql::{StandardStrings, transaction_control};

/// The entry and what of it cannot be in a transaction that goes on, if it has any.
pub(crate) fn control_in(task: &Task, strings: StandardStrings) -> Option<String> {
    let control = task.statements.iter().find_map(|(_, sql)| {
        let control = transaction_control(sql, strings);
        control.or_else(|| migrations::why_alone(sql).map(str::to_owned))
    })?;
    Some(format!("{}: {control}", task.label))
}
