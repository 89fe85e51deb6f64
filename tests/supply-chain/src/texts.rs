//! The licence texts of the crates that a program is made of.

use crate::graph::{Graph, Package};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The beginnings of the names of files with licences and notices.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];
/// Directories inside a crate whose licences are of code that is linked in: OpenSSL's, zlib's.
const BELOW: [&str; 3] = ["", "openssl", "zstd"];

/// The texts of all licences, each once, with the crates that it is of.
///
/// # Errors
///
/// A crate's files cannot be read.
pub(crate) fn document(graph: &Graph, program: &str) -> Result<String> {
    let mut crates = graph.all_linked(graph.member(program)?);
    crates.retain(|package| package.source.is_some());
    let mut of_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut list = String::new();
    for package in &crates {
        let name = format!("{} {}", package.name, package.version);
        let texts = texts(package).with_context(|| format!("cannot read the licences of {name}"))?;
        let expression = package.license.as_deref().unwrap_or("see its licence");
        let remark = if texts.is_empty() { "; the crate has no licence file" } else { "" };
        let _ = writeln!(list, "{name}: {expression}{remark}");
        texts.into_iter().for_each(|text| of_text.entry(text).or_default().push(name.clone()));
    }
    let mut document = format!("pgmig is made of these crates:\n\n{list}");
    for (text, names) in of_text {
        let line = "=".repeat(80);
        let _ = write!(document, "\n{line}\n{}\n{line}\n\n{}\n", names.join(", "), text.trim_end());
    }
    Ok(document)
}

/// The texts in a crate's files.
fn texts(package: &Package) -> Result<Vec<String>> {
    let directory = package.manifest_path.parent().context("a manifest lies in a directory")?;
    let mut found = Vec::new();
    for below in BELOW {
        found.extend(texts_in(&directory.join(below))?);
    }
    Ok(found)
}

fn texts_in(directory: &Path) -> Result<Vec<String>> {
    let mut files: Vec<_> = match fs::read_dir(directory) {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
        Err(_) => return Ok(Vec::new()),
    };
    files.sort();
    let is_licence = |path: &&std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_uppercase();
        path.is_file() && NAMES.iter().any(|known| name.starts_with(known))
    };
    let texts = files
        .iter()
        .filter(is_licence)
        .map(|path| Ok(String::from_utf8_lossy(&fs::read(path)?).replace("\r\n", "\n")));
    texts.collect()
}
