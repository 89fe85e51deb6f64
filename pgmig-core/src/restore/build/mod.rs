//! Builds the staging database: everything between its creation and the swap.

mod analyze;
mod binary_ids;
pub(crate) mod commit_guard;
mod compare_rows;
mod data;
mod empty;
mod extensions;
mod grants;
pub(crate) mod hand_over;
mod into_target_schema;
mod large_object_defaults;
mod late_instances;
mod lifted;
mod only_in_target;
mod pre_data;
mod privileges;
mod public_schema;
mod recording;
mod rules;
mod script_stream;
mod sequences;
mod settle;
mod tool_locks;
mod unknown_sources;
mod upgrade;
mod verify;

use crate::archive::Archive;
use crate::error::Result;
use crate::progress::{NoticeCode, Step};
use crate::restore::build::commit_guard::Guard;
use crate::restore::build::hand_over::Owned;
use crate::restore::catalogs::schema;
use crate::restore::catalogs::schema::Objects;
use crate::restore::executor::Executor;
use crate::restore::failpoint::Failpoints;
use crate::restore::journal::Journal;
use crate::restore::load::sessions::{Sessions, Setup};
use crate::restore::options::{Instances, RestoreOptions};
use crate::restore::plan::RunAs;
use crate::restore::preflight::Known;
use crate::restore::preflight::upgrade_path::Upgrade;
use crate::restore::state::State;
use crate::restore::target_schema::TargetSchema;
use crate::rewrite::{Found, Rules};
use crate::server::TargetConfig;
use crate::server::session::Session;
use crate::sql::quote_ident;
use analyze::analyze;
use large_object_defaults::LargeObjectDefaults;
use lifted::Lifted;
pub(crate) use recording::Recording;
use rules::rules_of;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Everything that it takes to build the staging database.
pub(crate) struct Build {
    /// For sessions that run code of the archive or of the target.
    pub(crate) config: TargetConfig,
    /// For sessions that run pgmig's own statements only: `su_username`'s.
    pub(crate) admin: TargetConfig,
    /// Whether a superuser's session beside those makes what only a superuser can make.
    pub(crate) has_superuser_beside: bool,
    /// The staging database.
    pub(crate) database: String,
    pub(crate) target: String,
    pub(crate) target_oid: u32,
    pub(crate) application: String,
    pub(crate) failpoints: Failpoints,
    pub(crate) options: RestoreOptions,
    /// How many connections load rows at the same time.
    pub(crate) jobs: NonZeroUsize,
    pub(crate) known: Known,
    /// How often each source of the mapping was found.
    pub(crate) found: Found,
    /// In place: the target's objects before they were dropped, where they have to be compared with the archive's.
    pub(crate) target_objects: Option<Objects>,
    /// In place: what makes a commit fail until all of the archive has been restored.
    pub(crate) guard: Option<Guard>,
    /// In place: what belongs to the target database and to `username`, at the beginning of the transaction.
    pub(crate) state: Option<State>,
    /// In place: objects of the superuser that are not the archive's.
    pub(crate) superusers_before: Vec<Owned>,
    /// In a swap: what is complete, and what decides whether another run may go on with it.
    pub(crate) recording: Recording,
}

/// The schema into which the rows go, and the preparations for it.
enum Prepared {
    /// The archive's own, made from its definitions.
    ArchiveSchema {
        /// Whether `username` was granted the right to create objects in schema public.
        opened_public: bool,
    },
    /// The target's, in a copy of it that was emptied.
    TargetSchema {
        schema: Box<TargetSchema>,
        /// Foreign keys, triggers and rules that are out of the way of the rows.
        lifted: Lifted,
        /// Default privileges that must not widen those of the archive's large objects.
        defaults: LargeObjectDefaults,
    },
}

impl Build {
    /// Fills the staging database. When this returns, everything is in it and no session of ours is.
    ///
    /// # Errors
    ///
    /// The archive cannot be read, the server refuses a statement or a row, or verification finds a difference.
    pub(crate) async fn run(mut self, archive: Archive, journal: &mut Journal) -> Result<()> {
        let mut setup = self.setup(&archive);
        let mut sessions = Sessions::open(&setup).await?;
        self.begin_record(&mut setup, &mut sessions.lead, journal).await?;
        self.fill(archive, &setup, &mut sessions, journal).await?;
        sessions.close().await;
        Ok(())
    }

    /// Restores everything over one session, in the transaction that the session has open and that stays open.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub(crate) async fn run_in(
        mut self,
        session: Session,
        archive: Archive,
        journal: &mut Journal,
    ) -> Result<Session> {
        let setup = self.setup(&archive);
        let mut sessions = Sessions::of(session, &setup).await?;
        self.fill(archive, &setup, &mut sessions, journal).await?;
        Ok(sessions.into_lead())
    }

    async fn fill(
        &mut self,
        mut archive: Archive,
        setup: &Setup,
        sessions: &mut Sessions,
        journal: &mut Journal,
    ) -> Result<()> {
        journal.step(Step::PreData);
        let prepared = match self.known.target_schema.take() {
            Some(schema) => self.prepare_target_schema(schema, &mut sessions.lead).await?,
            None => self.prepare_archive_schema(&mut archive, &mut sessions.lead, journal).await?,
        };
        self.more_sessions(sessions, setup, journal).await?;

        journal.step(Step::Data);
        if let Prepared::TargetSchema { schema, .. } = &prepared {
            into_target_schema::set_up(sessions.all(), schema).await?;
        }
        let (loaded, comparison) = self.rows_and_post_data(archive, sessions, journal, setup).await?;
        self.compare_rows(sessions, &loaded, comparison, journal).await?;
        let target_schema = match prepared {
            Prepared::ArchiveSchema { opened_public } => {
                self.finish_archive_schema(opened_public, sessions, journal).await?;
                None
            }
            Prepared::TargetSchema { schema, lifted, defaults } => {
                self.finish_target_schema(&schema, (lifted, defaults), &mut sessions.lead, journal).await?;
                self.report_sources(journal)?;
                Some(schema)
            }
        };

        journal.step(Step::Verify);
        if let Some(schema) = &target_schema {
            self.verify_target_schema(schema, &mut sessions.lead, journal).await?;
        }
        self.verify(&mut sessions.lead, journal, &loaded).await?;
        journal.report.tables = loaded.tables;
        if let Some(profile) = &self.known.profile {
            journal.report.count_tables(profile);
        }
        self.failpoints.pass(Step::Verify)?;

        journal.step(Step::Analyze);
        if target_schema.is_none() {
            sessions.open_others(setup).await?;
        }
        for text in analyze(sessions.all(), self.strongest()).await? {
            journal.notice(NoticeCode::AnalyzeFailed, text);
        }
        self.end_record(&mut sessions.lead, journal).await?;
        self.failpoints.pass(Step::Analyze)?;
        Ok(())
    }

    /// Makes the archive's schemas, types, functions and tables.
    async fn prepare_archive_schema(
        &self,
        archive: &mut Archive,
        executor: &mut Executor,
        journal: &mut Journal,
    ) -> Result<Prepared> {
        // Do not keep a second copy of the plan: for many thousand tables it has many MiB.
        if archive.has_all_entries() {
            archive.forget_statements();
        }
        executor.is_before_rows = true;
        let opened_public = self.open_public(executor, "for the archive").await?;
        self.make_extensions(executor, journal).await?;
        self.tasks(executor, journal, &self.known.plan.pre_data, Step::PreData).await?;
        executor.run_all(&self.known.plan.data_first.iter().collect::<Vec<_>>()).await?;
        executor.is_before_rows = false;
        self.delete_replaced_rows(executor).await?;
        Ok(Prepared::ArchiveSchema { opened_public })
    }

    /// Everything between the rows and the verification, where the schema is the archive's.
    async fn finish_archive_schema(
        &mut self,
        opened_public: bool,
        sessions: &mut Sessions,
        journal: &mut Journal,
    ) -> Result<()> {
        sessions.dismiss_others().await;
        let executor = &mut sessions.lead;
        if !self.is_restored(executor, journal) {
            self.last_of_archive(opened_public, executor, journal).await?;
        }
        journal.report.ddl_replacements = sessions.replaced();
        self.report_sources(journal)?;
        let executor = &mut sessions.lead;
        self.settle(executor).await?;
        let opened_public = self.open_public(executor, "for the upgrade").await?;
        self.upgrade(executor, journal).await?;
        self.close_public(executor, opened_public, "after the upgrade").await?;
        self.release_stale_locks(executor, journal).await
    }

    /// The archive's entries that come after the indexes and constraints. Then everything of the archive is there.
    async fn last_of_archive(
        &mut self,
        opened_public: bool,
        executor: &mut Executor,
        journal: &mut Journal,
    ) -> Result<()> {
        // Before the archive's own grants, which may give the same right.
        self.close_public(executor, opened_public, "after the archive").await?;
        self.note_taken_back(executor).await?;
        journal.step(Step::Privileges);
        // Filling a materialized view takes no right that the archive grants, but perhaps one that it revokes.
        self.last(executor).await?;
        self.hand_over(executor).await?;
        let statements = self.grants(executor, journal).await?;
        self.extras(executor, journal).await?;
        self.compare_privileges(executor, journal, &statements).await?;

        // The archive may have taken the right to read a catalog.
        verify::objects(executor.reader().await?, &self.known.plan.expected).await?;
        self.note_restored(executor, journal).await
    }

    /// Notes what the target's objects are, if they will have to be compared with the archive's.
    pub(crate) async fn remember_target(&mut self, session: &mut Session) -> Result<()> {
        if !self.known.contents.is_empty() && !matches!(self.known.upgrade, Upgrade::Planned { .. }) {
            self.target_objects = Some(schema::objects(session).await?);
        }
        Ok(())
    }

    pub(crate) fn setup(&self, archive: &Archive) -> Setup {
        let strings = archive.strings();
        Setup {
            config: self.config.clone(),
            admin: self.admin.clone(),
            has_superuser_beside: self.has_superuser_beside,
            database: self.database.clone(),
            application: self.application.clone(),
            strings,
            unqualified: archive.search_path_statement().is_none(),
            jobs: self.jobs,
            toast_compression: self.options.toast_compression,
            rules: self.rules(),
            record: self.recording.record.clone(),
        }
    }

    /// The other sessions. Fewer than were asked for are only slower.
    async fn more_sessions(
        &self,
        sessions: &mut Sessions,
        setup: &Setup,
        journal: &mut Journal,
    ) -> Result<()> {
        let admitted = sessions.open_others(setup).await?;
        let wanted = setup.jobs.get();
        if admitted < wanted {
            journal.notice(NoticeCode::FewerConnections, format!(
                "the server admits {admitted} of the {wanted} connections that RestoreOptions::jobs asks for \
                 (max_connections, or the connection limit of {}); the restore goes on with {admitted}",
                quote_ident(self.admin.su_username())
            ));
        }
        Ok(())
    }

    /// The most privileged role that pgmig can act as: the superuser, else `username`, which owns everything restored.
    pub(crate) fn strongest(&self) -> &'static RunAs {
        if self.sessions_are_superusers() { &RunAs::Superuser } else { &RunAs::Owner }
    }

    /// Whether the sessions that fill the database are a superuser's.
    pub(crate) fn sessions_are_superusers(&self) -> bool {
        self.known.facts.login_is_superuser && !self.has_superuser_beside
    }

    pub(crate) fn rules(&self) -> Option<Arc<Rules>> {
        let resolution =
            self.known.resolution.as_ref().filter(|_| !matches!(self.options.instances, Instances::Keep))?;
        Some(Arc::new(rules_of(resolution, self.known.profile.as_ref(), &self.found)))
    }
}
