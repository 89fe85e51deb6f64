//! What a restore has to tell: to whoever listens now, and in the report at the end.

use super::report::RestoreReport;
use super::step::Step;
use crate::progress::{Notice, Progress, Severity};
use std::sync::Arc;

/// The report being written, and who listens.
pub(super) struct Journal {
    pub(super) progress: Arc<dyn Progress>,
    pub(super) report: RestoreReport,
}

impl Journal {
    pub(super) fn new(progress: Arc<dyn Progress>) -> Self {
        Self { progress, report: RestoreReport::default() }
    }

    pub(super) fn step(&self, step: Step) {
        tracing::debug!(%step, "step");
        self.progress.step(step);
    }

    pub(super) fn note(&mut self, notice: Notice) {
        self.progress.notice(&notice);
        self.report.notices.push(notice);
    }

    pub(super) fn notice(&mut self, text: String) {
        self.note(Notice { severity: Severity::Notice, text });
    }

    pub(super) fn warn(&mut self, text: String) {
        self.note(Notice { severity: Severity::Warning, text });
    }

    pub(super) fn warnings(&self) -> usize {
        self.report.notices.iter().filter(|notice| notice.severity == Severity::Warning).count()
    }
}
