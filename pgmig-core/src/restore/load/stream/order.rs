//! The order in which the blocks of a file are read, and so loaded.

use super::Reading;
use crate::archive::{Archive, DumpId};
use crate::restore::load::feed::Content;
use crate::restore::plan::TableLoad;
use std::cmp::Reverse;
use std::collections::VecDeque;

/// The blocks of a file in reading order. Tables of extensions come first, in the archive's order. The others follow, the
/// biggest first, so that the last ones to end are small; a table that keeps the archive's order divides those before it
/// from those after it. Tables that must come last are at the end.
pub(super) fn blocks(archive: &Archive, reading: &Reading) -> VecDeque<Content> {
    let size = |dump_id| Reverse(archive.stored_bytes(dump_id).unwrap_or_default());
    let mut part = 0_usize;
    let mut blocks = Vec::with_capacity(reading.tables.len());
    for (index, table) in reading.tables.iter().enumerate() {
        if reading.resumed.is_complete(table.dump_id) {
            continue;
        }
        let turn = turn(table);
        let divides = turn == Turn::Part && table.in_order;
        part += usize::from(divides);
        let size = if table.is_alone() { Reverse(0) } else { size(table.dump_id) };
        let of = if turn == Turn::Part { part } else { 0 };
        blocks.push(((turn, of, size), Content::Table(index)));
        part += usize::from(divides);
    }
    // They follow the rows in the archive.
    let is_left = |dump_id: &&DumpId| !reading.resumed.is_complete(**dump_id);
    let large_objects = reading.large_objects.iter().filter(is_left);
    blocks.extend(
        large_objects.map(|dump_id| ((Turn::Part, part, size(*dump_id)), Content::LargeObjects(*dump_id))),
    );
    blocks.sort_by_key(|(order, _)| *order);
    blocks.into_iter().map(|(_, content)| content).collect()
}

/// When a table's rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    First,
    Part,
    Last,
}

fn turn(table: &TableLoad) -> Turn {
    match (table.alone, table.last) {
        (_, true) => Turn::Last,
        (true, false) => Turn::First,
        (false, false) => Turn::Part,
    }
}
