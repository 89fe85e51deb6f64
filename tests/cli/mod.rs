//! The command line: the main job, plans, documents, connections.

mod connection;
mod doctor;
mod dry_run;
mod json;
mod progress;
mod report;
mod restore;
mod server_trust;
mod targets;
mod tls_chains;
