//! Lists a dump, or prints the rows of one of its tables:  cargo run --example list -- DUMP [TABLE]

use pgdump_archive::{Archive, Block, Entry, EntryKind};
use std::io::{Write, copy, stdout};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let archive = Archive::open(arguments.next().ok_or("usage: list DUMP [TABLE]")?.as_ref())?;
    let Some(table) = arguments.next() else { return Ok(write!(stdout(), "{}", archive.listing())?) };
    let has_rows = |entry: &&Entry| entry.kind == EntryKind::TableData && entry.tag == *table;
    for entry in archive.entries().iter().filter(has_rows) {
        if let Block::Data(mut rows) = archive.block(entry.dump_id)? {
            copy(&mut rows, &mut stdout())?;
        }
    }
    Ok(())
}
