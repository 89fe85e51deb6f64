//! Whether a certificate names the host that was connected to, by libpq's rules for `verify-full`.
//!
//! libpq differs from OpenSSL's own check: the common name counts where no subject alternative name is of the host's
//! kind, and a wildcard stands for the first label only.

use openssl::nid::Nid;
use openssl::x509::{GeneralNameRef, X509Ref};
use std::net::IpAddr;

/// Whether the certificate is for this host. A name with a zero byte makes the whole certificate unacceptable.
pub(super) fn is_for_host(certificate: &X509Ref, host: &str) -> bool {
    let alternatives = certificate.subject_alt_names();
    let alternatives: Vec<Name> = alternatives.iter().flatten().filter_map(Name::of).collect();
    let common = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next();
    matches(&alternatives, common.map(|entry| entry.data().as_slice()), host)
}

/// The names in the certificate, the kinds that count.
enum Name {
    Dns(Vec<u8>),
    Address(Vec<u8>),
}

impl Name {
    fn of(name: &GeneralNameRef) -> Option<Self> {
        let dns = name.dnsname().map(|name| Self::Dns(name.as_bytes().to_vec()));
        dns.or_else(|| name.ipaddress().map(|address| Self::Address(address.to_vec())))
    }
}

fn matches(alternatives: &[Name], common: Option<&[u8]>, host: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    let mut common_counts = true;
    let mut is_named = false;
    for name in alternatives {
        match name {
            Name::Dns(name) if name.contains(&0) => return false,
            Name::Dns(name) => {
                common_counts &= address.is_some();
                is_named |= is_name(name, host);
            }
            Name::Address(bytes) => {
                common_counts &= address.is_none();
                is_named |= match address {
                    Some(IpAddr::V4(address)) => address.octets() == bytes.as_slice(),
                    Some(IpAddr::V6(address)) => address.octets() == bytes.as_slice(),
                    None => false,
                };
            }
        }
    }
    is_named || common.filter(|_| common_counts).is_some_and(|name| !name.contains(&0) && is_name(name, host))
}

/// Whether the name is the host's, or `*.DOMAIN` where the host is one label and that domain.
fn is_name(name: &[u8], host: &str) -> bool {
    let host = host.as_bytes();
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(domain) = name.strip_prefix(b"*").filter(|domain| domain.len() > 1 && domain.starts_with(b"."))
    else {
        return false;
    };
    let Some(label) = host.len().checked_sub(domain.len()).filter(|label| *label > 0) else { return false };
    let (first, rest) = host.split_at(label);
    rest.eq_ignore_ascii_case(domain) && !first.contains(&b'.')
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn dns(name: &str) -> Name {
        Name::Dns(name.as_bytes().to_vec())
    }

    #[test]
    fn a_wildcard_is_one_label() {
        assert!(is_name(b"*.example.com", "db.example.com"));
        assert!(is_name(b"*.EXAMPLE.com", "DB.example.COM"));
        assert!(!is_name(b"*.example.com", "a.db.example.com"));
        assert!(!is_name(b"*.example.com", ".example.com"));
        assert!(!is_name(b"*.example.com", "example.com"));
        assert!(!is_name(b"d*.example.com", "db.example.com"));
        assert!(!is_name(b"*", "db"));
        assert!(!is_name(b"*.", "db."));
    }

    #[test]
    fn the_common_name_counts_where_no_other_name_is_of_the_kind() {
        assert!(matches(&[], Some(b"db"), "db"));
        assert!(!matches(&[dns("other")], Some(b"db"), "db"));
        assert!(matches(&[Name::Address(vec![10, 0, 0, 1])], Some(b"db"), "db"));
        assert!(matches(&[dns("other")], Some(b"10.0.0.1"), "10.0.0.1"));
        assert!(!matches(&[Name::Address(vec![10, 0, 0, 2])], Some(b"10.0.0.1"), "10.0.0.1"));
        assert!(!matches(&[], None, "db"));
    }

    #[test]
    fn addresses_match_their_bytes() {
        assert!(matches(&[Name::Address(vec![10, 0, 0, 1])], None, "10.0.0.1"));
        let mut loopback = vec![0; 16];
        loopback[15] = 1;
        assert!(matches(&[Name::Address(loopback)], None, "::1"));
        // libpq compares the text of a DNS name, too.
        assert!(matches(&[dns("10.0.0.1")], None, "10.0.0.1"));
    }

    #[test]
    fn a_zero_byte_spoils_the_certificate() {
        assert!(!matches(&[dns("db"), dns("db\0.evil.example")], None, "db"));
        assert!(!matches(&[], Some(b"db\0.evil.example"), "db"));
    }
}
