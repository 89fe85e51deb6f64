//! Names the flag that helps. Messages of the library state facts, and name its options as its API does. Flags belong
//! to this program.

use pgmig_core::Error;
use pgmig_core::archive::ArchiveError;
use pgmig_core::backup::BackupError;
use pgmig_core::migrations::SchemaError;
use pgmig_core::progress::Notice;
use pgmig_core::restore::{PlannedSchema, PreviousRefusal, Refusal, Remedy, RestoreError, RestorePlan};
use pgmig_core::server::TargetError;

/// SQLSTATE of a server, a database or a role that admits no further connection.
const TOO_MANY_CONNECTIONS: &str = "53300";

/// An option's name in messages of the library, and the flag for it.
const FLAGS: [(&str, &str); 29] = [
    ("FileKind::Backup", "--source"),
    ("FileKind::Mapping", "--mapping"),
    ("FileKind::ResourceController", "--resourceController"),
    ("FileKind::Target", "--target"),
    ("FileKind::Set", "--set"),
    ("FileKind::Vcap", "--vcap"),
    ("DumpOptions::programs", "--pg-dump"),
    ("RestoreOptions::allow_extensions", "--allow-extension"),
    ("RestoreOptions::trust_archive", "--trust-archive"),
    ("RestoreOptions::backup_first", "--backup-first"),
    ("RestoreOptions::commit_wait", "--commit-wait"),
    ("RestoreOptions::source_wait", "--source-wait"),
    ("RestoreOptions::jobs", "--jobs"),
    ("RestoreOptions::keep_previous", "--keep-previous"),
    ("RestoreOptions::keep_staging", "--keep-staging"),
    ("RestoreOptions::migrations", "--migrations"),
    ("RestoreOptions::resume", "--resume"),
    ("RestoreOptions::strict", "--strict"),
    ("Instances::Keep", "--keep-ids"),
    ("SchemaSource::Archive", "--schema archive"),
    ("SchemaSource::Migrate", "--schema migrate"),
    ("SchemaSource::Target", "--schema target"),
    ("Selection::exclude_extensions", "--exclude-extension"),
    ("Selection::exclude_tables", "--exclude-table"),
    ("Selection::sections", "--section"),
    ("Selection::skip_unrestorable", "--skip-unrestorable"),
    ("StrategyChoice::Auto", "--strategy auto"),
    ("StrategyChoice::InPlace", "--strategy in-place"),
    ("StrategyChoice::Swap", "--strategy swap"),
];

/// A message of the library with flags in place of option names.
pub(crate) fn in_flags(text: &str) -> String {
    FLAGS.iter().fold(text.to_owned(), |text, (option, flag)| text.replace(option, flag))
}

/// Replaces option names in notices by flags.
pub(crate) fn notices(notices: &mut [Notice]) {
    for notice in notices {
        notice.text = in_flags(&notice.text);
    }
}

/// Replaces option names in the reasons and notices of a plan by flags.
pub(crate) fn plan(plan: &mut RestorePlan) {
    plan.strategy_reason = in_flags(&plan.strategy_reason);
    if let PlannedSchema::AsItIs { reason } = &mut plan.schema {
        *reason = in_flags(reason);
    }
    notices(&mut plan.notices);
}

/// An error with flags in place of option names, and with the flag that helps.
pub(crate) fn in_our_words(error: &(dyn std::error::Error + 'static)) -> String {
    let text = in_flags(&error.to_string());
    let Some(hint) = error.downcast_ref::<Error>().and_then(hint) else { return text };
    // After a list or a remark, the hint begins a new line.
    let ends_its_line = |line: &str| line.starts_with("  ") || line.starts_with('(');
    let joint = if text.lines().last().is_some_and(ends_its_line) { "\n" } else { "; " };
    text + joint + &hint
}

/// The flag by which the user can deal with this error of the library.
pub(crate) fn hint(error: &Error) -> Option<String> {
    match error {
        Error::Archive(ArchiveError::ManyDatabases { .. }) => {
            Some("name it with --source-database".to_owned())
        }
        Error::Backup(BackupError::Unmapped(_)) => Some(
            "or give --resourceController, to be asked (not with a backup from standard input); or use --keep-ids to \
             restore under the backup's own IDs"
                .to_owned(),
        ),
        Error::Target(TargetError::UnknownDatabase { .. }) => {
            Some("a restore with --create-database creates it".to_owned())
        }
        Error::Target(error) if error.sqlstate() == Some(TOO_MANY_CONNECTIONS) => Some(
            "close other sessions, raise max_connections or the connection limit of the role, or lower --jobs".to_owned(),
        ),
        Error::Schema(error) => not_upgraded(error).map(str::to_owned),
        Error::Restore(RestoreError::Refused(refusal)) => refused(refusal),
        Error::Restore(RestoreError::Kept { because, .. }) => hint(because),
        _ => None,
    }
}

fn not_upgraded(error: &SchemaError) -> Option<&'static str> {
    match error {
        SchemaError::NewerThanTarget { .. } => {
            Some("or say with --to-release that the restored store is to have that release")
        }
        SchemaError::UnknownHistory(_) => {
            Some("use --schema target to load the rows into the target's own schema")
        }
        SchemaError::NeedsOwnTransaction { .. } => {
            Some("use --strategy swap, or bring the target to an older release with --to-release")
        }
        SchemaError::Target(TargetError::Server(error)) if error.sqlstate.as_deref() == Some("42501") => {
            Some(
                "let username read it (GRANT USAGE ON SCHEMA, GRANT SELECT ON TABLE), or let su_username, with --trust-archive",
            )
        }
        _ => None,
    }
}

fn refused(refusal: &Refusal) -> Option<String> {
    let hint = match refusal {
        Refusal::WouldErase { .. } => "back it up if it is wanted, then use --force",
        Refusal::SystemDatabase { .. } => "or use --force if it is meant",
        Refusal::UnusedSources { .. } => "or use --allow-unused",
        Refusal::Filled { .. } => "or use --force",
        Refusal::NoUpgrade { .. } => "without --to-release it is restored as it is into an empty target",
        Refusal::Encoding(_) => "use --keep-ids, or dump with --encoding=UTF8",
        Refusal::InUse { sessions, .. } if sessions.iter().all(|session| session.can_be_ended) => {
            "or use --terminate-sessions, or wait longer with --swap-wait"
        }
        Refusal::InUse { .. } => "or wait longer with --swap-wait",
        Refusal::Previous(PreviousRefusal::InUse { sessions, .. })
            if sessions.iter().all(|session| session.can_be_ended) =>
        {
            "or use --terminate-sessions"
        }
        Refusal::CannotClear { .. } => "or give a superuser as su_username, and --trust-archive",
        Refusal::NotAStore { .. } => {
            "is it the right backup? give its --profile, or restore into an empty database; of a part of a store, --schema \
             target keeps the instances if the profile has their table among its global_tables"
        }
        Refusal::NotMigrated { remedy, .. } => {
            return Some(format!(
                "{}, or use --schema target to load the rows into the target's own schema",
                advice(*remedy)
            ));
        }
        Refusal::UnknownHistory { remedy, .. } => {
            return Some(format!(
                "{}, use --schema archive to give the target the archive's schema, --schema target (by a swap) to load the \
                 rows into the target's own, or restore into an empty database",
                advice(*remedy)
            ));
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// The remedy that makes an upgrade possible.
fn advice(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::Profile => "say with --profile DIR where the store keeps its instances and its history",
        Remedy::Migrations => "supply the store's migrations with --migrations DIR",
        Remedy::OwnTool => {
            "upgrade the store with its own tool, there or once it is restored to an empty database (--migrations DIR goes \
             on in sqlx's history only)"
        }
        // A backup with a history, or a remedy that a newer library adds.
        _ => "take a backup that has sqlx's migration history, in which --migrations DIR goes on",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use clap::CommandFactory;
    use pgmig_core::migrations::{ForeignReader, UnknownHistory};

    fn said(refusal: impl Into<Error>) -> String {
        in_our_words(&refusal.into())
    }

    #[test]
    fn every_option_has_a_flag_that_exists() {
        let command = Args::command();
        let commands = std::iter::once(&command).chain(command.get_subcommands());
        let flags: Vec<&str> =
            commands.flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_long).collect();
        for (option, flag) in FLAGS {
            let mut words = flag.trim_start_matches("--").split(' ');
            let long = words.next().unwrap_or_default();
            assert!(flags.contains(&long), "{option}: {flag}");
            if let Some(value) = words.next() {
                let argument = command.get_arguments().find(|argument| argument.get_long() == Some(long));
                let values = argument.map(clap::Arg::get_possible_values).unwrap_or_default();
                assert!(values.iter().any(|known| known.get_name() == value), "{option}: {flag}");
            }
        }
    }

    #[test]
    fn options_are_named_as_flags() {
        assert_eq!(in_flags("2 warnings (RestoreOptions::strict)"), "2 warnings (--strict)");
        let refused = said(Refusal::NotInPlace("RestoreOptions::keep_previous"));
        assert!(refused.starts_with("--keep-previous requires --strategy swap"), "{refused}");
    }

    #[test]
    fn the_flag_that_helps_follows_the_fact() {
        let (why, remedy) = ("it holds no store that is known".to_owned(), Remedy::Profile);
        let refused = said(Refusal::NotMigrated { why, remedy });
        assert!(
            refused.contains(
                "--schema migrate asks for: it holds no store that is known; say with --profile DIR"
            ),
            "{refused}"
        );
        let (database, contents) = ("store".to_owned(), "1 row".to_owned());
        let refused = said(Refusal::WouldErase { database, contents });
        assert!(refused.ends_with("; back it up if it is wanted, then use --force"), "{refused}");
    }

    #[test]
    fn a_history_that_cannot_be_continued_has_the_target_s_schema_as_its_hint() {
        let history = ForeignReader::new(UnknownHistory::Flyway, std::iter::empty()).finish();
        let refused = said(SchemaError::UnknownHistory(history));
        assert!(
            refused.ends_with("; use --schema target to load the rows into the target's own schema"),
            "{refused}"
        );
    }

    #[test]
    fn a_hint_stands_below_a_list() {
        let refused = said(Refusal::UnknownHistory {
            history: String::new(),
            remedy: Remedy::Migrations,
            differences: Vec::new(),
            is_foreseen: true,
        });
        let last = refused.lines().last().unwrap_or_default();
        assert!(last.starts_with("supply the store's migrations with --migrations DIR, "), "{refused}");
    }

    #[test]
    fn what_no_flag_helps_with_has_no_hint() {
        let error = Error::from(Refusal::ScriptStream);
        assert_eq!(hint(&error), None);
        assert_eq!(in_our_words(&error), error.to_string());
    }
}
