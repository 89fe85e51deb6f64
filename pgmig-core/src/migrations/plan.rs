//! Decides which migrations bring a store from its version to the goal. Pure: no database, no files.

use super::error::SchemaError;
use super::history::{AppliedMigration, History};
use super::set::{MigrationFile, MigrationSet};
use crate::profile::{Profile, Release};

/// The goal of an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Goal {
    /// The newest release of `releases.yaml`.
    Newest,
    /// The version of this release.
    Release(Release),
    /// This version, from the target's own history.
    Version(i64),
}

/// The migrations to apply, in order; none if the store is already at the goal.
#[derive(Debug, Clone)]
pub struct UpgradePlan {
    from: Option<i64>,
    to: i64,
    migrations: Vec<MigrationFile>,
}

impl UpgradePlan {
    /// Plans an upgrade of a store with this history.
    ///
    /// # Errors
    ///
    /// The history is not sqlx's, has a gap, a changed checksum or a migration that is not in the set. The store is
    /// newer than the goal. The release is not known, or has no migration in the set.
    ///
    /// ```
    /// # use pgmig_core::profile::Profile;
    /// # use pgmig_core::migrations::{Goal, History, MigrationSet, UpgradePlan};
    /// let (profile, set) = (Profile::builtin("assistant")?, MigrationSet::builtin("assistant")?);
    /// let goal = Goal::Release("4.5.0".parse()?);
    /// let plan = UpgradePlan::new(&profile, &set, &History::None, goal)?;
    /// assert_eq!((plan.from(), plan.to(), plan.migrations().len()), (None, 4, 4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(
        profile: &Profile,
        set: &MigrationSet,
        history: &History,
        goal: Goal,
    ) -> Result<Self, SchemaError> {
        let to = version_of(profile, set, goal)?;
        let applied = match history {
            History::None => &[],
            History::Known(applied) => applied.as_slice(),
            History::Unknown(foreign) => return Err(SchemaError::UnknownHistory(foreign.clone())),
        };
        check_applied(set, applied)?;
        let from = applied.last().map(|migration| migration.version);
        if let Some(from) = from.filter(|from| *from > to) {
            let describe = |version| profile.releases().describe(version);
            return Err(SchemaError::NewerThanTarget { backup: describe(from), target: describe(to) });
        }
        let missing = |file: &&MigrationFile| from.is_none_or(|from| file.version() > from);
        let migrations = set.files().filter(missing).filter(|file| file.version() <= to).cloned().collect();
        Ok(Self { from, to, migrations })
    }

    /// The store's version; `None` for an empty database.
    pub fn from(&self) -> Option<i64> {
        self.from
    }

    /// The version after the upgrade.
    pub fn to(&self) -> i64 {
        self.to
    }

    /// The migrations to apply, in order.
    pub fn migrations(&self) -> &[MigrationFile] {
        &self.migrations
    }

    /// The rest of the plan for a store in which the migrations up to this version have been applied.
    pub(crate) fn after(&self, applied: i64) -> Self {
        let rest = self.migrations.iter().filter(|file| file.version() > applied).cloned().collect();
        Self { migrations: rest, ..self.clone() }
    }

    /// Whether there are no migrations to apply.
    pub fn is_empty(&self) -> bool {
        self.migrations.is_empty()
    }
}

fn version_of(profile: &Profile, set: &MigrationSet, goal: Goal) -> Result<i64, SchemaError> {
    let releases = profile.releases();
    let (release, version) = match goal {
        Goal::Version(version) if set.file(version).is_some() => return Ok(version),
        Goal::Version(version) => {
            return Err(SchemaError::UnknownVersion {
                version,
                description: "of the target".to_owned(),
                origin: set.origin().to_owned(),
                advice: "use a newer build, or give the target's migrations (RestoreOptions::migrations)",
            });
        }
        // Without any named release, the newest version is that of the last migration.
        Goal::Newest => match releases.newest() {
            Some(newest) => newest,
            None => return Ok(set.newest()),
        },
        Goal::Release(release) => match releases.version_of(release) {
            Some(version) => (release, version),
            None => {
                let known: Vec<_> = releases.iter().map(|(release, _)| release.to_string()).collect();
                return Err(SchemaError::UnknownRelease { release, known: known.join(", ") });
            }
        },
    };
    match set.file(version) {
        Some(_) => Ok(version),
        None => {
            Err(SchemaError::ReleaseWithoutMigration { release, version, origin: set.origin().to_owned() })
        }
    }
}

/// Checks that the history consists of the first migrations of the set, each unchanged.
fn check_applied(set: &MigrationSet, applied: &[AppliedMigration]) -> Result<(), SchemaError> {
    let mut files = set.files();
    for migration in applied {
        let &AppliedMigration { version, ref description, .. } = migration;
        let (description, origin) = (description.clone(), set.origin().to_owned());
        let Some(own) = set.file(version) else {
            let advice = if version > set.newest() {
                "the backup is of a newer release than this build knows: use a newer build"
            } else {
                "give the migrations that the store was made with"
            };
            return Err(SchemaError::UnknownVersion { version, description, origin, advice });
        };
        // All earlier migrations of the set must have been applied before this version.
        if let Some(skipped) = files.next().filter(|file| file.version() != version) {
            return Err(SchemaError::HistoryGap {
                version: skipped.version(),
                description: skipped.description().to_owned(),
                later: version,
            });
        }
        if own.checksum() != migration.checksum {
            return Err(SchemaError::ChecksumChanged { version, description, origin });
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::migrations::{ForeignHistory, UnknownHistory};
    use crate::outcome::ErrorKind;

    fn store() -> (Profile, MigrationSet) {
        (Profile::builtin("assistant").unwrap(), MigrationSet::builtin("assistant").unwrap())
    }

    fn applied(set: &MigrationSet, versions: impl IntoIterator<Item = i64>) -> Vec<AppliedMigration> {
        let row = |version| {
            let file = set.file(version);
            AppliedMigration {
                version,
                description: file.map_or("later", |file| file.description()).to_owned(),
                success: true,
                checksum: file.map_or(&b"?"[..], |file| file.checksum()).to_vec(),
            }
        };
        versions.into_iter().map(row).collect()
    }

    fn plan(history: Vec<AppliedMigration>, goal: Goal) -> Result<UpgradePlan, SchemaError> {
        let (profile, set) = store();
        UpgradePlan::new(&profile, &set, &History::from_applied(history).unwrap(), goal)
    }

    fn release(text: &str) -> Goal {
        Goal::Release(text.parse().unwrap())
    }

    fn refusal(result: Result<UpgradePlan, SchemaError>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        error.to_string()
    }

    #[test]
    fn every_release_can_become_every_later_one() {
        let (profile, set) = store();
        let releases: Vec<_> = profile.releases().iter().collect();
        for (index, (_, from)) in releases.iter().enumerate() {
            for (to_release, to) in &releases[index..] {
                let plan = plan(applied(&set, 1..=*from), Goal::Release(*to_release)).unwrap();
                let versions: Vec<_> = plan.migrations().iter().map(MigrationFile::version).collect();
                assert_eq!(versions, (*from + 1..=*to).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_store_where_it_should_be_needs_nothing() {
        let (_, set) = store();
        let plan = plan(applied(&set, 1..=9), Goal::Version(9)).unwrap();
        assert!(plan.is_empty());
        assert_eq!((plan.from(), plan.to()), (Some(9), 9));
    }

    #[test]
    fn a_newer_store_is_refused_with_both_releases() {
        let (_, set) = store();
        let message = refusal(plan(applied(&set, 1..=9), release("4.5.0")));
        assert!(message.contains("version 9 (releases 4.8.0 to 4.8.8)"), "{message}");
        assert!(message.contains("newer than version 4 (releases 4.5.0 to 4.5.3)"), "{message}");
        let message = refusal(plan(applied(&set, 1..=set.newest() + 1), Goal::Newest));
        assert!(message.contains("use a newer build"), "{message}");
    }

    #[test]
    fn a_gap_is_refused() {
        let (_, set) = store();
        let message = refusal(plan(applied(&set, [1, 2, 4]), Goal::Newest));
        assert!(message.contains("migration 3 (environments get a table) was never applied"), "{message}");
    }

    #[test]
    fn a_changed_checksum_is_refused() {
        let (_, set) = store();
        let mut history = applied(&set, 1..=4);
        history[2].checksum[0] ^= 1;
        assert!(refusal(plan(history, Goal::Newest)).contains("migration 3"));
    }

    #[test]
    fn unknown_goals_and_histories_are_refused() {
        let (profile, set) = store();
        assert!(
            refusal(plan(vec![], release("9.9.9"))).contains("unknown release 9.9.9; known are: 1.4.0, ")
        );
        assert!(refusal(plan(vec![], Goal::Version(99))).contains("migration 99"));
        let unknown =
            History::Unknown(ForeignHistory { tool: UnknownHistory::Flyway, version: None, is_dirty: false });
        let message = refusal(UpgradePlan::new(&profile, &set, &unknown, Goal::Newest));
        assert!(message.contains("Flyway"), "{message}");
    }

    #[test]
    fn an_empty_database_gets_everything() {
        let (profile, set) = store();
        let plan = UpgradePlan::new(&profile, &set, &History::None, Goal::Newest).unwrap();
        assert_eq!((plan.from(), plan.migrations().len()), (None, set.files().count()));
    }
}
