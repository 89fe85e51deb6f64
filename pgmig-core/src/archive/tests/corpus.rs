//! By hand, over a whole corpus: `PGMIG_CORPUS=DIR cargo test -p pgmig-core archive -- --ignored`.

use super::{read_all_blocks, read_all_in_order, read_all_streamed};
use crate::archive::Archive;
use std::path::{Path, PathBuf};

#[test]
#[ignore = "needs PGMIG_CORPUS, a directory of archives"]
fn every_sound_archive_reads_the_same_in_every_way() {
    let corpus = PathBuf::from(std::env::var_os("PGMIG_CORPUS").expect("PGMIG_CORPUS is set"));
    let mut archives = Vec::new();
    find_archives(&corpus, &mut archives);
    assert!(!archives.is_empty(), "no archives under {}", corpus.display());
    for path in &archives {
        let contents = read_all_blocks(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(read_all_in_order(Archive::open(path).unwrap()).unwrap(), contents, "{}", path.display());
        assert_eq!(read_all_streamed(path).unwrap(), contents, "{}", path.display());
    }
    println!("{} archives", archives.len());
}

fn find_archives(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in directory.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().unwrap() != "damaged" {
            find_archives(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "dump") {
            found.push(path);
        }
    }
}
