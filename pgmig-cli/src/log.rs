//! `--log-level`: the library's events on standard error.

use crate::args::LogLevel;
use crate::environment::colour_allowed;
use std::io::{self, IsTerminal};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
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

/// Starts logging. Only pgmig's own events are shown: those of the libraries below it may hold values of rows.
pub(crate) fn start(level: LogLevel) {
    let colour = colour_allowed() && io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colour);
    tracing_subscriber::registry().with(lines).with(Targets::new().with_target("pgmig", level)).init();
}
