//! The statements that restore one entry, with the role and the settings of each.

use crate::archive::DumpId;
use std::sync::Arc;

/// One entry's statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// The entry.
    pub(crate) dump_id: DumpId,
    /// The object that it makes: `INDEX store.tenant_name`.
    pub(crate) label: String,
    /// Its statements, each with the role that runs it.
    pub(crate) statements: Vec<(RunAs, String)>,
    /// The settings of all its statements. Neighbouring entries mostly share them.
    pub(crate) settings: Arc<EntrySettings>,
    /// The step of the entry that the statements are.
    pub(crate) step: EntryStep,
}

/// The role that runs a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunAs {
    /// `username`.
    Owner,
    /// `su_username`, for a text of the archive.
    Superuser,
    /// `su_username`, for a statement that pgmig has written from parsed names and values. It gives nobody but `username` a right.
    Written,
    /// A role that grants privileges on an object of another role.
    Grantor(String),
}

impl RunAs {
    /// Whether `su_username` runs the statement.
    pub(crate) fn is_superuser(&self) -> bool {
        matches!(self, Self::Superuser | Self::Written)
    }
}

/// Settings of the session for one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EntrySettings {
    /// The first schema of search_path. Archives older than 1.13 name objects without their schema.
    pub(crate) schema: Option<String>,
    /// The tablespace; "" is the database's own.
    pub(crate) tablespace: Option<String>,
    /// The table access method.
    pub(crate) access_method: Option<String>,
}

/// The step of an entry that a task makes. [`two_steps`](crate::restore::load::two_steps) splits some entries in two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum EntryStep {
    #[default]
    Whole,
    First,
    Second,
}
