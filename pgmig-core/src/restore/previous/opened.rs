//! The connection to the server, and the facts that each of the calls needs.

use super::found::{Found, Previous};
use super::{Call, PreviousList};
use crate::error::Result;
use crate::progress::{Notice, NoticeCode};
use crate::restore::commit::CommitWait;
use crate::restore::interruption::CleanUp;
use crate::restore::options::COMMIT_WAIT;
use crate::restore::preflight::{open_control, owner_right, rename_rights};
use crate::restore::prepared::application_name;
use crate::restore::refusal::Refusal;
use crate::restore::sessions::TargetSessions;
use crate::restore::staging::dropping::Holder;
use crate::server::catalog::{self, DatabaseFacts, Slots};
use crate::server::lock::lock_target;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use tokio_util::sync::CancellationToken;

/// A connection to the database `maintenance`, and the target.
pub(super) struct Opened {
    pub(super) config: TargetConfig,
    pub(super) application: String,
    pub(super) run_id: String,
    pub(super) control: Session,
    pub(super) maintenance: String,
    pub(super) target: DatabaseFacts,
}

impl Opened {
    /// Connects.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or has no such target.
    pub(super) async fn new(config: TargetConfig) -> Result<Self> {
        let run_id = uuid::Uuid::new_v4().simple().to_string();
        let application = application_name(config.application_name().unwrap_or("pgmig"), &run_id);
        let (mut control, maintenance) = open_control(&config, &application).await?;
        let Some(target) = catalog::database_facts(&mut control, config.database()).await? else {
            let (server, database) = (config.server(), config.database().to_owned());
            return Err(TargetError::UnknownDatabase { server, database }.into());
        };
        Ok(Self { config, application, run_id, control, maintenance, target })
    }

    pub(super) async fn list(&mut self) -> Result<PreviousList> {
        let found = Found::read(&mut self.control, &self.target).await?;
        let notices = found
            .doubtful
            .iter()
            .map(|refusal| Notice::warning(NoticeCode::DoubtfulDatabase, refusal.to_string()))
            .collect();
        let mut previous = Vec::new();
        for mut each in found.previous {
            each.shown.obstacles = self.obstacles(&each).await?;
            previous.push(each.shown);
        }
        Ok(PreviousList { database: self.target.name.clone(), previous, notices })
    }

    /// Why the previous database cannot take the target's place.
    pub(super) async fn obstacles(&mut self, previous: &Previous) -> Result<Vec<String>> {
        if previous.is_invalid {
            return Ok(vec!["it is invalid: a DROP DATABASE was stopped in the middle (drop it)".to_owned()]);
        }
        let Some(facts) = catalog::database_with_oid(&mut self.control, previous.oid).await? else {
            return Ok(vec!["it has been dropped".to_owned()]);
        };
        let version = self.control.server_version();
        let mut reasons = Vec::new();
        for owner in [&self.target.owner, &facts.owner] {
            let roles = catalog::role_facts(&mut self.control, self.config.username(), owner).await?;
            reasons.extend(rename_rights(version, &self.config, owner, &roles));
        }
        if self.maintenance == self.target.name {
            reasons.push(format!(
                "su_username {} may not connect to another database (GRANT CONNECT ON DATABASE postgres)",
                self.config.su_username()
            ));
        }
        let of_target = catalog::rename_obstacles(&mut self.control, &self.target, Slots::Every).await?;
        reasons.extend(of_target.iter().map(|reason| format!("of the target: {reason}")));
        reasons.extend(catalog::rename_obstacles(&mut self.control, &facts, Slots::InUse).await?);
        let mut unique: Vec<String> = Vec::new();
        for reason in reasons {
            if !unique.contains(&reason) {
                unique.push(reason);
            }
        }
        Ok(unique)
    }

    /// Why the previous database cannot be dropped, apart from sessions in it.
    pub(super) async fn obstacles_to_drop(&mut self, previous: &Previous) -> Result<Vec<String>> {
        let Some(facts) = catalog::database_with_oid(&mut self.control, previous.oid).await? else {
            return Ok(Vec::new());
        };
        let roles = catalog::role_facts(&mut self.control, self.config.username(), &facts.owner).await?;
        let right = owner_right(self.control.server_version(), &self.config, &facts.owner, &roles);
        let mut reasons: Vec<String> = right.into_iter().collect();
        reasons.extend(catalog::rename_obstacles(&mut self.control, &facts, Slots::Every).await?);
        Ok(reasons)
    }

    /// Takes the lock on the target's name, and checks that the target is still the same database.
    pub(super) async fn lock(&mut self) -> Result<()> {
        let database = self.target.name.clone();
        if let Some(holder) = lock_target(&mut self.control, &database).await? {
            return Err(Refusal::Locked { database, holder }.into());
        }
        match catalog::database_facts(&mut self.control, &database).await? {
            Some(now) if now.oid == self.target.oid => {
                self.target = now;
                Ok(())
            }
            _ => Err(Refusal::Changed { database }.into()),
        }
    }

    /// The session that holds the lock.
    pub(super) fn holder(&mut self) -> Holder<'_> {
        Holder {
            control: &mut self.control,
            config: &self.config,
            maintenance: &self.maintenance,
            application: &self.application,
            target: &self.target.name,
        }
    }

    /// The sessions on the target and on the previous database.
    pub(super) fn sessions(&self, previous: &str, call: &Call) -> TargetSessions {
        TargetSessions {
            config: self.config.clone(),
            maintenance: self.maintenance.clone(),
            application: self.application.clone(),
            databases: vec![self.target.name.clone(), previous.to_owned()],
            wait: call.options.session_wait,
            terminate: call.options.terminate_sessions,
            cancel: call.cancel.clone(),
        }
    }

    /// How to wait for the commit of a rollback.
    pub(super) fn commit_wait(&self, cancel: &CancellationToken) -> CommitWait {
        CommitWait {
            config: self.config.clone(),
            database: self.maintenance.clone(),
            application: self.application.clone(),
            cancel: cancel.clone(),
            clean_up: CleanUp::new(cancel),
            limit: COMMIT_WAIT,
        }
    }
}
