//! Rollbacks that fail, are killed or interrupted: both databases are as before, or both have changed places.

use crate::support::previous::{Site, oid_of};
use crate::support::session::{HeldSession, wait_until};
use std::thread::sleep;
use std::time::Duration;

#[test]
fn stopped_or_killed_at_each_step() {
    let site = Site::new("steps");
    let old = site.target.dump(&[]);
    site.keep();
    let new = site.target.dump(&[]);
    for step in ["preflight", "lock", "carry-over", "swap"] {
        let before = site.all();
        site.rollback().failpoint(step).run().expect_status(1).stderr_has(step);
        assert_eq!(before, site.all(), "{step}");
        site.rollback().failpoint(&format!("{step}:kill")).run().expect_killed();
        assert_eq!(before, site.all(), "{step}:kill");
        // The next run finds the way.
        site.rollback().run().expect_status(0);
        assert!(site.target.dump(&[]) == old, "{step}");
        site.rollback().run().expect_status(0);
        assert!(site.target.dump(&[]) == new, "{step}");
    }
    // After the commit, the rollback is complete.
    site.rollback().failpoint("swapped:kill").run().expect_killed();
    assert!(site.target.dump(&[]) == old);
    assert_eq!(site.beside().len(), 1);
    site.rollback().run().expect_status(0);
    assert!(site.target.dump(&[]) == new);
}

#[test]
fn interrupted_while_it_waits() {
    let site = Site::new("interrupted");
    site.keep();
    let before = site.all();
    for signal in ["INT", "TERM"] {
        let session = HeldSession::open(&site.target, &format!("interrupted {}", std::process::id()));
        let running = site.rollback().args(["--swap-wait", "60"]).spawn();
        wait_until(|| !waiting(&site).is_empty());
        running.signal(signal);
        running.wait().expect_status(130).stderr_has("interrupted");
        drop(session);
        assert_eq!(before, site.all(), "{signal}");
    }
    site.rollback().run().expect_status(0);
}

#[test]
fn its_server_process_is_ended() {
    let site = Site::new("terminated");
    site.keep();
    let before = site.all();
    let session = HeldSession::open(&site.target, &format!("terminated {}", std::process::id()));
    let running = site.rollback().args(["--swap-wait", "60"]).spawn();
    wait_until(|| !waiting(&site).is_empty());
    site.admin(&format!("SELECT pg_terminate_backend({})", waiting(&site)));
    running.wait().expect_status(1).stderr_has("the target is untouched");
    drop(session);
    assert_eq!(before, site.all());
    site.rollback().run().expect_status(0);
}

/// The server process that tries to rename this target.
fn waiting(site: &Site) -> String {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE query LIKE 'ALTER DATABASE%{}%RENAME%' AND state = 'active'
         AND application_name LIKE 'pgmig %'",
        site.target.name
    );
    site.admin(&sql).trim().to_owned()
}

#[test]
fn a_database_that_changes_meanwhile_is_not_renamed() {
    let site = Site::new("meanwhile");
    let previous = site.keep();
    let target_oid = oid_of(&site.target);
    let session = HeldSession::open(&site.target, &format!("meanwhile {}", std::process::id()));
    let running = site.rollback().args(["--swap-wait", "60"]).spawn();
    wait_until(|| !waiting(&site).is_empty());
    // The marker goes between two attempts of the rename.
    site.admin(&format!("COMMENT ON DATABASE \"{previous}\" IS 'mine now'"));
    sleep(Duration::from_millis(100));
    let outcome = running.wait().expect_status(3);
    outcome.stderr_has("has changed since pgmig looked at it");
    drop(session);
    assert_eq!(oid_of(&site.target), target_oid);
    site.admin(&format!("DROP DATABASE \"{previous}\""));
}
