//! Progress as JSON: one object a line for each event, for programs.

use crate::output::say_json;
use pgmig_core::progress::Event;

/// Writes an event as a line. Its form is that of [`Event`].
pub(super) fn event(event: &Event<'_>) {
    say_json(event);
}
