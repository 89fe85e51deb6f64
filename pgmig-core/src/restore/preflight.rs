//! What has to be known before anything is changed, and what is refused.

use super::backup::Backup;
use super::discover::Store;
use super::error::Refusal;
use super::options::{Instances, RestoreOptions};
use super::plan::{Facts, Plan};
use super::report::TargetContents;
use super::roles::Roles;
use super::superuser::{Extension, Fresh};
use crate::archive::{Archive, DumpId, Tail};
use crate::error::Result;
use crate::instance::{Instance, InstanceCollector, InstanceColumns, Mapping, Resolution, ResolvedInstance};
use crate::profile::Profile;
use crate::progress::{Notice, Severity};
use crate::schema::{self, Goal, History, MigrationSet, UpgradePlan};
use crate::sql::{QualifiedName, StandardStrings, quote_literal, split_statements};
use crate::target::catalog::{self, DatabaseFacts, RoleFacts};
use crate::target::contents::{self, Extras};
use crate::target::session::Session;
use crate::target::{TargetConfig, TargetError};
use std::collections::HashMap;

/// The oldest server that restores are made on: the catalogs and functions that are asked exist from 12 on.
const OLDEST_SERVER: i32 = 120_000;

/// Encodings in which a byte of a multi-byte character can be an ASCII byte, so that a backslash or a digit need
/// not be one.
const NOT_ASCII_SAFE: [&str; 7] = ["SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "GB18030", "UHC", "JOHAB"];

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

/// Where the instances are in a stream.
pub(super) struct LateInstances {
    pub(super) dump_id: DumpId,
    pub(super) columns: InstanceColumns,
}

/// Everything that is known before the restore.
pub(super) struct Preflight {
    pub(super) archive: Archive,
    pub(super) plan: Plan,
    pub(super) facts: Facts,
    pub(super) control: Session,
    pub(super) maintenance: &'static str,
    pub(super) target: DatabaseFacts,
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
    pub(super) notices: Vec<Notice>,
}

/// Connects to the maintenance database: `postgres`, else `template1`; never the target itself, which cannot be
/// renamed while we are in it.
pub(super) async fn open_control(
    config: &TargetConfig,
    application: &str,
) -> Result<(Session, &'static str)> {
    if config.database() != "postgres" {
        match Session::open(config, "postgres", application).await {
            Err(TargetError::UnknownDatabase { .. }) => {}
            session => return Ok((session?, "postgres")),
        }
    }
    Ok((Session::open(config, "template1", application).await?, "template1"))
}

/// Finds out everything, in the order in which it is cheapest to be refused.
pub(super) async fn run(
    backup: Backup,
    config: &TargetConfig,
    options: &RestoreOptions,
    application: &str,
) -> Result<Preflight> {
    let mut archive = backup.into_archive();
    let (mut control, maintenance) = open_control(config, application).await?;
    let (target, roles) = look_at_target(&mut control, config).await?;
    transcode(&mut archive, &mut control).await?;
    let facts = facts(&mut control, config, &target, &roles).await?;
    let plan = Plan::new(&archive, &facts)?;

    let mut session = match Session::open(config, &target.name, application).await {
        // It was there a moment ago: another restore has just renamed it.
        Err(TargetError::UnknownDatabase { .. }) => {
            return Err(Refusal::Changed { database: target.name }.into());
        }
        session => session?,
    };
    let mut inside = look_inside(&mut session, config, &archive, options, &target).await?;
    session.close().await;
    inside.notices.extend(archive_notices(&mut archive, &facts));
    Ok(Preflight { archive, plan, facts, control, maintenance, target, inside })
}

async fn look_at_target(control: &mut Session, config: &TargetConfig) -> Result<(DatabaseFacts, RoleFacts)> {
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
    let mut reasons = swap_rights(control.server_version(), config, &target, &roles);
    reasons.extend(catalog::swap_obstacles(control, &target).await?);
    if !reasons.is_empty() {
        return Err(Refusal::CannotSwap { database: name.to_owned(), reasons }.into());
    }
    Ok((target, roles))
}

/// The rights that a swap takes and the roles lack.
pub(super) fn swap_rights(
    server_version: i32,
    config: &TargetConfig,
    target: &DatabaseFacts,
    roles: &RoleFacts,
) -> Vec<String> {
    let login = config.su_username();
    let mut reasons = Vec::new();
    if server_version < OLDEST_SERVER {
        reasons.push(format!("the server is PostgreSQL {}; 12 is the oldest", server_version / 10_000));
    }
    if !roles.may_create_databases {
        reasons.push(format!("su_username {login} may not create databases (ALTER ROLE ... CREATEDB)"));
    }
    if !roles.may_become_database_owner {
        reasons.push(format!(
            "su_username {login} cannot become {}, who owns the database (GRANT that role to it)",
            target.owner
        ));
    }
    if !roles.may_become_owner {
        reasons.push(format!(
            "su_username {login} cannot become username {} (GRANT that role to it)",
            config.username()
        ));
    }
    reasons
}

/// Makes all texts of the archive UTF-8, which sqlx needs. The server converts, so that what comes out is what
/// it would have made of them.
async fn transcode(archive: &mut Archive, control: &mut Session) -> Result<()> {
    let encoding = archive.encoding().unwrap_or("UTF8").to_owned();
    if encoding == "UTF8" || encoding == "UNICODE" {
        return Ok(archive.transcode(&mut |bytes| {
            String::from_utf8(bytes.to_vec()).map_err(|_| "it is not valid UTF-8".to_owned())
        })?);
    }
    let mut texts = Vec::new();
    // The texts are collected first, since the server cannot be asked in the middle of transcoding.
    for entry in archive.entries() {
        texts.extend(
            entry.texts().filter(|text| !text.as_bytes().is_ascii()).map(|text| text.as_bytes().to_vec()),
        );
    }
    texts.extend(archive.header().database.iter().map(|text| text.as_bytes().to_vec()));
    let mut converted = HashMap::new();
    for text in texts {
        if encoding == "SQL_ASCII" {
            continue;
        }
        let utf8 = control.convert(&text, &encoding, "convert the archive's names to UTF-8").await?;
        converted.insert(text, utf8);
    }
    Ok(archive.transcode(&mut |bytes| match converted.get(bytes) {
        Some(text) => Ok(text.clone()),
        None => String::from_utf8(bytes.to_vec()).map_err(|_| "it is neither ASCII nor UTF-8".to_owned()),
    })?)
}

async fn facts(
    control: &mut Session,
    config: &TargetConfig,
    target: &DatabaseFacts,
    roles: &RoleFacts,
) -> Result<Facts> {
    let owner = quote_literal(config.username());
    let rows = control.rows("SELECT rolname FROM pg_catalog.pg_roles", "list the roles").await?;
    let existing = rows.iter().map(|row| row.text(0).to_owned()).collect();
    let rows = control.rows("SELECT spcname FROM pg_catalog.pg_tablespace", "list the tablespaces").await?;
    let tablespaces = rows.iter().map(|row| row.text(0).to_owned()).collect();
    let sql = "SELECT e.name, NOT v.superuser OR COALESCE((pg_catalog.to_jsonb(v) ->> 'trusted')::boolean, false) \
               FROM pg_catalog.pg_available_extensions e JOIN pg_catalog.pg_available_extension_versions v \
               ON v.name = e.name AND v.version = e.default_version";
    let rows = control.rows(sql, "list the extensions that the server has").await?;
    let extension = |row: &crate::target::session::TextRow| {
        (row.text(0).to_owned(), Extension { for_everyone: row.is_true(1) })
    };
    let available = rows.iter().map(extension).collect();
    let sql = format!(
        "SELECT rolsuper, pg_catalog.pg_has_role(oid, {}, 'USAGE') FROM pg_catalog.pg_roles WHERE rolname = {owner}",
        quote_literal(&target.owner)
    );
    let rows = control.rows(&sql, "read what username may do").await?;
    let row = rows.first();
    let owner_is_superuser = row.is_some_and(|row| row.is_true(0));
    let owns_database = row.is_some_and(|row| row.is_true(1));
    let server_version = control.server_version();
    Ok(Facts {
        server_version,
        login: config.su_username().to_owned(),
        is_superuser: roles.is_superuser,
        // From 15 on, schema public of template0 belongs to whoever owns the database.
        owner_owns_public: owner_is_superuser || server_version >= 150_000 && owns_database,
        owner_is_superuser,
        roles: Roles { owner: config.username().to_owned(), existing },
        tablespaces,
        fresh: Fresh { extensions: ["plpgsql".to_owned()].into(), available },
    })
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
    let (resolution, late) = match (&options.instances, &store) {
        (Instances::Keep, Some(store)) if !archive.is_stream() => {
            (Some(kept(store.instances(archive)?)), None)
        }
        (Instances::Keep, _) => (None, None),
        (Instances::Map(mapping), Some(store)) if archive.is_stream() => {
            let late = store
                .tenant_entry()
                .map(|dump_id| LateInstances { dump_id, columns: store.instance_columns() });
            (Some(resolve(mapping, &[], Some(&store.profile), &mut Vec::new())?), late)
        }
        (Instances::Map(mapping), store) => {
            let instances =
                store.as_ref().map(|store| store.instances(archive)).transpose()?.unwrap_or_default();
            let profile = store.as_ref().map(|store| &store.profile);
            (Some(resolve(mapping, &instances, profile, &mut notices)?), None)
        }
    };
    if resolution.as_ref().is_some_and(|resolution| !resolution.pairs.is_empty()) {
        refuse_unsafe_encoding(archive)?;
    }
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
    let contents = target_contents(inside, target, profile_for_target.as_ref()).await?;
    if let (None, Some(profile)) = (&store, &profile_for_target) {
        refuse_over_store(inside, profile, &contents).await?;
    }
    let upgrade = plan_upgrade(inside, archive, store.as_ref(), migrations.as_ref()).await?;
    Ok(Inside {
        extras: contents::extras(inside, config.username()).await?,
        profile: store.map(|store| store.profile),
        contents,
        migrations,
        upgrade,
        resolution,
        late,
        notices,
    })
}

/// Applies the mapping to the instances; refuses if some are not covered.
pub(super) fn resolve(
    mapping: &Mapping,
    instances: &[Instance],
    profile: Option<&Profile>,
    notices: &mut Vec<Notice>,
) -> Result<Resolution> {
    let regions = profile.map(Profile::system_regions).unwrap_or_default();
    let resolution = mapping.resolve(instances, regions)?;
    if !resolution.uncovered.is_empty() {
        return Err(Refusal::Unmapped(resolution.uncovered).into());
    }
    notices.extend(unknown_sources(&resolution));
    Ok(resolution)
}

/// One warning for all keys of the mapping that name no instance of the backup.
fn unknown_sources(resolution: &Resolution) -> Option<Notice> {
    let unknown = &resolution.unknown_sources;
    let some: Vec<String> = unknown.iter().take(5).map(ToString::to_string).collect();
    let more = unknown.len().saturating_sub(some.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let text = format!(
        "the mapping has sources that are no instances of the backup; they are replaced where they occur: {}{more}",
        some.join(", ")
    );
    (!unknown.is_empty()).then_some(Notice { severity: Severity::Warning, text })
}

/// Every instance keeps its ID.
fn kept(instances: Vec<Instance>) -> Resolution {
    let keep = |source: Instance| ResolvedInstance { target: source.id, source, mapped: false };
    Resolution { instances: instances.into_iter().map(keep).collect(), ..Resolution::default() }
}

fn refuse_unsafe_encoding(archive: &Archive) -> Result<()> {
    match archive.encoding() {
        Some(encoding) if NOT_ASCII_SAFE.contains(&encoding) => {
            Err(Refusal::Encoding(encoding.to_owned()).into())
        }
        _ => Ok(()),
    }
}

/// What the target holds: rows, large objects, instances.
pub(super) async fn target_contents(
    inside: &mut Session,
    target: &DatabaseFacts,
    profile: Option<&Profile>,
) -> Result<TargetContents> {
    let holdings = contents::holdings(inside).await?;
    let instances = match profile {
        // A table that cannot be read has no instances to show; that it holds data is known already.
        Some(profile) => instances_of(inside, profile).await.unwrap_or_default(),
        None => Vec::new(),
    };
    Ok(TargetContents {
        instances,
        tables: holdings.tables,
        rows: holdings.rows,
        large_objects: holdings.large_objects,
        bytes: target.bytes,
    })
}

/// The instances in the table of instances of a live database.
pub(super) async fn instances_of(session: &mut Session, profile: &Profile) -> Result<Vec<Instance>> {
    let tenant = profile.tenant();
    let schema = match &tenant.schema {
        Some(schema) => format!("AND n.nspname = {}", quote_literal(schema)),
        None => String::new(),
    };
    let sql = format!(
        "SELECT n.nspname, c.relname, a.attname FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         WHERE c.relkind IN ('r', 'p') AND c.relname = {} {schema} ORDER BY n.nspname, a.attnum",
        quote_literal(&tenant.table)
    );
    let rows = session.rows(&sql, "look for the table of instances").await?;
    let mut tables: Vec<(QualifiedName, Vec<String>)> = Vec::new();
    for row in &rows {
        let table = QualifiedName::new(row.text(0), row.text(1));
        match tables.last_mut() {
            Some((last, columns)) if *last == table => columns.push(row.text(2).to_owned()),
            _ => tables.push((table, vec![row.text(2).to_owned()])),
        }
    }
    let wanted = [&tenant.id, &tenant.name, &tenant.region, &tenant.deleted];
    let found = tables.iter().find(|(_, columns)| wanted.iter().all(|column| columns.contains(*column)));
    let Some((table, columns)) = found else { return Ok(Vec::new()) };
    let list: Vec<String> = columns.iter().map(|column| crate::sql::quote_ident(column)).collect();
    let sql = format!("SELECT {} FROM {table}", list.join(", "));
    let rows = session.rows(&sql, "read the instances").await?;
    let roles = InstanceColumns {
        id: tenant.id.clone(),
        aliases: tenant.aliases.clone(),
        name: Some(tenant.name.clone()),
        region: Some(tenant.region.clone()),
        deleted: Some(tenant.deleted.clone()),
    };
    let mut collector = InstanceCollector::new(columns, &roles)?;
    for row in &rows {
        let mut copied = Vec::new();
        crate::copy::encode_row(
            (0..columns.len()).map(|column| row.get(column).map(str::as_bytes)),
            &mut copied,
        );
        collector.push_row(&copied)?;
    }
    Ok(collector.finish())
}

/// An archive without a store must not replace a store.
async fn refuse_over_store(inside: &mut Session, profile: &Profile, contents: &TargetContents) -> Result<()> {
    let instances = contents.instances.len();
    if contents.is_empty()
        || instances == 0 && schema::newest_finished(inside.conn(), profile).await?.is_none()
    {
        return Ok(());
    }
    Err(Refusal::NotAStore { instances }.into())
}

async fn plan_upgrade(
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
    upgrade(store.history(archive)?, goal, &store.profile, migrations)
}

/// Where the upgrade ends: at the target's release, or at the newest if the target has none. A migration that
/// the target did not finish does not count: the restore replaces what it left.
async fn goal(inside: &mut Session, profile: &Profile) -> Result<Goal> {
    let newest = schema::newest_finished(inside.conn(), profile).await?;
    Ok(newest.map_or(Goal::Newest, Goal::Version))
}

/// How a store with this history gets to the goal.
pub(super) fn upgrade(
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
