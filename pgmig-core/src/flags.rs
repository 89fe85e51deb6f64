//! The library names none of the command line's flags: callers have other ways to set its options. Messages name an option
//! as the API does (`RestoreOptions::jobs`), and the command line puts its flag in that place.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::rooms::files;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn no_message_names_a_flag_of_the_command_line() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pgmig-cli/src");
    let read = |file: &str| std::fs::read_to_string(sources.join(file)).unwrap();
    let flags =
        flags(&["args.rs", "selection.rs", "previous.rs", "target.rs", "backup.rs"].map(read).concat());
    for known in
        ["force", "exclude-table", "resourceController", "keep-ids", "to-release", "strategy", "progress"]
    {
        assert!(flags.contains(known), "--{known} was not found in {flags:?}");
    }
    let files = files();
    let named = files.iter().flat_map(|file| {
        let lines = file.code.lines().filter(|line| named(line).any(|flag| flags.contains(flag)));
        lines.map(|line| format!("{}: {}", file.name, line.trim()))
    });
    let named: Vec<String> = named.collect();
    assert!(named.is_empty(), "{named:#?}");
}

#[test]
fn flags_are_read_in_all_their_forms() {
    let arguments = "\
        #[arg(short, long)]\npub(crate) keep_ids: bool,\n\
        #[arg(short, long = \"testRC\")]\npub(crate) test: bool,\n\
        #[arg(long, default_value = \"x\")]\n#[arg(conflicts_with = \"y\")]\nversion: bool,\n\
        #[arg(value_name = \"FILE\")]\npub(crate) file: PathBuf,\n";
    assert_eq!(flags(arguments), ["keep-ids", "testRC", "version"].map(str::to_owned).into());
    assert_eq!(named("use --force; or --schema-only").collect::<Vec<_>>(), ["force", "schema-only"]);
}

/// The long flags of a file that defines arguments: by their own name, else by that of the field below.
fn flags(arguments: &str) -> BTreeSet<String> {
    let (mut found, mut waits) = (BTreeSet::new(), false);
    for line in arguments.lines().map(str::trim) {
        if let Some(attribute) = line.strip_prefix("#[arg(") {
            match attribute.split_once("long = \"").and_then(|(_, rest)| rest.split_once('"')) {
                Some((name, _)) => drop(found.insert(name.to_owned())),
                None => waits |= attribute.split([',', ')']).any(|part| part.trim() == "long"),
            }
        } else if let Some((field, _)) = line.split_once(": ").filter(|_| waits && !line.starts_with("//")) {
            let name = field.strip_prefix("pub(crate) ").unwrap_or(field);
            found.insert(name.replace('_', "-"));
            waits = false;
        }
    }
    found
}

/// The words that follow `--` in a line.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    line.split("--").skip(1).map(move |rest| rest.split(|letter| !is_part(letter)).next().unwrap())
}
