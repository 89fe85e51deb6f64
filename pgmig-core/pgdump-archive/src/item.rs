//! Unpacks the items of a data block. Directory-format archives have files in their place.
//!
//! An item is valid only if its compressed stream and its chunks end together. pg_restore does not check that
//! everywhere: it then loops or loses data.

mod steps;

use super::{
    chunks::Chunks,
    compression::Compression,
    decoders::ZstdDecoder,
    error::ArchiveError,
    inflate::Inflate,
    lz4_frame::{self, Lz4Frame},
    reader::Reader,
    zstd_window,
};
use std::io::{self, Read};
use steps::{begin_zstd, decode_error, stored_step, without_returns_step, zstd_push};

/// How one item is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Stored,
    /// Lines that end in CR LF. They are read with LF alone.
    StoredWithReturns,
    /// A zlib stream: the custom format calls it gzip.
    Zlib,
    /// A gzip file.
    Gzip,
    Lz4,
    Zstd,
}

impl Coding {
    /// The coding of the custom format's items.
    pub(super) fn of_item(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::Stored,
            Compression::Gzip => Self::Zlib,
            Compression::Lz4 => Self::Lz4,
            Compression::Zstd => Self::Zstd,
        }
    }

    /// The coding of a file of its own.
    pub(super) fn of_file(compression: Compression) -> Self {
        match compression {
            Compression::Gzip => Self::Gzip,
            other => Self::of_item(other),
        }
    }

    pub(super) fn compression(self) -> Compression {
        match self {
            Self::Stored | Self::StoredWithReturns => Compression::None,
            Self::Zlib | Self::Gzip => Compression::Gzip,
            Self::Lz4 => Compression::Lz4,
            Self::Zstd => Compression::Zstd,
        }
    }
}

enum Codec<'a> {
    Stored(Chunks<'a>),
    /// With whether a CR was read whose next byte is not known yet.
    StoredWithReturns(Chunks<'a>, bool),
    Zlib(Chunks<'a>, Box<Inflate>),
    Lz4(Box<Lz4Frame<Chunks<'a>>>),
    /// An lz4 item without an active decoder: its frame has not begun or has ended, or the reader has left it.
    Lz4Idle(Chunks<'a>),
    /// The decoder exists once its frame has begun, because the frame's header determines which one is needed.
    Zstd(Chunks<'a>, Option<ZstdDecoder>),
    /// A temporary state while the chunks move to or from a decoder.
    Between,
}

/// The result of one step of a decoder.
pub(super) struct Step {
    pub(super) consumed: usize,
    pub(super) produced: usize,
    pub(super) ended: bool,
}

impl Step {
    /// Whether to call the decoder again. At the item's end it may still hold output that did not fit before.
    pub(super) fn is_unfinished(&self, at_end: bool) -> bool {
        at_end && !self.ended && self.produced == 0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Failed,
}

/// The current item of a block, unpacked.
pub(super) struct Item<'a> {
    codec: Codec<'a>,
    coding: Coding,
    state: State,
}

impl<'a> Item<'a> {
    /// `chunks` are at the start of an item.
    pub(super) fn new(chunks: Chunks<'a>, coding: Coding) -> Self {
        Self { codec: Codec::new(chunks, coding), coding, state: State::Reading }
    }

    /// The chunks of this item, for another item.
    pub(super) fn into_chunks(self) -> Option<Chunks<'a>> {
        match self.codec {
            Codec::Stored(chunks)
            | Codec::StoredWithReturns(chunks, _)
            | Codec::Zlib(chunks, _)
            | Codec::Lz4Idle(chunks)
            | Codec::Zstd(chunks, _) => Some(chunks),
            Codec::Lz4(decoder) => Some(decoder.finish().0),
            Codec::Between => None,
        }
    }

    /// The chunks of this item, to find the next item. This item cannot be read any further.
    pub(super) fn leave(&mut self) -> Option<&mut Chunks<'a>> {
        self.state = State::Failed;
        self.codec.leave()
    }

    /// The reader of the archive, to find a place in it.
    pub(super) fn reader(&self) -> Option<&Reader> {
        self.codec.chunks().map(|chunks| chunks.reader())
    }

    /// Place in the archive of the next byte to unpack.
    pub(super) fn offset(&self) -> Option<u64> {
        let joined = if let Codec::Zlib(_, inflate) = &self.codec { inflate.offset() } else { None };
        joined.or_else(|| self.reader().map(Reader::offset))
    }

    /// The window that the zstd frame at the start of this item declares, in bytes; 0 for other codecs. `None` if it
    /// cannot be determined.
    pub(super) fn zstd_window(&mut self) -> Result<Option<u64>, ArchiveError> {
        match &mut self.codec {
            Codec::Zstd(chunks, _) => Ok(zstd_window::declared(chunks.chunk()?)),
            _ => Ok(Some(0)),
        }
    }

    /// Restarts at the beginning of another item.
    pub(super) fn restart(&mut self) -> Result<(), ArchiveError> {
        self.state = State::Failed;
        self.codec.restart(self.coding)?;
        self.state = State::Reading;
        Ok(())
    }

    /// Fills `out`. Writes fewer bytes, or none, only at the item's end.
    pub(super) fn fill(&mut self, out: &mut [u8]) -> Result<usize, ArchiveError> {
        match self.state {
            State::Ended => return Ok(0),
            State::Failed => return Err(ArchiveError::AfterError),
            State::Reading => {}
        }
        self.state = State::Failed;
        let mut filled = 0;
        self.state = loop {
            let space = out.get_mut(filled..).unwrap_or_default();
            if space.is_empty() {
                break State::Reading;
            }
            let step = self.codec.step(space, self.coding.compression())?;
            filled += step.produced;
            if step.ended {
                self.expect_end()?;
                break State::Ended;
            }
        };
        Ok(filled)
    }

    /// Checks that the item ends where the compressed stream has ended.
    fn expect_end(&mut self) -> Result<(), ArchiveError> {
        let codec = self.coding.compression();
        let offset = self.offset();
        let is_at_end = match &mut self.codec {
            Codec::Zlib(chunks, inflate) => inflate.is_at_end(chunks)?,
            other => match other.leave() {
                Some(chunks) => chunks.chunk()?.is_empty(),
                None => return Err(ArchiveError::AfterError),
            },
        };
        match (self.reader(), offset) {
            _ if is_at_end => Ok(()),
            (Some(reader), Some(offset)) => {
                Err(ArchiveError::StreamTrailing { place: reader.place_at(offset), codec })
            }
            _ => Err(ArchiveError::AfterError),
        }
    }
}

impl<'a> Codec<'a> {
    fn new(chunks: Chunks<'a>, coding: Coding) -> Self {
        match coding {
            Coding::Stored => Self::Stored(chunks),
            Coding::StoredWithReturns => Self::StoredWithReturns(chunks, false),
            Coding::Zlib | Coding::Gzip => Self::Zlib(chunks, Box::new(Inflate::new(coding))),
            Coding::Lz4 => Self::Lz4Idle(chunks),
            Coding::Zstd => Self::Zstd(chunks, None),
        }
    }

    fn chunks(&self) -> Option<&Chunks<'a>> {
        match self {
            Self::Stored(chunks)
            | Self::StoredWithReturns(chunks, _)
            | Self::Zlib(chunks, _)
            | Self::Lz4Idle(chunks)
            | Self::Zstd(chunks, _) => Some(chunks),
            Self::Lz4(decoder) => Some(decoder.input()),
            Self::Between => None,
        }
    }

    /// The chunks. Drops the decoder that holds them.
    fn leave(&mut self) -> Option<&mut Chunks<'a>> {
        self.finish_lz4();
        match self {
            Self::Stored(chunks)
            | Self::StoredWithReturns(chunks, _)
            | Self::Zlib(chunks, _)
            | Self::Lz4Idle(chunks)
            | Self::Zstd(chunks, _) => Some(chunks),
            Self::Lz4(_) | Self::Between => None,
        }
    }

    /// Takes the chunks back from the decoder of an lz4 frame, if there is one. Returns whether the decoder had
    /// reached the frame's end.
    fn finish_lz4(&mut self) -> bool {
        match std::mem::replace(self, Self::Between) {
            Self::Lz4(decoder) => {
                let (chunks, end) = decoder.finish();
                *self = Self::Lz4Idle(chunks);
                end.is_ok()
            }
            other => {
                *self = other;
                false
            }
        }
    }

    /// Begins an lz4 frame.
    fn begin_lz4(&mut self) -> Result<(), ArchiveError> {
        match std::mem::replace(self, Self::Between) {
            Self::Lz4Idle(mut chunks) => {
                let head = chunks.chunk()?;
                // The decoder would also accept skippable frames, which pg_dump never writes.
                if !head.starts_with(lz4_frame::MAGIC) && !lz4_frame::MAGIC.starts_with(head) {
                    let source = io::Error::new(io::ErrorKind::InvalidData, "no lz4 frame begins here");
                    return Err(decode_error(&chunks, Compression::Lz4, source));
                }
                let place = chunks.reader().place();
                let failed = |source| ArchiveError::Decompress { place, codec: Compression::Lz4, source };
                *self = Self::Lz4(Box::new(Lz4Frame::new(chunks).map_err(failed)?));
            }
            other => *self = other,
        }
        Ok(())
    }

    fn restart(&mut self, coding: Coding) -> Result<(), ArchiveError> {
        match self {
            Self::Stored(_) | Self::StoredWithReturns(..) => Ok(()),
            Self::Zlib(_, inflate) => {
                inflate.restart(coding);
                Ok(())
            }
            // The next frame may have a window of another size.
            Self::Zstd(_, decoder) => {
                *decoder = None;
                Ok(())
            }
            Self::Lz4(_) | Self::Lz4Idle(_) => {
                self.finish_lz4();
                Ok(())
            }
            Self::Between => Err(ArchiveError::AfterError),
        }
    }

    /// Unpacks some bytes into `out`, which must not be empty, or finds the end.
    fn step(&mut self, out: &mut [u8], compression: Compression) -> Result<Step, ArchiveError> {
        match self {
            Self::Stored(chunks) => stored_step(chunks, out),
            Self::StoredWithReturns(chunks, pending) => without_returns_step(chunks, pending, out),
            Self::Zlib(chunks, inflate) => inflate.step(chunks, out),
            Self::Zstd(chunks, decoder) => match decoder.as_mut().and_then(ZstdDecoder::raw) {
                Some(raw) => zstd_push(chunks, raw, out),
                None => {
                    *decoder = Some(begin_zstd(chunks)?);
                    Ok(Step { consumed: 0, produced: 0, ended: false })
                }
            },
            Self::Lz4Idle(_) => {
                self.begin_lz4()?;
                Ok(Step { consumed: 0, produced: 0, ended: false })
            }
            Self::Lz4(decoder) => match decoder.read(out) {
                // The decoder returns 0 both after the end mark and where its input ends without one.
                Ok(0) if !self.finish_lz4() => Err(self.unfinished_lz4()),
                Ok(produced) => Ok(Step { consumed: 0, produced, ended: produced == 0 }),
                Err(error) => Err(match error.downcast::<ArchiveError>() {
                    Ok(error) => error,
                    Err(error) => match self.leave() {
                        Some(chunks) => decode_error(chunks, compression, error),
                        None => ArchiveError::AfterError,
                    },
                }),
            },
            Self::Between => Err(ArchiveError::AfterError),
        }
    }

    fn unfinished_lz4(&self) -> ArchiveError {
        match self.chunks() {
            Some(chunks) => {
                ArchiveError::StreamUnfinished { place: chunks.reader().place(), codec: Compression::Lz4 }
            }
            None => ArchiveError::AfterError,
        }
    }
}
