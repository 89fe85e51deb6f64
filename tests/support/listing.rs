//! The listings by pg_restore that are stored beside the archives of a corpus.

use std::path::Path;

/// The listing of an archive: `NAME.list` or `NAME.dump.list` beside it, or the one that `EXPECT.tsv` names.
pub(crate) fn listing_of(archive: &Path) -> Option<String> {
    let directory = archive.parent()?;
    let name = archive.file_name()?.to_str()?;
    let beside = [archive.with_extension("list"), directory.join(format!("{name}.list"))];
    if let Some(found) = beside.iter().find_map(|path| std::fs::read(path).ok()) {
        return Some(String::from_utf8_lossy(&found).into_owned());
    }
    let expected = std::fs::read_to_string(directory.join("EXPECT.tsv")).ok()?;
    let line = expected.lines().find(|line| line.split('\t').next() == Some(name))?;
    let listing = line.split('\t').find(|field| field.ends_with(".list"))?;
    let listing = std::fs::read(directory.join(listing)).expect("EXPECT.tsv names a file that is there");
    Some(String::from_utf8_lossy(&listing).into_owned())
}
