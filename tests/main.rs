//! Integration tests of pgmig against real PostgreSQL servers: one binary, one private cluster per run
//! (`make test`), a database per test. See README.md in this directory.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails may panic")]

mod bad_input;
mod bad_migrations;
mod bad_rows;
mod binary_ids;
mod carry_over;
mod cli_connection;
mod cli_restore;
mod corpus;
mod dry_run;
mod durability;
mod failpoints;
mod formats;
mod generated;
mod harness;
mod histories;
mod holdings;
mod in_place;
mod in_place_clearing;
mod in_place_corpus;
mod in_place_readers;
mod in_place_rights;
mod inspect;
mod jobs;
mod json;
mod leftovers;
mod lineage;
mod obstacles;
mod oracles_corpus;
mod owner;
mod privileges;
mod prompts;
mod releases;
mod replacing;
mod resource_controller;
mod resource_controller_tls;
mod rewriting;
mod rewritten_types;
mod runbooks;
mod schema_target;
mod schema_target_code;
mod schema_target_kept;
mod schema_target_rules;
mod schema_target_types;
mod secrets;
mod server_trust;
mod sessions;
mod support;
mod tls_chains;
mod user_profile;
mod verify;
mod verify_corpus;
