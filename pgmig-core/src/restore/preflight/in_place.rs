//! The checks of a restore in place before anything is dropped.

use crate::archive::Archive;
use crate::error::Result;
use crate::migrations;
use crate::progress::Notice;
use crate::restore::clearing::Clearing;
use crate::restore::plan::Plan;
use crate::restore::plan::transaction_control::control_in;
use crate::restore::preflight::Known;
use crate::restore::preflight::lock_table;
use crate::restore::preflight::upgrade_path::{Upgrade, split_migration};
use crate::restore::refusal::Refusal;
use crate::server::session::Session;
use crate::sql::StandardStrings;

/// Looks for everything that would fail in the one transaction, and needs no try to be known.
///
/// # Errors
///
/// A [`Refusal`].
pub(crate) async fn preflight(
    session: &mut Session,
    archive: &Archive,
    known: &Known,
    clearing: &Clearing,
) -> Result<()> {
    let strings = archive.strings();
    refuse_transaction_control(&known.plan, strings)?;
    if let Upgrade::Planned { plan } = &known.upgrade {
        migrations::check_in_one_transaction(plan, split_migration, session.server_version())?;
    }
    lock_table::preflight(session, known, clearing).await
}

/// The notices about a restore in place before it begins.
pub(crate) fn notices(clearing: &Clearing) -> Vec<Notice> {
    clearing.notices()
}

/// pg_dump writes no transaction control but around large objects in a plain script, which is no entry; nor anything else
/// that cannot be in a transaction.
fn refuse_transaction_control(plan: &Plan, strings: StandardStrings) -> Result<(), Refusal> {
    let entries: Vec<String> = plan.tasks().filter_map(|task| control_in(task, strings)).collect();
    if entries.is_empty() { Ok(()) } else { Err(Refusal::TransactionControl(entries)) }
}
