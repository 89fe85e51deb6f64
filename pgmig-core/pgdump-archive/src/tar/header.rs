//! The header of a tar member: 512 bytes, POSIX (ustar).

use super::extended::Extension;
use crate::error::{ArchiveError, MemberProblem};
use crate::reader::Reader;
use crate::text::ArchiveText;
use std::ops::Range;

/// Members are padded to blocks of this many bytes.
pub(super) const BLOCK: usize = 512;

const NAME: Range<usize> = 0..100;
const SIZE: Range<usize> = 124..136;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const MAGIC: Range<usize> = 257..262;
const PREFIX: Range<usize> = 345..500;

/// The kind of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberKind {
    File,
    Directory,
}

/// The kind of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Member(MemberKind),
    /// A pax header, for the next member or for all that follow.
    Pax {
        is_global: bool,
    },
    /// GNU tar's long name of the next member.
    LongName,
    /// GNU tar's long target of the next link, or the label of a volume.
    Passed,
    Refused,
}

/// A member of a tar file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its path: plain names, separated by slashes.
    pub(super) path: String,
    pub(super) kind: MemberKind,
    /// Bytes of its contents, without padding.
    pub(super) size: u64,
}

/// A header as it is in the file.
#[derive(Debug)]
pub(super) struct RawHeader {
    path: Vec<u8>,
    pub(super) kind: Kind,
    /// Bytes of its contents, without padding.
    pub(super) size: u64,
}

impl Member {
    /// The number of bytes between the contents and the next header.
    pub(super) fn padding(&self) -> u64 {
        padding(self.size)
    }

    /// Reads a member's header, and the headers before it that extend it; `None` for the block of zeros that ends a tar
    /// file.
    ///
    /// # Errors
    /// The header is damaged, or is of a kind that pg_dump and tar do not write for an archive's files: links,
    /// devices, sparse files.
    pub(super) fn read(reader: &mut Reader) -> Result<Option<Self>, ArchiveError> {
        let mut extension = Extension::default();
        let mut last = String::new();
        while let Some(raw) = RawHeader::read(reader)? {
            match raw.kind {
                Kind::Member(kind) => return Self::of(raw, kind, extension).map(Some),
                Kind::Refused => return Err(raw.refused(MemberProblem::NoFile)),
                Kind::Pax { .. } | Kind::LongName | Kind::Passed => extension.read(reader, &raw)?,
            }
            last = raw.shown();
        }
        if extension.is_pending() {
            return Err(ArchiveError::Member { name: last, problem: MemberProblem::NoFile });
        }
        Ok(None)
    }

    fn of(raw: RawHeader, kind: MemberKind, extension: Extension) -> Result<Self, ArchiveError> {
        let raw = RawHeader { path: extension.path.unwrap_or(raw.path), ..raw };
        let path = safe_path(&raw.path).ok_or_else(|| raw.refused(MemberProblem::Path))?;
        let size = match kind {
            // Some programs record a size for a directory, but no contents follow.
            MemberKind::Directory => 0,
            MemberKind::File => extension.size.unwrap_or(raw.size),
        };
        Ok(Self { path, kind, size })
    }
}

impl RawHeader {
    fn read(reader: &mut Reader) -> Result<Option<Self>, ArchiveError> {
        let mut block = [0; BLOCK];
        reader.bytes(&mut block, "the header of a tar member")?;
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let expected = number(part(&block, CHECKSUM));
        if expected != Some(checksum(&block)) {
            let got = expected.map_or_else(|| "no number".to_owned(), |sum| sum.to_string());
            return Err(reader.malformed("the checksum of a tar header", got, checksum(&block)));
        }
        let kind = match block.get(TYPE) {
            Some(b'0' | b'7' | 0) => Kind::Member(MemberKind::File),
            Some(b'5') => Kind::Member(MemberKind::Directory),
            Some(b'x') => Kind::Pax { is_global: false },
            Some(b'g') => Kind::Pax { is_global: true },
            Some(b'L') => Kind::LongName,
            Some(b'K' | b'V') => Kind::Passed,
            _ => Kind::Refused,
        };
        let path = raw_path(&block);
        match number(part(&block, SIZE)) {
            Some(size) => Ok(Some(Self { path, kind, size })),
            None if kind == Kind::Refused => Ok(Some(Self { path, kind, size: 0 })),
            None => Err(reader.malformed("the size of a tar member", "no number", "a number of bytes")),
        }
    }

    /// The number of bytes between the contents and the next header.
    pub(super) fn padding(&self) -> u64 {
        padding(self.size)
    }

    /// Its path, for messages.
    pub(super) fn shown(&self) -> String {
        ArchiveText::new(self.path.clone()).to_string()
    }

    fn refused(&self, problem: MemberProblem) -> ArchiveError {
        ArchiveError::Member { name: self.shown(), problem }
    }
}

fn padding(size: u64) -> u64 {
    let block = u64::try_from(BLOCK).unwrap_or(u64::MAX);
    (block - size % block) % block
}

fn part(block: &[u8; BLOCK], range: Range<usize>) -> &[u8] {
    block.get(range).unwrap_or_default()
}

/// The text up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn raw_path(block: &[u8; BLOCK]) -> Vec<u8> {
    let (name, prefix) = (text(part(block, NAME)), text(part(block, PREFIX)));
    // Old tar formats have other data where ustar has the prefix.
    if part(block, MAGIC) != b"ustar" || part(block, 262..264) == b" \0" || prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// The path, if it cannot lead out of the directory in which it is unpacked.
fn safe_path(raw: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(raw).ok()?;
    if path.starts_with('/') || path.contains('\\') || path.chars().any(char::is_control) {
        return None;
    }
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            ".." => return None,
            "" | "." => {}
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}

/// The sum of all bytes. The bytes of the checksum itself count as blanks.
fn checksum(block: &[u8; BLOCK]) -> u64 {
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    let own: u64 = part(block, CHECKSUM).iter().map(|&byte| u64::from(byte)).sum();
    sum - own + 8 * u64::from(b' ')
}

/// A number in octal digits. Sizes from 8 GiB on have base 256, after a byte of 0x80.
fn number(field: &[u8]) -> Option<u64> {
    if field.first() == Some(&0x80) {
        return field
            .iter()
            .skip(1)
            .try_fold(0_u64, |value, &byte| value.checked_mul(256)?.checked_add(u64::from(byte)));
    }
    let digits = field.iter().skip_while(|&&byte| byte == b' ');
    let digits: Vec<u8> = digits.copied().take_while(|byte| !matches!(byte, 0 | b' ')).collect();
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_octal_or_to_the_base_of_256() {
        assert_eq!(number(b"00000000644 "), Some(0o644));
        assert_eq!(number(b"  12\0\0"), Some(0o12));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(1 << 33));
        assert_eq!(number(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
        assert_eq!(number(b"        "), None);
        assert_eq!(number(b"129"), None);
    }

    #[test]
    fn paths_that_lead_elsewhere_are_none() {
        for path in ["/etc/passwd", "../toc.dat", "a/../../b", "a\\b", "a\nb"] {
            assert_eq!(safe_path(path.as_bytes()), None, "{path}");
        }
        assert_eq!(safe_path(b"./dump//toc.dat").as_deref(), Some("dump/toc.dat"));
        assert_eq!(safe_path(b"./").as_deref(), Some(""));
    }
}
