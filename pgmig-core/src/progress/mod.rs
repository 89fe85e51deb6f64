//! How a long call reports what it does: events as data, and the trait that receives them.

mod event;
mod notice_code;
mod reporter;
mod step;

pub use event::Event;
pub use notice_code::NoticeCode;
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
    /// What it is about. Programs decide by it, as texts can change.
    pub code: NoticeCode,
    /// What happened, to what, and what to do about it.
    pub text: String,
}

impl Notice {
    /// Something worth knowing.
    pub fn note(code: NoticeCode, text: impl Into<String>) -> Self {
        Self { severity: Severity::Notice, code, text: text.into() }
    }

    /// A difference from what pg_restore would make, or a danger.
    pub fn warning(code: NoticeCode, text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, code, text: text.into() }
    }

    /// The same notice with another text.
    #[must_use]
    pub fn with_text(&self, text: String) -> Self {
        Self { text, ..self.clone() }
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
