//! The connections that load rows and then create the remaining objects, as the schedule directs.
//!
//! All of them are one future: when one fails, all stop.

use super::active_feed::{ActiveFeed, Share};
use super::feed::{BudgetGuard, Content, Feed, Piece};
use super::graph::Graph;
use super::loaded::{Loaded, cut_short};
use super::schedule::{Offer, Schedule, Work};
use super::watch::Watch;
use crate::error::Result;
use crate::progress::{Event, Progress, Step};
use crate::restore::error::RestoreError;
use crate::restore::failpoint::Failpoints;
use crate::restore::load::resumed::Resumed;
use crate::restore::plan::{RowForm, TableLoad, Task};
use crate::restore::record::{LargeObjectTotals, Record, Unit};
use crate::sql::QualifiedName;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The rows and entries to load, and the settings for it.
pub(crate) struct LoadWork<'a> {
    pub(crate) tables: &'a [TableLoad],
    /// Entries that come after the rows.
    pub(crate) tasks: Vec<&'a Task>,
    /// The tables that get the rows of moved partitions, by partition.
    pub(crate) roots: &'a HashMap<QualifiedName, QualifiedName>,
    /// The archive's encoding, unless it is the session's UTF-8.
    pub(crate) encoding: Option<String>,
    /// Whether the archive is of a database in SQL_ASCII: its strings are any bytes. `encoding` is then the server's.
    pub(crate) is_raw: bool,
    /// Whether large objects must be created when their data arrive.
    pub(crate) create_large_objects: bool,
    /// Where complete work is noted, and what earlier runs have loaded.
    pub(crate) record: Record,
    pub(crate) resumed: Arc<Resumed>,
    pub(crate) watch: Watch,
    pub(crate) failpoints: Failpoints,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) on_bytes: &'a (dyn Fn() + Sync),
}

/// The connections, and their progress.
pub(crate) struct Crew<'a> {
    pub(super) work: &'a LoadWork<'a>,
    schedule: Mutex<Schedule>,
    /// Notified when work has ended or arrived: a waiting connection then asks the schedule again.
    pub(super) changed: Notify,
    pub(super) feeds: Mutex<HashMap<usize, Arc<ActiveFeed>>>,
    /// The reports, with the numbers of the tables' feeds in the same order.
    pub(super) loaded: Mutex<(Loaded, Vec<usize>)>,
    tasks_begun: AtomicUsize,
    told_of_post_data: AtomicBool,
}

impl LoadWork<'_> {
    /// Takes the work of earlier runs off the schedule. Returns their results.
    fn skip_done(&self, schedule: &mut Schedule) -> (Loaded, Vec<usize>) {
        let (mut loaded, mut numbers) = (Loaded::default(), Vec::new());
        if !self.record.is_resumed() {
            return (loaded, numbers);
        }
        for (place, load) in self.tables.iter().enumerate() {
            let complete = self.resumed.table(load.dump_id).filter(|table| table.is_complete);
            let Some((rows, end)) =
                complete.and_then(|table| Some((table.done.acknowledged, table.done.end.as_ref()?)))
            else {
                continue;
            };
            schedule.skip_table(place, end.bytes);
            loaded.add_table(load, (rows, rows), end);
            // They come before those of this run, whose numbers begin at 0.
            numbers.push(0);
        }
        for done in self.resumed.all_large_objects() {
            loaded.large_objects.add(&done.totals);
        }
        let is_done = |(place, task): (usize, &&Task)| self.record.has(Unit::of(task)).then_some(place);
        let done: Vec<usize> = self.tasks.iter().enumerate().filter_map(is_done).collect();
        schedule.skip_tasks(&done);
        (loaded, numbers)
    }
}

impl<'a> Crew<'a> {
    /// No work is begun yet; `graph` is the graph of the work's tasks.
    pub(crate) fn new(work: &'a LoadWork<'a>, graph: Graph, connections: usize) -> Self {
        let mut schedule = Schedule::new(graph, connections);
        let loaded = work.skip_done(&mut schedule);
        Self {
            work,
            schedule: Mutex::new(schedule),
            changed: Notify::new(),
            feeds: Mutex::default(),
            loaded: Mutex::new(loaded),
            tasks_begun: AtomicUsize::new(0),
            told_of_post_data: AtomicBool::new(false),
        }
    }

    /// What a connection does, for people; `None` if it waits or has ended.
    pub(super) fn described(&self, work: &Work) -> Option<String> {
        match work {
            Work::Load(feed) | Work::LoadWhole(feed) | Work::Help(feed) => {
                Some(match self.active(*feed)?.feed.content {
                    Content::Table(place) => format!("rows of {}", self.work.tables.get(place)?.table),
                    Content::LargeObjects(_) => "large objects".to_owned(),
                })
            }
            Work::Tasks(places) => {
                let first = &self.work.tasks.get(*places.first()?)?.label;
                Some(match places.len() {
                    1 => first.clone(),
                    more => format!("{first} and {} more", more - 1),
                })
            }
            Work::Wait | Work::Finished => None,
        }
    }

    pub(super) fn offer(&self, feed: Feed) {
        let number = feed.number;
        let mut before = 0;
        let offer = match feed.content {
            Content::Table(table) => {
                let load = self.work.tables.get(table);
                before = load.map_or(0, |load| self.work.resumed.acknowledged(load.dump_id));
                let alone = load.is_some_and(TableLoad::is_alone);
                let is_buffered = load.is_some_and(|load| load.temp_table().is_some());
                let is_copy = load.is_some_and(|load| matches!(load.form, RowForm::Copy(_)));
                Offer {
                    feed: number,
                    table: Some(table),
                    alone,
                    shareable: is_copy && !alone && !is_buffered,
                }
            }
            // Two connections that write into one large object would write the same page of it.
            Content::LargeObjects(_) => Offer { feed: number, table: None, alone: false, shareable: false },
        };
        self.feeds().insert(number, Arc::new(ActiveFeed::new(feed, before)));
        self.schedule().offer(offer);
        self.note_change();
    }

    /// A feed that is offered or being loaded; `None` if it is complete.
    pub(crate) fn active(&self, number: usize) -> Option<Arc<ActiveFeed>> {
        self.feeds().get(&number).cloned()
    }

    /// The next piece. `None` at the end of the feed, or when a helper has more important work.
    pub(crate) async fn next_piece(
        &self,
        active: &ActiveFeed,
        share: Share,
    ) -> Result<Option<(Piece, BudgetGuard)>> {
        let next = match share {
            Share::Own | Share::Whole => active.feed.next().await,
            Share::Help => loop {
                let changed = self.changed.notified();
                if self.schedule().has_better(active.feed.number) {
                    return Ok(None);
                }
                tokio::select! {
                    biased;
                    next = active.feed.next() => break next,
                    () = changed => {}
                }
            },
        };
        (self.work.on_bytes)();
        match next {
            Some((Piece::End(end), _)) => {
                // A feed has only one end.
                let _ = active.end.set(end);
                self.schedule().feed_ended(active.feed.number);
                self.note_change();
                Ok(None)
            }
            Some((piece, held)) => {
                if active.take(&piece) {
                    self.schedule().share(active.feed.number);
                    self.note_change();
                }
                Ok(Some((piece, held)))
            }
            None if active.end.get().is_some() => Ok(None),
            None => Err(cut_short()),
        }
    }

    /// Notes that a connection has committed its share of a feed.
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

    /// Checks that a feed which is fully committed has as many rows as the archive, and reports it.
    fn note_loaded(&self, active: &ActiveFeed) -> Result<()> {
        let (Content::Table(table), Some(end)) = (active.feed.content, active.end.get()) else {
            return Ok(());
        };
        let Some(load) = self.work.tables.get(table) else { return Ok(()) };
        let rows = active.acknowledged();
        if end.rows != rows && !end.is_uncounted {
            let name = &load.table;
            let fault = format!("table {name}: {rows} rows were acknowledged of {} in the archive", end.rows);
            return Err(RestoreError::Verification(vec![fault]).into());
        }
        let (loaded, numbers) = &mut *self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.add_table(load, (rows, active.before), end);
        numbers.push(active.feed.number);
        Ok(())
    }

    pub(crate) fn add_large_objects(&self, totals: LargeObjectTotals) {
        let (loaded, _) = &mut *self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.large_objects.add(&totals);
    }

    /// Reports the entries that are about to be made. Passes the failpoint at the middle entry.
    pub(super) fn note_tasks(&self, tasks: &[&Task]) -> Result<()> {
        let total = self.work.tasks.len();
        if self.schedule().all_rows_loaded() && !self.told_of_post_data.swap(true, Ordering::Relaxed) {
            self.work.progress.event(&Event::StepBegan { step: Step::PostData });
        }
        let begun = self.tasks_begun.fetch_add(tasks.len(), Ordering::Relaxed);
        if let Some(task) = tasks.first() {
            let number = begun.saturating_add(1);
            self.work.progress.event(&Event::EntryBegan { entry: &task.label, number, total });
        }
        if (begun..begun.saturating_add(tasks.len())).contains(&(total / 2)) {
            self.work.failpoints.pass(Step::PostData)?;
        }
        Ok(())
    }

    pub(super) fn next_work(&self) -> Work {
        self.schedule().next()
    }

    pub(super) fn note_change(&self) {
        self.changed.notify_waiters();
    }

    pub(super) fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn feeds(&self) -> MutexGuard<'_, HashMap<usize, Arc<ActiveFeed>>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
