//! Instances of a stream: known only when their table has come by.

use crate::error::Result;
use crate::instance::{InstanceId, Mapping, Resolution};
use crate::profile::Profile;
use crate::restore::build::{Build, rules_of};
use crate::restore::catalogs::tables;
use crate::restore::executor::Executor;
use crate::restore::load::loaded::Loaded;
use crate::restore::load::sessions::Sessions;
use crate::restore::load::stream::reading::Resolve;
use crate::restore::options::Instances;
use crate::restore::plan::{RunAs, TableLoad};
use crate::restore::preflight::instances;
use crate::restore::refusal::Refusal;
use crate::rewrite::{Found, LeftoverCounter, Rules};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// The instances that the thread reading a stream has found.
pub(crate) type LateResolution = Arc<Mutex<Option<Resolution>>>;

impl Build {
    /// Takes over what the reading of a stream found out, and makes sure that nothing of it came too late.
    pub(crate) async fn note_late(
        &mut self,
        sessions: &mut Sessions,
        late: &LateResolution,
        loaded: &Loaded,
    ) -> Result<()> {
        let Some(resolution) = late.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        let Instances::Map(mapping) = &self.options.instances else { return Ok(()) };
        let known: BTreeSet<InstanceId> = mapping.pairs().iter().map(|(source, _)| *source).collect();
        let new: Vec<_> =
            resolution.pairs.iter().filter(|(source, _)| !known.contains(source)).copied().collect();
        let rules = Arc::new(rules_of(&resolution, self.known.profile.as_ref(), &self.found));
        for executor in sessions.all() {
            executor.rules = Some(Arc::clone(&rules));
        }
        if !new.is_empty() {
            let executor = &mut sessions.lead;
            executor.become_role(&RunAs::Superuser).await?;
            self.refuse_late_aliases(executor, &new, loaded).await?;
        }
        self.known.resolution = Some(resolution);
        Ok(())
    }

    /// Objects created before the table of instances must not refer to IDs that only this table names.
    async fn refuse_late_aliases(
        &self,
        executor: &mut Executor,
        new: &[(InstanceId, InstanceId)],
        loaded: &Loaded,
    ) -> Result<()> {
        if self.made_with(executor, &Rules::new(new.iter().copied()), loaded).await?.is_none() {
            return Ok(());
        }
        for (alias, target) in new {
            let rules = Rules::new([(*alias, *target)]);
            if let Some(place) = self.made_with(executor, &rules, loaded).await? {
                return Err(Refusal::LateAlias { alias: alias.to_string(), place }.into());
            }
        }
        Ok(())
    }

    /// The objects that were created before the table of instances and that contain IDs which these rules replace.
    async fn made_with(
        &self,
        executor: &mut Executor,
        rules: &Rules,
        loaded: &Loaded,
    ) -> Result<Option<String>> {
        let mut made = self.known.plan.pre_data.iter().chain(&self.known.plan.data_first);
        match made.find(|task| executor.replacements(task, rules) > 0) {
            Some(task) => Ok(Some(task.label.clone())),
            None => self.loaded_with(executor, rules, loaded).await,
        }
    }

    /// The first table loaded before the table of instances that holds what these rules replace.
    async fn loaded_with(
        &self,
        executor: &mut Executor,
        rules: &Rules,
        loaded: &Loaded,
    ) -> Result<Option<String>> {
        let tenant = self.known.profile.as_ref().and_then(Profile::tenant);
        let roots = tables::partition_roots(&mut executor.session).await?;
        let loads: HashMap<String, &TableLoad> =
            self.known.plan.tables.iter().map(|load| (load.table.to_string(), load)).collect();
        for report in &loaded.tables {
            let Some(load) = loads.get(&report.table) else { continue };
            let schema = load.table.schema.as_deref().unwrap_or_default();
            if tenant.is_some_and(|tenant| tenant.is(schema, &load.table.name)) {
                break;
            }
            let mut counter = LeftoverCounter::new(rules, Vec::new());
            let mut count = |rows: &[u8]| counter.count(rows);
            // Rows of a partition may have gone to another one of its tree.
            let table = load.destination(&roots);
            if tables::count_in_table(&mut executor.session, table, &mut count).await? > 0 {
                return Ok(Some(format!("table {}", report.table)));
            }
        }
        Ok(None)
    }
}

/// Resolves the instances of a stream on the reading thread, and leaves the result where the build finds it.
pub(crate) fn resolve_late(
    instances: &Instances,
    profile: Option<Profile>,
    found: Found,
    late: LateResolution,
) -> Resolve {
    let mapping = match instances {
        Instances::Map(mapping) => mapping.clone(),
        Instances::Keep => Mapping::default(),
    };
    Box::new(move |instances| {
        let resolution = instances::resolve(&mapping, &instances, profile.as_ref(), &mut Vec::new())?;
        let rules = Arc::new(rules_of(&resolution, profile.as_ref(), &found));
        *late.lock().unwrap_or_else(PoisonError::into_inner) = Some(resolution);
        Ok(rules)
    })
}
