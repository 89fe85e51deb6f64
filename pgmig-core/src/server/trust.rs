//! How far the server at the other end is known to be the one that was meant.

use crate::server::handshake::TlsFacts;
use crate::server::require_auth::Method;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// How the server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// A Unix-domain socket.
    Socket,
    /// An address of this machine. A port-forward ends here, too.
    Loopback,
    /// Any other address.
    Remote,
}

impl Peer {
    /// Whether nobody else's network is in between.
    pub(super) fn is_local(self) -> bool {
        self != Self::Remote
    }
}

/// How a connection was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Channel {
    pub(super) peer: Peer,
    pub(super) tls: Option<TlsFacts>,
    /// Whether the certificate is one that was bound to the password on an earlier connection.
    pub(super) is_known: bool,
}

impl Channel {
    pub(super) fn is_verified(&self) -> bool {
        self.is_known || self.tls.as_ref().is_some_and(|tls| tls.is_verified)
    }
}

/// What is known of the server after the login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trust {
    server: String,
    channel: Channel,
    method: Method,
    /// Whether SCRAM was bound to the server's certificate: then no other server can be in between.
    is_bound: bool,
}

impl Trust {
    pub(super) fn new(server: String, channel: Channel, method: Method, is_bound: bool) -> Self {
        Self { server, channel, method, is_bound }
    }

    /// Whether the server proved by its certificate, or with the password, that it is the right one.
    pub(super) fn is_authenticated(&self) -> bool {
        self.is_bound || self.channel.is_verified()
    }

    /// Whether SCRAM was bound to the server's certificate.
    pub(crate) fn is_bound(&self) -> bool {
        self.is_bound
    }

    /// Whether no other server could have answered: this one is on this machine, or its certificate was verified.
    pub(crate) fn is_certain(&self) -> bool {
        self.channel.peer.is_local() || self.channel.is_verified()
    }

    /// The certificate that the password vouches for.
    fn bound_certificate(&self) -> Option<&[u8]> {
        self.channel.tls.as_ref().filter(|_| self.is_bound)?.endpoint.as_deref()
    }

    /// A warning where the server could be another one, or others can read along.
    pub(crate) fn warning(&self) -> Option<String> {
        if self.channel.peer.is_local() || self.is_authenticated() {
            return None;
        }
        let server = &self.server;
        let mut text = match self.channel.tls {
            None => format!(
                "the connection to {server} is not encrypted: anybody on the way can read and change it"
            ),
            Some(_) => format!(
                "pgmig did not verify the certificate of {server}: another server could answer in its place"
            ),
        };
        text += match self.method {
            Method::Password => ", and it was sent the password in clear text",
            Method::Md5 => ", and it was sent an MD5 hash of the password, which is as good as the password",
            Method::Scram | Method::None => "",
        };
        Some(text + "; set PG_CA_FILE to this cluster's ca.crt")
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(warning) = self.warning() {
            return write!(f, "warning: {warning}");
        }
        match (self.channel.peer, &self.channel.tls) {
            (Peer::Socket, _) => f.write_str("the server is on this machine (socket)"),
            (_, Some(tls)) if tls.is_verified => f.write_str("the server's certificate is verified"),
            (_, Some(_)) if self.is_authenticated() => {
                f.write_str("the server proved that it knows the password (channel binding)")
            }
            _ => f.write_str("the address is this machine's"),
        }
    }
}

/// What the first connection of a configuration proved; later ones must prove as much.
#[derive(Debug, Clone, Default)]
pub(super) struct Proven(Arc<OnceLock<First>>);

#[derive(Debug)]
struct First {
    is_authenticated: bool,
    certificate: Option<Vec<u8>>,
}

impl Proven {
    /// Whether this certificate was bound to the password before.
    pub(super) fn knows(&self, tls: &TlsFacts) -> bool {
        let known = self.0.get().and_then(|first| first.certificate.as_ref());
        known.is_some() && known == tls.endpoint.as_ref()
    }

    /// Whether the connection is no worse than the first one, which this may be.
    pub(super) fn accepts(&self, trust: &Trust) -> bool {
        let first = self.0.get_or_init(|| First {
            is_authenticated: trust.is_authenticated(),
            certificate: trust.bound_certificate().map(<[u8]>::to_vec),
        });
        trust.is_authenticated() || !first.is_authenticated
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn tls(is_verified: bool, endpoint: u8) -> Option<TlsFacts> {
        Some(TlsFacts { version: "TLSv1.3", is_verified, endpoint: Some(vec![endpoint]) })
    }

    fn trust(peer: Peer, tls: Option<TlsFacts>, method: Method, is_bound: bool) -> Trust {
        Trust::new("db:5432".to_owned(), Channel { peer, tls, is_known: false }, method, is_bound)
    }

    #[test]
    fn who_could_be_another_server_is_warned_of() {
        let warning = |tls, method| trust(Peer::Remote, tls, method, false).warning();
        assert!(warning(None, Method::Scram).unwrap().contains("not encrypted"));
        assert!(warning(None, Method::Md5).unwrap().contains("MD5"));
        assert!(warning(tls(false, 1), Method::Password).unwrap().contains("in clear text; set PG_CA_FILE"));
        assert_eq!(warning(tls(true, 1), Method::Password), None);
    }

    #[test]
    fn this_machine_and_a_bound_password_need_no_warning() {
        assert_eq!(trust(Peer::Socket, None, Method::None, false).warning(), None);
        assert_eq!(trust(Peer::Loopback, None, Method::Password, false).warning(), None);
        assert_eq!(trust(Peer::Remote, tls(false, 1), Method::Scram, true).warning(), None);
    }

    #[test]
    fn later_connections_must_prove_as_much() {
        let proven = Proven::default();
        assert!(proven.accepts(&trust(Peer::Remote, tls(false, 1), Method::Scram, true)));
        assert!(!proven.accepts(&trust(Peer::Remote, tls(false, 1), Method::Scram, false)));
        assert!(!proven.accepts(&trust(Peer::Remote, None, Method::Scram, false)));
        assert!(proven.knows(&tls(false, 1).unwrap()) && !proven.knows(&tls(false, 2).unwrap()));
        let unproven = Proven::default();
        assert!(unproven.accepts(&trust(Peer::Remote, None, Method::Scram, false)));
        assert!(unproven.accepts(&trust(Peer::Remote, tls(true, 1), Method::Scram, false)));
        assert!(!unproven.knows(&tls(false, 1).unwrap()));
    }
}
