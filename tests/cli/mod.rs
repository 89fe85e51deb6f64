//! The command line: the main job, plans, documents, connections.

mod connection;
mod doctor;
mod dry_run;
mod json;
mod progress;
mod restore;
mod server_trust;
mod tls_chains;
