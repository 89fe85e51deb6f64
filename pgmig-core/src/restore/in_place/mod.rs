//! Restores in the target database itself, in one transaction.
//!
//! For roles that cannot create databases, and for databases that cannot be renamed.

mod commit;
mod readers;
mod run;

pub(crate) use run::InPlaceRestore;
