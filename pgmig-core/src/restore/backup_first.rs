//! Takes a backup of the target before it is replaced, so that there is a way back.

use super::run::{Run, keep_alive};
use crate::dump::{Destination, Dump};
use crate::error::Result;
use crate::progress::NoticeCode;
use crate::restore::options::{BackupFirst, RestoreOptions};
use crate::server::{TargetConfig, catalog};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The backup that the options ask for.
fn dump(config: &TargetConfig, first: &BackupFirst, cancel: &CancellationToken) -> Dump {
    let destination = Destination::Directory(first.directory.clone());
    Dump::of(config.clone(), destination).options(first.options.clone()).cancel(cancel.clone())
}

/// Checks beforehand that the backup can be made. Changes nothing.
pub(crate) async fn check(
    config: &TargetConfig,
    options: &RestoreOptions,
    cancel: &CancellationToken,
) -> Result<()> {
    if let Some(first) = &options.backup_first {
        dump(config, first, cancel).check().await?;
    }
    Ok(())
}

/// Takes the backup. The restore holds its lock, and has changed nothing.
pub(crate) async fn back_up(run: &mut Run) -> Result<()> {
    let Some(first) = run.options.backup_first.clone() else { return Ok(()) };
    let progress = Arc::clone(&run.journal.progress);
    let dump = dump(&run.config, &first, &run.cancel).progress(progress);
    let made = tokio::select! {
        made = dump.run() => made?,
        lost = keep_alive(&mut run.control, &run.login) => return Err(lost.into()),
    };
    made.notices.into_iter().for_each(|notice| run.journal.note(notice));
    let others = catalog::other_sessions(&mut run.control, &run.target.name, &run.application).await?;
    if !others.is_empty() {
        run.journal.warn(NoticeCode::WrittenSinceBackup, format!(
            "{} connected to the target while it was backed up; what they have written since is not in the backup",
            match others.len() {
                1 => "1 other session was".to_owned(),
                many => format!("{many} other sessions were"),
            }
        ));
    }
    run.journal.report.backup = made.file;
    Ok(())
}
