//! The TLS handshake with a server: which certificates are trusted, and what the server's own one says.
//!
//! Does what libpq does with OpenSSL. sqlx cannot: it trusts the operating system's CAs beside the one that was given,
//! and has no CRLs.

use crate::config_file::{MAX_CA_BYTES, read_bytes};
use crate::server::config::TargetConfig;
use crate::server::error::TargetError;
use crate::server::peer_name;
use crate::server::policy::{ClientCertificate, Policy};
use crate::server::tls::{Ca, SslMode};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{self, Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslVerifyMode};
use openssl::x509::store::{X509Lookup, X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509Ref, X509VerifyResult};
use std::fs::File;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_openssl::SslStream;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
/// The name of PostgreSQL's protocol in TLS, which servers from 17 on check.
const ALPN: &[u8] = b"postgresql";

/// A context that is made once for a configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct ContextCell(Arc<OnceCell<Context>>);

/// Certificates that are trusted, and what is sent to the server.
struct Context(SslContext);

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context")
    }
}

/// What is known of a connection with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsFacts {
    /// `TLSv1.3`.
    pub(super) version: &'static str,
    /// Whether the certificate was issued by the CA, and for the host where sslmode asks for that.
    pub(super) is_verified: bool,
    /// The hash of the server's certificate for channel binding (`tls-server-end-point`); `None` where the certificate's
    /// algorithm has no hash.
    pub(super) endpoint: Option<Vec<u8>>,
}

/// Why there is no TLS connection.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// A file cannot be used, or OpenSSL fails.
    Setup(TargetError),
    /// The certificate is not acceptable.
    Certificate(X509VerifyResult),
    /// The certificate is for other hosts.
    Name,
    /// The server broke it off, or speaks no TLS.
    Failed(String),
}

/// Makes a TLS connection of this one.
pub(super) async fn handshake(
    config: &TargetConfig,
    host: &str,
    tcp: TcpStream,
) -> Result<(SslStream<TcpStream>, TlsFacts), HandshakeError> {
    let context = context(config).await.map_err(HandshakeError::Setup)?;
    let failed = |error: ErrorStack| HandshakeError::Failed(error.to_string());
    let mut ssl = Ssl::new(&context).map_err(failed)?;
    if config.policy.sends_server_name && host.parse::<IpAddr>().is_err() {
        ssl.set_hostname(host).map_err(failed)?;
    }
    let mut stream = SslStream::new(ssl, tcp).map_err(failed)?;
    if let Err(error) = Pin::new(&mut stream).connect().await {
        return Err(handshake_error(&error, stream.ssl().verify_result()));
    }
    let ssl = stream.ssl();
    let Some(certificate) = ssl.peer_certificate() else {
        return Err(HandshakeError::Failed("the server has no certificate".to_owned()));
    };
    if config.ssl_mode == SslMode::VerifyFull && !peer_name::is_for_host(&certificate, host) {
        return Err(HandshakeError::Name);
    }
    if config.policy.is_direct && ssl.selected_alpn_protocol() != Some(ALPN) {
        let reason = "the server does not take TLS without being asked (PGSSLNEGOTIATION=direct)";
        return Err(HandshakeError::Failed(reason.to_owned()));
    }
    let facts = TlsFacts {
        version: ssl.version_str(),
        is_verified: config.ca.is_some(),
        endpoint: endpoint_hash(&certificate),
    };
    Ok((stream, facts))
}

impl HandshakeError {
    /// The error as the operator gets it.
    pub(super) fn into_target_error(self, config: &TargetConfig) -> TargetError {
        let (reason, advice) = match self {
            Self::Setup(error) => return error,
            Self::Certificate(result) => {
                certificate_reason(result.as_raw(), result.error_string(), config.ca.as_ref())
            }
            Self::Name => (
                "the server's certificate is not for this host".to_owned(),
                "use a host name that the server's certificate has, or set sslmode: verify-ca",
            ),
            Self::Failed(reason) => {
                (reason, "check that this is a PostgreSQL server, and which TLS versions it accepts")
            }
        };
        TargetError::Tls { server: config.server(), mode: config.ssl_mode, reason, advice }
    }
}

/// OpenSSL's numbers of the reasons that concern the issuer (`X509_V_ERR_...`): no issuer, no local issuer, a leaf that
/// nothing verifies, a self-signed leaf, a self-signed root that is not trusted.
const UNKNOWN_ISSUER: [i32; 5] = [2, 20, 21, 18, 19];
/// Not yet valid, and expired.
const WRONG_TIME: [i32; 2] = [9, 10];
/// There is no CRL of the issuer; it is not yet valid; it is too old.
const NO_CRL: [i32; 3] = [3, 11, 12];
const REVOKED: i32 = 23;

/// What is wrong with the certificate by OpenSSL's number, and what to do; `why` is OpenSSL's text.
fn certificate_reason(code: i32, why: &str, ca: Option<&Ca>) -> (String, &'static str) {
    let (reason, advice) = match ca {
        Some(Ca::File { path, .. }) if UNKNOWN_ISSUER.contains(&code) => (
            format!("the server's certificate was not issued by the CA in {}", path.display()),
            "use this cluster's ca.crt",
        ),
        _ if UNKNOWN_ISSUER.contains(&code) => (
            "the server's certificate was not issued by a public CA".to_owned(),
            "set PG_CA_FILE or sslrootcert to this cluster's ca.crt",
        ),
        _ if WRONG_TIME.contains(&code) => (
            "the server's certificate is not valid now".to_owned(),
            "renew the server's certificate, or check this machine's clock",
        ),
        _ if NO_CRL.contains(&code) => (
            "there is no valid CRL for an issuer of the server's certificate".to_owned(),
            "renew the CRL of each CA in the chain (PGSSLCRL, PGSSLCRLDIR)",
        ),
        _ if code == REVOKED => {
            ("the server's certificate is revoked".to_owned(), "have the server's certificate replaced")
        }
        _ => ("the server's certificate is not acceptable".to_owned(), "check the server's certificate"),
    };
    (format!("{reason} ({why})"), advice)
}

fn handshake_error(error: &ssl::Error, verified: X509VerifyResult) -> HandshakeError {
    if verified != X509VerifyResult::OK {
        return HandshakeError::Certificate(verified);
    }
    if let Some(error) = error.io_error() {
        return HandshakeError::Failed(error.to_string());
    }
    let reasons = error.ssl_error().map(ErrorStack::errors).unwrap_or_default();
    match reasons.iter().find_map(|error| error.reason()) {
        Some(reason) => HandshakeError::Failed(reason.to_owned()),
        None => HandshakeError::Failed("the server closed the connection during the handshake".to_owned()),
    }
}

/// RFC 5929: the hash of the certificate by the algorithm of its own signature, SHA-256 for older ones.
fn endpoint_hash(certificate: &X509Ref) -> Option<Vec<u8>> {
    let digest = certificate.signature_algorithm().object().nid().signature_algorithms()?.digest;
    let digest = match digest {
        Nid::MD5 | Nid::SHA1 => MessageDigest::sha256(),
        digest => MessageDigest::from_nid(digest)?,
    };
    Some(certificate.digest(digest).ok()?.to_vec())
}

async fn context(config: &TargetConfig) -> Result<SslContext, TargetError> {
    let made = config.tls_context.0.get_or_try_init(async || {
        let (ca, policy) = (config.ca.clone(), config.policy.clone());
        let making = tokio::task::spawn_blocking(move || make_context(ca.as_ref(), &policy));
        making.await.unwrap_or_else(|_| Err(openssl_failed()))
    });
    Ok(made.await?.0.clone())
}

fn openssl_failed() -> TargetError {
    TargetError::TlsSetup {
        what: "OpenSSL".to_owned(),
        reason: "it cannot be set up on this machine".to_owned(),
    }
}

fn make_context(ca: Option<&Ca>, policy: &Policy) -> Result<Context, TargetError> {
    let failed = |_: ErrorStack| openssl_failed();
    let mut builder = SslContextBuilder::new(SslMethod::tls_client()).map_err(failed)?;
    builder.set_mode(
        ssl::SslMode::AUTO_RETRY
            | ssl::SslMode::ACCEPT_MOVING_WRITE_BUFFER
            | ssl::SslMode::ENABLE_PARTIAL_WRITE,
    );
    builder.set_min_proto_version(Some(policy.min_version)).map_err(failed)?;
    builder.set_max_proto_version(policy.max_version).map_err(failed)?;
    let mut alpn = vec![u8::try_from(ALPN.len()).unwrap_or_default()];
    alpn.extend_from_slice(ALPN);
    builder.set_alpn_protos(&alpn).map_err(failed)?;
    if let Some(ca) = ca {
        builder.set_cert_store(trusted(ca, policy)?);
        builder.set_verify(SslVerifyMode::PEER);
    } else {
        builder.set_verify(SslVerifyMode::NONE);
    }
    if let Some(client) = &policy.client {
        add_client_certificate(&mut builder, client)?;
    }
    Ok(Context(builder.build()))
}

/// The certificates of the CA and no others, and what they have revoked.
fn trusted(ca: &Ca, policy: &Policy) -> Result<X509Store, TargetError> {
    let failed = |_: ErrorStack| openssl_failed();
    let mut store = X509StoreBuilder::new().map_err(failed)?;
    match ca {
        Ca::System => {
            store.set_default_paths().map_err(failed)?;
            // The default paths are those of OpenSSL's build, which one that is linked in does not find on this machine.
            if cfg!(feature = "vendored-tls") {
                add_system(&mut store).map_err(failed)?;
            }
        }
        Ca::File { path, named_by } => {
            for certificate in read_certificates(path, named_by)? {
                store.add_cert(certificate).map_err(failed)?;
            }
        }
    }
    if let Some(path) = &policy.crl_file {
        let unusable = |reason: &str| setup_error(path, "PGSSLCRL", reason);
        // OpenSSL's own error does not tell a missing file from a damaged one.
        File::open(path).map_err(|error| unusable(&error.to_string()))?;
        let lookup = store.add_lookup(X509Lookup::file()).map_err(failed)?;
        let loaded = lookup.load_crl_file(path, SslFiletype::PEM);
        loaded.map_err(|_| unusable("it holds no CRL in PEM form, or a damaged one"))?;
    }
    if let Some(path) = &policy.crl_directory {
        let unusable = |reason: &str| setup_error(path, "PGSSLCRLDIR", reason);
        std::fs::read_dir(path).map_err(|error| unusable(&error.to_string()))?;
        let name = path.to_str().ok_or_else(|| unusable("its name is not UTF-8"))?;
        let lookup = store.add_lookup(X509Lookup::hash_dir()).map_err(failed)?;
        lookup.add_dir(name, SslFiletype::PEM).map_err(failed)?;
    }
    if policy.crl_file.is_some() || policy.crl_directory.is_some() {
        store.set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL).map_err(failed)?;
    }
    Ok(store.build())
}

/// Adds the certificates that this machine's distribution keeps where OpenSSL does not look. What cannot be read is left out:
/// certificates then fail verification, and that error is reported.
fn add_system(store: &mut X509StoreBuilder) -> Result<(), ErrorStack> {
    let system = openssl_probe::probe();
    if let Some(file) = &system.cert_file {
        let _ = store.add_lookup(X509Lookup::file())?.load_cert_file(file, SslFiletype::PEM);
    }
    for directory in system.cert_dir.iter().filter_map(|directory| directory.to_str()) {
        let _ = store.add_lookup(X509Lookup::hash_dir())?.add_dir(directory, SslFiletype::PEM);
    }
    Ok(())
}

fn add_client_certificate(
    builder: &mut SslContextBuilder,
    client: &ClientCertificate,
) -> Result<(), TargetError> {
    let unusable = |reason: &str| setup_error(&client.certificate, "PGSSLCERT", reason);
    File::open(&client.certificate).map_err(|error| unusable(&error.to_string()))?;
    let added = builder.set_certificate_chain_file(&client.certificate);
    added.map_err(|_| unusable("it holds no certificate in PEM form, or a damaged one"))?;

    let unusable = |reason: &str| setup_error(&client.key, "PGSSLKEY", reason);
    let metadata = std::fs::metadata(&client.key).map_err(|error| unusable(&error.to_string()))?;
    // As libpq: a key is its owner's alone; root's may be read by a group.
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(unusable("others can read it; run chmod 600 on it"));
    }
    let pem = read_bytes(&client.key, MAX_CA_BYTES).map_err(|error| unusable(&error.to_string()))?;
    // With a callback, since OpenSSL would ask for a passphrase at the terminal.
    let key = PKey::private_key_from_pem_callback(&pem, |_| Err(ErrorStack::get()));
    let key = key.map_err(|_| unusable("it holds no key in PEM form, or one with a passphrase"))?;
    builder.set_private_key(&key).map_err(|_| unusable("it is not the key of the certificate"))
}

fn setup_error(path: &Path, named_by: &'static str, reason: &str) -> TargetError {
    TargetError::TlsSetup {
        what: format!("{} (named by {named_by})", path.display()),
        reason: reason.to_owned(),
    }
}

/// Reads the certificates of a CA file.
fn read_certificates(path: &Path, named_by: &'static str) -> Result<Vec<X509>, TargetError> {
    let failed = |reason: String| TargetError::CaFile { path: path.to_owned(), named_by, reason };
    let bytes = read_bytes(path, MAX_CA_BYTES).map_err(|error| failed(error.to_string()))?;
    parse_certificates(&String::from_utf8_lossy(&bytes)).map_err(failed)
}

/// Parses PEM certificates one by one: OpenSSL passes over a damaged one after the first without a word.
fn parse_certificates(text: &str) -> Result<Vec<X509>, String> {
    let mut certificates = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let number = certificates.len() + 1;
        let (body, after) =
            after.split_once(END).ok_or_else(|| format!("certificate {number} has no END line"))?;
        let pem = format!("{BEGIN}{body}{END}\n");
        let certificate =
            X509::from_pem(pem.as_bytes()).map_err(|_| format!("certificate {number} is damaged"))?;
        certificates.push(certificate);
        rest = after;
    }
    if certificates.is_empty() {
        return Err(format!("it holds no PEM certificate (a line `{BEGIN}`)"));
    }
    Ok(certificates)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_no_ca_file() {
        assert!(parse_certificates("").unwrap_err().contains("no PEM certificate"));
        assert!(parse_certificates(BEGIN).unwrap_err().contains("no END line"));
        let damaged = format!("{BEGIN}\nAAAA\n{END}\n");
        assert_eq!(parse_certificates(&damaged).unwrap_err(), "certificate 1 is damaged");
    }

    #[test]
    fn an_unknown_issuer_names_the_file() {
        let ca = Ca::File { path: "ca.crt".into(), named_by: "PG_CA_FILE" };
        let (reason, advice) = certificate_reason(20, "no local issuer", Some(&ca));
        assert_eq!(reason, "the server's certificate was not issued by the CA in ca.crt (no local issuer)");
        assert_eq!(advice, "use this cluster's ca.crt");
        let (_, advice) = certificate_reason(20, "no local issuer", Some(&Ca::System));
        assert_eq!(advice, "set PG_CA_FILE or sslrootcert to this cluster's ca.crt");
    }
}
