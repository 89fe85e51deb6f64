//! The rules of `deny.toml`, and the crates that break them: licences, sources, duplicate versions.

use crate::graph::{Graph, Package};
use crate::licence;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The only registry: crates.io, under the name that Cargo gives it in its metadata.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The parts of `deny.toml` that can be checked without network.
#[derive(Debug, Deserialize)]
pub(crate) struct Rules {
    graph: GraphRules,
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct GraphRules {
    targets: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Bans {
    multiple_versions: Level,
    skip: Vec<Skip>,
}

#[derive(Debug, Deserialize)]
struct Skip {
    /// `name@version`.
    #[serde(rename = "crate")]
    spec: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    unknown_registry: Level,
    unknown_git: Level,
}

/// How strict a rule is. Other levels than the strictest are refused, so that nobody takes a rule for one that holds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Deny,
}

impl Rules {
    /// # Errors
    ///
    /// If the file cannot be read, or has other rules than this program knows.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("cannot use {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let rules: Self = toml::from_str(text)?;
        let (Level::Deny, Level::Deny, Level::Deny) =
            (&rules.bans.multiple_versions, &rules.sources.unknown_registry, &rules.sources.unknown_git);
        ensure!(!rules.graph.targets.is_empty(), "[graph] has no targets");
        Ok(rules)
    }

    /// The platforms that pgmig is built for.
    pub(crate) fn platforms(&self) -> &[String] {
        &self.graph.targets
    }

    /// One line for each crate that is not allowed, and for each exception that no crate needs.
    pub(crate) fn violations(&self, graphs: &[Graph]) -> Result<Vec<String>> {
        let packages: BTreeMap<_, &Package> =
            graphs.iter().flat_map(Graph::packages).map(|package| (&package.id, package)).collect();
        let packages: Vec<&Package> = packages.into_values().collect();
        let mut violations = Vec::new();
        for package in &packages {
            violations.extend(self.licence_violation(package)?);
            violations.extend(source_violation(package));
        }
        violations.extend(self.duplicates(&packages));
        violations.extend(self.useless_exceptions(&packages));
        Ok(violations)
    }

    fn licence_violation(&self, package: &Package) -> Result<Option<String>> {
        let spec = spec(package);
        let Some(expression) = &package.license else {
            return Ok(Some(format!("{spec} does not name its licence")));
        };
        let is_allowed = |licence: &str| self.licenses.allow.contains(licence);
        let satisfied = licence::is_satisfied(expression, &is_allowed)
            .with_context(|| format!("the licence of {spec} cannot be read: {expression:?}"))?;
        Ok((!satisfied).then(|| format!("the licence of {spec}: {expression}")))
    }

    /// Crates in several versions, except those that are skipped.
    fn duplicates(&self, packages: &[&Package]) -> Vec<String> {
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for package in packages.iter().filter(|package| !self.skips(package)) {
            versions.entry(&package.name).or_default().insert(&package.version);
        }
        let several = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
        several
            .map(|(name, versions)| {
                let versions: Vec<_> = versions.into_iter().collect();
                format!("{name} in {} versions: {}", versions.len(), versions.join(", "))
            })
            .collect()
    }

    fn useless_exceptions(&self, packages: &[&Package]) -> Vec<String> {
        let is_needed = |skip: &&Skip| {
            packages.iter().any(|package| {
                spec(package) == skip.spec
                    && packages
                        .iter()
                        .any(|other| other.name == package.name && other.version != package.version)
            })
        };
        let useless = self.bans.skip.iter().filter(|skip| !is_needed(skip));
        useless.map(|skip| format!("the exception for {}, which is not there twice", skip.spec)).collect()
    }

    fn skips(&self, package: &Package) -> bool {
        self.bans.skip.iter().any(|skip| skip.spec == spec(package))
    }
}

fn spec(package: &Package) -> String {
    format!("{}@{}", package.name, package.version)
}

fn source_violation(package: &Package) -> Option<String> {
    match package.source.as_deref() {
        None | Some(REGISTRY) => None,
        Some(source) => Some(format!("{} from {source}", spec(package))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    const RULES: &str = r#"
        [graph]
        targets = ["x86_64-unknown-linux-gnu"]
        [licenses]
        allow = ["MIT"]
        [bans]
        multiple-versions = "deny"
        skip = [{ crate = "old@1.0.0", reason = "new-user wants it" }]
        [sources]
        unknown-registry = "deny"
        unknown-git = "deny"
    "#;

    /// The violations of a workspace with these crates: name, version, source, licence.
    fn violations(crates: &[(&str, &str, Option<&str>, Option<&str>)]) -> Vec<String> {
        let old =
            [("old", "1.0.0", Some(REGISTRY), Some("MIT")), ("old", "2.0.0", Some(REGISTRY), Some("MIT"))];
        let all: Vec<_> = crates.iter().chain(&old).collect();
        let packages: Vec<_> = all
            .iter()
            .map(|(name, version, source, license)| {
                let id = format!("{name}@{version}");
                json!({ "id": id, "name": name, "version": version, "source": source, "license": license })
            })
            .collect();
        let nodes: Vec<_> =
            packages.iter().map(|package| json!({ "id": package["id"], "deps": [] })).collect();
        let metadata = json!({ "packages": packages, "resolve": { "nodes": nodes } });
        let graph = Graph::parse(metadata.to_string().as_bytes()).unwrap();
        Rules::parse(RULES).unwrap().violations(&[graph]).unwrap()
    }

    #[test]
    fn crates_that_are_allowed() {
        let own = ("own", "0.1.0", None, Some("MIT"));
        assert_eq!(violations(&[own, ("a", "1.0.0", Some(REGISTRY), Some("MIT OR Zlib"))]), [""; 0]);
    }

    #[test]
    fn a_licence_that_is_not_allowed() {
        let found = violations(&[("a", "1.0.0", Some(REGISTRY), Some("GPL-3.0-only"))]);
        assert_eq!(found, ["the licence of a@1.0.0: GPL-3.0-only"]);
        let found = violations(&[("a", "1.0.0", Some(REGISTRY), None)]);
        assert_eq!(found, ["a@1.0.0 does not name its licence"]);
    }

    #[test]
    fn another_registry_and_a_repository() {
        for source in ["registry+https://example.org/index", "git+https://example.org/a#0123"] {
            let found = violations(&[("a", "1.0.0", Some(source), Some("MIT"))]);
            assert_eq!(found, [format!("a@1.0.0 from {source}")]);
        }
    }

    #[test]
    fn a_crate_in_two_versions() {
        let a = |version| ("a", version, Some(REGISTRY), Some("MIT"));
        assert_eq!(violations(&[a("1.0.0"), a("2.0.0")]), ["a in 2 versions: 1.0.0, 2.0.0"]);
    }

    #[test]
    fn an_exception_that_no_crate_needs() {
        let graph = Graph::parse(br#"{ "packages": [], "resolve": { "nodes": [] } }"#).unwrap();
        let found = Rules::parse(RULES).unwrap().violations(&[graph]).unwrap();
        assert_eq!(found, ["the exception for old@1.0.0, which is not there twice"]);
    }

    #[test]
    fn a_rule_that_only_warns_is_refused() {
        let weaker = RULES.replace("unknown-git = \"deny\"", "unknown-git = \"warn\"");
        assert!(Rules::parse(&weaker).unwrap_err().to_string().contains("unknown-git"));
    }
}
