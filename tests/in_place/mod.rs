//! Restores in the target itself, in one transaction.

mod clearing;
mod corpus;
pub(crate) mod readers;
mod rights;
mod whole;
