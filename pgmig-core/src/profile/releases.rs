//! Releases of the product, each with its schema version.

use super::SchemaVersion;
use super::error::ProfileError;
use crate::server::yaml::{self, Entries};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A release of the product, such as 4.8.0. Releases are ordered by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// 4 in 4.8.0.
    pub major: u16,
    /// 8 in 4.8.0.
    pub minor: u16,
    /// 0 in 4.8.0.
    pub patch: u16,
}

impl FromStr for Release {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            // Otherwise one release could have two keys in `releases.yaml`.
            let plain = digits && (part == "0" || !part.starts_with('0'));
            if plain { part.parse::<u16>().ok() } else { None }
        };
        let mut parts = text.split('.').map(number);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) => {
                Ok(Self { major, minor, patch })
            }
            _ => Err(ProfileError::Release { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Serialize for Release {
    /// Serializes the release as a string, in the form of its display.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `releases.yaml`: the last migration of each release. A later release never has an older schema. The default is
/// empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Releases(BTreeMap<Release, i64>);

impl Releases {
    /// Parses the text of a `releases.yaml`; `path` is for messages.
    ///
    /// # Errors
    ///
    /// A key is not a release, or a value is not a migration version. There is no release at all, or a release has an
    /// older schema than the previous one.
    ///
    /// ```
    /// # use pgmig_core::profile::Releases;
    /// let releases = Releases::from_yaml("4.0.0: 1\n4.5.0: 3\n", "releases.yaml".as_ref())?;
    /// assert_eq!(releases.version_of("4.5.0".parse()?), Some(3));
    /// # Ok::<(), pgmig_core::profile::ProfileError>(())
    /// ```
    pub fn from_yaml(text: &str, path: &Path) -> Result<Self, ProfileError> {
        let invalid = |line, message| ProfileError::Invalid { path: path.to_owned(), line, message };
        let Entries(entries) = yaml::parse(text).map_err(|error| invalid(error.line, error.message))?;
        let mut releases = BTreeMap::new();
        for entry in entries {
            let at = |message: String| invalid(Some(entry.line), message);
            let release: Release = entry.key.parse().map_err(|error: ProfileError| at(error.to_string()))?;
            let version = entry.value.as_deref().and_then(|value| value.parse::<i64>().ok());
            let version = version.filter(|version| *version > 0).ok_or_else(|| {
                at(format!("the value of {release} is no migration version, expected a number from 1"))
            })?;
            releases.insert(release, version);
        }
        let mut previous: Option<(Release, i64)> = None;
        for (&release, &version) in &releases {
            if let Some((older, older_version)) = previous.filter(|(_, previous)| *previous > version) {
                let message = format!(
                    "release {release} has version {version}, older than version {older_version} of release {older}"
                );
                return Err(invalid(None, message));
            }
            previous = Some((release, version));
        }
        if releases.is_empty() {
            return Err(invalid(None, "it holds no release".to_owned()));
        }
        Ok(Self(releases))
    }

    /// The schema version of a release.
    pub fn version_of(&self, release: Release) -> Option<i64> {
        self.0.get(&release).copied()
    }

    /// The newest release and its schema version; `None` if there are no releases.
    pub fn newest(&self) -> Option<(Release, i64)> {
        self.0.last_key_value().map(|(release, version)| (*release, *version))
    }

    /// The first and the last release with this schema version.
    pub fn at_version(&self, version: i64) -> Option<(Release, Release)> {
        let mut releases = self.0.iter().filter(|(_, at)| **at == version).map(|(release, _)| *release);
        let first = releases.next()?;
        Some((first, releases.next_back().unwrap_or(first)))
    }

    /// Every release with its schema version, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Release, i64)> + '_ {
        self.0.iter().map(|(release, version)| (*release, *version))
    }

    /// The first release that includes this migration.
    pub fn first_with(&self, version: i64) -> Option<Release> {
        self.iter().find(|(_, at)| *at >= version).map(|(release, _)| release)
    }

    /// A schema version, with the first and last release that have it.
    pub fn schema_version(&self, version: i64) -> SchemaVersion {
        let (first_release, last_release) = self.at_version(version).unzip();
        SchemaVersion { version, first_release, last_release }
    }

    /// A schema version in words: `version 9 (release 4.8.0 to 4.8.8)`.
    pub fn describe(&self, version: i64) -> String {
        self.schema_version(version).to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Releases, ProfileError> {
        Releases::from_yaml(text, Path::new("releases.yaml"))
    }

    #[test]
    fn releases_are_ordered_as_numbers() {
        let release = |text: &str| text.parse::<Release>().unwrap();
        assert!(release("4.10.0") > release("4.9.9"));
        assert_eq!(release("5.1.0").to_string(), "5.1.0");
    }

    #[test]
    fn other_texts_are_no_releases() {
        for text in ["", "4", "4.8", "4.8.0.1", "v4.8.0", "4.08.0", "4.8.-1", "4.8.0 ", "4.8.70000", "+4.8.0"]
        {
            assert!(text.parse::<Release>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn several_releases_can_share_a_version() {
        let releases = parse("4.8.0: 4\n4.0.0: 1\n4.8.2: 4\n").unwrap();
        assert_eq!(releases.newest().unwrap().0.to_string(), "4.8.2");
        assert_eq!(releases.describe(4), "version 4 (releases 4.8.0 to 4.8.2)");
        assert_eq!(releases.describe(1), "version 1 (release 4.0.0)");
        assert_eq!(releases.describe(2), "version 2");
        assert_eq!(releases.first_with(2), "4.8.0".parse().ok());
        assert_eq!(releases.first_with(5), None);
    }

    #[test]
    fn errors_name_the_line() {
        let message = |text: &str| parse(text).unwrap_err().to_string();
        assert!(message("4.0.0: 1\n4.5: 2\n").starts_with("releases.yaml, line 2: \"4.5\" is not a release"));
        assert!(message("4.0.0: 0\n").contains("line 1: the value of 4.0.0"));
        assert!(message("4.0.0: 1\n4.0.0: 2\n").contains("line 2: duplicate key"));
        assert!(message("4.0.0: 2\n4.5.0: 1\n").contains("older than version 2 of release 4.0.0"));
        assert!(message("").contains("no release"));
    }
}
