//! Backups from beginning to end.

use crate::support::backup::{DIRECTORY, Site, names};
use crate::support::document::document;
use crate::support::store::Backup;
use crate::support::{Database, Pgmig};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether a name is `store.dump_YYYYMMDD-HHMMSS`.
fn is_name(name: &str) -> bool {
    name.strip_prefix("store.dump_").and_then(|rest| rest.split_once('-')).is_some_and(|(date, time)| {
        date.len() == 8
            && time.len() == 6
            && (date.to_owned() + time).bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[test]
fn to_a_directory() {
    let site = Site::new("to_directory");
    let outcome = site.backup().args(["-o", DIRECTORY]).run().expect_status(0);
    let names = names(&outcome);
    assert!(names.len() == 1 && is_name(&names[0]), "{names:?}");
    let file = outcome.directory.path().join(DIRECTORY).join(&names[0]);
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert!(
        outcome.stdout.contains(&names[0]) && outcome.stdout.contains("20,000 rows in 1 table"),
        "{outcome}"
    );
    site.assert_is_backup(&file);
}

#[test]
fn to_a_file() {
    let site = Site::new("to_file");
    let outcome = site.backup().args(["-o", "my.dump", "--quiet"]).run().expect_status(0);
    assert_eq!(outcome.stdout, "my.dump\n");
    site.assert_is_backup(&outcome.directory.path().join("my.dump"));
    // Nothing is overwritten.
    let again = site.backup().file("my.dump", "mine").args(["-o", "my.dump"]).run().expect_status(3);
    again.assert_stderr_has("my.dump exists already");
    assert_eq!(std::fs::read_to_string(again.directory.path().join("my.dump")).unwrap(), "mine");
}

#[test]
fn to_standard_output() {
    let site = Site::new("to_stdout");
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("a.dump");
    let yaml = directory.path().join("postgres.yaml");
    std::fs::write(&yaml, site.file.to_yaml()).unwrap();
    let output = std::process::Command::new(crate::support::pgmig::binary())
        .args(["backup", "-o", "-", "--no-progress", "--pg-dump"])
        .arg(site.database.server.bindir.join("pg_dump"))
        .arg("-t")
        .arg(&yaml)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.contains(": standard output"), "{stderr}");
    std::fs::write(&archive, output.stdout).unwrap();
    site.assert_is_backup(&archive);
    let pgmig = site.backup().args(["-o", "-", "--output", "json"]);
    pgmig.run().expect_status(2).stderr_has("standard output holds the backup");
}

#[test]
fn a_store_with_its_instances_is_restored_from_it() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("backed_up_store");
    let site = Site { file: crate::support::pgmig::TargetFile::of(&target), database: target };
    let pgmig = site.backup().args(["-o", "store.dump", "--output", "json"]);
    let outcome = pgmig.run().expect_status(0).keeps_secret(&site.database.server.password);
    let report = document(&outcome, "backup");
    let rows: u64 = site.database.psql("SELECT count(*) FROM store.tenant").trim().parse().unwrap();
    let tables = report["tables"].as_array().unwrap();
    let tenants = tables.iter().find(|table| table["table"] == "store.tenant").unwrap();
    assert_eq!(tenants["rows"], rows);
    assert_eq!(report["database"], site.database.name);
    assert!(report["store_version"]["last_release"].is_string(), "{outcome}");
    assert_eq!(report["pruned"], serde_json::Value::Null);
    let archive = outcome.directory.path().join("store.dump");
    assert_eq!(report["archive_bytes"], std::fs::metadata(&archive).unwrap().len());
    // Of release 4.8 or later, so its secret must be saved, too.
    let notices = report["notices"].to_string();
    assert!(notices.contains("INSTANCE-auth-encryption"), "{outcome}");
    let restored = Database::create_on(&site.database.server, "store_from_backup");
    let pgmig = Pgmig::new().target(&crate::support::pgmig::TargetFile::of(&restored)).source(&archive);
    pgmig.arg("--keep-ids").run().expect_status(0);
    assert_eq!(restored.psql("SELECT count(*) FROM store.tenant").trim(), rows.to_string());
}

#[test]
fn a_store_before_the_secret_is_not_reminded_of_it() {
    let backup = Backup::of_oldest_release();
    let site = Site {
        file: crate::support::pgmig::TargetFile::of(&backup.source),
        database: Database::shared(&backup.source.server, &backup.source.name),
    };
    let outcome = site.backup().args(["-o", "store.dump"]).run().expect_status(0);
    assert!(!outcome.stdout.contains("auth-encryption"), "{outcome}");
    assert!(outcome.stdout.contains("4.0.0"), "{outcome}");
    assert!(Path::new(&outcome.directory.path().join("store.dump")).exists());
}
