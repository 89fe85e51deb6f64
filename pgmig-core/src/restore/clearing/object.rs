//! Objects of the target, and what of others is in their way.

use std::fmt;

/// An object's place in the catalogs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address {
    /// The catalog's OID.
    pub(crate) class: u32,
    /// The object's OID in it.
    pub(crate) object: u32,
}

/// An object as `pg_identify_object` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// `table`, `text search parser`, ...
    pub(crate) kind: String,
    /// Its name as SQL, with its schema; what a statement of its kind takes.
    pub(crate) identity: String,
    /// Its owner as SQL, of what is not ours.
    pub(crate) owner: String,
}

/// Something of others that would be dropped with what goes, or keeps it from being dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// In PostgreSQL's words: `view store.report`.
    pub(crate) object: String,
    /// Who owns it, as SQL.
    pub(crate) owner: String,
    /// What it depends on, where it is that.
    pub(crate) because_of: Option<String>,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.object, self.owner)?;
        if let Some(of) = &self.because_of {
            write!(f, ", which depends on {of}")?;
        }
        if self.object.starts_with("event trigger ") {
            f.write_str(
                "; only a superuser can drop it, and make it again, afterwards or on a function of its own",
            )?;
        }
        Ok(())
    }
}
