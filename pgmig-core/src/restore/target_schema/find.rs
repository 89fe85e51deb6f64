//! Looks at the target's own schema before anything is changed, and decides where the archive's rows go.

use super::archived::Definitions;
use super::difference::TableDifference;
use super::lifted::{InsertTrigger, insert_triggers};
use super::matching::{Matched, Matcher};
use super::obstacles::obstacles;
use super::own::{self, OwnTables};
use super::sequences::{self, SequenceValue};
use super::types;
use crate::archive::{Archive, DumpId, EntryKind};
use crate::error::Result;
use crate::profile::{Profile, TargetRules};
use crate::progress::{Notice, Severity};
use crate::restore::discover::insert_columns;
use crate::restore::error::Refusal;
use crate::restore::plan::{Facts, Plan, RowForm, RunAs, TableLoad};
use crate::schema;
use crate::sql::{QualifiedName, quote_ident};
use crate::target::session::Session;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What is known of the target's own schema, and of how the archive's rows get into it.
#[derive(Debug, Default)]
pub(in crate::restore) struct TargetSchema {
    /// Every difference, none of them refused.
    pub(in crate::restore) differences: Vec<TableDifference>,
    pub(in crate::restore) notices: Vec<Notice>,
    /// The search_path that the target's triggers and defaults can rely on.
    pub(super) search_path: Vec<String>,
    /// Tables that keep the target's rows.
    pub(super) kept: HashSet<QualifiedName>,
    /// Triggers that the archive does not have: they fire for the loaded rows.
    pub(super) fired: HashSet<InsertTrigger>,
    /// Foreign keys that the archive's own rows need not fulfil: table and name.
    pub(super) not_valid: HashSet<(QualifiedName, String)>,
}

/// Decides where the rows of the plan go, and which of its sequence values are set.
///
/// # Errors
///
/// [`Refusal::TargetObstacles`] if the target cannot be loaded into, whatever the archive holds;
/// [`Refusal::TargetSchema`] with all differences if one cannot be dealt with.
pub(in crate::restore) async fn find(
    target: &mut Session,
    archive: &Archive,
    plan: &mut Plan,
    profile: Option<&Profile>,
    facts: &Facts,
) -> Result<TargetSchema> {
    let definitions = Definitions::of(archive);
    let own = own::tables(target, &facts.roles.owner).await?;
    let kept = kept(&own, profile);
    let obstacles = obstacles(target, &own, &kept, facts).await?;
    if !obstacles.is_empty() {
        return Err(Refusal::TargetObstacles(obstacles).into());
    }
    let no_rules = TargetRules::default();
    let rules = profile.map_or(&no_rules, Profile::target_rules);
    let named = columns_of_inserts(archive, &plan.tables, &definitions)?;
    let matcher = Matcher { definitions: &definitions, named: &named, own: &own, profile, rules };
    let types = types::matches(target, &matcher.type_pairs(&plan.tables)).await?;
    let Matched { loads, differences } = matcher.run(&plan.tables, &types);
    let differences: Vec<TableDifference> = differences.into_iter().collect();
    if differences.iter().any(TableDifference::is_refused) {
        return Err(Refusal::TargetSchema { differences }.into());
    }
    plan.tables = Arc::new(loads);
    let mut found = TargetSchema { differences, kept, ..TargetSchema::default() };
    found.run_as_owners(plan, &own, facts);
    let search_path = profile.map_or_else(|| vec!["public"], Profile::search_path);
    found.search_path = search_path.into_iter().map(str::to_owned).collect();
    let in_target = |(table, name): &(QualifiedName, String)| {
        (matcher.destination(table).map_or(table, |(own, _)| own).clone(), name.clone())
    };
    found.not_valid = definitions.not_valid.iter().map(in_target).collect();
    found.fire(insert_triggers(target).await?, plan, &own, &definitions);
    if archive.is_stream() {
        found.warn_of_order();
    }
    let set = sequences::set_by_archive(target, archive, &matcher).await?;
    found.sequences(set, archive, plan);
    Ok(found)
}

/// The columns that INSERT statements name, of tables that the archive does not define.
fn columns_of_inserts(
    archive: &Archive,
    loads: &[TableLoad],
    definitions: &Definitions,
) -> Result<HashMap<DumpId, Vec<String>>> {
    let mut named = HashMap::new();
    for load in loads.iter().filter(|load| matches!(load.form, RowForm::Inserts { .. })) {
        if definitions.columns(&load.table).is_none()
            && let Some(columns) = insert_columns(archive, load.dump_id)?
        {
            named.insert(load.dump_id, columns);
        }
    }
    Ok(named)
}

/// Tables that keep the target's rows: those of extensions, of migration tools, and those that the profile names,
/// with their partitions.
fn kept(own: &OwnTables, profile: Option<&Profile>) -> HashSet<QualifiedName> {
    let is_global = |name: &QualifiedName| {
        schema::is_tool_table(&name.name) || profile.is_some_and(|profile| profile.is_global(name))
    };
    let kept = own.iter().filter(|(name, table)| {
        table.of_extension || is_global(table.root.as_ref().unwrap_or(name)) || is_global(name)
    });
    kept.map(|(name, _)| name.clone()).collect()
}

impl TargetSchema {
    /// Whether a table keeps the target's rows.
    pub(super) fn keeps(&self, table: &QualifiedName) -> bool {
        self.kept.contains(table)
    }

    /// Triggers that the archive has, too, have done their work on its rows. The others fire for them: they are a
    /// part of the schema that the rows get. Their tables are loaded last, so that what they look for is there.
    fn fire(
        &mut self,
        triggers: Vec<InsertTrigger>,
        plan: &mut Plan,
        own: &OwnTables,
        definitions: &Definitions,
    ) {
        let (mut on, mut off, mut tables) = (BTreeSet::new(), BTreeSet::new(), HashSet::new());
        for trigger in triggers {
            // A partition has a clone of its root's trigger, and that is the one which fires.
            let root = own.get(&trigger.table).and_then(|table| table.root.as_ref());
            let table = root.unwrap_or(&trigger.table).clone();
            let mut sources = plan
                .tables
                .iter()
                .filter(|load| load.into.as_ref().is_some_and(|into| into.table == table))
                .flat_map(|load| std::iter::once(&load.table).chain(definitions.parents(&load.table)))
                .peekable();
            if sources.peek().is_none() {
                continue;
            }
            let label = format!("{} of {table}", quote_ident(&trigger.name));
            if !definitions.any() {
                off.insert(label);
            } else if !sources.any(|source| definitions.has_trigger(source, &trigger.name)) {
                on.insert(label);
                tables.insert(table);
                self.fired.insert(trigger);
            }
        }
        if !on.is_empty() {
            let text = "triggers that the archive lacks fire for the rows that are loaded";
            self.notice(format!("{text}: {}", list(on)));
        }
        if !off.is_empty() {
            let text = "the archive does not tell which triggers its rows went through, so these do not fire for them";
            self.notice(format!("{text}: {}", list(off)));
        }
        for load in Arc::make_mut(&mut plan.tables) {
            load.last = load.into.as_ref().is_some_and(|into| tables.contains(&into.table));
        }
    }

    fn notice(&mut self, text: String) {
        self.notices.push(Notice { severity: Severity::Notice, text });
    }

    /// The archive's order is that of a stream, whatever triggers need.
    fn warn_of_order(&mut self) {
        if self.fired.is_empty() {
            return;
        }
        let mut names: Vec<String> =
            self.fired.iter().map(|on| format!("{} of {}", quote_ident(&on.name), on.table)).collect();
        names.sort_unstable();
        let text = format!(
            "rows of a stream are loaded in the archive's order, so what triggers look for in other tables may not be there \
             yet; of a file, their tables are loaded last: {}",
            names.join(", ")
        );
        self.notices.push(Notice { severity: Severity::Warning, text });
    }

    /// The target's code (triggers, defaults, expressions of the profile) runs as the owner of its tables; as the
    /// superuser only where the table is somebody else's.
    fn run_as_owners(&mut self, plan: &mut Plan, own: &OwnTables, facts: &Facts) {
        let mut of_others = BTreeSet::new();
        for load in Arc::make_mut(&mut plan.tables) {
            load.alone = false;
            load.run_as = RunAs::Owner;
            let Some(into) = &load.into else { continue };
            if own.get(&into.table).is_some_and(|table| !table.is_owned) && facts.is_superuser {
                load.run_as = RunAs::Superuser;
                of_others.insert(into.table.to_string());
            }
        }
        if !of_others.is_empty() {
            self.notice(format!(
                "these tables do not belong to username {}, so their rows are loaded as su_username {}, which their \
                 triggers and defaults then run as: {}",
                facts.roles.owner,
                facts.login,
                list(of_others)
            ));
        }
    }

    /// Sets the target's sequences that fill what the archive's do, and tells of the others.
    fn sequences(&mut self, set: Vec<SequenceValue>, archive: &Archive, plan: &mut Plan) {
        let mut missing = Vec::new();
        let mut by_entry: HashMap<DumpId, SequenceValue> =
            set.into_iter().map(|value| (value.dump_id, value)).collect();
        plan.data_last.retain_mut(|task| {
            let is_value =
                archive.entry(task.dump_id).is_some_and(|entry| entry.kind == EntryKind::SequenceSet);
            match by_entry.remove(&task.dump_id) {
                None => !is_value,
                Some(SequenceValue { sequence: None, name, .. }) => {
                    missing.push(name.to_string());
                    false
                }
                Some(value) => {
                    value.redirect(&mut task.statements);
                    !value.owner.is_some_and(|owner| self.kept.contains(&owner))
                }
            }
        });
        if !missing.is_empty() {
            let text = "the target has no such sequences, so they are not set";
            self.notice(format!("{text}: {}", missing.join(", ")));
        }
    }
}

fn list(labels: BTreeSet<String>) -> String {
    labels.into_iter().collect::<Vec<_>>().join(", ")
}
