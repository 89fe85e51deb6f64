//! Networks and processes that stop without closing anything: a proxy that forwards no more, a process that is stopped.

use super::Database;
use super::pgmig::TargetFile;
use super::server::Server;
use super::session::wait_until;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// A proxy that can become silent. It then keeps all connections open, and takes new ones without a word.
#[derive(Debug)]
pub(crate) struct SilentProxy {
    port: u16,
    is_silent: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
}

impl SilentProxy {
    /// Starts one.
    pub(crate) fn start(server: &Server) -> Self {
        Self::started(server, None)
    }

    /// Starts one that takes one connection, and then refuses all for this long, as a server that restarts.
    pub(crate) fn that_restarts(server: &Server, pause: Duration) -> Self {
        Self::started(server, Some(pause))
    }

    fn started(server: &Server, mut pause: Option<Duration>) -> Self {
        let mut listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let upstream = (server.host.clone(), server.port);
        let (is_silent, connections) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (silent, count) = (Arc::clone(&is_silent), Arc::clone(&connections));
        // Ends with the test's process.
        spawn(move || {
            let mut held = Vec::new();
            loop {
                let (client, _) = listener.accept().expect("a connection can be taken");
                count.fetch_add(1, Ordering::SeqCst);
                if silent.load(Ordering::SeqCst) {
                    held.push(client);
                    continue;
                }
                forward_both(client, &upstream, &silent);
                if let Some(pause) = pause.take() {
                    drop(listener);
                    sleep(pause);
                    listener = TcpListener::bind(address).expect("the port is still free");
                }
            }
        });
        Self { port: address.port(), is_silent, connections }
    }

    /// The target, connected to through the proxy.
    pub(crate) fn target(&self, file: TargetFile) -> TargetFile {
        let more = format!("sslmode: disable\n{}", file.more);
        TargetFile { host: "127.0.0.1".to_owned(), port: self.port, more, ..file }
    }

    /// Forwards nothing from now on.
    pub(crate) fn become_silent(&self) {
        self.is_silent.store(true, Ordering::SeqCst);
    }

    /// How many connections it has taken.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn forward_both(client: TcpStream, upstream: &(String, u16), is_silent: &Arc<AtomicBool>) {
    let server = TcpStream::connect(upstream).expect("the server is there");
    let clone = |stream: &TcpStream| stream.try_clone().expect("a connection can be cloned");
    for (from, to) in [(clone(&client), clone(&server)), (server, client)] {
        let is_silent = Arc::clone(is_silent);
        spawn(move || forward(from, to, &is_silent));
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, is_silent: &AtomicBool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        while is_silent.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(50));
        }
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
    // While it is silent, not even an end arrives.
    while is_silent.load(Ordering::SeqCst) {
        sleep(Duration::from_millis(50));
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// Ends the sessions of a run whose application name is the target's name. The server does not know yet that their client is
/// gone.
#[track_caller]
pub(crate) fn end_sessions(target: &Database) {
    let sessions = format!("FROM pg_stat_activity WHERE starts_with(application_name, '{} ')", target.name);
    target.server.psql("postgres", &format!("SELECT pg_terminate_backend(pid) {sessions}"));
    wait_until(|| target.server.psql("postgres", &format!("SELECT count(*) {sessions}")) == "0\n");
}

/// Processes that are stopped until the value is dropped.
#[derive(Debug)]
pub(crate) struct Stopped(Vec<u32>);

impl Stopped {
    /// Stops these processes.
    #[track_caller]
    pub(crate) fn processes(pids: &[u32]) -> Self {
        pids.iter().for_each(|pid| signal("STOP", *pid));
        Self(pids.to_vec())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.iter().for_each(|pid| signal("CONT", *pid));
    }
}

/// Sends a signal to a process. It may be gone.
fn signal(name: &str, pid: u32) {
    let mut kill = Command::new("kill");
    let _ = kill.args(["-s", name, &pid.to_string()]).stderr(std::process::Stdio::null()).status();
}
