//! Begins a session: the start-up message, and whatever the server asks for to let the role in.
//!
//! sqlx could do this, but not bind SCRAM to the TLS connection, nor refuse what the operator does not allow.

use crate::server::login::Login;
use crate::server::message::{Conversation, LoginError, Message, put_string};
use crate::server::policy::{ChannelBinding, Policy};
use crate::server::require_auth::Method;
use crate::server::scram::{Binding, Scram, ScramError};
use crate::server::trust::Channel;
use openssl::hash::{MessageDigest, hash};
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;
use std::fmt::Write as _;
use tokio::io::{AsyncRead, AsyncWrite};

const SCRAM: &str = "SCRAM-SHA-256";
const SCRAM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// The session that is asked for, and on what it may be had.
pub(super) struct Request<'a> {
    pub(super) login: &'a Login,
    pub(super) database: &'a str,
    pub(super) application_name: &'a str,
    /// Options as on the server's command line.
    pub(super) options: &'static str,
    pub(super) policy: &'a Policy,
    pub(super) channel: &'a Channel,
}

/// A session that has begun.
pub(super) struct Started {
    /// The server's messages after the login, to and including that it is ready for a query.
    pub(super) messages: Vec<u8>,
    /// The process that would cancel its statements, as the other end says. A pooler says a number of its own.
    pub(super) process: Option<i32>,
    pub(super) method: Method,
    /// Whether the login was bound to the server's certificate.
    pub(super) is_bound: bool,
}

/// Logs in.
pub(super) async fn start_up<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &Request<'_>,
) -> Result<Started, LoginError> {
    let mut conversation = Conversation::new(stream);
    let parameters = [
        ("user", request.login.user()),
        ("database", request.database),
        ("application_name", request.application_name),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("TimeZone", "UTC"),
        // As pg_dump: floats come out with every digit.
        ("extra_float_digits", "3"),
        ("options", request.options),
    ];
    conversation.send_startup(&parameters).await?;
    let (method, is_bound) = authenticate(&mut conversation, request).await?;
    let (messages, process) = until_ready(&mut conversation).await?;
    Ok(Started { messages, process, method, is_bound })
}

/// A request of the server for an authentication.
enum Ask {
    Nothing,
    Password,
    Md5([u8; 4]),
    Sasl(Vec<String>),
    Other(&'static str),
}

/// Answers the server's request; returns how, and whether that was bound to the certificate.
async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    conversation: &mut Conversation<'_, S>,
    request: &Request<'_>,
) -> Result<(Method, bool), LoginError> {
    let ask = Ask::parse(&receive(conversation, b'R').await?.body)?;
    let method = ask.method()?;
    request.require(method)?;
    let mut is_bound = false;
    match ask {
        Ask::Nothing | Ask::Other(_) => return Ok((method, false)),
        Ask::Password => {
            request.require_private_channel()?;
            let mut body = Zeroizing::new(Vec::new());
            put_string(&mut body, request.password()?.expose_secret())?;
            conversation.send_password(&body).await?;
        }
        Ask::Md5(salt) => {
            let mut body = Vec::new();
            put_string(&mut body, &md5_answer(request, salt)?)?;
            conversation.send_password(&body).await?;
        }
        Ask::Sasl(mechanisms) => is_bound = scram(conversation, request, &mechanisms).await?,
    }
    match Ask::parse(&receive(conversation, b'R').await?.body)? {
        Ask::Nothing => Ok((method, is_bound)),
        _ => Err(LoginError::Protocol("it asks for two authentications")),
    }
}

impl Ask {
    fn parse(body: &[u8]) -> Result<Self, LoginError> {
        let Some((code, rest)) = body.split_first_chunk::<4>() else {
            return Err(LoginError::Protocol("a request for authentication is too short"));
        };
        Ok(match u32::from_be_bytes(*code) {
            0 => Self::Nothing,
            3 => Self::Password,
            5 => {
                let salt = rest.first_chunk::<4>();
                Self::Md5(*salt.ok_or(LoginError::Protocol("a request for MD5 has no salt"))?)
            }
            10 => {
                let names = rest.split(|byte| *byte == 0).filter(|name| !name.is_empty());
                Self::Sasl(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
            }
            2 => Self::Other("Kerberos"),
            7 | 8 => Self::Other("GSSAPI"),
            9 => Self::Other("SSPI"),
            _ => Self::Other("an authentication that pgmig does not know"),
        })
    }

    fn method(&self) -> Result<Method, LoginError> {
        match self {
            Self::Nothing => Ok(Method::None),
            Self::Password => Ok(Method::Password),
            Self::Md5(_) => Ok(Method::Md5),
            Self::Sasl(names) if names.iter().any(|name| name == SCRAM || name == SCRAM_PLUS) => {
                Ok(Method::Scram)
            }
            Self::Sasl(_) => Err(unsupported("a SASL mechanism that pgmig does not know")),
            Self::Other(name) => Err(unsupported(name)),
        }
    }
}

fn unsupported(what: &str) -> LoginError {
    let reason = format!("the server asks for {what}, and pgmig knows scram-sha-256, md5 and password");
    stopped(reason, "have pg_hba.conf ask this role for scram-sha-256")
}

fn stopped(reason: impl Into<String>, advice: &'static str) -> LoginError {
    LoginError::Stopped { reason: reason.into(), advice }
}

impl Request<'_> {
    fn password(&self) -> Result<&secrecy::SecretString, LoginError> {
        self.login.password().ok_or(LoginError::NoPassword)
    }

    /// Whether the operator allows this method.
    fn require(&self, method: Method) -> Result<(), LoginError> {
        if !self.policy.require_auth.allows(method) {
            let reason = match method {
                Method::None => "the server asks for no authentication".to_owned(),
                method => format!("the server asks for the method {method}"),
            };
            return Err(stopped(
                reason + ", which PGREQUIREAUTH does not allow",
                "change PGREQUIREAUTH, or the server's pg_hba.conf",
            ));
        }
        if method != Method::Scram && self.policy.channel_binding == ChannelBinding::Require {
            let reason = "PGCHANNELBINDING=require, and the server does not ask for scram-sha-256";
            return Err(stopped(reason, "have pg_hba.conf ask this role for scram-sha-256"));
        }
        Ok(())
    }

    /// Whether a password in clear text may be sent: to this machine, to a server that is authenticated; or over TLS
    /// where the operator named the method.
    fn require_private_channel(&self) -> Result<(), LoginError> {
        if self.channel.peer.is_local() || self.channel.is_verified() {
            return Ok(());
        }
        if self.channel.tls.is_none() {
            let reason = "the server asks for the password in clear text over a connection without TLS";
            return Err(stopped(reason, "enable TLS, or have pg_hba.conf ask this role for scram-sha-256"));
        }
        if !self.policy.require_auth.names(Method::Password) {
            let reason =
                "the server asks for the password in clear text, and its certificate is not verified";
            return Err(stopped(
                reason,
                "set PG_CA_FILE to this cluster's ca.crt, or PGREQUIREAUTH=password to send it all the same",
            ));
        }
        Ok(())
    }

    /// How SCRAM is bound to the TLS connection.
    fn binding(&self, mechanisms: &[String]) -> Result<Binding, LoginError> {
        let is_required = self.policy.channel_binding == ChannelBinding::Require;
        let is_offered = mechanisms.iter().any(|name| name == SCRAM_PLUS);
        let Some(tls) = &self.channel.tls else {
            return match (is_required, is_offered) {
                (true, _) => Err(stopped(
                    "PGCHANNELBINDING=require, and the connection has no TLS",
                    "set sslmode: verify-full, and use TCP",
                )),
                (_, true) => Err(LoginError::Protocol("it offers channel binding without TLS")),
                _ => Ok(Binding::Unsupported),
            };
        };
        let endpoint =
            tls.endpoint.clone().filter(|_| self.policy.channel_binding != ChannelBinding::Disable);
        match endpoint {
            Some(hash) if is_offered => Ok(Binding::Endpoint(hash)),
            _ if is_required => Err(stopped(
                "PGCHANNELBINDING=require, and the server or its certificate cannot bind SCRAM to TLS",
                "check that the server is PostgreSQL 11 or later, and that nothing stands in between",
            )),
            Some(_) => Ok(Binding::NotOffered),
            None => Ok(Binding::Unsupported),
        }
    }
}

/// The whole exchange; returns whether it was bound to the certificate.
async fn scram<S: AsyncRead + AsyncWrite + Unpin>(
    conversation: &mut Conversation<'_, S>,
    request: &Request<'_>,
    mechanisms: &[String],
) -> Result<bool, LoginError> {
    let binding = request.binding(mechanisms)?;
    let is_bound = matches!(binding, Binding::Endpoint(_));
    let mechanism = if is_bound { SCRAM_PLUS } else { SCRAM };
    if !mechanisms.iter().any(|name| name == mechanism) {
        return Err(stopped(
            "the server offers scram-sha-256 with channel binding only, which PGCHANNELBINDING=disable forbids",
            "unset PGCHANNELBINDING",
        ));
    }
    let password = request.password()?.clone();
    let exchange = Scram::new(binding).map_err(scram_failure)?;
    let first = exchange.client_first();
    let mut body = Vec::new();
    put_string(&mut body, mechanism)?;
    body.extend_from_slice(&u32::try_from(first.len()).unwrap_or(u32::MAX).to_be_bytes());
    body.extend_from_slice(first.as_bytes());
    conversation.send_password(&body).await?;

    const CONTINUE: u32 = 11;
    let server_first = sasl_data(conversation, CONTINUE).await?;
    let responding = tokio::task::spawn_blocking(move || exchange.respond(&server_first, &password));
    let responded = responding.await.unwrap_or(Err(ScramError::Crypto));
    let (client_final, proof) = responded.map_err(scram_failure)?;
    conversation.send_password(client_final.as_bytes()).await?;

    const FINAL: u32 = 12;
    proof.check(&sasl_data(conversation, FINAL).await?).map_err(scram_failure)?;
    Ok(is_bound)
}

fn scram_failure(error: ScramError) -> LoginError {
    stopped(error.to_string(), "check that host and port are those of the right server")
}

async fn sasl_data<S: AsyncRead + AsyncWrite + Unpin>(
    conversation: &mut Conversation<'_, S>,
    expected: u32,
) -> Result<String, LoginError> {
    let message = receive(conversation, b'R').await?;
    match message.body.split_first_chunk::<4>() {
        Some((code, data)) if u32::from_be_bytes(*code) == expected => String::from_utf8(data.to_vec())
            .map_err(|_| LoginError::Protocol("a message of SCRAM is not UTF-8")),
        // Not even where the server says that all is well: it has yet to prove that it knows the password.
        _ => Err(LoginError::Protocol("it breaks off SCRAM")),
    }
}

fn md5_answer(request: &Request<'_>, salt: [u8; 4]) -> Result<String, LoginError> {
    let digest = |data: &[u8]| -> Result<String, LoginError> {
        let digest = hash(MessageDigest::md5(), data);
        let digest = digest.map_err(|_| unsupported("MD5, which OpenSSL does not allow on this machine"))?;
        Ok(digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    };
    let mut secret = Zeroizing::new(request.password()?.expose_secret().as_bytes().to_vec());
    secret.extend_from_slice(request.login.user().as_bytes());
    let mut salted = Zeroizing::new(digest(&secret)?.into_bytes());
    salted.extend_from_slice(&salt);
    Ok(format!("md5{}", digest(&salted)?))
}

/// Collects what the server says of the session, and which process it says is at work for it.
async fn until_ready<S: AsyncRead + AsyncWrite + Unpin>(
    conversation: &mut Conversation<'_, S>,
) -> Result<(Vec<u8>, Option<i32>), LoginError> {
    let mut messages = Vec::new();
    let mut process = None;
    loop {
        let message = conversation.receive().await?;
        if message.kind == b'K' {
            process = message.body.first_chunk().map(|bytes| i32::from_be_bytes(*bytes));
        }
        match message.kind {
            b'E' => return Err(message.server_error()),
            // ParameterStatus, BackendKeyData, ReadyForQuery.
            b'S' | b'K' | b'Z' => message.append_to(&mut messages),
            // A notice: nobody would see it.
            b'N' => {}
            _ => return Err(LoginError::Protocol("an unexpected message begins the session")),
        }
        if message.kind == b'Z' {
            return Ok((messages, process));
        }
    }
}

/// The next message, which must be of this kind.
async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
    conversation: &mut Conversation<'_, S>,
    kind: u8,
) -> Result<Message, LoginError> {
    loop {
        let message = conversation.receive().await?;
        match message.kind {
            received if received == kind => return Ok(message),
            b'E' => return Err(message.server_error()),
            b'N' => {}
            _ => return Err(LoginError::Protocol("an unexpected message during the login")),
        }
    }
}
