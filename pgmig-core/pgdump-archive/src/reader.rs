//! The only place that reads input: buffered reads of a file or a stream, and the primitive values of the format.
//!
//! It knows bytes, integers and strings, but no structure above them. It checks every length against the remaining
//! input before it allocates memory. Memory only grows with bytes that have been read.

mod input;
mod values;

use super::{
    compression::Compression,
    error::{ArchiveError, Part, Place},
    file::ArchiveFile,
    progress::{BytesRead, Progress},
    wrapper::Unpacker,
};
use input::{Input, Rest, read_wrapped};
use std::{
    fmt::Display,
    io::{self, ErrorKind, Read},
    sync::Arc,
};

/// First read after a jump: enough for the headers of a block and its first chunk.
const SMALLEST_READ: usize = 4 * 1024;
/// Reads grow up to this size while they are sequential; also the most that one reader buffers.
const LARGEST_READ: usize = 256 * 1024;
/// A jump of no more than this beyond the buffer is read over. One read of many small chunks costs less than a read
/// for each of them (a gzip archive has chunks of 4 KiB).
const NEAR: u64 = 32 * 1024;

/// Where a reader's input ends, if that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Unknown,
    EndOfFile(u64),
    /// The current block ends here.
    EndOfBlock(u64),
}

impl Limit {
    fn offset(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::EndOfFile(offset) | Self::EndOfBlock(offset) => Some(offset),
        }
    }
}

/// Widths of integers and offsets, from the header.
#[derive(Debug, Clone, Copy)]
pub(super) struct IntSizes {
    /// Bytes of an integer, 1 to 8.
    pub(super) int: u8,
    /// Bytes of an offset, 1 to 8.
    pub(super) offset: u8,
}

pub(super) struct Reader {
    input: Input,
    buffer: Vec<u8>,
    /// `start..end` is the part of `buffer` that has been read and not consumed.
    start: usize,
    end: usize,
    /// Place in the archive of `buffer[end]`.
    position: u64,
    /// How many bytes must be unpacked and dropped to reach `position`.
    ahead: u64,
    /// Place in the archive where the last value begins.
    value_at: u64,
    limit: Limit,
    next_read: usize,
    sizes: IntSizes,
    part: Part,
    progress: Progress,
}

impl Reader {
    /// A reader of a whole file, from its start.
    pub(super) fn of_file(file: Arc<ArchiveFile>) -> Self {
        let limit = file.contents_size().map_or(Limit::Unknown, Limit::EndOfFile);
        let input =
            if file.is_wrapped() { Input::Wrapped { file, unpacker: None } } else { Input::File(file) };
        Self::new(input, limit, Progress::Uncounted)
    }

    /// A reader of a stream, which is at the archive's first byte.
    pub(super) fn of_stream(stream: Box<dyn Read + Send>, name: Arc<str>, read: BytesRead) -> Self {
        let input = Input::Stream { stream, name, wrapper: Compression::None };
        Self::new(input, Limit::Unknown, Progress::Stream(read))
    }

    /// A reader of the unpacked rest of a stream. The progress still counts the packed bytes.
    ///
    /// # Errors
    /// The memory for a decoder cannot be allocated.
    pub(super) fn unwrapped(self, wrapper: Compression) -> Result<Self, ArchiveError> {
        let name: Arc<str> = self.name().into();
        let failed = |source| ArchiveError::Unwrap { input: name.to_string(), wrapper, offset: 0, source };
        let stream = Box::new(Unpacker::new(Rest(self), wrapper).map_err(failed)?);
        let input = Input::Stream { stream, name, wrapper };
        Ok(Self::new(input, Limit::Unknown, Progress::Uncounted))
    }

    fn new(input: Input, limit: Limit, progress: Progress) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            position: 0,
            ahead: 0,
            value_at: 0,
            limit,
            next_read: SMALLEST_READ,
            // Until the header has been read. The header has no integers before their size.
            sizes: IntSizes { int: 4, offset: 8 },
            part: Part::Header,
            progress,
        }
    }

    /// Starts over at `offset` of a file. A stream keeps its only place.
    pub(super) fn seek(&mut self, offset: u64) {
        let from = self.offset();
        match &mut self.input {
            Input::Stream { .. } => return,
            Input::File(_) => {}
            Input::Wrapped { .. } if (from..=self.position).contains(&offset) => {
                self.consume(usize::try_from(offset - from).unwrap_or(usize::MAX));
                return;
            }
            Input::Wrapped { .. } if offset > self.position => self.ahead += offset - self.position,
            Input::Wrapped { unpacker, .. } => (*unpacker, self.ahead) = (None, offset),
        }
        (self.start, self.end, self.position, self.next_read) = (0, 0, offset, SMALLEST_READ);
    }

    pub(super) fn set_sizes(&mut self, sizes: IntSizes) {
        self.sizes = sizes;
    }

    pub(super) fn set_limit(&mut self, limit: Limit) {
        self.limit = limit;
    }

    pub(super) fn set_progress(&mut self, progress: Progress) {
        self.progress = progress;
    }

    /// Sets the part of the archive that errors name from here on.
    pub(super) fn enter(&mut self, part: Part) {
        self.part = part;
    }

    pub(super) fn part_mut(&mut self) -> &mut Part {
        &mut self.part
    }

    /// Width of an integer in bytes, without its sign byte.
    pub(super) fn int_size(&self) -> u8 {
        self.sizes.int
    }

    /// Place in the archive of the next byte.
    pub(super) fn offset(&self) -> u64 {
        self.position - to_u64(self.end - self.start)
    }

    pub(super) fn limit(&self) -> Limit {
        self.limit
    }

    /// Where the input ends, if that is known.
    pub(super) fn end(&self) -> Option<u64> {
        self.limit.offset()
    }

    /// Name of the input, for messages.
    pub(super) fn name(&self) -> &str {
        match &self.input {
            Input::File(file) | Input::Wrapped { file, .. } => &file.name,
            Input::Stream { name, .. } => name,
        }
    }

    /// The file; `None` for a stream.
    pub(super) fn file(&self) -> Option<&Arc<ArchiveFile>> {
        match &self.input {
            Input::File(file) | Input::Wrapped { file, .. } => Some(file),
            Input::Stream { .. } => None,
        }
    }

    pub(super) fn place(&self) -> Box<Place> {
        self.place_at(self.offset())
    }

    pub(super) fn place_at(&self, offset: u64) -> Box<Place> {
        let file = self.file().and_then(|file| file.member.as_deref()).map(str::to_owned);
        Box::new(Place { offset, file, part: self.part.clone() })
    }

    /// The error for an invalid value: the last one read, which pg_dump would not write.
    pub(super) fn malformed(
        &self,
        what: &'static str,
        got: impl Display,
        expected: impl Display,
    ) -> ArchiveError {
        let place = self.place_at(self.value_at);
        ArchiveError::Malformed { place, what, got: got.to_string(), expected: expected.to_string() }
    }

    /// The error for input that ends within `reading`.
    pub(super) fn ended(&self, reading: &'static str) -> ArchiveError {
        match self.limit {
            Limit::EndOfBlock(end) => self.malformed(
                reading,
                "longer than the rest of its block",
                format_args!("an end before byte {end}"),
            ),
            Limit::Unknown | Limit::EndOfFile(_) => ArchiveError::Truncated { place: self.place(), reading },
        }
    }

    /// Reports to the progress how far this reader has come.
    pub(super) fn report(&self) {
        self.progress.reached(self.offset());
    }

    /// Returns up to `length` bytes from the start of the archive, without consuming them. Returns fewer only if the
    /// archive is shorter.
    pub(super) fn peek(&mut self, length: usize) -> Result<&[u8], ArchiveError> {
        while self.end - self.start < length {
            if self.read_more(length)? == 0 {
                break;
            }
        }
        Ok(self.buffered())
    }

    /// Bytes that have been read and not consumed.
    pub(super) fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The next bytes. Empty only at the end of the input.
    pub(super) fn fill(&mut self) -> Result<&[u8], ArchiveError> {
        if self.start == self.end {
            self.report();
            (self.start, self.end) = (0, 0);
            self.read_more(self.next_read)?;
            self.next_read = (self.next_read * 2).min(LARGEST_READ);
        }
        Ok(self.buffered())
    }

    /// Marks `length` of the buffered bytes as read.
    pub(super) fn consume(&mut self, length: usize) {
        self.start = self.start.saturating_add(length).min(self.end);
    }

    /// Appends up to `length` bytes to the buffer; 0 at the end of the input.
    fn read_more(&mut self, length: usize) -> Result<usize, ArchiveError> {
        let left = self.limit.offset().map_or(u64::MAX, |limit| limit.saturating_sub(self.position));
        let length = length.min(usize::try_from(left).unwrap_or(usize::MAX));
        if length == 0 {
            return Ok(0);
        }
        let wanted = self.end + length;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let space = self.buffer.get_mut(self.end..wanted).unwrap_or_default();
        loop {
            let result = match &mut self.input {
                Input::File(file) => file.read_at(space, self.position),
                Input::Wrapped { file, unpacker } => {
                    read_wrapped(file, unpacker, &mut self.ahead, space, self.position)
                }
                Input::Stream { stream, .. } => stream.read(space),
            };
            match result {
                Ok(read) => {
                    // Do not trust a `Read` that returns more than it was given room for.
                    let read = read.min(length);
                    self.end += read;
                    self.position += to_u64(read);
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(self.failed(source)),
            }
        }
    }

    /// Whether the input was compressed as a whole.
    fn is_unpacked(&self) -> bool {
        match &self.input {
            Input::File(_) => false,
            Input::Wrapped { .. } => true,
            Input::Stream { wrapper, .. } => *wrapper != Compression::None,
        }
    }

    fn failed(&self, source: io::Error) -> ArchiveError {
        let (input, offset) = (self.name().to_owned(), self.position.saturating_sub(self.ahead));
        let wrapper = match &self.input {
            Input::File(_) => Compression::None,
            Input::Wrapped { file, .. } => file.wrapper,
            Input::Stream { wrapper, .. } => *wrapper,
        };
        // The decoder passes on an error of the stream below it: return that one.
        match source.downcast::<ArchiveError>() {
            Ok(error) => error,
            Err(source) if wrapper == Compression::None => ArchiveError::Read { input, offset, source },
            Err(source) => ArchiveError::Unwrap { input, wrapper, offset, source },
        }
    }

    /// Fails if fewer than `length` bytes are left, where that is known.
    pub(super) fn require(&self, length: u64, reading: &'static str) -> Result<(), ArchiveError> {
        match self.limit.offset() {
            Some(limit) if length > limit.saturating_sub(self.offset()) => Err(self.ended(reading)),
            _ => Ok(()),
        }
    }

    /// Passes over `length` bytes. In a file, many bytes are not read but jumped over.
    pub(super) fn skip(&mut self, length: u64, reading: &'static str) -> Result<(), ArchiveError> {
        self.require(length, reading)?;
        let mut left = length;
        loop {
            let buffered = self.end - self.start;
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(buffered);
            self.consume(here);
            left -= to_u64(here);
            if left == 0 {
                return Ok(());
            }
            if left > NEAR && matches!(self.input, Input::File(_)) {
                self.seek(self.position + left);
                return Ok(());
            }
            if self.fill()?.is_empty() {
                return Err(self.ended(reading));
            }
        }
    }
}

/// Converts a length in memory to a length in the archive.
pub(super) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
