//! Progress as JSON: one object a line for each event, for programs.

use crate::output::say;
use pgmig_core::progress::Event;

/// Writes an event as a line. Its form is that of [`Event`].
pub(super) fn event(event: &Event<'_>) {
    // Our events have no maps with odd keys, which is all that could fail.
    if let Ok(line) = serde_json::to_string(event) {
        say(&line);
    }
}
