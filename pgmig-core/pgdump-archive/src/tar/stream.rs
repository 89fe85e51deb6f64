//! A tar-format archive that comes in a stream.

use super::header::{Member, MemberKind};
use crate::chunks::{Chunks, Framing};
use crate::directory::TOC;
use crate::entry::{DumpId, Entry, EntryKind, Oid};
use crate::error::{ArchiveError, MemberProblem, Part};
use crate::format::Format;
use crate::header::Header;
use crate::item::{Coding, Item};
use crate::member::{ObjectList, object_list_name};
use crate::reader::Reader;
use crate::tail::{Tail, drain_zeros};
use crate::toc::Toc;
use std::collections::{HashMap, HashSet};

/// The members of a tar-format archive in a stream. Each can be read once, in their order. `toc.dat` comes first.
///
/// A list of large objects comes after the objects in it. The objects are assigned to the next entry of large objects
/// without objects, and the list then confirms this.
pub(crate) struct TarStream {
    framing: Framing,
    /// Padding bytes that follow the current or previous member of `framing`.
    padding: u64,
    by_file: HashMap<String, DumpId>,
    seen: HashSet<DumpId>,
    objects: Option<Objects>,
    state: State,
}

/// The current block of large objects.
struct Objects {
    entry: DumpId,
    list: String,
    part: Part,
    /// The objects so far.
    oids: Vec<Oid>,
    /// The first object, if only its header has been read.
    pending: Option<Oid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended(Tail),
    Failed,
}

/// The next item of the stream.
enum Next {
    Data(Member, DumpId),
    Object(Member, Oid),
    List(Member),
    End,
}

impl TarStream {
    /// Reads the table of contents. `reader` is at the start of the tar file.
    ///
    /// # Errors
    /// The table of contents is not the first member, or is damaged.
    pub(crate) fn open(mut reader: Reader) -> Result<(Header, Toc, Self), ArchiveError> {
        reader.enter(Part::Members);
        let member = Member::read(&mut reader)?.filter(|member| member.path == TOC);
        let Some(member) = member else {
            return Err(ArchiveError::TocNotFirst { input: reader.name().to_owned() });
        };
        let end = reader.offset().saturating_add(member.size);
        let (header, container) = Header::read(&mut reader, Format::Tar)?;
        let toc = Toc::read(&mut reader, Format::Tar, container)?;
        toc.expect_end(&mut reader, Some(end))?;
        let name = |entry: &Entry| Some((toc.file(entry.dump_id)?.to_string(), entry.dump_id));
        let is_table = |entry: &&Entry| entry.kind != EntryKind::Blobs;
        let by_file: HashMap<_, _> = toc.with_data().filter(is_table).filter_map(name).collect();
        let padding = member.padding();
        let framing = Framing::idle(reader);
        let stream =
            Self { framing, padding, by_file, seen: HashSet::new(), objects: None, state: State::Reading };
        Ok((header, toc, stream))
    }

    /// The kind of data after the last member, once they have been read.
    pub(crate) fn tail(&self) -> Option<Tail> {
        match self.state {
            State::Ended(tail) => Some(tail),
            State::Reading | State::Failed => None,
        }
    }

    /// The next block. Skips the rest of the block before.
    pub(crate) fn next(&mut self, toc: &Toc) -> Result<Option<(DumpId, TarBlock<'_>)>, ArchiveError> {
        match self.state {
            State::Ended(_) => return Ok(None),
            State::Failed => return Err(ArchiveError::AfterError),
            State::Reading => {}
        }
        while self.next_object()?.is_some() {}
        self.state = State::Failed;
        match self.next_member()? {
            Next::End => {
                self.end(toc)?;
                Ok(None)
            }
            Next::Data(member, id) => {
                let Some(entry) = toc.get(id) else { return Err(ArchiveError::NoSuchEntry(id)) };
                if !self.seen.insert(id) {
                    return Err(ArchiveError::Member { name: member.path, problem: MemberProblem::Twice });
                }
                self.enter(&member, Part::Block(entry.label()));
                self.state = State::Reading;
                let item = Item::new(Chunks::Shared(&mut self.framing), Coding::Stored);
                Ok(Some((id, TarBlock::Data(item))))
            }
            Next::Object(member, oid) => {
                let id = self.begin_objects(toc, &member.path, Some(oid))?;
                let part = self.objects.as_ref().map_or(Part::Members, |objects| objects.part.clone());
                self.enter(&member, part);
                self.state = State::Reading;
                Ok(Some((id, TarBlock::Objects(TarObjects { stream: self }))))
            }
            // An empty list.
            Next::List(member) => {
                let id = self.begin_objects(toc, &member.path, None)?;
                self.list(&member)?;
                self.state = State::Reading;
                Ok(Some((id, TarBlock::Objects(TarObjects { stream: self }))))
            }
        }
    }

    /// The next large object of the current block.
    fn next_object(&mut self) -> Result<Option<Oid>, ArchiveError> {
        let Some(objects) = &mut self.objects else { return Ok(None) };
        if let Some(oid) = objects.pending.take() {
            return Ok(Some(oid));
        }
        self.state = State::Failed;
        let next = self.next_member()?;
        let part = self.objects.as_ref().map_or(Part::Members, |objects| objects.part.clone());
        match next {
            Next::Object(member, oid) => {
                self.enter(&member, part);
                if let Some(objects) = &mut self.objects {
                    objects.oids.push(oid);
                }
                self.state = State::Reading;
                Ok(Some(oid))
            }
            Next::List(member) => {
                self.list(&member)?;
                self.state = State::Reading;
                Ok(None)
            }
            Next::Data(Member { path: name, .. }, _) => {
                Err(ArchiveError::Member { name, problem: MemberProblem::AmongObjects })
            }
            Next::End => {
                let name = self.objects.as_ref().map(|objects| objects.list.clone()).unwrap_or_default();
                Err(ArchiveError::Member { name, problem: MemberProblem::Missing })
            }
        }
    }

    /// Appends up to `at_most` bytes of the current large object.
    fn read_object(&mut self, buffer: &mut Vec<u8>, at_most: usize) -> Result<usize, ArchiveError> {
        let mut read = 0;
        while self.objects.is_some() && read < at_most {
            let chunk = self.framing.chunk()?;
            let length = chunk.len().min(at_most - read);
            if length == 0 {
                break;
            }
            buffer.extend_from_slice(chunk.get(..length).unwrap_or_default());
            self.framing.consume(length);
            read += length;
        }
        Ok(read)
    }

    /// Skips the rest of the current member. Returns the next one.
    fn next_member(&mut self) -> Result<Next, ArchiveError> {
        loop {
            self.framing.skip_block()?;
            let reader = self.framing.reader_mut();
            reader.skip(self.padding, "the padding of a tar member")?;
            self.padding = 0;
            reader.enter(Part::Members);
            let Some(member) = Member::read(reader)? else { return Ok(Next::End) };
            if let Some(&id) = self.by_file.get(&member.path) {
                return Ok(Next::Data(member, id));
            }
            if let Some(oid) = object_of(&member.path) {
                return Ok(Next::Object(member, oid));
            }
            if member.path.starts_with("blobs") && member.path.ends_with(".toc") {
                return Ok(Next::List(member));
            }
            // restore.sql restores the same members with psql. It is not needed.
            if member.kind == MemberKind::File && member.path != "restore.sql" {
                return Err(ArchiveError::Member { name: member.path, problem: MemberProblem::Unknown });
            }
            self.enter(&member, Part::Members);
        }
    }

    fn enter(&mut self, member: &Member, part: Part) {
        self.padding = member.padding();
        self.framing.reader_mut().enter(part);
        self.framing.begin_whole(member.size);
    }

    fn begin_objects(&mut self, toc: &Toc, name: &str, first: Option<Oid>) -> Result<DumpId, ArchiveError> {
        let mut waiting = toc
            .with_data()
            .filter(|entry| entry.kind == EntryKind::Blobs && !self.seen.contains(&entry.dump_id));
        let Some(entry) = waiting.next() else {
            return Err(ArchiveError::Member { name: name.to_owned(), problem: MemberProblem::Unknown });
        };
        self.seen.insert(entry.dump_id);
        self.objects = Some(Objects {
            entry: entry.dump_id,
            list: object_list_name(entry),
            part: Part::Block(entry.label()),
            oids: first.into_iter().collect(),
            pending: first,
        });
        Ok(entry.dump_id)
    }

    /// Reads the list at the end of a block of large objects. It must list exactly the objects of the block.
    fn list(&mut self, member: &Member) -> Result<(), ArchiveError> {
        let Some(objects) = self.objects.take() else { return Err(ArchiveError::AfterError) };
        if member.path != objects.list && member.path != "blobs.toc" {
            let problem = MemberProblem::OtherObjects { entry: objects.entry };
            return Err(ArchiveError::Member { name: member.path.clone(), problem });
        }
        self.enter(member, objects.part);
        let item = Item::new(Chunks::Shared(&mut self.framing), Coding::Stored);
        let mut list = ObjectList::new(item);
        let mut listed = Vec::new();
        while let Some((oid, _)) = list.next()? {
            listed.push(oid);
        }
        if listed != objects.oids {
            let problem = MemberProblem::OtherObjects { entry: objects.entry };
            return Err(ArchiveError::Member { name: member.path.clone(), problem });
        }
        Ok(())
    }

    fn end(&mut self, toc: &Toc) -> Result<(), ArchiveError> {
        if let Some(entry) = toc.with_data().find(|entry| !self.seen.contains(&entry.dump_id)) {
            let file = toc.file(entry.dump_id).map(ToString::to_string).unwrap_or_default();
            let name = if entry.kind == EntryKind::Blobs { object_list_name(entry) } else { file };
            return Err(ArchiveError::MemberMissing { name, entry: Box::new(entry.label()) });
        }
        let reader = self.framing.reader_mut();
        let tail = drain_zeros(reader)?;
        reader.report();
        self.state = State::Ended(tail);
        Ok(())
    }
}

/// The OID in a name such as `blob_700001.dat`.
fn object_of(path: &str) -> Option<Oid> {
    let digits = path.strip_prefix("blob_")?.strip_suffix(".dat")?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|oid| is_number && *oid > 0).map(Oid)
}

/// The data of one entry, unpacked.
pub(crate) enum TarBlock<'a> {
    Data(Item<'a>),
    Objects(TarObjects<'a>),
}

/// The large objects of one block of the stream.
pub(crate) struct TarObjects<'a> {
    stream: &'a mut TarStream,
}

impl TarObjects<'_> {
    pub(crate) fn next_object(&mut self) -> Result<Option<Oid>, ArchiveError> {
        if self.stream.state == State::Failed {
            return Err(ArchiveError::AfterError);
        }
        self.stream.next_object()
    }

    pub(crate) fn read_into(&mut self, buffer: &mut Vec<u8>, at_most: usize) -> Result<usize, ArchiveError> {
        self.stream.read_object(buffer, at_most)
    }
}

impl std::fmt::Debug for TarStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TarStream").field("state", &self.state).finish_non_exhaustive()
    }
}
