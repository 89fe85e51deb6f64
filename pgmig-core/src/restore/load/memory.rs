//! How large a row may be, given the memory that this process may use.

use crate::copy::MAX_ROW_BYTES;

/// The memory that pgmig needs beside the rows under way.
const BASE_BYTES: u64 = 32 * 1024 * 1024;

/// The files in which a container finds its limit: that of control groups version 2, and that of version 1.
const LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// The longest row in bytes that this process can load. The limit of its memory is read from files.
pub(super) fn longest_row() -> usize {
    longest_row_in(container_limit())
}

/// The memory that the container gives to this process, in bytes; `None` if it is not limited.
fn container_limit() -> Option<u64> {
    LIMITS.iter().filter_map(|path| bytes(&std::fs::read_to_string(path).ok()?)).min()
}

/// The longest row in bytes that fits into this much memory. One row can be on its way to the server while the next is
/// read.
fn longest_row_in(memory: Option<u64>) -> usize {
    let Some(memory) = memory else { return MAX_ROW_BYTES };
    let longest = memory.saturating_sub(BASE_BYTES) / 5 * 2;
    usize::try_from(longest).unwrap_or(usize::MAX).min(MAX_ROW_BYTES)
}

/// The number in a limit's file. Where there is no limit, version 2 writes `max`, version 1 nearly 2^63.
fn bytes(limit: &str) -> Option<u64> {
    limit.trim().parse().ok().filter(|bytes| *bytes < 1 << 62)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_both_versions_are_read() {
        assert_eq!(bytes("268435456\n"), Some(268_435_456));
        assert_eq!(bytes("max\n"), None);
        assert_eq!(bytes("9223372036854771712\n"), None);
        assert_eq!(bytes(""), None);
    }

    #[test]
    fn a_row_may_have_two_fifths_of_the_memory() {
        assert_eq!(longest_row_in(None), MAX_ROW_BYTES);
        assert_eq!(longest_row_in(Some(u64::MAX)), MAX_ROW_BYTES);
        assert_eq!(longest_row_in(Some(BASE_BYTES + 1000)), 400);
        assert_eq!(longest_row_in(Some(10)), 0);
    }
}
