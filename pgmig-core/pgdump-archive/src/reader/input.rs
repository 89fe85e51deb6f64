//! The sources of a reader's bytes.

use super::{Reader, to_u64};
use crate::{
    compression::Compression,
    file::{ArchiveFile, Cursor},
    wrapper::Unpacker,
};
use std::{
    io::{self, Read},
    sync::Arc,
};

/// The source of a reader's bytes.
pub(super) enum Input {
    File(Arc<ArchiveFile>),
    /// A file that is compressed as a whole. It is read forward, and from its start again where necessary.
    Wrapped {
        file: Arc<ArchiveFile>,
        unpacker: Option<Unpacker<Cursor>>,
    },
    Stream {
        stream: Box<dyn Read + Send>,
        name: Arc<str>,
        wrapper: Compression,
    },
}

/// Reads the contents of a compressed file at `position`. The decoder is `ahead` bytes before it.
pub(super) fn read_wrapped(
    file: &Arc<ArchiveFile>,
    unpacker: &mut Option<Unpacker<Cursor>>,
    ahead: &mut u64,
    space: &mut [u8],
    position: u64,
) -> io::Result<usize> {
    let unpacker = match unpacker {
        Some(unpacker) => unpacker,
        None => unpacker.insert(Unpacker::new(Cursor::new(Arc::clone(file)), file.wrapper)?),
    };
    while *ahead > 0 {
        let room = usize::try_from(*ahead).unwrap_or(usize::MAX).min(space.len());
        let read = unpacker.read(space.get_mut(..room).unwrap_or_default())?.min(room);
        if read == 0 {
            file.contents_end(position - *ahead);
            return Ok(0);
        }
        *ahead -= to_u64(read);
    }
    let read = unpacker.read(space)?;
    if read == 0 {
        file.contents_end(position);
    }
    Ok(read)
}

/// The rest of a reader's input, for a decoder. An [`ArchiveError`](crate::ArchiveError) travels inside the
/// [`io::Error`].
pub(super) struct Rest(pub(super) Reader);

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.0.fill().map_err(io::Error::other)?;
        let length = available.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), available.get(..length)) {
            to.copy_from_slice(from);
        }
        self.0.consume(length);
        Ok(length)
    }
}
