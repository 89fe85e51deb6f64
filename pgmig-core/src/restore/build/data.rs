//! The middle of the build: the rows, and the indexes and constraints that can be made beside them.

use crate::archive::{Archive, DumpId};
use crate::error::Result;
use crate::progress::Step;
use crate::progress::{Event, Progress};
use crate::restore::build::Build;
use crate::restore::build::binary_ids;
use crate::restore::build::compare_rows::{ComparedArchive, Comparison};
use crate::restore::build::late_instances::{LateResolution, resolve_late};
use crate::restore::catalogs::row_order;
use crate::restore::catalogs::tables::TableFacts;
use crate::restore::executor::Executor;
use crate::restore::journal::Journal;
use crate::restore::load::crew::{Crew, LoadWork};
use crate::restore::load::graph::Graph;
use crate::restore::load::loaded::Loaded;
use crate::restore::load::sessions::{Sessions, Setup};
use crate::restore::load::stream;
use crate::restore::load::stream::reading::{Discovery, Reading, Redirect, Rewriting, TableColumns};
use crate::restore::load::two_steps::in_two_steps;
use crate::restore::load::watch::Watch;
use crate::restore::plan::{RowForm, RunAs, TableLoad, Task};
use crate::restore::record::Unit;
use crate::rewrite::{Rules, Shape};
use crate::sql::{QualifiedName, StandardStrings};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Tables to which rows of a partition go instead, by the partition.
pub(crate) type Roots = HashMap<QualifiedName, QualifiedName>;

impl Build {
    /// Loads the rows, and runs the tasks after them. If the instances of a stream are known only from its rows, these
    /// tasks wait for all rows.
    pub(crate) async fn rows_and_post_data(
        &mut self,
        archive: Archive,
        sessions: &mut Sessions,
        journal: &mut Journal,
        setup: &Setup,
    ) -> Result<(Loaded, Option<Comparison>)> {
        let (loaded, comparison) = match archive.has_all_entries() {
            true => self.rows_of_archive(archive, sessions, journal, setup).await?,
            false => self.rows_of_script(archive, sessions, journal, setup).await?,
        };
        journal.report.large_objects = (loaded.large_objects.objects, loaded.large_objects.bytes);
        if let Some(rules) = &sessions.lead.rules {
            binary_ids::note(journal, &loaded, rules.large_objects());
        }
        Ok((loaded, comparison))
    }

    /// The same of an archive whose entries are all known.
    async fn rows_of_archive(
        &mut self,
        archive: Archive,
        sessions: &mut Sessions,
        journal: &Journal,
        setup: &Setup,
    ) -> Result<(Loaded, Option<Comparison>)> {
        if self.makes_two_steps(&mut sessions.lead, setup.jobs.get()).await? {
            let tasks = std::mem::take(&mut self.known.plan.post_data);
            self.known.plan.post_data = in_two_steps(&archive, tasks, setup.strings);
        }
        self.take_back_lent(&mut sessions.lead).await?;
        let record = &setup.record;
        let done = self.tasks_after_rows().into_iter().filter(|task| record.has(Unit::of(task)));
        sessions.lead.count_again(done);
        sessions.lead.become_role(&RunAs::Superuser).await?;
        let late = LateResolution::default();
        let rules = setup.rules.clone();
        let facts = match rules {
            Some(_) => TableFacts::read(&mut sessions.lead.session).await?,
            None => TableFacts::default(),
        };
        let roots = facts.roots.clone();
        let ordered = row_order::tables_that_call_code(&mut sessions.lead.session).await?;
        let keeps_order = self.keep_order(&ordered, &roots);
        let mut reading = self.reading(&facts, setup.strings, rules, &late);
        let origin = ComparedArchive::of(&archive);
        let comparison = self.comparison(&origin, &mut sessions.lead.session, &roots, None).await?;
        reading.compared = Arc::new(comparison.as_ref().map(Comparison::columns).unwrap_or_default());
        // The finished tasks are needed again only if instances or entries come later.
        if reading.discovery.is_none() && archive.has_all_entries() {
            self.known.plan.pre_data = Vec::new();
        }
        let mut graph = Graph::of(&archive, &self.known.plan.tables, &self.tasks_after_rows(), &roots);
        if keeps_order {
            graph.wait_for_all_rows();
        }
        let (now, afterwards) =
            if reading.discovery.is_some() { (graph.without_tasks(), Some(graph)) } else { (graph, None) };

        let (encoding, is_raw) = row_encoding(archive.encoding(), &mut sessions.lead).await?;
        let (counter, size) = (archive.bytes_read(), archive.size());
        let progress = Arc::clone(&journal.progress);
        let on_bytes =
            move || progress.event(&Event::ArchiveRead { bytes: counter.get(), total: size, left: None });
        let feeds = stream::start(archive, reading, setup.jobs)?;
        let tasks = if afterwards.is_none() { self.tasks_after_rows() } else { Vec::new() };
        let progress = Arc::clone(&journal.progress);
        let job = LoadWork {
            encoding,
            is_raw,
            tasks,
            on_bytes: &on_bytes,
            ..self.job(setup, &roots, progress.as_ref())
        };
        let connections = sessions.all();
        let loaded = Crew::new(&job, now, connections.len()).run(connections, Some(feeds)).await?;
        on_bytes();
        if let Some(graph) = afterwards {
            self.note_late(sessions, &late, &loaded).await?;
            let job =
                LoadWork { tasks: self.tasks_after_rows(), ..self.job(setup, &roots, progress.as_ref()) };
            let connections = sessions.all();
            Crew::new(&job, graph, connections.len()).run(connections, None).await?;
        }
        if self.known.plan.data_last.is_empty() && self.known.plan.post_data.is_empty() {
            self.failpoints.pass(Step::PostData)?;
        }
        Ok((loaded, comparison))
    }

    /// Marks the tables that keep the archive's order. Returns true if there are any.
    pub(crate) fn keep_order(&mut self, ordered: &HashSet<QualifiedName>, roots: &Roots) -> bool {
        if ordered.is_empty() {
            return false;
        }
        let mut any = false;
        for load in Arc::make_mut(&mut self.known.plan.tables) {
            load.in_order = ordered.contains(load.destination(roots));
            any |= load.in_order;
        }
        any
    }

    /// The tasks after the rows: sequences' values, then indexes, constraints, triggers.
    pub(crate) fn tasks_after_rows(&self) -> Vec<&Task> {
        self.known.plan.data_last.iter().chain(&self.known.plan.post_data).collect()
    }

    pub(crate) fn job<'a>(
        &'a self,
        setup: &Setup,
        roots: &'a Roots,
        progress: &'a dyn Progress,
    ) -> LoadWork<'a> {
        LoadWork {
            tables: &self.known.plan.tables,
            tasks: Vec::new(),
            roots,
            encoding: None,
            is_raw: false,
            create_large_objects: self.known.plan.large_objects_made == 0,
            record: setup.record.clone(),
            resumed: Arc::clone(&self.recording.resumed),
            watch: Watch {
                config: setup.admin.clone(),
                database: setup.database.clone(),
                application: setup.application.clone(),
            },
            failpoints: self.failpoints,
            progress,
            on_bytes: &|| {},
        }
    }

    /// The tables to read, and how their rows are rewritten.
    pub(crate) fn reading(
        &mut self,
        facts: &TableFacts,
        strings: StandardStrings,
        rules: Option<Arc<Rules>>,
        late: &LateResolution,
    ) -> Reading {
        let mut reading = Reading::of(&self.known.plan, strings);
        reading.resumed = Arc::clone(&self.recording.resumed);
        reading.found = self.recording.record.is_kept().then(|| self.found.clone());
        let mut redirected = HashMap::new();
        if let Some(rules) = rules {
            let columns = self.column_rules(facts, &rules);
            redirected = self.insert_roots(&columns, &facts.roots);
            reading.rewriting = Some(Rewriting { rules, columns: Arc::new(columns) });
        }
        redirected.extend(self.insert_destinations());
        reading.redirected = Arc::new(redirected);
        reading.discovery = self.known.late.take().map(|found| Discovery {
            dump_id: found.dump_id,
            columns: found.columns,
            resolve: resolve_late(
                &self.options.instances,
                self.known.profile.clone(),
                self.found.clone(),
                Arc::clone(late),
            ),
        });
        reading
    }

    /// Partitions whose rows are INSERT statements and have to go to the root of their tree.
    fn insert_roots(
        &self,
        columns: &HashMap<DumpId, TableColumns>,
        roots: &Roots,
    ) -> HashMap<DumpId, Redirect> {
        let inserts =
            self.known.plan.tables.iter().filter(|load| matches!(load.form, RowForm::Inserts { .. }));
        let root = |load: &TableLoad| {
            let table = roots.get(&load.table)?.clone();
            Some((load.dump_id, Redirect { table, columns: columns.get(&load.dump_id)?.names.clone() }))
        };
        inserts.filter_map(root).collect()
    }

    /// Tables whose rows are INSERT statements and are held before they go into the target's own tables.
    fn insert_destinations(&self) -> impl Iterator<Item = (DumpId, Redirect)> {
        self.known.plan.tables.iter().filter_map(|load| {
            let into = load.into.as_ref().filter(|_| matches!(load.form, RowForm::Inserts { .. }))?;
            let columns = into.from.iter().map(|(name, _)| name.clone()).collect();
            let table = into.temp_table.as_ref().map_or(&into.table, |buffer| &buffer.table).clone();
            Some((load.dump_id, Redirect { table, columns }))
        })
    }

    /// The columns of each table's rows, in their order, and the rule of each by its type in the staging database.
    fn column_rules(&self, facts: &TableFacts, rules: &Rules) -> HashMap<DumpId, TableColumns> {
        let columns = |load: &TableLoad| {
            let table = (load.table.schema.clone().unwrap_or_default(), load.table.name.clone());
            let known = match &load.into {
                Some(into) => into.from.as_slice(),
                None => facts.columns.get(&table).map(Vec::as_slice).unwrap_or_default(),
            };
            let copied = match &load.form {
                RowForm::Copy(copy) => copy.columns.clone(),
                RowForm::Inserts { .. } => None,
            };
            let names = copied.unwrap_or_else(|| known.iter().map(|(name, _)| name.clone()).collect());
            let mut named = vec![load.table.clone()];
            named.extend(facts.ancestors.get(&load.table).into_iter().flatten().cloned());
            let rule = |column: &String| {
                let shape = known.iter().find(|(name, _)| name == column).map(|(_, shape)| shape);
                rules.column_rule(&named, column, shape.unwrap_or(&Shape::Text))
            };
            let rules = names.iter().map(rule).collect();
            (load.dump_id, TableColumns { names, rules })
        };
        self.known.plan.tables.iter().map(columns).collect()
    }
}

/// The encoding of the rows of an archive in `encoding`, unless it is the session's UTF-8, and whether they are any bytes.
/// The server checks those as text in its own encoding: it does not look at a COPY in SQL_ASCII.
pub(crate) async fn row_encoding(
    encoding: Option<&str>,
    lead: &mut Executor,
) -> Result<(Option<String>, bool)> {
    let is_raw = encoding == Some("SQL_ASCII");
    let encoding = match is_raw {
        true => Some(lead.session.value("SHOW server_encoding", "read the server's encoding").await?),
        false => encoding.map(str::to_owned),
    };
    Ok((encoding.filter(|encoding| encoding != "UTF8"), is_raw))
}
