//! Rows of a plain script that comes in a stream. Which tables they belong to, and what comes after them, is only known
//! when it comes: each table is planned when its rows are next, and the rest when all of them are loaded.

use crate::archive::{Archive, ArchiveText, DumpId, Entry, EntryKind};
use crate::backup::store::instance_columns;
use crate::error::Result;
use crate::profile::Profile;
use crate::progress::Event;
use crate::restore::build::Build;
use crate::restore::build::compare_rows::{ComparedArchive, Comparison};
use crate::restore::build::data::{Roots, row_encoding};
use crate::restore::build::late_instances::LateResolution;
use crate::restore::catalogs::row_order;
use crate::restore::catalogs::tables::TableFacts;
use crate::restore::error::RestoreError;
use crate::restore::journal::Journal;
use crate::restore::load::crew::{Crew, LoadWork};
use crate::restore::load::graph::Graph;
use crate::restore::load::loaded::Loaded;
use crate::restore::load::sessions::{Sessions, Setup};
use crate::restore::load::stream;
use crate::restore::load::stream::reading::Reading;
use crate::restore::options::Instances;
use crate::restore::plan::RunAs;
use crate::restore::plan::partial;
use crate::restore::plan::planner::Planner;
use crate::restore::preflight::instances::LateInstances;
use crate::restore::preflight::selected;
use crate::restore::refusal::Refusal;
use crate::sql::bytes_as_escapes;
use crate::thread::on_thread;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Encodings of scripts whose texts need no conversion.
const NEEDS_NO_CONVERSION: [&str; 3] = ["UTF8", "UNICODE", "SQL_ASCII"];

impl Build {
    /// Loads the rows as they come, then makes what the script has after them, one entry after the other.
    pub(crate) async fn rows_of_script(
        &mut self,
        archive: Archive,
        sessions: &mut Sessions,
        journal: &mut Journal,
        setup: &Setup,
    ) -> Result<(Loaded, Option<Comparison>)> {
        let encoding = archive.encoding().unwrap_or("UTF8");
        if !NEEDS_NO_CONVERSION.contains(&encoding) {
            return Err(Refusal::ScriptEncoding(encoding.to_owned()).into());
        }
        let archive = Arc::new(Mutex::new(archive));
        let (mut rules, no_roots) = (setup.rules.clone(), Roots::new());
        let mut loaded = Loaded::default();
        sessions.lead.become_role(&RunAs::Superuser).await?;
        // Which tables there are is known by now; which rules there will be is not.
        let facts = TableFacts::read(&mut sessions.lead.session).await?;
        let ordered = row_order::tables_that_call_code(&mut sessions.lead.session).await?;
        let mut comparison = None;
        while let Some(id) = read_on(&archive).await? {
            self.plan_data(&mut locked(&archive), id)?;
            self.delete_replaced_rows(&mut sessions.lead).await?;
            let late = LateResolution::default();
            let roots = if rules.is_some() { &facts.roots } else { &no_roots };
            self.keep_order(&ordered, roots);
            let mut reading = self.reading(&facts, setup.strings, rules.clone(), &late);
            // Of all tables so far, of which the last one comes next.
            comparison = self.comparison_of_script(&archive, sessions, roots, comparison).await?;
            reading.compared = Arc::new(comparison.as_ref().map(Comparison::columns).unwrap_or_default());
            let some = self.load_next(&archive, sessions, journal, setup, reading, roots).await?;
            loaded.add(some);
            self.note_late(sessions, &late, &loaded).await?;
            rules = self.rules();
        }
        self.plan_rest(&archive, journal)?;
        if loaded.large_objects.objects == 0 {
            sessions.lead.run_all(&self.known.plan.data_first.iter().collect::<Vec<_>>()).await?;
        }
        self.make_rest(&archive, sessions, journal, setup).await?;
        Ok((loaded, comparison))
    }

    async fn comparison_of_script(
        &self,
        archive: &Mutex<Archive>,
        sessions: &mut Sessions,
        roots: &Roots,
        known: Option<Comparison>,
    ) -> Result<Option<Comparison>> {
        let origin = ComparedArchive::of(&locked(archive));
        self.comparison(&origin, &mut sessions.lead.session, roots, known.as_ref()).await
    }

    /// Plans the data of one entry, which comes next.
    fn plan_data(&mut self, archive: &mut Archive, id: DumpId) -> Result<()> {
        self.known.selected.again(archive, &self.known.facts, &self.options)?;
        partial::refuse(archive.all_entries(), archive.entries())?;
        let Some(entry) = archive.entry(id) else { return self.require_no_instances(archive, id) };
        if entry.kind == EntryKind::Blobs {
            self.known.plan.large_objects.push(id);
            return Ok(());
        }
        let (table, replaced) = Planner::table_of(archive, &self.known.facts, entry);
        Arc::make_mut(&mut self.known.plan.tables).extend(table);
        self.known.plan.replaced_rows = replaced;
        if let (Instances::Map(_), Some(profile)) = (&self.options.instances, &self.known.profile)
            && let Some(tenant) = profile.tenant()
            && tenant.is(text(entry.namespace.as_ref()), entry.tag.to_str().unwrap_or_default())
        {
            self.known.late = Some(LateInstances { dump_id: id, columns: instance_columns(tenant) });
        }
        Ok(())
    }

    /// Refuses to leave out the rows that name the instances.
    fn require_no_instances(&self, archive: &Archive, id: DumpId) -> Result<()> {
        let rows = archive.all_entries().iter().find(|entry| entry.dump_id == id);
        let tenant = self.known.profile.as_ref().and_then(Profile::tenant);
        let is_of_instances = |entry: &&Entry| {
            tenant.is_some_and(|tenant| tenant.is(entry.schema().unwrap_or_default(), entry.name()))
        };
        selected::require_instances(
            archive,
            rows.filter(is_of_instances).map(|entry| entry.dump_id),
            &self.options,
        )
    }

    async fn load_next(
        &self,
        archive: &Arc<Mutex<Archive>>,
        sessions: &mut Sessions,
        journal: &Journal,
        setup: &Setup,
        reading: Reading,
        roots: &Roots,
    ) -> Result<Loaded> {
        sessions.lead.become_role(&RunAs::Superuser).await?;
        let encoding = locked(archive).encoding().map(str::to_owned);
        let (encoding, is_raw) = row_encoding(encoding.as_deref(), &mut sessions.lead).await?;
        let (graph, counter) = {
            let archive = locked(archive);
            (Graph::of(&archive, &self.known.plan.tables, &[], roots), archive.bytes_read())
        };
        let progress = Arc::clone(&journal.progress);
        let on_bytes =
            || progress.event(&Event::ArchiveRead { bytes: counter.get(), total: None, left: None });
        let feeds = stream::start_next(Arc::clone(archive), reading)?;
        let job =
            LoadWork { encoding, is_raw, on_bytes: &on_bytes, ..self.job(setup, roots, progress.as_ref()) };
        let connections = sessions.all();
        Crew::new(&job, graph, connections.len()).run(connections, Some(feeds)).await
    }

    /// Plans everything, now that all entries are known. What has been made already is as it was planned.
    fn plan_rest(&mut self, archive: &Arc<Mutex<Archive>>, journal: &mut Journal) -> Result<()> {
        let mut archive = locked(archive);
        let (strings, is_raw) = (archive.strings(), archive.encoding() == Some("SQL_ASCII"));
        archive.transcode(&mut |bytes| {
            let text = if is_raw {
                bytes_as_escapes(bytes, strings)
            } else {
                String::from_utf8(bytes.to_vec()).ok()
            };
            text.ok_or_else(|| "it is not valid UTF-8".to_owned())
        })?;
        let (plan, selected) = selected::plan(&mut archive, &self.known.facts, &self.options)?;
        if plan.pre_data != self.known.plan.pre_data {
            let reason = "the script's definitions are not what they were before its rows".to_owned();
            return Err(RestoreError::Internal(reason).into());
        }
        let known = self.known.plan.notices.iter().chain(&self.known.selected.notices).collect::<Vec<_>>();
        let notices = selected.notices.iter().chain(&plan.notices);
        for notice in notices.filter(|notice| !known.contains(notice)) {
            journal.note(notice.clone());
        }
        (self.known.plan, self.known.selected) = (plan, selected);
        Ok(())
    }

    async fn make_rest(
        &mut self,
        archive: &Arc<Mutex<Archive>>,
        sessions: &mut Sessions,
        journal: &Journal,
        setup: &Setup,
    ) -> Result<()> {
        let roots = Roots::new();
        let graph = Graph::of(&locked(archive), &self.known.plan.tables, &self.tasks_after_rows(), &roots);
        let progress = Arc::clone(&journal.progress);
        let job = LoadWork { tasks: self.tasks_after_rows(), ..self.job(setup, &roots, progress.as_ref()) };
        let connections = sessions.all();
        Crew::new(&job, graph, connections.len()).run(connections, None).await?;
        Ok(())
    }
}

/// The entry whose data come next.
async fn read_on(archive: &Arc<Mutex<Archive>>) -> Result<Option<DumpId>> {
    let archive = Arc::clone(archive);
    on_thread("pgmig-archive", move || Ok(locked(&archive).read_entries()?)).await
}

/// Never contended: whoever reads is waited for.
fn locked(archive: &Mutex<Archive>) -> MutexGuard<'_, Archive> {
    archive.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(text: Option<&ArchiveText>) -> &str {
    text.and_then(|text| text.to_str().ok()).unwrap_or_default()
}
