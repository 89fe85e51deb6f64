//! Arguments of `pgmig backup`.

use crate::args::positive_seconds;
use crate::failure::Usage;
use crate::target::TargetArgs;
use anyhow::Result;
use clap::Subcommand;
use pgmig_core::dump::Retention;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The number of backups of other days that the product's cron job keeps.
const KEEP_DAILY: usize = 6;
/// The number of backups of the weekly day that it keeps.
const KEEP_WEEKLY: usize = 4;

/// Arguments of `pgmig backup`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DumpArgs {
    /// What to do instead of a backup
    #[command(subcommand)]
    pub(crate) command: Option<DumpCommand>,

    /// The database.
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Where the backup goes: a directory (as store.dump_YYYYMMDD-HHMMSS, in UTC), a new file, or - for standard output
    #[arg(short = 'o', long, value_name = "DIR|FILE|-")]
    to: Option<PathBuf>,

    /// pg_dump to run [default: the one on PATH or in a package of PostgreSQL that is nearest to the server's version]
    #[arg(long, value_name = "PATH")]
    pub(crate) pg_dump: Option<PathBuf>,

    /// How long pg_dump waits for a lock on a table that another session holds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = positive_seconds)]
    pub(crate) lock_wait: Duration,

    /// Afterwards, remove old backups of the database: of all days but one, keep this many
    #[arg(long, value_name = "N", requires = "keep_weekly")]
    keep_daily: Option<usize>,

    /// Of the weekly day, keep this many
    #[arg(long, value_name = "N", requires = "keep_daily")]
    keep_weekly: Option<usize>,

    /// The weekly day: 0 is Sunday, 6 is Saturday
    #[arg(long, value_name = "DAY", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=6))]
    weekly_day: u8,
}

/// What else is done with backups.
#[derive(Debug, Subcommand)]
pub(crate) enum DumpCommand {
    /// Remove old backups from a directory; never the last good one, and never another file
    Prune(PruneArgs),
}

/// Arguments of `pgmig backup prune`.
#[derive(Debug, clap::Args)]
pub(crate) struct PruneArgs {
    /// Directory with the backups
    #[arg(short = 'o', long, value_name = "DIR")]
    pub(crate) to: PathBuf,

    /// Of all days but the weekly one, keep this many
    #[arg(long, value_name = "N", default_value_t = KEEP_DAILY)]
    keep_daily: usize,

    /// Of the weekly day, keep this many
    #[arg(long, value_name = "N", default_value_t = KEEP_WEEKLY)]
    keep_weekly: usize,

    /// The weekly day: 0 is Sunday, 6 is Saturday
    #[arg(long, value_name = "DAY", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=6))]
    weekly_day: u8,

    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl DumpArgs {
    /// Where the backup goes.
    pub(crate) fn to(&self) -> Result<&Path> {
        let missing = || {
            Usage::new(
                "-o is missing: it names a directory or a file for the backup, or - for standard output",
            )
        };
        Ok(self.to.as_deref().ok_or_else(missing)?)
    }

    /// Which backups are kept afterwards; `None` for all.
    pub(crate) fn retention(&self) -> Option<Retention> {
        Some(Retention::new(self.keep_daily?, self.keep_weekly?, self.weekly_day))
    }
}

impl PruneArgs {
    /// Which backups are kept.
    pub(crate) fn retention(&self) -> Retention {
        Retention::new(self.keep_daily, self.keep_weekly, self.weekly_day)
    }
}
