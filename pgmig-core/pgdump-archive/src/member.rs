//! Archives with a file or a member for each table and large object: directory and tar format.

use super::{
    blocks::{LocatedBlock, ObjectPiece, Piece, Shape},
    chunks::{Chunks, Framing},
    compression::Compression,
    directory::Directory,
    entry::{Entry, EntryKind, Oid},
    error::{ArchiveError, MemberProblem, Part},
    file::ArchiveFile,
    item::{Coding, Item},
    reader::{Limit, Reader},
    tar::TarIndex,
    text::ArchiveText,
    toc::Toc,
};
use std::{collections::HashSet, sync::Arc};

/// The suffixes that pg_dump appends to the names of compressed files, with their compression.
pub(super) const SUFFIXES: [(&str, Compression); 4] = [
    ("", Compression::None),
    (".gz", Compression::Gzip),
    (".lz4", Compression::Lz4),
    (".zst", Compression::Zstd),
];

/// A line of the list of large objects: an OID, a blank, a file name.
const MAX_OBJECT_LINE: usize = 300;

/// Where the members are.
#[derive(Debug)]
pub(super) enum Members {
    Directory(Arc<Directory>),
    Tar { index: TarIndex, file: Arc<ArchiveFile> },
}

impl Members {
    /// The member with this name, compressed or not.
    fn find(&self, name: &str) -> Result<Option<Piece>, ArchiveError> {
        let mut found = None;
        for (suffix, compression) in SUFFIXES {
            let name = format!("{name}{suffix}");
            let piece = match self {
                Self::Directory(directory) => directory.size_of(&name)?.map(|size| Piece {
                    file: Some(name.as_str().into()),
                    start: 0,
                    end: size,
                    coding: Coding::of_file(compression),
                }),
                Self::Tar { index, .. } => index.get(&name).map(|(start, end)| Piece {
                    file: None,
                    start,
                    end,
                    coding: Coding::of_file(compression),
                }),
            };
            if piece.is_some() && found.replace(piece).is_some() {
                return Err(ArchiveError::Member { name, problem: MemberProblem::Twice });
            }
        }
        Ok(found.flatten())
    }

    fn reader(&self, piece: &Piece) -> Result<Reader, ArchiveError> {
        match (self, &piece.file) {
            (Self::Directory(directory), Some(name)) => directory.open(name, piece.end),
            (Self::Directory(directory), None) => Ok(directory.nowhere()),
            (Self::Tar { file, .. }, _) => Ok(Reader::of_file(Arc::clone(file))),
        }
    }

    /// The data of every entry. Errors about members that are not there go to `missing`, if there is one.
    pub(super) fn locate(
        &self,
        toc: &Toc,
        mut missing: Option<&mut Vec<ArchiveError>>,
    ) -> Result<Vec<LocatedBlock>, ArchiveError> {
        let mut locator = Locator { members: self, taken: HashSet::new() };
        let mut blocks = Vec::new();
        for entry in toc.with_data() {
            let shape = match entry.kind {
                EntryKind::Blobs => locator.objects(entry, toc.file(entry.dump_id)),
                _ => locator.data(entry, toc.file(entry.dump_id)),
            };
            match (shape, &mut missing) {
                (Err(error @ ArchiveError::MemberMissing { .. }), Some(missing)) => missing.push(error),
                (shape, _) => blocks.push(LocatedBlock::new(entry.dump_id, shape?)),
            }
        }
        Ok(blocks)
    }
}

struct Locator<'m> {
    members: &'m Members,
    /// Names that belong to an entry or a large object. A name used twice would lose the data of one of them.
    taken: HashSet<String>,
}

impl Locator<'_> {
    fn data(&mut self, entry: &Entry, file: Option<&ArchiveText>) -> Result<Shape, ArchiveError> {
        let name = file.map(member_name).transpose()?.unwrap_or_default();
        let piece = self.take(name, entry)?;
        Ok(Shape::Piece(piece))
    }

    /// The large objects of a BLOBS entry. Reads their list.
    fn objects(&mut self, entry: &Entry, file: Option<&ArchiveText>) -> Result<Shape, ArchiveError> {
        let named = file.map(member_name).transpose()?.unwrap_or_default();
        let list = match self.list(named, entry)? {
            Some(list) => list,
            // Archives before 1.16 have one list. The TOC of a directory names it.
            None if named.ends_with(".toc") => return Err(missing(named, entry)),
            None => return Err(missing(&object_list_name(entry), entry)),
        };
        let mut objects = Vec::new();
        for (oid, name) in self.read_list(&list, entry)? {
            let piece = self.take(&name, entry)?;
            objects.push(ObjectPiece { oid, piece });
        }
        // Sort them, so that the file is read forward whatever the list's order is.
        if matches!(self.members, Members::Tar { .. }) {
            objects.sort_by_key(|object| object.piece.start);
        }
        Ok(Shape::Objects(objects.into()))
    }

    /// The list of an entry's large objects. The TOC of a tar file names a file for each entry, but for large objects
    /// no such file exists. Archives before 1.16 have one list for all.
    fn list(&mut self, named: &str, entry: &Entry) -> Result<Option<Piece>, ArchiveError> {
        let own = object_list_name(entry);
        let named = if named.ends_with(".toc") { named } else { own.as_str() };
        for name in [named, own.as_str(), "blobs.toc"] {
            if let Some(piece) = self.members.find(name)? {
                if !self.taken.insert(name.to_owned()) {
                    return Err(ArchiveError::Member {
                        name: name.to_owned(),
                        problem: MemberProblem::Shared,
                    });
                }
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    fn take(&mut self, name: &str, entry: &Entry) -> Result<Piece, ArchiveError> {
        if !self.taken.insert(name.to_owned()) {
            return Err(ArchiveError::Member { name: name.to_owned(), problem: MemberProblem::Shared });
        }
        self.members.find(name)?.ok_or_else(|| missing(name, entry))
    }

    fn read_list(&self, list: &Piece, entry: &Entry) -> Result<Vec<(Oid, String)>, ArchiveError> {
        let mut reader = self.members.reader(list)?;
        reader.enter(Part::ObjectList(entry.label()));
        reader.seek(list.start);
        reader.set_limit(Limit::EndOfBlock(list.end));
        let mut framing = Framing::idle(reader);
        framing.begin_whole(list.length());
        let mut lines = ObjectList::new(list.item(Chunks::Own(Box::new(framing))));
        let mut objects = Vec::new();
        while let Some(object) = lines.next()? {
            objects.push(object);
        }
        Ok(objects)
    }
}

/// `blobs_4263.toc`: the list of one BLOBS entry, since 1.16.
pub(super) fn object_list_name(entry: &Entry) -> String {
    format!("blobs_{}.toc", entry.dump_id)
}

fn missing(name: &str, entry: &Entry) -> ArchiveError {
    ArchiveError::MemberMissing { name: name.to_owned(), entry: Box::new(entry.label()) }
}

/// A file name from the archive. It must not lead out of the archive.
fn member_name(name: &ArchiveText) -> Result<&str, ArchiveError> {
    match name.to_str() {
        Ok(text) if is_plain_name(text) => Ok(text),
        _ => Err(ArchiveError::Member { name: name.to_string(), problem: MemberProblem::Path }),
    }
}

/// Whether the name can only be a file in the directory itself.
pub(super) fn is_plain_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\']) && !name.chars().any(char::is_control)
}

/// The list of an entry's large objects.
pub(super) struct ObjectList<'a> {
    item: Item<'a>,
    buffer: Vec<u8>,
    start: usize,
}

impl<'a> ObjectList<'a> {
    pub(super) fn new(item: Item<'a>) -> Self {
        Self { item, buffer: Vec::new(), start: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Option<(Oid, String)>, ArchiveError> {
        let Some(line) = self.line()? else { return Ok(None) };
        let text = std::str::from_utf8(&line).ok();
        let object = text.and_then(|line| line.split_once(' ')).and_then(|(oid, name)| {
            let is_number = !oid.is_empty() && oid.bytes().all(|byte| byte.is_ascii_digit());
            let oid = oid.parse().ok().filter(|oid| is_number && *oid > 0)?;
            is_plain_name(name).then(|| (Oid(oid), name.to_owned()))
        });
        match object {
            Some(object) => Ok(Some(object)),
            None => Err(self.malformed(&line)),
        }
    }

    /// The next line, without its line end.
    fn line(&mut self) -> Result<Option<Vec<u8>>, ArchiveError> {
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', rest) {
                let line = rest.get(..end).unwrap_or_default().to_vec();
                self.start += end + 1;
                return Ok(Some(line));
            }
            if rest.len() > MAX_OBJECT_LINE {
                let line = rest.to_vec();
                return Err(self.malformed(&line));
            }
            self.buffer.drain(..self.start.min(self.buffer.len()));
            self.start = 0;
            let mut more = [0; 4096];
            let read = self.item.fill(&mut more)?;
            if read == 0 {
                let rest = std::mem::take(&mut self.buffer);
                return if rest.is_empty() { Ok(None) } else { Err(self.malformed(&rest)) };
            }
            self.buffer.extend_from_slice(more.get(..read).unwrap_or_default());
        }
    }

    fn malformed(&mut self, line: &[u8]) -> ArchiveError {
        const EXPECTED: &str = "an OID and a file name";
        let shown: Vec<u8> = line.iter().copied().take(MAX_OBJECT_LINE).collect();
        let got = format!("\"{}\"", ArchiveText::new(shown));
        match self.item.reader() {
            Some(reader) => reader.malformed("a line of the list of large objects", got, EXPECTED),
            None => ArchiveError::AfterError,
        }
    }
}
