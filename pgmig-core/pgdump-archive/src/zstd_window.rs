//! The memory that a zstd frame requires, from its header (RFC 8878, section 3.1.1.1).

const MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";

/// The window in bytes that a frame beginning with `head` declares. `None` if `head` is not the beginning of a frame,
/// or is too short.
pub(super) fn declared(head: &[u8]) -> Option<u64> {
    let (descriptor, rest) = head.strip_prefix(MAGIC)?.split_first()?;
    let is_single_segment = descriptor & 0x20 != 0;
    if !is_single_segment {
        let byte = rest.first()?;
        let base = 1_u64 << (10 + u32::from(byte >> 3));
        return Some(base + base / 8 * u64::from(byte & 7));
    }
    // Without a window descriptor the window is as large as the contents.
    let dictionary_id = match descriptor & 3 {
        3 => 4,
        length => usize::from(length),
    };
    let (length, offset) = match descriptor >> 6 {
        0 => (1, 0),
        1 => (2, 256),
        2 => (4, 0),
        _ => (8, 0),
    };
    let size = rest.get(dictionary_id..)?.get(..length)?;
    let value = size.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    value.checked_add(offset)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::io::Write;
    use zstd::stream::raw::CParameter;

    fn head(window_log: u32, size: Option<u64>) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.set_parameter(CParameter::WindowLog(window_log)).unwrap();
        encoder.set_pledged_src_size(size).unwrap();
        let size = usize::try_from(size.unwrap_or(3)).unwrap();
        encoder.write_all(&vec![b'a'; size]).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn tells_what_zstd_wrote() {
        assert_eq!(declared(&head(21, None)), Some(2 << 20));
        assert_eq!(declared(&head(27, None)), Some(128 << 20));
        assert_eq!(declared(&head(21, Some(200))), Some(200));
        assert_eq!(declared(&head(21, Some(300))), Some(300));
        assert_eq!(declared(&head(21, Some(70_000))), Some(70_000));
    }

    #[test]
    fn tells_nothing_of_what_is_no_frame() {
        let frame = head(21, Some(70_000));
        for cut in 0..9 {
            assert_eq!(declared(frame.get(..cut).unwrap()), None);
        }
        assert_eq!(declared(b"\x1f\x8b\x08\0\0\0\0\0\0\0"), None);
    }
}
