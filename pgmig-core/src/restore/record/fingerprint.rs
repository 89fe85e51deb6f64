//! The fingerprint of a restore: everything that decides what it makes.

use std::collections::BTreeMap;

/// The properties of a restore that must be the same for another run to go on with it, by their names in messages. Long
/// ones are hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Fingerprint(BTreeMap<String, String>);

/// The beginning of a value that says nothing to people.
const HASH: &str = "sha256:";

impl Fingerprint {
    pub(crate) fn add(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    pub(crate) fn add_hash(&mut self, name: &str, hash: &[u8]) {
        self.add(name, format!("{HASH}{}", super::hex(hash)));
    }

    pub(crate) fn to_json(&self) -> String {
        super::json(self)
    }

    pub(crate) fn from_json(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The properties that differ from those of an earlier run, in words.
    pub(crate) fn differences(&self, earlier: &Self) -> Vec<String> {
        let names: std::collections::BTreeSet<&String> = self.0.keys().chain(earlier.0.keys()).collect();
        let differs = |name: &&String| self.0.get(*name) != earlier.0.get(*name);
        let describe = |name: &String| match (earlier.0.get(name), self.0.get(name)) {
            (Some(then), Some(now)) if !then.starts_with(HASH) => format!("{name}: {then}, and now {now}"),
            _ => format!("{name}: another one"),
        };
        names.into_iter().filter(differs).map(describe).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named() {
        let mut earlier = Fingerprint::default();
        earlier.add("version of pgmig", "1.0.0".to_owned());
        earlier.add_hash("instance mapping", &[1]);
        earlier.add("database", "store".to_owned());
        let mut now = earlier.clone();
        assert!(now.differences(&earlier).is_empty());
        now.add("version of pgmig", "1.0.1".to_owned());
        now.add_hash("instance mapping", &[2]);
        let differences = now.differences(&earlier);
        assert_eq!(differences, ["instance mapping: another one", "version of pgmig: 1.0.0, and now 1.0.1"]);
        assert_eq!(Fingerprint::from_json(&now.to_json()), Some(now));
    }
}
