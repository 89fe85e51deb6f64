//! Messages of PostgreSQL's protocol, version 3, as far as a login needs them. Every length is bounded.

use crate::server::error::ServerError;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The longest message of a server before a session begins, as libpq bounds it.
const MAX_LOGIN_MESSAGE: usize = 30_000;
/// All messages of a server before a session begins.
const MAX_LOGIN_BYTES: usize = 1024 * 1024;
/// Version 3.0.
const PROTOCOL: u32 = 3 << 16;
/// Bytes of a length.
const LENGTH: usize = 4;

/// A message of the server: its kind, and what follows the length.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

/// Why a login cannot go on.
#[derive(Debug)]
pub(super) enum LoginError {
    /// The connection ended.
    Io(io::Error),
    /// The server refused.
    Server(Box<ServerError>),
    /// The server says what no PostgreSQL server says.
    Protocol(&'static str),
    /// A password is asked for, and there is none.
    NoPassword,
    /// The server asks for what must not be sent, or does not prove what it has to.
    Stopped { reason: String, advice: &'static str },
}

impl From<io::Error> for LoginError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A connection on which a login is under way.
pub(super) struct Conversation<'a, S> {
    stream: &'a mut S,
    received: usize,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Conversation<'a, S> {
    pub(super) fn new(stream: &'a mut S) -> Self {
        Self { stream, received: 0 }
    }

    /// Reads one message, and nothing behind it.
    pub(super) async fn receive(&mut self) -> Result<Message, LoginError> {
        let kind = self.stream.read_u8().await?;
        let length = self.stream.read_u32().await?;
        let length = usize::try_from(length).ok().and_then(|length| length.checked_sub(LENGTH));
        let Some(length) = length.filter(|length| *length <= MAX_LOGIN_MESSAGE) else {
            return Err(LoginError::Protocol("a message is too long, or is no PostgreSQL server's"));
        };
        self.received += length;
        if self.received > MAX_LOGIN_BYTES {
            return Err(LoginError::Protocol("the login does not end"));
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(Message { kind, body })
    }

    /// Sends a start-up message with these parameters.
    pub(super) async fn send_startup(&mut self, parameters: &[(&str, &str)]) -> Result<(), LoginError> {
        let mut body = PROTOCOL.to_be_bytes().to_vec();
        for (name, value) in parameters {
            put_string(&mut body, name)?;
            put_string(&mut body, value)?;
        }
        body.push(0);
        self.write(None, &body).await
    }

    /// Sends a password message: the answer to every request of an authentication.
    pub(super) async fn send_password(&mut self, body: &[u8]) -> Result<(), LoginError> {
        self.write(Some(b'p'), body).await
    }

    /// Runs a query whose answer is short, and ends the session. Returns the rows as text.
    pub(super) async fn ask(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, LoginError> {
        let mut body = Vec::new();
        put_string(&mut body, sql)?;
        self.write(Some(b'Q'), &body).await?;
        let mut rows = Vec::new();
        loop {
            let message = self.receive().await?;
            match message.kind {
                b'D' => rows.push(message.row().ok_or(LoginError::Protocol("a row is cut short"))?),
                b'E' => return Err(message.server_error()),
                b'Z' => break,
                _ => {}
            }
        }
        // Terminate: without it the server would log that the connection was lost.
        let _ = self.write(Some(b'X'), &[]).await;
        Ok(rows)
    }

    async fn write(&mut self, kind: Option<u8>, body: &[u8]) -> Result<(), LoginError> {
        let too_long = LoginError::Protocol("a name or the password is too long");
        let length = u32::try_from(body.len() + LENGTH).map_err(|_| too_long)?;
        let mut message = secrecy::zeroize::Zeroizing::new(Vec::with_capacity(body.len() + LENGTH + 1));
        message.extend(kind);
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(body);
        self.stream.write_all(&message).await?;
        self.stream.flush().await?;
        Ok(())
    }
}

/// Adds a string that ends with a zero byte, which it cannot hold itself.
pub(super) fn put_string(body: &mut Vec<u8>, text: &str) -> Result<(), LoginError> {
    if text.contains('\0') {
        let reason = "a name or the password holds a zero byte".to_owned();
        return Err(LoginError::Stopped { reason, advice: "check su_username and su_password" });
    }
    body.extend_from_slice(text.as_bytes());
    body.push(0);
    Ok(())
}

impl Message {
    /// As it was received.
    pub(super) fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.kind);
        bytes.extend_from_slice(&u32::try_from(self.body.len() + LENGTH).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(&self.body);
    }

    /// The values of a row, as text.
    fn row(&self) -> Option<Vec<Option<String>>> {
        let (count, mut rest) = self.body.split_first_chunk::<2>()?;
        let mut values = Vec::new();
        for _ in 0..u16::from_be_bytes(*count) {
            let (length, after) = rest.split_first_chunk::<4>()?;
            rest = after;
            // NULL has the length -1.
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                values.push(None);
                continue;
            };
            let (value, after) = rest.split_at_checked(length)?;
            rest = after;
            values.push(Some(String::from_utf8_lossy(value).into_owned()));
        }
        Some(values)
    }

    /// An error that the server reports: its code and its primary message.
    pub(super) fn server_error(&self) -> LoginError {
        let (mut sqlstate, mut text) = (String::new(), String::new());
        for field in self.body.split(|byte| *byte == 0) {
            match field.split_first() {
                Some((b'C', value)) => sqlstate = String::from_utf8_lossy(value).into_owned(),
                Some((b'M', value)) => text = String::from_utf8_lossy(value).into_owned(),
                _ => {}
            }
        }
        LoginError::Server(Box::new(ServerError::of_login(sqlstate, text)))
    }
}

/// An error that is told to the client of a connection as if the server had reported it.
pub(super) fn error_message(sqlstate: &str, text: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (field, value) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', sqlstate), (b'M', text)] {
        body.push(field);
        body.extend_from_slice(value.as_bytes());
        body.push(0);
    }
    body.push(0);
    let mut bytes = Vec::new();
    Message { kind: b'E', body }.append_to(&mut bytes);
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    async fn receive(mut bytes: &[u8]) -> Result<Message, LoginError> {
        let mut stream = tokio::io::join(&mut bytes, tokio::io::sink());
        Conversation::new(&mut stream).receive().await
    }

    #[tokio::test]
    async fn a_message_of_2_gb_is_not_read() {
        for length in [0x7fff_ffff_u32, 30_005, 3, 0] {
            let mut bytes = vec![b'R'];
            bytes.extend_from_slice(&length.to_be_bytes());
            assert!(matches!(receive(&bytes).await, Err(LoginError::Protocol(_))), "{length}");
        }
    }

    #[tokio::test]
    async fn a_login_that_does_not_end_is_given_up() {
        let mut bytes = Vec::new();
        Message { kind: b'S', body: vec![0; 30_000] }.append_to(&mut bytes);
        let endless = bytes.repeat(40);
        let mut stream = tokio::io::join(endless.as_slice(), tokio::io::sink());
        let mut conversation = Conversation::new(&mut stream);
        let mut received = 0;
        while conversation.receive().await.is_ok() {
            received += 1;
        }
        assert_eq!(received, MAX_LOGIN_BYTES / MAX_LOGIN_MESSAGE);
    }

    #[test]
    fn a_row_is_read_and_one_that_is_cut_short_is_not() {
        let body = [&[0, 2, 0, 0, 0, 1][..], b"t", &[255; 4]].concat();
        let row = |length: usize| Message { kind: b'D', body: body[..length].to_vec() }.row();
        assert_eq!(row(body.len()), Some(vec![Some("t".to_owned()), None]));
        assert!((0..body.len()).all(|length| row(length).is_none()));
    }

    #[tokio::test]
    async fn an_error_is_read_back() {
        let message = receive(&error_message("28P01", "no")).await.unwrap();
        let LoginError::Server(error) = message.server_error() else { panic!("{message:?}") };
        assert_eq!((error.sqlstate.as_deref(), error.message.as_str()), (Some("28P01"), "no"));
        assert!(matches!(receive(b"E\0\0\0\x20SFATAL").await, Err(LoginError::Io(_))));
    }
}
