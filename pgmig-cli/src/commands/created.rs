//! `--create-database`: the target is created empty before the restore, and dropped again if there is none.

use crate::failure;
use crate::output;
use anyhow::Result;
use pgmig_core::ErrorKind;
use pgmig_core::backup::Backup;
use pgmig_core::restore::NewDatabase;
use pgmig_core::server::TargetConfig;

/// The target that this run has created, if any.
pub(super) struct Created(Option<NewDatabase>);

impl Created {
    /// Creates the target if that is asked for and it does not exist.
    pub(super) async fn of(is_asked: bool, config: &TargetConfig, backup: &Backup) -> Result<Self> {
        if !is_asked {
            return Ok(Self(None));
        }
        let encoding = backup.archive().encoding().filter(|encoding| *encoding != "SQL_ASCII");
        Ok(Self(NewDatabase::create_if_missing(config, encoding).await?))
    }

    /// Drops the target if the restore failed. If it is not known whether it did, the target stays.
    pub(super) async fn settle<T>(self, result: Result<T>) -> Result<T> {
        match &result {
            Err(error) if failure::kind(error) != ErrorKind::OutcomeUnknown => self.undo().await,
            _ => {}
        }
        result
    }

    /// Drops the target that this run has created.
    pub(super) async fn undo(self) {
        let Some(created) = self.0 else { return };
        let name = created.name().to_owned();
        let why = match created.drop_unused().await {
            Ok(true) => return,
            Ok(false) => "it is not empty, or another one has its name".to_owned(),
            Err(error) => error.to_string(),
        };
        let text = format!("database {name:?}, which this run has created, was not dropped: {why}");
        output::tell("warning", &text);
    }
}
