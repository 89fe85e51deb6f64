//! `resourceController.yaml`: the address of the Resource Controller, and the access tokens for it.

use crate::config_file::{self, ConfigFileError, FileKind};
use crate::server::yaml;
use secrecy::SecretString;
use serde::Deserialize;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The address of the Resource Controller, and the access to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ResourceControllerConfig {
    /// The access tokens, at least one. Each can see only the instances of its owner.
    pub access_tokens: Vec<SecretString>,
    /// The host name or address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The kind of instances to request from the platform's own service; `None` means the gateway instead.
    pub service_type: Option<ServiceType>,
    /// The PEM file of the CA that signed the server's certificate.
    pub ca_file: Option<PathBuf>,
    /// Whether to accept a certificate that cannot be verified.
    pub insecure_skip_verify: bool,
    /// Warnings about the file, a sentence each: tokens that other users can read, say.
    pub warnings: Vec<String>,
}

/// Environment variables about the Resource Controller. The library does not read them: callers do.
#[derive(Debug, Clone, Default)]
pub struct RcEnvironment {
    /// `RC_CA_FILE`: a PEM file of more CA certificates, in addition to `caFile`.
    pub rc_ca_file: Option<PathBuf>,
}

/// The kind of a service instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ServiceType {
    /// An Assistant instance.
    Assistant,
    /// An Orchestrate instance, which contains an Assistant's store.
    Orchestrate,
}

/// A configuration file of the Resource Controller cannot be used. Of its contents, errors show only names of keys.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResourceControllerConfigError {
    /// The file cannot be read, or is another one.
    #[error(transparent)]
    File(#[from] ConfigFileError),
    /// The file is not YAML of the expected form.
    #[error("{}{}: {message}", path.display(), Line(*line))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1, if known.
        line: Option<u64>,
        /// The problem.
        message: String,
    },
}

struct Line(Option<u64>);

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, ", line {line}"))
    }
}

/// The keys of [`File`].
const KEYS: [&str; 6] = ["accessTokens", "host", "port", "type", "caFile", "insecureSkipVerify"];

/// The contents of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "accessTokens")]
    access_tokens: Vec<SecretString>,
    host: String,
    port: NonZeroU16,
    #[serde(rename = "type")]
    service_type: Option<ServiceType>,
    #[serde(rename = "caFile")]
    ca_file: Option<PathBuf>,
    #[serde(rename = "insecureSkipVerify", default)]
    insecure_skip_verify: bool,
}

impl ResourceControllerConfig {
    /// The gateway at this address. Its certificate is verified with the CA certificates of the system and the
    /// cluster. `host` is only a name or an address.
    pub fn new(access_tokens: Vec<SecretString>, host: impl Into<String>, port: u16) -> Self {
        Self {
            access_tokens,
            host: host.into(),
            port,
            service_type: None,
            ca_file: None,
            insecure_skip_verify: false,
            warnings: Vec::new(),
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not YAML of the expected form, has unknown or duplicate keys, or does not have a
    /// token.
    pub fn from_file(path: &Path) -> Result<Self, ResourceControllerConfigError> {
        let text = config_file::read(path, FileKind::ResourceController, config_file::MAX_SETTINGS_BYTES)?;
        let mut config = Self::parse(&text).map_err(|(line, message)| {
            let invalid = || ResourceControllerConfigError::Invalid { path: path.to_owned(), line, message };
            let mixed_up = config_file::mixed_up(path, &text, FileKind::ResourceController);
            mixed_up.map_or_else(invalid, ResourceControllerConfigError::from)
        })?;
        config.warnings.extend(config_file::exposure(path, &path.display().to_string(), "access tokens"));
        Ok(config)
    }

    /// On failure, returns the line, if known, and the problem.
    fn parse(text: &str) -> Result<Self, (Option<u64>, String)> {
        use secrecy::ExposeSecret;
        let file: File = yaml::parse_secret(text, &KEYS).map_err(|error| (error.line, error.message))?;
        if file.access_tokens.is_empty() {
            return Err((None, "accessTokens is empty, expected at least one token".to_owned()));
        }
        let empty = |token: &SecretString| token.expose_secret().trim().is_empty();
        if let Some(index) = file.access_tokens.iter().position(empty) {
            return Err((None, format!("accessTokens: token {} is empty", index + 1)));
        }
        let host = host(&file.host).map_err(|message| (None, message.to_owned()))?;
        Ok(Self {
            access_tokens: file.access_tokens,
            host,
            port: file.port.get(),
            service_type: file.service_type,
            ca_file: file.ca_file,
            insecure_skip_verify: file.insecure_skip_verify,
            warnings: Vec::new(),
        })
    }
}

impl ServiceType {
    /// The platform's name for this kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assistant => "assistant",
            Self::Orchestrate => "orchestrate",
        }
    }
}

impl std::fmt::Display for ServiceType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Parses a host name or address. The manual asks users to cut it out of a URL. Other parts of a URL are refused
/// here, where the reason is still known.
fn host(text: &str) -> Result<String, &'static str> {
    let host = text.trim();
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if bare.parse::<IpAddr>().is_ok() {
        return Ok(bare.to_owned());
    }
    if host.is_empty() {
        return Err("host is empty");
    }
    if host.contains(['/', ':', '@', '?', '#']) {
        return Err("host must be the name or address alone, without https://, port and path");
    }
    // Underscores and other characters that a resolver may accept are allowed, but not those that break a request.
    if !host.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("host has characters that no host name has");
    }
    Ok(host.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    const MANUAL: &str = "accessTokens:\n  - value\n  - value2\nhost: localhost\nport: 5000\n";

    #[test]
    fn the_manuals_example() {
        let config = ResourceControllerConfig::parse(MANUAL).unwrap();
        let tokens: Vec<_> = config.access_tokens.iter().map(|token| token.expose_secret()).collect();
        assert_eq!(tokens, ["value", "value2"]);
        assert_eq!((config.host.as_str(), config.port), ("localhost", 5000));
        assert_eq!((config.service_type, config.ca_file, config.insecure_skip_verify), (None, None, false));
    }

    #[test]
    fn every_key() {
        let text = format!("{MANUAL}type: orchestrate\ncaFile: /tmp/ca.crt\ninsecureSkipVerify: true\n");
        let config = ResourceControllerConfig::parse(&text).unwrap();
        assert_eq!(config.service_type, Some(ServiceType::Orchestrate));
        assert_eq!(config.ca_file.as_deref(), Some(Path::new("/tmp/ca.crt")));
        assert!(config.insecure_skip_verify);
    }

    #[test]
    fn a_token_of_digits_is_kept_as_written() {
        let text = "accessTokens: [007]\nhost: h\nport: 1\n";
        let config = ResourceControllerConfig::parse(text).unwrap();
        assert_eq!(config.access_tokens[0].expose_secret(), "007");
    }

    #[test]
    fn unacceptable_files_are_refused_without_showing_tokens() {
        for (text, says) in [
            ("accessTokens: [s3cret]\nhost: h\nport: 1\nprot: 2\n", "prot"),
            ("accessTokens: [s3cret]\nhost: h\nhost: i\nport: 1\n", "host"),
            ("accessTokens: [x]\nhost: h\nport: 1\ns3cret: 1\n", "expected one of: accessTokens, host"),
            ("accessTokens: [x]\ns3cret: 1\ns3cret: 2\n", ""),
            ("accessTokens: s3cret\nhost: h\nport: 1\n", ""),
            ("accessTokens: [s3cret, '']\nhost: h\nport: 1\n", "token 2 is empty"),
            ("accessTokens: []\nhost: h\nport: 1\n", "at least one"),
            ("accessTokens: [s3cret]\nport: 1\n", "host"),
            ("accessTokens: [s3cret]\nhost: ''\nport: 1\n", "host is empty"),
            ("accessTokens: [s3cret]\nhost: h\nport: s3cret\n", ""),
            ("accessTokens: [s3cret]\nhost: h\nport: 0\n", ""),
            ("accessTokens: [s3cret]\nhost: h\nport: 65536\n", ""),
            ("accessTokens: [s3cret]\nhost: h\nport: 1\ntype: s3cret\n", ""),
            ("accessTokens: [s3cret]\nhost: h\nport: 1\ninsecureSkipVerify: s3cret\n", ""),
            ("", ""),
        ] {
            let (_, message) = ResourceControllerConfig::parse(text).expect_err(text);
            assert!(message.contains(says), "{text:?}: {message}");
            assert!(!message.contains("s3cret"), "{text:?}: {message}");
        }
    }

    #[test]
    fn the_host_is_a_name_or_an_address_alone() {
        for good in
            ["localhost", "wa_inst-gateway.zen", "10.0.0.7", "::1", "zen-core-api-svc.cpd.svc.cluster.local"]
        {
            assert_eq!(host(good), Ok(good.to_owned()));
        }
        assert_eq!(host("[::1]"), Ok("::1".to_owned()));
        assert_eq!(host(" h\n"), Ok("h".to_owned()));
        for bad in
            ["", " ", "https://h", "h:5000", "h/api", "u@h", "a b", "a\u{1}b", "\u{fc}.zen", "[::1]:5000"]
        {
            assert!(host(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_unknown_keys_line_is_known() {
        let (line, _) = ResourceControllerConfig::parse(&format!("{MANUAL}prot: 2\n")).unwrap_err();
        assert_eq!(line, Some(6));
    }

    #[test]
    fn debug_shows_no_token() {
        let config = ResourceControllerConfig::parse("accessTokens: [s3cret]\nhost: h\nport: 1\n").unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = ResourceControllerConfig::from_file(Path::new("/nowhere.yaml")).unwrap_err();
        assert!(error.to_string().contains("/nowhere.yaml"));
    }
}
