//! The members of a tar file and their places.

use super::header::{Member, MemberKind};
use crate::directory::TOC;
use crate::error::{ArchiveError, MemberProblem, Part};
use crate::reader::{Limit, Reader};
use crate::tail::{Tail, drain_zeros};
use std::collections::HashMap;

/// The largest number of members that is accepted. pg_dump's own lists of large objects become unusable before that.
/// Without a limit, the headers in a compressed file of a few MiB could use all memory.
const MAX_MEMBERS: usize = 8 * 1024 * 1024;

/// The members of a tar file that holds an archive.
#[derive(Debug)]
pub(crate) struct TarIndex {
    /// Path of the directory that holds `toc.dat`, with a slash; "" for a tar-format archive.
    prefix: String,
    /// The first byte of each member and the byte after its last, by path.
    members: HashMap<Box<str>, (u64, u64)>,
    pub(crate) tail: Tail,
    pub(crate) size: u64,
}

impl TarIndex {
    /// Reads all headers of a tar file. `reader` is at its start.
    ///
    /// # Errors
    /// The file cannot be read, ends too early, has members that no archive has, or does not have exactly one
    /// `toc.dat`.
    pub(crate) fn read(reader: &mut Reader) -> Result<Self, ArchiveError> {
        let mut members: HashMap<Box<str>, (u64, u64)> = HashMap::new();
        loop {
            reader.enter(Part::Members);
            let Some(member) = Member::read(reader)? else { break };
            let start = reader.offset();
            let end = start.saturating_add(member.size);
            reader.enter(Part::Member(member.path.clone()));
            let length = member.size.saturating_add(member.padding());
            if let Some(end) = reader.end()
                && let missing @ 1.. = length.saturating_sub(end.saturating_sub(start))
            {
                return Err(ArchiveError::MemberCutOff { place: reader.place_at(end), missing });
            }
            reader.skip(length, "a tar member")?;
            if member.kind == MemberKind::Directory {
                continue;
            }
            if members.len() >= MAX_MEMBERS {
                return Err(ArchiveError::Member { name: member.path, problem: MemberProblem::TooMany });
            }
            if members.insert(member.path.as_str().into(), (start, end)).is_some() {
                return Err(ArchiveError::Member { name: member.path, problem: MemberProblem::Twice });
            }
        }
        reader.enter(Part::Members);
        let tail = drain_zeros(reader)?;
        let prefix = prefix(&members, reader)?;
        Ok(Self { prefix, members, tail, size: reader.offset() })
    }

    /// Whether the members are those of a directory-format archive that somebody has packed.
    pub(crate) fn is_directory(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// The place of a member, by its name in the archive: its first byte, and the byte after its last.
    pub(crate) fn get(&self, name: &str) -> Option<(u64, u64)> {
        if self.prefix.is_empty() {
            return self.members.get(name).copied();
        }
        self.members.get(format!("{}{name}", self.prefix).as_str()).copied()
    }

    /// Aims `reader` at the table of contents.
    pub(crate) fn seek_toc(&self, reader: &mut Reader) {
        let (start, end) = self.get(TOC).unwrap_or_default();
        reader.seek(start);
        reader.set_limit(Limit::EndOfFile(end));
    }
}

/// The path of the directory that holds the only `toc.dat`.
fn prefix(members: &HashMap<Box<str>, (u64, u64)>, reader: &Reader) -> Result<String, ArchiveError> {
    let is_toc = |path: &&str| path.strip_suffix(TOC).is_some_and(|dir| dir.is_empty() || dir.ends_with('/'));
    let mut found = members.keys().map(AsRef::as_ref).filter(is_toc);
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path.strip_suffix(TOC).unwrap_or_default().to_owned()),
        (Some(path), Some(_)) => {
            Err(ArchiveError::Member { name: path.to_owned(), problem: MemberProblem::SeveralArchives })
        }
        (None, _) => Err(ArchiveError::NotAnArchive {
            input: reader.name().to_owned(),
            found: crate::foreign::Foreign::TarWithoutToc,
        }),
    }
}
