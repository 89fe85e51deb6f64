//! The databases of the speech services: owners are moved as the manual's UPDATE statements do, and nothing else.
//!
//! The oracle is the manual's own way: psql restores the script, and runs the statements. pg_dump of both databases must be
//! the same, byte for byte. Relatives of a value that moves, each of which must stay: the ID inside a longer text, with blanks
//! or in upper case; in another column of the same table, in JSON, bytea, arrays and large objects; in a table of
//! the same column name; in defaults, comments, views and functions.

mod databases;
mod owners;
