//! Progress and the log: as events, in files, and as lines.

use crate::support::document;
use crate::support::pgmig::TargetFile;
use crate::support::store::Backup;
use crate::support::{Database, Pgmig};
use serde_json::Value;
use std::fs;

/// Checks that each line is an event of the schema, and returns the events' names.
#[track_caller]
fn events(lines: &str) -> Vec<String> {
    let name = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        document::check(&event, "event").unwrap_or_else(|error| panic!("{error}\n{line}"));
        event["event"].as_str().expect("the schema says so").to_owned()
    };
    lines.lines().map(name).collect()
}

/// Checks that these are among the events, in this order.
#[track_caller]
fn assert_in_order(found: &[String], expected: &[&str]) {
    let mut rest = found.iter();
    for event in expected {
        assert!(rest.any(|found| found == event), "{event} is not in its place in {found:?}");
    }
}

const OF_A_RESTORE: [&str; 8] = [
    "step_began",
    "archive_read",
    "table_rows",
    "migration_began",
    "migration_ended",
    "committing",
    "committed",
    "step_ended",
];

#[test]
fn every_event_is_as_the_schema_says() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("events");
    let restore =
        backup.restore_into(&target).args(["--progress", "json", "--progress-file", "events.jsonl"]);
    let outcome = restore.file("events.jsonl", "{\"of\": \"an earlier run\"}\n").run().expect_status(0);
    let shown = events(&outcome.stderr);
    assert_in_order(&shown, &OF_A_RESTORE);
    let file = fs::read_to_string(outcome.directory.path().join("events.jsonl")).unwrap();
    let (earlier, file) = file.split_once('\n').unwrap();
    assert_eq!(earlier, "{\"of\": \"an earlier run\"}");
    assert_eq!(events(file), shown);
}

#[test]
fn events_go_to_the_file_whatever_is_shown() {
    let backup = Backup::of_oldest_release();
    for form in ["--quiet", "--no-progress"] {
        let target = backup.target("quiet_events");
        let outcome =
            backup.restore_into(&target).args([form, "--progress-file", "e"]).run().expect_status(0);
        assert!(!outcome.stderr.contains("loading rows"), "{outcome}");
        assert_in_order(
            &events(&fs::read_to_string(outcome.directory.path().join("e")).unwrap()),
            &OF_A_RESTORE,
        );
    }
}

/// `2026-11-30T23:05:12.123456Z ` begins every line.
#[track_caller]
fn without_times(log: &str) -> Vec<&str> {
    let line = |line| {
        let (time, rest) = str::split_once(line, ' ').unwrap_or((line, ""));
        let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000000Z", "{line}");
        rest
    };
    log.lines().map(line).collect()
}

#[test]
fn the_log_has_steps_warnings_and_results() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("log");
    let log = |outcome: &crate::support::Outcome| {
        fs::read_to_string(outcome.directory.path().join("run.log")).unwrap()
    };
    let outcome =
        backup.restore_into(&target).args(["--quiet", "--log-file", "run.log"]).run().expect_status(0);
    let text = log(&outcome);
    let lines = without_times(&text);
    let has = |end: &str| lines.iter().any(|line| line.ends_with(end));
    assert!(has("] loading rows") && has("] swapping the databases"), "{text}");
    // What is printed is in the log, too.
    for line in outcome.stdout.lines() {
        assert!(lines.contains(&line.trim_end()), "{line}\n{text}");
    }
    assert!(!text.contains(&target.server.password), "{text}");

    let refused = backup.restore(Pgmig::new().target(&TargetFile::of(&target)));
    let outcome = refused.args(["--yes", "--log-file", "run.log"]).run().expect_status(3);
    let text = log(&outcome);
    let lines = without_times(&text);
    assert!(lines.iter().any(|line| line.starts_with("error: ")), "{text}");
}

#[test]
fn events_of_the_library_are_logged_to_the_file() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("debug_log");
    let restore = backup.restore_into(&target).args(["--log-level", "debug", "--log-file", "run.log"]);
    let outcome = restore.run().expect_status(0);
    assert!(!outcome.stderr.contains("DEBUG"), "{outcome}");
    let text = fs::read_to_string(outcome.directory.path().join("run.log")).unwrap();
    assert!(without_times(&text).iter().any(|line| line.starts_with("DEBUG pgmig")), "{text}");
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_before_anything() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("no_file");
    let before = target.dump(&[]);
    for option in ["--progress-file", "--log-file"] {
        let outcome = backup.restore_into(&target).args([option, "missing/file"]).run().expect_status(2);
        outcome.assert_stderr_has(&format!("cannot write the file of {option}, missing/file"));
        assert_eq!(target.dump(&[]), before);
    }
    // A full disk is no reason to stop.
    let outcome = backup.restore_into(&target).args(["--progress-file", "/dev/full"]).run().expect_status(0);
    assert_eq!(
        outcome.stderr.matches("warning: cannot write the file of --progress-file").count(),
        1,
        "{outcome}"
    );
    let outcome = backup.restore_into(&target).args(["--log-file", "/dev/full"]).run().expect_status(0);
    outcome.assert_stderr_has("loading rows");
}

/// A line of progress has the time of day, and how long the run lasts.
#[test]
fn lines_have_the_time_of_day() {
    let source = Database::create("lines_source");
    source.psql("CREATE TABLE t AS SELECT 1 AS x");
    let archive = tempfile::NamedTempFile::new().unwrap();
    source.dump_through_pipe(&[], archive.path());
    let target = Database::create("lines");
    let restore = Pgmig::new().target(&TargetFile::of(&target)).source(archive.path()).arg("--keep-ids");
    let outcome = restore.run().expect_status(0);
    let line = outcome.stderr.lines().find(|line| line.ends_with("loading rows")).unwrap();
    let shape: String = line.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert!(shape.starts_with("00:00:00Z ["), "{line}");
    assert!(shape.ends_with("0.0 s] loading rows"), "{line}");
}
