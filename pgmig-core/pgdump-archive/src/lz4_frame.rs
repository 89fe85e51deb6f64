//! Unpacks one lz4 frame, and does not consume the bytes after it.

use std::io::{self, BufReader, ErrorKind, Read};

/// The decoder keeps output that does not fit into the caller's buffer, and loses it at the frame's end. So it always
/// gets more room than the 32 KiB that it reads at a time. Longer reads bypass this buffer.
const ROOM_BYTES: usize = 64 * 1024;

/// The first bytes of a frame (LZ4 frame format 1.6.2, "Magic Number").
pub(super) const MAGIC: &[u8] = b"\x04\x22\x4d\x18";

/// A decoder of one frame. It holds one block of the frame, at most 4 MiB, and the 64 KiB before that block.
pub(super) struct Lz4Frame<R: Read>(BufReader<lz4::Decoder<R>>);

impl<R: Read> Lz4Frame<R> {
    /// # Errors
    /// The memory for the decoder cannot be allocated.
    pub(super) fn new(input: R) -> io::Result<Self> {
        Ok(Self(BufReader::with_capacity(ROOM_BYTES, lz4::Decoder::new(input)?)))
    }

    /// The input.
    pub(super) fn input(&self) -> &R {
        self.0.get_ref().reader()
    }

    /// Returns the input. The second value says whether the frame's end has been reached; the input then is after
    /// that end.
    pub(super) fn finish(self) -> (R, io::Result<()>) {
        let (input, end) = self.0.into_inner().finish();
        // The decoder also reads nothing if its input ends within a frame.
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
