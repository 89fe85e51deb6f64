//! Files that were compressed as a whole, in addition to pg_dump's own compression: `store.dump.gz`, `store.sql.zst`.
//!
//! Unlike an item of an archive, such a file may hold several streams one after the other. `gzip`, `pigz`, `pzstd`
//! and `cat a.gz b.gz` write such files.

use super::compression::Compression;
use super::lz4_frame::{self, Lz4Frame};
use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

/// How many bytes of a file are read at a time.
const READ_BYTES: usize = 128 * 1024;

/// The magic number of skippable frames, without its first byte. The decoders of lz4 and zstd skip these frames (RFC
/// 8878, section 3.1.2); `pzstd` writes them.
const SKIPPABLE: &[u8] = b"\x2a\x4d\x18";

/// How a file that begins with `head` is compressed. `None` if it is not compressed, or with a method that is not
/// supported.
pub(super) fn recognise(head: &[u8]) -> Option<Compression> {
    const MAGICS: [(&[u8], Compression); 3] = [
        (b"\x1f\x8b", Compression::Gzip),
        (b"\x28\xb5\x2f\xfd", Compression::Zstd),
        (lz4_frame::MAGIC, Compression::Lz4),
    ];
    MAGICS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, wrapper)| *wrapper)
}

/// Unpacks all streams of a file, one after the other.
pub(super) struct Unpacker<R: Read> {
    wrapper: Compression,
    /// The current stream; `None` after the last, and after an error.
    stream: Option<Stream<R>>,
}

/// One stream. It does not consume the bytes after its end.
enum Stream<R: Read> {
    /// Bytes that are not compressed.
    Stored(BufReader<R>),
    Gzip(Box<GzDecoder<BufReader<R>>>),
    Lz4(Box<Lz4Frame<BufReader<R>>>),
    /// Accepts windows of up to 128 MiB, zstd's own default limit.
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<R>>>),
}

impl<R: Read> Unpacker<R> {
    /// # Errors
    /// The memory for a decoder cannot be allocated.
    pub(super) fn new(input: R, wrapper: Compression) -> io::Result<Self> {
        let input = BufReader::with_capacity(READ_BYTES, input);
        Ok(Self { wrapper, stream: Some(Stream::new(input, wrapper)?) })
    }

    /// Begins the stream that follows another one.
    fn go_on(&mut self, mut input: BufReader<R>) -> io::Result<()> {
        while self.wrapper != Compression::Gzip && is_skippable(input.fill_buf()?) {
            skip_frame(&mut input)?;
        }
        let rest = input.fill_buf()?;
        if rest.is_empty() {
            return Ok(());
        }
        // A pipe may so far have delivered only a part of the magic number. The decoder judges such a part.
        if rest.len() >= 4 && recognise(rest) != Some(self.wrapper) {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "the compressed data end here, and something else follows: it was appended to the file",
            ));
        }
        self.stream = Some(Stream::new(input, self.wrapper)?);
        Ok(())
    }
}

impl<R: Read> Read for Unpacker<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(stream) = &mut self.stream else { return Ok(0) };
            let read = stream.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            if let Some(stream) = self.stream.take() {
                self.go_on(stream.finish()?)?;
            }
        }
    }
}

/// Whether a skippable frame begins here.
fn is_skippable(head: &[u8]) -> bool {
    head.first().is_some_and(|first| first & 0xf0 == 0x50)
        && head.get(1..).is_some_and(|rest| rest.starts_with(SKIPPABLE))
}

/// Skips such a frame: its magic number, four bytes with the length, and that many bytes.
fn skip_frame(input: &mut impl BufRead) -> io::Result<()> {
    let mut head = [0; 8];
    input.read_exact(&mut head)?;
    let [_, _, _, _, length @ ..] = head;
    let length = u64::from(u32::from_le_bytes(length));
    if io::copy(&mut input.take(length), &mut io::sink())? < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

impl<R: Read> Stream<R> {
    fn new(input: BufReader<R>, wrapper: Compression) -> io::Result<Self> {
        Ok(match wrapper {
            Compression::None => Self::Stored(input),
            Compression::Gzip => Self::Gzip(Box::new(GzDecoder::new(input))),
            Compression::Lz4 => Self::Lz4(Box::new(Lz4Frame::new(input)?)),
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                Self::Zstd(Box::new(decoder.single_frame()))
            }
        })
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stored(input) => input.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Lz4(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }

    /// The input after the stream, which has been read to its end.
    fn finish(self) -> io::Result<BufReader<R>> {
        match self {
            Self::Stored(input) => Ok(input),
            Self::Gzip(decoder) => Ok(decoder.into_inner()),
            Self::Zstd(decoder) => Ok(decoder.finish()),
            Self::Lz4(decoder) => {
                let (input, end) = decoder.finish();
                end.map(|()| input)
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::tests::builder::{noise, pack_file as packed};

    fn unpacked(bytes: &[u8], wrapper: Compression) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Unpacker::new(bytes, wrapper)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn several_streams_are_one_file_and_a_cut_one_is_none() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|n| (n % 977).to_le_bytes()).collect();
        let bytes = [noise(200_000), text, noise(200_000)].concat();
        let (first, second) = bytes.split_at(bytes.len() / 3);
        for wrapper in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
            let one = packed(&bytes, wrapper);
            assert_eq!(recognise(&one), Some(wrapper));
            assert!(unpacked(&one, wrapper).unwrap() == bytes, "{wrapper}");
            let two = [packed(first, wrapper), packed(second, wrapper)].concat();
            assert!(unpacked(&two, wrapper).unwrap() == bytes, "{wrapper}, two streams");
            let mut slowly = Unpacker::new(&two[..], wrapper).unwrap();
            let mut out = Vec::new();
            while slowly.by_ref().take(4096).read_to_end(&mut out).unwrap() > 0 {}
            assert!(out == bytes, "{wrapper}, two streams, a little at a time");
            if wrapper != Compression::Gzip {
                let skipped = [
                    packed(first, wrapper),
                    b"\x50\x2a\x4d\x18\x02\0\0\0xy".to_vec(),
                    packed(second, wrapper),
                ];
                assert!(
                    unpacked(&skipped.concat(), wrapper).unwrap() == bytes,
                    "{wrapper}, with a frame to pass over"
                );
            }
            let garbage = [&one[..], b"appended"].concat();
            let error = unpacked(&garbage, wrapper).unwrap_err();
            assert!(error.to_string().contains("something else follows"), "{wrapper}: {error}");
            for cut in [20, one.len() / 2, one.len() - 5, one.len() - 1] {
                assert!(unpacked(&one[..cut], wrapper).is_err(), "{wrapper} cut at {cut}");
            }
        }
    }
}
