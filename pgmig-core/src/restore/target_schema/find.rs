//! Examines the target's own schema before anything is changed, and decides where the archive's rows go.

use super::archived::Definitions;
use super::firing::Firing;
use super::lookups::{self, MergedTable};
use super::matching::{Matched, Matcher, of_table};
use super::obstacles::obstacles;
use super::own::{self, OwnTables};
use super::rules::{self, Findings};
use super::sequences::{self, SequenceValue};
use super::triggers::{TableTrigger, Trigger, triggers};
use super::{expressions, types, user_types};
use crate::archive::{Archive, DumpId, EntryKind};
use crate::backup::store::insert_columns;
use crate::error::Result;
use crate::migrations;
use crate::profile::{Profile, TableRef, TargetRules, TriggerRule};
use crate::progress::{Notice, NoticeCode};
use crate::restore::catalogs::tool_locks;
use crate::restore::plan::{Facts, Plan, RowForm, RunAs, TableLoad};
use crate::restore::refusal::Refusal;
use crate::restore::report::difference::{DifferenceKind, Outcome, TableDifference};
use crate::server::session::Session;
use crate::sql::{QualifiedName, quote_ident, quote_literal};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The most rows of a table that are counted, for the warning that they will be erased.
const MOST_COUNTED: u64 = 100_000;

/// The target's own schema: how it differs from the archive's, and how the archive's rows are loaded into it.
#[derive(Debug, Default)]
pub(crate) struct TargetSchema {
    /// Every difference, those that make the restore fail included: all are collected first.
    pub(crate) differences: Vec<TableDifference>,
    /// Rules of the profile that have no effect.
    pub(super) idle_rules: Vec<String>,
    pub(crate) notices: Vec<Notice>,
    /// The `search_path` for the target's triggers and defaults, as SQL.
    pub(crate) search_path: String,
    /// The time zone of the target's sessions.
    pub(crate) time_zone: String,
    /// Tables that keep the target's rows.
    pub(crate) kept: HashSet<QualifiedName>,
    /// Triggers that the archive does not have. They fire for the loaded rows.
    pub(crate) fired: HashSet<TableTrigger>,
    /// Triggers that are off while rows are loaded.
    pub(crate) held: HashSet<TableTrigger>,
    /// Tables that rows of the archive go to, with their partitions.
    pub(crate) loaded: HashSet<QualifiedName>,
    /// Tables whose rows stay if the archive has no row with their key.
    pub(crate) merged: Vec<MergedTable>,
    /// Tables with rows that the backup does not have, and that are perhaps the release's own.
    pub(crate) lookups: Vec<QualifiedName>,
    /// The profile's rules, and its tables that keep their rows.
    pub(crate) rules: TargetRules,
    pub(crate) global: Vec<TableRef>,
    /// Foreign keys that are NOT VALID in the archive, whose rows need not satisfy them: table and name.
    pub(crate) not_valid: HashSet<(QualifiedName, String)>,
}

/// Decides where the rows of the plan go, and which of its sequence values are set.
///
/// # Errors
///
/// [`Refusal::TargetObstacles`] if the target cannot be loaded into, whatever the archive holds;
/// [`Refusal::TargetRules`] if the profile's rules cannot be followed.
pub(crate) async fn find(
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
    let time_zone = time_zone(target, facts).await?;
    let matcher = Matcher {
        definitions: &definitions,
        named: &named,
        own: &own,
        own_types: &user_types::read(target).await?,
        profile,
        rules,
        time_zone: &time_zone,
        is_stream: archive.is_stream(),
    };
    let search_path = profile.map_or_else(|| vec!["public"], Profile::search_path);
    let search_path = search_path.into_iter().map(quote_ident).collect::<Vec<_>>().join(", ");
    let (mut matched, idle_rules) = matched(target, plan, &matcher, &search_path).await?;
    let time_zone = time_zone.clone();
    let global =
        profile.filter(|profile| !profile.is_builtin()).map(Profile::global_tables).unwrap_or_default();
    let mut found = TargetSchema {
        kept,
        search_path,
        time_zone,
        idle_rules,
        rules: rules.clone(),
        global: global.to_vec(),
        ..TargetSchema::default()
    };
    plan.tables = Arc::new(std::mem::take(&mut matched.loads));
    found.run_as_owners(plan, &own, facts);
    let in_target = |(table, name): &(QualifiedName, String)| {
        (matcher.destination(table).map_or(table, |(own, _)| own).clone(), name.clone())
    };
    found.not_valid = definitions.not_valid.iter().map(in_target).collect();
    let firing = Firing { own: &own, definitions: &definitions, rules };
    let triggers = triggers(target).await?;
    found.idle_rules.extend(idle_trigger_rules(rules, &triggers));
    found.fire(triggers, plan, &firing);
    found.new_tables(target, &mut matched).await?;
    found.differences = matched.differences.into_iter().collect();
    found.merged = lookups::merged(target, rules, &found.loaded).await?.map_err(Refusal::TargetRules)?;
    found.warn_of_histories();
    let lookups = lookups::find(target, archive, plan, &found.merged).await?;
    for (table, warning) in lookups {
        found.lookups.push(table);
        found.warn(NoticeCode::RowsOfTargetLost, warning);
    }
    if archive.is_stream() {
        found.warn_of_order();
    }
    found.warn_of_rules_and_locks(tool_locks::held(target).await?);
    let set = sequences::set_by_archive(target, archive, &matcher, &facts.roles.owner).await?;
    let obstacles = found.sequences(set, archive, plan, facts);
    if !obstacles.is_empty() {
        return Err(Refusal::TargetObstacles(obstacles).into());
    }
    Ok(found)
}

/// Matches all tables, and checks that the profile's rules can be followed. Also returns the rules that have no
/// effect.
async fn matched(
    target: &mut Session,
    plan: &Plan,
    matcher: &Matcher<'_>,
    search_path: &str,
) -> Result<(Matched, Vec<String>)> {
    // A built-in profile covers all releases of its store, and not every release has all its tables.
    let own_rules = matcher.profile.filter(|profile| !profile.is_builtin());
    let global = own_rules.map(Profile::global_tables).unwrap_or_default();
    let Findings { mut faults, idle } = rules::look(matcher, &plan.tables, global);
    let types = types::matches(target, &matcher.type_pairs(&plan.tables)).await?;
    let matched = matcher.run(&plan.tables, &types);
    faults.extend(expressions::faults(target, search_path, &matched.expressions).await?);
    if faults.is_empty() { Ok((matched, idle)) } else { Err(Refusal::TargetRules(faults).into()) }
}

/// The time zone that the settings of the database or of `username` give to sessions. Without such a setting, the
/// server's own, if pgmig may read it. pgmig's own sessions are in UTC.
async fn time_zone(target: &mut Session, facts: &Facts) -> Result<String> {
    let doing = "read the target's time zone";
    let sql = format!(
        "SELECT pg_catalog.substr(s.setting, 10) FROM pg_catalog.pg_db_role_setting r \
         LEFT JOIN pg_catalog.pg_roles o ON o.oid = r.setrole \
         LEFT JOIN pg_catalog.pg_database d ON d.oid = r.setdatabase, \
         LATERAL pg_catalog.unnest(r.setconfig) s(setting) \
         WHERE s.setting ILIKE 'timezone=%' AND (r.setrole = 0 OR o.rolname = {}) \
         AND (r.setdatabase = 0 OR d.datname = pg_catalog.current_database()) \
         ORDER BY r.setrole <> 0 AND r.setdatabase <> 0 DESC, r.setrole <> 0 DESC, r.setdatabase <> 0 DESC LIMIT 1",
        quote_literal(&facts.roles.owner)
    );
    let rows = target.rows(&sql, doing).await?;
    let of_server = || facts.time_zone.clone().unwrap_or_else(|| "UTC".to_owned());
    Ok(rows.first().map_or_else(of_server, |row| row.text(0).to_owned()))
}

/// Rules about triggers that the target does not have.
fn idle_trigger_rules(rules: &TargetRules, triggers: &[Trigger]) -> Vec<String> {
    let is_idle =
        |rule: &&TriggerRule| !triggers.iter().any(|trigger| rule.is(&trigger.of.table, &trigger.of.name));
    let idle = rules.trigger_off.iter().filter(is_idle);
    idle.map(|rule| {
        let table = QualifiedName { schema: rule.schema.clone(), name: rule.table.clone() };
        format!("trigger_off: {table}: the target has no such trigger")
    })
    .collect()
}

/// The columns that INSERT statements name, for tables that the archive does not define.
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

/// Tables that keep the target's rows: tables of extensions and of migration tools, and tables in the profile's
/// `global_tables`. Their partitions are included.
fn kept(own: &OwnTables, profile: Option<&Profile>) -> HashSet<QualifiedName> {
    let is_global = |name: &QualifiedName| {
        own.get(name).is_some_and(|table| table.is_of_tool(name))
            || profile.is_some_and(|profile| profile.is_global(name))
    };
    let kept = own.iter().filter(|(name, table)| {
        table.of_extension || is_global(table.root.as_ref().unwrap_or(name)) || is_global(name)
    });
    kept.map(|(name, _)| name.clone()).collect()
}

impl TargetSchema {
    /// The SET statement for the `search_path` on which the target's own code relies.
    pub(crate) fn set_search_path(&self) -> String {
        format!("SET search_path = {}", self.search_path)
    }

    pub(crate) fn keeps(&self, table: &QualifiedName) -> bool {
        self.kept.contains(table)
    }

    /// The refusal, or `None` if pgmig can handle all differences.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let (differences, idle_rules) = (&self.differences, &self.idle_rules);
        let is_other = |difference: &TableDifference| difference.column.is_none() && difference.is_refused();
        if self.loaded.is_empty() && idle_rules.is_empty() && differences.iter().any(is_other) {
            return Some(Refusal::NoTableInCommon);
        }
        differences.iter().any(TableDifference::is_refused).then(|| Refusal::TargetSchema {
            differences: differences.clone(),
            idle_rules: idle_rules.clone(),
        })
    }

    /// Handles tables that the archive does not have. They are emptied, too, so rows from the installation of a new
    /// product are lost unless the profile keeps them.
    async fn new_tables(&mut self, target: &mut Session, matched: &mut Matched) -> Result<()> {
        for name in &matched.new {
            let sql =
                format!("SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT {}) counted", MOST_COUNTED + 1);
            // A table that cannot be read is assumed to hold rows.
            let expected = target.expect_answers(false);
            let rows = match target.value(&sql, "count a table's rows").await {
                Err(error) if !error.is_lasting() => return Err(error.into()),
                rows => rows.ok().and_then(|rows| rows.parse().ok()),
            };
            target.expect_answers(expected);
            let rows = match rows {
                Some(0) => None,
                Some(1) => Some("its row is erased".to_owned()),
                Some(rows @ ..=MOST_COUNTED) => Some(format!("its {rows} rows are erased")),
                _ => Some("its rows are erased".to_owned()),
            };
            let outcome = match rows {
                None if self.fired.is_empty() => "it stays empty".to_owned(),
                None => "it stays empty, except for rows that triggers insert".to_owned(),
                Some(rows) => {
                    let keep = format!("global_tables: {{table: {}}} in the profile keeps them", name.name);
                    self.warn(
                        NoticeCode::OnlyInTarget,
                        format!("table {name} is only in the target: {rows}; {keep}"),
                    );
                    format!("{rows}; {keep}")
                }
            };
            let outcome = Outcome::Accepted(outcome);
            matched.differences.insert(of_table(name, DifferenceKind::OnlyInTarget, outcome));
        }
        Ok(())
    }

    /// Warns of tables that may be the history of a migration tool that pgmig does not know.
    fn warn_of_histories(&mut self) {
        let mut names: Vec<&QualifiedName> =
            self.loaded.iter().filter(|table| migrations::looks_like_history(&table.name)).collect();
        names.sort_unstable();
        let texts: Vec<String> = names
            .into_iter()
            .map(|table| {
                format!(
                    "table {table} has the name of a migration tool's history, and gets the backup's rows, which describe the \
                     backup's schema; if it is one, global_tables: {{table: {}}} in the profile keeps the target's rows",
                    table.name
                )
            })
            .collect();
        texts.into_iter().for_each(|text| self.warn(NoticeCode::LooksLikeHistory, text));
    }

    fn warn_of_rules_and_locks(&mut self, locks: Vec<QualifiedName>) {
        for rule in self.idle_rules.clone() {
            self.warn(NoticeCode::RuleDoesNothing, format!("a rule of the profile does nothing: {rule}"));
        }
        for table in locks {
            self.warn(NoticeCode::MigrationToolLock, format!(
                "a migration tool holds its lock in {table} of the target: is a migration under way there? The lock is kept"
            ));
        }
    }

    pub(super) fn warn(&mut self, code: NoticeCode, text: String) {
        self.notices.push(Notice::warning(code, text));
    }

    pub(super) fn notice(&mut self, code: NoticeCode, text: String) {
        self.notices.push(Notice::note(code, text));
    }

    /// The target's code (triggers, defaults, expressions of the profile) runs as the owner of its tables. For tables
    /// that do not belong to `username` it runs as the superuser.
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
            self.notice(NoticeCode::RunsAsSuperuser, format!(
                "these tables do not belong to username {}, so their rows are loaded as su_username {}, which their \
                 triggers and defaults then run as: {}",
                facts.roles.owner,
                facts.login,
                list(of_others)
            ));
        }
    }

    /// Sets the target's sequences that match sequences of the archive. Lists the archive's other sequences in a
    /// notice. Returns the sequences that no role of ours may set, each with a remedy.
    fn sequences(
        &mut self,
        set: Vec<SequenceValue>,
        archive: &Archive,
        plan: &mut Plan,
        facts: &Facts,
    ) -> Vec<String> {
        let (mut missing, mut obstacles) = (Vec::new(), Vec::new());
        let strings = archive.strings();
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
                    let is_set = !value.of_extension
                        && !value.owner.as_ref().is_some_and(|owner| self.kept.contains(owner));
                    if is_set && !value.is_settable && !value.as_superuser(task, strings, facts) {
                        obstacles.push(value.obstacle(&facts.roles.owner));
                    }
                    is_set
                }
            }
        });
        if !missing.is_empty() {
            let text = "the target has no such sequences, so they are not set";
            self.notice(NoticeCode::SequencesMissing, format!("{text}: {}", missing.join(", ")));
        }
        obstacles
    }
}

pub(super) fn list(labels: BTreeSet<String>) -> String {
    labels.into_iter().collect::<Vec<_>>().join(", ")
}
