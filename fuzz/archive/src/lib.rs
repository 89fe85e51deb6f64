//! Shared by the fuzz targets: makes archives around a few bytes, and reads all of one.

use pgdump_archive::{Archive, ArchiveError, Block};
use std::path::{Path, PathBuf};

/// How much is unpacked at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// The sizes of all data in an archive, block by block in its own order.
pub fn sizes(mut archive: Archive) -> Result<Vec<u64>, ArchiveError> {
    let mut sizes = Vec::new();
    let mut piece = Vec::new();
    while let Some((_, block)) = archive.next_block()? {
        let mut size = 0;
        match block {
            Block::Data(mut data) => {
                while data.read_into(&mut piece, PIECE_BYTES)? > 0 {
                    size += piece.len() as u64;
                    piece.clear();
                }
            }
            Block::LargeObjects(mut objects) => {
                while objects.next_object()?.is_some() {
                    while objects.read_into(&mut piece, PIECE_BYTES)? > 0 {
                        size += piece.len() as u64;
                        piece.clear();
                    }
                }
            }
        }
        sizes.push(size);
    }
    Ok(sizes)
}

/// What every archive must hold to, whatever is in it: its listing can be shown, and a stream of it holds what a file of it
/// holds.
pub fn check(bytes: &[u8]) {
    let Ok(archive) = Archive::from_bytes(bytes.to_vec()) else { return };
    let listing = archive.listing().to_string();
    let Ok(of_file) = sizes(archive) else { return };
    let Ok(stream) = Archive::from_stream(std::io::Cursor::new(bytes.to_vec())) else { return };
    // Of a script in a stream, only the entries before the first rows are known by now. Blanks between its INSERT
    // statements count where a file's do not.
    let is_script = !stream.has_all_entries();
    if !is_script {
        assert_eq!(stream.listing().to_string(), listing);
    }
    if let Ok(of_stream) = sizes(stream) {
        assert!(is_script || of_stream.iter().sum::<u64>() == of_file.iter().sum::<u64>());
    }
}

/// A custom-format archive of two entries, one with `block` as its data: what comes after the dump ID.
pub fn archive_of(codec: u8, has_objects: bool, block: &[u8]) -> Vec<u8> {
    let mut out = b"PGDMP\x01\x10\x00\x04\x08\x01".to_vec();
    out.push(codec % 4);
    for field in [1, 2, 3, 4, 5, 120, 0] {
        int(&mut out, field);
    }
    for text in ["db", "18.0", "18.0"] {
        string(&mut out, Some(text));
    }
    int(&mut out, 2);
    let set = "SET client_encoding = 'UTF8';\n";
    entry(&mut out, 1, "ENCODING", ["ENCODING", set, ""], false);
    let copy = "COPY public.t (a, b) FROM stdin;\n";
    let (desc, copy) = if has_objects { ("BLOBS", "") } else { ("TABLE DATA", copy) };
    entry(&mut out, 2, desc, ["t", "", copy], true);
    out.push(if has_objects { 3 } else { 1 });
    int(&mut out, 2);
    out.extend_from_slice(block);
    out
}

/// Writes an archive in directory format and returns its path, which the next call in the same thread uses again. `data` is the contents of its files, in the order of their names here, apart by
/// `SEPARATOR`.
pub fn directory(data: &[u8]) -> PathBuf {
    std::thread_local! {
        static AT: tempfile::TempDir =
            tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    }
    AT.with(|at| {
        write(data, at.path()).expect("files can be written");
        at.path().to_owned()
    })
}

fn write(data: &[u8], at: &Path) -> Result<(), std::io::Error> {
    const SEPARATOR: &[u8] = b"\n==FILE==\n";
    const NAMES: [&str; 6] = ["toc.dat", "1.dat", "2.dat.gz", "blobs.toc", "blob_1.dat", "blob_2.dat"];
    let mut rest = data;
    for name in NAMES {
        let end = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
        let (file, after) = rest.split_at(end.unwrap_or(rest.len()));
        std::fs::write(at.join(name), file)?;
        rest = after.get(SEPARATOR.len()..).unwrap_or_default();
    }
    Ok(())
}

fn int(out: &mut Vec<u8>, value: i32) {
    out.push(u8::from(value < 0));
    out.extend_from_slice(&value.unsigned_abs().to_le_bytes());
}

fn string(out: &mut Vec<u8>, text: Option<&str>) {
    let Some(text) = text else { return int(out, -1) };
    int(out, i32::try_from(text.len()).expect("short texts"));
    out.extend_from_slice(text.as_bytes());
}

fn entry(out: &mut Vec<u8>, id: i32, desc: &str, [tag, definition, copy]: [&str; 3], has_data: bool) {
    int(out, id);
    int(out, i32::from(has_data));
    for text in ["0", "0", tag, desc] {
        string(out, Some(text));
    }
    int(out, if has_data { 3 } else { 2 });
    for text in [Some(definition), None, Some(copy), Some("public"), None, None] {
        string(out, text);
    }
    int(out, 0);
    string(out, None);
    string(out, Some("false"));
    string(out, None);
    out.push(if has_data { 1 } else { 3 });
    out.extend_from_slice(&[0; 8]);
}
