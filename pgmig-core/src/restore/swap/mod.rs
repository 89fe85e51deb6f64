//! Replaces the target by a staging database that was built beside it, by two renames in one transaction.

pub(crate) mod carry_over;
pub(crate) mod rename;
pub(crate) mod resume;
mod run;

pub(crate) use run::SwapRestore;
