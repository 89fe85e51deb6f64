//! The crates of the workspace and what each depends on, as `cargo metadata` reports them.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A crate that only a build script uses, and whose C code is linked in all the same.
const LINKED_SOURCES: &str = "openssl-src";

/// The crates for one platform.
#[derive(Debug)]
pub(crate) struct Graph {
    packages: BTreeMap<String, Package>,
    dependencies: BTreeMap<String, Vec<Dependency>>,
}

/// A crate in one version.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Package {
    /// What `cargo metadata` calls it; unique.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// The registry or repository it comes from; `None` for members of the workspace and other paths.
    pub(crate) source: Option<String>,
    /// An SPDX expression, or an older form of one.
    pub(crate) license: Option<String>,
    /// Its Cargo.toml.
    #[serde(default)]
    pub(crate) manifest_path: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Clone, Deserialize)]
struct DependencyKind {
    /// `dev`, `build`, or none for what is linked in.
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

impl Graph {
    /// The crates that are compiled for `platform`, by Cargo.lock, with all features.
    ///
    /// # Errors
    ///
    /// If a crate has not been downloaded yet, or if Cargo.lock is not up to date.
    pub(crate) fn of(root: &Path, platform: &str) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--locked", "--offline", "--all-features"])
            .args(["--filter-platform", platform])
            .current_dir(root)
            .output()
            .context("cannot run cargo metadata")?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cargo metadata failed; `cargo fetch` may help: {stderr}");
        Self::parse(&output.stdout)
    }

    pub(crate) fn parse(metadata: &[u8]) -> Result<Self> {
        let metadata: Metadata =
            serde_json::from_slice(metadata).context("cargo metadata has another form")?;
        let dependencies: BTreeMap<_, _> =
            metadata.resolve.nodes.into_iter().map(|node| (node.id, node.deps)).collect();
        // Metadata also has the packages that only other platforms need.
        let packages = metadata.packages.into_iter().filter(|package| dependencies.contains_key(&package.id));
        let packages = packages.map(|package| (package.id.clone(), package)).collect();
        Ok(Self { packages, dependencies })
    }

    pub(crate) fn packages(&self) -> Vec<&Package> {
        self.packages.values().collect()
    }

    /// The member of the workspace with this name.
    pub(crate) fn member(&self, name: &str) -> Result<&Package> {
        let is_it = |package: &&Package| package.source.is_none() && package.name == name;
        self.packages.values().find(is_it).with_context(|| format!("the workspace has no crate {name}"))
    }

    /// The crates that `package` links in, directly.
    pub(crate) fn linked(&self, package: &Package) -> Vec<&Package> {
        // Its own dependencies only compile it.
        if package.name == LINKED_SOURCES {
            return Vec::new();
        }
        let dependencies = self.dependencies.get(&package.id).map(Vec::as_slice).unwrap_or_default();
        let linked = dependencies.iter().filter_map(|dependency| {
            let package = self.packages.get(&dependency.pkg)?;
            let is_linked = dependency.dep_kinds.iter().any(|of| of.kind.is_none());
            (is_linked || package.name == LINKED_SOURCES).then_some(package)
        });
        linked.collect()
    }

    /// The crates that `package` links in, directly or not, without itself.
    pub(crate) fn all_linked<'a>(&'a self, package: &'a Package) -> Vec<&'a Package> {
        let mut seen = BTreeSet::from([package.id.as_str()]);
        let mut found = Vec::new();
        let mut next = vec![package];
        while let Some(package) = next.pop() {
            for linked in self.linked(package) {
                if seen.insert(&linked.id) {
                    found.push(linked);
                    next.push(linked);
                }
            }
        }
        found.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        found
    }
}
