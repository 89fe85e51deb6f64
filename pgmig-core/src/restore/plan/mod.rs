//! Plans a restore: which statements run, in which order and as which role. The plan follows from the archive's table of
//! contents and from the facts about the cluster. Pure: no network, no clock.
//!
//! The passes are those of pg_restore: pre-data, data and post-data, each in the order of the table of contents. Then
//! come privileges, the contents of materialized views, and event triggers. What pgmig knows of each kind of entry is in
//! [`kinds`].

pub(crate) mod closed;
mod comment;
pub(crate) mod constraint;
pub(crate) mod entry;
pub(crate) mod expected;
pub(crate) mod extensions;
pub(crate) mod extra_extensions;
pub(crate) mod facts;
mod foreign_key;
mod function_settings;
mod hand_over;
pub(crate) mod kinds;
mod locks;
mod not_ours;
pub(crate) mod partial;
mod pass;
pub(crate) mod planner;
mod psql_text;
pub(crate) mod roles;
pub(crate) mod script;
mod superuser;
mod table_load;
mod task;
pub(crate) mod touched;
pub(crate) mod transaction_control;
pub(crate) mod untrusted;
pub(crate) mod words;

pub(crate) use facts::Facts;
pub(crate) use table_load::{Destination, RowForm, TableLoad, TempTable};
pub(crate) use task::{EntrySettings, EntryStep, RunAs, Task};

use crate::archive::{Archive, DumpId};
use crate::progress::Notice;
use crate::restore::refusal::Refusal;
use crate::sql::QualifiedName;
use expected::Expected;
use extensions::ReplacedRows;
use extra_extensions::ExtraSchema;
use planner::Planner;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use untrusted::{PlannedExtension, Trust};

/// The whole restore.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Made before all else, from parsed names.
    pub(crate) extensions: Vec<PlannedExtension>,
    /// Schemas of the archive that are made with these.
    pub(crate) extension_schemas: BTreeSet<String>,
    /// Why only a superuser can create an object, where its kind does not say so.
    pub(crate) reasons: HashMap<DumpId, String>,
    /// Schemas of the target's extensions that the archive does not have. They are made with these, too.
    pub(crate) extra_schemas: Vec<ExtraSchema>,
    /// The entries that these come from.
    pub(crate) first: Vec<Task>,
    pub(crate) pre_data: Vec<Task>,
    /// Entries of section data that come before the rows: they make large objects, whose contents are data.
    pub(crate) data_first: Vec<Task>,
    /// Shared with the threads that read the rows.
    pub(crate) tables: Arc<Vec<TableLoad>>,
    /// Rows of extensions that stay: those that the archive replaces are deleted before its rows are loaded.
    pub(crate) replaced_rows: Vec<ReplacedRows>,
    /// Tables of the archive whose rows are in partitions: data of a partition may be inserted into them.
    pub(crate) partitioned: Arc<HashSet<QualifiedName>>,
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

/// The reason why no plan can be made.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) refusal: Refusal,
    /// The entries that would have to be left out, if that is possible.
    pub(crate) entries: Vec<DumpId>,
}

impl From<Refusal> for Blocked {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, entries: Vec::new() }
    }
}

impl From<Blocked> for crate::Error {
    fn from(blocked: Blocked) -> Self {
        blocked.refusal.into()
    }
}

impl Plan {
    /// Every entry's statements.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Task> {
        let Self {
            first, pre_data, data_first, data_last, post_data, privileges, last, event_triggers, ..
        } = self;
        [first, pre_data, data_first, data_last, post_data, privileges, last, event_triggers]
            .into_iter()
            .flatten()
    }

    /// Plans the restore of `archive`, whose texts must be UTF-8.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] in [`Blocked`] if the archive is a partial one or holds rows of foreign tables; or if only a superuser can create
    /// some entry, and pgmig does not connect as one.
    pub(crate) fn new(archive: &Archive, facts: &Facts) -> Result<Self, Blocked> {
        match Planner::plan(archive, facts) {
            // In a transaction of `username`'s no superuser makes anything.
            Err(Blocked { refusal: Refusal::NeedsSuperuser { entries: lines, .. }, entries })
                if facts.trust != Trust::Full && facts.login_is_superuser =>
            {
                Err(Blocked { refusal: Refusal::NeedsTrust { entries: lines, is_swap: false }, entries })
            }
            plan => Ok(untrusted::restrict(plan?, archive, facts)?.with_partitioned(archive)),
        }
    }

    /// Plans the restore of the contents of `archive` into tables that exist. Its own definitions are not restored.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if the archive holds rows of foreign tables.
    pub(crate) fn of_contents(archive: &Archive, facts: &Facts) -> Result<Self, Blocked> {
        Ok(Planner::plan_contents(archive, facts)?.with_partitioned(archive))
    }

    fn with_partitioned(mut self, archive: &Archive) -> Self {
        self.partitioned = Arc::new(planner::rows::partitioned_tables(archive));
        self
    }
}
