//! The checks before a restore: finds the facts that a restore needs, and refuses restores that cannot succeed.

mod connect;
pub(crate) mod extensions;
mod facts;
pub(crate) mod fingerprint;
mod foreign_options;
mod found;
pub(crate) mod in_place;
pub(crate) mod instances;
pub(crate) mod lock_table;
mod open_files;
mod owner_columns;
mod privileges;
pub(crate) mod probe;
mod rights;
pub(crate) mod selected;
pub(crate) mod strategy;
mod transcode;
pub(crate) mod upgrade_path;

use crate::archive::{Archive, Entry, Tail};
use crate::backup::Backup;
use crate::backup::store::Store;
use crate::error::Result;
use crate::migrations::MigrationSet;
use crate::profile::Profile;
use crate::progress::{Notice, NoticeCode};
use crate::restore::archive_login::{ArchiveLogin, Choice};
use crate::restore::catalogs::instances::{refuse_over_store, target_contents};
use crate::restore::clearing::Clearing;
use crate::restore::options::{RestoreOptions, SchemaSource, Strategy};
use crate::restore::plan::{Facts, Plan};
use crate::restore::preflight::selected::Selected;
use crate::restore::preflight::strategy::Obstacles;
use crate::restore::preflight::transcode::{raw_into, transcode};
use crate::restore::preflight::upgrade_path::{Obstacle, Upgrade};
use crate::restore::privileges::target::TargetPrivileges;
use crate::restore::refusal::Refusal;
use crate::restore::target_schema;
use crate::server::catalog::{self, DatabaseFacts, RoleFacts};
use crate::server::contents;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::quote_ident;
use std::collections::HashSet;

pub(crate) use connect::{open_control, open_inside};
pub(crate) use facts::{owner_right, rename_rights};
pub(crate) use found::{Known, Preflight};

/// Makes all checks before a restore, those first that can refuse it cheaply.
pub(crate) async fn run(
    backup: &mut Backup,
    config: &TargetConfig,
    options: &RestoreOptions,
    (run_id, application): (&str, &str),
    login: &mut ArchiveLogin,
) -> Result<Preflight> {
    open_files::require(options)?;
    let (mut control, maintenance) = open_control(config, application).await?;
    let (target, roles, mut obstacles) = look_at_target(&mut control, config, &maintenance).await?;
    obstacles.swap.extend(extensions::obstacle_to_swap(&mut control, backup.archive(), &target).await?);
    obstacles.rehearse(&mut control, &target, options, roles.is_superuser).await?;
    let decision = obstacles.decide(options, &target, &roles)?;
    config.turn_event_triggers_off(roles.is_superuser, control.server_version());
    if options.schema == SchemaSource::Target && !backup.archive().has_all_entries() {
        return Err(Refusal::ScriptStream.into());
    }
    transcode(backup, &mut control).await?;
    let asked = backup.asked().cloned();
    let archive = backup.archive_mut();
    archive.show_all();
    let choice = Choice::new(config, &roles, options, run_id, application);
    login.choose(&mut control, &choice).await.map_err(|error| gone(error, &target.name))?;
    let mut facts = facts::ask(&mut control, config, &target, &roles, login.is_separate()).await?;
    let allowed = asked.as_ref().map(Profile::allow_extensions).unwrap_or_default();
    facts::restrict(&mut facts, login, options, allowed, decision.strategy);
    let session = open_inside(login.config(config), application).await;
    let mut session = session.map_err(|error| gone(error, &target.name))?;
    if !facts.owner_is_superuser && !facts.builds_as_superuser {
        facts.rights = rights::ask(&mut session, config.username(), decision.strategy).await?;
        if decision.strategy == Strategy::InPlace {
            facts.rights.refused_options =
                foreign_options::ask(&mut session, archive, config.username()).await?;
        }
    }
    let clearing = match decision.strategy {
        Strategy::InPlace => Some(Clearing::of(&mut session, config.username()).await?),
        Strategy::Swap => None,
    };
    if let Some(clearing) = &clearing {
        clearing.describe(&mut facts);
    }
    if options.schema != SchemaSource::Target {
        extensions::describe(&mut session, archive, &mut facts, clearing.as_ref()).await?;
    }
    let tenants = Store::recognise(archive, asked.as_ref())?.and_then(|store| store.tenants());
    let (plan, selected) = selected::plan(archive, &facts, options)?;
    selected::require_instances(archive, tenants, options)?;
    let looking = Looking { config, options, asked: asked.as_ref(), target: &target };
    let mut known = looking.inside(&mut session, archive, (plan, facts, selected)).await?;
    if options.schema == SchemaSource::Target {
        looking.target_schema(&mut session, archive, &mut known).await?;
    }
    privileges::of_target(&mut session, archive, &mut known, config.username(), decision.strategy).await?;
    refuse_other_schema(&mut session, archive, &known, config.username()).await?;
    known.notices.extend(archive_notices(archive, &known.facts));
    if let Some(clearing) = &clearing {
        // In place, extensions and objects of other roles either refuse the restore or stay.
        known.extras.of_others.clear();
        in_place::preflight(&mut session, archive, &known, clearing).await?;
        known.notices.extend(in_place::notices(clearing));
    }
    known.notices.extend(login_triggers(&mut session).await?);
    known
        .notices
        .extend(control.trust().warning().map(|text| Notice::warning(NoticeCode::ServerNotVerified, text)));
    if options.schema != SchemaSource::Target && archive.has_all_entries() {
        let Known { facts, plan, extras, .. } = &mut known;
        extensions::plan_extras(&mut session, archive, facts, plan, &extras.extensions).await?;
        let about_extensions = extensions::notices(archive, &known.facts, &known.extras.extensions);
        known.notices.extend(about_extensions);
    }
    known.notices.extend(raw_into(archive, &target.encoding));
    session.close().await;
    known.notices.insert(0, decision.notice());
    known.notices.extend(login.notice(config, roles.is_superuser));
    let login = std::mem::take(login);
    Ok(Preflight { control, maintenance, target, decision, login, known })
}

/// A notice of login triggers of the target that fire for our sessions, because the login may not turn them off.
async fn login_triggers(session: &mut Session) -> Result<Option<Notice>> {
    if session.server_version() < 170_000 {
        return Ok(None);
    }
    let sql = "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(evtname), ', ' ORDER BY evtname) \
               FROM pg_catalog.pg_event_trigger WHERE evtevent = 'login' AND evtenabled IN ('O', 'A') \
               AND pg_catalog.current_setting('event_triggers')::boolean";
    let names = session.optional(sql, "look for login triggers of the target").await?;
    Ok(names.map(|names| {
        Notice::warning(NoticeCode::LoginTriggersFire, format!(
            "login event triggers of the target fire for pgmig's sessions, too, as only a superuser can turn them off: {names}"
        ))
    }))
}

/// The error for a database that existed a moment ago: another restore has just renamed it.
fn gone(error: crate::Error, database: &str) -> crate::Error {
    match error {
        crate::Error::Target(TargetError::UnknownDatabase { .. }) => {
            Refusal::Changed { database: database.to_owned() }.into()
        }
        error => error,
    }
}

/// Refuses a backup that may replace only a target with the same schema, if their tables differ. This needs no rows.
async fn refuse_other_schema(
    session: &mut Session,
    archive: &Archive,
    known: &Known,
    username: &str,
) -> Result<()> {
    let obstacle = match &known.upgrade {
        Upgrade::NotAStore => &Obstacle::NoStore,
        Upgrade::AsItIs { obstacle } => obstacle,
        _ => return Ok(()),
    };
    if known.contents.is_empty() || !archive.has_all_entries() {
        return Ok(());
    }
    let differences = target_schema::certain_differences(session, archive, username).await?;
    if differences.is_empty() {
        return Ok(());
    }
    let (history, remedy) = (obstacle.in_brackets(), obstacle.remedy());
    Err(Refusal::UnknownHistory { history, remedy, differences, is_foreseen: true }.into())
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

/// The facts with which pgmig examines the target.
struct Looking<'a> {
    config: &'a TargetConfig,
    options: &'a RestoreOptions,
    /// The profile that the caller asked for.
    asked: Option<&'a Profile>,
    target: &'a DatabaseFacts,
}

impl Looking<'_> {
    /// Finds how the archive's rows fit into the target's own schema.
    async fn target_schema(&self, session: &mut Session, archive: &Archive, known: &mut Known) -> Result<()> {
        let profile = known.profile.as_ref().or(self.asked);
        let found = target_schema::find(session, archive, &mut known.plan, profile, &known.facts).await?;
        known.notices.extend(found.notices.iter().cloned());
        // The restore erases no instances if the table of instances keeps its rows.
        let in_target = profile.map(|profile| profile.clone().in_target());
        let erased = in_target.filter(|profile| !profile.keeps_instances());
        known.contents = target_contents(session, self.target, erased.as_ref(), &found.kept).await?;
        known.target_schema = Some(found);
        Ok(())
    }

    /// Examines the target, and what the archive's store means for it.
    async fn inside(
        &self,
        inside: &mut Session,
        archive: &Archive,
        (plan, facts, selected): (Plan, Facts, Selected),
    ) -> Result<Known> {
        let Self { config, options, asked, target } = *self;
        let store = Store::recognise(archive, asked)?;
        let mut notices = selected.notices.clone();
        if let Some(profile) = asked.filter(|_| archive.has_all_entries()) {
            if store.is_none() && !(options.schema == SchemaSource::Target && profile.keeps_instances()) {
                return Err(Refusal::no_instances(profile).into());
            }
            notices.extend(no_such_schema(archive, profile));
            notices.extend(owner_columns::missing(archive, profile)?);
        }
        let (resolution, late) =
            instances::of_backup(archive, store.as_ref(), &options.instances, &mut notices)?;
        let migrations = match (&options.migrations, &store) {
            (Some(set), _) => Some(set.clone()),
            (None, Some(store)) => MigrationSet::builtin(store.profile.name()).ok(),
            (None, None) => None,
        };
        let profile_for_target = match (&store, asked) {
            (Some(store), _) => Some(store.profile.clone()),
            (None, Some(profile)) => Some(profile.clone()),
            (None, None) => Some(Profile::builtin("assistant")?),
        };
        let contents = target_contents(inside, target, profile_for_target.as_ref(), &HashSet::new()).await?;
        if let (None, Some(profile)) = (&store, &profile_for_target)
            && !(options.schema == SchemaSource::Target && profile.keeps_instances())
        {
            refuse_over_store(inside, profile, &contents).await?;
        }
        let set = migrations.as_ref();
        let upgrade = upgrade_path::find(inside, archive, store.as_ref(), set, options, &mut notices).await?;
        Ok(Known {
            plan,
            facts,
            selected,
            extras: contents::extras(inside, config.username()).await?,
            profile: store.map(|store| store.profile),
            contents,
            migrations,
            upgrade,
            resolution,
            late,
            target_schema: None,
            target_privileges: TargetPrivileges::default(),
            notices,
        })
    }
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
    is_missing.then_some(Notice::warning(NoticeCode::SchemaMissing, text))
}

fn archive_notices(archive: &mut Archive, facts: &Facts) -> Vec<Notice> {
    let mut notices = Vec::new();
    let made_by = archive.header().server_version.as_ref().map(ToString::to_string).unwrap_or_default();
    let major: i32 = made_by.split(['.', ' ']).next().and_then(|major| major.parse().ok()).unwrap_or(0);
    if major > facts.server_version / 10_000 {
        let text = format!(
            "the backup is from PostgreSQL {major}, newer than this server: what it does not know yet will fail"
        );
        notices.push(Notice::note(NoticeCode::BackupFromNewerServer, text));
    }
    if archive.tail() == Some(Tail::Unknown) {
        let text =
            "something follows the archive's last block, which pg_dump does not write; it was passed over";
        notices.push(Notice::warning(NoticeCode::BytesAfterArchive, text.to_owned()));
    }
    notices
}
