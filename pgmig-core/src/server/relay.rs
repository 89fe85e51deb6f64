//! Hands a session that has begun over to sqlx, which takes no connection that it did not open itself.
//!
//! sqlx connects to a socket of this process, is told what the server said of the session, and from then on everything
//! is passed on as it is. Messages of the server that are longer than it can mean end the connection.

use crate::server::activity::Activity;
use crate::server::dial::Stream;
use crate::server::message;
use crate::server::watchdog::{CONNECTION_FAILURE, Verdict, Watchdog};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _};
use std::io;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

/// sqlx's default, set because its constructors might take another one from elsewhere some day.
const STATEMENT_CACHE: usize = 100;
/// What one read takes at most: more than a socket's buffer would save nothing.
const BUFFER_BYTES: usize = 256 * 1024;
/// What sqlx sends first is far shorter.
const MAX_STARTUP_BYTES: u32 = 64 * 1024;
/// `AuthenticationOk`.
const AUTHENTICATED: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 0];
/// `ReadyForQuery`: after an error in a COPY, sqlx returns the error only when it has read this, too.
const READY: [u8; 6] = [b'Z', 0, 0, 0, 5, b'I'];
/// `ErrorResponse`.
const ERROR: u8 = b'E';
/// In the name of a socket.
const PORT: u16 = 5432;

/// Makes sqlx's connection of a stream on which the server is ready for a query; `messages` is what it said before.
///
/// The connection lasts as long as the runtime that this is called on.
///
/// `watchdog` ends the session if the server can no longer answer it.
pub(super) async fn hand_over(
    stream: Box<dyn Stream>,
    messages: &[u8],
    watchdog: Watchdog,
) -> Result<PgConnection, sqlx::Error> {
    let meeting = MeetingPoint::new()?;
    let options = options(&meeting.directory);
    let connecting = PgConnection::connect_with(&options);
    let (client, connection) =
        tokio::try_join!(async { Ok(meeting.begin_session(messages).await?) }, connecting)?;
    tokio::spawn(relay(client, stream, watchdog));
    Ok(connection)
}

/// sqlx's constructor takes each option from the environment: all that matter here are set.
fn options(directory: &std::path::Path) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(directory)
        .port(PORT)
        .ssl_mode(PgSslMode::Disable)
        .username("pgmig")
        .password("")
        .statement_cache_capacity(STATEMENT_CACHE)
        // Statements hold values of rows.
        .disable_statement_logging()
}

/// A socket that only this process may connect to.
struct MeetingPoint {
    listener: UnixListener,
    /// What sqlx is told to be the directory of the socket.
    directory: PathBuf,
    #[cfg(not(target_os = "linux"))]
    _removed_on_drop: tempfile::TempDir,
}

impl MeetingPoint {
    /// Without a file, so that nothing is left behind, and no directory must be writable.
    #[cfg(target_os = "linux")]
    fn new() -> io::Result<Self> {
        // A leading zero byte: a name in Linux's abstract namespace.
        let directory = PathBuf::from(format!("\0pgmig-{}", uuid::Uuid::new_v4().simple()));
        let listener = UnixListener::bind(directory.join(format!(".s.PGSQL.{PORT}")))?;
        Ok(Self { listener, directory })
    }

    /// In a directory that only this user may enter.
    #[cfg(not(target_os = "linux"))]
    fn new() -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("pgmig").tempdir()?;
        let listener = UnixListener::bind(directory.path().join(format!(".s.PGSQL.{PORT}")))?;
        Ok(Self { listener, directory: directory.path().to_owned(), _removed_on_drop: directory })
    }

    /// Waits for sqlx, and tells it that the session has begun.
    async fn begin_session(&self, messages: &[u8]) -> io::Result<UnixStream> {
        let mut client = loop {
            let (client, _) = self.listener.accept().await?;
            // The server's session is nobody else's.
            let process = client.peer_cred()?.pid().and_then(|pid| u32::try_from(pid).ok());
            if process == Some(std::process::id()) {
                break client;
            }
        };
        let length = client.read_u32().await?;
        if !(8..=MAX_STARTUP_BYTES).contains(&length) {
            return Err(io::Error::other("the database client began with an unexpected message"));
        }
        // Its parameters were sent to the server by ourselves.
        tokio::io::copy(&mut (&mut client).take(u64::from(length) - 4), &mut tokio::io::sink()).await?;
        client.write_all(&AUTHENTICATED).await?;
        client.write_all(messages).await?;
        Ok(client)
    }
}

/// Passes everything on until either side ends, or the watchdog ends the session.
async fn relay(client: UnixStream, server: Box<dyn Stream>, watchdog: Watchdog) {
    let (mut from_client, mut to_client) = client.into_split();
    let (from_server, to_server) = tokio::io::split(server);
    let activity = &watchdog.activity;
    let verdict = {
        let answers = pass_answers(from_server, &mut to_client, activity);
        tokio::pin!(answers);
        tokio::select! {
            // sqlx is gone: the server is told so by the end of its connection.
            Ok(()) = pass_requests(&mut from_client, to_server, activity) => None,
            // Where the server takes nothing any more, it may still have said why: that is passed on, up to the end.
            () = &mut answers => None,
            verdict = watchdog.verdict() => Some(verdict),
        }
    };
    let Some(Verdict(text)) = verdict else { return };
    let mut nowhere = tokio::io::sink();
    // sqlx reads an error only when it has sent everything, so that has to be taken from it.
    let _ = tokio::join!(
        async {
            let _ = to_client.write_all(&message::error_message(CONNECTION_FAILURE, &text)).await;
            let _ = to_client.write_all(&READY).await;
            let _ = to_client.shutdown().await;
        },
        tokio::io::copy(&mut from_client, &mut nowhere)
    );
}

/// Passes on what sqlx sends, up to its end.
async fn pass_requests(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    activity: &Activity,
) -> Result<(), io::Error> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        // sqlx's end of the socket pair does not fail: it ends.
        let length = from.read(&mut buffer).await.unwrap_or(0);
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        activity.sending(bytes);
        to.write_all(bytes).await?;
        to.flush().await?;
        activity.sent();
    }
}

/// Passes on what the server sends, up to its end or to a message that is too long.
async fn pass_answers(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    activity: &Activity,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut watch = Watch::default();
    let (mut held, mut last) = (0, 0);
    loop {
        let Ok(length @ 1..) = from.read(buffer.get_mut(held..).unwrap_or_default()).await else {
            if last == ERROR {
                let _ = to.write_all(&READY).await;
            }
            return;
        };
        let filled = held + length;
        let sound = watch.pass(buffer.get(..filled).unwrap_or_default(), |kind| {
            last = kind;
            activity.answered(kind);
        });
        activity.delivering();
        if to.write_all(buffer.get(..sound.bytes).unwrap_or_default()).await.is_err() {
            return;
        }
        activity.delivered();
        if sound.is_end {
            let error = message::error_message("08P01", "the server sent a message that is too long");
            let _ = to.write_all(&error).await;
            return;
        }
        buffer.copy_within(sound.bytes..filled, 0);
        held = filled - sound.bytes;
    }
}

/// Follows the server's messages as they pass by, and stops at one that is too long.
#[derive(Default)]
struct Watch {
    /// Bytes of the current message that are still to come.
    remaining: usize,
}

/// How many bytes may be passed on. Those behind them are a part of a header, of less than five bytes, unless it is the
/// end.
#[derive(Debug, PartialEq, Eq)]
struct Sound {
    bytes: usize,
    is_end: bool,
}

impl Watch {
    /// Tells `found` the kind of each message that begins.
    fn pass(&mut self, bytes: &[u8], mut found: impl FnMut(u8)) -> Sound {
        let mut rest = bytes;
        loop {
            let skipped = self.remaining.min(rest.len());
            self.remaining -= skipped;
            rest = rest.get(skipped..).unwrap_or_default();
            let passed = bytes.len() - rest.len();
            let Some((&[kind, a, b, c, d], after)) = rest.split_first_chunk::<5>() else {
                return Sound { bytes: passed, is_end: false };
            };
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            if !(4..=max_length(kind)).contains(&length) {
                return Sound { bytes: passed, is_end: true };
            }
            found(kind);
            self.remaining = length - 4;
            rest = after;
        }
    }
}

/// The longest message of a kind: rows are as long as the server can make them; of the others, libpq allows some to be
/// longer than 30,000 bytes, which are texts.
fn max_length(kind: u8) -> usize {
    match kind {
        b'D' | b'd' => 0x4000_0000,
        b'T' | b'V' | b'E' | b'N' | b'A' => 16 * 1024 * 1024,
        _ => 30_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, length: u32, body: usize) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.resize(bytes.len() + body, 0);
        bytes
    }

    #[test]
    fn whole_messages_pass_however_they_are_cut() {
        let mut bytes = message(b'Z', 5, 1);
        bytes.extend(message(b'D', 100_004, 100_000));
        bytes.extend(message(b'1', 4, 0));
        for size in [1, 2, 3, 5, 7, 64, bytes.len()] {
            let (mut watch, mut held, mut passed) = (Watch::default(), Vec::new(), 0);
            for chunk in bytes.chunks(size) {
                held.extend_from_slice(chunk);
                let sound = watch.pass(&held, |_| {});
                assert!(!sound.is_end && held.len() - sound.bytes < 5, "chunks of {size}");
                passed += held.drain(..sound.bytes).count();
            }
            assert_eq!(passed, bytes.len(), "chunks of {size}");
        }
    }

    #[test]
    fn a_message_of_2_gb_does_not_pass() {
        for (kind, length) in
            [(b'D', 0x7fff_ffff), (b'Z', 30_001), (b'E', 0x0200_0000), (b'S', 3), (b'C', u32::MAX)]
        {
            let mut bytes = message(b'Z', 5, 1);
            bytes.extend(message(kind, length, 20));
            let sound = Watch::default().pass(&bytes, |_| {});
            assert_eq!(sound, Sound { bytes: 6, is_end: true }, "{}", char::from(kind));
        }
    }
}
