//! Restoring in the target itself, in one transaction: for who may create no database, and for databases that
//! cannot be renamed.

mod clearing;
mod locks;

#[expect(unused_imports, reason = "the strategy is being built")]
pub(super) use clearing::Clearing;
#[expect(unused_imports, reason = "the strategy is being built")]
pub(super) use locks::preflight as lock_preflight;
