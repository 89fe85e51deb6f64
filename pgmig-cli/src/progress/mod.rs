//! Progress on standard error: bars at a terminal, plain lines elsewhere, JSON lines for programs.

mod bars;
mod json;
mod label;
mod lines;
mod ticker;
mod work;

use crate::args::{Args, LogLevel, ProgressForm};
use crate::hints;
use crate::interrupt::{self, Stage};
use crate::log;
use crate::output::{Text, say, show, tell};
use anyhow::Result;
use bars::Bars;
use json::EventFile;
pub(crate) use label::label;
use lines::Lines;
use pgmig_core::progress::{Event, Notice, Progress, Severity};
use std::io::{self, IsTerminal};

/// Shows the events of a restore.
pub(crate) struct Display {
    form: Form,
    /// Notices of a lower severity are not shown.
    least: Severity,
    /// Lines for the file of `--log-file`.
    log: Option<Lines>,
    /// `--progress-file`.
    events: Option<EventFile>,
}

enum Form {
    Nothing,
    Lines(Lines),
    Bars(Bars),
    Json,
}

impl Display {
    /// The form that fits the arguments and the terminal.
    ///
    /// # Errors
    ///
    /// The file of `--progress-file` cannot be opened.
    pub(crate) fn new(args: &Args) -> Result<Self> {
        // Log lines would break the bars.
        let quiet_log = args.log_level <= LogLevel::Warn || log::has_file();
        let form = if args.progress == ProgressForm::Json {
            Form::Json
        } else if args.quiet || args.no_progress {
            Form::Nothing
        } else if io::stderr().is_terminal() && quiet_log {
            Form::Bars(Bars::new())
        } else {
            Form::Lines(Lines::new(with_time_of_day))
        };
        let least = if args.quiet { Severity::Warning } else { Severity::Notice };
        let log = log::has_file().then(|| Lines::new(log::copy));
        let events = args.progress_file.as_deref().map(EventFile::open).transpose()?;
        Ok(Self { form, least, log, events })
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
                in_flags = notice.with_text(hints::in_flags(&notice.text));
                &Event::Notice(&in_flags)
            }
            other => other,
        };
        if let Some(Err(error)) = self.events.as_ref().map(|events| events.event(event)) {
            self.beside(|| tell("warning", &format!("cannot write the file of --progress-file: {error}")));
        }
        if let Some(log) = &self.log {
            log.event(event);
        }
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
        self.beside(|| say(&text));
    }

    /// Runs `write`, which writes to standard error, beside the bars.
    fn beside(&self, write: impl FnOnce()) {
        match &self.form {
            Form::Bars(bars) => bars.beside(write),
            Form::Nothing | Form::Lines(_) | Form::Json => write(),
        }
    }
}

/// Shows a line of progress with the time of day, in UTC: `23:05:12Z [   12.3 s] loading rows`.
fn with_time_of_day(line: &Text) {
    let now = log::now();
    let time = now.get(11..19).unwrap_or_default();
    show(&Text::of(format!("{time}Z {}", line.as_str().trim_end())));
}
