//! Shared parts of the tests: a PostgreSQL server, a database for each test, fixtures, and a runner for the binary.

pub(crate) mod application;
pub(crate) mod certificate;
pub(crate) mod cluster;
pub(crate) mod corpus;
pub(crate) mod damage;
pub(crate) mod database;
pub(crate) mod document;
pub(crate) mod extension;
pub(crate) mod fixture;
pub(crate) mod listing;
pub(crate) mod migrations;
pub(crate) mod pgmig;
pub(crate) mod pooler;
pub(crate) mod previous;
pub(crate) mod properties;
pub(crate) mod proxy;
pub(crate) mod pty;
pub(crate) mod relation;
pub(crate) mod releases;
pub(crate) mod replacement;
pub(crate) mod resource_controller;
pub(crate) mod restored;
pub(crate) mod role;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod shared;
pub(crate) mod silence;
pub(crate) mod store;
pub(crate) mod stranger;
pub(crate) mod two_schemas;
pub(crate) mod unknown_store;
pub(crate) mod untouched;
pub(crate) mod way;

pub(crate) use database::Database;
pub(crate) use pgmig::{Outcome, Pgmig};
pub(crate) use server::Server;
