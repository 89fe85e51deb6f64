//! Names of the databases that a restore makes beside the target.

use sha2::{Digest, Sha256};

/// PostgreSQL's limit for names in bytes (NAMEDATALEN - 1). The server silently truncates longer names, possibly to
/// the target's own name, so pgmig makes them fit.
const NAME_BYTES: usize = 63;

/// The name of the target's staging database. It is the same in each run, so a run finds the database of a killed run
/// even before that has a marker.
pub(crate) fn staging_name(target: &str) -> String {
    beside(target, &[target], "_staging")
}

/// The name of the target's previous database after the swap of run `run_id`. It differs in each run, since previous
/// databases can be kept.
pub(crate) fn previous_name(target: &str, run_id: &str) -> String {
    beside(target, &[target, run_id], "_previous")
}

fn beside(target: &str, hashed: &[&str], suffix: &str) -> String {
    let mut hasher = Sha256::new();
    for part in hashed {
        hasher.update(part.as_bytes());
        // A separator that no name contains, so that different parts never give the same input.
        hasher.update([0]);
    }
    let digest = hasher.finalize();
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let room = NAME_BYTES - suffix.len() - hash.len() - 1;
    let prefix = target.get(..target.floor_char_boundary(room)).unwrap_or(target);
    format!("{prefix}_{hash}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_stay_readable() {
        let name = staging_name("store");
        assert!(name.starts_with("store_") && name.ends_with("_staging"), "{name}");
        assert_eq!(name, staging_name("store"));
    }

    #[test]
    fn long_names_fit_and_differ_from_the_target_and_from_each_other() {
        let one = "d".repeat(63);
        let other = format!("{}e", "d".repeat(62));
        for name in [staging_name(&one), staging_name(&other), previous_name(&one, "run")] {
            assert!(name.len() <= 63, "{} bytes", name.len());
            assert_ne!(name, one);
        }
        assert_ne!(staging_name(&one), staging_name(&other));
    }

    #[test]
    fn names_are_cut_at_a_character_border() {
        let name = staging_name(&"é".repeat(31));
        assert!(name.len() <= 63);
        assert!(name.starts_with('é') && name.ends_with("_staging"));
    }

    #[test]
    fn each_run_keeps_its_own_previous_database() {
        assert_ne!(previous_name("store", "a"), previous_name("store", "b"));
    }
}
