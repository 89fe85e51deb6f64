//! A proxy between pgmig and the server that breaks connections at a COMMIT. It cannot read TLS.

use super::pgmig::TargetFile;
use super::server::Server;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};

/// The proxy's action at the first COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server does not receive it, and sees the end of the connection.
    Before,
    /// The server receives it, but the client does not receive the answer.
    After,
    /// The server does not receive it, and the client waits for an answer.
    Held,
    /// Like `After`. All later connections fail.
    AfterAndForEver,
    /// Like `Held`, at the COMMIT of the transaction that replaces the target.
    HeldAtTheEnd,
}

/// A proxy on a port of its own.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    /// Whether the proxy has seen a COMMIT.
    cut: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts one.
    pub(crate) fn start(server: &Server, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (upstream, done) = ((server.host.clone(), server.port), Arc::new(AtomicBool::new(false)));
        let has_cut = Arc::clone(&done);
        // Ends with the test's process.
        spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a connection can be taken");
                let unreachable = cut == Cut::AfterAndForEver && done.load(Ordering::SeqCst);
                if unreachable {
                    drop(client);
                    continue;
                }
                let server = TcpStream::connect(&upstream).expect("the server is there");
                forward(client, server, cut, Arc::clone(&done));
            }
        });
        Self { port, cut: has_cut }
    }

    /// The target, connected to through the proxy.
    pub(crate) fn target(&self, file: TargetFile) -> TargetFile {
        TargetFile {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            more: "sslmode: disable\n".to_owned(),
            ..file
        }
    }

    /// Whether the proxy has seen a COMMIT.
    pub(crate) fn has_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }
}

/// Forwards both directions until the first COMMIT of all connections.
fn forward(client: TcpStream, server: TcpStream, cut: Cut, done: Arc<AtomicBool>) {
    let answers = copy(clone(&server), clone(&client), Arc::clone(&done));
    spawn(move || {
        let (mut from, mut to) = (client, server);
        let mut buffer = vec![0; 64 * 1024];
        let mut replaces = cut != Cut::HeldAtTheEnd;
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..length];
            let says = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            replaces |= says("SET LOCAL synchronous_commit = on");
            let is_first = replaces && is_commit(bytes) && !done.load(Ordering::SeqCst);
            if !is_first && done.load(Ordering::SeqCst) && cut == Cut::AfterAndForEver {
                break;
            }
            if !is_first {
                if to.write_all(bytes).is_err() {
                    break;
                }
                continue;
            }
            done.store(true, Ordering::SeqCst);
            if matches!(cut, Cut::Held | Cut::HeldAtTheEnd) {
                // Waits until the client closes the connection.
                while let Ok(1..) = from.read(&mut buffer) {}
            } else if cut != Cut::Before {
                // The thread for answers drops what arrives from now on. It ends when the server closes the connection.
                to.write_all(bytes).expect("the server takes it");
                to.shutdown(Shutdown::Write).expect("the server is there");
                answers.join().expect("the answers' thread does not panic");
            }
            break;
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// Forwards the server's answers until a COMMIT has been seen. Drops later answers.
fn copy(mut from: TcpStream, mut to: TcpStream, done: Arc<AtomicBool>) -> JoinHandle<()> {
    spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let is_dropped =
                done.load(Ordering::SeqCst) && buffer[..length].windows(6).any(|bytes| bytes == b"COMMIT");
            if !is_dropped && to.write_all(&buffer[..length]).is_err() {
                return;
            }
        }
    })
}

/// The simple query `COMMIT`, which sqlx sends in a message of its own.
fn is_commit(bytes: &[u8]) -> bool {
    bytes == b"Q\x00\x00\x00\x0bCOMMIT\x00"
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a connection can be cloned")
}
