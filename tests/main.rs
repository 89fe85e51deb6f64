//! Integration tests of pgmig against real PostgreSQL servers: one binary, one private cluster per run
//! (`make test`), a database per test. See README.md in this directory.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails may panic")]

mod bad_input;
mod bad_migrations;
mod bad_rows;
mod carry_over;
mod cli_connection;
mod cli_restore;
mod corpus;
mod durability;
mod failpoints;
mod harness;
mod holdings;
mod jobs;
mod leftovers;
mod obstacles;
mod owner;
mod privileges;
mod prompts;
mod releases;
mod replacing;
mod resource_controller;
mod resource_controller_tls;
mod rewriting;
mod runbooks;
mod secrets;
mod sessions;
mod support;
