//! A proxy between pgmig and the server that breaks connections at a COMMIT, or delays an answer. It cannot read TLS.

use super::pgmig::TargetFile;
use super::server::Server;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

/// The proxy's action at the first COMMIT, or at a BEGIN.
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
    /// Nothing is cut. The answer to the first BEGIN after a CREATE DATABASE on its connection comes late, by
    /// [`LATE`].
    LateBegin,
}

/// Long enough for a signal to arrive before the answer, and less than pgmig waits for a server.
const LATE: Duration = Duration::from_millis(500);

/// A proxy on a port of its own.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    /// Whether the proxy has acted.
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

    /// Whether the proxy has acted.
    pub(crate) fn has_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }
}

/// Forwards both directions until the proxy acts on one of all connections.
fn forward(client: TcpStream, server: TcpStream, cut: Cut, done: Arc<AtomicBool>) {
    let late = Arc::new(AtomicBool::new(false));
    let answers = copy(clone(&server), clone(&client), Arc::clone(&done), Arc::clone(&late));
    spawn(move || {
        let (mut from, mut to) = (client, server);
        let mut buffer = vec![0; 64 * 1024];
        let (awaited, message) = match cut {
            Cut::HeldAtTheEnd => ("SET LOCAL synchronous_commit = on", COMMIT),
            Cut::LateBegin => ("CREATE DATABASE", BEGIN),
            _ => ("", COMMIT),
        };
        let mut has_come = awaited.is_empty();
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..length];
            has_come = has_come || bytes.windows(awaited.len()).any(|window| window == awaited.as_bytes());
            let is_first = has_come && bytes == message && !done.load(Ordering::SeqCst);
            if !is_first && done.load(Ordering::SeqCst) && cut == Cut::AfterAndForEver {
                break;
            }
            if !is_first {
                if to.write_all(bytes).is_err() {
                    break;
                }
                continue;
            }
            if cut == Cut::LateBegin {
                late.store(true, Ordering::SeqCst);
                to.write_all(bytes).expect("the server takes it");
                done.store(true, Ordering::SeqCst);
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

/// Forwards the server's answers, drops that to the COMMIT at which the proxy acted, and waits with one that is late.
fn copy(
    mut from: TcpStream,
    mut to: TcpStream,
    done: Arc<AtomicBool>,
    late: Arc<AtomicBool>,
) -> JoinHandle<()> {
    spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if late.swap(false, Ordering::SeqCst) {
                sleep(LATE);
            }
            let is_dropped =
                done.load(Ordering::SeqCst) && buffer[..length].windows(6).any(|bytes| bytes == b"COMMIT");
            if !is_dropped && to.write_all(&buffer[..length]).is_err() {
                return;
            }
        }
    })
}

/// The simple queries `COMMIT` and `BEGIN`, each of which sqlx sends in a message of its own.
const COMMIT: &[u8] = b"Q\x00\x00\x00\x0bCOMMIT\x00";
const BEGIN: &[u8] = b"Q\x00\x00\x00\x0aBEGIN\x00";

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a connection can be cloned")
}
