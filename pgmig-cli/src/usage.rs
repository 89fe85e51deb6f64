//! Parses the arguments, and explains mistakes in them. Messages repeat arguments escaped, but never a connection URL.

use crate::args::Args;
use crate::failure::{Document, exit_status};
use crate::output::{Text, print_failure, say};
use clap::error::{ContextKind, ContextValue, ErrorKind as Kind};
use clap::{CommandFactory, Parser};
use pgmig_core::ErrorKind;
use pgmig_core::config_file::is_connection_string;
use pgmig_core::text::{meant, printable};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// The parsed arguments (the first is the program's name), or the exit status if the program has finished.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Args, ExitCode> {
    let arguments = &normalised(arguments);
    let problem = match (problem(arguments), Args::try_parse_from(arguments)) {
        (Some(problem), _) => problem,
        (None, Ok(args)) => return Ok(args),
        (None, Err(help)) if !help.use_stderr() => {
            let _ = help.print();
            return Err(ExitCode::SUCCESS);
        }
        (None, Err(error)) => described(&error).unwrap_or_else(|| clap_text(arguments)),
    };
    say(&problem);
    if is_json(arguments) {
        let message = problem.as_str().trim().trim_start_matches("error: ").to_owned();
        print_failure(&Document::usage(message));
    }
    Err(ExitCode::from(exit_status(ErrorKind::Usage)))
}

/// Parses arguments that were completed by a file. The error is a message.
pub(crate) fn again(arguments: &[OsString]) -> Result<Args, String> {
    let arguments = &normalised(arguments);
    let parsed = Args::try_parse_from(arguments);
    let message = |text: Text| text.as_str().trim().trim_start_matches("error: ").to_owned();
    parsed.map_err(|error| message(described(&error).unwrap_or_else(|| clap_text(arguments))))
}

/// The arguments in the order that clap takes: options that every command has come after the command. `restore` is what
/// pgmig does without a command.
fn normalised(arguments: &[OsString]) -> Vec<OsString> {
    let root = Args::command();
    let of_all: Vec<&clap::Arg> = root.get_arguments().filter(|option| option.is_global_set()).collect();
    let mut commands = root.get_subcommands().map(clap::Command::get_name);
    let (program, rest) = arguments.split_at(arguments.len().min(1));
    let mut place = 0;
    while let Some(argument) = rest.get(place).and_then(|argument| argument.to_str()) {
        let name =
            argument.strip_prefix("--").map(|option| option.split_once('=').map_or(option, |(name, _)| name));
        let Some(option) = of_all.iter().find(|option| name.is_some() && option.get_long() == name) else {
            break;
        };
        let has_value = option.get_action().takes_values() && !argument.contains('=');
        place += if has_value { 2 } else { 1 };
    }
    let (before, after) = rest.split_at(place.min(rest.len()));
    match after.split_first() {
        Some((command, after)) if command == "restore" => [program, before, after].concat(),
        Some((command, after)) if commands.any(|name| command == name) => {
            // A command of a command, as in `previous list`, is the next word.
            let is_word = |word: &&OsString| !word.to_string_lossy().starts_with('-');
            let has_own =
                root.get_subcommands().any(|own| command == own.get_name() && own.has_subcommands());
            let next = usize::from(has_own && after.first().as_ref().is_some_and(is_word));
            let (own, after) = after.split_at(next);
            [program, std::slice::from_ref(command), own, before, after].concat()
        }
        _ => arguments.to_vec(),
    }
}

/// Whether the arguments, which are not understood as a whole, ask for JSON.
fn is_json(arguments: &[OsString]) -> bool {
    let mut last = "";
    arguments.iter().filter_map(|argument| argument.to_str()).any(|argument| {
        let is_asked = argument == "--output=json" || (last == "--output" && argument == "json");
        last = argument;
        is_asked
    })
}

/// The option whose value is a connection URL.
const URL_FLAG: &str = "--target-url";

/// Mistakes that clap would misread.
fn problem(arguments: &[OsString]) -> Option<Text> {
    let (mut flag, mut options_end, mut is_url_next) = (String::new(), false, false);
    for argument in arguments.iter().skip(1) {
        let text = argument.to_string_lossy();
        if let Some(option) = text.starts_with('-').then(|| text.split('=').next()).flatten() {
            flag = option.to_owned();
        }
        let is_wanted = !options_end && (is_url_next || text.starts_with(&format!("{URL_FLAG}=")));
        is_url_next = argument == URL_FLAG;
        // The URL of an S3 server is none of a database.
        if flag != "--endpoint" && is_connection_string(Path::new(argument)) && !is_wanted {
            let flag = Some(flag).filter(|flag| !is_connection_string(Path::new(flag)));
            let flag = flag.filter(|flag| !flag.is_empty()).unwrap_or_else(|| "pgmig".to_owned());
            return Some(Text::message(
                "error",
                &match flag.as_str() {
                    "--database" | "--owner" => format!(
                        "{flag} takes a name, and not a connection URL or string (not shown, as it may hold a password); use \
                         {URL_FLAG}"
                    ),
                    _ => format!(
                        "{flag} takes the name of a file, and not a connection URL or string (not shown, as it may hold a \
                         password); write host, port, database and roles into a YAML file, or use {URL_FLAG}"
                    ),
                },
            ));
        }
        options_end |= argument == "--";
        let single = text.strip_prefix('-').and_then(|text| text.split('=').next()).unwrap_or_default();
        if !options_end && options().iter().any(|(_, long)| *long == single) {
            return Some(Text::message("error", &format!("long options take two dashes: --{single}")));
        }
    }
    None
}

/// The error in our own words, for the most common mistakes.
fn described(error: &clap::Error) -> Option<Text> {
    let context = |kind| match error.get(kind)? {
        ContextValue::String(text) => Some(printable(text).into_owned()),
        _ => None,
    };
    // clap shows an option with the name of its value: `--source <FILE>`.
    let option = || Some(context(ContextKind::InvalidArg)?.split(' ').next()?.to_owned());
    let list = |kind| match error.get(kind) {
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::String(text)) => vec![text.clone()],
        _ => Vec::new(),
    };
    let text = match error.kind() {
        Kind::ArgumentConflict => match context(ContextKind::InvalidSubcommand) {
            Some(word) => format!(
                "{word} follows no option; name the option that it is for, such as --source {word} or --mapping {word}"
            ),
            None => {
                let (option, others) = (option()?, list(ContextKind::PriorArg));
                let others: Vec<&str> = others.iter().filter_map(|other| other.split(' ').next()).collect();
                match others.as_slice() {
                    [other] if *other == option => format!("{option} is given twice; give it once"),
                    _ => format!("{option} cannot be used with {}; leave one of them out", any_of(&others)),
                }
            }
        },
        Kind::InvalidValue => match context(ContextKind::InvalidValue).filter(|value| !value.is_empty()) {
            Some(value) => {
                let (option, values) = (option()?, list(ContextKind::ValidValue));
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                let hint = meant(&value, &values).map(|meant| format!("; did you mean {meant}?"));
                format!(
                    "{option} cannot be \"{value}\", expected {}{}",
                    any_of(&values),
                    hint.unwrap_or_default()
                )
            }
            None => format!("{} has no value", option()?),
        },
        Kind::ValueValidation => {
            let (option, value) = (option()?, context(ContextKind::InvalidValue)?);
            let why = std::error::Error::source(error)?.to_string();
            // The standard library's words for a number.
            let why = if why.contains("invalid digit") { "expected a whole number".to_owned() } else { why };
            format!("{option} cannot be \"{value}\": {}", printable(&why))
        }
        Kind::TooManyValues => format!("{} takes no value", option()?),
        Kind::MissingRequiredArgument => match list(ContextKind::InvalidArg).as_slice() {
            [] => return None,
            missing => format!("{} is missing; pgmig --help explains it", missing.join(" and ")),
        },
        Kind::UnknownArgument => {
            let given = context(ContextKind::InvalidArg)?;
            if !given.starts_with('-') {
                return Some(Text::message(
                    "error",
                    &format!("{given} is one argument too many; leave it out"),
                ));
            }
            let options = options();
            let known: Vec<&str> = options.iter().map(|(_, long)| long.as_str()).collect();
            let name = given.trim_start_matches('-');
            match meant(name, &known) {
                Some(meant) if meant == name => {
                    let having = options.iter().filter(|(_, long)| long == name);
                    let commands: Vec<&str> = having.map(|(command, _)| command.as_str()).collect();
                    format!("this command has no option {given}; these have it: {}", commands.join(", "))
                }
                Some(meant) => format!("unknown option {given}; did you mean --{meant}?"),
                None => format!("unknown option {given}; pgmig --help lists those that there are"),
            }
        }
        Kind::InvalidSubcommand => {
            let given = context(ContextKind::InvalidSubcommand)?;
            let command = Args::command();
            if let Some(text) = unknown_below(&command, error, &given) {
                return Some(Text::message("error", &text));
            }
            let commands: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            match meant(&given, &commands) {
                _ if Path::new(&given).exists() => {
                    format!("to restore {given}: pgmig --source {given} --target postgres.yaml")
                }
                Some(meant) => format!("unknown command {given}; did you mean {meant}?"),
                None => format!(
                    "{given} is neither a file nor a command; to restore a backup: pgmig --source FILE --target postgres.yaml"
                ),
            }
        }
        _ => return None,
    };
    Some(Text::message("error", &text))
}

/// `a, b or c`.
fn any_of(values: &[&str]) -> String {
    match values {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The error of an unknown command below a command, such as `pgmig previous`.
fn unknown_below(root: &clap::Command, error: &clap::Error, given: &str) -> Option<String> {
    let usage = match error.get(ContextKind::Usage)? {
        ContextValue::StyledStr(usage) => usage.to_string(),
        _ => return None,
    };
    let is_meant = |command: &&clap::Command| {
        command.has_subcommands() && usage.contains(&format!("pgmig {} ", command.get_name()))
    };
    let command = root.get_subcommands().find(is_meant)?;
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let name = command.get_name();
    Some(match meant(given, &names) {
        Some(meant) => format!("pgmig {name} has no command {given}; did you mean {meant}?"),
        None => format!("pgmig {name} has no command {given}; it has: {}", names.join(", ")),
    })
}

/// Explains the error in clap's words. clap repeats arguments unchanged, so they are escaped before.
fn clap_text(arguments: &[OsString]) -> Text {
    let escaped = arguments.iter().map(|argument| printable(&argument.to_string_lossy()).into_owned());
    let mut text = Text::new();
    match Args::try_parse_from(escaped) {
        Err(error) => text.lines(&error.to_string()),
        Ok(_) => text.labelled("", "error", "the arguments are not understood; pgmig --help lists them"),
    }
    text
}

/// Every long option, with the command that has it.
fn options() -> Vec<(String, String)> {
    let mut options = vec![("pgmig".to_owned(), "version".to_owned())];
    add_options(&Args::command(), "pgmig", &mut options);
    options
}

/// Adds the options of a command and of those below it.
fn add_options(command: &clap::Command, name: &str, options: &mut Vec<(String, String)>) {
    let longs = command.get_arguments().filter_map(clap::Arg::get_long).chain(["help"]);
    options.extend(longs.map(|long| (name.to_owned(), long.to_owned())));
    for below in command.get_subcommands() {
        add_options(below, &format!("{name} {}", below.get_name()), options);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn said(arguments: &[&str]) -> String {
        let arguments: Vec<OsString> =
            std::iter::once("pgmig").chain(arguments.iter().copied()).map(OsString::from).collect();
        let text = problem(&arguments).unwrap_or_else(|| {
            let error = Args::try_parse_from(&arguments).unwrap_err();
            described(&error).unwrap_or_else(|| clap_text(&arguments))
        });
        text.as_str().to_owned()
    }

    #[test]
    fn options_of_all_commands_may_stand_before_the_command() {
        let normal = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let normal = normalised(&arguments);
            normal.iter().map(|argument| argument.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        for (given, expected) in [
            ("pgmig --output json inspect x", "pgmig inspect --output json x"),
            ("pgmig --quiet --log-level=info verify x", "pgmig verify --quiet --log-level=info x"),
            ("pgmig --quiet previous list -t y", "pgmig previous list --quiet -t y"),
            ("pgmig restore --force -s x", "pgmig --force -s x"),
            ("pgmig --quiet restore -s x", "pgmig --quiet -s x"),
            ("pgmig restore", "pgmig"),
            // Not a command, but the value of an option.
            ("pgmig -s restore -t y", "pgmig -s restore -t y"),
            ("pgmig --output json -s inspect", "pgmig --output json -s inspect"),
            ("pgmig --output", "pgmig --output"),
            ("pgmig", "pgmig"),
        ] {
            assert_eq!(normal(given), expected);
        }
        assert!(
            Args::try_parse_from(normalised(&["pgmig", "--quiet", "previous"].map(OsString::from))).is_err()
        );
    }

    #[test]
    fn json_is_asked_for_in_either_form() {
        let asked = |line: &str| is_json(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(asked("pgmig --output json --sorce x") && asked("pgmig inspect --output=json"));
        assert!(!asked("pgmig --output text json") && !asked("pgmig json"));
    }

    #[test]
    fn mistakes_are_named_with_what_was_meant() {
        let file = tempfile::NamedTempFile::with_suffix(".dump").unwrap();
        let file = file.path().to_str().unwrap();
        for (arguments, expected) in [
            (&["--sorce", "x"][..], "error: unknown option --sorce; did you mean --source?\n"),
            (&["--sorce=x"], "error: unknown option --sorce; did you mean --source?\n"),
            (&["inspect", "--lst", "x"], "error: unknown option --lst; did you mean --list?\n"),
            (
                &["--keep-daily", "6"],
                "error: this command has no option --keep-daily; these have it: pgmig backup, pgmig backup prune\n",
            ),
            (
                &["previous", "drop", "--older-then", "7d"],
                "error: unknown option --older-then; did you mean --older-than?\n",
            ),
            (
                &["--frobnicate"],
                "error: unknown option --frobnicate; pgmig --help lists those that there are\n",
            ),
            (&["-source", "x"], "error: long options take two dashes: --source\n"),
            (&["-target=x"], "error: long options take two dashes: --target\n"),
            (&["-force", "-s", "x"], "error: long options take two dashes: --force\n"),
            (&["mappng"], "error: unknown command mappng; did you mean mapping?\n"),
            (
                &["previous", "rolback", "-t", "x"],
                "error: pgmig previous has no command rolback; did you mean rollback?\n",
            ),
            (
                &["previous", "purge"],
                "error: pgmig previous has no command purge; it has: list, rollback, drop\n",
            ),
            (
                &["--schema", "targt"],
                "error: --schema cannot be \"targt\", expected auto, migrate, archive or target; did you mean target?\n",
            ),
            (
                &["--jobs", "0"],
                "error: --jobs cannot be \"0\": expected a number of connections from 1 to 64\n",
            ),
            (
                &["-m", "x", "--keep-ids"],
                "error: --mapping cannot be used with --keep-ids; leave one of them out\n",
            ),
            (&["-s", "x", "-s", "y"], "error: --source is given twice; give it once\n"),
            (&["--mapping"], "error: --mapping has no value\n"),
            (&["--force=yes"], "error: --force takes no value\n"),
            (&["inspect"], "error: <FILE> is missing; pgmig --help explains it\n"),
            (&["inspect", "a", "b"], "error: b is one argument too many; leave it out\n"),
            (
                &["-s", "x", "m.yaml"],
                "error: m.yaml follows no option; name the option that it is for, such as --source m.yaml or --mapping m.yaml\n",
            ),
            (&[file], &format!("error: to restore {file}: pgmig --source {file} --target postgres.yaml\n")),
        ] {
            assert_eq!(said(arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn a_connection_url_is_not_shown_wherever_it_is_given() {
        for arguments in [
            &["-t", "postgres://u:S3cret@h/db"][..],
            &["--target=postgres://u:S3cret@h/db"],
            &["-tpostgres://u:S3cret@h/db"],
            &["postgres://u:S3cret@h/db"],
            &["-s", "postgres://u:S3cret@h/db", "-t", "x"],
            &["--target", "host=h password=S3cret"],
            &["verify", "postgres://u:S3cret@h/db"],
            &["--", "postgres://u:S3cret@h/db"],
            &["--target-url", "postgres://h/db", "postgres://u:S3cret@h/db"],
        ] {
            let said = said(arguments);
            assert!(
                said.contains("takes the name of a file") && !said.contains("S3cret"),
                "{arguments:?}: {said}"
            );
        }
        for arguments in [&["--target-url", "postgres://h/db"][..], &["--target-url=host=h dbname=d"]] {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            assert!(problem(&[vec!["pgmig".into()], arguments].concat()).is_none());
        }
        assert!(said(&["--target=postgres://u:p@h"]).starts_with("error: --target takes"));
    }

    #[test]
    fn arguments_are_repeated_escaped_and_on_their_line() {
        let hostile = "x\nerror: forged\u{1b}[2J\u{202e}";
        for arguments in [
            &[&*format!("--{hostile}")][..],
            &[&*format!("-{hostile}")],
            &[hostile],
            &["inspect", "a", hostile],
            &["--schema", hostile],
            &["--jobs", hostile],
            &["--force=x", hostile],
            &["--to-release", hostile],
            &["-s", "a", hostile],
        ] {
            let said = said(arguments);
            assert_eq!(said.matches("\nerror: ").count(), 0, "{arguments:?}: {said}");
            let printable = |c| c == '\n' || !pgmig_core::text::is_unprintable(c);
            assert!(said.starts_with("error: ") && said.chars().all(printable), "{arguments:?}: {said}");
        }
    }
}
