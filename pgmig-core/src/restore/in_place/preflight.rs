//! What is refused before anything is dropped.

use super::clearing::Clearing;
use super::locks;
use crate::archive::Archive;
use crate::error::Result;
use crate::progress::Notice;
use crate::restore::error::Refusal;
use crate::restore::plan::{Plan, Task};
use crate::restore::preflight::Inside;
use crate::restore::upgrade_path::{Upgrade, split_migration};
use crate::schema;
use crate::sql::{StandardStrings, transaction_control};
use crate::target::session::Session;

/// Looks for everything that would fail in the one transaction, and needs no try to be known.
///
/// # Errors
///
/// A [`Refusal`].
pub(in crate::restore) async fn preflight(
    session: &mut Session,
    archive: &Archive,
    plan: &Plan,
    inside: &Inside,
    clearing: &Clearing,
) -> Result<()> {
    let strings =
        if archive.standard_conforming_strings() { StandardStrings::On } else { StandardStrings::Off };
    refuse_transaction_control(plan, strings)?;
    if let Upgrade::Planned { plan } = &inside.upgrade {
        schema::check_in_one_transaction(plan, split_migration, session.server_version())?;
    }
    locks::preflight(session, plan, inside, clearing).await
}

/// What is said of a restore in place beforehand.
pub(in crate::restore) fn notices(clearing: &Clearing) -> Vec<Notice> {
    clearing.notices()
}

/// pg_dump writes no transaction control but around large objects in a plain script, which is no entry; nor anything else
/// that cannot be in a transaction.
fn refuse_transaction_control(plan: &Plan, strings: StandardStrings) -> Result<(), Refusal> {
    let entries: Vec<String> = plan.tasks().filter_map(|task| control_in(task, strings)).collect();
    if entries.is_empty() { Ok(()) } else { Err(Refusal::TransactionControl(entries)) }
}

/// The entry and what of it cannot be in a transaction that goes on, if it has any.
pub(in crate::restore) fn control_in(task: &Task, strings: StandardStrings) -> Option<String> {
    let control = task.statements.iter().find_map(|(_, sql)| {
        let control = transaction_control(sql, strings);
        control.or_else(|| schema::why_alone(sql).map(str::to_owned))
    })?;
    Some(format!("{}: {control}", task.label))
}
