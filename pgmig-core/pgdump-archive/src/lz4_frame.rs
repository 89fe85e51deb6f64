//! Unpacks one lz4 frame, and takes nothing that comes after it.

use std::io::{self, BufReader, ErrorKind, Read};

/// The decoder looks ahead by what it could not give away, and loses it at the frame's end: so it always has room for
/// more than the 32 KiB that it reads at a time. Longer reads pass by the buffer.
const ROOM_BYTES: usize = 64 * 1024;

/// What a frame begins with (LZ4 frame format 1.6.2, "Magic Number").
pub(super) const MAGIC: &[u8] = b"\x04\x22\x4d\x18";

/// A decoder of one frame. Holds a block of it, 4 MiB at most, and the 64 KiB before it.
pub(super) struct Lz4Frame<R: Read>(BufReader<lz4::Decoder<R>>);

impl<R: Read> Lz4Frame<R> {
    /// # Errors
    /// There is no memory for it.
    pub(super) fn new(input: R) -> io::Result<Self> {
        Ok(Self(BufReader::with_capacity(ROOM_BYTES, lz4::Decoder::new(input)?)))
    }

    /// What it reads.
    pub(super) fn input(&self) -> &R {
        self.0.get_ref().reader()
    }

    /// What it reads, from the end of the frame on if that has been reached, as the second value says.
    pub(super) fn finish(self) -> (R, io::Result<()>) {
        let (input, end) = self.0.into_inner().finish();
        // The decoder reads nothing as well where its input ends within a frame.
        (input, end.map_err(|_| ErrorKind::UnexpectedEof.into()))
    }
}

impl<R: Read> Read for Lz4Frame<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::Compression;
    use crate::tests::builder::{noise, pack};

    #[test]
    fn nothing_behind_a_frame_is_taken() {
        let text: Vec<u8> = (0..40_000_u32).flat_map(|n| (n % 977).to_le_bytes()).collect();
        let mixed = [&noise(70_000)[..], &text[..], &noise(3_000)[..], &text[..]].concat();
        for bytes in [noise(10), noise(65_536), noise(200_000), text, mixed] {
            let frame = pack(&bytes, Compression::Lz4);
            let input = [&frame[..], &b"behind"[..]].concat();
            for size in [1, 100, 4096, 20_000, 32 * 1024, 300_000] {
                let mut decoder = Lz4Frame::new(&input[..]).unwrap();
                let (mut buffer, mut unpacked) = (vec![0; size], Vec::new());
                loop {
                    match decoder.read(&mut buffer).unwrap() {
                        0 => break,
                        read => unpacked.extend_from_slice(buffer.get(..read).unwrap()),
                    }
                }
                assert!(unpacked == bytes);
                let (rest, end) = decoder.finish();
                assert_eq!((rest, end.is_ok()), (&b"behind"[..], true), "{} bytes by {size}", bytes.len());
            }
        }
    }

    #[test]
    fn a_frame_that_is_cut_has_no_end() {
        let frame = pack(&noise(100_000), Compression::Lz4);
        for cut in [1, 7, 50_000, frame.len() - 1] {
            let mut decoder = Lz4Frame::new(frame.get(..cut).unwrap()).unwrap();
            let read = io::copy(&mut decoder, &mut io::sink());
            assert!(read.is_err() || decoder.finish().1.is_err(), "cut at {cut}");
        }
    }
}
