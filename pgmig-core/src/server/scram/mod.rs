//! SCRAM-SHA-256 (RFC 5802, RFC 7677): the login with a password, and the verifier that a server stores for a password.

mod exchange;
mod verifier;

pub(super) use exchange::{Binding, Scram, ScramError};
pub(super) use verifier::{Credentials, new_verifier};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use std::borrow::Cow;

/// Length of a SHA-256 hash in bytes.
const KEY_LENGTH: usize = 32;

/// A key that is overwritten when it is dropped.
type Key = Zeroizing<[u8; KEY_LENGTH]>;

fn salted_password(password: &SecretString, salt: &[u8], iterations: usize) -> Result<Key, ErrorStack> {
    // PostgreSQL's client and server do the same: they use a password that SASLprep does not allow unchanged.
    let password = password.expose_secret();
    let prepared = stringprep::saslprep(password).unwrap_or(Cow::Borrowed(password));
    let prepared = Zeroizing::new(prepared.into_owned());
    let mut salted = Key::default();
    pbkdf2_hmac(prepared.as_bytes(), salt, iterations, MessageDigest::sha256(), &mut *salted)?;
    Ok(salted)
}

fn hmac(key: &[u8], data: &[u8]) -> Result<Key, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut mac = Key::default();
    Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot(&mut *mac, data)?;
    Ok(mac)
}
