//! Reads the target's own privileges before a restore, and warns of those that get lost.

use super::Known;
use crate::archive::Archive;
use crate::error::Result;
use crate::restore::options::Strategy;
use crate::restore::plan::untrusted::Trust;
use crate::restore::privileges::statements_of;
use crate::restore::privileges::target::TargetPrivileges;
use crate::server::session::Session;

/// Notes the target's default privileges and its grants on schema public. If all entries of the archive are known, warns of
/// those that get lost; otherwise the comparison after the restore does.
pub(super) async fn of_target(
    target: &mut Session,
    archive: &Archive,
    known: &mut Known,
    username: &str,
    strategy: Strategy,
) -> Result<()> {
    if known.target_schema.is_some() {
        // The new database is a copy of the target, with its privileges.
        return Ok(());
    }
    let login = known.facts.login.clone();
    let clears_its_own = known.facts.login_is_superuser && known.facts.trust == Trust::Full;
    let cleared: Vec<&str> = match clears_its_own {
        true => vec![username, &login],
        false => vec![username],
    };
    let only_of = (strategy == Strategy::InPlace).then_some(cleared.as_slice());
    let mut privileges = TargetPrivileges::read(target, username, only_of).await?;
    if archive.has_all_entries() {
        let strings = archive.strings();
        let tasks = known.plan.privileges.iter();
        let statements: Vec<_> = tasks.filter_map(|task| statements_of(task, strings)).flatten().collect();
        known.notices.extend(privileges.foretell(&statements));
    }
    known.target_privileges = privileges;
    Ok(())
}
