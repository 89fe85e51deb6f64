//! The objects that a superuser creates for an untrusted archive: extensions of a list. pgmig writes the statements
//! itself, from parsed names. Every other entry that only a superuser can create is refused.

use super::comment::comment_on;
use super::words::name_after;
use super::{Blocked, Facts, Plan, RunAs, Task};
use crate::archive::{Archive, Entry, EntryKind};
use crate::progress::{Notice, NoticeCode};
use crate::restore::refusal::Refusal;
use crate::sql::{StandardStrings, quote_ident};
use std::collections::BTreeSet;

/// PostgreSQL's own extensions that a superuser can create without giving anyone a right. PostgreSQL 13 and later
/// call some of them trusted; older servers do not. The functions of the others do nothing that the caller may not do
/// itself, or only superusers and monitoring roles may call them.
///
/// Deliberately not in the list: `adminpack`, `file_fdw`, `pg_surgery`, `xml2` (files, damage), `dblink` (connections
/// from the server's own address), `refint` (SQL from arguments of triggers), `dict_xsyn` (files), and untrusted
/// languages.
const HARMLESS: [&str; 36] = [
    "amcheck",
    "bloom",
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "dict_int",
    "earthdistance",
    "fuzzystrmatch",
    "hstore",
    "intagg",
    "intarray",
    "isn",
    "lo",
    "ltree",
    "moddatetime",
    "pg_buffercache",
    "pg_freespacemap",
    "pg_prewarm",
    "pg_stat_statements",
    "pg_trgm",
    "pg_visibility",
    "pgcrypto",
    "pgrowlocks",
    "pgstattuple",
    "plpgsql",
    // A foreign server requires a right on the wrapper, and the extension gives this right to nobody.
    "postgres_fdw",
    "seg",
    "sslinfo",
    "tablefunc",
    "tcn",
    "tsm_system_rows",
    "tsm_system_time",
    "unaccent",
    "uuid-ossp",
    "insert_username",
];

/// How far pgmig trusts an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Its statements may create objects that only a superuser can create, if `su_username` is a superuser.
    #[default]
    Full,
    /// A superuser creates these extensions and the harmless ones, and nothing else.
    Extensions(BTreeSet<String>),
}

impl Trust {
    /// Whether a superuser may create the extension.
    pub(crate) fn allows(&self, extension: &str) -> bool {
        match self {
            Self::Full => true,
            Self::Extensions(allowed) => HARMLESS.contains(&extension) || allowed.contains(extension),
        }
    }
}

/// An extension that is created before any object of the archive exists. Otherwise its script could find objects of
/// the archive under names that it believes to be its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedExtension {
    pub(crate) name: String,
    pub(crate) schema: Option<String>,
    /// Whether a superuser creates it.
    pub(crate) as_superuser: bool,
    /// Whether it comes from the target and the archive does not have it. A failure is then only a warning.
    pub(crate) is_extra: bool,
}

impl PlannedExtension {
    /// The statement that creates it.
    pub(crate) fn create(&self) -> String {
        let schema = self.schema.as_deref().map(quote_ident);
        let schema = schema.map(|schema| format!(" WITH SCHEMA {schema}")).unwrap_or_default();
        format!("CREATE EXTENSION IF NOT EXISTS {}{schema}", quote_ident(&self.name))
    }
}

/// Replaces the archive's own SQL wherever a superuser would run it.
///
/// # Errors
///
/// [`Refusal::NeedsTrust`] with every entry that only a superuser can create.
pub(crate) fn restrict(mut plan: Plan, archive: &Archive, facts: &Facts) -> Result<Plan, Blocked> {
    if facts.trust == Trust::Full {
        return Ok(plan);
    }
    let strings = archive.strings();
    let superusers: Vec<(&Task, &Entry)> = plan
        .tasks()
        .filter(|task| is_superusers(task))
        .filter_map(|task| Some((task, archive.entry(task.dump_id)?)))
        .collect();
    let (entries, lines): (Vec<_>, Vec<_>) = superusers
        .iter()
        .filter(|(_, entry)| !is_description(entry) && !is_allowed(entry, &facts.trust))
        .map(|(task, _)| {
            let line = match plan.reasons.get(&task.dump_id) {
                Some(reason) => format!("{}: {reason}", task.label),
                None => task.label.clone(),
            };
            (task.dump_id, line)
        })
        .unzip();
    if !lines.is_empty() {
        return Err(Blocked { refusal: Refusal::NeedsTrust { entries: lines, is_swap: true }, entries });
    }
    if superusers.iter().any(|(_, entry)| entry.kind == EntryKind::Extension) {
        make_extensions_first(&mut plan, archive, strings);
    }
    rewrite_descriptions(&mut plan, archive, strings);
    Ok(plan)
}

fn is_superusers(task: &Task) -> bool {
    task.statements.iter().any(|(run_as, _)| *run_as == RunAs::Superuser)
}

/// Whether the entry describes another object. That object is in the list itself.
fn is_description(entry: &Entry) -> bool {
    use EntryKind as K;
    matches!(entry.kind, K::Comment | K::SecurityLabel | K::Acl | K::AclLanguage)
}

fn is_allowed(entry: &Entry, trust: &Trust) -> bool {
    entry.kind == EntryKind::Extension && entry.tag.to_str().is_ok_and(|name| trust.allows(name))
}

/// Moves all extensions to the front, in the archive's order: one extension may require another.
pub(super) fn make_extensions_first(plan: &mut Plan, archive: &Archive, strings: StandardStrings) {
    let is_extension = |task: &Task| kind(archive, task) == Some(EntryKind::Extension);
    let (extensions, others) = std::mem::take(&mut plan.pre_data).into_iter().partition(is_extension);
    plan.pre_data = others;
    let extensions: Vec<Task> = extensions;
    plan.extensions.extend(extensions.iter().filter_map(|task| extension(task, archive, strings)));
    plan.first.extend(extensions);
    take_schemas(plan, archive);
}

fn extension(task: &Task, archive: &Archive, strings: StandardStrings) -> Option<PlannedExtension> {
    let name = archive.entry(task.dump_id)?.tag.to_str().ok()?.to_owned();
    let (_, sql) = task.statements.first()?;
    let schema = name_after(sql, strings, &["with", "schema"]);
    Some(PlannedExtension { name, schema, as_superuser: is_superusers(task), is_extra: false })
}

/// Removes the schemas of extensions from the entries. They are created together with the extensions. Schema public is
/// there before: its entry only says whose it is.
pub(super) fn take_schemas(plan: &mut Plan, archive: &Archive) {
    let needed: BTreeSet<&str> = plan
        .extensions
        .iter()
        .filter_map(|extension| extension.schema.as_deref())
        .filter(|name| *name != "public")
        .collect();
    let name = |task: &Task| {
        let entry = archive.entry(task.dump_id).filter(|entry| entry.kind == EntryKind::Schema)?;
        entry.tag.to_str().ok().filter(|name| needed.contains(name))
    };
    let (schemas, others): (Vec<Task>, Vec<Task>) =
        std::mem::take(&mut plan.pre_data).into_iter().partition(|task| name(task).is_some());
    plan.extension_schemas.extend(schemas.iter().filter_map(name).map(str::to_owned));
    plan.pre_data = others;
    plan.first.extend(schemas);
}

/// Writes comments on extensions anew. Leaves out other descriptions of the superuser's objects.
fn rewrite_descriptions(plan: &mut Plan, archive: &Archive, strings: StandardStrings) {
    let mut left_out = Vec::new();
    let Plan { pre_data, data_first, data_last, post_data, privileges, last, event_triggers, .. } = plan;
    for tasks in [pre_data, data_first, data_last, post_data, privileges, last, event_triggers] {
        tasks.retain_mut(|task| {
            if !is_superusers(task) {
                return true;
            }
            let is_comment = kind(archive, task) == Some(EntryKind::Comment);
            let sql = task.statements.first().filter(|_| is_comment).map(|(_, sql)| sql.as_str());
            let comment = sql.and_then(|sql| comment_on("extension", sql, strings));
            let Some((_, comment)) = comment else {
                left_out.push(task.label.clone());
                return false;
            };
            task.statements = vec![(RunAs::Superuser, comment)];
            true
        });
    }
    plan.notices.extend(left_out.into_iter().map(|label| {
        let text = format!(
            "{label} was left out: it describes an object of the superuser, and the backup is not trusted"
        );
        Notice::warning(NoticeCode::CommentLeftOut, text)
    }));
}

fn kind(archive: &Archive, task: &Task) -> Option<EntryKind> {
    archive.entry(task.dump_id).map(|entry| entry.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_extensions_are_allowed_by_name() {
        let trust = Trust::Extensions(BTreeSet::from(["postgis".to_owned()]));
        assert!(trust.allows("postgis") && trust.allows("pg_stat_statements"));
        for name in ["dblink", "adminpack", "file_fdw", "plpython3u", "Postgis"] {
            assert!(!trust.allows(name), "{name}");
        }
    }

    #[test]
    fn names_of_extensions_and_schemas_are_quoted() {
        let extension = PlannedExtension {
            name: "x; DROP".to_owned(),
            schema: Some("S".to_owned()),
            as_superuser: true,
            is_extra: false,
        };
        assert_eq!(extension.create(), "CREATE EXTENSION IF NOT EXISTS \"x; DROP\" WITH SCHEMA \"S\"");
    }
}
