//! Which of the target's triggers fire while rows are loaded.
//!
//! Triggers that the archive also has have done their work on its rows. Triggers that only the target has fire, since they
//! belong to the schema that the rows get. Whatever they change in other tables has to go past the triggers of these tables,
//! too, as it would in daily work. So only those triggers are off that would fire for the rows of the archive themselves.

use super::archived::Definitions;
use super::find::{TargetSchema, list};
use super::own::OwnTables;
use super::triggers::{TableTrigger, Trigger};
use crate::profile::TargetRules;
use crate::progress::NoticeCode;
use crate::restore::plan::Plan;
use crate::sql::{QualifiedName, quote_ident};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// The facts that the decision depends on.
pub(crate) struct Firing<'a> {
    pub(crate) own: &'a OwnTables,
    pub(crate) definitions: &'a Definitions,
    pub(crate) rules: &'a TargetRules,
}

impl TargetSchema {
    /// Decides which triggers fire. Tables with such triggers are loaded last, so that the rows which these read are there.
    pub(super) fn fire(&mut self, triggers: Vec<Trigger>, plan: &mut Plan, firing: &Firing<'_>) {
        let Firing { own, definitions, rules } = firing;
        let (mut on, mut off, mut by_rule) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut tables = HashSet::new();
        self.loaded = loaded(plan, own);
        for trigger in triggers {
            // A partition has a clone of its root's trigger, and that clone fires.
            let root = own.get(&trigger.of.table).and_then(|table| table.root.as_ref());
            let table = root.unwrap_or(&trigger.of.table).clone();
            let label = format!("{} of {table}", quote_ident(&trigger.of.name));
            let mut sources = plan
                .tables
                .iter()
                .filter(|load| load.into.as_ref().is_some_and(|into| into.table == table))
                .flat_map(|load| std::iter::once(&load.table).chain(definitions.parents(&load.table)))
                .peekable();
            if rules.keeps_off(&table, &trigger.of.name)
                || rules.keeps_off(&trigger.of.table, &trigger.of.name)
            {
                by_rule.insert(label);
                self.held.insert(trigger.of);
            } else if !trigger.is_for_insert || sources.peek().is_none() {
                // No row of the archive makes it fire.
            } else if !definitions.any() {
                off.insert(label);
                self.held.insert(trigger.of);
            } else if sources.any(|source| definitions.has_trigger(source, &trigger.of.name)) {
                self.held.insert(trigger.of);
            } else {
                on.insert(label);
                tables.insert(table);
                self.fired.insert(trigger.of);
            }
        }
        for (labels, text) in [
            (on, "triggers that the archive does not have fire for the loaded rows"),
            (
                off,
                "the archive does not tell which triggers its rows went through, so these do not fire for them",
            ),
            (by_rule, "triggers that a rule of the profile keeps off while rows are loaded"),
        ] {
            if !labels.is_empty() {
                self.notice(NoticeCode::TriggersOfTarget, format!("{text}: {}", list(labels)));
            }
        }
        for load in Arc::make_mut(&mut plan.tables) {
            load.last = load.into.as_ref().is_some_and(|into| tables.contains(&into.table));
        }
    }

    /// A stream is loaded in the order of the archive, whatever rows triggers need.
    pub(super) fn warn_of_order(&mut self) {
        if self.fired.is_empty() {
            return;
        }
        let label = |on: &TableTrigger| format!("{} of {}", quote_ident(&on.name), on.table);
        let mut names: Vec<String> = self.fired.iter().map(label).collect();
        names.sort_unstable();
        let text = format!(
            "rows of a stream are loaded in the archive's order, so what triggers look for in other tables may not be there \
             yet; of a file, their tables are loaded last: {}",
            names.join(", ")
        );
        self.warn(NoticeCode::OrderUnknown, text);
    }
}

/// The target's tables that rows of the archive go to, with their partitions.
fn loaded(plan: &Plan, own: &OwnTables) -> HashSet<QualifiedName> {
    let into: HashSet<&QualifiedName> =
        plan.tables.iter().filter_map(|load| Some(&load.into.as_ref()?.table)).collect();
    let is_loaded = |(name, table): &(&QualifiedName, &super::own::OwnTable)| {
        into.contains(name) || table.root.as_ref().is_some_and(|root| into.contains(root))
    };
    own.iter().filter(is_loaded).map(|(name, _)| name.clone()).collect()
}
