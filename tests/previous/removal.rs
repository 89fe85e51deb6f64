//! `pgmig previous drop`: by name, or by age.

use crate::support::Pgmig;
use crate::support::database::quoted;
use crate::support::previous::{Site, oid_of};
use std::time::Duration;

/// Milliseconds since 1970, so long ago.
fn ago(time: Duration) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    (now - time).as_millis().to_string()
}

const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn only_those_that_are_old_enough() {
    let site = Site::new("old");
    let (first, second) = (site.keep(), site.keep());
    let newest = site.database(&second).dump(&[]);
    site.mark(&first, "replaced_ms", &ago(8 * DAY));
    let drop = |age: &str| {
        site.previous(["drop", "--force"]).arg(format!("--older-than={age}")).run().expect_status(0)
    };
    for age in ["9d", "2w", "193h"] {
        drop(age).stdout_has("No previous database");
    }
    assert_eq!(site.beside().len(), 2);
    let dry = site.previous(["drop", "--older-than", "7d", "--dry-run"]).run().expect_status(0);
    dry.stdout_has("Would drop 1 previous database").stdout_has(&first);
    assert_eq!(site.beside().len(), 2);
    let outcome = drop("7d").stdout_has("Dropped 1 previous database").stdout_has(&first);
    assert!(!outcome.stdout.contains(&second), "{outcome}");
    assert_eq!(site.beside(), [second.as_str()]);
    assert!(site.database(&second).dump(&[]) == newest);
    drop("0s").stdout_has(&second);
    assert_eq!(site.beside(), [""; 0]);
}

/// Markers of earlier releases do not say when.
#[test]
fn a_database_of_unknown_age_is_dropped_by_its_name_only() {
    let site = Site::new("undated");
    let (first, second) = (site.keep(), site.keep());
    for previous in [&first, &second] {
        site.admin(&format!(
            "SELECT format('COMMENT ON DATABASE %I IS %L', '{previous}', 'pgmig-marker-1 '
                 || (substr(c, 16)::jsonb - 'replaced_ms')::text)
             FROM pg_database d, shobj_description(d.oid, 'pg_database') c WHERE datname = '{previous}' \\gexec"
        ));
    }
    let outcome = site.previous(["drop", "--force", "--older-than", "0s"]).run().expect_status(0);
    outcome.stderr_has("drop them by name").stderr_has(&first).stderr_has(&second);
    assert_eq!(site.beside().len(), 2);
    site.previous(["list"]).run().expect_status(0).stdout_has("unknown");
    let outcome = site.rollback().run().expect_status(3);
    outcome
        .stderr_has("which of these previous databases is the newest")
        .stderr_has(&first)
        .stderr_has(&second);
    site.previous(["drop", "--force"]).arg(&first).run().expect_status(0);
    assert_eq!(site.beside(), [second.as_str()]);
    site.rollback().run().expect_status(0).stdout_has(&second);
}

#[test]
fn all_names_must_be_right_before_one_is_dropped() {
    let site = Site::new("several");
    let (first, second) = (site.keep(), site.keep());
    let drop = |names: &[&str]| site.previous(["drop", "--force"]).args(names.iter().copied()).run();
    drop(&[&first, "no such database"]).expect_status(3).stderr_has("does not exist").stderr_has(&second);
    drop(&[&first, &site.target.name]).expect_status(3).stderr_has("is the target itself");
    assert_eq!(site.beside().len(), 2);
    let target = oid_of(&site.target);
    drop(&[&first, &second, &first]).expect_status(0).stdout_has("Dropped 2 previous databases");
    assert_eq!(site.beside(), [""; 0]);
    assert_eq!(oid_of(&site.target), target);
}

#[test]
fn of_another_target_none_is_dropped() {
    let (site, other) = (Site::new("mine"), Site::new("theirs"));
    site.keep();
    let theirs = other.keep();
    let outcome = site.previous(["drop", "--force"]).arg(&theirs).run().expect_status(3);
    outcome.stderr_has(&format!("is a previous one of database {}", other.target.name));
    site.rollback().arg(&theirs).run().expect_status(3).stderr_has("and not of this target");
    site.previous(["drop", "--force", "--older-than", "0s"]).run().expect_status(0);
    assert_eq!(site.beside(), [""; 0]);
    assert_eq!(other.beside(), [theirs.as_str()]);
}

#[test]
fn what_is_asked_must_be_said() {
    let site = Site::new("usage");
    let previous = site.keep();
    for (args, text) in [
        (&["drop"][..], "name a previous database, or say --older-than"),
        (&["drop", "x", "--older-than", "7d"], "--older-than"),
        (&["drop", "--older-than", "7"], "a whole number and its unit"),
        (&["drop", "--older-than", "-7d"], "a whole number and its unit"),
        (&["purge"], "pgmig previous has no command purge; it has: list, rollback, drop"),
        (&["rollback", "a", "b"], "b is one argument too many"),
    ] {
        let pgmig = Pgmig::new().arg("previous").args(args.iter().copied()).target(&site.file);
        pgmig.run().expect_status(2).stderr_has(text);
    }
    Pgmig::new().args(["previous", "list"]).run().expect_status(2).stderr_has("--target");
    assert_eq!(site.beside(), [previous.as_str()]);
    let gone = quoted(&site.target.name);
    site.admin(&format!("ALTER DATABASE {gone} RENAME TO {}", quoted(&format!("{} gone", site.target.name))));
    for pgmig in [site.previous(["list"]), site.rollback(), site.previous(["drop", "--force"]).arg(&previous)]
    {
        pgmig.run().expect_status(1).stderr_has("does not exist on");
    }
    site.admin(&format!("ALTER DATABASE {} RENAME TO {gone}", quoted(&format!("{} gone", site.target.name))));
    assert_eq!(site.beside(), [previous.as_str()]);
}
