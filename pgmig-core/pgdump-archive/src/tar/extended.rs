//! Headers that extend the header of the next member: POSIX's pax headers, and GNU tar's long names.
//!
//! macOS's tar and Python's `tarfile` write a pax header before every file, for times and attributes. Only the path
//! and the size matter here.

use super::header::{Kind, RawHeader};
use crate::error::{ArchiveError, MemberProblem};
use crate::reader::Reader;

/// The largest contents of such a header. tar's own are below 64 KiB; attributes of macOS's files are in them, too.
const MAX_BYTES: u64 = 1024 * 1024;

/// The largest number of such headers before one member.
const MAX_HEADERS: usize = 16;

/// The parts of a member's header that headers before it replace.
#[derive(Debug, Default)]
pub(super) struct Extension {
    pub(super) path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    count: usize,
}

impl Extension {
    /// Whether there was a header that a member has to follow.
    pub(super) fn is_pending(&self) -> bool {
        self.count > 0
    }

    /// Reads the contents of an extending header.
    ///
    /// # Errors
    /// The contents are damaged or too long, or they say what no header of an archive's file says: that the file is
    /// sparse, or that all files have one path or one size.
    pub(super) fn read(&mut self, reader: &mut Reader, raw: &RawHeader) -> Result<(), ArchiveError> {
        let refused = |problem| ArchiveError::Member { name: raw.shown(), problem };
        self.count += 1;
        if raw.size > MAX_BYTES || self.count > MAX_HEADERS {
            return Err(refused(MemberProblem::Extension));
        }
        let mut contents = vec![0; usize::try_from(raw.size).unwrap_or_default()];
        reader.bytes(&mut contents, "a header that extends another one")?;
        reader.skip(raw.padding(), "the padding of a tar member")?;
        match raw.kind {
            Kind::LongName => {
                let name = contents.split(|&byte| byte == 0).next().unwrap_or_default();
                self.path = Some(name.to_vec());
            }
            Kind::Pax { is_global } => {
                for record in records(&contents) {
                    let (key, value) = record.ok_or_else(|| refused(MemberProblem::Extension))?;
                    if !self.set(key, value, is_global) {
                        return Err(refused(MemberProblem::Extension));
                    }
                }
            }
            // A volume's label, or the target of a link, which is refused when the link comes.
            _ => {}
        }
        Ok(())
    }

    /// Notes a record. Returns false if no archive's file has such a record.
    fn set(&mut self, key: &[u8], value: &[u8], is_global: bool) -> bool {
        match key {
            b"path" if !is_global => self.path = Some(value.to_vec()),
            b"size" if !is_global => {
                let number = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                self.size = number;
                return number.is_some();
            }
            b"path" | b"size" => return false,
            key => return !key.starts_with(b"GNU.sparse."),
        }
        true
    }
}

/// The records of a pax header: `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record. `None` for a damaged one.
fn records(mut contents: &[u8]) -> impl Iterator<Item = Option<(&[u8], &[u8])>> {
    std::iter::from_fn(move || {
        if contents.is_empty() {
            return None;
        }
        let record = first_record(contents);
        contents = record.map_or(&[][..], |(_, _, rest)| rest);
        Some(record.map(|(key, value, _)| (key, value)))
    })
}

/// The key and the value of the first record, and the bytes after it.
fn first_record(contents: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = contents.iter().position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(contents.get(..blank)?).ok()?.parse().ok()?;
    let (record, rest) = (contents.get(blank + 1..length)?, contents.get(length..)?);
    let record = record.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    Some((record.get(..equals)?, record.get(equals + 1..)?, rest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn records_have_a_length() {
        let all = |contents: &'static [u8]| records(contents).collect::<Option<Vec<_>>>();
        let contents = b"16 path=toc.dat\n20 mtime=1700000.25\n12 x=a\nb=c\n\n";
        let found = all(contents).unwrap();
        let expected = [("path", "toc.dat"), ("mtime", "1700000.25"), ("x", "a\nb=c\n")];
        assert_eq!(found, expected.map(|(key, value)| (key.as_bytes(), value.as_bytes())));
        for damaged in [&b"path=x\n"[..], b"99 path=x\n", b"9 path=xy", b"0 a=b\n", b"6 path\n", b"-1 a=b\n"]
        {
            assert_eq!(records(damaged).collect::<Option<Vec<_>>>(), None, "{damaged:?}");
        }
        assert_eq!(all(b""), Some(Vec::new()));
    }

    #[test]
    fn sparse_files_and_global_paths_are_none_of_an_archive() {
        let mut extension = Extension::default();
        assert!(extension.set(b"LIBARCHIVE.xattr.com.apple.provenance", b"AQ", false));
        assert!(extension.set(b"comment", b"x", true));
        assert!(!extension.set(b"GNU.sparse.major", b"1", false));
        assert!(!extension.set(b"path", b"x", true) && !extension.set(b"size", b"1", true));
        assert!(!extension.set(b"size", b"-1", false));
    }
}
