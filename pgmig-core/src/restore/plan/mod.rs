//! What a restore will run, in which order and as whom: from the archive's table of contents and what is known
//! of the cluster. Pure: no network, no clock.
//!
//! The passes are pg_restore's: pre-data, data, post-data, each in the order of the table of contents, then
//! privileges, then what must come last (materialized views are filled, event triggers made).

pub(crate) mod expected;
mod hand_over;
mod of_others;
pub(crate) mod partial;
pub(crate) mod planner;
pub(crate) mod roles;
pub(crate) mod script;
pub(crate) mod superuser;
pub(crate) mod untrusted;

use crate::archive::{Archive, DumpId};
use crate::copy::CopyStatement;
use crate::progress::Notice;
use crate::restore::refusal::Refusal;
use crate::rewrite::Shape;
use crate::sql::QualifiedName;
use expected::Expected;
use planner::Planner;
use roles::Roles;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use superuser::Fresh;
use untrusted::{PlannedExtension, Trust};

/// What is known of the cluster and of a new database in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// The server's version as a number, 150018 for 15.18.
    pub(crate) server_version: i32,
    /// The role that connects.
    pub(crate) login: String,
    /// Whether it is a superuser.
    pub(crate) login_is_superuser: bool,
    /// Whether a superuser makes what only a superuser can make.
    pub(crate) is_superuser: bool,
    /// Whether `username` owns schema public of a new database, directly or through a role.
    pub(crate) owner_owns_public: bool,
    /// Whether `username` is a superuser, and so owns everything.
    pub(crate) owner_is_superuser: bool,
    /// Roles.
    pub(crate) roles: Roles,
    /// Tablespaces.
    pub(crate) tablespaces: BTreeSet<String>,
    /// What a new database holds.
    pub(crate) fresh: Fresh,
    /// How far the archive is trusted.
    pub(crate) trust: Trust,
    /// The server's own time zone, where it could be read.
    pub(crate) time_zone: Option<String>,
}

/// As whom a statement runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunAs {
    /// As `username`.
    Owner,
    /// As `su_username`.
    Superuser,
    /// As a role that grants what is not its own.
    Grantor(String),
}

/// Settings of the session for one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EntrySettings {
    /// Schema to put first in search_path; archives older than 1.13 name objects without their schema.
    pub(crate) schema: Option<String>,
    /// Tablespace; "" is the database's own.
    pub(crate) tablespace: Option<String>,
    /// Table access method.
    pub(crate) access_method: Option<String>,
}

/// One entry's statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// The entry.
    pub(crate) dump_id: DumpId,
    /// What it makes: `INDEX store.tenant_name`.
    pub(crate) label: String,
    /// Its statements and as whom each runs.
    pub(crate) statements: Vec<(RunAs, String)>,
    /// Settings that they need, shared with other entries'.
    pub(crate) settings: Arc<EntrySettings>,
    /// How much of the entry they make.
    pub(crate) half: Half,
}

/// How much of its entry a task makes: see [`two_steps`](crate::restore::load::two_steps).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Half {
    #[default]
    Both,
    First,
    Second,
}

/// Rows of one TABLE DATA entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableLoad {
    /// The entry.
    pub(crate) dump_id: DumpId,
    /// The table that the entry belongs to, with its schema.
    pub(crate) table: QualifiedName,
    /// How its rows are given.
    pub(crate) form: RowForm,
    /// Who loads them: an extension's tables belong to whoever created it.
    pub(crate) run_as: RunAs,
    /// Loaded in the archive's order while nothing else is: rows that others can refer to already, by the
    /// constraints of an extension's tables.
    pub(crate) alone: bool,
    /// Loaded alone, after all others: triggers fire for its rows, and may look for what is in other tables.
    pub(crate) last: bool,
    /// Where they go in the target's own schema; `None`: into the table itself, as the archive has defined it.
    pub(crate) into: Option<Box<Destination>>,
}

/// Where rows go in a schema that is not the archive's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The target's table.
    pub(crate) table: QualifiedName,
    /// The target's columns, in the order of the rows' fields.
    pub(crate) columns: Vec<String>,
    /// The archive's columns, in that order, and what their values are made of.
    pub(crate) from: Vec<(String, Shape)>,
    /// Set where rows have to be converted: they are held in a temporary table first.
    pub(crate) held: Option<Held>,
}

/// A temporary table with the archive's columns, from which rows are inserted into the target's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its name.
    pub(crate) table: QualifiedName,
    /// The statement that makes it, for the time of a transaction.
    pub(crate) create: String,
    /// The statement that inserts its rows.
    pub(crate) insert: String,
}

impl TableLoad {
    /// Where its rows are held before they go to their table.
    pub(crate) fn held(&self) -> Option<&Held> {
        self.into.as_ref()?.held.as_ref()
    }

    /// The table that holds the rows in the end. Partitions can have their rows go to a root instead.
    pub(crate) fn destination<'a>(
        &'a self,
        roots: &'a HashMap<QualifiedName, QualifiedName>,
    ) -> &'a QualifiedName {
        match &self.into {
            Some(into) => &into.table,
            None => roots.get(&self.table).unwrap_or(&self.table),
        }
    }
}

/// How the rows of a TABLE DATA entry are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowForm {
    /// A COPY stream; the statement names the table with its schema (which can be a partition root).
    Copy(CopyStatement),
    /// INSERT statements (`pg_dump --inserts`), with the schema for search_path where they need one.
    Inserts { schema: Option<String> },
}

/// The whole restore.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Made before all else, from parsed names.
    pub(crate) extensions: Vec<PlannedExtension>,
    /// Schemas of the archive that are made with these.
    pub(crate) extension_schemas: BTreeSet<String>,
    /// The entries that these come from.
    pub(crate) first: Vec<Task>,
    pub(crate) pre_data: Vec<Task>,
    /// Entries of section data that make something which data needs (large objects).
    pub(crate) data_first: Vec<Task>,
    /// Shared with those who read them.
    pub(crate) tables: Arc<Vec<TableLoad>>,
    /// Tables of the archive whose rows are in partitions: data of a partition may be inserted into them.
    pub(crate) partitioned: Arc<HashSet<QualifiedName>>,
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
        let Self { first, pre_data, data_first, data_last, post_data, privileges, last, event_triggers, .. } =
            self;
        [first, pre_data, data_first, data_last, post_data, privileges, last, event_triggers].into_iter().flatten()
    }

    /// Plans the restore of `archive` (whose texts are UTF-8 by now).
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if the archive is a partial one, holds rows of foreign tables, or has entries that only a
    /// superuser can create and there is none.
    pub(crate) fn new(archive: &Archive, facts: &Facts) -> Result<Self, Refusal> {
        match Planner::plan(archive, facts) {
            // In a transaction of `username`'s no superuser makes anything.
            Err(Refusal::NeedsSuperuser { entries, .. }) if facts.trust != Trust::Full && facts.login_is_superuser => {
                Err(Refusal::NeedsTrust { entries, is_swap: false })
            }
            plan => Ok(untrusted::restrict(plan?, archive, facts)?.with_partitioned(archive)),
        }
    }

    /// Plans the restore of what `archive` holds into tables that are there, whatever it defines itself.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if the archive holds rows of foreign tables.
    pub(crate) fn of_contents(archive: &Archive, facts: &Facts) -> Result<Self, Refusal> {
        Ok(Planner::plan_contents(archive, facts)?.with_partitioned(archive))
    }

    fn with_partitioned(mut self, archive: &Archive) -> Self {
        self.partitioned = Arc::new(planner::partitioned_tables(archive));
        self
    }
}
