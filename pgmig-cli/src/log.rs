//! `--log-level`: the library's events on standard error.

use crate::args::LogLevel;
use crate::environment::colour_allowed;
use pgmig_core::text::printable;
use std::fmt;
use std::io::{self, IsTerminal};
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

/// Starts logging. Only pgmig's own events are shown: events of its dependencies may contain row values.
pub(crate) fn start(level: LogLevel) {
    let colour = colour_allowed() && io::stderr().is_terminal();
    let lines = layer().with_writer(io::stderr).with_ansi(colour).event_format(Line { colour });
    tracing_subscriber::registry().with(lines).with(Targets::new().with_target("pgmig", level)).init();
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
