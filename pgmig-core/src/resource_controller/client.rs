//! The client of the Resource Controller.

use super::ca::{CLUSTER_CA_FILES, CaCertificates};
use super::certificate::Fingerprint;
use super::config::{RcEnvironment, ResourceControllerConfig};
use super::connection::Connector;
use super::endpoint::Endpoint;
use super::error::ResourceControllerError;
use super::limits::Limits;
use super::listing::{Collector, Listing};
use super::request::Requester;
use super::token::AccessToken;
use super::{gateway, zen};

/// Lists provisioned instances.
///
/// ```no_run
/// use pgmig_core::resource_controller::{RcEnvironment, ResourceController, ResourceControllerConfig};
/// # async fn list() -> Result<(), pgmig_core::Error> {
/// let config = ResourceControllerConfig::from_file("resourceController.yaml".as_ref())?;
/// let controller = ResourceController::new(config, &RcEnvironment::default())?;
/// for instance in controller.list_instances().await?.instances {
///     println!("{} {}", instance.id, instance.name.unwrap_or_default());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ResourceController {
    requester: Requester,
    tokens: Vec<AccessToken>,
}

impl ResourceController {
    /// Reads the files of CA certificates. Makes no connection yet.
    ///
    /// # Errors
    ///
    /// A file of CA certificates that the user named cannot be used, or a token is malformed.
    pub fn new(
        config: ResourceControllerConfig,
        environment: &RcEnvironment,
    ) -> Result<Self, ResourceControllerError> {
        let tokens = config.access_tokens.iter().enumerate();
        let tokens =
            tokens.map(|(index, token)| AccessToken::new(index + 1, token)).collect::<Result<_, _>>()?;
        let certificates = CaCertificates::read(
            config.ca_file.as_deref(),
            environment.rc_ca_file.as_deref(),
            &CLUSTER_CA_FILES,
        )?;
        let connector = Connector::new(certificates, config.insecure_skip_verify)?;
        let requester = Requester { endpoint: Endpoint::new(&config), connector, limits: Limits::default() };
        Ok(Self { requester, tokens })
    }

    /// The same client with other time-outs and retries.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.requester.limits = limits;
        self
    }

    /// Accepts, from now on, the certificate with this fingerprint although it cannot be verified. Accepts no other
    /// such certificate.
    ///
    /// For a caller that got [`ResourceControllerError::UntrustedCertificate`] and showed the certificate to a user, and
    /// the user decided to continue.
    pub fn trust(&mut self, fingerprint: Fingerprint) {
        self.requester.connector.trusted = Some(fingerprint);
    }

    /// The address of the Resource Controller: `https://host:port`.
    pub fn url(&self) -> String {
        self.requester.endpoint.url("")
    }

    /// Lists the instances that each token can see, page by page, and merges the lists. Uses the tokens one after the
    /// other. Cancelling is safe: nothing is changed anywhere.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, its certificate cannot be verified, it does not accept one of the tokens, or it
    /// returns no list, or none that ends within [`Limits::listing`]. The results of other tokens are then not
    /// returned: an incomplete list would look like a complete one.
    pub async fn list_instances(&self) -> Result<Listing, ResourceControllerError> {
        let limit = self.requester.limits.listing;
        tokio::time::timeout(limit, self.list()).await.unwrap_or_else(|_| {
            Err(ResourceControllerError::Timeout {
                server: self.requester.endpoint.authority(),
                phase: "come to the end of its list of instances",
                seconds: limit.as_secs_f64(),
                attempts: 1,
            })
        })
    }

    async fn list(&self) -> Result<Listing, ResourceControllerError> {
        let service_type = self.requester.endpoint.service_type;
        let mut collector = Collector::new(service_type);
        let mut tls = None;
        for token in &self.tokens {
            let seen = match service_type {
                None => gateway::list(&self.requester, token).await?,
                Some(service_type) => zen::list(&self.requester, service_type, token).await?,
            };
            tracing::debug!(token = token.position, entries = seen.entries.len(), "listed");
            collector.add(token.position, seen.entries, seen.claimed);
            tls.get_or_insert(seen.tls);
        }
        let tls = tls.ok_or(ResourceControllerError::NoToken)?;
        Ok(collector.finish(self.url(), *tls))
    }
}
