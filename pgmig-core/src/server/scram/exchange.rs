//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677). The client proves that it knows the password without
//! sending it. The server proves that it knows the password's verifier.

use super::{KEY_LENGTH, Key, hmac, salted_password};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::error::ErrorStack;
use openssl::memcmp;
use openssl::sha::sha256;
use secrecy::SecretString;
use thiserror::Error;

/// Length of the client's nonce in bytes before base64, as in libpq.
const NONCE_LENGTH: usize = 18;
/// The limit of iterations. A server that asks for more would only keep this machine busy. PostgreSQL's default is
/// 4096.
const MAX_ITERATIONS: usize = 4_000_000;

/// The reason why an exchange failed. It contains nothing of the password.
#[derive(Debug, PartialEq, Eq, Error)]
pub(in crate::server) enum ScramError {
    /// The server's message does not follow RFC 5802.
    #[error("the server's SCRAM message is malformed: {0}")]
    Malformed(&'static str),
    /// The server does not know the password, so it is not the expected server.
    #[error("the server did not prove that it knows the password")]
    WrongServer,
    /// OpenSSL failed.
    #[error("OpenSSL cannot compute SCRAM-SHA-256 on this machine")]
    Crypto,
}

impl From<ErrorStack> for ScramError {
    fn from(_: ErrorStack) -> Self {
        Self::Crypto
    }
}

/// The GS2 header: the client's statement about channel binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) enum Binding {
    /// `n`: the client does not support channel binding.
    Unsupported,
    /// `y`: the client supports channel binding, but received no offer. If the server did offer it, an attacker between
    /// them removed the offer; the server then refuses.
    NotOffered,
    /// `p=tls-server-end-point`: the exchange is bound to the hash of the server's certificate.
    Endpoint(Vec<u8>),
}

impl Binding {
    fn header(&self) -> &'static str {
        match self {
            Self::Unsupported => "n,,",
            Self::NotOffered => "y,,",
            Self::Endpoint(_) => "p=tls-server-end-point,,",
        }
    }

    /// The GS2 header and the channel-binding data, in base64.
    fn encoded(&self) -> String {
        let mut input = self.header().as_bytes().to_vec();
        if let Self::Endpoint(hash) = self {
            input.extend_from_slice(hash);
        }
        BASE64.encode(input)
    }
}

/// An exchange whose first message the server has not answered yet.
pub(in crate::server) struct Scram {
    binding: Binding,
    nonce: String,
    /// `n=USER,r=NONCE`.
    first: String,
}

/// The signature that the server must send at the end.
#[must_use]
pub(in crate::server) struct ServerProof(Key);

impl Scram {
    /// Begins an exchange. PostgreSQL reads the role's name from the start-up message, so this message has none.
    pub(in crate::server) fn new(binding: Binding) -> Result<Self, ScramError> {
        let mut nonce = [0; NONCE_LENGTH];
        openssl::rand::rand_bytes(&mut nonce)?;
        Ok(Self::with_nonce(binding, "", BASE64.encode(nonce)))
    }

    fn with_nonce(binding: Binding, user: &str, nonce: String) -> Self {
        Self { binding, first: format!("n={user},r={nonce}"), nonce }
    }

    /// The client's first message.
    pub(in crate::server) fn client_first(&self) -> String {
        format!("{}{}", self.binding.header(), self.first)
    }

    /// Answers the server's first message. Returns the client's final message, and the signature that the server must
    /// send next. The server's number of iterations determines how long this takes: call it on a thread that may block.
    pub(in crate::server) fn respond(
        self,
        server_first: &str,
        password: &SecretString,
    ) -> Result<(String, ServerProof), ScramError> {
        let challenge = Challenge::parse(server_first, &self.nonce)?;
        let salted = salted_password(password, &challenge.salt, challenge.iterations)?;
        let without_proof = format!("c={},r={}", self.binding.encoded(), challenge.nonce);
        let signed = format!("{},{server_first},{without_proof}", self.first);
        let client_key = hmac(&*salted, b"Client Key")?;
        let signature = hmac(&sha256(&*client_key), signed.as_bytes())?;
        let mut proof = client_key;
        for (byte, mask) in proof.iter_mut().zip(signature.iter()) {
            *byte ^= mask;
        }
        let server_key = hmac(&*salted, b"Server Key")?;
        let expected = hmac(&*server_key, signed.as_bytes())?;
        Ok((format!("{without_proof},p={}", BASE64.encode(*proof)), ServerProof(expected)))
    }
}

impl ServerProof {
    /// Checks the server's final message.
    pub(in crate::server) fn check(self, server_final: &str) -> Result<(), ScramError> {
        let signature = server_final.strip_prefix("v=").ok_or(ScramError::WrongServer)?;
        let signature = BASE64.decode(signature).map_err(|_| ScramError::Malformed("its proof"))?;
        // `memcmp::eq` panics if the lengths differ.
        let is_proven = signature.len() == KEY_LENGTH && memcmp::eq(&signature, &*self.0);
        is_proven.then_some(()).ok_or(ScramError::WrongServer)
    }
}

/// The server's first message: `r=NONCE,s=SALT,i=ITERATIONS`, in this order. A mandatory extension (`m=`) would stand
/// before them; this parser refuses it.
struct Challenge<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: usize,
}

impl<'a> Challenge<'a> {
    fn parse(text: &'a str, client_nonce: &str) -> Result<Self, ScramError> {
        let mut attributes = text.split(',');
        let mut attribute = |name: &str| attributes.next().and_then(|text| text.strip_prefix(name));
        let nonce = attribute("r=").ok_or(ScramError::Malformed("no nonce"))?;
        let salt = attribute("s=").ok_or(ScramError::Malformed("no salt"))?;
        let iterations = attribute("i=").ok_or(ScramError::Malformed("no number of iterations"))?;
        let own = nonce.strip_prefix(client_nonce);
        if own.is_none_or(|own| own.is_empty() || !own.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(ScramError::Malformed("its nonce does not go on from the client's"));
        }
        let salt = BASE64.decode(salt).map_err(|_| ScramError::Malformed("its salt"))?;
        let iterations = iterations.parse().map_err(|_| ScramError::Malformed("its number of iterations"))?;
        match iterations {
            0 => Err(ScramError::Malformed("no iterations")),
            MAX_ITERATIONS.. => Err(ScramError::Malformed("more than 4000000 iterations")),
            _ if salt.is_empty() => Err(ScramError::Malformed("an empty salt")),
            _ => Ok(Self { nonce, salt, iterations }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn exchange(binding: Binding) -> Scram {
        Scram::with_nonce(binding, "user", NONCE.to_owned())
    }

    fn respond(server_first: &str) -> Result<(String, ServerProof), ScramError> {
        exchange(Binding::Unsupported).respond(server_first, &SecretString::from("pencil"))
    }

    fn error(server_first: &str) -> ScramError {
        respond(server_first).err().unwrap()
    }

    #[test]
    fn the_example_of_rfc_7677() {
        assert_eq!(exchange(Binding::Unsupported).client_first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (client_final, proof) = respond(SERVER_FIRST).unwrap();
        assert_eq!(
            client_final,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(proof.check(SERVER_FINAL), Ok(()));
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_found_out() {
        let check = |server_final: &str| respond(SERVER_FIRST).unwrap().1.check(server_final);
        assert_eq!(check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8="), Err(ScramError::WrongServer));
        assert_eq!(check("v="), Err(ScramError::WrongServer));
        assert_eq!(check(""), Err(ScramError::WrongServer));
        assert_eq!(check("e=other-error"), Err(ScramError::WrongServer));
        assert_eq!(check("v=!"), Err(ScramError::Malformed("its proof")));
    }

    #[test]
    fn malformed_challenges_are_refused() {
        for challenge in [
            "",
            "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "m=x,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=otherNonce,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO\u{7f},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=!,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-1",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2147483647",
        ] {
            assert!(matches!(error(challenge), ScramError::Malformed(_)), "{challenge}");
        }
    }

    #[test]
    fn the_header_says_what_is_bound() {
        assert_eq!(Binding::Unsupported.encoded(), "biws");
        assert_eq!(Binding::NotOffered.encoded(), "eSws");
        assert_eq!(
            Binding::Endpoint(vec![1, 2]).encoded(),
            BASE64.encode(b"p=tls-server-end-point,,\x01\x02")
        );
    }
}
