//! Progress on standard error: bars at a terminal, plain lines elsewhere.

mod bars;
mod label;
mod lines;

use crate::args::{Args, LogLevel};
use crate::interrupt;
use crate::output::{Text, say};
use bars::Bars;
use lines::Lines;
use pgmig_core::progress::{Notice, Progress, Severity};
use pgmig_core::restore::Step;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// Shows the events of a restore.
pub(crate) struct Display {
    form: Form,
    /// Notices below it are not shown.
    least: Severity,
}

enum Form {
    Nothing,
    Lines(Lines),
    Bars(Bars),
}

impl Display {
    /// The form that the arguments and the terminal ask for.
    pub(crate) fn new(args: &Args) -> Self {
        // Log lines would tear bars apart.
        let quiet_log = args.log_level <= LogLevel::Warn;
        let form = if args.quiet || args.no_progress {
            Form::Nothing
        } else if io::stderr().is_terminal() && quiet_log {
            Form::Bars(Bars::new())
        } else {
            Form::Lines(Lines::new())
        };
        Self { form, least: if args.quiet { Severity::Warning } else { Severity::Notice } }
    }

    /// Says what goes on from now on, in a word.
    pub(crate) fn doing(&self, what: &'static str) {
        if let Form::Bars(bars) = &self.form {
            bars.doing(what);
        }
    }

    /// Takes the bars off the screen while something is asked.
    pub(crate) fn suspend(&self) {
        if let Form::Bars(bars) = &self.form {
            bars.hide();
        }
    }

    /// Puts them back.
    pub(crate) fn resume(&self) {
        if let Form::Bars(bars) = &self.form {
            bars.show();
        }
    }

    /// Takes the bars off the screen for good.
    pub(crate) fn finish(&self) {
        if let Form::Bars(bars) = &self.form {
            bars.finish();
        }
    }
}

impl Progress for Display {
    fn step(&self, step: Step) {
        match &self.form {
            Form::Nothing => {}
            Form::Lines(lines) => lines.step(step),
            Form::Bars(bars) => bars.step(step),
        }
    }

    fn archive_bytes(&self, read: u64, total: Option<u64>) {
        match &self.form {
            Form::Nothing => {}
            Form::Lines(lines) => lines.archive_bytes(read, total),
            Form::Bars(bars) => bars.archive_bytes(read, total),
        }
    }

    fn table(&self, table: &str) {
        match &self.form {
            Form::Nothing => {}
            Form::Lines(lines) => lines.table(table),
            Form::Bars(bars) => bars.table(table),
        }
    }

    fn rows(&self, table: &str, rows: u64) {
        match &self.form {
            Form::Nothing => {}
            Form::Lines(lines) => lines.rows(table, rows),
            Form::Bars(bars) => bars.rows(table, rows),
        }
    }

    fn object(&self, what: &str, done: usize, total: usize) {
        match &self.form {
            Form::Nothing => {}
            Form::Lines(lines) => lines.object(what, done, total),
            Form::Bars(bars) => bars.object(what, done, total),
        }
    }

    fn migrated(&self, version: i64, description: &str, took: Duration) {
        match &self.form {
            Form::Nothing => {}
            Form::Lines(lines) => lines.migrated(version, description, took),
            Form::Bars(bars) => bars.migrated(version, description, took),
        }
    }

    fn committing(&self) {
        interrupt::comes_too_late();
    }

    fn notice(&self, notice: &Notice) {
        if notice.severity < self.least {
            return;
        }
        let kind = match notice.severity {
            Severity::Warning => "warning",
            Severity::Notice => "notice",
        };
        let text = Text::message(kind, &notice.text);
        match &self.form {
            Form::Bars(bars) => bars.beside(|| say(&text)),
            Form::Nothing | Form::Lines(_) => say(&text),
        }
    }
}
