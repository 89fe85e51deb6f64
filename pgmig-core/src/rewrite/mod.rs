//! Gives instances their new IDs, on the way from the archive to the server: in COPY rows, in the literals of
//! DDL and in `INSERT` statements.
//!
//! An *occurrence* of an ID is a run of 36 bytes, hexadecimal digits of either case and hyphens, each of which
//! stands for itself, and whose neighbours are not among `0-9A-Za-z`. Neighbours are looked at decoded: an
//! escape of COPY, of an SQL string constant and, in json and jsonb columns, of JSON counts as the character
//! that it stands for. It is written again in upper case if it holds an upper-case letter, else in lower case.
//! Neither forms without hyphens nor IDs of which a character is written as an escape are occurrences. Two
//! occurrences cannot overlap: one of them would begin or end beside a digit of the other.
//!
//! This module knows nothing of archives and servers.

mod border;
mod ddl;
mod insert;
mod leftover;
mod literal;
mod occurrence;
mod rewriter;
mod rules;
mod token;

#[cfg(test)]
mod reference;

pub use ddl::rewrite_ddl;
pub use insert::{RewrittenInsert, rewrite_insert};
pub use leftover::LeftoverCounter;
pub(crate) use occurrence::ids_in_row;
pub use rewriter::RowRewriter;
pub use rules::{ColumnKind, ColumnRule, ColumnSelector, Rules};
