//! Tests of the documents: every command in them is one that pgmig understands, and every link leads somewhere.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use crate::usage;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The most lines of the README. What does not fit belongs to docs/.
const README_LINES: usize = 150;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The documents, relative to the repository.
fn documents() -> Vec<PathBuf> {
    let mut documents = Vec::new();
    for directory in
        ["", "docs", "benches", "fixtures", "schema-migrations", "pgmig-cli/schemas", "tests", "deploy"]
    {
        let directory = Path::new(directory);
        let Ok(entries) = std::fs::read_dir(repository().join(directory)) else { continue };
        let names = entries.map(|entry| PathBuf::from(entry.unwrap().file_name()));
        let names = names.filter(|name| name.extension().is_some_and(|extension| extension == "md"));
        documents.extend(names.map(|name| directory.join(name)));
    }
    assert!(documents.len() > 20, "{documents:?}");
    documents
}

fn read(document: &Path) -> String {
    std::fs::read_to_string(repository().join(document)).unwrap()
}

/// The lines of code: indented by four spaces, or in a block without a language, or with that of a shell.
fn code(text: &str) -> Vec<&str> {
    let (mut lines, mut block) = (Vec::new(), None);
    for line in text.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(language), None) => block = Some(language),
            (Some(_), Some(_)) => block = None,
            (None, Some("sh")) => lines.push(line),
            (None, Some(_)) => {}
            (None, None) => lines.extend(line.strip_prefix("    ")),
        }
    }
    lines
}

/// The words of a shell's command up to its end, and the text after it.
fn words(text: &str) -> (Vec<String>, &str) {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for (place, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.push(c),
            ('\'' | '"', None) => quote = Some(c),
            ('|' | ';' | '&' | ')', None) => {
                words.extend(Some(word).filter(|word| !word.is_empty()));
                return (words, &text[place + 1..]);
            }
            // A comment, or a file for the output.
            ('#' | '>', None) if word.is_empty() => break,
            (' ', None) => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            (c, None) => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    (words, "")
}

/// The commands of pgmig in a line.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = line.trim_start_matches("$ ");
    while !rest.is_empty() {
        let (words, after) = words(rest);
        let is_setting = |word: &&String| word.contains('=') && !word.starts_with('-');
        let words: Vec<String> = {
            let settings = words.iter().take_while(is_setting).count();
            words[settings..].to_vec()
        };
        let name = words.first().map(|word| word.trim_start_matches('('));
        if name.is_some_and(|name| name == "pgmig" || name.ends_with("/pgmig")) {
            found.push(words);
        }
        rest = after.trim_start_matches(['|', '&', ' ']);
    }
    found
}

#[test]
fn every_command_in_a_document_is_understood() {
    let mut count = 0;
    for document in documents() {
        let text = read(&document);
        for line in code(&text) {
            // A form of a command, and no command.
            if line.contains("...") || line.contains(" [") {
                continue;
            }
            for command in commands(line) {
                count += 1;
                let arguments: Vec<OsString> = command.iter().map(OsString::from).collect();
                let is_help = command.iter().any(|word| word == "--help" || word == "--version");
                if let (Err(message), false) = (usage::again(&arguments), is_help) {
                    panic!("{}: {line}: {message}", document.display());
                }
            }
        }
    }
    assert!(count > 60, "only {count} commands were found");
}

#[test]
fn commands_are_found_in_lines() {
    assert_eq!(
        commands("oc get secret $S -o json | pgmig backup --vcap - -o /b"),
        [["pgmig", "backup", "--vcap", "-", "-o", "/b"]]
    );
    assert_eq!(commands("X=1 pgmig -s 'a b' > c  # pgmig d"), [["pgmig", "-s", "a b"]]);
    assert_eq!(commands("(umask 077; pgmig config --vcap - > p.yaml)"), [["pgmig", "config", "--vcap", "-"]]);
    assert!(commands("oc cp pgmig $POD:/tmp/pgmig").is_empty());
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let text: String =
        heading.trim().to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect();
    text.replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        if !is_code && line.starts_with('#') {
            anchors.insert(anchor(line.trim_start_matches('#')));
        }
    }
    anchors
}

/// The targets of a document's links, without code.
fn links(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut links = Vec::new();
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        if is_code || line.starts_with("    ") {
            continue;
        }
        for part in line.split("](").skip(1) {
            links.extend(part.split(')').next());
        }
    }
    links
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for document in documents() {
        let text = read(&document);
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (path, place) =
                link.split_once('#').map_or((link, None), |(path, place)| (path, Some(place)));
            let directory = document.parent().unwrap();
            let target = if path.is_empty() { document.clone() } else { directory.join(path) };
            let exists = repository().join(&target).exists();
            let is_there = exists
                && place.is_none_or(|place| {
                    target.extension().is_some_and(|extension| extension == "md")
                        && anchors(&read(&target)).contains(place)
                });
            if !is_there {
                wrong.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere: {wrong:#?}");
}

#[test]
fn the_book_has_every_document_of_its_directory() {
    let summary = read(Path::new("docs/SUMMARY.md"));
    let listed: BTreeSet<&str> = links(&summary).into_iter().collect();
    for document in documents().iter().filter(|document| document.starts_with("docs")) {
        let name = document.file_name().unwrap().to_str().unwrap();
        assert!(name == "SUMMARY.md" || listed.contains(name), "docs/SUMMARY.md does not list {name}");
    }
}

#[test]
fn the_readme_is_short() {
    let lines = read(Path::new("README.md")).lines().count();
    assert!(lines <= README_LINES, "{lines} lines: move some to docs/");
}
