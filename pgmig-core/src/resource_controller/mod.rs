//! The Resource Controller, which knows the instances that are provisioned on the target.
//!
//! Only its configuration file is read so far: nothing is asked of it yet.

mod config;

pub use config::{ResourceControllerConfig, ResourceControllerConfigError, ServiceType};
