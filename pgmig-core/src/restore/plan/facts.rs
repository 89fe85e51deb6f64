//! What the planner knows of the cluster and of the database that it restores into.

use super::not_ours::NotOurs;
use super::roles::Roles;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the cluster and of a new database in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// The server's version as a number, 150018 for 15.18.
    pub(crate) server_version: i32,
    /// The role that connects.
    pub(crate) login: String,
    /// Whether it is a superuser.
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
    pub(crate) database: EmptyDatabase,
}

/// What the server says of an extension that could be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extension {
    /// Whether who may create objects in the database may create it.
    pub(crate) for_everyone: bool,
}

/// What `username` may do with a schema that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SchemaRights {
    /// Whether it is its own, directly or through a role.
    pub(crate) owns: bool,
    /// Whether it may create objects in it.
    pub(crate) creates: bool,
}

/// What a database holds before anything is restored into it: a new one, or one that has been cleared.
#[derive(Debug, Clone, Default)]
pub(crate) struct EmptyDatabase {
    /// Extensions that are there from the beginning (plpgsql).
    pub(crate) extensions: BTreeSet<String>,
    /// Extensions that the server could create.
    pub(crate) available: BTreeMap<String, Extension>,
    /// Schemas that are there, as far as a new database would not have them just so.
    pub(crate) schemas: BTreeMap<String, SchemaRights>,
    /// Foreign data wrappers that `username` may use.
    pub(crate) wrappers: BTreeSet<String>,
    /// Objects of others.
    pub(crate) not_ours: NotOurs,
    /// Whether `username` may not create schemas, extensions and publications.
    pub(crate) closed: bool,
}
