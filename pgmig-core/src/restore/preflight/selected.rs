//! Chooses the entries that are restored, and plans their restore. The archive then shows only these.

use crate::archive::{Archive, DumpId, Entry, EntryKind};
use crate::error::Result;
use crate::lines::inline;
use crate::progress::Notice;
use crate::restore::options::{Instances, RestoreOptions, SchemaSource};
use crate::restore::plan::{Blocked, Facts, Plan};
use crate::restore::refusal::Refusal;
use crate::selection::{Choice, LeftOut, Selection, SelectionError, label};
use std::collections::BTreeMap;

/// The entries that a restore leaves out.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) notices: Vec<Notice>,
    /// Entries that cannot be restored, each with the reason.
    unrestorable: BTreeMap<DumpId, String>,
}

/// Chooses and plans. Entries that cannot be restored are left out, if the options allow it; the next plan then shows which
/// others cannot be, either.
///
/// # Errors
///
/// A [`Refusal`] if there is no plan, and a [`SelectionError`] if the options do not fit the archive.
pub(crate) fn plan(
    archive: &mut Archive,
    facts: &Facts,
    options: &RestoreOptions,
) -> Result<(Plan, Selected)> {
    let rows_only = options.schema == SchemaSource::Target;
    let skips = options.selection.skip_unrestorable;
    let mut selected = Selected::default();
    if skips && !rows_only {
        selected.unrestorable = missing_extensions(archive.all_entries(), facts);
    }
    loop {
        selected.again(archive, facts, options)?;
        let plan = match options.schema {
            SchemaSource::Target => Plan::of_contents(archive, facts),
            _ => refuse_missing_extensions(archive, facts).and_then(|()| Plan::new(archive, facts)),
        };
        let Blocked { refusal, entries } = match plan {
            Ok(plan) => return Ok((plan, selected)),
            Err(blocked) => blocked,
        };
        let why = why(&refusal);
        let before = selected.unrestorable.len();
        if skips {
            selected.unrestorable.extend(entries.into_iter().map(|id| (id, why.clone())));
        }
        if selected.unrestorable.len() == before {
            return Err(refusal.into());
        }
    }
}

impl Selected {
    /// Chooses again, among the entries that are known by now.
    ///
    /// # Errors
    ///
    /// A [`SelectionError`] if the options do not fit the archive.
    pub(crate) fn again(
        &mut self,
        archive: &mut Archive,
        facts: &Facts,
        options: &RestoreOptions,
    ) -> Result<()> {
        if options.selection == Selection::default() {
            return Ok(());
        }
        let choice = Choice {
            archive,
            selection: &options.selection,
            unrestorable: &self.unrestorable,
            extensions: &facts.database.extensions,
            rows_only: options.schema == SchemaSource::Target,
        };
        let chosen = choice.choose()?;
        archive.show(chosen.entries);
        (self.left_out, self.notices) = (chosen.left_out, chosen.notices);
        Ok(())
    }
}

/// Refuses a mapping if the table of instances, or its rows, are left out, and other rows are not. `tenants` is the table's
/// entry.
///
/// # Errors
///
/// [`SelectionError::Instances`].
pub(crate) fn require_instances(
    archive: &Archive,
    tenants: Option<DumpId>,
    options: &RestoreOptions,
) -> Result<()> {
    let is_rows = |entry: &Entry| entry.kind == EntryKind::TableData;
    let needs_them = matches!(options.instances, Instances::Map(_)) && archive.entries().iter().any(is_rows);
    let left_out = tenants.filter(|id| needs_them && archive.entry(*id).is_none());
    let entry = |id| archive.all_entries().iter().find(|entry| entry.dump_id == id);
    match left_out.and_then(entry) {
        Some(entry) => Err(SelectionError::Instances(entry.qualified_name().to_string()).into()),
        None => Ok(()),
    }
}

/// The reason for leaving out an entry that blocks the plan.
fn why(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NeedsTrust { .. } => {
            "only a superuser can make it, and the backup is not trusted (RestoreOptions::trust_archive)"
                .to_owned()
        }
        _ => "only a superuser can make it here, and su_username is not one".to_owned(),
    }
}

fn missing_extensions(entries: &[Entry], facts: &Facts) -> BTreeMap<DumpId, String> {
    let is_missing = |entry: &&Entry| {
        let name = entry.name();
        let database = &facts.database;
        entry.kind == EntryKind::Extension
            && !database.available.contains_key(name)
            && !database.extensions.contains(name)
    };
    let why = "the server does not have this extension".to_owned();
    entries.iter().filter(is_missing).map(|entry| (entry.dump_id, why.clone())).collect()
}

/// Refuses extensions that the server does not have, and names the entries that depend on each.
fn refuse_missing_extensions(archive: &Archive, facts: &Facts) -> Result<(), Blocked> {
    let missing = missing_extensions(archive.entries(), facts);
    let extensions: Vec<String> = archive
        .entries()
        .iter()
        .filter(|entry| missing.contains_key(&entry.dump_id))
        .map(|extension| {
            let needs_it = |entry: &&Entry| {
                !matches!(entry.kind, EntryKind::Comment | EntryKind::Acl)
                    && entry.dependencies.contains(&extension.dump_id)
            };
            let dependents: Vec<String> = archive.entries().iter().filter(needs_it).map(label).collect();
            match dependents.is_empty() {
                true => format!("{}: no other entry depends on it", label(extension)),
                false => format!("{}: needed by {}", label(extension), inline(dependents.iter())),
            }
        })
        .collect();
    if extensions.is_empty() { Ok(()) } else { Err(Refusal::MissingExtensions(extensions).into()) }
}
