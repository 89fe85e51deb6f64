//! A file of bytes that can be read at any place.

use super::{compression::Compression, progress::BytesRead};
use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    sync::{Arc, OnceLock},
};

/// A file of the archive, shared by the readers of its blocks.
#[derive(Debug)]
pub(super) struct ArchiveFile {
    bytes: Bytes,
    /// Size when the file was opened, in bytes.
    size: u64,
    /// The path, for messages.
    pub(super) name: Arc<str>,
    /// The name of this file within an archive of several files. Places in errors name it.
    pub(super) member: Option<Arc<str>>,
    pub(super) read: BytesRead,
    /// How the file is compressed as a whole. If it is, all places are places in its contents.
    pub(super) wrapper: Compression,
    /// Size of the contents of a compressed file, once a reader has reached their end.
    unpacked_size: OnceLock<u64>,
}

#[derive(Debug)]
enum Bytes {
    File(File),
    Memory(Vec<u8>),
}

impl ArchiveFile {
    pub(super) fn new(file: File, size: u64, name: Arc<str>, read: BytesRead) -> Self {
        Self::of(Bytes::File(file), size, name, read)
    }

    pub(super) fn in_memory(bytes: Vec<u8>, name: Arc<str>) -> Self {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self::of(Bytes::Memory(bytes), size, name, BytesRead::default())
    }

    fn of(bytes: Bytes, size: u64, name: Arc<str>, read: BytesRead) -> Self {
        let unpacked_size = OnceLock::new();
        Self { bytes, size, name, member: None, read, wrapper: Compression::None, unpacked_size }
    }

    /// The same file. All places now are places in its unpacked contents.
    pub(super) fn wrapped(self, wrapper: Compression) -> Self {
        Self { wrapper, ..self }
    }

    /// Whether reading at another place than the next one requires unpacking from the beginning again.
    pub(super) fn is_wrapped(&self) -> bool {
        self.wrapper != Compression::None
    }

    /// Size of the contents. For a compressed file it is known only once a reader has reached their end.
    pub(super) fn contents_size(&self) -> Option<u64> {
        if self.is_wrapped() { self.unpacked_size.get().copied() } else { Some(self.size) }
    }

    /// Records that a reader has found the end of the contents here.
    pub(super) fn contents_end(&self, size: u64) {
        let _ = self.unpacked_size.set(size);
    }

    /// Reads the file's own bytes.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match &self.bytes {
            Bytes::File(file) => file.read_at(buffer, offset),
            Bytes::Memory(bytes) => {
                let from = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
                from.unwrap_or_default().read(buffer)
            }
        }
    }
}

/// Reads a file's own bytes from its start on.
#[derive(Debug)]
pub(super) struct Cursor {
    file: Arc<ArchiveFile>,
    position: u64,
}

impl Cursor {
    pub(super) fn new(file: Arc<ArchiveFile>) -> Self {
        Self { file, position: 0 }
    }
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position = self.position.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}
