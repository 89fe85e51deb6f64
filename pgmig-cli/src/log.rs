//! `--log-level`: the library's events on standard error. `--log-file`: they and all messages in a file.

use crate::args::LogLevel;
use crate::environment::colour_allowed;
use crate::failure::Usage;
use crate::output::Text;
use anyhow::Result;
use pgmig_core::text::printable;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write as _};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => LevelFilter::OFF,
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        }
    }
}

/// The file of `--log-file`.
static FILE: OnceLock<Mutex<File>> = OnceLock::new();

/// Starts logging. Only pgmig's own events are shown: events of its dependencies may contain row values.
///
/// # Errors
///
/// The file cannot be opened.
pub(crate) fn start(level: LogLevel, file: Option<&Path>) -> Result<()> {
    let registry = tracing_subscriber::registry().with(Targets::new().with_target("pgmig", level));
    let Some(path) = file else {
        let colour = colour_allowed() && io::stderr().is_terminal();
        registry.with(layer().with_writer(io::stderr).with_ansi(colour).event_format(Line { colour })).init();
        return Ok(());
    };
    let file = appended("--log-file", path)?;
    FILE.get_or_init(|| Mutex::new(file));
    let lines = layer().with_writer(|| ToFile).with_ansi(false).event_format(Line { colour: false });
    registry.with(lines).init();
    Ok(())
}

/// Opens the file of this option, to append to it.
///
/// # Errors
///
/// The file cannot be opened.
pub(crate) fn appended(option: &str, path: &Path) -> Result<File> {
    let cannot =
        |error| Usage::new(format!("cannot write the file of {option}, {}: {error}", path.display()));
    Ok(OpenOptions::new().append(true).create(true).open(path).map_err(cannot)?)
}

/// Whether messages are written to a file.
pub(crate) fn has_file() -> bool {
    FILE.get().is_some()
}

/// Appends lines to the file of `--log-file`, each with its time. Errors are ignored: a run must not fail for its log.
pub(crate) fn copy(text: &Text) {
    if !has_file() {
        return;
    }
    let now = now();
    let lines: String =
        text.as_str().lines().map(|line| format!("{now} {line}").trim_end().to_owned() + "\n").collect();
    let _ = ToFile.write_all(lines.as_bytes());
}

/// The present time, in UTC: `2026-11-30T23:05:12.123456Z`.
pub(crate) fn now() -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

/// The file of `--log-file`, to write to.
struct ToFile;

impl io::Write for ToFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match FILE.get() {
            Some(file) => file.lock().unwrap_or_else(PoisonError::into_inner).write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes an event as one line, even if its values contain line ends.
struct Line {
    colour: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (level, target) = (event.metadata().level(), event.metadata().target());
        SystemTime.format_time(&mut writer)?;
        if self.colour {
            write!(writer, " \u{1b}[{}m{level:>5}\u{1b}[0m {target}: ", colour(*level))?;
        } else {
            write!(writer, " {level:>5} {target}: ")?;
        }
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        writeln!(writer, "{}", printable(&fields))
    }
}

/// The number of a terminal's colour.
fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        _ => 34,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_whatever_its_values_hold() {
        let written = Written::default();
        let writer = written.clone();
        let lines =
            layer().with_writer(move || writer.clone()).with_ansi(false).event_format(Line { colour: false });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            let hostile = "a\nerror: forged\u{1b}[2J\u{202e}";
            tracing::warn!(target: "pgmig", url = %hostile, "{hostile}");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text:?}");
        // tracing escapes some characters of the message, but none of other fields.
        assert!(text.contains(" url=a\\nerror: forged\\u{1b}[2J\\u{202e}"), "{text:?}");
        assert!(!text.trim_end().contains(pgmig_core::text::is_unprintable), "{text:?}");
    }
}
