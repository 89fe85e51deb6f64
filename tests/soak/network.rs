//! A network that fails after a number of bytes, or at a moment.

use crate::support::pgmig::TargetFile;
use crate::support::server::Server;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection that carries the last byte is closed. All others go on.
    OneIsCut,
    /// All connections are closed, and new ones are refused for this long.
    AllAreCut(Duration),
    /// Nothing is forwarded any more, and nothing is closed.
    Silence,
}

/// The network: a proxy on a port of its own.
#[derive(Debug)]
pub(super) struct Network {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    failure: Failure,
    /// The number of bytes, of both directions, after which it fails.
    limit: u64,
    bytes: AtomicU64,
    failed: AtomicBool,
    failed_at: Mutex<Option<Instant>>,
    is_over: AtomicBool,
    /// All connections.
    sockets: Mutex<Vec<TcpStream>>,
}

impl Network {
    /// Begins to forward.
    pub(super) fn start(server: &Server, failure: Failure, limit: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(State {
            failure,
            limit,
            bytes: AtomicU64::default(),
            failed: AtomicBool::default(),
            failed_at: Mutex::default(),
            is_over: AtomicBool::default(),
            sockets: Mutex::default(),
        });
        let (shared, upstream) = (Arc::clone(&state), (server.host.clone(), server.port));
        // Ends with the test's process.
        spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a connection can be taken");
                if shared.refuses() {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&upstream) else { continue };
                shared.begin(client, server);
            }
        });
        Self { port, state }
    }

    /// The target, connected to through this network.
    pub(super) fn target(&self, file: TargetFile, has_tls: bool) -> TargetFile {
        let mode = if has_tls { "require" } else { "disable" };
        let more = format!("sslmode: {mode}\n{}", file.more);
        TargetFile { host: "127.0.0.1".to_owned(), port: self.port, more, ..file }
    }

    /// Fails now.
    pub(super) fn fail(&self) {
        self.state.fail(None);
    }

    /// When it failed.
    pub(super) fn failed_at(&self) -> Option<Instant> {
        *self.state.failed_at.lock().expect("no thread panics")
    }

    /// The number of bytes that it has forwarded.
    pub(super) fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::SeqCst)
    }

    /// Closes everything: the server learns now that its clients are gone.
    pub(super) fn end(&self) {
        self.state.is_over.store(true, Ordering::SeqCst);
        self.state.close_all();
    }
}

impl State {
    fn refuses(&self) -> bool {
        let since = self.failed_at.lock().expect("no thread panics").map(|at| at.elapsed());
        match (self.failure, since) {
            (Failure::AllAreCut(pause), Some(since)) => since < pause,
            _ => self.is_over.load(Ordering::SeqCst),
        }
    }

    fn begin(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let clone = |stream: &TcpStream| stream.try_clone().expect("a connection can be cloned");
        self.sockets.lock().expect("no thread panics").extend([clone(&client), clone(&server)]);
        for (from, to) in [(clone(&client), clone(&server)), (server, client)] {
            let state = Arc::clone(self);
            spawn(move || state.forward(from, to));
        }
    }

    fn forward(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let length = u64::try_from(length).expect("short");
            let before = self.bytes.fetch_add(length, Ordering::SeqCst);
            let fails_here = before <= self.limit && before + length > self.limit;
            self.wait_while_silent();
            let forwarded = if fails_here { self.limit - before } else { length };
            let forwarded = usize::try_from(forwarded).expect("short");
            if to.write_all(&buffer[..forwarded]).is_err() {
                break;
            }
            if fails_here {
                self.fail(Some([&from, &to]));
                self.wait_while_silent();
                break;
            }
        }
        // While it is silent, not even an end arrives.
        self.wait_while_silent();
        let _ = to.shutdown(Shutdown::Both);
    }

    fn wait_while_silent(&self) {
        while self.failure == Failure::Silence
            && self.failed.load(Ordering::SeqCst)
            && !self.is_over.load(Ordering::SeqCst)
        {
            sleep(Duration::from_millis(20));
        }
    }

    fn fail(&self, connection: Option<[&TcpStream; 2]>) {
        if self.failed.swap(true, Ordering::SeqCst) {
            return;
        }
        *self.failed_at.lock().expect("no thread panics") = Some(Instant::now());
        match (self.failure, connection) {
            (Failure::Silence, _) => {}
            (Failure::OneIsCut, Some(ends)) => {
                for end in ends {
                    let _ = end.shutdown(Shutdown::Both);
                }
            }
            (Failure::OneIsCut, None) | (Failure::AllAreCut(_), _) => self.close_all(),
        }
    }

    fn close_all(&self) {
        for socket in self.sockets.lock().expect("no thread panics").drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}
