//! The units of work that are noted.

use crate::archive::DumpId;
use crate::restore::plan::{EntryStep, Task};
use std::fmt;

/// A part of the work that is complete or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit<'a> {
    /// All statements of an entry, or of its first or second step.
    Task(DumpId, EntryStep),
    /// One of its statements, by its place. It is noted where another statement follows.
    Statement(DumpId, EntryStep, usize),
    /// Rows of a table: runs of them, by their numbers in the archive.
    Rows(DumpId),
    /// The counts of a table's rows, which are known at the end of the entry.
    End(DumpId),
    /// The large objects of an entry, up to a part.
    Objects(DumpId),
    /// Something that is done once.
    Step(&'a str),
    /// Something that is done once for a named or numbered object.
    StepOf(&'a str, &'a str),
}

impl Unit<'_> {
    pub(crate) fn of(task: &Task) -> Self {
        Self::Task(task.dump_id, task.step)
    }
}

impl fmt::Display for Unit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |step: EntryStep| match step {
            EntryStep::Whole => "whole",
            EntryStep::First => "first",
            EntryStep::Second => "second",
        };
        match *self {
            Self::Task(id, step) => write!(f, "task {id} {}", word(step)),
            Self::Statement(id, step, place) => write!(f, "statement {id} {} {place}", word(step)),
            Self::Rows(id) => write!(f, "rows {id}"),
            Self::End(id) => write!(f, "end {id}"),
            Self::Objects(id) => write!(f, "objects {id}"),
            Self::Step(name) => write!(f, "step {name}"),
            Self::StepOf(name, of) => write!(f, "step {name} {of}"),
        }
    }
}
