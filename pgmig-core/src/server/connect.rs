//! Opens connections, and explains why a connection cannot be opened.

use crate::server::activity::Activity;
use crate::server::config::{Host, TargetConfig};
use crate::server::dial::{DialError, Encryption, Stream, dial};
use crate::server::error::{ServerError, TargetError};
use crate::server::login::Login;
use crate::server::message::{Conversation, LoginError};
use crate::server::relay;
use crate::server::startup::{self, Request, Started};
use crate::server::tls::SslMode;
use crate::server::trust::Trust;
use crate::server::watchdog::Watchdog;
use sqlx::postgres::PgConnection;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long pgmig retries while a server is starting or has no free connection slot.
const RETRY_FOR: Duration = Duration::from_secs(10);
/// How long pgmig retries while nothing answers at an address where the server has answered before: it restarts.
const RESTART: Duration = Duration::from_secs(15);
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

const TOO_MANY_CONNECTIONS: &str = "53300";
const CANNOT_CONNECT_NOW: &str = "57P03";
/// PgBouncer's message; a server has another one.
const UNSUPPORTED_PARAMETER: &str = "unsupported startup parameter";
const INVALID_AUTHORIZATION: &str = "28000";

/// A connection, and facts about its server.
pub struct Connection {
    /// The session with the server.
    pub session: PgConnection,
    pub(crate) trust: Trust,
    /// The server process, as the other end said at the login.
    pub(crate) process: Option<i32>,
    /// What passes by on it.
    pub(crate) activity: Arc<Activity>,
}

/// A session without sqlx, for one question.
pub(super) struct Bare {
    stream: Box<dyn Stream>,
}

impl Bare {
    /// Asks, and returns the rows as text. Then the session is over.
    ///
    /// # Errors
    ///
    /// The server refuses, or the connection is lost.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, LoginError> {
        Conversation::new(&mut self.stream).ask(sql).await
    }
}

/// Connects as [`connect`] does, without retries, for one question.
pub(super) async fn bare_session(
    config: &TargetConfig,
    login: &Login,
    database: &str,
    application_name: &str,
) -> Result<Bare, TargetError> {
    let attempt = Attempt { config, login, database, application_name };
    let (stream, ..) = attempt.log_in().await?;
    Ok(Bare { stream })
}

/// Connects to `database` with this login. For most work it is [`TargetConfig::login`].
///
/// If the server is starting or has no free connection slot, pgmig retries for 10 seconds; where it has answered before
/// and does not answer now, for 15 seconds. The session has
/// `row_security = off`: if a policy would hide a row, the server reports an error instead. The session lasts as long
/// as the tokio runtime that calls this function.
///
/// # Errors
///
/// Every [`TargetError`] about a connection. None of them contains a password.
pub async fn connect(
    config: &TargetConfig,
    login: &Login,
    database: &str,
    application_name: &str,
) -> Result<Connection, TargetError> {
    let begun = Instant::now();
    loop {
        let error = match connect_at_once(config, login, database, application_name).await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        let limit = retry_for(&error, config);
        if begun.elapsed() >= limit {
            if limit == RESTART {
                // The next session need not wait so long again.
                config.waits.note_unreachable();
            }
            return Err(error);
        }
        sleep(RETRY_INTERVAL).await;
    }
}

/// Connects as [`connect`] does, without retries.
pub(super) async fn connect_at_once(
    config: &TargetConfig,
    login: &Login,
    database: &str,
    application_name: &str,
) -> Result<Connection, TargetError> {
    let attempt = Attempt { config, login, database, application_name };
    let (stream, started, trust) = attempt.log_in().await?;
    config.waits.note_connected();
    let activity = Arc::default();
    let watchdog = Watchdog {
        config: config.clone(),
        login: login.clone(),
        database: database.to_owned(),
        application_name: application_name.to_owned(),
        activity: Arc::clone(&activity),
    };
    let session = relay::hand_over(stream, &started.messages, watchdog).await;
    let session = session.map_err(|error| Failure::Client(error).into_target_error(&attempt))?;
    Ok(Connection { session, trust, process: started.process, activity })
}

/// Whether the server, the database or the role refuses further connections.
pub(crate) fn has_no_slot(error: &TargetError) -> bool {
    error.server().is_some_and(|error| error.is(TOO_MANY_CONNECTIONS))
}

/// The attempts, in their order.
fn encryptions(mode: SslMode) -> &'static [Encryption] {
    match mode {
        SslMode::Disable => &[Encryption::None],
        SslMode::Allow => &[Encryption::None, Encryption::Required],
        SslMode::Prefer => &[Encryption::Offered, Encryption::None],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Encryption::Required],
    }
}

/// How long it is worth trying again after this error.
fn retry_for(error: &TargetError, config: &TargetConfig) -> Duration {
    match error {
        TargetError::Server(error) if error.is(TOO_MANY_CONNECTIONS) || error.is(CANNOT_CONNECT_NOW) => {
            RETRY_FOR
        }
        TargetError::Unreachable { .. } if config.waits.has_connected() && !config.waits.is_unreachable() => {
            RESTART
        }
        _ => Duration::ZERO,
    }
}

/// The requested connection.
struct Attempt<'a> {
    config: &'a TargetConfig,
    login: &'a Login,
    database: &'a str,
    application_name: &'a str,
}

impl Attempt<'_> {
    /// Logs in, by each kind of encryption that sslmode allows.
    async fn log_in(&self) -> Result<(Box<dyn Stream>, Started, Trust), TargetError> {
        let config = self.config;
        let deadline = Instant::now() + config.limits.connect;
        let mut failure = None;
        for encryption in encryptions(config.ssl_mode) {
            let error = match timeout_at(deadline, self.log_in_by(*encryption)).await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(error)) => error,
                Err(_) => {
                    let seconds = config.limits.connect.as_secs();
                    return Err(TargetError::Timeout { server: config.server(), seconds });
                }
            };
            let goes_on = error.allows_another(config.ssl_mode);
            failure.get_or_insert(error);
            if !goes_on {
                break;
            }
        }
        let failure = failure.unwrap_or(Failure::Dial(DialError::NoTls));
        Err(failure.into_target_error(self))
    }

    async fn log_in_by(&self, encryption: Encryption) -> Result<(Box<dyn Stream>, Started, Trust), Failure> {
        let Self { config, login, database, application_name } = *self;
        let (mut stream, channel) = dial(config, encryption).await.map_err(Failure::Dial)?;
        let policy = &config.policy;
        let options = config.event_triggers.options();
        let request = Request { login, database, application_name, options, policy, channel: &channel };
        let started = startup::start_up(&mut stream, &request).await.map_err(Failure::Login)?;
        let trust = Trust::new(config.server(), channel, started.method, started.is_bound);
        if !config.proven.accepts(&trust) {
            return Err(Failure::Login(LoginError::Stopped {
                reason: "the first connection proved that the server is the right one, and this one does not"
                    .to_owned(),
                advice: "set PG_CA_FILE to this cluster's ca.crt; if that fails, find out what stands in between",
            }));
        }
        Ok((stream, started, trust))
    }
}

/// Why one attempt failed.
enum Failure {
    Dial(DialError),
    Login(LoginError),
    /// The server accepted the login, but sqlx could not take the session over.
    Client(sqlx::Error),
}

impl Failure {
    /// Whether another attempt can succeed, as in libpq. After a failed handshake, `prefer` continues without TLS. If
    /// `pg_hba.conf` does not admit the first kind of connection, `prefer` and `allow` try the other kind.
    fn allows_another(&self, mode: SslMode) -> bool {
        match self {
            Self::Dial(DialError::Tls(_)) => mode == SslMode::Prefer,
            Self::Login(LoginError::Server(error)) => {
                matches!(mode, SslMode::Allow | SslMode::Prefer) && error.is(INVALID_AUTHORIZATION)
            }
            _ => false,
        }
    }

    fn into_target_error(self, attempt: &Attempt<'_>) -> TargetError {
        let config = attempt.config;
        let (server, user) = (config.server(), attempt.login.user().to_owned());
        match self {
            Self::Dial(DialError::Io(error))
            | Self::Login(LoginError::Io(error))
            | Self::Client(sqlx::Error::Io(error))
                if is_file_limit(&error) =>
            {
                TargetError::TooManyFiles { server, reason: error.to_string() }
            }
            Self::Dial(DialError::Io(error)) | Self::Login(LoginError::Io(error)) => {
                TargetError::Unreachable { server, reason: error.to_string() }
            }
            Self::Dial(DialError::Tls(error)) => error.into_target_error(config),
            Self::Dial(DialError::NoTls) => TargetError::Tls {
                server,
                mode: config.ssl_mode,
                reason: "server does not support TLS".to_owned(),
                advice: "enable TLS on the server, or set sslmode: prefer",
            },
            Self::Login(LoginError::Server(error)) => refusal(*error, attempt),
            Self::Login(LoginError::NoPassword) => TargetError::NoPassword { server, user },
            Self::Login(LoginError::Stopped { reason, advice }) => {
                TargetError::LoginStopped { server, user, reason, advice }
            }
            Self::Login(LoginError::Protocol(what)) => {
                let message = format!("the server's answer does not follow the protocol: {what}");
                ServerError::from_client("connect", &message, false).into()
            }
            Self::Client(error) => TargetError::doing("connect")(error),
        }
    }
}

/// Whether this process, or this machine, cannot open one more file or connection.
fn is_file_limit(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// Explains the usual refusals of a server by the settings of postgres.yaml.
fn refusal(error: ServerError, attempt: &Attempt<'_>) -> TargetError {
    let config = attempt.config;
    let (server, user) = (config.server(), attempt.login.user().to_owned());
    match error.sqlstate.as_deref() {
        Some("28P01") => TargetError::WrongPassword { server, user },
        Some("3D000") => TargetError::UnknownDatabase { server, database: attempt.database.to_owned() },
        // A server may report its errors in another language. Then the general case below applies.
        Some(INVALID_AUTHORIZATION) if error.message.ends_with("does not exist") => {
            TargetError::UnknownRole { server, user }
        }
        Some(INVALID_AUTHORIZATION) => {
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
        _ if error.message.starts_with(UNSUPPORTED_PARAMETER) => TargetError::Pooler { server, behind: None },
        _ => ServerError { doing: format!("connect to {server} as {user:?}"), ..error }.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::handshake::HandshakeError;

    #[test]
    fn only_modes_that_allow_both_try_both() {
        let tls = Failure::Dial(DialError::Tls(HandshakeError::Name));
        assert!(tls.allows_another(SslMode::Prefer));
        assert!(!tls.allows_another(SslMode::VerifyFull));
        let refused = |sqlstate: &str| {
            let error = ServerError::of_login(sqlstate.to_owned(), String::new());
            Failure::Login(LoginError::Server(Box::new(error)))
        };
        assert!(refused("28000").allows_another(SslMode::Allow));
        assert!(!refused("28P01").allows_another(SslMode::Prefer));
        assert!(!refused("28000").allows_another(SslMode::Require));
        let unreachable = DialError::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert!(!Failure::Dial(unreachable).allows_another(SslMode::Prefer));
    }
}
