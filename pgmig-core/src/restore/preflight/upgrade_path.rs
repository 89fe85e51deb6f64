//! How the schema gets from the archive's release to the target's: decided before anything is loaded, where that
//! can be known.

use crate::archive::Archive;
use crate::backup::store::{Store, foreign_history};
use crate::error::Result;
use crate::migrations::{
    self, ForeignHistory, Goal, History, MigrationFile, MigrationSet, UnknownHistory, UpgradePlan,
};
use crate::profile::{Profile, Release};
use crate::progress::{Notice, NoticeCode};
use crate::restore::options::{RestoreOptions, SchemaSource};
use crate::restore::refusal::{Refusal, Remedy};
use crate::server::session::Session;
use crate::sql::{StandardStrings, split_statements};
use std::fmt;

/// How the schema gets from the archive's release to the target's.
#[derive(Debug)]
pub(crate) enum Upgrade {
    /// The archive holds no store that is known, so there is nothing to upgrade: taken if the target is empty or
    /// has the same schema.
    NotAStore,
    /// There is no way to upgrade it: taken as it is, if the target is empty or has the same schema.
    AsItIs { obstacle: Obstacle },
    /// By these migrations.
    Planned { plan: UpgradePlan },
    /// Known only when the stream has been read. `own` is the target's history of another tool.
    Later { goal: Goal, own: Option<ForeignHistory> },
    /// None is wanted: the schema stays as it is.
    NotWanted,
}

/// Why a store cannot be upgraded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The archive holds no history that pgmig knows.
    NoStore,
    /// There is no migration history, or not even a table.
    NoHistory,
    /// There is a migration history, with no row.
    EmptyHistory,
    /// There are no migrations for its profile.
    NoMigrations { applied: usize },
    /// Its migration history is another tool's.
    Foreign(ForeignHistory),
}

impl Obstacle {
    /// The remedy, other than loading the rows into the target's own schema.
    pub(crate) fn remedy(&self) -> Remedy {
        match self {
            Self::NoStore => Remedy::Profile,
            Self::NoMigrations { .. } => Remedy::Migrations,
            Self::NoHistory | Self::EmptyHistory => Remedy::SqlxHistory,
            Self::Foreign(_) => Remedy::OwnTool,
        }
    }

    /// The known facts of the history, in brackets after a blank; or nothing.
    pub(crate) fn in_brackets(&self) -> String {
        match self {
            Self::NoStore | Self::NoHistory => String::new(),
            other => format!(" ({other})"),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStore => f.write_str("it holds no store that is known"),
            Self::NoHistory => f.write_str("it has no migration history"),
            Self::EmptyHistory => f.write_str("its migration history is empty"),
            Self::NoMigrations { applied } => {
                write!(f, "its history has {applied} migrations, and there are none for its profile")
            }
            Self::Foreign(history) => write!(f, "its migration history is {history}"),
        }
    }
}

/// Looks where the archive and the target are, and plans. A release that is asked for goes before the target's own.
pub(crate) async fn find(
    inside: &mut Session,
    archive: &Archive,
    store: Option<&Store<'_>>,
    migrations: Option<&MigrationSet>,
    options: &RestoreOptions,
    notices: &mut Vec<Notice>,
) -> Result<Upgrade> {
    if matches!(options.schema, SchemaSource::Archive | SchemaSource::Target) {
        notices.extend(not_used(migrations));
        return Ok(Upgrade::NotWanted);
    }
    let to_release = options.to_release;
    let Some(store) = store else {
        require(options.schema, &Obstacle::NoStore)?;
        if !archive.is_stream() {
            let own = migrations::foreign_history(inside.conn()).await?;
            notices.extend(other_version(&foreign_history(archive)?, &own));
        }
        return as_it_is(Upgrade::NotAStore, to_release, &Obstacle::NoStore);
    };
    let goal = goal(inside, &store.profile, to_release, notices).await?;
    notices.extend(migrations.filter(|_| goal == Goal::Newest).and_then(|set| later(set, &store.profile)));
    let own = migrations::foreign_history(inside.conn()).await?;
    if !archive.is_stream() {
        let history = store.history(archive)?;
        let upgrade = decide(history, goal, &store.profile, migrations)?;
        if let Upgrade::AsItIs { obstacle } = &upgrade {
            require(options.schema, obstacle)?;
            notices.extend(warnings(obstacle, migrations, Some(&own)));
        }
        return Ok(upgrade);
    }
    if let Some(set) = migrations {
        // A goal that cannot be is found out before everything has been loaded.
        UpgradePlan::new(&store.profile, set, &History::None, goal)?;
    }
    Ok(Upgrade::Later { goal, own: Some(own) })
}

/// Where the upgrade ends: at the release that is asked for, or at the target's, or at the newest if the target has
/// none. A migration that the target did not finish does not count: the restore replaces what it left.
async fn goal(
    inside: &mut Session,
    profile: &Profile,
    to_release: Option<Release>,
    notices: &mut Vec<Notice>,
) -> Result<Goal> {
    let own = migrations::newest_finished(inside.conn(), profile).await?;
    let Some(release) = to_release else { return Ok(own.map_or(Goal::Newest, Goal::Version)) };
    let releases = profile.releases();
    if let (Some(own), Some(version)) = (own, releases.version_of(release))
        && own != version
    {
        let (own, asked_for) = (releases.describe(own), releases.describe(version));
        let text =
            format!("the target has {own} now and will have {asked_for}: is that what its product expects?");
        notices.push(Notice::warning(NoticeCode::ReleaseDiffers, text));
    }
    Ok(Goal::Release(release))
}

/// How a store with this history gets to the goal.
pub(crate) fn decide(
    history: History,
    goal: Goal,
    profile: &Profile,
    migrations: Option<&MigrationSet>,
) -> Result<Upgrade> {
    let to_release = match goal {
        Goal::Release(release) => Some(release),
        Goal::Newest | Goal::Version(_) => None,
    };
    let obstacle = match (history, migrations) {
        // There is a store, so its migrations are not those that an empty history calls for.
        (History::Known(applied), _) if applied.is_empty() => Obstacle::EmptyHistory,
        (history @ History::Known(_), Some(set)) => {
            let plan = UpgradePlan::new(profile, set, &history, goal)?;
            // Now, not after everything has been loaded.
            migrations::check(&plan, split_migration)?;
            return Ok(Upgrade::Planned { plan });
        }
        (History::Known(applied), None) => Obstacle::NoMigrations { applied: applied.len() },
        (History::Unknown(ForeignHistory { tool: UnknownHistory::Missing, .. }) | History::None, _) => {
            Obstacle::NoHistory
        }
        (History::Unknown(foreign), _) => Obstacle::Foreign(foreign),
    };
    as_it_is(Upgrade::AsItIs { obstacle: obstacle.clone() }, to_release, &obstacle)
}

/// What an operator must know of a store that is taken as it is. `own` is the target's history of another tool.
pub(crate) fn warnings(
    obstacle: &Obstacle,
    migrations: Option<&MigrationSet>,
    own: Option<&ForeignHistory>,
) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut warn = |code, text: String| notices.push(Notice::warning(code, text));
    if let Some(set) = migrations.filter(|set| !set.is_builtin()) {
        warn(
            NoticeCode::MigrationsNotUsed,
            format!("the migrations in {} are not applied to the backup's schema: {obstacle}", set.origin()),
        );
    }
    let Obstacle::Foreign(foreign) = obstacle else { return notices };
    if foreign.is_dirty {
        warn(
            NoticeCode::HistoryIsDirty,
            format!(
                "the migration history of the backed up store is {foreign}: it is restored as it is; repair it with that \
             tool, there or here"
            ),
        );
    }
    notices.extend(own.and_then(|own| other_version(foreign, own)));
    notices
}

/// A warning that the target's own tool finds another version than it has left.
fn other_version(backup: &ForeignHistory, own: &ForeignHistory) -> Option<Notice> {
    if backup.tool != own.tool || own.version.is_none() || backup.version == own.version {
        return None;
    }
    let text = format!(
        "the target's migration history is {own}; the backup's, which replaces it, is {backup}: is that what the target's \
         product expects?"
    );
    Some(Notice::warning(NoticeCode::HistoryDiffers, text))
}

/// A notice of migrations that an operator has given and no upgrade asks for.
fn not_used(migrations: Option<&MigrationSet>) -> Option<Notice> {
    let set = migrations.filter(|set| !set.is_builtin())?;
    let text = format!(
        "the migrations in {} are not used: SchemaSource::Archive and SchemaSource::Target make no upgrade",
        set.origin()
    );
    Some(Notice::note(NoticeCode::MigrationsNotUsed, text))
}

/// A notice of migrations that no release has.
fn later(set: &MigrationSet, profile: &Profile) -> Option<Notice> {
    let (release, version) = profile.releases().newest()?;
    let later = set.files().filter(|file| file.version() > version).map(MigrationFile::name);
    let later: Vec<&str> = later.collect();
    let text = format!(
        "not applied, since releases.yaml ends with release {release}, version {version}: {}",
        later.join(", ")
    );
    (!later.is_empty()).then_some(Notice::note(NoticeCode::LaterMigrations, text))
}

/// Refuses to leave the schema unchanged if an upgrade was requested.
pub(crate) fn require(schema: SchemaSource, obstacle: &Obstacle) -> Result<(), Refusal> {
    if schema != SchemaSource::Migrate {
        return Ok(());
    }
    Err(Refusal::NotMigrated { why: obstacle.to_string(), remedy: obstacle.remedy() })
}

/// A schema that cannot be upgraded cannot be brought to a release that was asked for either.
fn as_it_is(upgrade: Upgrade, to_release: Option<Release>, obstacle: &Obstacle) -> Result<Upgrade> {
    match to_release {
        Some(release) => Err(Refusal::NoUpgrade { release, reason: obstacle.to_string() }.into()),
        None => Ok(upgrade),
    }
}

/// How migrations are split into statements.
pub(crate) fn split_migration(sql: &str) -> std::result::Result<Vec<&str>, String> {
    split_statements(sql, StandardStrings::On).map_err(|error| error.to_string())
}
