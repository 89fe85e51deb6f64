//! The command line: first the flags of the tool that pgmig replaces, unchanged, then pgmig's own flags.

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use pgmig_core::backup::Source;
use pgmig_core::profile::Release;
use pgmig_core::restore::{SchemaSource, StrategyChoice, ToastCompression, UnknownWord, Verify};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::backup::DumpArgs;
use crate::commands::{cluster, releases};
use crate::failure::Usage;
use crate::objects::ObjectsCommand;
use crate::previous::PreviousCommand;
use crate::retrain::RetrainArgs;
use crate::selection::SelectionArgs;
use crate::target::TargetArgs;

/// Restores what pg_dump has written, in whatever format, on another cluster: all or nothing. The backup of a multi-tenant
/// store is restored under the instance IDs that were provisioned there, and upgraded to the target's release.
#[derive(Debug, Parser)]
#[command(
    name = "pgmig",
    bin_name = "pgmig",
    disable_version_flag = true,
    version = version(),
    after_help = AFTER_HELP,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Args {
    /// What to do instead of a restore
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Erase data if present in the target store
    #[arg(short, long)]
    pub(crate) force: bool,

    /// The backup and its mapping.
    #[command(flatten)]
    pub(crate) backup: BackupArgs,

    /// The target.
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// Create the target database if it does not exist, for username; it is dropped again if the restore fails
    #[arg(long, conflicts_with_all = ["dry_run", "test_rc_connection", "test_pg_connection"])]
    pub(crate) create_database: bool,

    /// File that lists several restores, each with source, target, mapping and profile: all are checked before the first begins
    #[arg(long, value_name = "FILE", conflicts_with_all = ["test_rc_connection", "test_pg_connection", "write_rules", "keep_staging"])]
    pub(crate) set: Option<PathBuf>,

    /// Test the Resource Controller connection, then exit
    #[arg(long = "testRCConnection")]
    pub(crate) test_rc_connection: bool,

    /// Test the Postgres connection, then exit
    #[arg(long = "testPGConnection")]
    pub(crate) test_pg_connection: bool,

    /// Build version
    #[arg(short, long, action = ArgAction::Version)]
    version: Option<bool>,

    /// Restore under the backup's own instance IDs
    #[arg(long, conflicts_with_all = ["mapping", "map_by_name"])]
    pub(crate) keep_ids: bool,

    /// Restore even if sources of the mapping occur nowhere in the backup
    #[arg(long)]
    pub(crate) allow_unused: bool,

    /// Schema migrations to use instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    pub(crate) migrations: Option<PathBuf>,

    /// Whose schema the restored database gets: the backup's, upgraded if possible (auto) or else refused (migrate) or as
    /// it is (archive), or the target's own (target)
    #[arg(long, value_name = "WHOSE", value_parser = one_of::<SchemaSource>(SchemaSource::WORDS), default_value_t)]
    pub(crate) schema: SchemaSource,

    /// Release that the store is to have, instead of the target's own
    #[arg(long, value_name = "X.Y.Z")]
    pub(crate) to_release: Option<Release>,

    /// How the target is replaced
    #[arg(long, value_name = "HOW", value_parser = one_of::<StrategyChoice>(StrategyChoice::WORDS), default_value_t)]
    pub(crate) strategy: StrategyChoice,

    /// Keep the target's previous database beside the restored one (strategy swap)
    #[arg(long)]
    pub(crate) keep_previous: bool,

    /// Back the target up to this directory before it is replaced, as pgmig backup does
    #[arg(long, value_name = "DIR")]
    pub(crate) backup_first: Option<PathBuf>,

    /// pg_dump for --backup-first [default: the one that is nearest to the server's version]
    #[arg(long, value_name = "PATH", requires = "backup_first")]
    pub(crate) pg_dump: Option<PathBuf>,

    /// Go on with an interrupted restore of the same backup, with the same options; begin anew if there is none (strategy swap)
    #[arg(long)]
    pub(crate) resume: bool,

    /// Keep the staging database if the restore fails or is interrupted, for --resume (strategy swap)
    #[arg(long)]
    pub(crate) keep_staging: bool,

    /// How long to wait for other sessions on the target to end: at the swap, or before a restore in place
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) swap_wait: Duration,

    /// How long the server may leave a short question without an answer, or let no new connection in while a session waits
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = positive_seconds)]
    pub(crate) server_timeout: Duration,

    /// How long to wait for locks that other sessions hold
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = positive_seconds)]
    pub(crate) lock_wait: Duration,

    /// How long to wait for the commit of the restore and for synchronous standbys to confirm it; then it is cancelled
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = positive_seconds)]
    pub(crate) commit_wait: Duration,

    /// End other sessions on the target instead
    #[arg(long)]
    pub(crate) terminate_sessions: bool,

    /// How many connections load rows and build indexes at the same time [default: processors, at most 8; in place
    /// it is one]
    #[arg(short, long, value_name = "N", value_parser = jobs)]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// How the server compresses large values
    #[arg(long, value_name = "HOW", value_parser = one_of::<ToastCompression>(ToastCompression::WORDS), default_value_t)]
    pub(crate) toast_compression: ToastCompression,

    /// How the restored rows are verified: by their number, or also by hashes that the server computes
    #[arg(long, value_name = "HOW", value_parser = one_of::<Verify>(Verify::WORDS), default_value_t)]
    pub(crate) verify: Verify,

    /// Trust the backup and the target's owner: their code may act as su_username, and the backup's statements make what
    /// only a superuser can make
    #[arg(long)]
    pub(crate) trust_archive: bool,

    /// Extension that a superuser may create for a backup that is not trusted; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "trust_archive")]
    pub(crate) allow_extension: Vec<String>,

    /// Which entries of the backup are restored.
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

    /// Show what a restore would do, and change nothing
    #[arg(long, conflicts_with_all = ["test_rc_connection", "test_pg_connection"])]
    pub(crate) dry_run: bool,

    /// With --dry-run and --schema target: write a draft of a profile, with rules for the differences, to this new file
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    pub(crate) write_rules: Option<PathBuf>,

    /// Write report.json and report.html about the restore to this directory, also if it fails
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dry_run", "test_rc_connection", "test_pg_connection"])]
    pub(crate) report: Option<PathBuf>,

    /// Stop before the target is replaced if there were warnings
    #[arg(long)]
    pub(crate) strict: bool,

    /// How results are printed on standard output
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text, global = true)]
    pub(crate) output: OutputFormat,

    /// Print results, warnings and errors only
    #[arg(long, global = true)]
    pub(crate) quiet: bool,

    /// Do not show progress
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,

    /// How progress is shown on standard error: by bars or lines (auto), or as JSON, one object a line for each event
    #[arg(long, value_name = "FORM", value_enum, default_value_t = ProgressForm::Auto, global = true)]
    #[arg(conflicts_with = "no_progress")]
    pub(crate) progress: ProgressForm,

    /// File to which every event is appended, as JSON, beside what is shown
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) progress_file: Option<PathBuf>,

    /// What to log to standard error, or to the file of --log-file
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Warn, global = true)]
    pub(crate) log_level: LogLevel,

    /// File to which steps, warnings, errors and results are appended, each line with its time
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) log_file: Option<PathBuf>,
}

/// Which backup, and which of its instances is to become which one of the target.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArgs {
    /// Backup file name (- reads standard input)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) source: Option<PathBuf>,

    /// Database to restore, if the backup is a directory of pg_dumpall with many
    #[arg(long, value_name = "NAME", requires = "source")]
    pub(crate) source_database: Option<String>,

    /// Resource Controller configuration file
    #[arg(short, long = "resourceController", value_name = "FILE")]
    pub(crate) resource_controller: Option<PathBuf>,

    /// Instance-mapping file; you are asked for instances that it does not cover
    #[arg(short, long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,

    /// Target instances are of type orchestrate
    #[arg(long)]
    pub(crate) wxo: bool,

    /// Map each instance to the provisioned one of the same name, where both names are unique
    #[arg(long)]
    pub(crate) map_by_name: bool,

    /// Profile of the store: a built-in one's name, or a directory
    #[arg(long, value_name = "NAME|DIR")]
    pub(crate) profile: Option<PathBuf>,

    /// How long standard input may bring nothing while the restore waits for it
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = positive_seconds)]
    pub(crate) source_wait: Duration,

    /// Take the suggested answer of every question; erasing is allowed by --force only
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What else pgmig does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Map the instances of a backup to provisioned ones, and write the mapping file without restoring
    Mapping(MappingArgs),
    /// Show what is in a backup: its header, its tables, the instances of its store
    Inspect(InspectArgs),
    /// Read backups to their end and prove that they can be restored, without a database
    Verify(VerifyArgs),
    /// List the releases that are known, and the schema migrations between them
    Releases(ReleasesArgs),
    /// Look for everything that would stop a restore, or cost it time, and change nothing
    Doctor(DoctorArgs),
    /// Back a database up with pg_dump: verified while it is written, and complete or not there
    Backup(DumpArgs),
    /// Write the postgres.yaml that the JSON of a store's VCAP secret makes
    Config(ConfigArgs),
    /// Write the man pages and the shells' completions
    #[command(hide = true)]
    Papers(PapersArgs),
    /// Copy buckets of an S3 or MinIO server to a directory and back, with checksums
    #[command(subcommand)]
    Objects(ObjectsCommand),
    /// Print the settings and patches of the job that trains all workspaces after a restore, and whether it is complete
    Retrain(RetrainArgs),
    /// List, put back or drop the databases that a target had before a restore with --keep-previous
    #[command(subcommand)]
    Previous(PreviousCommand),
}

/// Arguments of `pgmig doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// The target.
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    /// The backup, and what is known of its mapping.
    #[command(flatten)]
    pub(crate) backup: BackupArgs,
}

/// Arguments of `pgmig config`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// JSON of the store's VCAP secret (- reads standard input)
    #[arg(long, value_name = "FILE")]
    pub(crate) vcap: PathBuf,
}

/// Arguments of `pgmig papers`.
#[derive(Debug, clap::Args)]
pub(crate) struct PapersArgs {
    /// Directory to write to
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

/// Arguments of `pgmig inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    /// Backup file name (- reads standard input)
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Database to look into, if the backup is a directory of pg_dumpall with many
    #[arg(long, value_name = "NAME")]
    pub(crate) source_database: Option<String>,

    /// Print the table of contents as pg_restore --list does; its --use-list takes it
    #[arg(short, long)]
    pub(crate) list: bool,

    /// Print the SQL that a restore under the backup's own instance IDs runs, for psql
    #[arg(long, conflicts_with = "list")]
    pub(crate) sql: bool,

    /// Profile of the store: a built-in one's name, or a directory
    #[arg(long, value_name = "NAME|DIR")]
    pub(crate) profile: Option<PathBuf>,

    /// Write report.json and report.html about the backup to this directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["list", "sql"])]
    pub(crate) report: Option<PathBuf>,
}

/// Arguments of `pgmig verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// Backup file names (- reads standard input)
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// How many threads read an archive (as many as there are processors, 4 at most)
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
}

/// Arguments of `pgmig releases`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReleasesArgs {
    /// Profile of the store: a built-in one's name, or a directory
    #[arg(long, value_name = "NAME|DIR")]
    pub(crate) profile: Option<PathBuf>,

    /// Schema migrations to show instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    pub(crate) migrations: Option<PathBuf>,
}

/// Arguments of `pgmig mapping`.
#[derive(Debug, clap::Args)]
pub(crate) struct MappingArgs {
    /// The backup and what is known of its mapping.
    #[command(flatten)]
    pub(crate) backup: BackupArgs,

    /// File to write the mapping to
    #[arg(long, value_name = "FILE", default_value = ENTERED_MAPPING)]
    pub(crate) file: PathBuf,

    /// Ask nothing: write a file to be filled in, with every instance of the backup and the provisioned ones as comments
    #[arg(long, conflicts_with = "yes")]
    pub(crate) template: bool,
}

/// Where a mapping that was entered is written to.
pub(crate) const ENTERED_MAPPING: &str = "enteredMapping.yaml";

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    // These are not doc comments: clap would then print a short and a long form of the help.
    Text,
    Json,
}

impl OutputFormat {
    /// Refuses JSON for `what`, which has no JSON form.
    pub(crate) fn text_only(self, what: &str) -> Result<()> {
        match self {
            Self::Text => Ok(()),
            Self::Json => Err(Usage::new(format!("--output json cannot be used with {what}")).into()),
        }
    }
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressForm {
    Auto,
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The package's version, and the commit that it was built from if the build knew it.
const VERSION: &str = env!("PGMIG_VERSION");

/// The version of the build, and the newest release in it.
fn version() -> String {
    match releases::newest() {
        Some(release) => format!("{VERSION}, releases up to {release}"),
        None => VERSION.to_owned(),
    }
}

const AFTER_HELP: &str = "\
Exit status: 0 done; 1 failed, target untouched; 2 bad usage or configuration; 3 refused before anything was \
changed; 4 stopped by --strict, target untouched; 5 outcome unknown; 130 interrupted, target untouched.";

impl InspectArgs {
    /// The backup.
    pub(crate) fn source(&self) -> Result<Source> {
        match &self.source_database {
            Some(name) => cluster::database_of(&self.file, name),
            None if self.file == Path::new("-") => Ok(Source::Stdin),
            None => Ok(Source::File(self.file.clone())),
        }
    }
}

impl BackupArgs {
    /// The backup.
    pub(crate) fn source(&self) -> Result<&Path> {
        required(self.source.as_deref(), "--source", "the backup")
    }

    /// Whether the backup comes from standard input, which then cannot answer questions.
    pub(crate) fn is_from_stdin(&self) -> bool {
        self.source.as_deref() == Some(Path::new("-"))
    }

    /// The Resource Controller's configuration file.
    pub(crate) fn resource_controller(&self) -> Result<&Path> {
        required(
            self.resource_controller.as_deref(),
            "--resourceController",
            "the Resource Controller configuration file",
        )
    }
}

fn required<'a>(value: Option<&'a Path>, flag: &str, what: &str) -> Result<&'a Path> {
    value.ok_or_else(|| Usage::new(format!("{flag} is missing: it names {what}; see pgmig --help")).into())
}

/// Reads a number of seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: u32 = text.parse().map_err(|_| "expected a whole number of seconds".to_owned())?;
    Ok(Duration::from_secs(seconds.into()))
}

/// Reads a number of seconds from 1.
pub(crate) fn positive_seconds(text: &str) -> Result<Duration, String> {
    let seconds = seconds(text)?;
    if seconds.is_zero() { Err("expected a number of seconds from 1".to_owned()) } else { Ok(seconds) }
}

/// Reads one of the library's words, which the help lists.
fn one_of<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = UnknownWord> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse::<T>())
}

/// More connections than this never make a restore faster.
const JOBS_MAX: usize = 64;

fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    let jobs = text.parse().ok().filter(|jobs: &NonZeroUsize| jobs.get() <= JOBS_MAX);
    jobs.ok_or_else(|| format!("expected a number of connections from 1 to {JOBS_MAX}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::backup::DumpCommand;
    use crate::target::TargetSource;
    use clap::CommandFactory;
    use clap::error::ErrorKind;
    use pgmig_core::dump::Retention;

    fn parse(args: &[&str]) -> Args {
        Args::try_parse_from([&["pgmig"], args].concat()).unwrap()
    }

    fn parse_error(args: &[&str]) -> clap::Error {
        Args::try_parse_from([&["pgmig"], args].concat()).unwrap_err()
    }

    #[test]
    fn definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn values_in_every_form() {
        for form in [
            &["-s", "store.dump"][..],
            &["-s=store.dump"],
            &["-sstore.dump"],
            &["--source", "store.dump"],
            &["--source=store.dump"],
        ] {
            assert_eq!(parse(form).backup.source.as_deref(), Some(Path::new("store.dump")), "{form:?}");
        }
    }

    #[test]
    fn standard_input_as_source() {
        for form in [&["-s", "-"][..], &["-s=-"], &["-s-"], &["--source", "-"], &["--source=-"]] {
            assert_eq!(parse(form).backup.source.as_deref(), Some(Path::new("-")), "{form:?}");
        }
    }

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        assert_eq!(parse(&["-s==x"]).backup.source.as_deref(), Some(Path::new("=x")));
        assert_eq!(parse(&["-s", "a=b"]).backup.source.as_deref(), Some(Path::new("a=b")));
    }

    #[test]
    fn original_flags_short_and_long() {
        let short = parse(&["-f", "-s", "a", "-r", "b", "-t", "c", "-m", "d"]);
        let long = parse(&[
            "--force",
            "--source=a",
            "--resourceController=b",
            "--target=c",
            "--mapping=d",
            "--testRCConnection",
            "--testPGConnection",
            "--wxo",
        ]);
        for args in [&short, &long] {
            assert!(args.force);
            assert_eq!(args.backup.resource_controller.as_deref(), Some(Path::new("b")));
            assert_eq!(args.backup.source().unwrap(), Path::new("a"));
            assert_eq!(args.target.file().unwrap().source, TargetSource::Yaml(Path::new("c")));
            assert_eq!(args.backup.mapping.as_deref(), Some(Path::new("d")));
        }
        assert!(long.test_rc_connection && long.test_pg_connection && long.backup.wxo);
        assert!(!short.test_rc_connection && !short.test_pg_connection && !short.backup.wxo);
    }

    #[test]
    fn short_flags_can_be_joined() {
        let args = parse(&["-fs", "a"]);
        assert!(args.force);
        assert_eq!(args.backup.source.as_deref(), Some(Path::new("a")));
    }

    #[test]
    fn help_and_version_in_both_forms() {
        for form in ["-h", "--help"] {
            assert_eq!(parse_error(&[form]).kind(), ErrorKind::DisplayHelp);
        }
        for form in ["-v", "--version"] {
            let error = parse_error(&[form]);
            assert_eq!(error.kind(), ErrorKind::DisplayVersion);
            assert!(error.to_string().starts_with(concat!("pgmig ", env!("CARGO_PKG_VERSION"))));
        }
    }

    #[test]
    fn mapping_excludes_keep_ids() {
        for args in [&["-m", "enteredMapping.yaml", "--keep-ids"][..], &["--keep-ids", "--map-by-name"]] {
            assert_eq!(parse_error(args).kind(), ErrorKind::ArgumentConflict);
        }
    }

    #[test]
    fn bad_usage_is_refused() {
        for args in [
            &["store.dump"][..],
            &["--resource-controller", "x"],
            &["-V"],
            &["-s"],
            &["--source="],
            &["-s", "a", "-s", "b"],
            &["--swap-wait", "-1"],
            &["--swap-wait", "1.5"],
            &["--commit-wait", "0"],
            &["-j", "0"],
            &["-j", "65"],
            &["--jobs", "two"],
            &["--toast-compression", "pglz"],
            &["--log-level", "loud"],
            &["--schema", "mine"],
            &["--to-release", "5.1"],
        ] {
            assert_eq!(parse_error(args).exit_code(), 2, "{args:?}");
        }
    }

    #[test]
    fn mapping_is_a_command_of_its_own() {
        let args = parse(&["mapping", "-s", "a", "-r", "b", "-m", "c", "--map-by-name", "--quiet"]);
        let Some(Command::Mapping(mapping)) = args.command else { panic!("no command") };
        assert_eq!(mapping.backup.source().unwrap(), Path::new("a"));
        assert!(mapping.backup.map_by_name && args.quiet);
        assert_eq!(mapping.file, Path::new(ENTERED_MAPPING));
        // The second argument is a flag's value, not a command.
        assert!(parse(&["-s", "mapping"]).command.is_none());
        for args in [&["-s", "a", "mapping"][..], &["mapping", "--target", "x"], &["mapping", "--force"]] {
            assert_eq!(parse_error(args).exit_code(), 2, "{args:?}");
        }
    }

    #[test]
    fn the_target_is_a_file_or_the_json_of_a_secret() {
        let vcap = |args: &[&str]| format!("{:?}", parse(args).target.file().unwrap().source);
        assert_eq!(vcap(&["--vcap", "v.json"]), "Vcap(\"v.json\")");
        assert_eq!(vcap(&["--vcap", "-"]), "Vcap(\"/dev/stdin\")");
        let args = parse(&["previous", "list", "--vcap", "a b"]);
        let Some(Command::Previous(PreviousCommand::List(list))) = args.command else { panic!("no command") };
        assert_eq!(list.target.words(), "--vcap 'a b'");
        assert_eq!(parse_error(&["-t", "a", "--vcap", "b"]).kind(), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn a_backup_and_the_removal_of_old_ones() {
        let dump = |args: &[&str]| match parse(args).command {
            Some(Command::Backup(dump)) => dump,
            _ => panic!("no backup"),
        };
        let made = dump(&["backup", "-t", "a", "-o", "dir", "--keep-daily", "6", "--keep-weekly", "4"]);
        assert_eq!(made.to().unwrap(), Path::new("dir"));
        assert_eq!(made.retention(), Some(Retention::default()));
        assert_eq!(dump(&["backup", "-t", "a", "-o", "-"]).retention(), None);
        assert!(dump(&["backup", "-t", "a"]).to().unwrap_err().to_string().starts_with("-o is missing"));
        let pruning = dump(&["backup", "prune", "-o", "dir", "--weekly-day", "6", "--dry-run"]);
        let Some(DumpCommand::Prune(pruning)) = pruning.command else { panic!("no command") };
        assert_eq!((pruning.retention(), pruning.dry_run), (Retention::new(6, 4, 6), true));
        for args in [
            &["backup", "-o", "d", "--keep-daily", "6"][..],
            &["backup", "-o", "d", "--keep-daily", "6", "--keep-weekly", "4", "--weekly-day", "7"],
            &["backup", "prune"],
            &["backup", "-t", "a", "prune", "-o", "dir"],
        ] {
            assert_eq!(parse_error(args).exit_code(), 2, "{args:?}");
        }
    }

    #[test]
    fn defaults() {
        let args = parse(&[]);
        assert_eq!(args.swap_wait, Duration::from_secs(60));
        let waits = [args.server_timeout, args.lock_wait, args.commit_wait, args.backup.source_wait];
        assert_eq!(waits.map(|wait| wait.as_secs()), [60, 60, 300, 3600]);
        assert_eq!(args.log_level, LogLevel::Warn);
        assert_eq!((args.jobs, args.toast_compression), (None, ToastCompression::Lz4));
        assert_eq!(parse(&["-j4"]).jobs.map(NonZeroUsize::get), Some(4));
        assert!(!args.force && !args.keep_ids && !args.strict && !args.backup.yes && !args.quiet);
    }

    #[test]
    fn what_is_missing_is_named() {
        let args = parse(&[]);
        assert!(args.backup.source().unwrap_err().to_string().starts_with("--source is missing"));
        let missing = args.backup.resource_controller().unwrap_err().to_string();
        assert!(missing.starts_with("--resourceController is missing"));
        let environment = pgmig_core::server::TargetEnvironment::default();
        let missing = args.target.file().unwrap().config(&environment).unwrap_err().to_string();
        assert!(missing.starts_with("--target is missing"), "{missing}");
    }
}
