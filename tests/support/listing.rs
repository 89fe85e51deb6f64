//! The listings by pg_restore that are stored beside the archives of a corpus.

use super::corpus::is_damaged;
use std::path::{Path, PathBuf};

/// The place of an archive's list: `NAME.list` beside it or in `expect/`, or the file that `EXPECT.tsv` names. NAME is
/// the archive's name, with or without the extensions of packing.
pub(crate) fn listing_of(archive: &Path) -> Option<PathBuf> {
    let directory = archive.parent()?;
    let names = names(archive.file_name()?.to_str()?);
    let places = [directory.to_owned(), directory.join("expect")];
    let beside = places.iter().flat_map(|place| names.iter().map(|name| place.join(format!("{name}.list"))));
    beside.into_iter().find(|path| path.exists()).or_else(|| listed_in_table(directory, &names))
}

/// `tarfmt.tar.gz`, `tarfmt.tar`, `tarfmt`.
fn names(name: &str) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    for suffix in [".gz", ".tar", ".sql", ".dump"] {
        names.extend(names.last().and_then(|last| last.strip_suffix(suffix)).map(str::to_owned));
    }
    names
}

fn listed_in_table(directory: &Path, names: &[String]) -> Option<PathBuf> {
    let table = std::fs::read_to_string(directory.join("EXPECT.tsv")).ok()?;
    let is_of_it =
        |line: &&str| line.split('\t').next().is_some_and(|first| names.iter().any(|name| name == first));
    let line = table.lines().find(is_of_it)?;
    line.split('\t').find(|field| field.ends_with(".list")).map(|listing| directory.join(listing))
}

/// The text of a list. Names in it may be in any encoding.
pub(crate) fn read(listing: &Path) -> String {
    let bytes = std::fs::read(listing).unwrap_or_else(|error| panic!("{}: {error}", listing.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Every list below a directory, sorted by path.
pub(crate) fn listings(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in directory.read_dir().expect("a directory can be listed") {
        let path = entry.expect("a directory can be listed").path();
        if path.is_dir() && !is_damaged(&path) {
            found.extend(listings(&path));
        } else if path.extension().is_some_and(|extension| extension == "list") {
            found.push(path);
        }
    }
    found.sort();
    found
}
