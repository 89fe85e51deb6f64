//! Servers at an address of this machine that is not loopback, so that pgmig treats them as remote: the real server, or
//! one whose answers a test chooses.

use super::server::Server;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

/// An address of this machine that is not loopback. Packets to it do not leave the machine.
pub(crate) fn own_address() -> IpAddr {
    // Connecting a UDP socket sends nothing. The address is in the range for documentation.
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a port is free");
    let found = socket.connect("198.51.100.1:9").and_then(|()| socket.local_addr());
    let address = found.expect("these tests need an address beside loopback").ip();
    assert!(!address.is_loopback(), "these tests need an address beside loopback");
    address
}

/// Forwards a port of that address to the server. Returns the port. The thread ends with the test's process.
pub(crate) fn forward(server: &Server) -> u16 {
    let (listener, port) = listen(own_address());
    let upstream = (server.host.clone(), server.port);
    spawn(move || {
        for client in listener.incoming() {
            let client = client.expect("a connection can be taken");
            let server = TcpStream::connect(&upstream).expect("the server is there");
            let clone = |stream: &TcpStream| stream.try_clone().expect("a connection can be cloned");
            for (mut from, mut to) in [(clone(&client), clone(&server)), (server, client)] {
                spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    port
}

/// A server that is not PostgreSQL.
#[derive(Debug)]
pub(crate) struct Stranger {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// All bytes that it received.
    received: Arc<Mutex<Vec<u8>>>,
}

/// One connection to a stranger.
#[derive(Debug)]
pub(crate) struct Visit {
    stream: TcpStream,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Stranger {
    /// Handles every connection by `script`.
    pub(crate) fn at(address: IpAddr, script: impl Fn(&mut Visit) + Send + 'static) -> Self {
        let (listener, port) = listen(address);
        let received = Arc::default();
        let all = Arc::clone(&received);
        spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection can be taken");
                script(&mut Visit { stream, received: Arc::clone(&all) });
            }
        });
        Self { host: address.to_string(), port, received }
    }

    /// Whether it received these bytes.
    pub(crate) fn was_sent(&self, bytes: &[u8]) -> bool {
        let received = self.received.lock().expect("no script panics");
        received.windows(bytes.len()).any(|window| window == bytes)
    }
}

impl Visit {
    /// Reads what the client sent. Empty at the end of the connection.
    pub(crate) fn read(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 64 * 1024];
        let length = self.stream.read(&mut buffer).unwrap_or(0);
        buffer.truncate(length);
        self.received.lock().expect("no script panics").extend_from_slice(&buffer);
        buffer
    }

    /// Reads the request for TLS, refuses it, and reads the start-up message.
    pub(crate) fn refuse_tls(&mut self) {
        self.read();
        self.write(b"N");
        self.read();
    }

    /// Sends bytes. Returns whether the client received them.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends a message of the protocol.
    pub(crate) fn send(&mut self, kind: u8, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).expect("a message is short");
        self.write(&[&[kind], length.to_be_bytes().as_slice(), body].concat());
    }
}

fn listen(address: IpAddr) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, 0)).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}
