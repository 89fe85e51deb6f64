//! The facts about the cluster that a plan needs, and the rights that each strategy requires.

use crate::error::Result;
use crate::restore::archive_login::ArchiveLogin;
use crate::restore::options::{RestoreOptions, SchemaSource, Strategy};
use crate::restore::plan::Facts;
use crate::restore::plan::extensions::Extension;
use crate::restore::plan::facts::{EmptyDatabase, OwnerRights};
use crate::restore::plan::roles::Roles;
use crate::restore::plan::untrusted::Trust;
use crate::server::TargetConfig;
use crate::server::catalog::{DatabaseFacts, RoleFacts};
use crate::server::session::{Session, TextRow};
use crate::sql::{quote_ident, quote_literal};

/// The oldest server that restores are made on: the catalogs and functions that are asked exist from 12 on.
const OLDEST_SERVER: i32 = 120_000;

/// The rights that a swap takes and the roles lack.
pub(crate) fn swap_rights(
    server_version: i32,
    config: &TargetConfig,
    target: &DatabaseFacts,
    roles: &RoleFacts,
) -> Vec<String> {
    let mut reasons: Vec<String> = too_old(server_version).into_iter().collect();
    reasons.extend(rename_rights(server_version, config, &target.owner, roles));
    reasons.extend(cannot_become_owner(server_version, config, roles));
    reasons
}

/// The rights that the rename of a database of this owner takes and `su_username` lacks.
pub(crate) fn rename_rights(
    server_version: i32,
    config: &TargetConfig,
    owner: &str,
    roles: &RoleFacts,
) -> Vec<String> {
    let login = config.su_username();
    let mut reasons = Vec::new();
    if !roles.may_create_databases {
        reasons.push(format!(
            "su_username {login} may not create databases: run ALTER ROLE {} CREATEDB, or inside the pod use host: \
             /controller/run and su_username: postgres",
            quote_ident(login)
        ));
    }
    reasons.extend(owner_right(server_version, config, owner, roles));
    reasons
}

/// The right of the owner of a database, if `su_username` lacks it.
pub(crate) fn owner_right(
    server_version: i32,
    config: &TargetConfig,
    owner: &str,
    roles: &RoleFacts,
) -> Option<String> {
    let login = config.su_username();
    let (role, owner_name) = (quote_ident(login), quote_ident(owner));
    // From 16 on, a membership has both rights as options.
    let with = |option| if server_version >= 160_000 { option } else { "" };
    if !roles.may_become_database_owner {
        return Some(format!(
            "su_username {login} cannot become {owner}, who owns the database (GRANT {owner_name} TO {role}{})",
            with(" WITH SET TRUE, INHERIT TRUE")
        ));
    }
    if roles.inherits_database_owner {
        return None;
    }
    let remedy = match server_version {
        160_000.. => format!("GRANT {owner_name} TO {role} WITH INHERIT TRUE"),
        _ => format!("ALTER ROLE {role} INHERIT"),
    };
    Some(format!(
        "su_username {login} does not inherit the rights of {owner}, who owns the database ({remedy})"
    ))
}

/// The rights that a restore in place takes and the roles lack.
pub(crate) fn in_place_rights(server_version: i32, config: &TargetConfig, roles: &RoleFacts) -> Vec<String> {
    let too_old = too_old(server_version);
    too_old.into_iter().chain(cannot_become_owner(server_version, config, roles)).collect()
}

fn too_old(server_version: i32) -> Option<String> {
    let major = server_version / 10_000;
    (server_version < OLDEST_SERVER).then(|| format!("the server is PostgreSQL {major}; 12 is the oldest"))
}

fn cannot_become_owner(server_version: i32, config: &TargetConfig, roles: &RoleFacts) -> Option<String> {
    let (login, owner) = (config.su_username(), config.username());
    let option = if server_version >= 160_000 { " WITH SET TRUE" } else { "" };
    (!roles.may_become_owner).then(|| {
        format!(
            "su_username {login} cannot become username {owner} (GRANT {} TO {}{option})",
            quote_ident(owner),
            quote_ident(login)
        )
    })
}

/// Restricts the facts to the rights of the login that runs code of the archive.
pub(crate) fn restrict(
    facts: &mut Facts,
    login: &ArchiveLogin,
    options: &RestoreOptions,
    allowed: &[String],
    strategy: Strategy,
) {
    if login.role().is_none() {
        let makes_objects = options.schema != SchemaSource::Target;
        let is_wanted = options.trust_archive && facts.is_superuser && makes_objects;
        facts.builds_as_superuser = is_wanted && !facts.owner_is_superuser;
        return;
    }
    facts.trust = Trust::Extensions(options.allow_extensions.iter().chain(allowed).cloned().collect());
    // In the one transaction, and in a copy of the target, everything is made by `username`.
    facts.is_superuser = strategy == Strategy::Swap && options.schema != SchemaSource::Target;
}

/// Asks what a plan needs to know.
pub(crate) async fn ask(
    control: &mut Session,
    config: &TargetConfig,
    target: &DatabaseFacts,
    roles: &RoleFacts,
    is_separate: bool,
) -> Result<Facts> {
    let owner = quote_literal(config.username());
    // From 16 on, membership alone does not allow SET ROLE.
    let right = if control.server_version() >= 160_000 { "SET" } else { "MEMBER" };
    // Code of the archive becomes the roles that its login can become.
    let grants = if is_separate { owner.as_str() } else { "session_user" };
    let sql =
        format!("SELECT rolname, pg_catalog.pg_has_role({grants}, oid, '{right}') FROM pg_catalog.pg_roles");
    let rows = control.rows(&sql, "list the roles").await?;
    let existing = rows.iter().map(|row| row.text(0).to_owned()).collect();
    let strangers = rows.iter().filter(|row| !row.is_true(1)).map(|row| row.text(0).to_owned()).collect();
    let sql = format!(
        "SELECT spcname FROM pg_catalog.pg_tablespace WHERE pg_catalog.has_tablespace_privilege({owner}, oid, 'CREATE')"
    );
    let rows = control.rows(&sql, "list the tablespaces").await?;
    let tablespaces = rows.iter().map(|row| row.text(0).to_owned()).collect();
    let sql = "SELECT e.name, NOT v.superuser OR COALESCE((pg_catalog.to_jsonb(v) ->> 'trusted')::boolean, false), \
                      v.version, v.schema, pg_catalog.array_to_string(v.requires, ' '), v.superuser \
               FROM pg_catalog.pg_available_extensions e JOIN pg_catalog.pg_available_extension_versions v \
               ON v.name = e.name AND v.version = e.default_version";
    let rows = control.rows(sql, "list the extensions that the server has").await?;
    let extension = |row: &TextRow| {
        let extension = Extension {
            for_everyone: row.is_true(1),
            version: row.text(2).to_owned(),
            schema: row.get(3).map(str::to_owned),
            requires: row.text(4).split_whitespace().map(str::to_owned).collect(),
            is_superusers: row.is_true(5),
        };
        (row.text(0).to_owned(), extension)
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
        login_is_superuser: roles.is_superuser,
        is_superuser: roles.is_superuser,
        builds_as_superuser: false,
        // From 15 on, schema public of template0 belongs to whoever owns the database.
        owner_owns_public: owner_is_superuser || server_version >= 150_000 && owns_database,
        owner_is_superuser,
        roles: Roles { owner: config.username().to_owned(), existing, strangers, assumes_all: false },
        tablespaces,
        database: EmptyDatabase {
            name: target.name.clone(),
            extensions: ["plpgsql".to_owned()].into(),
            available,
            ..EmptyDatabase::default()
        },
        rights: OwnerRights::default(),
        trust: Trust::Full,
        time_zone: time_zone(control, roles.is_superuser).await?,
    })
}

/// The time zone of postgresql.conf, which only a superuser can read.
async fn time_zone(control: &mut Session, is_superuser: bool) -> Result<Option<String>> {
    if !is_superuser {
        return Ok(None);
    }
    let sql = "SELECT setting FROM pg_catalog.pg_file_settings WHERE pg_catalog.lower(name) = 'timezone' AND applied";
    Ok(control.optional(sql, "read the server's time zone").await?)
}
