//! The PostgreSQL server that is restored to: its configuration file, connections to it, and its errors.
//!
//! Nothing here knows of archives or mappings.

mod config;
mod connect;
mod error;
mod tls;
pub(crate) mod yaml;

pub use config::{ConfigError, Host, TargetConfig, TargetEnvironment};
pub use connect::connect;
pub use error::{ServerError, TargetError};
pub use tls::{Ca, SslMode};
