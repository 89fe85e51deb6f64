//! Rollbacks from beginning to end: the contents of both databases change places, and can be changed back.

use crate::support::Pgmig;
use crate::support::previous::{Site, kept_as, oid_of, run_printed};
use crate::support::way::Source;

#[test]
fn a_rollback_puts_the_old_data_back_and_can_be_undone_again_and_again() {
    let site = Site::new("back");
    let (old, old_oid) = (site.target.dump(&[]), oid_of(&site.target));
    let mut previous = site.keep();
    let (new, new_oid) = (site.target.dump(&[]), oid_of(&site.target));
    assert_ne!(old, new);
    for round in 0..4 {
        let outcome = site.rollback().run().expect_status(0).keeps_secret(&site.target.server.password);
        outcome.stdout_has(&format!("Put back {previous} as {:?}", site.target.name));
        let (is, was) = if round % 2 == 0 {
            ((&old, &old_oid), (&new, &new_oid))
        } else {
            ((&new, &new_oid), (&old, &old_oid))
        };
        assert!(site.target.dump(&[]) == *is.0, "round {round}: the contents");
        assert_eq!(oid_of(&site.target), *is.1, "round {round}: the database");
        let beside = site.beside();
        assert_eq!(beside.len(), 1, "round {round}: {beside:?}");
        assert_ne!(beside[0], previous);
        previous.clone_from(&beside[0]);
        let kept = site.database(&previous);
        assert!(kept.dump(&[]) == *was.0, "round {round}: the contents of the previous database");
        assert_eq!(oid_of(&kept), *was.1);
    }
}

#[test]
fn the_report_prints_the_command_and_it_works() {
    let site = Site::new("printed");
    let old = site.target.dump(&[]);
    let restored = site.restore().arg("--keep-previous").run().expect_status(0);
    let new = site.target.dump(&[]);
    assert!(
        restored.stdout.contains(&format!(
            "To go back: pgmig previous rollback {} -t postgres.yaml\n",
            kept_as(&restored)
        ))
    );
    let back = run_printed(&restored, "--force");
    assert!(back.status.success(), "{back:?}");
    assert!(site.target.dump(&[]) == old);
    let outcome = site.rollback().run().expect_status(0);
    assert!(site.target.dump(&[]) == new);
    let back = run_printed(&outcome, "--force");
    assert!(back.status.success(), "{back:?}");
    assert!(site.target.dump(&[]) == old);
}

#[test]
fn a_list_shows_the_newest_first() {
    let site = Site::new("listed");
    site.previous(["list"]).run().expect_status(0).stdout_has("has no previous database");
    site.rollback()
        .run()
        .expect_status(3)
        .stderr_has("has no previous database")
        .stderr_has("--keep-previous");
    let (first, second) = (site.keep(), site.keep());
    let outcome = site.previous(["list"]).run().expect_status(0);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{outcome}");
    let year = site.admin("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')");
    for (line, name) in [(lines[1], &second), (lines[2], &first)] {
        assert!(line.trim_start().starts_with(name.as_str()), "{outcome}");
        assert!(line.contains(year.trim()) && line.contains(" MiB "), "{outcome}");
        assert!(line.ends_with(&format!("pgmig previous rollback {name} -t postgres.yaml")), "{outcome}");
    }
    assert_eq!(site.previous(["list", "--quiet"]).run().expect_status(0).stderr, "");
}

#[test]
fn one_of_two_can_be_chosen_by_its_name() {
    let site = Site::new("two");
    let old = site.target.dump(&[]);
    let first = site.keep();
    site.target.psql("INSERT INTO fresh.rows VALUES (1000, 'between')");
    let between = site.target.dump(&[]);
    let second = site.keep();
    let newest = site.target.dump(&[]);
    site.rollback().arg(&first).run().expect_status(0);
    assert!(site.target.dump(&[]) == old);
    assert!(site.database(&second).dump(&[]) == between, "the other one has changed");
    assert_eq!(site.beside().len(), 2);
    // The newest is now the database that this rollback replaced.
    site.rollback().run().expect_status(0);
    assert!(site.target.dump(&[]) == newest);
    site.rollback().arg(&second).run().expect_status(0);
    assert!(site.target.dump(&[]) == between);
}

#[test]
fn after_a_restore_into_the_target_s_own_schema() {
    let site = Site::new("own_schema");
    let source = Source::of("CREATE TABLE old (note text); INSERT INTO old VALUES ('from the backup')");
    let archive = source.dump("own.dump", &["-Fc"]);
    let old = site.target.dump(&[]);
    let restore = Pgmig::new().target(&site.file).source(&archive).args(["--force", "--keep-ids"]);
    let outcome = restore.args(["--schema", "target", "--keep-previous"]).run().expect_status(0);
    let previous = kept_as(&outcome);
    let new = site.target.dump(&[]);
    assert!(old != new && new.contains("from the backup"));
    site.rollback().run().expect_status(0).stdout_has(&previous);
    assert!(site.target.dump(&[]) == old);
    site.rollback().run().expect_status(0);
    assert!(site.target.dump(&[]) == new);
}

#[test]
fn after_a_restore_in_place() {
    let site = Site::new("in_place");
    let old = site.target.dump(&[]);
    let previous = site.keep();
    let in_place = Pgmig::new().target(&site.file).args(["--force", "--keep-ids", "--schema", "archive"]);
    in_place.source(site.archive()).args(["--strategy", "in-place"]).run().expect_status(0);
    let new = site.target.dump(&[]);
    assert_eq!(site.beside(), [previous.as_str()], "a restore in place does not touch it");
    site.rollback().run().expect_status(0);
    assert!(site.target.dump(&[]) == old);
    site.rollback().run().expect_status(0);
    assert!(site.target.dump(&[]) == new);
}

/// A run that dies right after the swap leaves the previous database, which it would have dropped.
#[test]
fn to_a_database_that_a_killed_run_has_not_dropped() {
    let site = Site::new("swapped");
    let old = site.target.dump(&[]);
    site.restore().failpoint("swapped:kill").run().expect_killed();
    let new = site.target.dump(&[]);
    let outcome = site.previous(["list"]).run().expect_status(0);
    outcome.stdout_has("was not kept").stdout_has("the next restore drops it");
    site.rollback().run().expect_status(0);
    assert!(site.target.dump(&[]) == old);
    // The next restore drops neither.
    site.restore().arg("--keep-previous").run().expect_status(0);
    assert_eq!(site.beside().len(), 2);
    assert!(site.beside().iter().any(|name| site.database(name).dump(&[]) == new));
}

#[test]
fn a_restore_after_a_rollback_keeps_what_was_kept() {
    let site = Site::new("after");
    site.keep();
    site.rollback().run().expect_status(0);
    let kept = site.beside();
    let dump = site.database(&kept[0]).dump(&[]);
    site.restore().run().expect_status(0);
    assert_eq!(site.beside(), kept);
    assert!(site.database(&kept[0]).dump(&[]) == dump);
}

#[test]
fn a_dry_run_changes_nothing() {
    let site = Site::new("dry");
    let previous = site.keep();
    let before = site.all();
    let outcome = site.previous(["rollback", "--dry-run"]).run().expect_status(0);
    outcome.stdout_has(&previous).stdout_has("nothing was changed");
    site.previous(["drop", "--dry-run"]).arg(&previous).run().expect_status(0).stdout_has(&previous);
    assert_eq!(before, site.all());
}

#[test]
fn the_operator_is_asked() {
    let site = Site::new("asked");
    let previous = site.keep();
    let before = site.all();
    for args in [&["rollback"][..], &["drop", &previous]] {
        let pgmig = Pgmig::new().arg("previous").args(args.iter().copied()).target(&site.file);
        pgmig.run().expect_status(3).stderr_has("no terminal to ask at").stderr_has("--force");
        let pgmig = Pgmig::new().arg("previous").args(args.iter().copied()).target(&site.file);
        let mut terminal = pgmig.at_terminal();
        terminal.sees(&previous).sees("anything else to stop: ").types("yes");
        let ended = terminal.ends();
        assert_eq!(ended.status, 3, "{}", ended.shown);
    }
    assert_eq!(before, site.all());
    let mut terminal = site.previous(["rollback"]).at_terminal();
    terminal.sees("kept as a previous database").sees("anything else to stop: ").types(&site.target.name);
    assert_eq!(terminal.ends().status, 0);
    let dropped = site.beside()[0].clone();
    let mut terminal = site.previous(["drop"]).arg(&dropped).at_terminal();
    terminal.sees("with all their data").sees("anything else to stop: ").types(&site.target.name);
    assert_eq!(terminal.ends().status, 0);
    assert_eq!(site.beside(), [""; 0]);
}
