//! Makes the SCRAM-SHA-256 verifier that the server stores for a password. So no password stands in SQL or in a log.

use super::{hmac, salted_password};
use crate::server::ServerError;
use crate::server::error::TargetError;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openssl::error::ErrorStack;
use openssl::rand::rand_bytes;
use openssl::sha::sha256;
use secrecy::SecretString;

/// The server's default of `scram_iterations`. The password is random, so more iterations would protect nothing.
const ITERATIONS: usize = 4096;

const SALT_BYTES: usize = 16;
const PASSWORD_BYTES: usize = 32;

/// A random password, and the verifier by which the server checks it.
pub(crate) struct Credentials {
    pub(crate) password: SecretString,
    /// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`
    pub(crate) verifier: String,
}

impl Credentials {
    /// Makes both from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// OpenSSL failed.
    pub(crate) fn random() -> Result<Self, TargetError> {
        let made = || {
            let (mut password, mut salt) = ([0; PASSWORD_BYTES], [0; SALT_BYTES]);
            rand_bytes(&mut password)?;
            rand_bytes(&mut salt)?;
            let password = SecretString::from(URL_SAFE_NO_PAD.encode(password));
            let verifier = verifier(&password, &salt, ITERATIONS)?;
            Ok(Self { password, verifier })
        };
        made().map_err(|_: ErrorStack| {
            ServerError::from_client("make a password for the temporary role", "OpenSSL failed", false).into()
        })
    }
}

/// The verifier of this password, with a salt of its own.
///
/// # Errors
///
/// The cryptographic library fails.
pub(crate) fn new_verifier(password: &SecretString) -> Result<SecretString, TargetError> {
    let made = || {
        let mut salt = [0; SALT_BYTES];
        rand_bytes(&mut salt)?;
        verifier(password, &salt, ITERATIONS).map(SecretString::from)
    };
    made().map_err(|_: ErrorStack| {
        ServerError::from_client("make the verifier of a password", "OpenSSL failed", false).into()
    })
}

/// RFC 5803.
fn verifier(password: &SecretString, salt: &[u8], iterations: usize) -> Result<String, ErrorStack> {
    let salted = salted_password(password, salt, iterations)?;
    let stored_key = sha256(&*hmac(&*salted, b"Client Key")?);
    let server_key = hmac(&*salted, b"Server Key")?;
    let text = |bytes: &[u8]| STANDARD.encode(bytes);
    Ok(format!("SCRAM-SHA-256${iterations}:{}${}:{}", text(salt), text(&stored_key), text(&*server_key)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use secrecy::ExposeSecret as _;

    /// The verifier that PostgreSQL 15 stores for this password, salt and number of iterations.
    #[test]
    fn the_verifier_is_the_servers_own() {
        let password = SecretString::from("pencil");
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert_eq!(
            verifier(&password, &salt, 4096).unwrap(),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
             wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn passwords_and_salts_differ() {
        let (one, other) = (Credentials::random().unwrap(), Credentials::random().unwrap());
        assert_ne!(one.password.expose_secret(), other.password.expose_secret());
        assert_ne!(one.verifier, other.verifier);
        assert!(!one.verifier.contains(one.password.expose_secret()));
    }
}
