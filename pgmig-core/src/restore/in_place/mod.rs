//! Restoring in the target itself, in one transaction: for roles that cannot create databases, and for databases that
//! cannot be renamed.

mod commit;
mod readers;
mod run;

pub(crate) use run::InPlaceRestore;
