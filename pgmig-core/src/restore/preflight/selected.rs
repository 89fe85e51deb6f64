//! Chooses the entries that are restored, and plans their restore. The archive then shows only these.

use crate::archive::{Archive, DumpId, Entry, EntryKind};
use crate::error::Result;
use crate::progress::Notice;
use crate::restore::options::{Instances, RestoreOptions, SchemaSource};
use crate::restore::plan::extensions::findings;
use crate::restore::plan::{Blocked, Facts, Plan};
use crate::restore::refusal::Refusal;
use crate::selection::{Choice, LeftOut, Selection, SelectionError};
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
    let skips = options.selection.skip_unrestorable;
    let mut selected = Selected::default();
    loop {
        selected.again(archive, facts, options)?;
        let plan = match options.schema {
            SchemaSource::Target => Plan::of_contents(archive, facts),
            _ => refuse_extensions(archive, facts).and_then(|()| Plan::new(archive, facts)),
        };
        let Blocked { refusal, entries } = match plan {
            Ok(plan) => return Ok((plan, selected)),
            Err(blocked) => blocked,
        };
        let before = selected.unrestorable.len();
        if skips {
            selected.unrestorable.extend(entries.into_iter().zip(whys(&refusal)));
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

/// The reasons for leaving out the entries that block the plan, in their order.
fn whys(refusal: &Refusal) -> Box<dyn Iterator<Item = String> + '_> {
    let one = match refusal {
        // Without the remedy, which is this one.
        Refusal::Extensions(lines) => {
            let facts = lines.iter().map(|line| line.split(';').next().unwrap_or_default().to_owned());
            return Box::new(facts);
        }
        Refusal::NeedsTrust { .. } => {
            "only a superuser can make it, and the backup is not trusted (RestoreOptions::trust_archive)"
        }
        _ => "only a superuser can make it here, and su_username is not one",
    };
    Box::new(std::iter::repeat_with(|| one.to_owned()))
}

/// Refuses the archive's extensions with which a restore cannot succeed.
fn refuse_extensions(archive: &Archive, facts: &Facts) -> Result<(), Blocked> {
    let (entries, lines): (Vec<_>, Vec<_>) = findings(archive, facts).obstacles.into_iter().unzip();
    if entries.is_empty() {
        return Ok(());
    }
    Err(Blocked { refusal: Refusal::Extensions(lines), entries })
}
