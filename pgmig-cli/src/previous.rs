//! Arguments of `pgmig previous`, and the command that goes back.

use crate::args::seconds;
use crate::failure::Usage;
use crate::shell;
use crate::target::TargetArgs;
use anyhow::Result;
use clap::Subcommand;
use pgmig_core::restore::{PreviousOptions, ToDrop};
use std::time::Duration;

/// What is done with the previous databases.
#[derive(Debug, Subcommand)]
pub(crate) enum PreviousCommand {
    /// List the previous databases of a target, and the command that puts each of them back
    List(ListArgs),
    /// Put a previous database back; the present one becomes a previous database, so this can be undone
    Rollback(RollbackArgs),
    /// Drop previous databases, by their names or their age
    Drop(DropArgs),
}

/// Arguments of `pgmig previous list`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// The target.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Arguments of `pgmig previous rollback`.
#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    /// Previous database to put back [default: the newest]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// The target.
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,

    /// How long to wait for other sessions on both databases to end
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) swap_wait: Duration,

    /// End other sessions on both databases instead
    #[arg(long)]
    pub(crate) terminate_sessions: bool,

    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `pgmig previous drop`.
#[derive(Debug, clap::Args)]
pub(crate) struct DropArgs {
    /// Previous databases to drop
    #[arg(value_name = "NAME", conflicts_with = "older_than")]
    pub(crate) names: Vec<String>,

    /// Drop all that were replaced at least so long ago: 7d, 12h, 30m, 45s
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) older_than: Option<Duration>,

    /// The target.
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,

    /// End sessions on these databases
    #[arg(long)]
    pub(crate) terminate_sessions: bool,

    /// Show what would be dropped, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl RollbackArgs {
    /// The library's options.
    pub(crate) fn options(&self) -> PreviousOptions {
        let mut options = PreviousOptions::default();
        options.session_wait = self.swap_wait;
        options.terminate_sessions = self.terminate_sessions;
        options
    }
}

impl DropArgs {
    /// The library's options.
    pub(crate) fn options(&self) -> PreviousOptions {
        let mut options = PreviousOptions::default();
        options.terminate_sessions = self.terminate_sessions;
        options
    }

    /// The databases.
    pub(crate) fn which(&self) -> Result<ToDrop> {
        match self.older_than {
            Some(age) => Ok(ToDrop::OlderThan(age)),
            None if self.names.is_empty() => {
                Err(Usage::new("name a previous database, or say --older-than DURATION").into())
            }
            None => Ok(ToDrop::Named(self.names.clone())),
        }
    }
}

/// The command that puts a previous database back.
pub(crate) fn rollback_command(previous: &str, target: &TargetArgs) -> String {
    let (name, target) = (shell::word(previous), target.words());
    // clap would read such a name as an option.
    if previous.starts_with('-') {
        return format!("pgmig previous rollback {target} -- {name}");
    }
    format!("pgmig previous rollback {name} {target}")
}

/// A whole number and its unit.
fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(char, u64); 5] =
        [('w', 7 * 24 * 3600), ('d', 24 * 3600), ('h', 3600), ('m', 60), ('s', 1)];
    let seconds = UNITS.iter().find_map(|(unit, seconds)| {
        let number: u32 = text.strip_suffix(*unit)?.parse().ok()?;
        Some(u64::from(number) * seconds)
    });
    let seconds = seconds.ok_or("expected a whole number and its unit: 2w, 7d, 12h, 30m or 45s")?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn durations_have_a_unit() {
        let seconds = |text| duration(text).map(|duration| duration.as_secs()).ok();
        assert_eq!(
            ["2w", "7d", "12h", "30m", "0s"].map(seconds),
            [Some(1_209_600), Some(604_800), Some(43_200), Some(1_800), Some(0)]
        );
        assert_eq!(["", "7", "d", "-1d", "1.5h", "7 d", "99999999999d", "7D"].map(seconds), [None; 8]);
    }

    #[test]
    fn the_command_can_be_copied() {
        let command = |name, file: &str| rollback_command(name, &TargetArgs::of_file(Path::new(file)));
        assert_eq!(
            command("store_1_previous", "pg.yaml"),
            "pgmig previous rollback store_1_previous -t pg.yaml"
        );
        assert_eq!(command("it's", "a b"), r"pgmig previous rollback 'it'\''s' -t 'a b'");
        assert_eq!(command("-x", "pg.yaml"), "pgmig previous rollback -t pg.yaml -- -x");
    }
}
