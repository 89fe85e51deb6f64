//! Finds where the temporary role can log in: `pg_hba.conf` may admit it at another address than `su_username`.

use crate::server::config::Host;
use crate::server::login::Login;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::quote_ident;

/// A configuration that the role can log in with.
#[derive(Debug)]
pub(crate) struct Admission(pub(crate) TargetConfig);

/// The role cannot log in anywhere.
#[derive(Debug)]
pub(crate) struct NotAdmitted {
    /// The places that were tried, with the server's reasons.
    pub(crate) attempts: Vec<String>,
    /// A line for `pg_hba.conf` that would admit the role.
    pub(crate) line: String,
}

impl Admission {
    /// Tries to log in at each place in turn: first as the configuration says. If that is a socket, then by TCP on
    /// this machine.
    ///
    /// # Errors
    ///
    /// The server cannot be queried, or the login fails for a reason other than `pg_hba.conf`.
    pub(crate) async fn find(
        control: &mut Session,
        config: &TargetConfig,
        login: &Login,
        database: &str,
        application: &str,
    ) -> Result<Result<Self, NotAdmitted>, TargetError> {
        let mut attempts = Vec::new();
        let mut address = None;
        for candidate in candidates(control, config).await? {
            let candidate = candidate.for_login(login);
            let reason = match Session::open(&candidate, database, application).await {
                Ok(mut session) => {
                    let current = session.value("SELECT current_user", "read who is logged in").await;
                    session.close().await;
                    if current? == config.username() {
                        return Ok(Ok(Self(candidate)));
                    }
                    "its session is not username's".to_owned()
                }
                // Where su_username is logged in, the server is there.
                Err(error) if is_about_reaching(&error) && candidate.server() == config.server() => {
                    return Err(error);
                }
                Err(error) if is_about_admission(&error) || is_about_reaching(&error) => error.to_string(),
                Err(error) => return Err(error),
            };
            attempts.push(format!("{}: {reason}", candidate.server()));
            address = match candidate.host() {
                Host::Tcp(name) => Some(name.clone()),
                Host::Socket(_) => address,
            };
        }
        // A server that has just stopped refuses nothing.
        control.value("SELECT 1", "reach the server").await?;
        let line = hba_line(config.username(), address.as_deref());
        Ok(Err(NotAdmitted { attempts, line }))
    }
}

/// Whether the role may be admitted at another place.
fn is_about_admission(error: &TargetError) -> bool {
    matches!(
        error,
        TargetError::NotAdmitted { .. }
            | TargetError::WrongPassword { .. }
            | TargetError::NoPassword { .. }
            | TargetError::UnknownRole { .. }
            | TargetError::Tls { .. }
            | TargetError::LoginStopped { .. }
    )
}

/// Whether nothing answered.
fn is_about_reaching(error: &TargetError) -> bool {
    matches!(error, TargetError::Unreachable { .. } | TargetError::Timeout { .. })
}

async fn candidates(control: &mut Session, config: &TargetConfig) -> Result<Vec<TargetConfig>, TargetError> {
    let mut candidates = vec![config.clone()];
    if let Host::Socket(_) = config.host() {
        const DOING: &str = "read where the server listens";
        let port = control.value("SHOW port", DOING).await?.parse().unwrap_or_else(|_| config.port());
        let listens = control.value("SHOW listen_addresses", DOING).await?;
        candidates.extend(addresses(&listens).into_iter().map(|address| config.by_tcp(address, port)));
    }
    Ok(candidates)
}

/// The addresses of this machine that `listen_addresses` stands for, local ones first.
fn addresses(listens: &str) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    for address in listens.split(',').map(str::trim).filter(|address| !address.is_empty()) {
        let these: &[&str] = match address {
            "*" => &["127.0.0.1", "::1"],
            "0.0.0.0" => &["127.0.0.1"],
            "::" => &["::1"],
            other => &[other],
        };
        let new: Vec<&str> = these.iter().filter(|address| !found.contains(address)).copied().collect();
        found.extend(new);
    }
    found.sort_by_key(|address| !matches!(*address, "127.0.0.1" | "::1" | "localhost"));
    found
}

/// A line that admits `+username`: every member of `username`, and so the temporary role.
fn hba_line(username: &str, address: Option<&str>) -> String {
    // The plus sign has its meaning only outside of quotes.
    let members = format!("+{}", quote_ident(username));
    match address {
        Some("127.0.0.1" | "::1" | "localhost") | None => {
            format!("host all {members} samehost scram-sha-256")
        }
        Some(_) => format!("host all {members} <address of pgmig>/32 scram-sha-256"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_come_first() {
        assert_eq!(addresses("*"), ["127.0.0.1", "::1"]);
        assert_eq!(addresses("10.0.0.7, localhost,0.0.0.0"), ["localhost", "127.0.0.1", "10.0.0.7"]);
        assert_eq!(addresses("10.0.0.7,10.0.0.7"), ["10.0.0.7"]);
        assert!(addresses("").is_empty());
    }

    #[test]
    fn the_line_names_the_members_of_username() {
        assert_eq!(hba_line("app", None), "host all +app samehost scram-sha-256");
        assert_eq!(hba_line("store app", None), "host all +\"store app\" samehost scram-sha-256");
        assert!(hba_line("app", Some("db.example")).contains("<address of pgmig>"));
    }
}
