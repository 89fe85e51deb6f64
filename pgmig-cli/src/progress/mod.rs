//! Progress on standard error: bars at a terminal, plain lines elsewhere, JSON lines for programs.

mod bars;
mod json;
mod label;
mod lines;

use crate::args::{Args, LogLevel, ProgressForm};
use crate::hints;
use crate::interrupt::{self, Stage};
use crate::output::{Text, say};
use bars::Bars;
pub(crate) use label::label;
use lines::Lines;
use pgmig_core::progress::{Event, Notice, Progress, Severity};
use std::io::{self, IsTerminal};

/// Shows the events of a restore.
pub(crate) struct Display {
    form: Form,
    /// Notices of a lower severity are not shown.
    least: Severity,
}

enum Form {
    Nothing,
    Lines(Lines),
    Bars(Bars),
    Json,
}

impl Display {
    /// The form that fits the arguments and the terminal.
    pub(crate) fn new(args: &Args) -> Self {
        // Log lines would break the bars.
        let quiet_log = args.log_level <= LogLevel::Warn;
        let form = if args.progress == ProgressForm::Json {
            Form::Json
        } else if args.quiet || args.no_progress {
            Form::Nothing
        } else if io::stderr().is_terminal() && quiet_log {
            Form::Bars(Bars::new())
        } else {
            Form::Lines(Lines::new())
        };
        Self { form, least: if args.quiet { Severity::Warning } else { Severity::Notice } }
    }

    /// Shows the name of the work that begins now.
    pub(crate) fn doing(&self, what: &'static str) {
        if let Form::Bars(bars) = &self.form {
            bars.doing(what);
        }
    }

    /// Hides the bars while the operator answers a question.
    pub(crate) fn suspend(&self) {
        if let Form::Bars(bars) = &self.form {
            bars.hide();
        }
    }

    /// Shows the bars again.
    pub(crate) fn resume(&self) {
        if let Form::Bars(bars) = &self.form {
            bars.show();
        }
    }

    /// Removes the bars for good.
    pub(crate) fn finish(&self) {
        if let Form::Bars(bars) = &self.form {
            bars.finish();
        }
    }
}

impl Progress for Display {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Committing => interrupt::has_come_to(Stage::Committing),
            Event::Committed => interrupt::has_come_to(Stage::Committed),
            Event::NotCommitted => interrupt::has_come_to(Stage::Before),
            _ => {}
        }
        let in_flags;
        let event = match event {
            Event::Notice(notice) => {
                in_flags = Notice::new(notice.severity, hints::in_flags(&notice.text));
                &Event::Notice(&in_flags)
            }
            other => other,
        };
        match (&self.form, event) {
            (Form::Json, event) => json::event(event),
            (_, Event::Notice(notice)) => self.notice(notice),
            (Form::Nothing, _) => {}
            (Form::Lines(lines), event) => lines.event(event),
            (Form::Bars(bars), event) => bars.event(event),
        }
    }
}

impl Display {
    fn notice(&self, notice: &Notice) {
        if notice.severity < self.least {
            return;
        }
        let kind = match notice.severity {
            Severity::Warning => "warning",
            _ => "notice",
        };
        let text = Text::message(kind, &notice.text);
        match &self.form {
            Form::Bars(bars) => bars.beside(|| say(&text)),
            Form::Nothing | Form::Lines(_) | Form::Json => say(&text),
        }
    }
}
