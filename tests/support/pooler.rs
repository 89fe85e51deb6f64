//! A connection pooler in transaction mode, as PgBouncer is one: all clients of a database share one session of the server.
//! It takes no password and no TLS.

use super::pgmig::TargetFile;
use super::server::Server;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::spawn;

/// The pooler, on a port of its own. Ends with the test's process.
#[derive(Debug)]
pub(crate) struct Pooler {
    port: u16,
}

/// Sessions of the server, by the parameters of their clients.
type Sessions = Arc<Mutex<HashMap<String, Arc<Mutex<UnixStream>>>>>;

impl Pooler {
    pub(crate) fn start(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let socket = PathBuf::from(&server.socket).join(format!(".s.PGSQL.{}", server.port));
        let sessions = Sessions::default();
        spawn(move || {
            for client in listener.incoming() {
                let (client, socket, sessions) =
                    (client.expect("a client"), socket.clone(), Arc::clone(&sessions));
                // The end of a client ends its thread with an error.
                spawn(move || serve(client, &socket, &sessions));
            }
        });
        Self { port }
    }

    /// The target, reached by the pooler.
    pub(crate) fn target(&self, file: TargetFile) -> TargetFile {
        let more = "sslmode: disable\n".to_owned();
        TargetFile { host: "127.0.0.1".to_owned(), port: self.port, more, ..file }
    }
}

fn serve(mut client: TcpStream, socket: &PathBuf, sessions: &Sessions) -> std::io::Result<()> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let mut parameters = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut parameters)?;
    let text = String::from_utf8_lossy(&parameters[4..]).into_owned();
    let mut words = text.split('\0');
    let mut value = |wanted: &str| {
        words.by_ref().find(|word| *word == wanted);
        words.next().unwrap_or_default().to_owned()
    };
    let (user, database) = (value("user"), value("database"));
    let session = {
        let mut sessions = sessions.lock().expect("no thread panics");
        let key = format!("{user}\0{database}");
        match sessions.get(&key) {
            Some(session) => Arc::clone(session),
            None => {
                let session = Arc::new(Mutex::new(begin(socket, &user, &database)?));
                sessions.insert(key, Arc::clone(&session));
                session
            }
        }
    };
    // AuthenticationOk, BackendKeyData with a number of its own, ReadyForQuery.
    client.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 0])?;
    client.write_all(&[b'K', 0, 0, 0, 12, 0, 1, 2, 3, 4, 5, 6, 7])?;
    client.write_all(&[b'Z', 0, 0, 0, 5, b'I'])?;
    loop {
        let mut message = read_message(&mut client)?;
        let mut session = session.lock().expect("no thread panics");
        loop {
            let kind = message[0];
            if kind == b'X' {
                return Ok(());
            }
            session.write_all(&message)?;
            // Query, Sync, CopyDone, CopyFail: the server answers.
            if matches!(kind, b'Q' | b'S' | b'c' | b'f') && answer(&mut session, &mut client)? == b'I' {
                break;
            }
            message = read_message(&mut client)?;
        }
    }
}

/// Passes on the server's messages up to the next one that waits for the client. Returns the state of the transaction.
fn answer(session: &mut UnixStream, client: &mut TcpStream) -> std::io::Result<u8> {
    loop {
        let message = read_message(session)?;
        client.write_all(&message)?;
        match message[0] {
            b'Z' => return Ok(message[5]),
            b'G' => return Ok(b'T'),
            _ => {}
        }
    }
}

fn begin(socket: &PathBuf, user: &str, database: &str) -> std::io::Result<UnixStream> {
    let mut session = UnixStream::connect(socket)?;
    let parameters = format!("user\0{user}\0database\0{database}\0\0");
    let length = u32::try_from(parameters.len() + 8).expect("short");
    session.write_all(
        &[&length.to_be_bytes()[..], &196_608_u32.to_be_bytes(), parameters.as_bytes()].concat(),
    )?;
    while read_message(&mut session)?[0] != b'Z' {}
    Ok(session)
}

fn read_message(from: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; 5];
    from.read_exact(&mut message)?;
    let length = u32::from_be_bytes([message[1], message[2], message[3], message[4]]) as usize;
    message.resize(length + 1, 0);
    from.read_exact(&mut message[5..])?;
    Ok(message)
}
