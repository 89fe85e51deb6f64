//! Access tokens. No message ever shows one: messages contain a token's position.

use super::error::ResourceControllerError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::HeaderValue;
use openssl::asn1::Asn1Time;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// A token, and its place in `accessTokens`.
#[derive(Debug, Clone)]
pub(super) struct AccessToken {
    /// The place, from 1.
    pub(super) position: usize,
    secret: SecretString,
}

impl AccessToken {
    /// Accepts a token as users paste it: spaces around it and a leading `Bearer` are removed.
    ///
    /// # Errors
    ///
    /// The token cannot be sent, for example because of a line break in it.
    pub(super) fn new(position: usize, pasted: &SecretString) -> Result<Self, ResourceControllerError> {
        let text = pasted.expose_secret().trim();
        let text = match text.split_once(char::is_whitespace) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim_start(),
            _ => text,
        };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ResourceControllerError::InvalidToken { position });
        }
        Ok(Self { position, secret: text.to_owned().into() })
    }

    /// The value of an `Authorization` header.
    pub(super) fn bearer(&self) -> HeaderValue {
        sensitive(&format!("Bearer {}", self.secret.expose_secret()))
    }

    /// The value of a `secret` header.
    pub(super) fn bare(&self) -> HeaderValue {
        sensitive(self.secret.expose_secret())
    }

    /// The end of a JSON Web Token's validity, in UTC, if that has passed; the signature is not verified. `None` for
    /// any other token.
    pub(super) fn expired_at(&self) -> Option<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let end = expiry(self.secret.expose_secret())?;
        let passed = u64::try_from(end).map_or(true, |end| end <= now);
        if !passed {
            return None;
        }
        Asn1Time::from_unix(end).ok().map(|time| time.to_string())
    }
}

fn sensitive(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).expect("a token has graphic ASCII characters only");
    value.set_sensitive(true);
    value
}

/// The `exp` of a JSON Web Token: seconds since 1970 (RFC 7519, 4.1.4; a fraction is allowed).
fn expiry(token: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: serde_json::Number,
    }
    let mut parts = token.split('.');
    let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    let number = claims.exp.to_string();
    number.split('.').next()?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn token(text: &str) -> Result<AccessToken, ResourceControllerError> {
        AccessToken::new(1, &text.to_owned().into())
    }

    fn jwt(claims: &str) -> AccessToken {
        token(&format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))).unwrap()
    }

    #[test]
    fn tokens_are_taken_as_pasted() {
        for pasted in ["s3cret", " s3cret\n", "Bearer s3cret", "bearer   s3cret\r\n"] {
            assert_eq!(token(pasted).unwrap().bearer(), "Bearer s3cret", "{pasted:?}");
            assert_eq!(token(pasted).unwrap().bare(), "s3cret", "{pasted:?}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_by_its_position() {
        for bad in ["s3c\nret", "s3c ret", "s3cr\u{e9}t", "s3c\u{7f}ret"] {
            let error = AccessToken::new(2, &bad.to_owned().into()).unwrap_err();
            assert!(error.to_string().contains("token 2"), "{error}");
            assert!(!format!("{error} {error:?}").contains("s3c"), "{error}");
        }
    }

    #[test]
    fn expiry_of_a_jwt_is_known() {
        assert_eq!(jwt(r#"{"exp":1000000000}"#).expired_at().as_deref(), Some("Sep  9 01:46:40 2001 GMT"));
        assert_eq!(
            jwt(r#"{"exp":1000000000.5,"sub":"x"}"#).expired_at().as_deref(),
            Some("Sep  9 01:46:40 2001 GMT")
        );
        for other in [r#"{"exp":9000000000}"#, r#"{"exp":"x"}"#, "{}", "", "[]", r#"{"exp":1e999}"#] {
            assert_eq!(jwt(other).expired_at(), None, "{other}");
        }
        assert_eq!(token("a.b.c").unwrap().expired_at(), None);
        assert_eq!(token("opaque").unwrap().expired_at(), None);
    }

    #[test]
    fn debug_shows_no_token() {
        let token = token("s3cret").unwrap();
        assert!(!format!("{token:?} {:?} {:?}", token.bearer(), token.bare()).contains("s3cret"));
    }
}
