//! The connections that load the rows and make what comes after them, each doing what the schedule says.
//!
//! All of them are one future: when one fails, none goes on.

use super::feed::{Content, Feed, Feeds, Piece, TableEnd};
use super::graph::Graph;
use super::schedule::{Offer, Schedule, Work};
use super::watch::Watch;
use super::writing::{LargeObjectTotals, cut_short, is_cut_short};
use crate::error::Result;
use crate::progress::Progress;
use crate::progress::Step;
use crate::restore::error::RestoreError;
use crate::restore::executor::Executor;
use crate::restore::failpoint::Failpoints;
use crate::restore::plan::{RowForm, TableLoad, Task};
use crate::restore::report::restored::{Replacements, TableReport};
use crate::sql::QualifiedName;
use futures_util::future::{try_join, try_join_all};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Notify;

/// How many feeds are taken over before somebody is free for them.
const FEEDS_WAITING: usize = 64;

/// What the load did.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Tables, in the order in which they were read.
    pub(crate) tables: Vec<TableReport>,
    pub(crate) large_objects: LargeObjectTotals,
    /// Mapping keys that left pgmig though they should not have, by table.
    pub(crate) leftovers: Vec<(String, u64)>,
}

/// What there is to do, and what it takes to know.
pub(crate) struct Job<'a> {
    pub(crate) tables: &'a [TableLoad],
    /// Entries that come after the rows.
    pub(crate) tasks: Vec<&'a Task>,
    /// Tables to which rows of a partition go instead, by the partition.
    pub(crate) roots: &'a HashMap<QualifiedName, QualifiedName>,
    /// The archive's encoding, where it is not the session's UTF-8.
    pub(crate) encoding: Option<String>,
    /// Whether large objects have to be made when their data come.
    pub(crate) create_large_objects: bool,
    pub(crate) watch: Watch,
    pub(crate) failpoints: Failpoints,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) on_bytes: &'a (dyn Fn() + Sync),
}

/// Which part of a feed a connection loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// It began the feed, and goes on until its end.
    Own,
    /// The same, and nobody else takes from it.
    Whole,
    /// It helps until there is better to do.
    Help,
}

/// The connections, and how far they are.
pub(crate) struct Crew<'a> {
    pub(crate) job: &'a Job<'a>,
    schedule: Mutex<Schedule>,
    /// Something has ended or come: whoever waits should ask the schedule again.
    changed: Notify,
    feeds: Mutex<HashMap<usize, Arc<ActiveFeed>>>,
    /// With the numbers of the tables' feeds.
    loaded: Mutex<(Loaded, Vec<usize>)>,
    tasks_begun: AtomicUsize,
    told_of_post_data: AtomicBool,
}

/// A feed that is offered or being loaded.
pub(crate) struct ActiveFeed {
    pub(crate) feed: Feed,
    /// Bytes of rows that have been taken from it.
    taken: AtomicU64,
    acknowledged: AtomicU64,
    end: OnceLock<TableEnd>,
}

/// After so many bytes a table's rows are shared among connections. Smaller ones keep the order of their rows, as
/// pg_restore keeps it: a second connection would gain them little.
const SHARED_BYTES: u64 = 16 * 1024 * 1024;

/// One connection at work.
pub(crate) struct Hand<'c, 'a> {
    pub(crate) crew: &'c Crew<'a>,
    pub(crate) executor: &'c mut Executor,
    /// The server process.
    pub(crate) pid: i32,
    pub(crate) in_transaction: bool,
    /// Feeds of which this connection has loaded all or a part, and not yet committed it.
    pub(crate) pending: Vec<usize>,
}

impl<'a> Crew<'a> {
    /// Nothing is done yet; `graph` is that of the job's tasks.
    pub(crate) fn new(job: &'a Job<'a>, graph: Graph, connections: usize) -> Self {
        Self {
            job,
            schedule: Mutex::new(Schedule::new(graph, connections)),
            changed: Notify::new(),
            feeds: Mutex::default(),
            loaded: Mutex::default(),
            tasks_begun: AtomicUsize::new(0),
            told_of_post_data: AtomicBool::new(false),
        }
    }

    /// Does all of it.
    ///
    /// # Errors
    ///
    /// The first that any connection met; if that is an end of the data before its time, what ended the reading.
    pub(crate) async fn run(self, executors: Vec<&mut Executor>, mut feeds: Option<Feeds>) -> Result<Loaded> {
        let work = executors.into_iter().map(|executor| async {
            let pid = executor.session.backend_pid();
            Hand { crew: &self, executor, pid, in_transaction: false, pending: Vec::new() }.work().await
        });
        let worked = try_join(self.offer_feeds(feeds.as_mut()), try_join_all(work)).await;
        // A reader that still has pieces to be rid of ends when their feeds are gone.
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let read = match (&worked, feeds) {
            (Err(error), Some(feeds)) if is_cut_short(error) => feeds.finish().await,
            (Ok(_), Some(feeds)) => feeds.finish().await,
            _ => Ok(()),
        };
        // The reading's own error explains an end of pieces in the middle of a table.
        read?;
        worked?;
        let (mut loaded, numbers) = self.loaded.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut tables: Vec<_> = numbers.into_iter().zip(loaded.tables).collect();
        tables.sort_unstable_by_key(|(number, _)| *number);
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

    fn offer(&self, feed: Feed) {
        let number = feed.number;
        let offer = match feed.content {
            Content::Table(table) => {
                let load = self.job.tables.get(table);
                let alone = load.is_some_and(|load| load.alone || load.last);
                let is_held = load.is_some_and(|load| load.held().is_some());
                let is_copy = load.is_some_and(|load| matches!(load.form, RowForm::Copy(_)));
                Offer { feed: number, table: Some(table), alone, shareable: is_copy && !alone && !is_held }
            }
            // Two connections that write into one object would make the same page of it.
            Content::LargeObjects(_) => Offer { feed: number, table: None, alone: false, shareable: false },
        };
        let active = ActiveFeed {
            feed,
            taken: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            end: OnceLock::new(),
        };
        self.feeds().insert(number, Arc::new(active));
        self.schedule().offer(offer);
        self.note_change();
    }

    /// A feed that has not been completed.
    pub(crate) fn active(&self, number: usize) -> Option<Arc<ActiveFeed>> {
        self.feeds().get(&number).cloned()
    }

    /// The next piece; `None` at the feed's end, or when there is better to do than to help.
    pub(crate) async fn next_piece(&self, active: &ActiveFeed, part: Part) -> Result<Option<Piece>> {
        let piece = match part {
            Part::Own | Part::Whole => active.feed.next().await,
            Part::Help => loop {
                let changed = self.changed.notified();
                if self.schedule().has_better(active.feed.number) {
                    return Ok(None);
                }
                tokio::select! {
                    biased;
                    piece = active.feed.next() => break piece,
                    () = changed => {}
                }
            },
        };
        (self.job.on_bytes)();
        match piece {
            Some(Piece::End(end)) => {
                // There is one end.
                let _ = active.end.set(end);
                self.schedule().feed_ended(active.feed.number);
                self.note_change();
                Ok(None)
            }
            Some(piece) => {
                if active.take(&piece) {
                    self.schedule().share(active.feed.number);
                    self.note_change();
                }
                Ok(Some(piece))
            }
            None if active.end.get().is_some() => Ok(None),
            None => Err(cut_short()),
        }
    }

    /// A connection has committed its part of a feed.
    pub(crate) fn leave(&self, number: usize) -> Result<()> {
        let Some(active) = self.active(number) else { return Ok(()) };
        let complete = {
            let mut schedule = self.schedule();
            if let (Content::Table(table), Some(end)) = (active.feed.content, active.end.get()) {
                schedule.weigh(table, end.bytes);
            }
            schedule.leave(number)
        };
        if complete {
            self.feeds().remove(&number);
            self.note_loaded(&active)?;
        }
        self.note_change();
        Ok(())
    }

    /// All of a feed is committed: was that all of it?
    fn note_loaded(&self, active: &ActiveFeed) -> Result<()> {
        let (Content::Table(table), Some(end)) = (active.feed.content, active.end.get()) else {
            return Ok(());
        };
        let Some(load) = self.job.tables.get(table) else { return Ok(()) };
        let name = load.table.to_string();
        let rows = active.acknowledged();
        if end.rows != rows && !end.is_uncounted {
            let fault = format!("table {name}: {rows} rows were acknowledged of {} in the archive", end.rows);
            return Err(RestoreError::Verification(vec![fault]).into());
        }
        let (loaded, numbers) = &mut *self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if end.leftovers > 0 {
            loaded.leftovers.push((name.clone(), end.leftovers));
        }
        loaded.tables.push(report(name, rows, end));
        numbers.push(active.feed.number);
        Ok(())
    }

    /// Large objects have been loaded.
    pub(crate) fn add_large_objects(&self, totals: LargeObjectTotals) {
        let (loaded, _) = &mut *self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.large_objects.objects += totals.objects;
        loaded.large_objects.bytes += totals.bytes;
        loaded.large_objects.ids += totals.ids;
        loaded.large_objects.with_ids += totals.with_ids;
    }

    /// Tells of entries that are about to be made; passes the failpoint in the middle of all.
    fn note_tasks(&self, tasks: &[&Task]) -> Result<()> {
        let total = self.job.tasks.len();
        if self.schedule().all_rows_loaded() && !self.told_of_post_data.swap(true, Ordering::Relaxed) {
            self.job.progress.step(Step::PostData);
        }
        let begun = self.tasks_begun.fetch_add(tasks.len(), Ordering::Relaxed);
        if let Some(task) = tasks.first() {
            self.job.progress.object(&task.label, begun, total);
        }
        if (begun..begun.saturating_add(tasks.len())).contains(&(total / 2)) {
            self.job.failpoints.pass(Step::PostData)?;
        }
        Ok(())
    }

    fn next_work(&self) -> Work {
        self.schedule().next()
    }

    fn note_change(&self) {
        self.changed.notify_waiters();
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn feeds(&self) -> MutexGuard<'_, HashMap<usize, Arc<ActiveFeed>>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActiveFeed {
    /// Notes that a piece has been taken. True if with it the table has become one that is worth sharing.
    fn take(&self, piece: &Piece) -> bool {
        let Piece::Rows(rows) = piece else { return false };
        let bytes = rows.bytes.len() as u64;
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        before < SHARED_BYTES && before.saturating_add(bytes) >= SHARED_BYTES
    }

    /// The server has acknowledged so many rows more. Returns how many in all.
    pub(crate) fn acknowledge(&self, rows: u64) -> u64 {
        self.acknowledged.fetch_add(rows, Ordering::Relaxed).saturating_add(rows)
    }

    /// The rows that the server has acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Its size in bytes, once it has been read.
    pub(crate) fn bytes(&self) -> u64 {
        self.end.get().map_or(0, |end| end.bytes)
    }
}

impl Hand<'_, '_> {
    async fn work(mut self) -> Result<()> {
        loop {
            let changed = self.crew.changed.notified();
            let work = self.crew.next_work();
            if !matches!(work, Work::Load(_) | Work::LoadWhole(_)) {
                self.commit().await?;
            }
            match work {
                Work::Load(feed) => self.load(feed, Part::Own).await?,
                Work::LoadWhole(feed) => self.load(feed, Part::Whole).await?,
                Work::Help(feed) => self.help(feed).await?,
                Work::Tasks(tasks) => self.tasks(&tasks).await?,
                Work::Wait => changed.await,
                Work::Finished => return Ok(()),
            }
        }
    }

    async fn tasks(&mut self, places: &[usize]) -> Result<()> {
        let tasks: Vec<&Task> =
            places.iter().filter_map(|place| self.crew.job.tasks.get(*place)).copied().collect();
        self.crew.note_tasks(&tasks)?;
        self.executor.run_all(&tasks).await?;
        self.crew.schedule().done(places);
        self.crew.note_change();
        Ok(())
    }
}

fn report(table: String, rows: u64, end: &TableEnd) -> TableReport {
    let counted = |counts: &[u64]| {
        let counted = end.columns.iter().zip(counts).filter(|(_, count)| **count > 0);
        counted.map(|(column, count)| Replacements { column: column.clone(), count: *count }).collect()
    };
    let (replacements, left_in_bytea) = (counted(&end.replaced), counted(&end.left));
    TableReport { table, rows, bytes: end.bytes, replacements, left_in_bytea }
}
