//! What the restore of one entry runs: its statements, as whom, and with which settings.

use crate::archive::DumpId;
use std::sync::Arc;

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
    pub(crate) step: EntryStep,
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

/// How much of its entry a task makes: see [`two_steps`](crate::restore::load::two_steps).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum EntryStep {
    #[default]
    Whole,
    First,
    Second,
}
