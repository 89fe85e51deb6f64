//! One connection of the crew at work, and the run of the whole crew.

use super::active_feed::Share;
use super::crew::Crew;
use super::feed::Feeds;
use super::loaded::{Loaded, is_cut_short};
use super::schedule::Work;
use crate::archive::DumpId;
use crate::error::Result;
use crate::progress::Event;
use crate::restore::executor::Executor;
use crate::restore::plan::Task;
use crate::restore::record::RowsNote;
use futures_util::future::{try_join, try_join_all};
use std::sync::PoisonError;

/// How many feeds are accepted before a connection is free for them.
const FEEDS_WAITING: usize = 64;

/// One connection at work.
pub(crate) struct Worker<'c, 'a> {
    pub(super) crew: &'c Crew<'a>,
    pub(super) executor: &'c mut Executor,
    /// The ID of the server process.
    pub(super) pid: i32,
    pub(super) in_transaction: bool,
    /// Feeds of which this connection has loaded a share that is not yet committed.
    pub(super) pending: Vec<usize>,
    /// Rows that the open transaction has loaded, by table.
    pub(super) unnoted: Vec<(DumpId, RowsNote)>,
    /// The bytes of rows that the open transaction has loaded.
    pub(super) uncommitted: u64,
}

impl Crew<'_> {
    /// Does all work.
    ///
    /// # Errors
    ///
    /// The first error of any connection. If the data ended too early, the error that ended the reading.
    pub(crate) async fn run(self, executors: Vec<&mut Executor>, mut feeds: Option<Feeds>) -> Result<Loaded> {
        let work = executors.into_iter().map(|executor| async {
            let pid = executor.session.backend_pid();
            Worker::new(&self, executor, pid).work().await
        });
        let worked = try_join(self.offer_feeds(feeds.as_mut()), try_join_all(work)).await;
        // A reader that still has pieces to send ends when their feeds are gone.
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let read = match (&worked, feeds) {
            (Err(error), Some(feeds)) if is_cut_short(error) => feeds.finish().await,
            (Ok(_), Some(feeds)) => feeds.finish().await,
            _ => Ok(()),
        };
        // If pieces end in the middle of a table, the reader's own error explains why.
        read?;
        worked?;
        let (mut loaded, numbers) = self.loaded.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut tables: Vec<_> = numbers.into_iter().zip(loaded.tables).collect();
        tables.sort_by_key(|(number, _)| *number);
        loaded.tables = tables.into_iter().map(|(_, table)| table).collect();
        Ok(loaded)
    }

    async fn offer_feeds(&self, feeds: Option<&mut Feeds>) -> Result<()> {
        if let Some(feeds) = feeds {
            while let Some(feed) = feeds.next().await {
                self.offer(feed);
                loop {
                    let changed = self.changed.notified();
                    if self.schedule().waiting() < FEEDS_WAITING {
                        break;
                    }
                    changed.await;
                }
            }
        }
        self.schedule().feeds_ended();
        self.note_change();
        Ok(())
    }
}

impl<'c, 'a> Worker<'c, 'a> {
    fn new(crew: &'c Crew<'a>, executor: &'c mut Executor, pid: i32) -> Self {
        let (pending, unnoted) = (Vec::new(), Vec::new());
        Self { crew, executor, pid, in_transaction: false, pending, unnoted, uncommitted: 0 }
    }
}

impl Worker<'_, '_> {
    async fn work(mut self) -> Result<()> {
        loop {
            let changed = self.crew.changed.notified();
            let work = self.crew.next_work();
            if !matches!(work, Work::Load(_) | Work::LoadWhole(_)) {
                self.commit().await?;
            }
            let progress = self.crew.work.progress;
            let described = self.crew.described(&work);
            if let Some(work) = &described {
                progress.event(&Event::WorkBegan { connection: self.pid, work });
            }
            match work {
                Work::Load(feed) => self.load(feed, Share::Own).await?,
                Work::LoadWhole(feed) => self.load(feed, Share::Whole).await?,
                Work::Help(feed) => self.help(feed).await?,
                Work::Tasks(tasks) => self.tasks(&tasks).await?,
                Work::Wait => changed.await,
                Work::Finished => return Ok(()),
            }
            if described.is_some() {
                progress.event(&Event::WorkEnded { connection: self.pid });
            }
        }
    }

    async fn tasks(&mut self, places: &[usize]) -> Result<()> {
        let tasks: Vec<&Task> =
            places.iter().filter_map(|place| self.crew.work.tasks.get(*place)).copied().collect();
        self.crew.note_tasks(&tasks)?;
        self.executor.run_all(&tasks).await?;
        self.crew.schedule().done(places);
        self.crew.note_change();
        Ok(())
    }
}
