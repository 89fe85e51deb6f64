//! What the server, the target and the archive have of extensions, before anything is restored.

use crate::archive::{Archive, Entry, EntryKind};
use crate::error::Result;
use crate::progress::{Notice, NoticeCode};
use crate::restore::clearing::Clearing;
use crate::restore::plan::extensions::{self, Lack, MemberRelation, StayingExtension};
use crate::restore::plan::extra_extensions::{ExtraExtension, ExtraSchema, SchemaGrant};
use crate::restore::plan::{Facts, Plan, extra_extensions};
use crate::server::TargetError;
use crate::server::catalog::DatabaseFacts;
use crate::server::extensions::{InstalledExtension, cron_database, installed, members, schema_grants};
use crate::server::session::{Session, TextRow};
use crate::sql::{QualifiedName, quote_ident, quote_literal};
use std::collections::{BTreeMap, BTreeSet};

/// The obstacle to a swap that an extension of the archive is, which can be created in the target only.
pub(crate) async fn obstacle_to_swap(
    control: &mut Session,
    archive: &Archive,
    target: &DatabaseFacts,
) -> Result<Option<String>> {
    let is_cron = |entry: &Entry| entry.kind == EntryKind::Extension && entry.name() == "pg_cron";
    if !archive.entries().iter().any(is_cron) || cron_database(control).await?.as_ref() != Some(&target.name)
    {
        return Ok(None);
    }
    Ok(Some(format!(
        "extension pg_cron can be created only in a database with the name {} (the server's setting cron.database_name), and a \
         swap creates it in another one first; a restore in place keeps it",
        quote_ident(&target.name)
    )))
}

/// Adds the extensions of the target to the facts.
pub(crate) async fn describe(
    session: &mut Session,
    archive: &Archive,
    facts: &mut Facts,
    clearing: Option<&Clearing>,
) -> Result<()> {
    let present = installed(session).await?;
    facts.database.cron_database = cron_database(session).await?;
    facts.database.extra = present.iter().map(|extension| extension.name.clone()).collect();
    if clearing.is_some() {
        let stays = |extension: &&InstalledExtension| facts.database.extensions.contains(&extension.name);
        let staying: Vec<InstalledExtension> = present.iter().filter(stays).cloned().collect();
        describe_staying(session, archive, facts, staying).await?;
    }
    Ok(())
}

/// Notices about the extensions of the archive beside those of the target.
pub(crate) fn notices(archive: &Archive, facts: &Facts, present: &[InstalledExtension]) -> Vec<Notice> {
    if !archive.has_all_entries() {
        return Vec::new();
    }
    let mut notices = extensions::findings(archive, facts).notices;
    notices.extend(other_versions(present, archive, facts));
    notices
}

/// Plans the target's extensions that the archive does not have.
pub(crate) async fn plan_extras(
    session: &mut Session,
    archive: &Archive,
    facts: &Facts,
    plan: &mut Plan,
    installed: &[InstalledExtension],
) -> Result<()> {
    let entries = archive.entries().iter().filter(|entry| entry.kind == EntryKind::Extension);
    let of_archive: BTreeSet<&str> = entries.map(Entry::name).collect();
    let is_extra = |extension: &&InstalledExtension| {
        !of_archive.contains(extension.name.as_str()) && !facts.database.extensions.contains(&extension.name)
    };
    let grants = schema_grants(session).await?;
    let mut extras = Vec::new();
    for extension in installed.iter().filter(is_extra) {
        let objects = members(session, &extension.name).await?;
        let taken = objects
            .iter()
            .map(|(kind, identity)| (kind.as_str(), identity.as_str(), extension.name.as_str()));
        let grants = grants.iter().filter(|grant| grant.schema == extension.schema);
        let grant = |grant: &crate::server::extensions::SchemaGrant| SchemaGrant {
            privilege: grant.privilege.clone(),
            grantee: grant.grantee.clone(),
            is_grantable: grant.is_grantable,
        };
        extras.push(ExtraExtension {
            name: extension.name.clone(),
            schema: ExtraSchema {
                name: extension.schema.clone(),
                owner: extension.schema_owner.clone(),
                grants: grants.map(grant).collect(),
            },
            owner: extension.owner.clone(),
            taken: taken.collect(),
        });
    }
    extra_extensions::add(plan, archive, facts, extras);
    Ok(())
}

/// Describes the extensions that stay, and their tables.
async fn describe_staying(
    session: &mut Session,
    archive: &Archive,
    facts: &mut Facts,
    staying: Vec<InstalledExtension>,
) -> Result<()> {
    let username = facts.roles.owner.clone();
    let mut names = Vec::new();
    for extension in &staying {
        let is_in_archive =
            |entry: &Entry| entry.kind == EntryKind::Extension && entry.name() == extension.name;
        if archive.entries().iter().any(is_in_archive) {
            let sql = member_names(&extension.name);
            let rows = session.rows(&sql, "list the names in an extension").await?;
            let name = |row: &TextRow| {
                if row.is_true(1) { row.text(0).to_owned() } else { quote_ident(row.text(0)) }
            };
            names.extend(rows.iter().map(|row| (extension.name.clone(), name(row))));
        }
    }
    let names_of_staying: BTreeSet<&str> = staying.iter().map(|extension| extension.name.as_str()).collect();
    let members = member_relations(session, &username, facts.is_superuser).await?;
    facts.database.members = members
        .into_iter()
        .filter(|(_, member)| names_of_staying.contains(member.extension.as_str()))
        .collect();
    facts.database.member_names = names;
    let relocatable = relocatable(session).await?;
    facts.database.staying = staying
        .into_iter()
        .map(|InstalledExtension { name, schema, owner, .. }| {
            let is_relocatable = relocatable.contains(&name);
            (name, StayingExtension { schema, owner, is_relocatable })
        })
        .collect::<BTreeMap<_, _>>();
    Ok(())
}

/// A query for the names of an extension's objects, and whether each is an operator.
fn member_names(extension: &str) -> String {
    format!(
        "SELECT COALESCE(t.typname, p.proname, c.relname, o.opcname, r.oprname)::text, r.oid IS NOT NULL \
         FROM pg_catalog.pg_extension e \
         JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
             AND d.refobjid = e.oid AND d.deptype = 'e' \
         LEFT JOIN pg_catalog.pg_type t ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = d.objid \
         LEFT JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid \
         LEFT JOIN pg_catalog.pg_class c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid \
         LEFT JOIN pg_catalog.pg_opclass o ON d.classid = 'pg_catalog.pg_opclass'::pg_catalog.regclass AND o.oid = d.objid \
         LEFT JOIN pg_catalog.pg_operator r ON d.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND r.oid = d.objid \
         WHERE e.extname = {} AND COALESCE(t.oid, p.oid, c.oid, o.oid, r.oid) IS NOT NULL",
        quote_literal(extension)
    )
}

async fn relocatable(session: &mut Session) -> Result<BTreeSet<String>, TargetError> {
    let sql = "SELECT extname FROM pg_catalog.pg_extension WHERE extrelocatable";
    let rows = session.rows(sql, "list the extensions that can be moved").await?;
    Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
}

/// The tables and sequences of extensions, with the rights that `role` has on them.
async fn member_relations(
    session: &mut Session,
    role: &str,
    as_superuser: bool,
) -> Result<Vec<(QualifiedName, MemberRelation)>, TargetError> {
    let role = quote_literal(role);
    let sql = format!(
        "SELECT n.nspname, c.relname, e.extname, g.condition IS NOT NULL, g.condition, \
             pg_catalog.has_schema_privilege({role}, n.oid, 'USAGE') AND c.relkind <> 'S' \
                 AND pg_catalog.has_table_privilege({role}, c.oid, 'SELECT') \
                 AND pg_catalog.has_table_privilege({role}, c.oid, 'INSERT') \
                 AND pg_catalog.has_table_privilege({role}, c.oid, 'DELETE'), \
             c.relrowsecurity AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = {role} \
                 AND (r.rolsuper OR r.rolbypassrls \
                      OR pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE') AND NOT c.relforcerowsecurity)) \
         FROM pg_catalog.pg_extension e \
         JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
             AND d.refobjid = e.oid AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e' \
         JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'p', 'S') \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN LATERAL (SELECT COALESCE(e.extcondition[i], '') AS condition \
             FROM pg_catalog.generate_subscripts(e.extconfig, 1) i WHERE e.extconfig[i] = c.oid LIMIT 1) g ON true"
    );
    let rows = session.rows(&sql, "list the tables of the target's extensions").await?;
    let relation = |row: &TextRow| {
        let member = MemberRelation {
            extension: row.text(2).to_owned(),
            condition: row.is_true(3).then(|| row.text(4).to_owned()),
            lacks: match (row.is_true(5), row.is_true(6)) {
                _ if as_superuser => None,
                (_, true) => Some(Lack::RowSecurity),
                (false, false) => Some(Lack::Privileges),
                (true, false) => None,
            },
        };
        (QualifiedName::new(row.text(0), row.text(1)), member)
    };
    Ok(rows.iter().map(relation).collect())
}

/// Notices about extensions that the restored database has in another version than the target.
fn other_versions(present: &[InstalledExtension], archive: &Archive, facts: &Facts) -> Vec<Notice> {
    let in_archive = |name: &str| {
        archive.entries().iter().any(|entry| entry.kind == EntryKind::Extension && entry.name() == name)
    };
    let notice = |extension: &InstalledExtension| {
        let available = facts.database.available.get(&extension.name)?;
        let stays = facts.database.extensions.contains(&extension.name);
        if available.version == extension.version || !in_archive(&extension.name) {
            return None;
        }
        let (name, here, new) = (quote_ident(&extension.name), &extension.version, &available.version);
        let text = if stays {
            format!(
                "extension {name} stays in the target in version {here}; version {new} is the server's default"
            )
        } else {
            format!("extension {name} is created in version {new}; the target has version {here}")
        };
        Some(Notice::note(NoticeCode::ExtensionVersion, text))
    };
    present.iter().filter_map(notice).collect()
}
