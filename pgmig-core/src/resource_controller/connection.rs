//! A TLS connection to the Resource Controller, verified before any data is sent over it.
//!
//! pgmig uses OpenSSL directly, not through native-tls (which uses OpenSSL itself on Linux). OpenSSL can complete a
//! handshake with a certificate that cannot be verified, reports the reason and the certificate, and leaves the
//! decision to pgmig. So the certificate that is shown, the one that is trusted, and the one of the connection are
//! the same.

use super::ca::{CaCertificates, CaSource};
use super::certificate::{CertificateInfo, Fingerprint};
use super::endpoint::Endpoint;
use super::error::{ResourceControllerError, UntrustedCertificate};
use super::retry::Failure;
use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod, SslRef, SslVerifyMode, SslVersion};
use openssl::x509::X509VerifyResult;
use openssl::x509::verify::X509VerifyFlags;
use std::pin::Pin;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// The security of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The protocol version: `TLSv1.2`, `TLSv1.3`.
    pub version: String,
    /// The reason why the certificate was accepted.
    pub verification: Verification,
    /// The server's certificate.
    pub certificate: CertificateInfo,
}

/// The reason why a certificate was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verification {
    /// It is for this host, valid, and signed by this CA.
    Verified(CaSource),
    /// The caller trusts exactly this certificate.
    Trusted,
    /// The configuration contains `insecureSkipVerify`.
    Skipped {
        /// The reason why it could not be verified.
        reason: String,
    },
}

/// Makes connections.
#[derive(Debug)]
pub(super) struct Connector {
    ssl: SslConnector,
    certificates: CaCertificates,
    insecure_skip_verify: bool,
    pub(super) trusted: Option<Fingerprint>,
}

impl Connector {
    pub(super) fn new(
        certificates: CaCertificates,
        insecure_skip_verify: bool,
    ) -> Result<Self, ResourceControllerError> {
        let ssl = ssl(&certificates).map_err(ResourceControllerError::TlsSetup)?;
        Ok(Self { ssl, certificates, insecure_skip_verify, trusted: None })
    }

    /// Connects, and accepts the server's certificate. No request is sent yet.
    pub(super) async fn connect(
        &self,
        endpoint: &Endpoint,
        limit: Duration,
    ) -> Result<(SslStream<TcpStream>, TlsInfo), Failure> {
        match tokio::time::timeout(limit, self.handshake(endpoint)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::passing(ResourceControllerError::Timeout {
                server: endpoint.authority(),
                phase: "accept a connection",
                seconds: limit.as_secs_f64(),
                attempts: 1,
            })),
        }
    }

    async fn handshake(&self, endpoint: &Endpoint) -> Result<(SslStream<TcpStream>, TlsInfo), Failure> {
        let setup = |error| Failure::last(ResourceControllerError::TlsSetup(error));
        let tcp = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
            .await
            .map_err(|error| unreachable(endpoint, error.to_string()))?;
        let ssl = self.ssl.configure().and_then(|configuration| configuration.into_ssl(&endpoint.host));
        let mut stream = SslStream::new(ssl.map_err(setup)?, tcp).map_err(setup)?;
        Pin::new(&mut stream).connect().await.map_err(|error| handshake_failure(endpoint, &error))?;
        let tls = self.accept(endpoint, stream.ssl()).map_err(Failure::last)?;
        Ok((stream, tls))
    }

    /// Decides whether tokens may be sent to this server.
    fn accept(&self, endpoint: &Endpoint, ssl: &SslRef) -> Result<TlsInfo, ResourceControllerError> {
        let Some(certificate) = ssl.peer_certificate() else {
            let reason = "the server shows no certificate".to_owned();
            return Err(ResourceControllerError::Tls { server: endpoint.authority(), reason });
        };
        let certificate = CertificateInfo::new(&certificate).map_err(ResourceControllerError::TlsSetup)?;
        let result = ssl.verify_result();
        let verification = if result == X509VerifyResult::OK {
            Verification::Verified(self.anchor(ssl).map_err(ResourceControllerError::TlsSetup)?)
        } else if self.trusted == Some(certificate.fingerprint) {
            Verification::Trusted
        } else if self.insecure_skip_verify {
            Verification::Skipped { reason: result.error_string().to_owned() }
        } else {
            return Err(ResourceControllerError::UntrustedCertificate(Box::new(UntrustedCertificate {
                server: endpoint.authority(),
                reason: result.error_string().to_owned(),
                certificate,
            })));
        };
        Ok(TlsInfo { version: ssl.version_str().to_owned(), verification, certificate })
    }

    /// The source of the CA certificate that verified the server's certificate.
    fn anchor(&self, ssl: &SslRef) -> Result<CaSource, ErrorStack> {
        let Some(anchor) = ssl.verified_chain().and_then(|chain| chain.iter().last()) else {
            return Ok(CaSource::System);
        };
        Ok(self.certificates.source_of(Fingerprint::of(anchor)?))
    }
}

fn ssl(certificates: &CaCertificates) -> Result<SslConnector, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    // A CA file may contain only an intermediate CA, or the server's own certificate.
    builder.verify_param_mut().set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    certificates.install(&mut builder)?;
    // OpenSSL still verifies, but does not end the handshake: `accept` decides.
    builder.set_verify(SslVerifyMode::NONE);
    Ok(builder.build())
}

fn handshake_failure(endpoint: &Endpoint, error: &openssl::ssl::Error) -> Failure {
    if let Some(error) = error.io_error() {
        return unreachable(endpoint, error.to_string());
    }
    let reason = error.ssl_error().and_then(|stack| stack.errors().first()).and_then(|error| error.reason());
    match reason {
        // OpenSSL 3 gives this reason where older versions give none.
        None | Some("unexpected eof while reading") => {
            unreachable(endpoint, "the server closed the connection during the TLS handshake".to_owned())
        }
        Some(reason) => {
            let reason = match reason {
                "wrong version number"
                | "http request"
                | "packet length too long"
                | "record layer failure" => {
                    format!("the server does not speak TLS ({reason})")
                }
                other => other.to_owned(),
            };
            Failure::last(ResourceControllerError::Tls { server: endpoint.authority(), reason })
        }
    }
}

pub(super) fn unreachable(endpoint: &Endpoint, reason: String) -> Failure {
    Failure::passing(ResourceControllerError::Unreachable {
        server: endpoint.authority(),
        reason,
        attempts: 1,
    })
}
