//! Restoring in the target itself, in one transaction: for who may create no database, and for databases that
//! cannot be renamed.

mod clearing;
mod commit;
mod guard;
mod locks;
mod preflight;
mod readers;
mod run;
pub(super) mod transaction;
mod waiting;

pub(super) use clearing::Clearing;
pub(super) use guard::Guard;
pub(super) use locks::of_entry as locks_of_entry;
pub(super) use preflight::{control_in, notices, preflight};
pub(super) use run::InPlace;
