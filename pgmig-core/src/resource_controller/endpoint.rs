//! The address of the Resource Controller.

use super::config::{ResourceControllerConfig, ServiceType};
use std::net::Ipv6Addr;

/// The host, the port, and the expected service of the two.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) service_type: Option<ServiceType>,
}

impl Endpoint {
    pub(super) fn new(config: &ResourceControllerConfig) -> Self {
        Self { host: config.host.clone(), port: config.port, service_type: config.service_type }
    }

    /// `host:port`, as in a URL.
    pub(super) fn authority(&self) -> String {
        if self.host.parse::<Ipv6Addr>().is_ok() {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The URL of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.authority())
    }

    /// Advice for the case that another service answers.
    pub(super) fn advice(&self) -> &'static str {
        match self.service_type {
            None => {
                "check that host and port are those of RESOURCE_CONTROLLER_URL; for release 5.2.1 and later, set type"
            }
            Some(_) => {
                "check that host and port are those of zen-core-api (zen-core-api-svc.NAMESPACE, 4444); before release 5.2.1, leave type out"
            }
        }
    }
}
