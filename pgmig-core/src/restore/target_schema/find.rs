//! Looks at the target's own schema before anything is changed, and decides where the archive's rows go.

use super::archived::Definitions;
use super::difference::TableDifference;
use super::lifted::{InsertTrigger, insert_triggers};
use super::matching::{Matched, Matcher};
use super::own::{self, OwnTables};
use super::types;
use crate::archive::{Archive, DumpId, EntryKind};
use crate::error::Result;
use crate::profile::{Profile, TargetRules};
use crate::progress::{Notice, Severity};
use crate::restore::discover::insert_columns;
use crate::restore::error::Refusal;
use crate::restore::plan::{Facts, Plan, RowForm, RunAs, TableLoad};
use crate::restore::planner::qualified_name;
use crate::schema;
use crate::sql::QualifiedName;
use crate::target::session::Session;
use std::collections::{BTreeSet, HashMap, HashSet};

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
}

/// Decides where the rows of the plan go, and which of its sequence values are set.
///
/// # Errors
///
/// [`Refusal::TargetSchema`] with all differences if one cannot be dealt with.
pub(in crate::restore) async fn find(
    target: &mut Session,
    archive: &Archive,
    plan: &mut Plan,
    profile: Option<&Profile>,
    facts: &Facts,
) -> Result<TargetSchema> {
    let definitions = Definitions::of(archive);
    let own = own::tables(target).await?;
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
    plan.tables = loads;
    for load in &mut plan.tables {
        let is_rows = matches!(load.form, RowForm::Copy(_));
        load.alone = false;
        load.run_as = if facts.is_superuser && is_rows { RunAs::Superuser } else { RunAs::Owner };
    }
    let mut found = TargetSchema { differences, kept: kept(&own, profile), ..TargetSchema::default() };
    let search_path = profile.map_or_else(|| vec!["public"], Profile::search_path);
    found.search_path = search_path.into_iter().map(str::to_owned).collect();
    found.fire(insert_triggers(target).await?, plan, &own, &definitions);
    found.sequences(target, archive, plan).await?;
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
            let label = format!("{} of {table}", crate::sql::quote_ident(&trigger.name));
            if !definitions.any() {
                off.insert(label);
            } else if !sources.any(|source| definitions.has_trigger(source, &trigger.name)) {
                on.insert(label);
                tables.insert(table);
                self.fired.insert(trigger);
            }
        }
        let list = |labels: BTreeSet<String>| labels.into_iter().collect::<Vec<_>>().join(", ");
        if !on.is_empty() {
            let text = "triggers that the archive lacks fire for the rows that are loaded";
            self.notice(format!("{text}: {}", list(on)));
        }
        if !off.is_empty() {
            let text = "the archive does not tell which triggers its rows went through, so these do not fire for them";
            self.notice(format!("{text}: {}", list(off)));
        }
        for load in &mut plan.tables {
            load.last = load.into.as_ref().is_some_and(|into| tables.contains(&into.table));
        }
    }

    fn notice(&mut self, text: String) {
        self.notices.push(Notice { severity: Severity::Notice, text });
    }

    /// Leaves out the values of sequences that the target does not have, or that fill a table which keeps its rows.
    async fn sequences(&mut self, target: &mut Session, archive: &Archive, plan: &mut Plan) -> Result<()> {
        let sql = "\
            SELECT n.nspname, s.relname, cn.nspname, c.relname FROM pg_catalog.pg_class s \
            JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace \
            LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                AND d.objid = s.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                AND d.deptype IN ('a', 'i') \
            LEFT JOIN pg_catalog.pg_class c ON c.oid = d.refobjid \
            LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace WHERE s.relkind = 'S'";
        let rows = target.rows(sql, "list the target's sequences").await?;
        let owners: HashMap<QualifiedName, QualifiedName> = rows
            .iter()
            .map(|row| {
                (QualifiedName::new(row.text(0), row.text(1)), QualifiedName::new(row.text(2), row.text(3)))
            })
            .collect();
        let names: HashMap<DumpId, QualifiedName> = archive
            .entries()
            .iter()
            .filter(|entry| entry.kind == EntryKind::SequenceSet)
            .map(|entry| (entry.dump_id, qualified_name(entry)))
            .collect();
        let mut missing = Vec::new();
        plan.data_last.retain(|task| {
            let Some(name) = names.get(&task.dump_id) else { return true };
            match owners.get(name) {
                Some(owner) => !self.kept.contains(owner),
                None => {
                    missing.push(name.to_string());
                    false
                }
            }
        });
        if !missing.is_empty() {
            self.notice(format!(
                "the target has no such sequences, so they are not set: {}",
                missing.join(", ")
            ));
        }
        Ok(())
    }
}
