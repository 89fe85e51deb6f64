//! Plain scripts of pg_dump: SQL for psql, with a comment above each entry.
//!
//! The comments have the information of pg_dump's table of contents, and the statements below a comment belong to its
//! entry. Reading executes nothing. psql's own commands are never executed, either: those that pg_dump writes are
//! understood, and others are refused. Comments do not have dump IDs and dependencies. The reader makes these up so
//! that they keep the script's order.

mod entry;
mod header;
mod names;
mod objects;
mod parser;
mod reader;
mod setting;
mod stream;
mod tag;
mod uncommented;

pub(super) use objects::{ScriptObjects, Statements};
pub(super) use stream::{ScriptBlock, ScriptStream};

use super::blocks::{LocatedBlock, Piece, Shape};
use super::error::ArchiveError;
use super::header::Header;
use super::item::Coding;
use super::reader::Reader;
use super::toc::Toc;
use parser::{Found, ScriptParser};

/// Reads a whole script: its entries, and where their data are. `reader` is at its start.
///
/// # Errors
/// The script cannot be read, is incomplete, or has something in it that pg_dump does not write.
pub(super) fn read(reader: Reader) -> Result<(Header, Toc, Vec<LocatedBlock>, u64), ArchiveError> {
    let mut parser = ScriptParser::new(reader)?;
    let mut toc = Toc::default();
    let mut blocks = Vec::new();
    while let Some(found) = parser.next()? {
        parser.move_entries(&mut toc);
        let mut coding = Coding::Stored;
        let (start, end) = match found {
            Found::Copy(_) => {
                let range = parser.script.pass_over_copy_data()?;
                coding = parser.script.coding_of_rows();
                range
            }
            Found::Inserts(_) => parser.pass_over_inserts()?,
            Found::Objects(_) => parser.pass_over_objects()?,
            Found::Nothing { .. } => (0, 0),
        };
        let piece = Piece { file: None, start, end, coding };
        let shape = match found.is_objects() {
            true => Shape::Statements { piece, strings: parser.strings },
            false => Shape::Piece(piece),
        };
        blocks.push(LocatedBlock::new(found.dump_id(), shape));
    }
    parser.move_entries(&mut toc);
    let size = parser.script.reader().offset();
    Ok((parser.header, toc, blocks, size))
}
