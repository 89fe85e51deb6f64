//! Gives instances their new IDs, on the way from the archive to the server: in COPY rows, in the literals of
//! DDL and in `INSERT` statements.
//!
//! An *occurrence* of an ID is a run of 36 bytes, hexadecimal digits of either case and hyphens, each of which
//! stands for itself, and whose neighbours are not among `0-9A-Za-z`. Neighbours are looked at decoded: an
//! escape of COPY, of an SQL string constant and, in json and jsonb columns, of JSON counts as the character
//! that it stands for. In arrays, composite values and ranges with json among them, it is each value inside that is
//! decoded. It is written again in upper case if it holds an upper-case letter, else in lower case.
//! Neither forms without hyphens nor IDs of which a character is written as an escape are occurrences. Two
//! occurrences cannot overlap: one of them would begin or end beside a digit of the other.
//!
//! In bytea and large objects, the bytes are looked at, as characters of ASCII. Occurrences there are counted, and
//! replaced only where a [`BinaryRule`] says so.
//!
//! This module knows nothing of archives and servers.

mod border;
mod bytea;
mod ddl;
mod insert;
mod large_object;
mod leftover;
mod literal;
mod nested;
mod occurrence;
mod rewriter;
mod rules;
mod shape;
mod token;

#[cfg(test)]
mod specification;

pub(crate) use ddl::rewrite_ddl;
pub(crate) use insert::rewrite_insert;
pub use large_object::LargeObjectRewriter;
pub use leftover::LeftoverCounter;
pub(crate) use occurrence::ids_in_row;
pub use rewriter::RowRewriter;
pub use rules::{BinaryRule, ColumnRule, ColumnSelector, Rules};
pub use shape::Shape;
