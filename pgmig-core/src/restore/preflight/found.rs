//! The results of the preflight.

use crate::instance::Resolution;
use crate::migrations::MigrationSet;
use crate::profile::Profile;
use crate::progress::Notice;
use crate::restore::archive_login::ArchiveLogin;
use crate::restore::plan::{Facts, Plan};
use crate::restore::preflight::instances::LateInstances;
use crate::restore::preflight::selected::Selected;
use crate::restore::preflight::strategy::Decision;
use crate::restore::preflight::upgrade_path::Upgrade;
use crate::restore::privileges::target::TargetPrivileges;
use crate::restore::report::contents::TargetContents;
use crate::restore::target_schema::TargetSchema;
use crate::server::catalog::DatabaseFacts;
use crate::server::contents::Extras;
use crate::server::session::Session;

/// The starting point of a restore.
pub(crate) struct Preflight {
    /// Connected to `maintenance`.
    pub(crate) control: Session,
    pub(crate) maintenance: String,
    pub(crate) target: DatabaseFacts,
    pub(crate) decision: Decision,
    pub(crate) login: ArchiveLogin,
    pub(crate) known: Known,
}

/// The facts about the archive, the cluster and the target, and the decisions that follow from them.
pub(crate) struct Known {
    pub(crate) plan: Plan,
    pub(crate) facts: Facts,
    /// The entries that the options leave out.
    pub(crate) selected: Selected,
    pub(crate) contents: TargetContents,
    pub(crate) extras: Extras,
    /// The profile of the archive's store; `None` if the archive holds no store.
    pub(crate) profile: Option<Profile>,
    pub(crate) migrations: Option<MigrationSet>,
    pub(crate) upgrade: Upgrade,
    /// The mapping applied to the archive's instances; `None` as long as these are not known.
    pub(crate) resolution: Option<Resolution>,
    /// Resolves the instances of a stream, once their rows have come.
    pub(crate) late: Option<LateInstances>,
    /// The target's own schema, where it is the authority.
    pub(crate) target_schema: Option<TargetSchema>,
    /// The target's privileges that belong to no object of the backup.
    pub(crate) target_privileges: TargetPrivileges,
    pub(crate) notices: Vec<Notice>,
}
