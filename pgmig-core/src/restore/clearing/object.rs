//! Objects of the target, and objects of other roles that are in the way.

use std::fmt;

/// The place of an object in the catalogs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address {
    /// The OID of the catalog.
    pub(crate) class: u32,
    /// The OID of the object in that catalog.
    pub(crate) object: u32,
}

/// An object as `pg_identify_object` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// `table`, `text search parser`, ...
    pub(crate) kind: String,
    /// Its name with its schema, as SQL, in the form that DROP and ALTER expect.
    pub(crate) identity: String,
    /// Its owner, as SQL; empty for our own objects.
    pub(crate) owner: String,
}

/// An object of another role that our DROP would take along, or that blocks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// In PostgreSQL's words: `view store.report`.
    pub(crate) object: String,
    /// Its owner, as SQL.
    pub(crate) owner: String,
    /// The object of ours that it depends on, if any.
    pub(crate) because_of: Option<String>,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.object, self.owner)?;
        if let Some(of) = &self.because_of {
            write!(f, ", which depends on {of}")?;
        }
        if self.object.starts_with("event trigger ") {
            f.write_str("; let a superuser drop it before the restore, and create it again afterwards")?;
        }
        Ok(())
    }
}
