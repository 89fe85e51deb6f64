//! Runs many entries: sends small ones together, and repeats an entry after a conflict with another connection.

use super::Executor;
use crate::error::Result;
use crate::restore::error::RestoreError;
use crate::restore::plan::{RunAs, Task};
use crate::restore::record::Unit;
use crate::sql::Lexer;

/// The most entries that are sent together; each takes locks until the end.
const BATCH_TASKS: usize = 64;

/// The most text that is sent together.
const BATCH_BYTES: usize = 256 * 1024;

/// How often pgmig tries an entry that conflicts with another connection.
const ATTEMPTS: usize = 5;

/// SQLSTATEs of such conflicts: a deadlock, and a row of the catalogs that two sessions changed at once.
const IN_THE_WAY: [&str; 2] = ["40P01", "XX000"];

impl Executor {
    /// Runs the statements of many entries, in order. Entries with the same role and settings go to the server
    /// together, as one transaction. If that fails, it is rolled back and the entries run one by one. Then the
    /// failing entry is named, and statements that cannot run in a transaction can succeed.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub(crate) async fn run_all(&mut self, tasks: &[&Task]) -> Result<()> {
        let tasks: Vec<&Task> = tasks.iter().filter(|task| !self.is_done(task)).copied().collect();
        let mut rest = tasks.as_slice();
        while let Some((first, _)) = rest.split_first() {
            let together = self.batch_length(rest).max(1);
            let (batch, after) = rest.split_at_checked(together).unwrap_or((rest, &[]));
            rest = after;
            if batch.len() == 1 {
                self.run_patiently(first).await?;
            } else if !self.run_together(batch).await? {
                for task in batch {
                    self.run_patiently(task).await?;
                }
            }
        }
        Ok(())
    }

    /// The number of tasks at the beginning of the list that can be sent together.
    fn batch_length(&self, tasks: &[&Task]) -> usize {
        let Some(first) = tasks.first() else { return 0 };
        let Some(run_as) = single_role(first).filter(|_| !self.session.is_one_transaction()) else {
            return 1;
        };
        let mut bytes = 0;
        let fits = |task: &&&Task| {
            bytes += task.statements.iter().map(|(_, sql)| sql.len()).sum::<usize>();
            bytes <= BATCH_BYTES
                && task.settings == first.settings
                && single_role(task) == Some(run_as)
                && task.statements.iter().all(|(_, sql)| self.ends_cleanly(sql))
        };
        tasks.iter().take(BATCH_TASKS).take_while(fits).count()
    }

    /// Whether the text ends outside of strings and comments, so that it cannot swallow the next text.
    pub(super) fn ends_cleanly(&self, sql: &str) -> bool {
        Lexer::new(sql.as_bytes(), self.strings).all(|token| token.is_ok())
    }

    /// Sends these tasks in one message, which is one transaction. They have the same role and settings. Returns
    /// false if the server refuses the message.
    async fn run_together(&mut self, tasks: &[&Task]) -> Result<bool> {
        let Some(run_as) = tasks.first().and_then(|task| single_role(task)).cloned() else {
            return Ok(false);
        };
        self.refuse_control(tasks)?;
        if let Some(task) = tasks.first() {
            self.settings(task).await?;
        }
        self.become_role(&run_as).await?;
        let before = self.replaced;
        let mut all = String::new();
        for (_, sql) in tasks.iter().flat_map(|task| &task.statements) {
            all.push_str(&self.rewritten(sql));
            // A line end, because the text can end in a comment.
            all.push_str("\n;\n");
        }
        if let Some(note) = self.record.note(tasks.iter().map(|task| (Unit::of(task), String::new()))) {
            all.push_str(&note);
        }
        match self.execute_together(&run_as, &all, tasks).await {
            Ok(()) => Ok(true),
            Err(crate::Error::Target(error)) if error.is_answer() => {
                self.replaced = before;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends statements in one message.
    async fn execute_together(&mut self, run_as: &RunAs, sql: &str, tasks: &[&Task]) -> Result<()> {
        const DOING: &str = "create objects";
        if let Some(superuser) = self.superuser.as_mut().filter(|_| run_as.is_superuser()) {
            return Ok(superuser.get().await?.execute(sql, DOING).await.map(drop)?);
        }
        self.session.execute(sql, DOING).await?;
        let label = |task: Option<&&Task>| task.map(|task| task.label.clone()).unwrap_or_default();
        let culprit = format!("one of {} to {}", label(tasks.first()), label(tasks.last()));
        self.require_unchanged(&culprit).await
    }

    /// Runs the statements of one entry. Repeats them after a conflict with another connection.
    async fn run_patiently(&mut self, task: &Task) -> Result<()> {
        // A failed statement cannot be repeated in the one transaction, and no other connection can conflict with it.
        let attempts = if self.session.is_one_transaction() { 1 } else { ATTEMPTS };
        for _ in 1..attempts {
            match self.run(task).await {
                Err(crate::Error::Restore(RestoreError::Entry { sqlstate, .. }))
                    if IN_THE_WAY.contains(&sqlstate.as_str()) && task.statements.len() == 1 => {}
                done => return done,
            }
        }
        self.run(task).await
    }
}

/// The role that runs all statements of a task, if it is the same for all.
fn single_role(task: &Task) -> Option<&RunAs> {
    let (first, _) = task.statements.first()?;
    let same = task.statements.iter().all(|(run_as, _)| run_as == first);
    (same && !matches!(first, RunAs::Grantor(_))).then_some(first)
}
