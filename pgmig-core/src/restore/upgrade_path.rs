//! How the schema gets from the archive's release to the target's: decided before anything is loaded, where that
//! can be known.

use super::discover::Store;
use super::error::Refusal;
use super::options::{RestoreOptions, SchemaMode};
use crate::archive::Archive;
use crate::error::Result;
use crate::profile::{Profile, Release};
use crate::progress::{Notice, Severity};
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
    /// None is wanted: the schema stays as it is.
    NotWanted,
}

/// Looks where the archive and the target are, and plans. A release that is asked for goes before the target's own.
pub(super) async fn find(
    inside: &mut Session,
    archive: &Archive,
    store: Option<&Store<'_>>,
    migrations: Option<&MigrationSet>,
    options: &RestoreOptions,
    notices: &mut Vec<Notice>,
) -> Result<Upgrade> {
    if matches!(options.schema, SchemaMode::Archive | SchemaMode::Target) {
        return Ok(Upgrade::NotWanted);
    }
    let to_release = options.to_release;
    let Some(store) = store else {
        let why = "it holds no store";
        require(options.schema, why)?;
        return as_it_is(Upgrade::NotAStore, to_release, why);
    };
    let goal = goal(inside, &store.profile, to_release, notices).await?;
    if !archive.is_stream() {
        let history = store.history(archive)?;
        notices.extend(half_way(&history));
        let upgrade = decide(history, goal, &store.profile, migrations)?;
        if let Upgrade::AsItIs { history } = &upgrade {
            require(options.schema, history)?;
        }
        return Ok(upgrade);
    }
    if let Some(set) = migrations {
        // A goal that cannot be is found out before everything has been loaded.
        UpgradePlan::new(&store.profile, set, &History::None, goal)?;
    }
    Ok(Upgrade::Later { goal })
}

/// Where the upgrade ends: at the release that is asked for, or at the target's, or at the newest if the target has
/// none. A migration that the target did not finish does not count: the restore replaces what it left.
async fn goal(
    inside: &mut Session,
    profile: &Profile,
    to_release: Option<Release>,
    notices: &mut Vec<Notice>,
) -> Result<Goal> {
    let own = schema::newest_finished(inside.conn(), profile).await?;
    let Some(release) = to_release else { return Ok(own.map_or(Goal::Newest, Goal::Version)) };
    let releases = profile.releases();
    if let (Some(own), Some(version)) = (own, releases.version_of(release))
        && own != version
    {
        let (own, asked_for) = (releases.describe(own), releases.describe(version));
        let text =
            format!("the target has {own} now and will have {asked_for}: is that what its product expects?");
        notices.push(Notice { severity: Severity::Warning, text });
    }
    Ok(Goal::Release(release))
}

/// How a store with this history gets to the goal.
pub(super) fn decide(
    history: History,
    goal: Goal,
    profile: &Profile,
    migrations: Option<&MigrationSet>,
) -> Result<Upgrade> {
    let to_release = match goal {
        Goal::Release(release) => Some(release),
        Goal::Newest | Goal::Version(_) => None,
    };
    let (why, history) = match (&history, migrations) {
        // There is a store, so its migrations are not those that an empty history calls for.
        (History::Known(applied), _) if applied.is_empty() => {
            ("its migration history is empty".to_owned(), " (its migration history is empty)".to_owned())
        }
        (History::Known(_), Some(set)) => {
            let plan = UpgradePlan::new(profile, set, &history, goal)?;
            // Now, not after everything has been loaded.
            schema::check(&plan, split_migration)?;
            return Ok(Upgrade::Planned { plan });
        }
        (History::Known(applied), None) => (
            "there are no migrations for its profile".to_owned(),
            format!(" ({} migrations of a profile without a set)", applied.len()),
        ),
        (History::None, _) => ("it has no migration history".to_owned(), String::new()),
        (History::Unknown(unknown), _) => (unknown.to_string(), format!(" ({unknown})")),
    };
    as_it_is(Upgrade::AsItIs { history }, to_release, &why)
}

/// A warning of a migration that another tool left half way. sqlx's own are refused.
pub(super) fn half_way(history: &History) -> Option<Notice> {
    let History::Unknown(foreign) = history else { return None };
    let text = format!(
        "{foreign}, in the backed up store: it is restored as it is; repair it with that tool, there or here"
    );
    foreign.is_dirty.then_some(Notice { severity: Severity::Warning, text })
}

/// Refuses to leave the schema as it is where an upgrade is asked for.
pub(super) fn require(schema: SchemaMode, why: &str) -> Result<(), Refusal> {
    if schema == SchemaMode::Migrate { Err(Refusal::NotMigrated(why.trim().to_owned())) } else { Ok(()) }
}

/// A schema that cannot be upgraded cannot be brought to a release that was asked for either.
fn as_it_is(upgrade: Upgrade, to_release: Option<Release>, reason: &str) -> Result<Upgrade> {
    match to_release {
        Some(release) => Err(Refusal::NoUpgrade { release, reason: reason.to_owned() }.into()),
        None => Ok(upgrade),
    }
}

/// How migrations are split into statements.
pub(super) fn split_migration(sql: &str) -> std::result::Result<Vec<&str>, String> {
    split_statements(sql, StandardStrings::On).map_err(|error| error.to_string())
}
