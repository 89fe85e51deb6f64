//! Limits of TCP connections, by which this machine's kernel finds out that the other end is gone. The keys of
//! `postgres.yaml` have libpq's names, units and meanings.

use crate::server::config_entries::ConfigFile;
use crate::server::config_error::ConfigError;
use crate::server::policy::LibpqVariables;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// What a key must hold.
const NUMBER: &str = "a whole number from 0 to 86400000";
const MAX: u32 = 86_400_000;

/// The limits. As in libpq, zero stands for the default; here that is pgmig's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SocketLimits {
    /// Of one attempt to connect: name resolution, TLS and authentication together.
    pub(super) connect: Duration,
    keepalives: bool,
    /// After how much silence the kernel asks whether the other end is there.
    idle: Duration,
    /// How long it waits before it asks again.
    interval: Duration,
    /// After how many questions without an answer it ends the connection.
    count: u32,
    /// How long sent bytes may remain unacknowledged; `None` leaves that to the kernel.
    ///
    /// That is the default, as in libpq: the kernel counts the time, too, in which a busy server reads nothing.
    user_timeout: Option<Duration>,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            keepalives: true,
            idle: Duration::from_secs(30),
            interval: Duration::from_secs(10),
            count: 3,
            user_timeout: None,
        }
    }
}

impl SocketLimits {
    /// Reads the limits from the file, and from `PGCONNECT_TIMEOUT` where the file has none.
    pub(super) fn of_file(file: &ConfigFile<'_>, variables: &LibpqVariables) -> Result<Self, ConfigError> {
        let mut limits = Self::of_variables(variables)?;
        let number = |key: &'static str| -> Result<Option<u32>, ConfigError> {
            let Some(value) = file.optional(key) else { return Ok(None) };
            parse(value.text).map(Some).ok_or_else(|| file.invalid(value.entry, NUMBER))
        };
        let seconds = |key, default| {
            let number = number(key)?.filter(|number| *number > 0);
            Ok::<_, ConfigError>(number.map_or(default, |number| Duration::from_secs(number.into())))
        };
        limits.connect = seconds("connect_timeout", limits.connect)?;
        limits.keepalives = number("keepalives")?.is_none_or(|on| on > 0);
        limits.idle = seconds("keepalives_idle", limits.idle)?;
        limits.interval = seconds("keepalives_interval", limits.interval)?;
        limits.count = number("keepalives_count")?.filter(|count| *count > 0).unwrap_or(limits.count);
        let milliseconds = number("tcp_user_timeout")?.filter(|number| *number > 0);
        limits.user_timeout = milliseconds.map(|number| Duration::from_millis(number.into()));
        Ok(limits)
    }

    /// The defaults, and what libpq's variables set of them.
    pub(super) fn of_variables(variables: &LibpqVariables) -> Result<Self, ConfigError> {
        let mut limits = Self::default();
        let name = "PGCONNECT_TIMEOUT";
        if let Some(value) = variables.get(name).filter(|value| !value.is_empty()) {
            let invalid = || ConfigError::InvalidEnvironment { variable: name, expected: NUMBER };
            let seconds = parse(value).ok_or_else(invalid)?;
            if seconds > 0 {
                limits.connect = Duration::from_secs(seconds.into());
            }
        }
        Ok(limits)
    }

    /// The limits as libpq's parameters, except that of connecting.
    pub(super) fn parameters(&self) -> Vec<(&'static str, u64)> {
        let mut parameters = vec![
            ("keepalives", u64::from(self.keepalives)),
            ("keepalives_idle", self.idle.as_secs()),
            ("keepalives_interval", self.interval.as_secs()),
            ("keepalives_count", u64::from(self.count)),
        ];
        let milliseconds = self.user_timeout.and_then(|limit| u64::try_from(limit.as_millis()).ok());
        parameters.extend(milliseconds.map(|limit| ("tcp_user_timeout", limit)));
        parameters
    }

    /// Sets them on a connection.
    pub(super) fn set_on(&self, stream: &TcpStream) -> io::Result<()> {
        let socket = SockRef::from(stream);
        if self.keepalives {
            let keepalive = TcpKeepalive::new().with_time(self.idle).with_interval(self.interval);
            #[cfg(target_os = "linux")]
            let keepalive = keepalive.with_retries(self.count);
            socket.set_tcp_keepalive(&keepalive)?;
        }
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(self.user_timeout)?;
        Ok(())
    }
}

fn parse(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|number| *number <= MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::path::Path;

    fn limits(more: &str, timeout: Option<&str>) -> Result<SocketLimits, ConfigError> {
        let mut variables = LibpqVariables::new();
        variables.extend(timeout.map(|timeout| ("PGCONNECT_TIMEOUT", timeout.to_owned())));
        SocketLimits::of_file(&ConfigFile::parse(&format!("host: h\n{more}"), Path::new("p"))?, &variables)
    }

    #[test]
    fn the_file_goes_before_the_environment_and_zero_is_the_default() {
        assert_eq!(limits("", None).unwrap(), SocketLimits::default());
        assert_eq!(limits("connect_timeout: 0\ntcp_user_timeout: 0", None).unwrap(), SocketLimits::default());
        assert_eq!(limits("", Some("3")).unwrap().connect, Duration::from_secs(3));
        assert_eq!(limits("connect_timeout: 4", Some("3")).unwrap().connect, Duration::from_secs(4));
        let set = limits("keepalives: 0\nkeepalives_count: 7\ntcp_user_timeout: 1500", None).unwrap();
        assert!(!set.keepalives && set.count == 7);
        assert_eq!(set.user_timeout, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn what_is_no_number_is_refused_by_name() {
        let error = limits("keepalives_idle: soon", None).unwrap_err().to_string();
        assert!(error.contains("keepalives_idle") && error.contains("line 2"), "{error}");
        assert!(limits("", Some("-1")).unwrap_err().to_string().contains("PGCONNECT_TIMEOUT"));
    }

    #[tokio::test]
    async fn they_are_set_on_the_socket() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        SocketLimits::default().set_on(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
        assert_eq!(socket.tcp_user_timeout().unwrap(), None);
    }
}
