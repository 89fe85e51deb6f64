//! How a long call reports what it does: events as data, and the trait that receives them.

mod event;
mod reporter;
mod step;

pub use event::Event;
pub(crate) use reporter::Reporter;
pub use step::{Failpoint, Step};

use serde::Serialize;

/// How much a [`Notice`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing; nothing is lost.
    Notice,
    /// Something of the backup or of the target is not as it was, or the server may be another one; `--strict` stops on it.
    Warning,
}

/// One thing that the operator should know. The text holds no row values and no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Notice {
    /// How much it matters.
    pub severity: Severity,
    /// What happened, to what, and what to do about it.
    pub text: String,
}

impl Notice {
    /// A notice of a caller's own.
    pub fn new(severity: Severity, text: impl Into<String>) -> Self {
        Self { severity, text: text.into() }
    }

    pub(crate) fn warning(text: String) -> Self {
        Self { severity: Severity::Warning, text }
    }
}

/// Receives the events of a restore, of a verification, or of another long call.
pub trait Progress: Send + Sync {
    /// Something has happened. Called from several threads; must not block.
    fn event(&self, event: &Event<'_>);
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn event(&self, _event: &Event<'_>) {}
}
