//! Opens connections, and says clearly why one cannot be opened.

use crate::server::config::{Host, TargetConfig};
use crate::server::error::{ServerError, TargetError};
use crate::server::tls::{self, Ca, SslMode};
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long one attempt may take, with name resolution, TLS and authentication.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server that is starting, or has no connection slot free, is asked again.
const RETRY_FOR: Duration = Duration::from_secs(10);
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// sqlx's default, set because its constructors might take another one from elsewhere some day.
const STATEMENT_CACHE: usize = 100;

const TOO_MANY_CONNECTIONS: &str = "53300";
const CANNOT_CONNECT_NOW: &str = "57P03";

/// Connects as `su_username` to `database`.
///
/// A server that is starting up, or has no connection slot free, is asked again for 10 seconds. The session has
/// `row_security = off`: what policies would hide is an error instead.
///
/// # Errors
///
/// Every [`TargetError`] that concerns a connection. Passwords are in none of them.
pub async fn connect(
    config: &TargetConfig,
    database: &str,
    application_name: &str,
) -> Result<PgConnection, TargetError> {
    let retry_until = Instant::now() + RETRY_FOR;
    loop {
        let error = match connect_at_once(config, database, application_name).await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        if !is_transient(&error) || Instant::now() >= retry_until {
            return Err(error);
        }
        sleep(RETRY_INTERVAL).await;
    }
}

/// Connects as [`connect`] does, but asks once.
pub(super) async fn connect_at_once(
    config: &TargetConfig,
    database: &str,
    application_name: &str,
) -> Result<PgConnection, TargetError> {
    let attempts = attempts(config, database, application_name).await?;
    connect_once(config, &attempts, database).await
}

/// Whether the server, the database or the role admits no more connections.
pub(crate) fn has_no_slot(error: &TargetError) -> bool {
    error.server().is_some_and(|error| error.is(TOO_MANY_CONNECTIONS))
}

/// What to try in turn: a bundle's certificates one by one, `prefer` with and then without TLS.
struct Attempt {
    options: PgConnectOptions,
    /// Position in the CA file.
    certificate: usize,
}

async fn attempts(
    config: &TargetConfig,
    database: &str,
    application_name: &str,
) -> Result<Vec<Attempt>, TargetError> {
    let base = options(config, database, application_name);
    let attempt = |options, certificate| Attempt { options, certificate };
    Ok(match (config.ssl_mode, &config.ca) {
        (SslMode::VerifyCa | SslMode::VerifyFull, Some(Ca::File(path))) => {
            let certificates = tls::read_certificates(path).await?;
            let last_good = config.certificate.load(Ordering::Relaxed).min(certificates.len());
            let mut attempts: Vec<_> = certificates
                .into_iter()
                .enumerate()
                .map(|(number, pem)| attempt(base.clone().ssl_root_cert_from_pem(pem.into_bytes()), number))
                .collect();
            attempts.rotate_left(last_good);
            attempts
        }
        (SslMode::Prefer, _) => {
            let plain = base.clone().ssl_mode(SslMode::Disable.to_sqlx());
            vec![attempt(base, 0), attempt(plain, 0)]
        }
        _ => vec![attempt(base, 0)],
    })
}

/// Every option is set, because sqlx's constructor takes each from the environment. Three cannot be unset: a
/// client certificate (`PGSSLCERT` with `PGSSLKEY`) is offered to a server that asks for one, settings of `PGOPTIONS`
/// hold where ours do not override them, and a `PGSSLROOTCERT` that was not handed over in the environment must still
/// be a readable certificate if TLS is used without a CA file.
fn options(config: &TargetConfig, database: &str, application_name: &str) -> PgConnectOptions {
    let options = match &config.host {
        // sqlx verifies certificates against `host`; a socket's is not used, but must not come from PGHOST.
        Host::Socket(directory) => PgConnectOptions::new_without_pgpass().host("localhost").socket(directory),
        Host::Tcp(name) => PgConnectOptions::new_without_pgpass().host(name),
    };
    options
        .port(config.port)
        .username(&config.su_username)
        // An empty password is what sqlx sends where there is none.
        .password(config.password.as_ref().map_or("", |password| password.expose_secret()))
        .database(database)
        .ssl_mode(config.ssl_mode.to_sqlx())
        .application_name(application_name)
        // As pg_dump: floats come out with every digit.
        .extra_float_digits(3)
        .statement_cache_capacity(STATEMENT_CACHE)
        .options([("row_security", "off")])
        // Statements hold values of rows.
        .disable_statement_logging()
}

async fn connect_once(
    config: &TargetConfig,
    attempts: &[Attempt],
    database: &str,
) -> Result<PgConnection, TargetError> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let mut failure: Option<Failure> = None;
    for attempt in attempts {
        let connecting = PgConnection::connect_with(&attempt.options);
        let error = match timeout_at(deadline, connecting).await {
            Ok(Ok(connection)) => {
                config.certificate.store(attempt.certificate, Ordering::Relaxed);
                return Ok(connection);
            }
            Ok(Err(error)) => Failure::new(error),
            Err(_) => {
                let seconds = CONNECT_TIMEOUT.as_secs();
                return Err(TargetError::Timeout { server: config.server(), seconds });
            }
        };
        let next = error.try_next(config.ssl_mode);
        // The error that tells most is shown: of a bundle, that of the certificate that signed the server's.
        if failure.as_ref().is_none_or(|kept| kept.is_unknown_issuer()) {
            failure = Some(error);
        }
        if !next {
            break;
        }
    }
    Err(match failure {
        Some(failure) => failure.into_target_error(config, database),
        None => TargetError::CaFile { path: "".into(), reason: "it holds no certificate".to_owned() },
    })
}

fn is_transient(error: &TargetError) -> bool {
    error.server().is_some_and(|error| error.is(TOO_MANY_CONNECTIONS) || error.is(CANNOT_CONNECT_NOW))
}

/// Why one attempt failed.
enum Failure {
    /// Resolving, connecting, or a connection that ended early.
    Io(std::io::Error),
    /// The TLS handshake, in the TLS library's words; they hold no secrets.
    Tls(String),
    Server(Box<ServerError>),
}

impl Failure {
    fn new(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(error) => Self::Io(error),
            sqlx::Error::Tls(error) => Self::Tls(error.to_string()),
            error => Self::Server(Box::new(ServerError::from_sqlx(&error, "connect"))),
        }
    }

    /// Whether another attempt can have another outcome. As libpq, `prefer` goes on without TLS after a failed
    /// handshake and when `pg_hba.conf` does not admit TLS connections.
    fn try_next(&self, mode: SslMode) -> bool {
        match self {
            Self::Tls(_) if mode.verifies() => self.is_verification(),
            Self::Tls(_) => mode == SslMode::Prefer,
            Self::Server(error) => mode == SslMode::Prefer && error.is("28000"),
            Self::Io(_) => false,
        }
    }

    fn is_verification(&self) -> bool {
        matches!(self, Self::Tls(reason) if reason.contains("certificate verify failed"))
    }

    fn is_unknown_issuer(&self) -> bool {
        const UNKNOWN_ISSUER: [&str; 3] =
            ["unable to get", "self-signed certificate", "self signed certificate"];
        matches!(self, Self::Tls(reason) if UNKNOWN_ISSUER.iter().any(|text| reason.contains(text)))
    }

    fn into_target_error(self, config: &TargetConfig, database: &str) -> TargetError {
        let server = config.server();
        match self {
            Self::Io(error) => TargetError::Unreachable { server, reason: error.to_string() },
            Self::Tls(ref reason) => TargetError::Tls {
                server,
                mode: config.ssl_mode,
                advice: self.tls_advice(config),
                reason: without_source_position(reason),
            },
            Self::Server(error) => refusal(*error, config, database),
        }
    }

    fn tls_advice(&self, config: &TargetConfig) -> &'static str {
        let Self::Tls(reason) = self else { return "check the server's log" };
        let reason = reason.to_ascii_lowercase();
        if reason.contains("does not support tls") {
            return "enable TLS on the server, or set sslmode: prefer";
        }
        if reason.contains("hostname mismatch") || reason.contains("ip address mismatch") {
            return "use a host name that the server's certificate has, or set sslmode: verify-ca";
        }
        if reason.contains("expired") || reason.contains("not yet valid") {
            return "renew the server's certificate, or check this machine's clock";
        }
        if self.is_unknown_issuer() {
            return match config.ca {
                Some(Ca::File(_)) => {
                    "the CA file did not sign the server's certificate; give this cluster's CA file"
                }
                _ => "give the cluster's CA file with PG_CA_FILE or sslrootcert",
            };
        }
        "check that this is a PostgreSQL server, and which TLS versions it accepts"
    }
}

/// OpenSSL's reason without its code, routine and C source: `certificate verify failed (hostname mismatch)`.
fn without_source_position(reason: &str) -> String {
    match (reason.contains("certificate verify failed"), reason.rsplit_once('(')) {
        (true, Some((_, why))) => format!("certificate verify failed ({}", why),
        _ => reason.to_owned(),
    }
}

/// Puts the usual refusals of a server in terms of postgres.yaml.
fn refusal(error: ServerError, config: &TargetConfig, database: &str) -> TargetError {
    let (server, user) = (config.server(), config.su_username.clone());
    match error.sqlstate.as_deref() {
        Some("28P01") if config.password.is_none() => TargetError::NoPassword { server, user },
        Some("28P01") => TargetError::WrongPassword { server, user },
        Some("3D000") => TargetError::UnknownDatabase { server, database: database.to_owned() },
        // A server in another language has another text: then the general case below applies.
        Some("28000") if error.message.ends_with("does not exist") => {
            TargetError::UnknownRole { server, user }
        }
        Some("28000") => {
            let advice = match config.host {
                Host::Socket(_) => {
                    "run pgmig as the operating system user that the server admits (peer), or use TCP"
                }
                Host::Tcp(_) if config.ssl_mode == SslMode::Disable => {
                    "the server may want TLS: remove sslmode: disable"
                }
                Host::Tcp(_) => "check su_username, sslmode and the server's pg_hba.conf",
            };
            TargetError::NotAdmitted { server, user, message: error.message, advice }
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_reasons_are_short() {
        let openssl = "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:\
                       ../ssl/statem/statem_clnt.c:1889: (hostname mismatch)";
        assert_eq!(without_source_position(openssl), "certificate verify failed (hostname mismatch)");
        assert_eq!(without_source_position("server does not support TLS"), "server does not support TLS");
    }

    #[test]
    fn a_bundle_goes_on_only_after_a_verification_error() {
        let unknown =
            Failure::Tls("certificate verify failed: (unable to get local issuer certificate)".to_owned());
        let refused = Failure::Tls("server does not support TLS".to_owned());
        assert!(unknown.try_next(SslMode::VerifyCa) && unknown.is_unknown_issuer());
        assert!(!refused.try_next(SslMode::VerifyFull));
        assert!(refused.try_next(SslMode::Prefer));
        assert!(!Failure::Io(std::io::ErrorKind::ConnectionRefused.into()).try_next(SslMode::Prefer));
    }
}
