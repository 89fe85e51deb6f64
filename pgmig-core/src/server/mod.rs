//! The PostgreSQL server that is restored to: its configuration file, connections to it, and its errors.
//!
//! Nothing here knows of archives or mappings.

mod activity;
pub(crate) mod archive_role;
mod builder;
pub(crate) mod catalog;
mod config;
mod config_entries;
mod config_error;
pub(crate) mod connect;
mod connection;
pub(crate) mod contents;
mod copy_out;
mod dial;
mod error;
mod event_triggers;
pub(crate) mod extensions;
mod handshake;
mod libpq;
mod limits;
pub(crate) mod lock;
mod login;
mod message;
mod peer_name;
mod policy;
mod relay;
mod require_auth;
mod scram;
pub(crate) mod session;
mod settings;
mod sqlstate;
mod startup;
mod tls;
pub(crate) mod transaction;
mod trust;
mod vcap;
pub(crate) mod waits;
mod watchdog;
pub(crate) mod yaml;

pub use builder::TargetConfigBuilder;
pub use catalog::OtherSession;
pub use config::{Host, TargetConfig, TargetEnvironment};
pub use config_error::ConfigError;
pub use connect::{Connection, connect};
pub use connection::{CONNECTION_VARIABLES, ConnectionEnvironment};
pub use error::{ServerError, TargetError};
pub(crate) use libpq::{LibpqSettings, remove_variables};
pub use lock::LockHolder;
pub use login::Login;
pub use policy::{LIBPQ_VARIABLES, LibpqVariables};
pub use tls::{Ca, SslMode};
pub use vcap::Vcap;
