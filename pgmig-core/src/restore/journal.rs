//! Notices and events of a restore: sent to the listener at once, and collected for the final report.

use crate::progress::{Event, Notice, NoticeCode, Progress, Severity, Step};
use crate::restore::report::restored::RestoreReport;
use std::sync::Arc;

/// The listener, and the report that is being written.
pub(crate) struct Journal {
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) report: RestoreReport,
}

impl Journal {
    pub(crate) fn new(progress: Arc<dyn Progress>) -> Self {
        Self { progress, report: RestoreReport::default() }
    }

    pub(crate) fn step(&self, step: Step) {
        tracing::debug!(%step, "step");
        self.progress.event(&Event::StepBegan { step });
    }

    pub(crate) fn note(&mut self, notice: Notice) {
        self.progress.event(&Event::Notice(&notice));
        self.report.notices.push(notice);
    }

    pub(crate) fn notice(&mut self, code: NoticeCode, text: String) {
        self.note(Notice::note(code, text));
    }

    pub(crate) fn warn(&mut self, code: NoticeCode, text: String) {
        self.note(Notice::warning(code, text));
    }

    pub(crate) fn warnings(&self) -> usize {
        self.report.notices.iter().filter(|notice| notice.severity == Severity::Warning).count()
    }
}
