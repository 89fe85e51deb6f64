//! The pass in which an entry is restored.

use crate::archive::{Entry, EntryKind, Section};

/// pg_restore's passes.
pub(crate) enum Pass {
    Main,
    Privileges,
    Last,
    /// pg_restore makes these in its last pass, too; here they come after what follows that.
    EventTriggers,
}

/// The pass of an entry.
pub(crate) fn pass(entry: &Entry) -> Pass {
    use EntryKind as K;
    let of_event_trigger = entry.tag.as_bytes().starts_with(b"EVENT TRIGGER ");
    match entry.kind {
        K::Acl | K::AclLanguage | K::DefaultAcl => Pass::Privileges,
        K::MaterializedViewData => Pass::Last,
        K::EventTrigger => Pass::EventTriggers,
        K::Comment | K::SecurityLabel if of_event_trigger => Pass::EventTriggers,
        // Statistics of materialized views come after these are filled.
        K::StatisticsData if entry.section == Section::PostData => Pass::Last,
        _ => Pass::Main,
    }
}
