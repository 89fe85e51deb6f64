//! `pgmig backup`: the real pg_dump of the test's server, or a script in its place.
//!
//! The kinds of faults, and their relatives that are tried:
//! - a backup is not the database: to a directory, a file and standard output, of a database and of the reference store, by TCP, by
//!   socket and by TLS (`whole`, `connection`);
//! - a file looks like a backup and is none: pg_dump that fails, that stops early, that writes more or something else, that is too
//!   old or not there; interrupted, terminated and killed; a file that exists (`failed`, `programs`);
//! - a password is shown: in arguments, in the environment, in files, with every letter that a password file escapes (`secrets`);
//! - a protection is passed over: modes and CAs, demands that the pg_dump does not know (`connection`);
//! - the removal of old backups removes too much: other files, links, directories, other databases, the last good one (`prune`);
//! - there is no way back: before a restore in place and a swap, a backup that cannot be made, that fails or that is interrupted,
//!   sessions that write meanwhile, the plan (`first`);
//! - the secret's JSON is misread: both keys, every nesting, for backups and for restores (`vcap`).

mod connection;
mod failed;
mod first;
mod programs;
mod prune;
mod secrets;
mod vcap;
mod whole;
