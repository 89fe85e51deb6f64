//! Large objects that have a file or a member each.

use super::{
    blocks::{Files, ObjectPiece},
    chunks::Chunks,
    entry::Oid,
    error::{ArchiveError, Part},
    item::Item,
    progress::Progress,
};
use std::sync::Arc;

/// Goes from one large object to the next.
pub(super) struct PieceObjects<'a> {
    files: Files,
    objects: Arc<[ObjectPiece]>,
    /// The number of objects that have been opened.
    opened: usize,
    /// The bytes of the objects before the current one.
    before: u64,
    part: Part,
    progress: Progress,
    state: State<'a>,
}

enum State<'a> {
    Idle(Chunks<'a>),
    Reading(Box<Item<'a>>),
    Failed,
}

impl<'a> PieceObjects<'a> {
    pub(super) fn new(
        files: Files,
        objects: Arc<[ObjectPiece]>,
        part: Part,
        progress: Progress,
        chunks: Chunks<'a>,
    ) -> Self {
        Self { files, objects, opened: 0, before: 0, part, progress, state: State::Idle(chunks) }
    }

    pub(super) fn next_object(&mut self) -> Result<Option<Oid>, ArchiveError> {
        let mut chunks = match std::mem::replace(&mut self.state, State::Failed) {
            State::Idle(chunks) => chunks,
            State::Reading(item) => item.into_chunks().ok_or(ArchiveError::AfterError)?,
            State::Failed => return Err(ArchiveError::AfterError),
        };
        let Some(object) = self.objects.get(self.opened) else {
            self.progress.from(0, self.before).reached(0);
            self.state = State::Idle(chunks);
            return Ok(None);
        };
        object.piece.aim(&mut chunks, &self.files, self.part.clone())?;
        chunks.reader_mut().set_progress(self.progress.from(object.piece.start, self.before));
        let oid = object.oid;
        self.before += object.piece.length();
        self.opened += 1;
        self.state = State::Reading(Box::new(object.piece.item(chunks)));
        Ok(Some(oid))
    }

    /// The current object's contents.
    pub(super) fn item(&mut self) -> Option<&mut Item<'a>> {
        match &mut self.state {
            State::Reading(item) => Some(item),
            State::Idle(_) | State::Failed => None,
        }
    }
}
