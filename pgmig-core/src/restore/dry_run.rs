//! The dry run: puts the facts of a prepared restore, and some more from the server, into a [`RestorePlan`].

use super::error::RestoreError;
use super::interruption::CleanUp;
use super::options::Instances;
use super::plan::kinds::{self, Made};
use super::plan::{Plan, Task};
use super::preflight::{Known, Preflight, fingerprint};
use super::prepared::{Restore, note_role};
use super::refusal::Refusal;
use super::staging;
use super::swap::resume;
use crate::archive::{Archive, EntryKind};
use crate::error::Result;
use crate::instance::ResolvedInstance;
use crate::migrations::{Goal, MigrationFile, UpgradePlan};
use crate::profile::{Profile, SchemaVersion};
use crate::progress::{Notice, NoticeCode};
use crate::restore::options::Strategy;
use crate::restore::preflight::upgrade_path::Upgrade;
use crate::restore::report::planned::{
    OnlyInTarget, PlannedArchive, PlannedInstance, PlannedLargeObjects, PlannedMigration, PlannedObjects,
    PlannedResume, PlannedSchema, PlannedTable, PlannedTarget, RestorePass, RestorePlan, WayBack, WhyThatId,
};
use crate::restore::sessions::sessions_notice;
use crate::restore::staging::names::staging_name;
use crate::server::OtherSession;
use crate::server::catalog::{self, ServerFacts};
use crate::server::lock::lock_holder;
use std::collections::BTreeSet;
use std::path::Path;

/// Facts that only a plan needs from the server.
struct Asked {
    server: ServerFacts,
    sessions: Vec<OtherSession>,
    leftovers: Vec<String>,
    resume: Option<PlannedResume>,
}

impl Restore {
    /// The plan of [`run`](Self::run), as far as it is known before the run begins.
    ///
    /// Asks the server, but takes no lock and changes nothing; the restore can be run afterwards. If data would be
    /// erased, that is part of the plan, not an error.
    ///
    /// # Errors
    ///
    /// A restore would be refused at its very beginning: another restore of the same target is under way, or a
    /// database has the staging database's name. Or the server cannot be asked.
    ///
    /// ```no_run
    /// # use pgmig_core::restore::Restore;
    /// # async fn dry_run(mut restore: Restore) -> pgmig_core::Result<()> {
    /// let plan = restore.plan().await?;
    /// println!("{} tables, {} rows erased", plan.tables.len(), plan.erased.rows);
    /// restore.close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn plan(&mut self) -> Result<RestorePlan> {
        let cancel = self.cancel.clone();
        let asked = tokio::select! {
            asked = self.ask() => asked?,
            () = cancel.cancelled() => return Err(RestoreError::Interrupted.into()),
        };
        Ok(self.planned(asked))
    }

    /// Closes the connection to the server without running the restore.
    pub async fn close(self) {
        let Self { mut preflight, config, application, progress, cancel, .. } = self;
        let role = preflight.login.role().map(|role| role.name().to_owned()).unwrap_or_default();
        let ending = preflight.login.end(&mut preflight.control, &config, &application);
        note_role(&role, CleanUp::new(&cancel).step(ending).await, progress.as_ref());
        preflight.control.close().await;
    }

    async fn ask(&mut self) -> Result<Asked> {
        let (control, target) = (&mut self.preflight.control, &self.preflight.target);
        if let Some(holder) = lock_holder(control, &target.name).await? {
            return Err(Refusal::Locked { database: target.name.clone(), holder }.into());
        }
        let beside = staging::look_beside(control, target).await?;
        if beside.name_taken && self.preflight.decision.strategy == Strategy::Swap {
            return Err(Refusal::NameTaken(staging_name(&target.name)).into());
        }
        let mut leftovers = beside.leftovers;
        let resume = self.foresee_resume().await?;
        if resume.as_ref().is_some_and(|resume| resume.work.is_some()) {
            leftovers.retain(|name| *name != staging_name(&self.preflight.target.name));
        }
        let (control, target) = (&mut self.preflight.control, &self.preflight.target);
        Ok(Asked {
            server: catalog::server_facts(control).await?,
            sessions: catalog::other_sessions(control, &target.name, &self.application).await?,
            leftovers,
            resume,
        })
    }

    /// What the restore would go on with, if it is to do so.
    async fn foresee_resume(&mut self) -> Result<Option<PlannedResume>> {
        fingerprint::require_resumable(&self.backup, &self.options)?;
        let fingerprint = fingerprint::of(&self.backup, &self.preflight, &self.options, &self.config);
        let Some(fingerprint) = fingerprint.filter(|_| self.options.resume) else { return Ok(None) };
        let Preflight { control, target, known, .. } = &mut self.preflight;
        let login = (&self.config, self.application.as_str());
        resume::foresee(control, login, target, &fingerprint, &known.plan).await.map(Some)
    }

    fn planned(&self, asked: Asked) -> RestorePlan {
        let (archive, known) = (self.backup.archive(), &self.preflight.known);
        let plan = &known.plan;
        let only_in_target = only_in_target(archive, known);
        RestorePlan {
            archive: self.archive(),
            strategy: self.preflight.decision.strategy,
            strategy_reason: self.preflight.decision.reason.clone(),
            jobs: self.jobs(),
            keep_previous: self.options.keep_previous,
            way_back: self.way_back(),
            trusts_archive: self.options.trust_archive,
            profile: known.profile.as_ref().map(|profile| profile.name().to_owned()),
            instances: self.instances(),
            erased: known.contents.clone(),
            needs_confirmation: self.needs_confirmation(),
            schema: schema(known),
            tables: tables(archive, plan),
            large_objects: large_objects(archive, plan),
            objects: objects(archive, plan),
            left_out: known.selected.left_out.clone(),
            notices: self.notices(&asked.sessions, &only_in_target),
            only_in_target,
            unknown: self.unknown(),
            target: self.target(asked.server),
            sessions: asked.sessions,
            leftovers: asked.leftovers,
            resume: asked.resume,
            took: self.started.elapsed(),
        }
    }

    fn way_back(&self) -> WayBack {
        match &self.options.backup_first {
            _ if self.options.keep_previous => WayBack::PreviousDatabase,
            Some(first) => WayBack::Backup { directory: first.directory.clone() },
            None if self.contents().is_empty() => WayBack::NotNeeded,
            None => WayBack::None,
        }
    }

    fn archive(&self) -> PlannedArchive {
        let archive = self.backup.archive();
        let header = archive.header();
        let text = |text: &Option<crate::archive::ArchiveText>| text.as_ref().map(ToString::to_string);
        PlannedArchive {
            file: self.backup.path().map(Path::to_owned),
            is_stream: archive.is_stream(),
            format: header.format,
            container_version: header.container.map(|container| container.version),
            compression: Some(header.compression),
            file_compression: Some(header.wrapper),
            created: header.created,
            database: text(&header.database),
            server_version: text(&header.server_version),
            pg_dump_version: text(&header.dump_version),
            encoding: archive.encoding().map(str::to_owned),
            entries: archive.all_entries().len(),
            bytes: archive.size(),
        }
    }

    fn target(&self, server: ServerFacts) -> PlannedTarget {
        let target = &self.preflight.target;
        PlannedTarget {
            server: self.config.server(),
            server_version: server.version,
            tls: server.tls,
            database: target.name.clone(),
            database_owner: target.owner.clone(),
            username: self.config.username().to_owned(),
            su_username: self.preflight.known.facts.login.clone(),
            su_is_superuser: self.preflight.known.facts.login_is_superuser,
            staging_database: match self.preflight.decision.strategy {
                Strategy::Swap => Some(staging_name(&target.name)),
                Strategy::InPlace => None,
            },
        }
    }

    fn instances(&self) -> Option<Vec<PlannedInstance>> {
        let Known { profile, resolution, .. } = &self.preflight.known;
        if profile.is_some() && self.backup.is_stream() {
            return None;
        }
        let keep = matches!(self.options.instances, Instances::Keep);
        let planned = |instance: &ResolvedInstance| PlannedInstance {
            source: instance.source.clone(),
            target: instance.target,
            because: match instance {
                _ if keep => WhyThatId::KeepIds,
                instance if instance.mapped => WhyThatId::Mapped,
                instance if instance.source.deleted => WhyThatId::Deleted,
                _ => WhyThatId::System,
            },
        };
        Some(resolution.iter().flat_map(|resolution| &resolution.instances).map(planned).collect())
    }

    fn notices(&self, sessions: &[OtherSession], only: &OnlyInTarget) -> Vec<Notice> {
        let mut notices = self.preflight.known.notices.clone();
        notices.extend(self.preflight.known.plan.notices.iter().cloned());
        notices.extend(sessions_notice(sessions, &self.options, self.preflight.decision.strategy));
        let warning = |text| Notice::warning(NoticeCode::OnlyInTarget, text);
        notices.extend(only.warnings(self.config.username()).into_iter().map(warning));
        notices
    }

    fn unknown(&self) -> Vec<String> {
        let known = &self.preflight.known;
        let mut unknown = Vec::new();
        if self.backup.is_stream() && known.profile.is_some() {
            unknown.push(match &self.options.instances {
                Instances::Keep => "which instances the backup holds: a stream is read only once".to_owned(),
                Instances::Map(mapping) => format!(
                    "which instances the backup holds: a stream is read only once; if the mapping's {} pairs do not \
                     cover every live one, the restore is refused when it comes by their table",
                    mapping.pairs().len()
                ),
            });
        }
        if let Upgrade::Later { .. } = &known.upgrade {
            let text =
                "the release of the backup, and so the migrations: they are known when its rows are loaded";
            unknown.push(text.to_owned());
        }
        if matches!(known.upgrade, Upgrade::NotAStore | Upgrade::AsItIs { .. }) && !known.contents.is_empty()
        {
            let text = "whether the archive's schema is that of the target in all: tables and columns are the same; \
                         constraints, indexes, functions and the rest are compared when it is restored, and another \
                         one is refused";
            unknown.push(text.to_owned());
        }
        unknown
    }
}

fn schema(known: &Known) -> PlannedSchema {
    let as_it_is = |reason: String| PlannedSchema::AsItIs { reason };
    if let Some(own) = &known.target_schema {
        return PlannedSchema::Target { differences: own.differences.clone() };
    }
    match (&known.upgrade, &known.profile) {
        (Upgrade::NotWanted, _) => as_it_is("SchemaSource::Archive asks for it".to_owned()),
        (Upgrade::Planned { plan }, Some(profile)) => migrate(plan, profile),
        (Upgrade::Later { goal, .. }, Some(profile)) => PlannedSchema::Later { to: end(*goal, profile) },
        (Upgrade::AsItIs { obstacle }, _) => as_it_is(format!("it cannot be upgraded: {obstacle}")),
        _ => as_it_is("the archive holds no store that pgmig knows".to_owned()),
    }
}

fn migrate(plan: &UpgradePlan, profile: &Profile) -> PlannedSchema {
    let releases = profile.releases();
    let migration = |file: &MigrationFile| PlannedMigration {
        version: file.version(),
        description: file.description().to_owned(),
        release: releases.first_with(file.version()),
    };
    PlannedSchema::Migrate {
        from: plan.from().map(|version| releases.schema_version(version)),
        to: releases.schema_version(plan.to()),
        migrations: plan.migrations().iter().map(migration).collect(),
    }
}

/// The version at which an upgrade ends, by the profile's releases.
fn end(goal: Goal, profile: &Profile) -> Option<SchemaVersion> {
    let releases = profile.releases();
    let version = match goal {
        Goal::Version(version) => Some(version),
        Goal::Release(release) => releases.version_of(release),
        Goal::Newest => releases.newest().map(|(_, version)| version),
    };
    version.map(|version| releases.schema_version(version))
}

fn tables(archive: &Archive, plan: &Plan) -> Vec<PlannedTable> {
    let tables = plan.tables.iter().map(|load| PlannedTable {
        table: load.table.to_string(),
        archive_bytes: archive.stored_bytes(load.dump_id),
    });
    tables.collect()
}

fn large_objects(archive: &Archive, plan: &Plan) -> PlannedLargeObjects {
    let blocks = &plan.large_objects;
    let is_counted = plan.large_objects_made > 0 || blocks.is_empty();
    PlannedLargeObjects {
        count: is_counted.then_some(plan.large_objects_made),
        archive_bytes: blocks.iter().map(|id| archive.stored_bytes(*id)).sum(),
    }
}

/// Objects by pass and kind, each kind in the place of its first object. Large objects are counted separately.
fn objects(archive: &Archive, plan: &Plan) -> Vec<PlannedObjects> {
    let passes: [(RestorePass, &[&[Task]]); 5] = [
        (RestorePass::PreData, &[&plan.first, &plan.pre_data]),
        (RestorePass::Data, &[&plan.data_first, &plan.data_last]),
        (RestorePass::PostData, &[&plan.post_data]),
        (RestorePass::Privileges, &[&plan.privileges]),
        (RestorePass::Last, &[&plan.last, &plan.event_triggers]),
    ];
    let mut objects: Vec<PlannedObjects> = Vec::new();
    for (pass, tasks) in passes {
        let first = objects.len();
        for kind in tasks.iter().copied().flatten().filter_map(|task| kind(archive, task)) {
            let of_pass = objects.get_mut(first..).unwrap_or_default();
            match of_pass.iter_mut().find(|counted| counted.kind == kind) {
                Some(counted) => counted.count += 1,
                None => objects.push(PlannedObjects { pass, kind, count: 1 }),
            }
        }
    }
    objects
}

fn kind(archive: &Archive, task: &Task) -> Option<String> {
    let entry = archive.entry(task.dump_id)?;
    let is_large_object = matches!(kinds::of(entry.kind).made, Made::LargeObject | Made::LargeObjectGroup);
    (!is_large_object).then(|| entry.desc.to_string())
}

/// Objects of the target that no entry of the archive creates.
fn only_in_target(archive: &Archive, known: &Known) -> OnlyInTarget {
    // A copy of the target has all objects of the target.
    if known.target_schema.is_some() {
        return OnlyInTarget::default();
    }
    let names = |kind: EntryKind| -> BTreeSet<&str> {
        let entries = archive.entries().iter().filter(|entry| entry.kind == kind);
        entries.filter_map(|entry| entry.tag.to_str().ok()).collect()
    };
    OnlyInTarget::new(&known.extras, &names(EntryKind::Extension), &names(EntryKind::Publication))
}
