//! Standard output for data that a program reads: a listing or a script. If standard output is a terminal, pgmig
//! escapes characters that control or mislead it. Otherwise it keeps every byte.

use pgmig_core::text::printable;
use std::io::{self, BufWriter, IsTerminal, Write};

/// A longer line is written in parts.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Standard output.
pub(crate) fn data() -> Box<dyn Write> {
    let stdout = io::stdout().lock();
    let is_terminal = stdout.is_terminal();
    let out = BufWriter::new(stdout);
    if is_terminal { Box::new(Printable { out, line: Vec::new() }) } else { Box::new(out) }
}

/// Escapes lines as they are written.
struct Printable<W> {
    out: W,
    /// The line that has begun.
    line: Vec<u8>,
}

impl<W: Write> Printable<W> {
    /// Writes the part of the line that has arrived.
    fn end(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        // Tabs separate columns.
        let fields: Vec<_> = line.split('\t').map(printable).collect();
        self.out.write_all(fields.join("\t").as_bytes())
    }
}

impl<W: Write> Write for Printable<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            self.line.extend_from_slice(text);
            if text.len() < piece.len() {
                self.end()?;
                self.out.write_all(b"\n")?;
            } else if self.line.len() > MAX_LINE_BYTES {
                self.end()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.end()?;
        self.out.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn lines_are_escaped_whatever_the_chunks() {
        let bytes = b"a\tb\n\x1b[2K\xff\nend\x07";
        for size in [1, 2, 5, 100] {
            let mut writer = Printable { out: Vec::new(), line: Vec::new() };
            for chunk in bytes.chunks(size) {
                writer.write_all(chunk).unwrap();
            }
            writer.flush().unwrap();
            let text = String::from_utf8(writer.out).unwrap();
            assert_eq!(text, "a\tb\n\\u{1b}[2K\u{fffd}\nend\\u{7}");
        }
    }
}
