//! What can go wrong with a server, without what must not be shown.
//!
//! sqlx's errors are never kept: their `Debug` shows the server's DETAIL, which quotes rows, and their `Display`
//! appends a line number of the server's C source.

use crate::server::sqlstate::{ends_connection, is_passing};
use crate::server::tls::SslMode;
use crate::server::watchdog::CONNECTION_FAILURE;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};
use std::path::PathBuf;
use thiserror::Error;

/// SQLSTATE of PL/pgSQL's RAISE, where it gives no other.
const RAISE_EXCEPTION: &str = "P0001";

/// Why the server could not be reached, or what it refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Nothing answers there.
    #[error("no PostgreSQL server answers at {server}: {reason}; check host and port")]
    Unreachable {
        /// Host and port, or the socket's path.
        server: String,
        /// The operating system's reason.
        reason: String,
    },
    /// This process has too many open files to connect.
    #[error(
        "cannot connect to {server}: {reason}; raise the limit of open files (ulimit -n), or use fewer connections \
         (RestoreOptions::jobs)"
    )]
    TooManyFiles {
        /// Host and port, or the socket's path.
        server: String,
        /// The operating system's reason.
        reason: String,
    },
    /// Something accepts connections there, but does not answer in time.
    #[error(
        "the server at {server} did not answer within {seconds} s; check host and port, and whether it is overloaded"
    )]
    Timeout {
        /// Host and port, or the socket's path.
        server: String,
        /// The limit that was reached.
        seconds: u64,
    },
    /// The password was not accepted. The server says the same for a role that does not exist.
    #[error(
        "login as {user:?} at {server} failed: wrong password, or no such role; check su_username and su_password"
    )]
    WrongPassword {
        /// Host and port, or the socket's path.
        server: String,
        /// The role.
        user: String,
    },
    /// The server wants a password and there is none.
    #[error(
        "the server at {server} wants a password for {user:?} and none is given; set su_password, su_password_file or PGPASSWORD"
    )]
    NoPassword {
        /// Host and port, or the socket's path.
        server: String,
        /// The role.
        user: String,
    },
    /// The role to connect as does not exist.
    #[error("the server at {server} has no role {user:?}; check su_username")]
    UnknownRole {
        /// Host and port, or the socket's path.
        server: String,
        /// The role.
        user: String,
    },
    /// The role that is to own the restored objects does not exist.
    #[error(
        "the server at {server} has no role {user:?}, which is to own the restored objects; check username"
    )]
    UnknownOwner {
        /// Host and port, or the socket's path.
        server: String,
        /// The role.
        user: String,
    },
    /// A pooler stands between that gives each transaction to any server process.
    #[error(
        "{server} is a connection pooler (PgBouncer, for example) that gives each transaction to any server process, and a \
         restore requires a session of its own; set host and port to those of the PostgreSQL server itself{}, or to a pool in \
         session mode",
        behind.as_ref().map(|address| format!(" ({address})")).unwrap_or_default()
    )]
    Pooler {
        /// Host and port, or the socket's path.
        server: String,
        /// The address of the server behind it, as the server says.
        behind: Option<String>,
    },
    /// `pg_hba.conf` or `pg_ident.conf` admits no such connection.
    #[error("the server at {server} does not admit {user:?}: {message}; {advice}")]
    NotAdmitted {
        /// Host and port, or the socket's path.
        server: String,
        /// The role.
        user: String,
        /// The server's message.
        message: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The database does not exist.
    #[error("database {database:?} does not exist on {server}; create it, or correct database")]
    UnknownDatabase {
        /// Host and port, or the socket's path.
        server: String,
        /// The database.
        database: String,
    },
    /// No TLS connection could be made.
    #[error("no TLS connection to {server} (sslmode {mode}): {reason}; {advice}")]
    Tls {
        /// Host and port.
        server: String,
        /// The mode that applied.
        mode: SslMode,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The file of CA certificates cannot be used.
    #[error("cannot read CA file {} (named by {named_by}): {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The key or variable that names it.
        named_by: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A CRL, a client certificate or a key cannot be used, or OpenSSL itself.
    #[error("cannot use {what}: {reason}")]
    TlsSetup {
        /// The file and the variable that names it.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// pgmig stopped the login: the server asked for what must not be sent, or did not prove what it has to.
    #[error("pgmig does not log in as {user:?} at {server}: {reason}; {advice}")]
    LoginStopped {
        /// Host and port, or the socket's path.
        server: String,
        /// The role.
        user: String,
        /// Why.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The server refused a statement, or the connection was lost during it.
    #[error(transparent)]
    Server(#[from] Box<ServerError>),
}

impl From<ServerError> for TargetError {
    fn from(error: ServerError) -> Self {
        Self::Server(Box::new(error))
    }
}

impl TargetError {
    /// Makes the conversion for `map_err`: `.map_err(TargetError::doing("create the database"))`.
    pub fn doing(what: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        move |error| ServerError::from_sqlx(&error, &what.into()).into()
    }

    /// The server's code, where the error is the server's.
    pub fn sqlstate(&self) -> Option<&str> {
        self.server()?.sqlstate.as_deref()
    }

    /// Whether the server has answered, and can be asked again.
    pub fn is_answer(&self) -> bool {
        self.server().is_some_and(|server| server.sqlstate.is_some() && !server.connection_lost)
    }

    /// Whether the connection broke, or the server ended it. Not so if pgmig ended it because the server was silent.
    pub fn is_broken_connection(&self) -> bool {
        self.server().is_some_and(|server| server.connection_lost && !server.is(CONNECTION_FAILURE))
    }

    /// Whether the server refused the statement for what it is, so that it would refuse it again. Not so if the connection
    /// was lost, if somebody cancelled the statement, or if the server lacked a resource or a lock at that moment.
    pub fn is_lasting(&self) -> bool {
        self.is_answer() && self.sqlstate().is_some_and(|sqlstate| !is_passing(sqlstate))
    }

    /// The same error without the server's message; see [`ServerError::without_message`].
    #[must_use]
    pub fn without_message(self) -> Self {
        match self {
            Self::Server(error) => Self::Server(Box::new(error.without_message())),
            other => other,
        }
    }

    /// The server's error, where it is one.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) => Some(error),
            _ => None,
        }
    }
}

/// An error that the server reported, or a connection that was lost. Never holds DETAIL, which quotes rows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("could not {doing}: {message}{}", SqlstateSuffix(sqlstate.as_deref()))]
#[non_exhaustive]
pub struct ServerError {
    /// What was being done, as a verb phrase: `create the database`.
    pub doing: String,
    /// Five characters; `None` if the error is not the server's.
    pub sqlstate: Option<String>,
    /// The server's primary message. Some quote a value: see [`ServerError::without_message`].
    pub message: String,
    /// The constraint concerned.
    pub constraint: Option<String>,
    /// The schema of the table concerned.
    pub schema: Option<String>,
    /// The table concerned.
    pub table: Option<String>,
    /// The column concerned.
    pub column: Option<String>,
    /// Position in the statement that was sent, in characters, 1-based.
    pub position: Option<usize>,
    /// Where in functions or COPY data it happened, one place per line, innermost first, without values.
    pub context: Option<String>,
    /// The connection is gone.
    pub connection_lost: bool,
}

impl ServerError {
    /// Keeps of sqlx's error what may be shown. `doing` completes "could not ...".
    pub fn from_sqlx(error: &sqlx::Error, doing: &str) -> Self {
        match error {
            sqlx::Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
                Some(error) => Self::from_server(error, doing),
                None => Self::from_client(doing, "the server reported an error that cannot be read", false),
            },
            sqlx::Error::Io(error) => {
                Self::from_client(doing, &format!("the connection to the server was lost ({error})"), true)
            }
            sqlx::Error::ColumnDecode { index, .. } => Self::from_client(
                doing,
                &format!("column {index} of the server's answer cannot be read"),
                false,
            ),
            sqlx::Error::RowNotFound => Self::from_client(doing, "the server returned no row", false),
            sqlx::Error::BeginFailed => Self::from_client(doing, "no transaction was begun", false),
            sqlx::Error::Protocol(_) => {
                Self::from_client(doing, "the server's answer does not follow the protocol", false)
            }
            _ => Self::from_client(doing, "the database client failed", false),
        }
    }

    /// The same error without the server's message, for statements whose messages quote values of rows (COPY,
    /// casts). SQLSTATE, names and places are kept.
    #[must_use]
    pub fn without_message(mut self) -> Self {
        if self.sqlstate.is_some() {
            self.message = match self.place() {
                Some(place) => format!("the server refused a value of {place} (not shown)"),
                None => "the server refused a value (not shown)".to_owned(),
            };
        }
        self
    }

    /// The same error without quoted values. Messages of data exceptions (SQLSTATE 22...) quote what was in a row:
    /// `invalid input syntax for type uuid: "..."`; those of other classes quote names, which are kept.
    #[must_use]
    pub fn without_values(mut self) -> Self {
        let is_data_exception = self.sqlstate.as_deref().is_some_and(|sqlstate| sqlstate.starts_with("22"));
        // From the first quote to the last one: the value may have quotes of its own.
        if let (true, Some((before, rest))) = (is_data_exception, self.message.split_once('"')) {
            let after = rest.rsplit_once('"').map_or("", |(_, after)| after);
            self.message = format!("{before}\"...\"{after}");
        }
        self
    }

    /// As [`without_values`](Self::without_values), but a single value that the statement itself quotes is kept: it is a part
    /// of a definition.
    #[must_use]
    pub fn without_values_beside(self, sql: &str) -> Self {
        let mut parts = self.message.split('"');
        let is_of_statement = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(value), Some(_), None) => {
                [format!("'{value}'"), format!("\"{value}\"")].iter().any(|quoted| sql.contains(quoted))
            }
            _ => false,
        };
        if is_of_statement { self } else { self.without_values() }
    }

    /// The same error without a text that a function made up (`RAISE`), which can hold anything.
    #[must_use]
    pub fn without_raised_text(mut self) -> Self {
        let place = self.context.as_deref().and_then(|context| context.lines().next());
        let raised = place.filter(|place| place.ends_with(" at RAISE"));
        if self.is(RAISE_EXCEPTION) || raised.is_some() {
            let function = raised.unwrap_or("a function");
            self.message = format!("{function} raised an exception (its text is not shown)");
        }
        self
    }

    /// Whether the SQLSTATE is this one.
    pub fn is(&self, sqlstate: &str) -> bool {
        self.sqlstate.as_deref() == Some(sqlstate)
    }

    fn from_server(error: &PgDatabaseError, doing: &str) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            doing: doing.to_owned(),
            sqlstate: Some(error.code().to_owned()),
            message: error.message().to_owned(),
            constraint: owned(error.constraint()),
            schema: owned(error.schema()),
            table: owned(error.table()),
            column: owned(error.column()),
            position: match error.position() {
                Some(PgErrorPosition::Original(position)) => Some(position),
                _ => None,
            },
            context: error.r#where().and_then(context_without_values),
            connection_lost: ends_connection(error.code()),
        }
    }

    /// The server's refusal of a connection.
    pub(super) fn of_login(sqlstate: String, message: String) -> Self {
        let connection_lost = ends_connection(&sqlstate);
        Self { sqlstate: Some(sqlstate), ..Self::from_client("connect", &message, connection_lost) }
    }

    pub(super) fn from_client(doing: &str, message: &str, connection_lost: bool) -> Self {
        Self {
            doing: doing.to_owned(),
            sqlstate: None,
            message: message.to_owned(),
            constraint: None,
            schema: None,
            table: None,
            column: None,
            position: None,
            context: None,
            connection_lost,
        }
    }

    fn place(&self) -> Option<String> {
        if let Some(context) = self.context.as_deref().and_then(|context| context.lines().next()) {
            return Some(context.to_owned());
        }
        let table = self.table.as_deref()?;
        let table =
            self.schema.as_deref().map_or_else(|| table.to_owned(), |schema| format!("{schema}.{table}"));
        Some(match &self.column {
            Some(column) => format!("{table}, column {column}"),
            None => table,
        })
    }
}

struct SqlstateSuffix<'a>(Option<&'a str>);

impl std::fmt::Display for SqlstateSuffix<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(sqlstate) => write!(f, " (SQLSTATE {sqlstate})"),
            None => Ok(()),
        }
    }
}

/// Keeps the places of a CONTEXT: `COPY t, line 3, column c` without the value after it, and lines of functions;
/// quoted statements and whatever else there is are left out.
fn context_without_values(context: &str) -> Option<String> {
    let mut places = Vec::new();
    for line in context.lines() {
        if line.starts_with("COPY ") {
            // `COPY t, line 1, column c: "value"`, `COPY t, line 1: "a whole row"`. A colon inside of a quoted
            // name would only cut too early. The value may have lines of its own, so nothing after it is read.
            places.extend(line.split(": ").next());
            break;
        }
        if line.starts_with("PL/pgSQL function ") || line.starts_with("SQL function ") {
            places.push(line);
        }
    }
    (!places.is_empty()).then(|| places.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_places_and_drops_values() {
        let copy = "COPY workspace, line 3, column id: \"secret value\"";
        assert_eq!(context_without_values(copy).as_deref(), Some("COPY workspace, line 3, column id"));
        let row = "COPY workspace, line 3: \"secret\trow\"";
        assert_eq!(context_without_values(row).as_deref(), Some("COPY workspace, line 3"));
        let function =
            "SQL statement \"UPDATE t SET x = 'secret'\"\nPL/pgSQL function f(uuid) line 3 at SQL statement";
        assert_eq!(
            context_without_values(function).as_deref(),
            Some("PL/pgSQL function f(uuid) line 3 at SQL statement")
        );
        assert_eq!(context_without_values("unknown 'secret'"), None);
    }

    #[test]
    fn a_lost_connection_is_told_without_sqlx() {
        let io = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let error = ServerError::from_sqlx(&sqlx::Error::Io(io), "load the table t");
        assert!(error.connection_lost);
        assert_eq!(
            error.to_string(),
            "could not load the table t: the connection to the server was lost (connection reset)"
        );
    }

    #[test]
    fn what_happened_to_a_statement_is_no_refusal_of_it() {
        let of = |sqlstate: &str| {
            let error = ServerError::of_login(sqlstate.to_owned(), "no".to_owned());
            TargetError::from(error).is_lasting()
        };
        for sqlstate in [
            "57P01", "57P02", "57P03", "57014", "08006", "53300", "53100", "55P03", "40P01", "25P03", "XX000",
        ] {
            assert!(!of(sqlstate), "{sqlstate}");
        }
        for sqlstate in ["42501", "42601", "22P02", "0LP01"] {
            assert!(of(sqlstate), "{sqlstate}");
        }
        let lost = ServerError::from_client("ask", "the connection was lost", true);
        assert!(!TargetError::from(lost).is_lasting());
    }

    #[test]
    fn values_are_cut_from_data_exceptions_only() {
        let cut = |sqlstate: &str, message: &str| {
            let mut error = ServerError::from_client("run it", message, false);
            error.sqlstate = Some(sqlstate.to_owned());
            error.without_values().message
        };
        let uuid = "invalid input syntax for type uuid: \"a\"secret\"";
        assert_eq!(cut("22P02", uuid), "invalid input syntax for type uuid: \"...\"");
        let range = "value \"secret\" is out of range for type integer";
        assert_eq!(cut("22003", range), "value \"...\" is out of range for type integer");
        assert_eq!(cut("22012", "division by zero"), "division by zero");
        let mut locale = ServerError::from_client("create c", "could not create locale \"xx\": none", false);
        locale.sqlstate = Some("22023".to_owned());
        let of = |sql: &str| locale.clone().without_values_beside(sql).message;
        assert_eq!(of("CREATE COLLATION c (locale = 'xx')"), "could not create locale \"xx\": none");
        assert_eq!(of("CREATE COLLATION xx"), "could not create locale \"...\": none");
        assert_eq!(cut("42703", "column \"x\" does not exist"), "column \"x\" does not exist");
    }

    #[test]
    fn what_a_function_raised_is_hidden() {
        let mut error = ServerError::from_client("create i", "not a number: secret", false);
        error.context = Some("PL/pgSQL function f(text) line 3 at RAISE".to_owned());
        assert_eq!(
            error.clone().without_raised_text().message,
            "PL/pgSQL function f(text) line 3 at RAISE raised an exception (its text is not shown)"
        );
        error.context = None;
        assert_eq!(error.clone().without_raised_text(), error);
        error.sqlstate = Some(RAISE_EXCEPTION.to_owned());
        assert!(!error.without_raised_text().message.contains("secret"));
    }

    #[test]
    fn the_message_can_be_hidden() {
        let mut error = ServerError::from_client("load t", "invalid input syntax: \"secret\"", false);
        error.sqlstate = Some("22P02".to_owned());
        error.context = Some("COPY t, line 3, column id".to_owned());
        assert_eq!(
            error.without_message().to_string(),
            "could not load t: the server refused a value of COPY t, line 3, column id (not shown) (SQLSTATE 22P02)"
        );
    }
}
