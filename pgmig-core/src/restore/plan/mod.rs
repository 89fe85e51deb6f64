//! What a restore will run, in which order and as whom: from the archive's table of contents and what is known
//! of the cluster. Pure: no network, no clock.
//!
//! The passes are pg_restore's: pre-data, data, post-data, each in the order of the table of contents, then
//! privileges, then what must come last (materialized views are filled, event triggers made).

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
    /// Entries of section data that make something which data needs (large objects).
    pub(crate) data_first: Vec<Task>,
    /// Shared with those who read them.
    pub(crate) tables: Arc<Vec<TableLoad>>,
    /// Entries that own a block of large objects.
    pub(crate) large_objects: Vec<DumpId>,
    /// How many large objects entries make; where none does, they are made when their data come (archives older
    /// than 1.12).
    pub(crate) large_objects_made: u64,
    /// Entries of section data that come after the rows: sequence values.
    pub(crate) data_last: Vec<Task>,
    pub(crate) post_data: Vec<Task>,
    pub(crate) privileges: Vec<Task>,
    pub(crate) last: Vec<Task>,
    /// After all else, since event triggers fire on whatever the restore still does.
    pub(crate) event_triggers: Vec<Task>,
    pub(crate) expected: Vec<Expected>,
    /// Locks that making all of it takes, where it is one transaction.
    pub(crate) locks: u64,
    pub(crate) notices: Vec<Notice>,
}

impl Plan {
    /// Every entry's statements.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Task> {
        let Self { pre_data, data_first, data_last, post_data, privileges, last, event_triggers, .. } = self;
        [pre_data, data_first, data_last, post_data, privileges, last, event_triggers].into_iter().flatten()
    }

    /// Plans the restore of `archive` (whose texts are UTF-8 by now).
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if the archive is a partial one, holds rows of foreign tables, or has entries that only a
    /// superuser can create and there is none.
    pub(crate) fn new(archive: &Archive, facts: &Facts) -> Result<Self, Refusal> {
        Planner::plan(archive, facts)
    }

    /// Plans the restore of what `archive` holds into tables that are there, whatever it defines itself.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if the archive holds rows of foreign tables.
    pub(crate) fn of_contents(archive: &Archive, facts: &Facts) -> Result<Self, Refusal> {
        Planner::plan_contents(archive, facts)
    }
}
