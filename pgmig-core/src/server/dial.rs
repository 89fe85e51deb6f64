//! Reaches the server: TCP or a socket, and TLS where it is wanted and to be had.

use crate::server::config::{Host, TargetConfig};
use crate::server::handshake::{HandshakeError, handshake};
use crate::server::trust::{Channel, Peer};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// Asks whether the server speaks TLS: the length of the message, and the code 1234, 5679.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A connection in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Whether a connection is to have TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    None,
    /// Where the server has it.
    Offered,
    Required,
}

/// Why the server cannot be reached.
#[derive(Debug)]
pub(super) enum DialError {
    Io(io::Error),
    Tls(HandshakeError),
    /// TLS is required, and the server has none.
    NoTls,
}

/// Connects, without a login.
pub(super) async fn dial(
    config: &TargetConfig,
    encryption: Encryption,
) -> Result<(Box<dyn Stream>, Channel), DialError> {
    let name = match &config.host {
        Host::Socket(directory) => {
            let path = directory.join(format!(".s.PGSQL.{}", config.port));
            let stream = UnixStream::connect(path).await.map_err(DialError::Io)?;
            return Ok((Box::new(stream), Channel { peer: Peer::Socket, tls: None, is_known: false }));
        }
        Host::Tcp(name) => name,
    };
    let mut tcp = TcpStream::connect((name.as_str(), config.port)).await.map_err(DialError::Io)?;
    tcp.set_nodelay(true).map_err(DialError::Io)?;
    config.limits.set_on(&tcp).map_err(DialError::Io)?;
    let peer = peer(tcp.peer_addr().map_err(DialError::Io)?);
    let is_plain = match encryption {
        Encryption::None => true,
        _ if config.policy.is_direct => false,
        _ => !has_tls(&mut tcp).await?,
    };
    if is_plain {
        return match encryption {
            Encryption::Required => Err(DialError::NoTls),
            _ => Ok((Box::new(tcp), Channel { peer, tls: None, is_known: false })),
        };
    }
    let (stream, facts) = handshake(config, name, tcp).await.map_err(DialError::Tls)?;
    let is_known = config.proven.knows(&facts);
    Ok((Box::new(stream), Channel { peer, tls: Some(facts), is_known }))
}

fn peer(address: SocketAddr) -> Peer {
    if address.ip().to_canonical().is_loopback() { Peer::Loopback } else { Peer::Remote }
}

/// Asks for TLS. Only the answer's one byte is read: what follows in clear text before the handshake is not the server's.
async fn has_tls(tcp: &mut TcpStream) -> Result<bool, DialError> {
    tcp.write_all(&SSL_REQUEST).await.map_err(DialError::Io)?;
    match tcp.read_u8().await.map_err(DialError::Io)? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        _ => {
            let reason = "the answer is not a PostgreSQL server's".to_owned();
            Err(DialError::Tls(HandshakeError::Failed(reason)))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_an_address_and_not_a_name() {
        let of = |address: &str| peer(address.parse().unwrap());
        assert_eq!(of("127.0.0.2:5432"), Peer::Loopback);
        assert_eq!(of("[::1]:5432"), Peer::Loopback);
        assert_eq!(of("[::ffff:127.0.0.1]:5432"), Peer::Loopback);
        assert_eq!(of("10.0.0.1:5432"), Peer::Remote);
    }
}
