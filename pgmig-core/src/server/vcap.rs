//! The connection values of a store in the JSON of its secret (`VCAP_SERVICES`), and the `postgres.yaml` that they make.
//!
//! Messages show no value of the JSON: it holds the password.

use super::config::{TargetConfig, TargetEnvironment};
use super::config_error::ConfigError;
use crate::config_file::{self, FileKind};
use crate::text::is_unprintable;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::path::Path;

/// The keys of the secret that hold the JSON: that of older releases, and that of 4.8.6, 5.0.1 and later.
const KEYS: [&str; 2] = ["vcap_services", "store_vcap_services"];
/// The members of a Kubernetes secret that hold its keys; the values of the first are in base64.
const SECRET_MEMBERS: [&str; 2] = ["data", "stringData"];
const SERVICES: &str = "user-provided";
/// How deep texts of JSON may be inside each other.
const MAX_DEPTH: usize = 4;

/// The connection values of a store. `Debug` does not show the password.
#[derive(Debug, Clone)]
pub struct Vcap {
    host: String,
    port: u16,
    database: String,
    username: String,
    password: SecretString,
}

impl Vcap {
    /// Reads the JSON in any form in which it can be had of the cluster: the value of one of the secret's keys
    /// (`vcap_services` or `store_vcap_services`), in base64 or not; an object with that key; the whole secret (`oc get
    /// secret NAME -o json`). `name` is the file's name, for messages.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Vcap`]: the text is something else, a value is missing or not acceptable, or there are several services.
    ///
    /// ```
    /// # use pgmig_core::server::Vcap;
    /// let json = r#"{"user-provided": [{"credentials": {"host": "wa-postgres-rw", "port": 5432,
    ///     "database": "conversation_pprd_wa", "username": "app", "password": "secret"}}]}"#;
    /// let yaml = Vcap::parse(json, "vcap.json".as_ref())?.to_yaml();
    /// # use secrecy::ExposeSecret as _;
    /// assert!(yaml.expose_secret().contains("database: \"conversation_pprd_wa\"\n"));
    /// # Ok::<(), pgmig_core::server::ConfigError>(())
    /// ```
    pub fn parse(text: &str, name: &Path) -> Result<Self, ConfigError> {
        let refused = |message: String| ConfigError::Vcap { path: name.to_owned(), message };
        let mut services = Vec::new();
        find(&json(text.trim()).map_err(refused)?, 0, &mut services).map_err(refused)?;
        let mut found: Vec<Self> = Vec::new();
        for credentials in services {
            let read = Self::of(&credentials).map_err(refused)?;
            if !found.iter().any(|known| known.is_same_as(&read)) {
                found.push(read);
            }
        }
        match (found.pop(), found.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(_), false) => Err(refused(format!(
                "it holds the credentials of {} databases; leave only those of the store",
                found.len() + 1
            ))),
            (None, _) => Err(refused(format!(
                "it holds no \"{SERVICES}\" with \"credentials\"; give the value of the secret's key {} or {}",
                KEYS[0], KEYS[1]
            ))),
        }
    }

    /// Reads a file with the JSON, as [`parse`](Self::parse) does a text.
    ///
    /// # Errors
    ///
    /// The file cannot be read, and those of [`parse`](Self::parse).
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = config_file::read(path, FileKind::Vcap, config_file::MAX_SETTINGS_BYTES)?;
        let mixed_up = || config_file::mixed_up(path, &text, FileKind::Vcap);
        Self::parse(&text, path).map_err(|error| mixed_up().map_or(error, ConfigError::from))
    }

    fn of(credentials: &Map<String, Value>) -> Result<Self, String> {
        let text = |key: &str| -> Result<String, String> {
            let text = match credentials.get(key) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Null) | None => return Err(format!("the credentials have no \"{key}\"")),
                Some(_) => return Err(format!("the value of \"{key}\" is neither a text nor a number")),
            };
            if text.is_empty() || text.contains(char::is_control) {
                return Err(format!("the value of \"{key}\" is empty, or has control characters"));
            }
            Ok(text)
        };
        let port = match credentials.get("port") {
            None | Some(Value::Null) => 5432,
            Some(_) => {
                let port = text("port")?.parse::<u16>().ok().filter(|port| *port > 0);
                port.ok_or("the value of \"port\" is not a number from 1 to 65535")?
            }
        };
        Ok(Self {
            host: text("host")?,
            port,
            database: text("database")?,
            username: text("username")?,
            password: text("password")?.into(),
        })
    }

    fn is_same_as(&self, other: &Self) -> bool {
        self.to_yaml().expose_secret() == other.to_yaml().expose_secret()
    }

    /// The `postgres.yaml` with these values. The store's user is both the owner of the objects and the role that pgmig connects
    /// as.
    pub fn to_yaml(&self) -> SecretString {
        let Self { host, port, database, username, password } = self;
        let mut yaml = format!("host: {}\nport: {port}\n", quoted(host));
        let values = [
            ("database", database.as_str()),
            ("username", username),
            ("su_username", username),
            ("su_password", password.expose_secret()),
        ];
        for (key, value) in values {
            let _ = writeln!(yaml, "{key}: {}", quoted(value));
        }
        yaml.into()
    }
}

impl TargetConfig {
    /// The configuration that a file with the JSON of a store's secret makes (see [`Vcap::parse`]).
    ///
    /// # Errors
    ///
    /// Those of [`Vcap::read`], and those of the environment (see [`TargetConfig::from_file`]).
    pub fn from_vcap_file(path: &Path, environment: &TargetEnvironment) -> Result<Self, ConfigError> {
        let mut config = Self::from_vcap(&Vcap::read(path)?, path, environment)?;
        config.warnings.extend(config_file::exposure(path, &path.display().to_string(), "a password"));
        Ok(config)
    }

    /// The configuration that the values of a store's secret make. `name` is the file's name, for messages.
    ///
    /// # Errors
    ///
    /// Those of the environment (see [`TargetConfig::from_file`]).
    pub fn from_vcap(vcap: &Vcap, name: &Path, environment: &TargetEnvironment) -> Result<Self, ConfigError> {
        Self::from_yaml(vcap.to_yaml().expose_secret(), name, environment)
    }
}

/// A text within double quotes, in which YAML and JSON agree except about characters that no reader should see unescaped.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    for c in Value::from(text).to_string().chars() {
        if is_unprintable(c) {
            let _ = write!(quoted, "\\U{:08x}", u32::from(c));
        } else {
            quoted.push(c);
        }
    }
    quoted
}

/// Parses JSON, or base64 of JSON. An error holds nothing of the text.
fn json(text: &str) -> Result<Value, String> {
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    // `base64` breaks its lines.
    let joined: String = text.split_whitespace().collect();
    if let Ok(bytes) = STANDARD.decode(joined)
        && let Ok(value) = serde_json::from_slice(&bytes)
    {
        return Ok(value);
    }
    Err(format!("it is not JSON (line {}, column {})", error.line(), error.column()))
}

/// Finds the credentials in whatever is around them.
fn find(value: &Value, depth: usize, found: &mut Vec<Map<String, Value>>) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    let Value::Object(object) = value else { return Ok(()) };
    if let Some(Value::Array(services)) = object.get(SERVICES) {
        let credentials = services.iter().filter_map(|service| service.get("credentials")?.as_object());
        found.extend(credentials.cloned());
        return Ok(());
    }
    for member in SECRET_MEMBERS {
        if let Some(inner) = object.get(member) {
            find(inner, depth + 1, found)?;
        }
    }
    for key in KEYS {
        match object.get(key) {
            Some(Value::String(text)) => {
                let inner = json(text).map_err(|error| format!("the value of \"{key}\": {error}"))?;
                find(&inner, depth + 1, found)?;
            }
            Some(inner) => find(inner, depth + 1, found)?,
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::server::Host;

    const PASSWORD: &str = "S3cret \"'\\ : # é\u{1f600}\u{feff}\u{2028}/";

    fn credentials() -> Value {
        serde_json::json!({
            "host": "wa_inst-postgres-16-rw", "port": "5433", "database": "conversation_pprd_wa",
            "username": "app", "password": PASSWORD, "uri": "postgres://app:S3cret@db"
        })
    }

    fn services() -> Value {
        serde_json::json!({ SERVICES: [{ "name": "store", "credentials": credentials() }] })
    }

    fn parse(text: &str) -> Result<Vcap, ConfigError> {
        Vcap::parse(text, Path::new("vcap.json"))
    }

    fn refused(text: &str) -> String {
        let error = parse(text).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("S3cret"), "{error}");
        assert!(error.to_string().starts_with("vcap.json: "), "{error}");
        error.to_string()
    }

    #[test]
    fn every_form_makes_the_same_configuration() {
        let bare = services().to_string();
        let encoded = STANDARD.encode(&bare);
        let (first, second) = encoded.split_at(60);
        let mut forms = vec![bare.clone(), encoded.clone(), format!("{first}\n{second}\n")];
        for key in KEYS {
            forms.push(serde_json::json!({ key: services() }).to_string());
            forms.push(serde_json::json!({ key: bare }).to_string());
            forms.push(serde_json::json!({ key: encoded }).to_string());
            let secret = serde_json::json!({ "kind": "Secret", "data": { key: encoded, "other": "eA==" } });
            forms.push(secret.to_string());
            forms.push(serde_json::json!({ "stringData": { key: bare } }).to_string());
        }
        for form in forms {
            let environment = TargetEnvironment::default();
            let config =
                TargetConfig::from_vcap(&parse(&form).unwrap(), Path::new("vcap.json"), &environment)
                    .unwrap();
            assert_eq!(config.host(), &Host::Tcp("wa_inst-postgres-16-rw".to_owned()), "{form}");
            assert_eq!((config.port(), config.database()), (5433, "conversation_pprd_wa"));
            assert_eq!((config.username(), config.su_username()), ("app", "app"));
            let password = config.login().password().map(ExposeSecret::expose_secret);
            assert_eq!(password, Some(PASSWORD));
            assert!(!format!("{config:?}").contains("S3cret"));
        }
    }

    #[test]
    fn a_port_may_be_a_number_or_missing() {
        let with = |port: Value| {
            let mut services = services();
            services[SERVICES][0]["credentials"]["port"] = port;
            services.to_string()
        };
        assert_eq!(parse(&with(5434.into())).unwrap().port, 5434);
        assert_eq!(parse(&with(Value::Null)).unwrap().port, 5432);
        for bad in [Value::from(0), Value::from(70000), Value::from("x"), Value::from(""), Value::from(1.5)] {
            assert!(refused(&with(bad)).contains("\"port\""));
        }
    }

    #[test]
    fn what_is_wrong_is_named_without_its_value() {
        for key in ["host", "database", "username", "password"] {
            for value in [Value::Null, "".into(), "S3cret\n".into(), serde_json::json!(["S3cret"])] {
                let mut services = services();
                services[SERVICES][0]["credentials"][key] = value;
                assert!(refused(&services.to_string()).contains(&format!("\"{key}\"")));
            }
        }
        assert!(refused("S3cret").contains("it is not JSON (line 1"));
        assert!(refused(r#"{"vcap_services": "S3cret"}"#).contains("\"vcap_services\": it is not JSON"));
        for empty in ["{}", "[]", "\"S3cret\"", r#"{"user-provided": []}"#, r#"{"data": {}}"#, "7"] {
            assert!(refused(empty).contains("it holds no \"user-provided\""));
        }
    }

    #[test]
    fn several_services_are_refused_unless_they_are_one() {
        let mut two = services();
        two[SERVICES].as_array_mut().unwrap().push(serde_json::json!({ "credentials": credentials() }));
        assert!(parse(&two.to_string()).is_ok());
        two[SERVICES][1]["credentials"]["database"] = "other".into();
        assert!(refused(&two.to_string()).contains("the credentials of 2 databases"));
    }
}
