//! Mistakes of operators, one a file: what is typed, what is shown, and the exit status. bash runs the command in a
//! directory that holds what an operator has there.
//!
//! `PGMIG_MESSAGES=write make integration TESTS=messages::` writes what is shown now into the files. Read the difference: a
//! message says what happened, to what, and what to do next.

mod case;
mod place;

use crate::support::fixture::repository;
use case::Case;
use place::Place;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many mistakes there are at least, in all directories.
const LEAST: usize = 100;

/// How many commands run at the same time. Most of them only wait for the start of a process.
const AT_A_TIME: usize = 4;

/// The cases of a directory, in the order of their names.
fn cases(directory: &str) -> Vec<PathBuf> {
    let directory = repository().join("tests/messages").join(directory);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs every case of the directory, and compares what is shown with its file.
fn run(directory: &str, place: &Place) {
    let files = cases(directory);
    let (next, different) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let text = std::fs::read_to_string(file).unwrap();
                    let case =
                        Case::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                    let now = case.with(&place.run(&case));
                    if now == text {
                        continue;
                    }
                    match std::env::var_os("PGMIG_MESSAGES").is_some_and(|mode| mode == "write") {
                        true => std::fs::write(file, now).unwrap(),
                        false => different.lock().unwrap().push(format!("{}\n{now}", file.display())),
                    }
                }
            });
        }
    });
    let different = different.into_inner().unwrap();
    assert!(
        different.is_empty(),
        "{} cases show something else now:\n{}",
        different.len(),
        different.join("\n")
    );
}

#[test]
fn of_arguments() {
    run("arguments", &Place::without_server());
}

#[test]
fn of_files() {
    run("files", &Place::without_server());
}

#[test]
fn of_backups() {
    run("backups", &Place::without_server());
}

#[test]
fn of_targets() {
    run("targets", &Place::with_server());
}

#[test]
fn there_are_many_and_each_is_another_one() {
    let mut commands = BTreeSet::new();
    let mut count = 0;
    for directory in ["arguments", "files", "backups", "targets"] {
        for file in cases(directory) {
            let text = std::fs::read_to_string(&file).unwrap();
            let case = Case::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(
                commands.insert((case.files.clone(), case.command.clone())),
                "{} is there twice",
                file.display()
            );
            assert_ne!(case.status, 0, "{}: it is no mistake", file.display());
            assert!(!case.shown.trim().is_empty(), "{}: nothing is shown", file.display());
            count += 1;
        }
    }
    assert!(count >= LEAST, "only {count} mistakes");
}
