//! The PostgreSQL server that is restored to: its configuration file, connections to it, and its errors.
//!
//! Nothing here knows of archives or mappings.

mod builder;
pub(crate) mod catalog;
mod config;
pub(crate) mod connect;
pub(crate) mod contents;
mod error;
pub(crate) mod lock;
pub(crate) mod session;
mod tls;
pub(crate) mod transaction;
pub(crate) mod yaml;

pub use builder::TargetConfigBuilder;
pub use catalog::OtherSession;
pub use config::{ConfigError, Host, TargetConfig, TargetEnvironment};
pub use connect::connect;
pub use error::{ServerError, TargetError};
pub use lock::LockHolder;
pub use tls::{Ca, SslMode};
