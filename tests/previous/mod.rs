//! The way back: `pgmig previous list|rollback|drop`, for the databases that a swap has replaced and kept.
//!
//! The kinds of faults, and their relatives that are tried:
//! - a rollback loses data or properties: after each strategy, twice in a row, with other owners, privileges, settings,
//!   limits, comments, tablespaces and slots of both databases (`whole`, `state`, `slots`);
//! - a rollback that fails leaves a state between: stopped and killed at each step, interrupted, its server process ended, with
//!   sessions on either database (`failed`, `sessions`);
//! - a database that is not the target's is renamed or dropped: comments that others wrote or copied, other targets, other owners,
//!   other names, staging databases, templates, invalid databases (`hostile`, `removal`);
//! - a right is missing: as a superuser, as an owner with and without CREATEDB, as a stranger (`rights`);
//! - a name breaks a command, a table or a document (`names`, `documents`);
//! - a DROP that somebody cancels leaves the previous database behind (`cancelled`).

mod cancelled;
mod documents;
mod failed;
mod hostile;
mod names;
mod removal;
mod rights;
mod sessions;
mod slots;
mod state;
mod whole;
