//! Integration tests of pgmig against real PostgreSQL servers: one binary, one private cluster per run
//! (`make test`), a database per test. See README.md in this directory.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails may panic")]

mod archive;
mod backup;
mod cli;
mod deploy;
mod every;
mod faults;
mod harness;
mod hostile;
mod in_place;
mod instances;
mod messages;
mod objects;
mod previous;
mod privileges;
mod retraining;
mod rewriting;
mod schema_target;
mod selection;
mod soak;
mod speech;
mod support;
mod swap;
mod sweep;
mod trust;
mod upgrade;
