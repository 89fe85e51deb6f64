//! Entries of a restore that can be gone on with: each is noted in the transaction that makes it, and made only once.

use super::Executor;
use crate::error::Result;
use crate::restore::error::RestoreError;
use crate::restore::plan::{RunAs, Task};
use crate::restore::record::{Record, Unit};
use std::borrow::Cow;

impl Executor {
    /// Runs a statement of an entry, and notes it in the same transaction.
    ///
    /// A role that grants may not write the record, and few statements cannot be in a transaction with another one. Such a
    /// statement is noted after it.
    pub(super) async fn execute_noted(
        &mut self,
        sql: &str,
        task: &Task,
        run_as: &RunAs,
        note: Option<String>,
    ) -> Result<()> {
        const DOING: &str = "note an entry";
        let Some(note) = note else { return self.execute(sql, task).await };
        if !matches!(run_as, RunAs::Grantor(_)) && self.ends_cleanly(sql) {
            match self.execute(&with_note(sql, Some(&note)), task).await {
                Err(error) if is_for_no_transaction(&error) => {}
                done => return done,
            }
        }
        self.execute(sql, task).await?;
        if matches!(run_as, RunAs::Grantor(_)) {
            self.become_role(&RunAs::Owner).await?;
        }
        self.session.execute(&note, DOING).await?;
        Ok(())
    }

    /// Whether an earlier run has made the entry. The literals that it replaced are counted again.
    pub(super) fn is_done(&mut self, task: &Task) -> bool {
        let is_done = self.record.has(Unit::of(task));
        if is_done {
            self.count_again([task]);
        }
        is_done
    }

    /// Counts the literals that an earlier run has replaced in these entries.
    pub(crate) fn count_again<'t>(&mut self, tasks: impl IntoIterator<Item = &'t Task>) {
        for (_, sql) in tasks.into_iter().flat_map(|task| &task.statements) {
            self.rewritten(sql);
        }
    }
}

/// The note of an entry's statement; after the last one, of the entry.
pub(super) fn note_of(record: &Record, task: &Task, place: usize) -> Option<String> {
    let is_last = place + 1 == task.statements.len();
    let unit = if is_last { Unit::of(task) } else { Unit::Statement(task.dump_id, task.step, place) };
    record.note([(unit, String::new())])
}

/// A text and a note in one message. The line end is there because the text can end in a comment.
pub(super) fn with_note<'s>(sql: &'s str, note: Option<&str>) -> Cow<'s, str> {
    match note {
        Some(note) => format!("{sql}\n;\n{note}").into(),
        None => sql.into(),
    }
}

/// Whether the server refused a statement because it cannot run in a transaction with others.
fn is_for_no_transaction(error: &crate::Error) -> bool {
    const ACTIVE_SQL_TRANSACTION: &str = "25001";
    matches!(error, crate::Error::Restore(RestoreError::Entry { sqlstate, .. }) if sqlstate == ACTIVE_SQL_TRANSACTION)
}
