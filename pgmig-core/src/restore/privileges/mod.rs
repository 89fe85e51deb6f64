//! Compares privileges as a whole: those that the archive grants, those that the target had, and those that there are.
//!
//! - [`statement`] parses the statements of the archive, whose roles are those of the cluster by then.
//! - [`acl`] derives from them the privileges that must be there, and lists the differences as statements.
//! - [`catalog`] reads the privileges that there are.
//! - [`target`] keeps those of the target's privileges that belong to no object of the backup.

pub(crate) mod acl;
pub(crate) mod catalog;
pub(crate) mod statement;
pub(crate) mod target;

use crate::restore::plan::Task;
use crate::sql::StandardStrings;
use statement::Statement;

/// The statements of a task; `None` if one of them neither grants nor revokes privileges on objects of the database.
pub(crate) fn statements_of(task: &Task, strings: StandardStrings) -> Option<Vec<Statement>> {
    let schema = task.settings.schema.as_deref();
    task.statements.iter().map(|(_, sql)| Statement::parse(sql, schema, strings)).collect()
}
