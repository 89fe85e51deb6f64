//! Whether this process may open as many files and connections as the restore needs.

use crate::restore::error::RestoreError;
use crate::restore::options::RestoreOptions;

/// Files of a process that has opened a backup: its own, the runtime's, a few of the backup.
const OWN: u64 = 16;

/// For each session: its connection, both ends of a socket pair, and the socket that these two meet at.
const EACH_SESSION: u64 = 4;

/// Sessions other than those that load rows: for the lock, in the target, and to look after the others.
const OTHER_SESSIONS: u64 = 4;

/// Refuses a restore that would come to an end for lack of open files.
///
/// # Errors
///
/// [`RestoreError::OpenFiles`].
pub(crate) fn require(options: &RestoreOptions) -> Result<(), RestoreError> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let Some(limit) = soft_limit(&limits) else { return Ok(()) };
    let jobs = u64::try_from(options.jobs.get()).unwrap_or(u64::MAX);
    // Each job may have a superuser's session beside its own, and reads the backup.
    let needed = OWN + EACH_SESSION * OTHER_SESSIONS + jobs.saturating_mul(2 * EACH_SESSION + 1);
    if limit < needed { Err(RestoreError::OpenFiles { limit, needed }) } else { Ok(()) }
}

/// The number of open files that this process may have; `None` if it is not known or not limited.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let line = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(soft_limit(line), Some(1024));
        assert_eq!(soft_limit(&line.replace("1024  ", "unlimited")), None);
        assert_eq!(soft_limit(""), None);
    }
}
