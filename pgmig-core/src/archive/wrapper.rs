//! Files that were compressed as a whole, on top of what pg_dump did: `store.dump.gz`, `store.sql.zst`.
//!
//! Unlike an item of an archive, such a file may hold several streams one after the other, as `gzip`, `pigz`,
//! `pzstd` and `cat a.gz b.gz` write them.

use super::header::Compression;
use flate2::read::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use std::io::{self, BufReader, ErrorKind, Read};

/// How a file that begins with `head` is compressed; `None` if it is not, or in a way that is not unpacked.
pub(super) fn recognise(head: &[u8]) -> Option<Compression> {
    const MAGICS: [(&[u8], Compression); 3] = [
        (b"\x1f\x8b", Compression::Gzip),
        (b"\x28\xb5\x2f\xfd", Compression::Zstd),
        (b"\x04\x22\x4d\x18", Compression::Lz4),
    ];
    MAGICS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, wrapper)| *wrapper)
}

/// Unpacks a whole file.
pub(super) enum Unpacker<R: Read> {
    /// Nothing to unpack.
    Stored(R),
    Gzip(Box<MultiGzDecoder<R>>),
    Lz4(Box<Lz4Frames<R>>),
    /// Takes windows of up to 128 MiB, zstd's own default limit.
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<R>>>),
}

impl<R: Read> Unpacker<R> {
    /// # Errors
    /// There is no memory for a decoder.
    pub(super) fn new(input: R, wrapper: Compression) -> io::Result<Self> {
        Ok(match wrapper {
            Compression::None => Self::Stored(input),
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(input))),
            Compression::Lz4 => Self::Lz4(Box::new(Lz4Frames::new(input))),
            Compression::Zstd => Self::Zstd(Box::new(zstd::stream::read::Decoder::new(input)?)),
        })
    }
}

impl<R: Read> Read for Unpacker<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stored(input) => input.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Lz4(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// LZ4 frames one after the other. `FrameDecoder` says 0 at a frame's end, and likewise where its input ends
/// within a frame.
pub(super) struct Lz4Frames<R: Read> {
    decoder: FrameDecoder<Watched<BufReader<R>>>,
    within_frame: bool,
}

impl<R: Read> Lz4Frames<R> {
    fn new(input: R) -> Self {
        let input = Watched { input: BufReader::new(input), ended: false };
        Self { decoder: FrameDecoder::new(input), within_frame: true }
    }
}

impl<R: Read> Read for Lz4Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let read = self.decoder.read(buffer)?;
            if read > 0 {
                self.within_frame = true;
                return Ok(read);
            }
            match (self.decoder.get_ref().ended, self.within_frame) {
                (true, true) => return Err(ErrorKind::UnexpectedEof.into()),
                (true, false) => return Ok(0),
                // The end mark of a frame, which another may follow.
                (false, _) => self.within_frame = false,
            }
        }
    }
}

/// Knows whether its input has said that there is no more.
struct Watched<R> {
    input: R,
    ended: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.ended |= read == 0 && !buffer.is_empty();
        Ok(read)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use std::io::Write;

    fn packed(bytes: &[u8], wrapper: Compression) -> Vec<u8> {
        match wrapper {
            Compression::None => bytes.to_vec(),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(bytes, 3).unwrap(),
        }
    }

    fn unpacked(bytes: &[u8], wrapper: Compression) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Unpacker::new(bytes, wrapper)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn several_streams_are_one_file_and_a_cut_one_is_none() {
        let bytes: Vec<u8> = (0..300_000_u32).flat_map(|n| (n % 977).to_le_bytes()).collect();
        let (first, second) = bytes.split_at(bytes.len() / 3);
        for wrapper in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
            let one = packed(&bytes, wrapper);
            assert_eq!(recognise(&one), Some(wrapper));
            assert!(unpacked(&one, wrapper).unwrap() == bytes, "{wrapper}");
            let two = [packed(first, wrapper), packed(second, wrapper)].concat();
            assert!(unpacked(&two, wrapper).unwrap() == bytes, "{wrapper}, two streams");
            for cut in [20, one.len() / 2, one.len() - 5, one.len() - 1] {
                assert!(unpacked(&one[..cut], wrapper).is_err(), "{wrapper} cut at {cut}");
            }
        }
    }
}
