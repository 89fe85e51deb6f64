//! The removal of old backups: what is removed, and above all what is not.

use crate::support::backup::{DIRECTORY, Site, names_in};
use crate::support::document::document;
use crate::support::{Outcome, Pgmig};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A directory with backups of one database, each day of November 2026 at 23:00 UTC. The 1st is a Sunday.
struct Month {
    directory: tempfile::TempDir,
    archive: PathBuf,
}

fn name(day: u32) -> String {
    format!("store.dump_202611{day:02}-230000")
}

impl Month {
    fn new(purpose: &str, days: impl IntoIterator<Item = u32>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let site = Site::new(purpose);
        let outcome = site.backup().args(["-o", "a.dump"]).run().expect_status(0);
        let archive = directory.path().join("a.dump");
        fs::copy(outcome.directory.path().join("a.dump"), &archive).unwrap();
        let month = Self { directory, archive };
        days.into_iter().for_each(|day| month.put(day));
        month
    }

    fn put(&self, day: u32) {
        fs::copy(&self.archive, self.path(&name(day))).unwrap();
    }

    /// A backup that was cut off.
    fn put_damaged(&self, day: u32) {
        let mut bytes = fs::read(&self.archive).unwrap();
        bytes.truncate(bytes.len() * 3 / 4);
        fs::write(self.path(&name(day)), bytes).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn prune(&self, args: &[&str]) -> Outcome {
        let pgmig = Pgmig::new().args(["backup", "prune", "-o"]).arg(self.directory.path());
        pgmig.args(args.iter().copied()).run().expect_status(0)
    }

    /// The days of which there are backups.
    fn days(&self) -> Vec<u32> {
        let names = names_in(self.directory.path());
        let days =
            names.iter().filter_map(|name| name.strip_prefix("store.dump_202611")?.strip_suffix("-230000"));
        days.map(|day| day.parse().unwrap()).collect()
    }
}

#[test]
fn the_rule_of_the_cron_job() {
    let month = Month::new("prune_rule", 1..=30);
    let outcome = month.prune(&["--dry-run", "--output", "json"]);
    let report = document(&outcome, "backup_prune");
    assert_eq!(month.days().len(), 30, "a dry run removes nothing");
    assert_eq!(
        (report["kept"].as_array().unwrap().len(), report["removed"].as_array().unwrap().len()),
        (10, 20)
    );
    month.prune(&[]);
    assert_eq!(month.days(), [8, 15, 22, 24, 25, 26, 27, 28, 29, 30]);
    month.prune(&["--keep-daily", "1", "--keep-weekly", "1", "--weekly-day", "3"]);
    assert_eq!(month.days(), [25, 30]);
}

#[test]
fn other_files_are_left_alone() {
    let month = Month::new("prune_others", 1..=3);
    let others = [
        "notes.txt",
        "store.dump",
        "store.dump_20261101",
        "store.dump_20261101-230000.gz",
        "x_20261101-230000",
    ];
    for other in others {
        fs::copy(&month.archive, month.path(other)).unwrap();
    }
    // Names of backups, and something else in them.
    fs::write(month.path("store.dump_20201101-000001"), "PGDM").unwrap();
    fs::write(month.path("store.dump_20201101-000002"), "").unwrap();
    fs::write(month.path("store.dump_20201101-000003"), "CREATE TABLE x ();").unwrap();
    fs::create_dir(month.path("store.dump_20201101-000004")).unwrap();
    symlink(&month.archive, month.path("store.dump_20201101-000005")).unwrap();
    let before = names_in(month.directory.path()).len();
    let outcome = month.prune(&["--keep-daily", "0", "--keep-weekly", "0"]);
    // The last good one stays as well.
    assert_eq!(month.days(), [3], "{outcome}");
    assert_eq!(names_in(month.directory.path()).len(), before - 2, "{outcome}");
    assert!(outcome.stdout.contains("store.dump_20201101-000005 is left alone"), "{outcome}");
    assert!(outcome.stdout.contains("the last backup of"), "{outcome}");
}

#[test]
fn the_last_good_one_stays_however_old_it_is() {
    let month = Month::new("prune_last", [2, 3]);
    for day in 4..=12 {
        month.put_damaged(day);
    }
    let outcome = month.prune(&["--keep-daily", "3", "--keep-weekly", "0"]);
    assert_eq!(month.days(), [3, 10, 11, 12], "{outcome}");
    assert!(outcome.stdout.contains("cannot be restored"), "{outcome}");
    // Without a good one, nothing is removed.
    let month = Month::new("prune_none", []);
    (2..=6).for_each(|day| month.put_damaged(day));
    month.prune(&["--keep-daily", "1", "--keep-weekly", "0"]);
    assert_eq!(month.days(), [2, 3, 4, 5, 6]);
}

#[test]
fn databases_are_counted_by_themselves() {
    let month = Month::new("prune_one", 2..=4);
    let other = Month::new("prune_two", [5, 6]);
    for day in [5, 6] {
        fs::copy(other.path(&name(day)), month.path(&name(day))).unwrap();
    }
    month.prune(&["--keep-daily", "1", "--keep-weekly", "0"]);
    assert_eq!(month.days(), [4, 6]);
}

#[test]
fn a_backup_removes_old_ones_of_its_database_afterwards() {
    let site = Site::new("prune_after");
    let month = Month::new("prune_not_mine", [2]);
    let keep = ["--keep-daily", "1", "--keep-weekly", "1"];
    let one = site.backup().args(["-o", "a.dump"]).run().expect_status(0);
    let pgmig = site.backup().args(["-o", DIRECTORY, "--output", "json"]).args(keep);
    let directory = pgmig.directory().join(DIRECTORY);
    for day in 1..=5 {
        fs::copy(
            one.directory.path().join("a.dump"),
            directory.join(format!("store.dump_202501{day:02}-230000")),
        )
        .unwrap();
    }
    fs::copy(month.path(&name(2)), directory.join("store.dump_20250106-230000")).unwrap();
    let outcome = pgmig.run().expect_status(0);
    let report = document(&outcome, "backup");
    let file = Path::new(report["file"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
    let left = names_in(&directory);
    // 5 January 2025 is a Sunday; so may be today.
    assert!(left.contains(&file) && left.contains(&"store.dump_20250106-230000".to_owned()), "{left:?}");
    assert_eq!(left.len(), 3, "{left:?}");
    assert_eq!(report["pruned"]["removed"].as_array().unwrap().len(), 4);
}

/// Neither the rule nor a clock that was wrong removes the backup that was just taken.
#[test]
fn the_new_backup_stays() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::new("prune_new");
    let outcome = site.backup().args(["-o", "a.dump"]).run().expect_status(0);
    for day in 1..=12 {
        let path = directory.path().join(format!("store.dump_209901{day:02}-230000"));
        fs::copy(outcome.directory.path().join("a.dump"), path).unwrap();
    }
    let before = names_in(directory.path());
    let pgmig =
        site.backup().arg("-o").arg(directory.path()).args(["--keep-daily", "1", "--keep-weekly", "1"]);
    pgmig.run().expect_status(0);
    let new: Vec<String> =
        names_in(directory.path()).into_iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(new.len(), 1, "{new:?}");
}
