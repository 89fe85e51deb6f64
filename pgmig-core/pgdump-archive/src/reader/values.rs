//! The primitive values of the format: bytes, integers, offsets, strings.

use super::{Reader, to_u64};
use crate::{error::ArchiveError, text::ArchiveText};

/// Longest text of a table of contents that is compressed as a whole. Only this limits the memory for such a text. No
/// definition comes near it.
const LONGEST_UNPACKED_TEXT: u64 = 64 * 1024 * 1024;

impl Reader {
    /// Fills `out`.
    pub(crate) fn bytes(&mut self, out: &mut [u8], reading: &'static str) -> Result<(), ArchiveError> {
        self.value_at = self.offset();
        let mut filled = 0;
        while let Some(space) = out.get_mut(filled..).filter(|space| !space.is_empty()) {
            let available = self.fill()?;
            let length = available.len().min(space.len());
            if length == 0 {
                return Err(self.ended(reading));
            }
            if let (Some(to), Some(from)) = (space.get_mut(..length), available.get(..length)) {
                to.copy_from_slice(from);
            }
            self.consume(length);
            filled += length;
        }
        Ok(())
    }

    pub(crate) fn byte(&mut self, reading: &'static str) -> Result<u8, ArchiveError> {
        self.value_at = self.offset();
        self.next_byte(reading)
    }

    fn next_byte(&mut self, reading: &'static str) -> Result<u8, ArchiveError> {
        let Some(&byte) = self.fill()?.first() else { return Err(self.ended(reading)) };
        self.consume(1);
        Ok(byte)
    }

    /// An unsigned number of `size` bytes (at most 8), least significant first.
    fn magnitude(&mut self, size: u8, reading: &'static str) -> Result<u64, ArchiveError> {
        let size = usize::from(size);
        let mut bytes = [0; 8];
        // A fast path: an uncompressed archive has an integer for every row.
        if let (Some(to), Some(from)) = (bytes.get_mut(..size), self.buffered().get(..size)) {
            to.copy_from_slice(from);
            self.consume(size);
            return Ok(u64::from_le_bytes(bytes));
        }
        for byte in bytes.iter_mut().take(size) {
            *byte = self.next_byte(reading)?;
        }
        Ok(u64::from_le_bytes(bytes))
    }

    /// An integer: a sign byte, then the magnitude.
    pub(crate) fn int(&mut self, reading: &'static str) -> Result<i64, ArchiveError> {
        self.value_at = self.offset();
        let negative = self.next_byte(reading)? != 0;
        let magnitude = self.magnitude(self.sizes.int, reading)?;
        match i64::try_from(magnitude) {
            Ok(value) if negative => Ok(-value),
            Ok(value) => Ok(value),
            Err(_) => Err(self.malformed(reading, magnitude, "less than 2^63")),
        }
    }

    /// An integer from `low` to `high`.
    pub(crate) fn int_within<T: TryFrom<i64>>(
        &mut self,
        reading: &'static str,
        low: i64,
        high: i64,
    ) -> Result<T, ArchiveError> {
        let value = self.int(reading)?;
        match T::try_from(value) {
            Ok(converted) if (low..=high).contains(&value) => Ok(converted),
            _ => Err(self.malformed(reading, value, format_args!("{low} to {high}"))),
        }
    }

    /// A file offset.
    pub(crate) fn unsigned_offset(&mut self, reading: &'static str) -> Result<u64, ArchiveError> {
        self.value_at = self.offset();
        self.magnitude(self.sizes.offset, reading)
    }

    /// A string of at most `most` bytes; `None` for NULL.
    pub(crate) fn text(
        &mut self,
        reading: &'static str,
        most: u64,
    ) -> Result<Option<ArchiveText>, ArchiveError> {
        let length = match self.int(reading)? {
            -1 => return Ok(None),
            length => length,
        };
        // A few compressed bytes can unpack to a text of any length.
        let most = if self.is_unpacked() { most.min(LONGEST_UNPACKED_TEXT) } else { most };
        let Some(mut left) = u64::try_from(length).ok().filter(|length| *length <= most) else {
            return Err(self.malformed(
                reading,
                format_args!("{length} bytes long"),
                format_args!("a length of -1 (NULL) to {most}"),
            ));
        };
        self.require(left, reading)?;
        let mut bytes = Vec::new();
        while left > 0 {
            let available = self.fill()?;
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(available.len());
            if here == 0 {
                return Err(self.ended(reading));
            }
            bytes.extend_from_slice(available.get(..here).unwrap_or_default());
            self.consume(here);
            left -= to_u64(here);
        }
        // pg_dump's strings are C strings. A NUL byte shows that no string begins here.
        if memchr::memchr(0, &bytes).is_some() {
            return Err(self.malformed(reading, "a text with a NUL byte", "a text"));
        }
        Ok(Some(ArchiveText::new(bytes)))
    }
}
