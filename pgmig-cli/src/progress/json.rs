//! Progress as JSON: one object a line for each event, for programs. `schemas/event.schema.json` describes them.

use crate::log::{self, now};
use crate::output::{json_line, say_json};
use anyhow::Result;
use pgmig_core::progress::Event;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// An event with its time.
#[derive(Serialize)]
struct Line<'a> {
    /// RFC 3339, in UTC.
    time: String,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

/// Writes an event as a line to standard error. Its form is that of [`Event`].
pub(super) fn event(event: &Event<'_>) {
    say_json(&Line { time: now(), event });
}

/// `--progress-file`: the events, one a line.
pub(super) struct EventFile(Mutex<Option<File>>);

impl EventFile {
    /// Opens the file. What it holds stays.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self(Mutex::new(Some(log::appended("--progress-file", path)?))))
    }

    /// Appends an event. Returns the error the first time that this fails; nothing more is written then.
    pub(super) fn event(&self, event: &Event<'_>) -> io::Result<()> {
        let Ok(line) = json_line(&Line { time: now(), event }) else { return Ok(()) };
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.as_mut().map_or(Ok(()), |file| file.write_all(line.as_bytes()));
        if written.is_err() {
            *file = None;
        }
        written
    }
}
