//! From entries of the table of contents to tasks of the plan, one entry at a time.

mod grants;
mod large_objects;
mod pass;
mod rights;

use super::expected::Expected;
use super::partial;
use super::roles::Roles;
use super::superuser::words;
use super::{EntrySettings, Facts, Half, Plan, RowForm, RunAs, TableLoad, Task};
use crate::archive::{Archive, DumpId, Entry, EntryKind, Oid, Section};
use crate::copy::CopyStatement;
use crate::progress::{Notice, Severity};
use crate::restore::preflight::lock_table::of_entry as locks_of_entry;
use crate::restore::refusal::Refusal;
use crate::sql::{QualifiedName, StandardStrings, quote_ident};
use pass::{Pass, pass};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Goes through the table of contents once.
pub(crate) struct Planner<'a> {
    facts: &'a Facts,
    archive: &'a Archive,
    strings: StandardStrings,
    /// Whether names are qualified, thanks to a SEARCHPATH entry.
    qualified: bool,
    plan: Plan,
    /// The section that an entry without one belongs to: that of the entry before it.
    section: Section,
    /// The settings of the entry before, which most entries share.
    settings: Arc<EntrySettings>,
    /// Entries whose objects belong to the superuser.
    superusers: HashSet<DumpId>,
    /// Entries that were skipped; what describes them is skipped too.
    skipped: HashSet<DumpId>,
    /// Publications, and foreign servers (true), among them.
    skipped_wholes: HashSet<(bool, String)>,
    /// Entries whose objects are there already and belong to somebody else.
    foreign: HashSet<DumpId>,
    /// OIDs of the large objects of a BLOB METADATA entry.
    groups: HashMap<DumpId, Vec<u32>>,
    /// Large objects of BLOB entries that wait to be made together.
    blobs: Vec<(DumpId, u32)>,
    /// Tables that the archive creates; other ones with rows are an extension's.
    tables: HashSet<QualifiedName>,
    /// Types that the archive creates.
    types: HashSet<QualifiedName>,
    impossible: Vec<String>,
    /// Objects of others in the target under the names of the archive's.
    obstacles: Vec<String>,
    /// Schemas in which `username` may not create, and the first entry of each.
    closed_schemas: BTreeMap<String, String>,
    statistics: usize,
    oids: Vec<String>,
}

impl<'a> Planner<'a> {
    /// Plans the restore of an archive.
    pub(crate) fn plan(archive: &'a Archive, facts: &'a Facts) -> Result<Plan, Refusal> {
        partial::refuse(archive.entries())?;
        let mut planner = Self::new(archive, facts);
        for entry in archive.entries() {
            planner.entry(entry);
        }
        planner.finish()
    }

    /// Plans the rows of one entry.
    pub(crate) fn table_of(archive: &'a Archive, facts: &'a Facts, entry: &Entry) -> Option<TableLoad> {
        let mut planner = Self::new(archive, facts);
        planner.table_data(entry);
        Arc::make_mut(&mut planner.plan.tables).pop()
    }

    /// Plans the restore of what an archive holds, into tables that are there: rows, large objects, sequence values.
    pub(crate) fn plan_contents(archive: &'a Archive, facts: &'a Facts) -> Result<Plan, Refusal> {
        partial::refuse_foreign_rows(archive.entries())?;
        let mut planner = Self::new(archive, facts);
        let with_oids = archive.entries().iter().filter(|entry| entry.with_oids);
        planner.oids = with_oids.map(|entry| qualified_name(entry).to_string()).collect();
        for entry in archive.entries().iter().filter(|entry| partial::is_contents(entry)) {
            planner.entry(entry);
        }
        planner.finish()
    }

    fn new(archive: &'a Archive, facts: &'a Facts) -> Self {
        let strings =
            if archive.standard_conforming_strings() { StandardStrings::On } else { StandardStrings::Off };
        let qualified = archive.entries().iter().any(|entry| entry.kind == EntryKind::SearchPath);
        Self {
            facts,
            archive,
            strings,
            qualified,
            plan: Plan::default(),
            section: Section::PreData,
            settings: Arc::default(),
            superusers: HashSet::new(),
            skipped: HashSet::new(),
            skipped_wholes: HashSet::new(),
            foreign: HashSet::new(),
            groups: HashMap::new(),
            blobs: Vec::new(),
            tables: created_tables(archive),
            types: rights::created_types(archive),
            impossible: Vec::new(),
            obstacles: Vec::new(),
            closed_schemas: BTreeMap::new(),
            statistics: 0,
            oids: Vec::new(),
        }
    }

    fn entry(&mut self, entry: &Entry) {
        if entry.section != Section::None {
            self.section = entry.section;
        }
        if entry.kind != EntryKind::Blob {
            self.flush_blobs();
        }
        use EntryKind as K;
        match entry.kind {
            K::Encoding | K::StdStrings | K::SearchPath | K::Database | K::DatabaseProperties => {}
            K::TableData => self.table_data(entry),
            K::Blob => self.blobs.push((entry.dump_id, entry.catalog_id.oid.0)),
            K::Blobs => self.plan.large_objects.extend(entry.has_data().then_some(entry.dump_id)),
            K::BlobMetadata => self.blob_metadata(entry),
            K::Subscription | K::SubscriptionTable => self.skip(
                entry,
                Severity::Notice,
                "subscriptions connect to another server and are not restored; make it again where it is wanted",
            ),
            K::StatisticsData if self.facts.server_version < 180_000 => self.statistics += 1,
            K::Schema if self.is_present_schema(entry) => self.foreign_unless_owned(entry),
            K::Extension if self.is_present_extension(entry) => drop(self.foreign.insert(entry.dump_id)),
            K::ProceduralLanguage if self.is_present_extension(entry) => drop(self.foreign.insert(entry.dump_id)),
            K::Acl | K::AclLanguage | K::DefaultAcl => self.grants(entry),
            K::Policy => self.with_roles(entry, Roles::policy),
            K::UserMapping => self.with_roles(entry, Roles::user_mapping),
            K::Comment | K::SecurityLabel => self.description(entry),
            _ => self.object(entry),
        }
    }

    fn finish(mut self) -> Result<Plan, Refusal> {
        self.flush_blobs();
        self.refuse_what_lacks_rights()?;
        if self.statistics > 0 {
            let text = format!(
                "{} entries with planner statistics were skipped: servers before 18 cannot take them; ANALYZE is run \
                 instead",
                self.statistics
            );
            self.plan.notices.push(Notice { severity: Severity::Notice, text });
        }
        self.order_dependent_rows();
        if self.archive.has_all_entries() {
            self.warn_of_missing_rows();
        }
        for table in &self.oids {
            let text = format!(
                "table {table} was made WITH OIDS, which servers since 12 lack: it is restored without"
            );
            self.plan.notices.push(Notice { severity: Severity::Warning, text });
        }
        Ok(self.plan)
    }

    /// Rows that must come before others': pg_dump says so of an extension's tables that refer to each other.
    fn order_dependent_rows(&mut self) {
        let data: HashSet<DumpId> = self.plan.tables.iter().map(|load| load.dump_id).collect();
        let entries = self.archive.entries().iter().filter(|entry| data.contains(&entry.dump_id));
        let mut ordered = HashSet::new();
        for entry in entries {
            for before in entry.dependencies.iter().filter(|id| data.contains(id)) {
                ordered.extend([*before, entry.dump_id]);
            }
        }
        for load in Arc::make_mut(&mut self.plan.tables) {
            load.alone |= ordered.contains(&load.dump_id);
        }
    }

    /// pg_dump writes a data entry for every table, rows or not: where one is missing, its rows were left out.
    fn warn_of_missing_rows(&mut self) {
        let is_data = |entry: &&Entry| entry.kind == EntryKind::TableData;
        let with_rows: HashSet<String> = self
            .archive
            .entries()
            .iter()
            .filter(is_data)
            .map(|entry| qualified_name(entry).to_string())
            .collect();
        let without: Vec<String> = self
            .archive
            .entries()
            .iter()
            .filter(|entry| entry.kind == EntryKind::Table && !self.is_partitioned(entry))
            .map(|entry| qualified_name(entry).to_string())
            .filter(|table| !with_rows.contains(table))
            .collect();
        if without.is_empty() {
            return;
        }
        let some = without.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if without.len() > 10 { ", ..." } else { "" };
        let text = format!(
            "the archive defines tables whose rows it does not hold (was it made with --schema-only or \
             --exclude-table-data?), so they will be empty: {some}{more}"
        );
        self.plan.notices.push(Notice { severity: Severity::Warning, text });
    }

    fn is_partitioned(&self, entry: &Entry) -> bool {
        is_partitioned(entry, self.strings)
    }

    /// Everything that has SQL and nothing special about it.
    fn object(&mut self, entry: &Entry) {
        let Some(sql) = sql(entry) else { return };
        if self.is_of_others(entry, sql) {
            return;
        }
        self.note_closed_schema(entry);
        if entry.with_oids {
            self.oids.push(qualified_name(entry).to_string());
        }
        let mut statements = Vec::with_capacity(1);
        if self.needs_superuser(entry, sql) {
            self.as_superuser(entry, sql, &mut statements);
        } else {
            statements.push((RunAs::Owner, sql.to_owned()));
        }
        self.plan.expected.extend(Expected::of(entry, sql, self.strings));
        self.push(entry, statements);
    }

    /// A comment or a security label: made by whoever owns the object.
    fn description(&mut self, entry: &Entry) {
        let Some(sql) = self.of_own_object(entry) else { return };
        let run_as = self.describer(entry);
        self.push(entry, vec![(run_as, sql.to_owned())]);
    }

    /// The SQL of an entry that describes another one's object, if `username` can run it: the object was not
    /// left out and is not somebody else's.
    fn of_own_object<'e>(&mut self, entry: &'e Entry) -> Option<&'e str> {
        let sql = sql(entry)?;
        if is_about_database(entry) || self.describes(entry, &self.skipped) {
            return None;
        }
        if self.describes(entry, &self.foreign) {
            let why = format!("{} does not own it", quote_ident(&self.facts.roles.owner));
            self.skip(entry, Severity::Notice, &why);
            return None;
        }
        Some(sql)
    }

    fn describes(&self, entry: &Entry, objects: &HashSet<DumpId>) -> bool {
        entry.dependencies.iter().any(|id| objects.contains(id))
    }

    fn describer(&self, entry: &Entry) -> RunAs {
        if self.describes(entry, &self.superusers) { RunAs::Superuser } else { RunAs::Owner }
    }

    fn table_data(&mut self, entry: &Entry) {
        if !entry.has_data() {
            return;
        }
        let table = qualified_name(entry);
        let statement = entry.copy_statement.as_ref().and_then(|text| text.to_str().ok());
        let form = match statement.filter(|text| !text.is_empty()).map(CopyStatement::parse) {
            Some(Ok(mut copy)) => {
                if copy.table.schema.is_none() {
                    copy.table.schema.clone_from(&table.schema);
                }
                RowForm::Copy(copy)
            }
            // Without a COPY statement, or with one that only the server can judge, the block is SQL text.
            _ => RowForm::Inserts { schema: self.schema_setting(entry) },
        };
        // INSERT statements are text of the archive, which is not for a superuser; COPY data are only rows.
        let as_superuser = self.facts.is_superuser && matches!(form, RowForm::Copy(_));
        let is_created = self.tables.contains(&table);
        let run_as = if as_superuser && !is_created { RunAs::Superuser } else { RunAs::Owner };
        let load = TableLoad {
            dump_id: entry.dump_id,
            table,
            form,
            run_as,
            alone: !is_created,
            last: false,
            into: None,
        };
        Arc::make_mut(&mut self.plan.tables).push(load);
    }

    fn is_present_schema(&self, entry: &Entry) -> bool {
        let name = entry.tag.to_str().unwrap_or_default();
        // pg_dump 11 and newer write a comment instead of CREATE SCHEMA for public, older ones do create it.
        name == "public"
            || self.facts.fresh.schemas.contains_key(name)
            || sql(entry).is_some_and(|sql| sql.trim_start().starts_with("--"))
    }

    fn foreign_unless_owned(&mut self, entry: &Entry) {
        let name = entry.tag.to_str().unwrap_or_default();
        let is_own = match self.facts.fresh.schemas.get(name) {
            Some(rights) => rights.owns,
            None => self.facts.owner_owns_public,
        };
        if !is_own && !self.facts.owner_is_superuser {
            self.foreign.insert(entry.dump_id);
        }
    }

    fn is_present_extension(&self, entry: &Entry) -> bool {
        let name = entry.tag.to_str().unwrap_or_default();
        !self.facts.owner_is_superuser && self.facts.fresh.extensions.contains(name)
            || entry.kind == EntryKind::ProceduralLanguage && self.facts.fresh.extensions.contains(name)
    }

    fn skip(&mut self, entry: &Entry, severity: Severity, why: &str) {
        self.skipped.insert(entry.dump_id);
        let text = format!("{} was skipped: {why}", label(entry));
        self.plan.notices.push(Notice { severity, text });
    }

    fn task(&mut self, entry: &Entry, statements: Vec<(RunAs, String)>) -> Task {
        let settings = EntrySettings {
            schema: self.schema_setting(entry),
            tablespace: self.tablespace(entry),
            access_method: self.access_method(entry),
        };
        if settings != *self.settings {
            self.settings = Arc::new(settings);
        }
        let settings = Arc::clone(&self.settings);
        Task { dump_id: entry.dump_id, label: label(entry), statements, settings, half: Half::Both }
    }

    fn push(&mut self, entry: &Entry, statements: Vec<(RunAs, String)>) {
        if statements.is_empty() {
            return;
        }
        self.plan.locks +=
            locks_of_entry(entry, entry.kind == EntryKind::Table && self.is_partitioned(entry));
        let task = self.task(entry, statements);
        let plan = &mut self.plan;
        match (pass(entry), self.section) {
            (Pass::Privileges, _) => plan.privileges.push(task),
            (Pass::Last, _) => plan.last.push(task),
            (Pass::EventTriggers, _) => plan.event_triggers.push(task),
            (Pass::Main, Section::PreData | Section::None) => plan.pre_data.push(task),
            (Pass::Main, Section::Data) => plan.data_last.push(task),
            (Pass::Main, Section::PostData) => plan.post_data.push(task),
        }
    }

    fn schema_setting(&self, entry: &Entry) -> Option<String> {
        let schema = entry.namespace.as_ref()?.to_str().ok()?;
        (!self.qualified && !schema.is_empty()).then(|| schema.to_owned())
    }

    fn tablespace(&mut self, entry: &Entry) -> Option<String> {
        let tablespace = entry.tablespace.as_ref()?.to_str().ok()?;
        if tablespace.is_empty() || self.facts.tablespaces.contains(tablespace) {
            return Some(tablespace.to_owned());
        }
        let text = format!(
            "{} was in tablespace {}, which this cluster lacks or keeps from username, and goes to the database's own",
            label(entry),
            quote_ident(tablespace)
        );
        self.plan.notices.push(Notice { severity: Severity::Warning, text });
        Some(String::new())
    }

    fn access_method(&self, entry: &Entry) -> Option<String> {
        // A partitioned table has none to be set before PostgreSQL 17, and needs none.
        if entry.relation_kind == Some('p') {
            return None;
        }
        let method = entry.table_access_method.as_ref()?.to_str().ok()?;
        (!method.is_empty() && self.facts.server_version >= 120_000).then(|| method.to_owned())
    }
}

/// The partitioned tables that an archive makes.
pub(crate) fn partitioned_tables(archive: &Archive) -> HashSet<QualifiedName> {
    let strings =
        if archive.standard_conforming_strings() { StandardStrings::On } else { StandardStrings::Off };
    let tables = archive.entries().iter().filter(|entry| entry.kind == EntryKind::Table);
    tables.filter(|entry| is_partitioned(entry, strings)).map(qualified_name).collect()
}

/// A partitioned table has no rows of its own. Containers before 1.16 tell it only by its definition.
fn is_partitioned(entry: &Entry, strings: StandardStrings) -> bool {
    let by = ["partition", "by"];
    entry.relation_kind == Some('p') || sql(entry).is_some_and(|sql| words(sql, strings, &by))
}

/// Whether an entry describes the database itself, which only a restore with `--create` would restore. pg_dump
/// 9.x gives it the database's plain name and place in pg_database, newer ones say DATABASE.
fn is_about_database(entry: &Entry) -> bool {
    const PG_DATABASE: Oid = Oid(1262);
    entry.catalog_id.table_oid == PG_DATABASE || entry.tag.as_bytes().starts_with(b"DATABASE ")
}

fn created_tables(archive: &Archive) -> HashSet<QualifiedName> {
    let tables = archive.entries().iter().filter(|entry| entry.kind == EntryKind::Table);
    tables.map(qualified_name).collect()
}

fn sql(entry: &Entry) -> Option<&str> {
    entry.sql()?.to_str().ok()
}

fn owner(entry: &Entry) -> &str {
    entry.owner.as_ref().and_then(|owner| owner.to_str().ok()).unwrap_or_default()
}

pub(crate) fn qualified_name(entry: &Entry) -> QualifiedName {
    let name = entry.tag.to_str().unwrap_or_default();
    match entry.namespace.as_ref().and_then(|schema| schema.to_str().ok()).filter(|schema| !schema.is_empty())
    {
        Some(schema) => QualifiedName::new(schema, name),
        None => QualifiedName::unqualified(name),
    }
}

/// What messages call an entry: `INDEX store.tenant_name`.
fn label(entry: &Entry) -> String {
    let label = entry.label();
    match label.namespace.filter(|schema| !schema.is_empty()) {
        Some(schema) => format!("{} {schema}.{}", label.desc, label.tag),
        None => format!("{} {}", label.desc, label.tag),
    }
}
