//! The facts about the cluster, and about the database to restore into, that a plan depends on.

use super::closed::ClosedObjects;
use super::extensions::{Extension, MemberRelation, StayingExtension};
use super::not_ours::NotOurs;
use super::roles::Roles;
use super::untrusted::Trust;
use crate::archive::DumpId;
use crate::sql::QualifiedName;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The facts about the cluster, and about the database before anything is restored.
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
    /// Whether a superuser makes every object, and hands all of them over when the database is complete.
    pub(crate) builds_as_superuser: bool,
    /// Whether `username` owns schema public, directly or through a role.
    pub(crate) owner_owns_public: bool,
    /// Whether `username` is a superuser.
    pub(crate) owner_is_superuser: bool,
    /// The roles of the cluster.
    pub(crate) roles: Roles,
    /// The tablespaces that `username` can use.
    pub(crate) tablespaces: BTreeSet<String>,
    /// The database to restore into.
    pub(crate) database: EmptyDatabase,
    /// The rights of `username` that the statements of an archive may require.
    pub(crate) rights: OwnerRights,
    /// How far the archive is trusted.
    pub(crate) trust: Trust,
    /// The server's own time zone, if pgmig can read it.
    pub(crate) time_zone: Option<String>,
}

/// The rights of `username` that the statements of an archive may require, as far as the server was asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnerRights {
    /// Parameters that `username` may set in a function, in lower case. `None`: the server was not asked.
    pub(crate) parameters: Option<BTreeSet<String>>,
    /// The languages of the target, each with whether it is trusted.
    pub(crate) languages: BTreeMap<String, bool>,
    /// Objects that `username` may not use.
    pub(crate) closed: ClosedObjects,
    /// Entries with options for a foreign-data wrapper that `username` may not set, each with the server's reason.
    pub(crate) refused_options: BTreeMap<DumpId, String>,
    /// Tables of other roles to which foreign keys of `username` may refer, as SQL.
    pub(crate) referable: BTreeSet<String>,
}

/// The rights of `username` on a schema that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SchemaRights {
    /// Whether `username` owns it, directly or through a role.
    pub(crate) owns: bool,
    /// Whether `username` may create objects in it.
    pub(crate) creates: bool,
}

/// A database before anything is restored into it: a new one, or the target after clearing.
#[derive(Debug, Clone, Default)]
pub(crate) struct EmptyDatabase {
    /// Its name once it is restored.
    pub(crate) name: String,
    /// Extensions that exist (plpgsql).
    pub(crate) extensions: BTreeSet<String>,
    /// Extensions that the server has.
    pub(crate) available: BTreeMap<String, Extension>,
    /// Extensions that the target has. Those that the archive does not have are created again.
    pub(crate) extra: BTreeSet<String>,
    /// Extensions of other roles, which stay.
    pub(crate) staying: BTreeMap<String, StayingExtension>,
    /// Their tables and sequences.
    pub(crate) members: HashMap<QualifiedName, MemberRelation>,
    /// Their objects that other schemas than the archive's contain: the extension, and the name in its schema.
    pub(crate) member_names: Vec<(String, String)>,
    /// The server's setting `cron.database_name`.
    pub(crate) cron_database: Option<String>,
    /// Schemas that exist and that a new database would not have in this state.
    pub(crate) schemas: BTreeMap<String, SchemaRights>,
    /// Foreign data wrappers that `username` may use.
    pub(crate) wrappers: BTreeSet<String>,
    /// Objects of other roles.
    pub(crate) not_ours: NotOurs,
    /// Whether `username` may not create schemas, extensions and publications.
    pub(crate) closed: bool,
}
