//! The Resource Controller, which knows the instances that are provisioned on the target.
//!
//! Two services answer to that name: without `type` in `resourceController.yaml` the gateway's own
//! (`/api/ibmcloud/resource-controller`), with it the platform's (`zen-core-api`). [`ResourceController`] asks
//! either, for every access token, and merges the answers into one [`Listing`]. TLS always: no token is sent
//! before the server's certificate is verified, or is the one that the caller trusts.
//!
//! Nothing here knows of archives, mappings or PostgreSQL.

mod ca;
mod certificate;
mod client;
mod config;
mod connection;
mod endpoint;
mod entry;
mod error;
mod gateway;
mod json;
mod limits;
mod listing;
mod request;
mod retry;
mod token;
mod zen;

pub use ca::{CLUSTER_CA_FILES, CaSource};
pub use certificate::{CertificateInfo, Fingerprint};
pub use client::ResourceController;
pub use config::{RcEnvironment, ResourceControllerConfig, ResourceControllerConfigError, ServiceType};
pub use connection::{TlsInfo, Verification};
pub use error::{ResourceControllerError, UntrustedCertificate};
pub use limits::Limits;
pub use listing::{Listing, ProvisionedInstance, TokenListing, UnusableInstance};
