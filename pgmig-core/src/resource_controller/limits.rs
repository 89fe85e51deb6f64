//! Time limits of requests to the Resource Controller, and the number of tries.

use std::time::Duration;

/// Time-outs and retries of requests to the Resource Controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The time for name resolution, the TCP connection and the TLS handshake together. Default: 10 s.
    pub connect: Duration,
    /// The time for one request, from the connection to the end of the answer. Default: 30 s.
    pub request: Duration,
    /// The total number of tries of a request; at least one is made. Default: 3.
    pub attempts: u32,
    /// The wait before the second try; it doubles before each further one. Default: 500 ms.
    pub backoff: Duration,
    /// The longest wait that a server's `Retry-After` may ask for. A longer one is an error at once, since an earlier
    /// try would only be refused again. Default: 30 s.
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
