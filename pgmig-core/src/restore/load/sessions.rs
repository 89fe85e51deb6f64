//! The sessions that build the staging database. All have the same settings.

use crate::error::Result;
use crate::restore::executor::Executor;
use crate::restore::load::bulk::BulkSettings;
use crate::restore::options::ToastCompression;
use crate::restore::record::Record;
use crate::restore::superuser_session::SuperuserSession;
use crate::rewrite::Rules;
use crate::server::connect::has_no_slot;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::StandardStrings;
use futures_util::future::join_all;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// How to open sessions on the staging database.
pub(crate) struct Setup {
    /// The login of sessions that run code of the archive.
    pub(crate) config: TargetConfig,
    /// The login of sessions that do not run code of the archive: `su_username`.
    pub(crate) admin: TargetConfig,
    /// Whether a separate session of a superuser creates the objects that only a superuser can create.
    pub(crate) has_superuser_beside: bool,
    /// The staging database.
    pub(crate) database: String,
    pub(crate) application: String,
    pub(crate) strings: StandardStrings,
    /// Whether the archive names objects without their schema, and sets no search_path.
    pub(crate) unqualified: bool,
    /// How many sessions work at the same time.
    pub(crate) jobs: NonZeroUsize,
    pub(crate) toast_compression: ToastCompression,
    /// The rules for literals in DDL.
    pub(crate) rules: Option<Arc<Rules>>,
    /// Where complete work is noted.
    pub(crate) record: Record,
}

/// The lead session, which does the steps that run once, and the sessions that work beside it.
pub(crate) struct Sessions {
    pub(crate) lead: Executor,
    others: Vec<Executor>,
    settings: BulkSettings,
    /// The number of replacements in DDL by sessions that have been closed.
    replaced: u64,
}

impl Sessions {
    /// Opens the first session.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or refuses the settings.
    pub(crate) async fn open(setup: &Setup) -> Result<Self> {
        Self::of(Session::open(&setup.config, &setup.database, &setup.application).await?, setup).await
    }

    /// Makes the session the lead session.
    ///
    /// # Errors
    ///
    /// The server refuses the settings.
    pub(crate) async fn of(mut session: Session, setup: &Setup) -> Result<Self> {
        let settings = BulkSettings::of_server(&mut session, setup.jobs, setup.toast_compression).await?;
        let lead = setup.executor(session, &settings).await?;
        Ok(Self { lead, others: Vec::new(), settings, replaced: 0 })
    }

    /// Returns the lead session.
    pub(crate) fn into_lead(self) -> Session {
        self.lead.session
    }

    /// Opens as many of the other sessions as the server admits. If the server does not admit all of them, pgmig leaves
    /// one connection free for others. Returns the number of sessions.
    ///
    /// # Errors
    ///
    /// The server can no longer be reached, or refuses the settings.
    pub(crate) async fn open_others(&mut self, setup: &Setup) -> Result<usize> {
        let open = || Session::open_another(&setup.config, &setup.database, &setup.application);
        let opened: Vec<Result<Session, TargetError>> = join_all((1..setup.jobs.get()).map(|_| open())).await;
        let mut refused = false;
        for session in opened {
            match session {
                Ok(session) => self.others.push(setup.executor(session, &self.settings).await?),
                Err(error) if has_no_slot(&error) => refused = true,
                Err(error) => return Err(error.into()),
            }
        }
        if refused && let Some(executor) = self.others.pop() {
            self.replaced += executor.replaced;
            executor.close().await;
        }
        Ok(self.others.len() + 1)
    }

    /// Closes the other sessions. The next steps use the lead session only; a step that needs another session opens it.
    pub(crate) async fn dismiss_others(&mut self) {
        let others = std::mem::take(&mut self.others);
        self.replaced += others.iter().map(|executor| executor.replaced).sum::<u64>();
        join_all(others.into_iter().map(Executor::close)).await;
    }

    /// The lead session and the others.
    pub(crate) fn all(&mut self) -> Vec<&mut Executor> {
        std::iter::once(&mut self.lead).chain(&mut self.others).collect()
    }

    /// The number of replacements in DDL. Call [`dismiss_others`](Self::dismiss_others) first.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced + self.lead.replaced
    }

    /// Closes the sessions.
    pub(crate) async fn close(self) {
        let sessions = self.others.into_iter().chain([self.lead]).map(Executor::close);
        join_all(sessions).await;
    }
}

impl Setup {
    async fn executor(&self, session: Session, settings: &BulkSettings) -> Result<Executor> {
        let mut sql = settings.to_sql();
        if self.unqualified {
            sql.push_str("SET search_path = public, pg_catalog;");
        }
        let superuser = self
            .has_superuser_beside
            .then(|| SuperuserSession::new(&self.admin, &self.database, &self.application));
        let owner = self.config.username();
        let (rules, record) = (self.rules.clone(), self.record.clone());
        let mut executor = Executor::new(session, superuser, owner, self.strings, rules, &sql).await?;
        executor.record = record;
        Ok(executor)
    }
}
