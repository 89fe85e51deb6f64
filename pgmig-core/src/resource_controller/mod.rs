//! The Resource Controller, which lists the instances that are provisioned on the target.
//!
//! Two services have that name. Without `type` in `resourceController.yaml`, pgmig uses the gateway's own
//! (`/api/ibmcloud/resource-controller`); with `type`, the platform's (`zen-core-api`). [`ResourceController`] sends
//! requests to either with every access token, and merges the answers into one [`Listing`].
//!
//! The connection always uses TLS. No token is sent unless the server's certificate is verified, or is the one that
//! the caller trusts.
//!
//! This module is independent of archives, mappings and PostgreSQL.

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
