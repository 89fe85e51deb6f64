//! Turns the entries of the table of contents into tasks of the plan, one entry at a time.

mod closed;
mod grants;
mod large_objects;
mod public;
mod required;
mod rights;
pub(crate) mod rows;

use super::entry::{label, sql};
use super::expected::Expected;
use super::extensions::ReplacedRows;
use super::kinds::{self, Made};
use super::locks::of_entry as locks_of_entry;
use super::partial;
use super::pass::{PlanPass, pass};
use super::roles::Roles;
use super::{Blocked, EntrySettings, EntryStep, Facts, Plan, RunAs, TableLoad, Task};
use crate::archive::{Archive, DumpId, Entry, EntryKind, Oid, Section};
use crate::progress::{Notice, NoticeCode, Severity};
use crate::sql::{QualifiedName, StandardStrings, quote_ident};
use rights::{ClosedSchema, SkippedWholes};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A plan under way. The planner reads the table of contents once.
pub(crate) struct Planner<'a> {
    facts: &'a Facts,
    archive: &'a Archive,
    strings: StandardStrings,
    /// Whether statements name objects with their schema: archives with a SEARCHPATH entry do.
    qualified: bool,
    plan: Plan,
    /// The section of the last entry that had one. Entries without a section follow the object that they describe.
    section: Section,
    /// The settings of the last entry. Most entries share them.
    settings: Arc<EntrySettings>,
    /// Entries whose objects belong to the superuser.
    superusers: HashSet<DumpId>,
    /// Entries that were skipped. Entries that describe their objects are skipped too.
    skipped: HashSet<DumpId>,
    /// Objects that were skipped and that other entries name.
    skipped_wholes: SkippedWholes,
    /// Entries whose objects exist and belong to another role.
    not_ours: HashSet<DumpId>,
    /// OIDs of the large objects of each BLOB METADATA entry.
    groups: HashMap<DumpId, Vec<u32>>,
    /// Large objects of BLOB entries that are not planned yet: one statement makes many.
    blobs: Vec<(DumpId, u32)>,
    /// Tables that the archive creates. Other tables with rows belong to an extension.
    tables: HashSet<QualifiedName>,
    /// Relations that the archive creates. Other relations that its statements name belong to extensions or other roles.
    relations: HashSet<QualifiedName>,
    /// Views, types and functions that use an object which `username` may not use, each with that object.
    closed: HashMap<DumpId, String>,
    /// Types that the archive creates.
    types: HashSet<QualifiedName>,
    /// The owners of the archive's objects.
    owners: HashSet<String>,
    /// The application's role in the archive, for the plan of a whole one.
    application: Option<String>,
    /// Entries that the login may not create, a line each.
    impossible: Vec<(DumpId, String)>,
    /// Objects of other roles in the target whose names the archive's objects take, a line each.
    obstacles: Vec<String>,
    /// Schemas in which `username` may not create objects.
    closed_schemas: BTreeMap<String, ClosedSchema>,
    /// Privileges on schemas that their owner revokes from itself. They come after all others, because afterwards the owner
    /// may not name the objects in the schema.
    closing: Vec<Task>,
    /// How many entries with statistics were skipped.
    statistics: usize,
    /// Tables that were made WITH OIDS.
    oids: Vec<String>,
}

impl<'a> Planner<'a> {
    /// Plans the restore of an archive.
    pub(crate) fn plan(archive: &'a Archive, facts: &'a Facts) -> Result<Plan, Blocked> {
        partial::refuse(archive.all_entries(), archive.entries())?;
        let mut planner = Self::new(archive, facts);
        let objects = rights::objects_by_owner(archive);
        planner.application = rights::application(&objects, &facts.roles);
        let others = rights::other_owners(&objects, planner.application.as_deref(), &facts.roles);
        planner.plan.notices.extend(others);
        for entry in archive.entries() {
            planner.entry(entry);
        }
        planner.finish()
    }

    /// Plans the rows of one entry, and those of the target that give way to them.
    pub(crate) fn table_of(
        archive: &'a Archive,
        facts: &'a Facts,
        entry: &Entry,
    ) -> (Option<TableLoad>, Vec<ReplacedRows>) {
        let mut planner = Self::new(archive, facts);
        planner.table_data(entry);
        (Arc::make_mut(&mut planner.plan.tables).pop(), planner.plan.replaced_rows)
    }

    /// Plans the restore of an archive's contents into tables that exist: rows, large objects, sequence values.
    pub(crate) fn plan_contents(archive: &'a Archive, facts: &'a Facts) -> Result<Plan, Blocked> {
        partial::refuse_foreign_rows(archive.entries())?;
        let mut planner = Self::new(archive, facts);
        let with_oids = archive.entries().iter().filter(|entry| entry.with_oids);
        planner.oids = with_oids.map(|entry| entry.qualified_name().to_string()).collect();
        for entry in archive.entries().iter().filter(|entry| partial::is_contents(entry)) {
            planner.entry(entry);
        }
        planner.finish()
    }

    fn new(archive: &'a Archive, facts: &'a Facts) -> Self {
        let strings = archive.strings();
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
            skipped_wholes: SkippedWholes::default(),
            not_ours: HashSet::new(),
            groups: HashMap::new(),
            blobs: Vec::new(),
            tables: rows::created_tables(archive),
            relations: required::created_relations(archive),
            closed: HashMap::new(),
            types: rights::created_types(archive),
            owners: rights::owners(archive),
            application: None,
            impossible: Vec::new(),
            obstacles: Vec::new(),
            closed_schemas: BTreeMap::new(),
            closing: Vec::new(),
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
        match kinds::of(entry.kind).made {
            Made::Never => {}
            Made::Rows => self.table_data(entry),
            Made::LargeObject => self.blobs.push((entry.dump_id, entry.catalog_id.oid.0)),
            Made::LargeObjectGroup => self.blob_metadata(entry),
            Made::LargeObjectData => self.plan.large_objects.extend(entry.has_data().then_some(entry.dump_id)),
            Made::Subscription => self.skip(
                entry,
                Severity::Warning,
                "subscriptions connect to another server and are not restored; make it again where it is wanted",
            ),
            Made::Statistics if self.facts.server_version < 180_000 => self.statistics += 1,
            Made::Schema if self.is_present_schema(entry) => self.present_schema(entry),
            Made::Extension if self.is_present_extension(entry) => drop(self.not_ours.insert(entry.dump_id)),
            Made::Language if self.is_present_language(entry) => drop(self.not_ours.insert(entry.dump_id)),
            Made::Privileges => self.grants(entry),
            Made::Policy => self.with_roles(entry, Roles::policy),
            Made::UserMapping => self.with_roles(entry, Roles::user_mapping),
            Made::Description => self.description(entry),
            Made::Object | Made::Statistics | Made::Schema | Made::Extension | Made::Language => {
                self.object(entry);
            }
        }
    }

    fn finish(mut self) -> Result<Plan, Blocked> {
        self.flush_blobs();
        self.refuse_what_lacks_rights()?;
        if self.statistics > 0 {
            let text = format!(
                "{} entries with planner statistics were skipped: servers before 18 cannot take them; ANALYZE is run \
                 instead",
                self.statistics
            );
            self.plan.notices.push(Notice::note(NoticeCode::StatisticsSkipped, text));
        }
        self.order_dependent_rows();
        if self.archive.has_all_entries() {
            self.warn_of_missing_rows();
        }
        if !self.archive.header().has_comments {
            let text = "the script has none of pg_dump's comments, so nothing shows whether it is complete: compare the rows \
                        with those of the source"
                .to_owned();
            self.plan.notices.push(Notice::warning(NoticeCode::ScriptWithoutComments, text));
        }
        for table in &self.oids {
            let text = format!(
                "table {table} was made WITH OIDS, which servers since 12 lack: it is restored without"
            );
            self.plan.notices.push(Notice::warning(NoticeCode::OidsDropped, text));
        }
        self.plan.privileges.append(&mut self.closing);
        Ok(self.plan)
    }

    /// An object that needs nothing but its statements.
    fn object(&mut self, entry: &Entry) {
        let Some(sql) = sql(entry) else { return };
        if entry.kind == EntryKind::SequenceSet && self.is_of_extension(entry) {
            self.extension_sequence(entry, sql);
            return;
        }
        if self.is_not_ours(entry, sql) {
            return;
        }
        self.note_closed_schema(entry);
        if entry.with_oids {
            self.oids.push(entry.qualified_name().to_string());
        }
        let mut statements = self.statements(entry, sql);
        statements.extend(self.method_of_partitions(entry));
        self.plan.expected.extend(Expected::of(entry, sql, self.strings));
        self.push(entry, statements);
    }

    /// A comment or a security label. The owner of the object makes it.
    fn description(&mut self, entry: &Entry) {
        if self.comment_on_schema_of_others(entry) {
            return;
        }
        let Some(sql) = self.of_own_object(entry) else { return };
        let run_as = self.describer(entry);
        self.push(entry, vec![(run_as, sql.to_owned())]);
    }

    /// The SQL of an entry that describes the object of another entry. `None` if that object was skipped, or belongs to
    /// another role.
    fn of_own_object<'e>(&mut self, entry: &'e Entry) -> Option<&'e str> {
        let sql = self.of_restored_object(entry)?;
        if self.describes(entry, &self.not_ours) || self.is_about_schema_of_others(entry) {
            let why = format!("{} does not own it", quote_ident(&self.facts.roles.owner));
            self.skip(entry, Severity::Notice, &why);
            return None;
        }
        Some(sql)
    }

    /// Whether an entry describes a schema of another role for which the archive has no entry: pg_dump 15 and later write
    /// none for public.
    fn is_about_schema_of_others(&self, entry: &Entry) -> bool {
        let name = entry.name().strip_prefix("SCHEMA ").and_then(|name| QualifiedName::parse(name).ok());
        let Some(QualifiedName { schema: None, name }) = name else { return false };
        let is_created = |other: &Entry| other.kind == EntryKind::Schema && other.name() == name;
        let is_present = name == "public" || self.facts.database.schemas.contains_key(&name);
        is_present && !self.archive.entries().iter().any(is_created) && !self.owns_schema(&name)
    }

    /// The SQL of an entry that describes the object of another entry. `None` if that object was skipped.
    fn of_restored_object<'e>(&self, entry: &'e Entry) -> Option<&'e str> {
        let is_left_out = is_about_database(entry) || self.describes(entry, &self.skipped);
        sql(entry).filter(|_| !is_left_out)
    }

    fn describes(&self, entry: &Entry, objects: &HashSet<DumpId>) -> bool {
        entry.dependencies.iter().any(|id| objects.contains(id))
    }

    fn describer(&self, entry: &Entry) -> RunAs {
        if self.describes(entry, &self.superusers) { RunAs::Superuser } else { self.builder(entry) }
    }

    /// The role that makes an object which any role can make. `username` owns the extensions that it can make, because
    /// their owner cannot be changed.
    pub(crate) fn builder(&self, entry: &Entry) -> RunAs {
        let is_extension = entry.kind == EntryKind::Extension;
        if self.facts.builds_as_superuser && !is_extension { RunAs::Superuser } else { RunAs::Owner }
    }

    fn is_present_schema(&self, entry: &Entry) -> bool {
        let name = entry.tag.to_str().unwrap_or_default();
        // For public, pg_dump 11 and later write a comment; earlier ones write CREATE SCHEMA.
        name == "public"
            || self.facts.database.schemas.contains_key(name)
            || sql(entry).is_some_and(|sql| sql.trim_start().starts_with("--"))
    }

    fn present_schema(&mut self, entry: &Entry) {
        let statements = self.owner_of_public(entry);
        if statements.is_empty() && !self.owns_schema(entry.name()) {
            self.not_ours.insert(entry.dump_id);
        }
        self.push(entry, statements);
    }

    /// Whether `username` owns a schema that exists.
    fn owns_schema(&self, name: &str) -> bool {
        let is_own = match self.facts.database.schemas.get(name) {
            Some(rights) => rights.owns,
            None => self.facts.owner_owns_public,
        };
        is_own || self.facts.owner_is_superuser
    }

    fn is_present_extension(&self, entry: &Entry) -> bool {
        !self.facts.owner_is_superuser && self.has_extension(entry)
    }

    /// A language that comes with an extension of its name (plpgsql).
    fn is_present_language(&self, entry: &Entry) -> bool {
        self.has_extension(entry)
    }

    fn has_extension(&self, entry: &Entry) -> bool {
        self.facts.database.extensions.contains(entry.tag.to_str().unwrap_or_default())
    }

    fn skip(&mut self, entry: &Entry, severity: Severity, why: &str) {
        self.skipped.insert(entry.dump_id);
        let text = format!("{} was skipped: {why}", label(entry));
        self.plan.notices.push(Notice { severity, code: NoticeCode::EntrySkipped, text });
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
        Task { dump_id: entry.dump_id, label: label(entry), statements, settings, step: EntryStep::Whole }
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
            (PlanPass::Privileges, _) => plan.privileges.push(task),
            (PlanPass::Last, _) => plan.last.push(task),
            (PlanPass::EventTriggers, _) => plan.event_triggers.push(task),
            (PlanPass::Main, Section::PreData | Section::None) => plan.pre_data.push(task),
            (PlanPass::Main, Section::Data) => plan.data_last.push(task),
            (PlanPass::Main, Section::PostData) => plan.post_data.push(task),
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
        self.plan.notices.push(Notice::warning(NoticeCode::TablespaceMissing, text));
        Some(String::new())
    }

    /// The statement that sets the access method of a partitioned table, which its new partitions get.
    fn method_of_partitions(&mut self, entry: &Entry) -> Option<(RunAs, String)> {
        let method = entry.table_access_method.as_ref()?.to_str().ok()?;
        if entry.relation_kind != Some('p') || method.is_empty() {
            return None;
        }
        let (table, method) = (entry.qualified_name(), quote_ident(method));
        if self.facts.server_version >= 170_000 {
            return Some((self.builder(entry), format!("ALTER TABLE {table} SET ACCESS METHOD {method}")));
        }
        if method != "heap" {
            let text = format!(
                "partitioned table {table} had the access method {method} for its new partitions, which servers before 17 \
                 cannot store: give it to each new partition (USING {method})"
            );
            self.plan.notices.push(Notice::warning(NoticeCode::AccessMethodLost, text));
        }
        None
    }

    fn access_method(&self, entry: &Entry) -> Option<String> {
        // Before PostgreSQL 17 a partitioned table cannot have one, and it never needs one.
        if entry.relation_kind == Some('p') {
            return None;
        }
        let method = entry.table_access_method.as_ref()?.to_str().ok()?;
        (!method.is_empty() && self.facts.server_version >= 120_000).then(|| method.to_owned())
    }
}

/// Whether an entry describes the database itself. pg_restore restores it with `--create` only. pg_dump 9.x writes the
/// name of the database as its tag, with a place in pg_database; later ones write DATABASE and the name.
fn is_about_database(entry: &Entry) -> bool {
    const PG_DATABASE: Oid = Oid(1262);
    entry.catalog_id.table_oid == PG_DATABASE || entry.tag.as_bytes().starts_with(b"DATABASE ")
}
