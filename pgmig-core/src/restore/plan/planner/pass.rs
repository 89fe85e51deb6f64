//! The pass in which an entry is restored.

use crate::archive::{Entry, EntryKind, Section};

/// pg_restore's passes.
pub(crate) enum PlanPass {
    Main,
    Privileges,
    Last,
    /// pg_restore makes these in its last pass, too; here they come after what follows that.
    EventTriggers,
}

/// The pass of an entry.
pub(crate) fn pass(entry: &Entry) -> PlanPass {
    use EntryKind as K;
    let of_event_trigger = entry.tag.as_bytes().starts_with(b"EVENT TRIGGER ");
    match entry.kind {
        K::Acl | K::AclLanguage | K::DefaultAcl => PlanPass::Privileges,
        K::MaterializedViewData => PlanPass::Last,
        K::EventTrigger => PlanPass::EventTriggers,
        K::Comment | K::SecurityLabel if of_event_trigger => PlanPass::EventTriggers,
        // Statistics of materialized views come after these are filled.
        K::StatisticsData if entry.section == Section::PostData => PlanPass::Last,
        _ => PlanPass::Main,
    }
}
