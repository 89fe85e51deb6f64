//! Names of Kubernetes objects, which go into manifests and commands.

use super::RetrainError;
use std::fmt;
use std::str::FromStr;

/// The longest name of a namespace.
const NAMESPACE: usize = 63;
/// The longest name of an object is 253; this leaves room for what the names of patches add.
const INSTANCE: usize = 230;

/// The name of the namespace (project) in which the product is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(String);

/// The name of the product's instance, as `oc get wa` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceName(String);

impl FromStr for Namespace {
    type Err = RetrainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        checked(text, NAMESPACE).map(Self)
    }
}

impl FromStr for InstanceName {
    type Err = RetrainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        checked(text, INSTANCE).map(Self)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Namespace {
    /// Whether Kubernetes accepts the name.
    pub fn is_accepted(&self) -> bool {
        is_accepted(&self.0) && !self.0.contains('.')
    }
}

impl InstanceName {
    /// Whether Kubernetes accepts the name.
    pub fn is_accepted(&self) -> bool {
        is_accepted(&self.0)
    }
}

/// A name that neither ends a value in YAML nor a word in a shell. The manual's examples have underscores, which Kubernetes
/// refuses in most names: that is not an error here.
fn checked(text: &str, most: usize) -> Result<String, RetrainError> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && text.len() <= most && text.chars().all(is_part) {
        return Ok(text.to_owned());
    }
    Err(RetrainError::Name { text: text.to_owned(), most })
}

fn is_accepted(name: &str) -> bool {
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let parts = name.split('.');
    parts.into_iter().all(|part| {
        part.starts_with(is_end) && part.ends_with(is_end) && part.chars().all(|c| is_end(c) || c == '-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word() {
        for name in ["wa", "wa-1", "wa.b", "wa_inst", "0x1", "null"] {
            assert!(name.parse::<InstanceName>().is_ok(), "{name}");
        }
        for name in
            ["", "-wa", ".wa", "wa b", "wa\"", "wa'", "wa$(x)", "wa;x", "wä", "wa\n", &"w".repeat(231)]
        {
            assert!(name.parse::<InstanceName>().is_err(), "{name:?}");
        }
        assert!("n".repeat(64).parse::<Namespace>().is_err());
    }

    #[test]
    fn kubernetes_accepts_less() {
        let accepted = |name: &str| name.parse::<InstanceName>().is_ok_and(|name| name.is_accepted());
        assert!(
            accepted("wa-1.b")
                && !accepted("wa_inst")
                && !accepted("WA")
                && !accepted("wa-")
                && !accepted("a..b")
        );
        assert!("a.b".parse::<Namespace>().is_ok_and(|name| !name.is_accepted()));
    }
}
