//! Sessions on the target or on the previous database, while it is put back or dropped; other runs of the same target.

use crate::support::previous::Site;
use crate::support::session::{HeldSession, wait_until};
use std::thread::sleep;
use std::time::Duration;

#[test]
fn on_either_database_they_stop_a_rollback() {
    let site = Site::new("busy");
    let previous = site.keep();
    let before = site.all();
    for (name, what) in [(site.target.name.clone(), "target"), (previous.clone(), "previous")] {
        let application = format!("busy {what} {}", std::process::id());
        let session = HeldSession::open(&site.database(&name), &application);
        let outcome = site.rollback().args(["--swap-wait", "1"]).run().expect_status(3);
        let outcome = outcome.stderr_has(&application).stderr_has(&name).stderr_has("is in use");
        outcome.stderr_has("--terminate-sessions").stderr_has("--swap-wait");
        drop(session);
    }
    assert_eq!(before, site.all());
}

#[test]
fn on_both_databases_they_can_be_ended() {
    let site = Site::new("ended");
    let old = site.target.dump(&[]);
    let previous = site.keep();
    let id = std::process::id();
    let _target = HeldSession::open(&site.target, &format!("ended target {id}"));
    let _previous = HeldSession::open(&site.database(&previous), &format!("ended previous {id}"));
    let outcome = site.rollback().args(["--terminate-sessions", "--swap-wait", "20"]).run();
    outcome.expect_status(0).stderr_has("are ended");
    assert!(site.target.dump(&[]) == old);
}

#[test]
fn a_rollback_waits_for_a_session_that_leaves() {
    let site = Site::new("leaves");
    let old = site.target.dump(&[]);
    site.keep();
    let session = HeldSession::open(&site.target, &format!("leaves {}", std::process::id()));
    let running = site.rollback().args(["--swap-wait", "60"]).spawn();
    sleep(Duration::from_secs(2));
    assert!(site.target.dump(&[]) != old, "it is still waiting");
    drop(session);
    running.wait().expect_status(0).stderr_has("must end within 60 s");
    assert!(site.target.dump(&[]) == old);
}

#[test]
fn a_database_with_sessions_is_dropped_only_if_asked_for() {
    let site = Site::new("used");
    let (first, second) = (site.keep(), site.keep());
    let before = site.all();
    let application = format!("used {}", std::process::id());
    let _session = HeldSession::open(&site.database(&second), &application);
    let drop = || site.previous(["drop", "--force"]).args([&first, &second]);
    let outcome = drop().run().expect_status(3);
    outcome.stderr_has(&application).stderr_has(&second).stderr_has("or use --terminate-sessions");
    assert_eq!(before, site.all(), "the other one is not dropped, either");
    site.previous(["drop", "--force", "--older-than", "0s"]).run().expect_status(3).stderr_has(&application);
    drop().arg("--terminate-sessions").run().expect_status(0);
    assert_eq!(site.beside(), [""; 0]);
}

/// The lock's holder is a restore that waits for a session to end.
#[test]
fn a_run_at_the_same_time() {
    let site = Site::new("locked");
    let previous = site.keep();
    let before = site.all();
    let session = HeldSession::open(&site.target, &format!("locked {}", std::process::id()));
    let restore = site.restore().args(["--swap-wait", "60"]).spawn();
    let renames = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgmig %' AND state = 'active'
         AND query LIKE 'ALTER DATABASE%{}%RENAME%'",
        site.target.name
    );
    wait_until(|| site.admin(&renames).trim() == "1");
    for pgmig in [site.rollback(), site.previous(["drop", "--force"]).arg(&previous)] {
        pgmig.run().expect_status(3).stderr_has("another restore of database").stderr_has("is running");
    }
    restore.signal("KILL");
    restore.wait().expect_killed();
    drop(session);
    let now = site.all();
    assert!(before.iter().all(|database| now.contains(database)), "nothing of it has changed");
    // The staging database of the killed run does not matter.
    site.rollback().run().expect_status(0);
    site.previous(["drop", "--force", "--older-than", "0s"]).run().expect_status(0);
    assert!(site.beside().iter().all(|name| name.ends_with("_staging")));
}
