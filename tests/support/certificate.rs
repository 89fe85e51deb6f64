//! Certificates made for a test: a CA, and certificates that it signs.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// A certificate and its key.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: X509,
    pub(crate) key: PKey<Private>,
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Validity {
    Now,
    Past,
}

/// A server's certificate and its issuer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaf<'a> {
    pub(crate) common_name: &'a str,
    /// Names and addresses. If there are none, the certificate does not have this extension.
    pub(crate) alternative_names: &'a [&'a str],
    pub(crate) validity: Validity,
    /// Whether the certificate is only for clients.
    pub(crate) is_for_clients: bool,
}

impl<'a> Leaf<'a> {
    /// A certificate for this name, in the common name and in the other names.
    pub(crate) fn of(name: &'a &'a str) -> Self {
        let alternative_names = std::slice::from_ref(name);
        Self { common_name: name, alternative_names, validity: Validity::Now, is_for_clients: false }
    }
}

const DAY: i64 = 86_400;

impl Identity {
    /// A new CA.
    pub(crate) fn authority(name: &str) -> Self {
        let key = key();
        let mut builder = authority_builder(name, &key);
        let subject = self::name(name);
        builder.set_issuer_name(&subject).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }

    /// A CA whose certificate this CA signs.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let key = key();
        self.sign(authority_builder(name, &key), key)
    }

    /// A server's certificate, signed by this CA, for these hosts.
    pub(crate) fn issue(&self, hosts: &[&str], validity: Validity) -> Self {
        let common_name = hosts[0];
        self.issue_leaf(Leaf { common_name, alternative_names: hosts, validity, is_for_clients: false })
    }

    /// Signs a certificate by this CA.
    pub(crate) fn issue_leaf(&self, leaf: Leaf<'_>) -> Self {
        let key = key();
        let mut builder = builder(leaf.common_name, &key, leaf.validity);
        if !leaf.alternative_names.is_empty() {
            let mut names = SubjectAlternativeName::new();
            for host in leaf.alternative_names {
                let _ =
                    if host.parse::<std::net::IpAddr>().is_ok() { names.ip(host) } else { names.dns(host) };
            }
            let names = names.build(&builder.x509v3_context(Some(&self.certificate), None)).unwrap();
            builder.append_extension(names).unwrap();
        }
        if leaf.is_for_clients {
            builder.append_extension(ExtendedKeyUsage::new().client_auth().build().unwrap()).unwrap();
        }
        self.sign(builder, key)
    }

    /// This CA's list of revoked certificates, in PEM form.
    pub(crate) fn revocations(&self, revoked: &[&Self]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let write =
            |name: &str, content: &[u8]| std::fs::write(directory.path().join(name), content).unwrap();
        let mut index = String::new();
        for identity in revoked {
            let serial = identity.certificate.serial_number().to_bn().unwrap().to_hex_str().unwrap();
            index += &format!("R\t991231000000Z\t200101000000Z\t{serial}\tunknown\t/CN=revoked\n");
        }
        write("index", index.as_bytes());
        write("ca.crt", self.pem().as_bytes());
        write("ca.key", &self.key.private_key_to_pem_pkcs8().unwrap());
        write(
            "ca.conf",
            b"[ca]\ndefault_ca = d\n[d]\ndatabase = index\ndefault_md = sha256\ndefault_crl_days = 1\n",
        );
        let mut openssl = Command::new("openssl");
        openssl.args(["ca", "-gencrl", "-config", "ca.conf", "-cert", "ca.crt", "-keyfile", "ca.key"]);
        let output = openssl.current_dir(directory.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn sign(&self, mut builder: X509Builder, key: PKey<Private>) -> Self {
        builder.set_issuer_name(self.certificate.subject_name()).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }

    /// The certificate in PEM form.
    pub(crate) fn pem(&self) -> String {
        String::from_utf8(self.certificate.to_pem().unwrap()).unwrap()
    }

    /// The fingerprint in the form of `openssl x509 -fingerprint -sha256`.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = self.certificate.digest(MessageDigest::sha256()).unwrap();
        let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }
}

fn authority_builder(name: &str, key: &PKey<Private>) -> X509Builder {
    let mut builder = builder(name, key, Validity::Now);
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    let usage = KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap();
    builder.append_extension(usage).unwrap();
    builder
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn name(common: &str) -> X509Name {
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_nid(Nid::ORGANIZATIONNAME, "pgmig tests").unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, common).unwrap();
    name.build()
}

fn builder(common: &str, key: &PKey<Private>, validity: Validity) -> X509Builder {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let (from, to) = match validity {
        Validity::Now => (now - DAY, now + DAY),
        Validity::Past => (now - 2 * DAY, now - DAY),
    };
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, MsbOption::ONE, false).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name(common)).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(from).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(to).unwrap()).unwrap();
    builder
}
