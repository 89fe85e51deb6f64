//! Runs entries' statements one after the other, and says which.

use super::Build;
use crate::error::Result;
use crate::progress::{Event, Step};
use crate::restore::executor::Executor;
use crate::restore::journal::Journal;
use crate::restore::plan::Task;

/// How many entries run between two reports of the progress.
const TASKS_TOLD: usize = 256;

impl Build {
    /// Runs tasks; passes the step's failpoint in their middle.
    pub(super) async fn tasks(
        &self,
        executor: &mut Executor,
        journal: &Journal,
        tasks: &[Task],
        step: Step,
    ) -> Result<()> {
        let middle = tasks.len() / 2;
        let (first, second) = tasks.split_at_checked(middle).unwrap_or((tasks, &[]));
        self.some_tasks(executor, journal, first, (0, tasks.len())).await?;
        self.failpoints.pass(step)?;
        self.some_tasks(executor, journal, second, (middle, tasks.len())).await
    }

    /// Runs tasks that come after `done` ones of `total`.
    async fn some_tasks(
        &self,
        executor: &mut Executor,
        journal: &Journal,
        tasks: &[Task],
        (mut done, total): (usize, usize),
    ) -> Result<()> {
        for some in tasks.chunks(TASKS_TOLD) {
            if let Some(task) = some.first() {
                let number = done + 1;
                journal.progress.event(&Event::EntryBegan { entry: &task.label, number, total });
            }
            executor.run_all(&some.iter().collect::<Vec<_>>()).await?;
            done += some.len();
        }
        Ok(())
    }
}
