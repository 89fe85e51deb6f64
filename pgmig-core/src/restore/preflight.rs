//! What has to be known before anything is changed, and what is refused.

use super::backup::Backup;
use super::discover::Store;
use super::error::Refusal;
use super::facts;
use super::in_place::{self, Clearing};
use super::options::{RestoreOptions, SchemaMode, Source};
use super::plan::{Facts, Plan};
use super::report::TargetContents;
use super::resolution::{self, LateInstances};
use super::restore_plan::Strategy;
use super::strategy::{Decision, Obstacles};
use super::target_schema::{self, TargetSchema};
use super::tenants::{refuse_over_store, target_contents};
use super::transcode::transcode;
use super::upgrade_path::{self, Obstacle, Upgrade};
use crate::archive::{Archive, Entry, Tail};
use crate::error::Result;
use crate::instance::Resolution;
use crate::profile::Profile;
use crate::progress::{Notice, Severity};
use crate::schema::MigrationSet;
use crate::sql::{quote_ident, quote_literal};
use crate::target::catalog::{self, DatabaseFacts, RoleFacts};
use crate::target::contents::{self, Extras};
use crate::target::session::Session;
use crate::target::{TargetConfig, TargetError};
use std::collections::HashSet;

/// Everything that is known before the restore.
pub(super) struct Preflight {
    pub(super) source: Source,
    pub(super) archive: Archive,
    pub(super) plan: Plan,
    pub(super) facts: Facts,
    pub(super) control: Session,
    pub(super) maintenance: String,
    pub(super) target: DatabaseFacts,
    pub(super) decision: Decision,
    pub(super) inside: Inside,
}

/// What was found in the target database and in the archive's data.
pub(super) struct Inside {
    pub(super) contents: TargetContents,
    pub(super) extras: Extras,
    pub(super) profile: Option<Profile>,
    pub(super) migrations: Option<MigrationSet>,
    pub(super) upgrade: Upgrade,
    pub(super) resolution: Option<Resolution>,
    pub(super) late: Option<LateInstances>,
    /// The target's own schema, where it is the authority.
    pub(super) target_schema: Option<TargetSchema>,
    pub(super) notices: Vec<Notice>,
}

/// Connects to the maintenance database: `postgres`, else `template1`. Where `su_username` may connect to neither, to
/// the target itself, which then cannot be renamed.
pub(super) async fn open_control(config: &TargetConfig, application: &str) -> Result<(Session, String)> {
    for database in MAINTENANCE.into_iter().filter(|database| *database != config.database()) {
        match Session::open(config, database, application).await {
            Err(error) if is_closed(&error) => {}
            session => return Ok((session?, database.to_owned())),
        }
    }
    Ok((Session::open(config, config.database(), application).await?, config.database().to_owned()))
}

/// Connects to the target, to look into it: as `username` where `su_username` does not inherit its rights.
pub(super) async fn open_inside(config: &TargetConfig, application: &str) -> Result<Session> {
    let mut session = Session::open(config, config.database(), application).await?;
    // Compiling the queries of the catalogs takes longer than running them.
    session.execute("SET jit = off", "set up the session").await?;
    let owner = config.username();
    let inherits = format!("SELECT pg_catalog.pg_has_role(session_user, {}, 'USAGE')", quote_literal(owner));
    // From 16 on, membership alone does not allow SET ROLE.
    let right = if session.server_version() >= 160_000 { "SET" } else { "MEMBER" };
    let becomes = format!("SELECT pg_catalog.pg_has_role(session_user, {}, '{right}')", quote_literal(owner));
    let doing = "read whether su_username has the rights of username";
    if !session.holds(&inherits, doing).await? && session.holds(&becomes, doing).await? {
        session.become_role(Some(owner)).await?;
    }
    Ok(session)
}

/// Databases to be connected to while another one is replaced, the best first.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// Whether another database may be open to us where this one is not.
fn is_closed(error: &TargetError) -> bool {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    matches!(error, TargetError::UnknownDatabase { .. } | TargetError::NotAdmitted { .. })
        || error.sqlstate() == Some(INSUFFICIENT_PRIVILEGE)
}

/// Finds out everything, in the order in which it is cheapest to be refused.
pub(super) async fn run(
    backup: Backup,
    config: &TargetConfig,
    options: &RestoreOptions,
    application: &str,
) -> Result<Preflight> {
    let source = backup.source().clone();
    let mut archive = backup.into_archive();
    let (mut control, maintenance) = open_control(config, application).await?;
    let (target, roles, obstacles) = look_at_target(&mut control, config, &maintenance).await?;
    let decision = obstacles.decide(options, &target, &roles)?;
    if options.schema == SchemaMode::Target && !archive.has_all_entries() {
        return Err(Refusal::ScriptStream.into());
    }
    transcode(&mut archive, &mut control).await?;
    let mut facts = facts::ask(&mut control, config, &target, &roles).await?;
    let mut session = match open_inside(config, application).await {
        // It was there a moment ago: another restore has just renamed it.
        Err(crate::Error::Target(TargetError::UnknownDatabase { .. })) => {
            return Err(Refusal::Changed { database: target.name }.into());
        }
        session => session?,
    };
    let clearing = match decision.strategy {
        Strategy::InPlace => Some(Clearing::of(&mut session, config.username()).await?),
        Strategy::Swap => None,
    };
    if let Some(clearing) = &clearing {
        clearing.describe(&mut facts);
    }
    let mut plan = match options.schema {
        SchemaMode::Target => Plan::of_contents(&archive, &facts)?,
        _ => Plan::new(&archive, &facts)?,
    };
    let mut inside = look_inside(&mut session, config, &archive, options, &target).await?;
    if options.schema == SchemaMode::Target {
        let profile = inside.profile.as_ref().or(options.profile.as_ref());
        let found = target_schema::find(&mut session, &archive, &mut plan, profile, &facts).await?;
        inside.notices.extend(found.notices.iter().cloned());
        // What is kept is not erased.
        let in_target = profile.map(|profile| profile.clone().in_target());
        let erased = in_target.filter(|profile| !profile.keeps_instances());
        inside.contents = target_contents(&mut session, &target, erased.as_ref(), &found.kept).await?;
        inside.target_schema = Some(found);
    }
    refuse_other_schema(&mut session, &archive, &inside, config.username()).await?;
    inside.notices.extend(archive_notices(&mut archive, &facts));
    if let Some(clearing) = &clearing {
        // They are refused, or they stay.
        inside.extras.of_others.clear();
        in_place::preflight(&mut session, &archive, &plan, &inside, clearing).await?;
        inside.notices.extend(in_place::notices(clearing));
    }
    inside.notices.extend(control.trust().warning().map(Notice::warning));
    session.close().await;
    inside.notices.insert(0, decision.notice());
    Ok(Preflight { source, archive, plan, facts, control, maintenance, target, decision, inside })
}

/// What replaces only a target of the same schema need not be loaded to see that it is another one.
async fn refuse_other_schema(
    session: &mut Session,
    archive: &Archive,
    inside: &Inside,
    username: &str,
) -> Result<()> {
    let obstacle = match &inside.upgrade {
        Upgrade::NotAStore => &Obstacle::NoStore,
        Upgrade::AsItIs { obstacle } => obstacle,
        _ => return Ok(()),
    };
    if inside.contents.is_empty() || !archive.has_all_entries() {
        return Ok(());
    }
    let differences = target_schema::certain_differences(session, archive, username).await?;
    if differences.is_empty() {
        return Ok(());
    }
    let (history, advice) = (obstacle.in_brackets(), obstacle.advice());
    Err(Refusal::UnknownHistory { history, advice, differences, is_foreseen: true }.into())
}

async fn look_at_target(
    control: &mut Session,
    config: &TargetConfig,
    maintenance: &str,
) -> Result<(DatabaseFacts, RoleFacts, Obstacles)> {
    let name = config.database();
    let Some(target) = catalog::database_facts(control, name).await? else {
        return Err(
            TargetError::UnknownDatabase { server: config.server(), database: name.to_owned() }.into()
        );
    };
    let roles = catalog::role_facts(control, config.username(), &target.owner).await?;
    if !roles.owner_exists {
        let (server, user) = (config.server(), config.username().to_owned());
        return Err(TargetError::UnknownOwner { server, user }.into());
    }
    let obstacles = Obstacles::of(control, maintenance, config, &target, &roles).await?;
    Ok((target, roles, obstacles))
}

async fn look_inside(
    inside: &mut Session,
    config: &TargetConfig,
    archive: &Archive,
    options: &RestoreOptions,
    target: &DatabaseFacts,
) -> Result<Inside> {
    let store = Store::recognise(archive, options.profile.as_ref())?;
    let mut notices = Vec::new();
    if let Some(profile) = options.profile.as_ref().filter(|_| archive.has_all_entries()) {
        if store.is_none() && !(options.schema == SchemaMode::Target && profile.keeps_instances()) {
            return Err(Refusal::no_instances(profile).into());
        }
        notices.extend(no_such_schema(archive, profile));
    }
    let (resolution, late) =
        resolution::of_backup(archive, store.as_ref(), &options.instances, &mut notices)?;
    let migrations = match (&options.migrations, &store) {
        (Some(set), _) => Some(set.clone()),
        (None, Some(store)) => MigrationSet::builtin(store.profile.name()).ok(),
        (None, None) => None,
    };
    let profile_for_target = match (&store, &options.profile) {
        (Some(store), _) => Some(store.profile.clone()),
        (None, Some(profile)) => Some(profile.clone()),
        (None, None) => Some(Profile::builtin("assistant")?),
    };
    let contents = target_contents(inside, target, profile_for_target.as_ref(), &HashSet::new()).await?;
    if let (None, Some(profile)) = (&store, &profile_for_target)
        && !(options.schema == SchemaMode::Target && profile.keeps_instances())
    {
        refuse_over_store(inside, profile, &contents).await?;
    }
    let set = migrations.as_ref();
    let upgrade = upgrade_path::find(inside, archive, store.as_ref(), set, options, &mut notices).await?;
    Ok(Inside {
        extras: contents::extras(inside, config.username()).await?,
        profile: store.map(|store| store.profile),
        contents,
        migrations,
        upgrade,
        resolution,
        late,
        target_schema: None,
        notices,
    })
}

/// A warning of a profile whose schema the archive does not have.
fn no_such_schema(archive: &Archive, profile: &Profile) -> Option<Notice> {
    let is_there = |entry: &Entry| {
        let schema = entry.namespace.as_ref().and_then(|schema| schema.to_str().ok());
        schema == Some(profile.schema())
    };
    let text = format!(
        "the archive has nothing in schema {}, where profile {} says that the migration history is",
        quote_ident(profile.schema()),
        profile.name()
    );
    let is_missing = !archive.entries().iter().any(is_there);
    is_missing.then_some(Notice { severity: Severity::Warning, text })
}

fn archive_notices(archive: &mut Archive, facts: &Facts) -> Vec<Notice> {
    let mut notices = Vec::new();
    let made_by = archive.header().server_version.as_ref().map(ToString::to_string).unwrap_or_default();
    let major: i32 = made_by.split(['.', ' ']).next().and_then(|major| major.parse().ok()).unwrap_or(0);
    if major > facts.server_version / 10_000 {
        let text = format!(
            "the backup is from PostgreSQL {major}, newer than this server: what it does not know yet will fail"
        );
        notices.push(Notice { severity: Severity::Notice, text });
    }
    if archive.tail() == Some(Tail::Unknown) {
        let text =
            "something follows the archive's last block, which pg_dump does not write; it was passed over";
        notices.push(Notice { severity: Severity::Warning, text: text.to_owned() });
    }
    notices
}
