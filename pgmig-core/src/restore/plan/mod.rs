//! Plans a restore: which statements run, in which order and as which role. The plan follows from the archive's table of
//! contents and from the facts about the cluster. Pure: no network, no clock.
//!
//! The passes are those of pg_restore: pre-data, data and post-data, each in the order of the table of contents. Then
//! come privileges, the contents of materialized views, and event triggers. What pgmig knows of each kind of entry is in
//! [`kinds`].

pub(crate) mod entry;
pub(crate) mod expected;
pub(crate) mod facts;
pub(crate) mod kinds;
mod locks;
mod not_ours;
pub(crate) mod partial;
mod pass;
pub(crate) mod planner;
pub(crate) mod roles;
pub(crate) mod script;
mod superuser;
mod table_load;
mod task;
pub(crate) mod transaction_control;
mod words;

pub(crate) use facts::Facts;
pub(crate) use table_load::{Destination, RowForm, TableLoad, TempTable};
pub(crate) use task::{EntrySettings, EntryStep, RunAs, Task};

use crate::archive::{Archive, DumpId};
use crate::progress::Notice;
use crate::restore::refusal::Refusal;
use expected::Expected;
use planner::Planner;
use std::sync::Arc;

/// The whole restore.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) pre_data: Vec<Task>,
    /// Entries of section data that come before the rows: they make large objects, whose contents are data.
    pub(crate) data_first: Vec<Task>,
    /// Shared with the threads that read the rows.
    pub(crate) tables: Arc<Vec<TableLoad>>,
    /// Entries that own a block of large objects.
    pub(crate) large_objects: Vec<DumpId>,
    /// The number of large objects that entries make. If it is 0, each large object is made when its contents come: in
    /// archives older than 1.12.
    pub(crate) large_objects_made: u64,
    /// Entries of section data that come after the rows: sequence values and statistics.
    pub(crate) data_last: Vec<Task>,
    pub(crate) post_data: Vec<Task>,
    pub(crate) privileges: Vec<Task>,
    pub(crate) last: Vec<Task>,
    /// After everything else, because event triggers fire on each later statement.
    pub(crate) event_triggers: Vec<Task>,
    pub(crate) expected: Vec<Expected>,
    /// The number of locks that one transaction needs for all objects of the plan.
    pub(crate) locks: u64,
    pub(crate) notices: Vec<Notice>,
}

impl Plan {
    /// Every entry's statements.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Task> {
        let Self { pre_data, data_first, data_last, post_data, privileges, last, event_triggers, .. } = self;
        [pre_data, data_first, data_last, post_data, privileges, last, event_triggers].into_iter().flatten()
    }

    /// Plans the restore of `archive`, whose texts must be UTF-8.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if the archive is a partial one or holds rows of foreign tables; or if only a superuser can create
    /// some entry, and pgmig does not connect as one.
    pub(crate) fn new(archive: &Archive, facts: &Facts) -> Result<Self, Refusal> {
        Planner::plan(archive, facts)
    }

    /// Plans the restore of the contents of `archive` into tables that exist. Its own definitions are not restored.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if the archive holds rows of foreign tables.
    pub(crate) fn of_contents(archive: &Archive, facts: &Facts) -> Result<Self, Refusal> {
        Planner::plan_contents(archive, facts)
    }
}
