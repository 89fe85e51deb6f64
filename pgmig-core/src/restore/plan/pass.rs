//! The pass in which an entry is restored.

use super::kinds::{self, PassRule};
use crate::archive::{Entry, Section};

/// The passes of pg_restore, whose last one is two here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanPass {
    /// The entry's section decides.
    Main,
    Privileges,
    Last,
    /// After everything else: event triggers fire on all that follows them.
    EventTriggers,
}

/// The pass of an entry.
pub(crate) fn pass(entry: &Entry) -> PlanPass {
    match kinds::of(entry.kind).pass {
        PassRule::Always(pass) => pass,
        PassRule::OfItsObject if entry.tag.as_bytes().starts_with(b"EVENT TRIGGER ") => {
            PlanPass::EventTriggers
        }
        PassRule::LastInPostData if entry.section == Section::PostData => PlanPass::Last,
        PassRule::OfItsObject | PassRule::LastInPostData => PlanPass::Main,
    }
}
