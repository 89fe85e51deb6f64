//! Gives instances their new IDs, on the way from the archive to the server. Rewrites COPY rows, literals of DDL, and
//! `INSERT` statements.
//!
//! An *occurrence* of an ID is a run of 36 bytes: hexadecimal digits of either case, and hyphens. Each byte stands
//! for itself, and the neighbours of the run are not among `0-9A-Za-z`. An occurrence with an upper-case letter is
//! replaced in upper case, any other in lower case.
//!
//! Neighbours are examined after decoding. An escape of COPY, of an SQL string constant or, in json and jsonb
//! columns, of JSON counts as the character for which it stands. In arrays, composite values and ranges with json
//! among them, each value inside is decoded.
//!
//! Forms without hyphens are not occurrences, nor are IDs with a character that is written as an escape. Two
//! occurrences cannot overlap: one of them would begin or end beside a digit of the other.
//!
//! In bytea and large objects, the bytes count as ASCII characters. Occurrences there are counted, and replaced only
//! if a [`BinaryRule`] says so.
//!
//! This module is independent of archives and servers.

mod border;
mod bytea;
mod ddl;
mod found;
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
pub(crate) use found::Found;
pub(crate) use insert::rewrite_insert;
pub use large_object::LargeObjectRewriter;
pub use leftover::LeftoverCounter;
pub(crate) use occurrence::ids_in_row;
pub use rewriter::RowRewriter;
pub use rules::{BinaryRule, ColumnRule, ColumnSelector, Rules};
pub use shape::Shape;
