//! The CA certificates with which the server's certificate may be verified.

use super::certificate::Fingerprint;
use super::error::ResourceControllerError;
use crate::config_file;
use openssl::error::ErrorStack;
use openssl::ssl::SslConnectorBuilder;
use openssl::x509::X509;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The files of CA certificates that a cluster puts into a pod; pgmig uses those that exist.
pub const CLUSTER_CA_FILES: [&str; 2] = [
    "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    "/var/run/secrets/kubernetes.io/serviceaccount/service-ca.crt",
];

/// The source of a CA certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaSource {
    /// `caFile` of `resourceController.yaml`.
    ConfigFile(PathBuf),
    /// `RC_CA_FILE`.
    EnvironmentFile(PathBuf),
    /// One of [`CLUSTER_CA_FILES`].
    ClusterFile(PathBuf),
    /// The certificates that OpenSSL trusts by default on this system.
    System,
}

impl fmt::Display for CaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigFile(path) => write!(f, "caFile {}", path.display()),
            Self::EnvironmentFile(path) => write!(f, "RC_CA_FILE {}", path.display()),
            Self::ClusterFile(path) => write!(f, "the cluster's CA file {}", path.display()),
            Self::System => f.write_str("the system's CA certificates"),
        }
    }
}

/// The CA certificates from files, with the source of each. OpenSSL itself finds the system's certificates.
#[derive(Debug, Default)]
pub(super) struct CaCertificates {
    certificates: Vec<X509>,
    /// The first source of each certificate.
    sources: HashMap<Fingerprint, CaSource>,
}

impl CaCertificates {
    /// Reads the files that the user named, then those of the cluster that exist.
    ///
    /// # Errors
    ///
    /// A file that the user named cannot be used. A cluster's file that cannot be used is ignored.
    pub(super) fn read(
        config_file: Option<&Path>,
        environment_file: Option<&Path>,
        cluster_files: &[&str],
    ) -> Result<Self, ResourceControllerError> {
        let mut all = Self::default();
        let config = config_file.map(|path| CaSource::ConfigFile(path.to_owned()));
        let environment = environment_file.map(|path| CaSource::EnvironmentFile(path.to_owned()));
        for (source, path) in
            config.into_iter().zip(config_file).chain(environment.into_iter().zip(environment_file))
        {
            all.add(source.clone(), path)
                .map_err(|reason| ResourceControllerError::CaFile { file: source, reason })?;
        }
        for path in cluster_files.iter().map(Path::new).filter(|path| path.exists()) {
            if let Err(reason) = all.add(CaSource::ClusterFile(path.to_owned()), path) {
                tracing::warn!(path = %path.display(), "the cluster's CA file is of no use: {reason}");
            }
        }
        Ok(all)
    }

    fn add(&mut self, source: CaSource, path: &Path) -> Result<(), String> {
        let bytes =
            config_file::read_bytes(path, config_file::MAX_CA_BYTES).map_err(|error| error.to_string())?;
        let found = X509::stack_from_pem(&bytes).map_err(|_| "it holds a damaged certificate".to_owned())?;
        if found.is_empty() {
            return Err("it holds no PEM certificate (a line `-----BEGIN CERTIFICATE-----`)".to_owned());
        }
        for certificate in found {
            let fingerprint = Fingerprint::of(&certificate).map_err(|error| error.to_string())?;
            if let std::collections::hash_map::Entry::Vacant(entry) = self.sources.entry(fingerprint) {
                entry.insert(source.clone());
                self.certificates.push(certificate);
            }
        }
        Ok(())
    }

    /// Makes connections trust these certificates and the system's.
    pub(super) fn install(&self, builder: &mut SslConnectorBuilder) -> Result<(), ErrorStack> {
        // OpenSSL's default paths are those of its build, which a statically linked OpenSSL does not find here. A
        // damaged file there is not reported: certificates then fail verification, and that error is reported.
        let system = openssl_probe::probe();
        for directory in &system.cert_dir {
            let _ = builder.load_verify_locations(None, Some(directory));
        }
        if let Some(file) = &system.cert_file {
            let _ = builder.load_verify_locations(Some(file), None);
        }
        for certificate in &self.certificates {
            builder.cert_store_mut().add_cert(certificate.clone())?;
        }
        Ok(())
    }

    /// The source of the certificate with which a chain ends.
    pub(super) fn source_of(&self, anchor: Fingerprint) -> CaSource {
        self.sources.get(&anchor).cloned().unwrap_or(CaSource::System)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use openssl::asn1::Asn1Time;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use tempfile::TempDir;

    fn certificate() -> X509 {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut builder = X509::builder().unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        builder.build()
    }

    fn file(directory: &TempDir, name: &str, certificates: &[&X509]) -> PathBuf {
        let path = directory.path().join(name);
        let pem: Vec<u8> = certificates.iter().flat_map(|one| one.to_pem().unwrap()).collect();
        std::fs::write(&path, pem).unwrap();
        path
    }

    #[test]
    fn a_certificate_is_its_first_sources() {
        let directory = TempDir::new().unwrap();
        let [first, second, third, fourth] = std::array::from_fn(|_| certificate());
        let config = file(&directory, "config", &[&first]);
        let environment = file(&directory, "environment", &[&first, &second]);
        let cluster = file(&directory, "cluster", &[&second, &third]);
        let cluster = cluster.to_str().unwrap();
        let all = CaCertificates::read(Some(&config), Some(&environment), &[cluster]).unwrap();
        assert_eq!(all.certificates.len(), 3);
        let source = |certificate: &X509| all.source_of(Fingerprint::of(certificate).unwrap());
        assert_eq!(source(&first), CaSource::ConfigFile(config));
        assert_eq!(source(&second), CaSource::EnvironmentFile(environment));
        assert_eq!(source(&third), CaSource::ClusterFile(cluster.into()));
        assert_eq!(source(&fourth), CaSource::System);
    }

    #[test]
    fn only_files_that_were_asked_for_must_be_of_use() {
        let directory = TempDir::new().unwrap();
        let empty = file(&directory, "empty", &[]);
        let missing = directory.path().join("missing");
        let cluster = [empty.to_str().unwrap(), missing.to_str().unwrap()];
        assert!(CaCertificates::read(None, None, &cluster).unwrap().certificates.is_empty());
        for path in [&empty, &missing] {
            let error = CaCertificates::read(None, Some(path), &[]).unwrap_err();
            assert!(error.to_string().starts_with("cannot use RC_CA_FILE "), "{error}");
        }
    }
}
