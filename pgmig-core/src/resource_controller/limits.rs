//! How long the Resource Controller may take, and how often it is asked again.

use std::time::Duration;

/// Time-outs and retries of requests to the Resource Controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// For name resolution, the TCP connection and the TLS handshake together. 10 s.
    pub connect: Duration,
    /// For one request, from the connection to the end of the answer. 30 s.
    pub request: Duration,
    /// How often a request is tried in all; at least 1 is taken. 3.
    pub attempts: u32,
    /// The wait before the second try; doubled before each further one. 500 ms.
    pub backoff: Duration,
    /// The longest wait that a server's `Retry-After` may ask for; more than that is an error at once, as a
    /// shorter wait would only be refused again. 30 s.
    pub longest_wait: Duration,
    /// For the whole list: every page that every token sees. 5 minutes.
    pub listing: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            attempts: 3,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            listing: Duration::from_secs(300),
        }
    }
}
