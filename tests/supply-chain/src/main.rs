//! Checks the crates that pgmig is made of against `deny.toml`, or lists them as an SBOM, or prints their licences. None of it
//! needs the network.
//!
//! cargo-deny reads the same `deny.toml` and checks more (`make deny`). It takes long to build, so `make check` runs this
//! crate's tests instead, one of which checks the checkout.

#![allow(clippy::print_stdout, reason = "the verdict and the SBOM are what this program is run for")]

mod graph;
mod licence;
mod lock;
mod rules;
mod sbom;
mod texts;

use anyhow::{Context, Result, bail};
use graph::Graph;
use rules::Rules;
use std::path::{Path, PathBuf};

/// The crate whose dependencies are shipped.
const PROGRAM: &str = "pgmig-cli";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["check"] => check(&root()?),
        ["sbom"] => {
            println!("{:#}", sbom(&root()?)?);
            Ok(())
        }
        ["licences"] => {
            print!("{}", licences(&root()?)?);
            Ok(())
        }
        _ => bail!("usage: pgmig-supply-chain check|sbom|licences"),
    }
}

/// The root of the checkout: the directory above this crate's.
fn root() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    Ok(root.context("the crate has no directory above it")?.to_owned())
}

/// Checks every crate of every platform; lists all that is not allowed.
fn check(root: &Path) -> Result<()> {
    let rules = Rules::read(&root.join("deny.toml"))?;
    let graphs: Vec<Graph> =
        rules.platforms().iter().map(|platform| Graph::of(root, platform)).collect::<Result<_>>()?;
    let violations = rules.violations(&graphs)?;
    if violations.is_empty() {
        let crates: usize = graphs.iter().map(|graph| graph.packages().len()).max().unwrap_or_default();
        println!("supply chain: {crates} crates, all as deny.toml allows");
        return Ok(());
    }
    bail!("deny.toml does not allow:\n  {}", violations.join("\n  "));
}

/// The SBOM of the program for the first platform, which is the one that releases are built for.
fn sbom(root: &Path) -> Result<serde_json::Value> {
    let rules = Rules::read(&root.join("deny.toml"))?;
    let platform = rules.platforms().first().context("deny.toml names no platform")?;
    let checksums = lock::checksums(&root.join("Cargo.lock"))?;
    sbom::document(&Graph::of(root, platform)?, PROGRAM, &checksums)
}

/// The licences of the program's crates, for the first platform.
fn licences(root: &Path) -> Result<String> {
    let rules = Rules::read(&root.join("deny.toml"))?;
    let platform = rules.platforms().first().context("deny.toml names no platform")?;
    texts::document(&Graph::of(root, platform)?, PROGRAM)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn this_checkout_keeps_the_rules() {
        check(&root().unwrap()).unwrap();
    }
    #[test]
    fn every_crate_that_is_linked_in_has_its_licence_in_the_document() {
        let root = root().unwrap();
        let text = licences(&root).unwrap();
        // OpenSSL is linked into released binaries by a crate that holds its sources.
        for name in ["openssl-src ", "sqlx-postgres ", "tokio ", "zlib-rs "] {
            assert!(text.contains(&format!("\n{name}")), "{name}");
        }
        assert!(text.contains("Apache License") && text.contains("Permission is hereby granted"));
        let bom = sbom(&root).unwrap();
        let components = bom["components"].as_array().unwrap();
        assert!(components.iter().any(|component| component["name"] == "openssl-src"));
    }
}
