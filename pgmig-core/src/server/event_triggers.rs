//! Whether sessions turn event triggers off before the server lets them in. Login triggers (17 and later) fire for each
//! session, before its first statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by all clones of a configuration. False at first: only a superuser may turn them off, and only from 17 on.
#[derive(Debug, Clone, Default)]
pub(super) struct EventTriggersOff(Arc<AtomicBool>);

impl EventTriggersOff {
    /// From now on, sessions turn them off.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The command-line options that a session sends when it begins.
    pub(super) fn options(&self) -> &'static str {
        // Row security as pg_dump has it. A time limit of the role could end the very first statement.
        if self.0.load(Ordering::Relaxed) {
            "-c row_security=off -c statement_timeout=0 -c event_triggers=off"
        } else {
            "-c row_security=off -c statement_timeout=0"
        }
    }
}
