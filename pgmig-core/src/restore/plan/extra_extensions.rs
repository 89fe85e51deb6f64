//! The target's extensions that the archive does not have. They are created before the archive's objects, which can
//! need them: an archive of one schema names types of extensions that it does not contain.

use super::entry::sql;
use super::not_ours::NotOurs;
use super::untrusted::{self, PlannedExtension};
use super::{Facts, Plan};
use crate::archive::{Archive, EntryKind};
use crate::sql::quote_ident;
use std::collections::BTreeSet;

/// An extension of the target that the archive does not have.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExtraExtension {
    pub(crate) name: String,
    pub(crate) schema: ExtraSchema,
    pub(crate) owner: String,
    /// The names of its objects.
    pub(crate) taken: NotOurs,
}

/// The schema of such an extension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ExtraSchema {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) grants: Vec<SchemaGrant>,
}

/// A privilege on a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SchemaGrant {
    pub(crate) privilege: String,
    /// `None` is PUBLIC.
    pub(crate) grantee: Option<String>,
    pub(crate) is_grantable: bool,
}

impl ExtraSchema {
    /// The statements that create it as it is in the target. Only a superuser can give it to another role.
    pub(crate) fn statements(&self, as_superuser: bool) -> Vec<String> {
        let schema = quote_ident(&self.name);
        let owner =
            if as_superuser { format!(" AUTHORIZATION {}", quote_ident(&self.owner)) } else { String::new() };
        let grant = |grant: &SchemaGrant| {
            let grantee = grant.grantee.as_deref().map_or_else(|| "PUBLIC".to_owned(), quote_ident);
            let option = if grant.is_grantable { " WITH GRANT OPTION" } else { "" };
            format!("GRANT {} ON SCHEMA {schema} TO {grantee}{option}", grant.privilege)
        };
        let create = format!("CREATE SCHEMA IF NOT EXISTS {schema}{owner}");
        std::iter::once(create).chain(self.grants.iter().map(grant)).collect()
    }
}

/// Plans the extensions of the target that can be created at once. An extension whose objects have names of the
/// archive's objects waits for the end, where it fails without harm.
pub(crate) fn add(plan: &mut Plan, archive: &Archive, facts: &Facts, extras: Vec<ExtraExtension>) {
    let owner = facts.roles.owner.as_str();
    let by_superuser = |extra: &ExtraExtension| {
        facts.is_superuser && facts.trust.allows(&extra.name) && extra.owner != owner
    };
    let can_be_made = |extra: &ExtraExtension| {
        let available = facts.database.available.get(&extra.name);
        available
            .is_some_and(|known| known.for_everyone || facts.is_superuser && facts.trust.allows(&extra.name))
    };
    let extras: Vec<ExtraExtension> =
        extras.into_iter().filter(|extra| can_be_made(extra) && !collides(extra, archive)).collect();
    if extras.is_empty() {
        return;
    }
    untrusted::make_extensions_first(plan, archive, archive.strings());
    for extra in &extras {
        let for_everyone = facts.database.available.get(&extra.name).is_some_and(|known| known.for_everyone);
        plan.extensions.push(PlannedExtension {
            name: extra.name.clone(),
            schema: Some(extra.schema.name.clone()),
            as_superuser: by_superuser(extra) || !for_everyone,
            is_extra: true,
        });
    }
    untrusted::take_schemas(plan, archive);
    for ExtraExtension { schema, .. } in extras {
        let is_there = matches!(schema.name.as_str(), "public" | "pg_catalog")
            || facts.database.schemas.contains_key(&schema.name)
            || plan.extension_schemas.contains(&schema.name)
            || plan.extra_schemas.contains(&schema);
        if !is_there {
            plan.extra_schemas.push(schema);
        }
    }
    put_requirements_first(&mut plan.extensions, facts);
}

/// Whether an entry of the archive creates an object with the name of one of the extension's objects.
fn collides(extra: &ExtraExtension, archive: &Archive) -> bool {
    let strings = archive.strings();
    let mut entries = archive.entries().iter().filter(|entry| entry.kind != EntryKind::Schema);
    entries.any(|entry| sql(entry).is_some_and(|sql| extra.taken.owner_of(entry, sql, strings).is_some()))
}

/// Moves extensions behind those that they require, and keeps the order otherwise.
fn put_requirements_first(extensions: &mut Vec<PlannedExtension>, facts: &Facts) {
    let mut waiting = std::mem::take(extensions);
    while !waiting.is_empty() {
        let names: BTreeSet<String> = waiting.iter().map(|extension| extension.name.clone()).collect();
        let is_ready = |extension: &PlannedExtension| {
            let available = facts.database.available.get(&extension.name);
            available.is_none_or(|known| !known.requires.iter().any(|required| names.contains(required)))
        };
        // A circle cannot be created in any order; the server says so.
        let next = waiting.iter().position(is_ready).unwrap_or(0);
        extensions.push(waiting.remove(next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::plan::extensions::Extension;

    #[test]
    fn a_schema_is_created_with_its_owner_and_its_privileges() {
        let grant = |grantee: Option<&str>, is_grantable| SchemaGrant {
            privilege: "USAGE".to_owned(),
            grantee: grantee.map(str::to_owned),
            is_grantable,
        };
        let schema = ExtraSchema {
            name: "Ext".to_owned(),
            owner: "platform".to_owned(),
            grants: vec![grant(None, false), grant(Some("r"), true)],
        };
        assert_eq!(
            schema.statements(true),
            [
                "CREATE SCHEMA IF NOT EXISTS \"Ext\" AUTHORIZATION platform",
                "GRANT USAGE ON SCHEMA \"Ext\" TO PUBLIC",
                "GRANT USAGE ON SCHEMA \"Ext\" TO r WITH GRANT OPTION"
            ]
        );
        assert_eq!(
            schema.statements(false).first().map(String::as_str),
            Some("CREATE SCHEMA IF NOT EXISTS \"Ext\"")
        );
    }

    #[test]
    fn required_extensions_come_first() {
        let extension = |name: &str| PlannedExtension {
            name: name.to_owned(),
            schema: None,
            as_superuser: false,
            is_extra: true,
        };
        let mut extensions: Vec<_> = ["hstore_plperl", "a", "plperl", "hstore"].map(extension).into();
        let mut facts = Facts::default();
        let requires = ["plperl".to_owned(), "hstore".to_owned()].into();
        let known = Extension { requires, ..Extension::default() };
        facts.database.available.insert("hstore_plperl".to_owned(), known);
        put_requirements_first(&mut extensions, &facts);
        let names: Vec<_> = extensions.iter().map(|extension| extension.name.as_str()).collect();
        assert_eq!(names, ["a", "plperl", "hstore", "hstore_plperl"]);
    }
}
