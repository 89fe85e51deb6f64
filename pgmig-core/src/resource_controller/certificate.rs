//! The contents of a server's certificate, for a user who decides whether to trust it.

use crate::text::printable;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::{X509NameRef, X509Ref};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The SHA-256 of a certificate in DER form. Its display is that of `openssl x509 -fingerprint -sha256`: `AB:CD:...`.
/// Parsing accepts that form, in either case and with or without colons.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// The contents of a certificate. Control characters in its texts are escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateInfo {
    /// The holder: `CN=gateway, O=...`.
    pub subject: String,
    /// The issuer, in the same form.
    pub issuer: String,
    /// The hosts and addresses for which it is valid; the common name if it lists none.
    pub names: Vec<String>,
    /// The end of its validity, in UTC: `Nov 20 18:56:01 2026 GMT`.
    pub not_after: String,
    /// The fingerprint, which identifies it.
    pub fingerprint: Fingerprint,
}

impl CertificateInfo {
    pub(super) fn new(certificate: &X509Ref) -> Result<Self, ErrorStack> {
        Ok(Self {
            subject: printable(&distinguished_name(certificate.subject_name())).into_owned(),
            issuer: printable(&distinguished_name(certificate.issuer_name())).into_owned(),
            names: names(certificate).iter().map(|name| printable(name).into_owned()).collect(),
            not_after: certificate.not_after().to_string(),
            fingerprint: Fingerprint::of(certificate)?,
        })
    }
}

impl CertificateInfo {
    /// The first few names, for messages.
    pub fn names_shown(&self) -> String {
        const SHOWN: usize = 5;
        let mut shown = self.names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        match self.names.len() {
            0 => shown.push_str("none"),
            count if count > SHOWN => shown += &format!(" and {} more", count - SHOWN),
            _ => {}
        }
        shown
    }
}

impl Fingerprint {
    pub(super) fn of(certificate: &X509Ref) -> Result<Self, ErrorStack> {
        let digest = certificate.digest(MessageDigest::sha256())?;
        Ok(Self(digest.as_ref().try_into().expect("a SHA-256 has 32 bytes")))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected the 64 hexadecimal digits of a SHA-256, in pairs with colons or without";
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(EXPECTED))
            .collect::<Result<_, _>>()?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Ok(high << 4 | low),
                _ => Err(EXPECTED),
            })
            .collect::<Result<_, _>>()?;
        bytes.try_into().map(Self).map_err(|_| EXPECTED)
    }
}

fn distinguished_name(name: &X509NameRef) -> String {
    let parts: Vec<String> = name
        .entries()
        .map(|entry| {
            let key = entry.object().nid().short_name().unwrap_or("?");
            format!("{key}={}", entry.data().to_string().unwrap_or_else(|_| "?".to_owned()))
        })
        .collect();
    parts.join(", ")
}

fn names(certificate: &X509Ref) -> Vec<String> {
    let mut names = Vec::new();
    for name in certificate.subject_alt_names().into_iter().flatten() {
        names.extend(name.dnsname().map(str::to_owned));
        names.extend(name.ipaddress().and_then(address));
    }
    if names.is_empty() {
        let common = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
        names.extend(common.filter_map(|entry| entry.data().to_string().ok()));
    }
    names
}

/// A SubjectAltName holds an address as 4 or 16 bytes.
fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok().map(|address| address.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_go_both_ways() {
        let text = ["AB"; 32].join(":");
        let fingerprint: Fingerprint = text.parse().unwrap();
        assert_eq!(fingerprint.to_string(), text);
        assert_eq!("ab".repeat(32).parse(), Ok(fingerprint));
        for bad in [String::new(), "ab".repeat(31), "ab".repeat(33), "a".repeat(63), "xy".repeat(32)] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_are_shown_as_such() {
        assert_eq!(address(&[127, 0, 0, 1]).as_deref(), Some("127.0.0.1"));
        assert_eq!(address(&[0; 16]).as_deref(), Some("::"));
        assert_eq!(address(&[0; 5]), None);
    }
}
