//! How the schema gets from the archive's release to the target's: decided before anything is loaded, where that
//! can be known.

use super::discover::Store;
use crate::archive::Archive;
use crate::error::Result;
use crate::profile::Profile;
use crate::schema::{self, Goal, History, MigrationSet, UpgradePlan};
use crate::sql::{StandardStrings, split_statements};
use crate::target::session::Session;

/// How the schema gets from the archive's release to the target's.
#[derive(Debug)]
pub(super) enum Upgrade {
    /// The archive holds no store that is known, so there is nothing to upgrade: taken if the target is empty or
    /// has the same schema.
    NotAStore,
    /// The history is unknown: taken as it is, if the target is empty or has the same schema.
    AsItIs { history: String },
    /// By these migrations.
    Planned { plan: UpgradePlan },
    /// Known only when the stream has been read.
    Later { goal: Goal },
}

/// Looks where the archive and the target are, and plans.
pub(super) async fn find(
    inside: &mut Session,
    archive: &Archive,
    store: Option<&Store<'_>>,
    migrations: Option<&MigrationSet>,
) -> Result<Upgrade> {
    let Some(store) = store else { return Ok(Upgrade::NotAStore) };
    let goal = goal(inside, &store.profile).await?;
    if archive.is_stream() {
        return Ok(Upgrade::Later { goal });
    }
    decide(store.history(archive)?, goal, &store.profile, migrations)
}

/// Where the upgrade ends: at the target's release, or at the newest if the target has none. A migration that
/// the target did not finish does not count: the restore replaces what it left.
async fn goal(inside: &mut Session, profile: &Profile) -> Result<Goal> {
    let newest = schema::newest_finished(inside.conn(), profile).await?;
    Ok(newest.map_or(Goal::Newest, Goal::Version))
}

/// How a store with this history gets to the goal.
pub(super) fn decide(
    history: History,
    goal: Goal,
    profile: &Profile,
    migrations: Option<&MigrationSet>,
) -> Result<Upgrade> {
    match (&history, migrations) {
        // There is a store, so its migrations are not those that an empty history calls for.
        (History::Known(applied), _) if applied.is_empty() => {
            Ok(Upgrade::AsItIs { history: " (its migration history is empty)".to_owned() })
        }
        (History::Known(_), Some(set)) => {
            let plan = UpgradePlan::new(profile, set, &history, goal)?;
            // Now, not after everything has been loaded.
            schema::check(&plan, split_migration)?;
            Ok(Upgrade::Planned { plan })
        }
        (History::Known(applied), None) => Ok(Upgrade::AsItIs {
            history: format!(" ({} migrations of a profile without a set)", applied.len()),
        }),
        (History::None, _) => Ok(Upgrade::AsItIs { history: String::new() }),
        (History::Unknown(unknown), _) => Ok(Upgrade::AsItIs { history: format!(" ({unknown})") }),
    }
}

/// How migrations are split into statements.
pub(super) fn split_migration(sql: &str) -> std::result::Result<Vec<&str>, String> {
    split_statements(sql, StandardStrings::On).map_err(|error| error.to_string())
}
