//! Every step, and moments by chance.

use super::{Case, Store, contents, left_staging, noted, nothing_left, report, staging};
use crate::support::migrations::MigrationCopy;
use crate::support::session::wait_until;
use crate::support::untouched::Before;
use crate::support::{Pgmig, Server};
use pgmig_core::progress::Step;
use std::time::{Duration, Instant};

/// The steps at which a staging database is left, and those from which on it has a record.
const STEPS: [(Step, bool); 13] = [
    (Step::CreateStaging, false),
    (Step::PreData, true),
    (Step::Data, true),
    (Step::LargeObjects, true),
    (Step::PostData, true),
    (Step::Privileges, true),
    (Step::Verify, true),
    (Step::Upgrade, true),
    (Step::Analyze, true),
    (Step::CarryOver, true),
    (Step::Swap, true),
    // Of these, the swap is committed.
    (Step::Swapped, false),
    (Step::DropPrevious, false),
];

#[test]
fn killed_at_each_step() {
    for (step, is_resumed) in STEPS {
        let store = Store::new(&format!("killed_{}", step.name().replace('-', "_")));
        store.pgmig().failpoint(&format!("{step}:kill")).run().expect_killed();
        let outcome = store.pgmig().args(["--resume", "--output", "json"]).run().expect_status(0);
        store.is_restored();
        let document = report(&outcome);
        assert_eq!(!document["resumed"].is_null(), is_resumed, "{step}\n{outcome}");
        let is_built = matches!(step, Step::Analyze | Step::CarryOver | Step::Swap);
        if is_resumed {
            assert_eq!(document["resumed"]["is_built"], is_built, "{step}\n{outcome}");
            outcome.assert_stderr_has("going on with an interrupted restore");
        }
    }
}

#[test]
fn stopped_at_each_step_and_kept() {
    for (step, is_resumed) in STEPS.into_iter().filter(|(step, _)| *step < Step::Swapped) {
        let store = Store::new(&format!("stopped_{}", step.name().replace('-', "_")));
        let before = Before::of(&store.target);
        let outcome = store.pgmig().arg("--keep-staging").failpoint(step.name()).run().expect_status(1);
        before.is_unchanged();
        if step == Step::CreateStaging {
            // It has no marker yet.
            assert!(!outcome.stderr.contains("--resume"), "{outcome}");
            continue;
        }
        outcome.assert_stderr_has("was kept: to go on with it, run the same restore again with --resume");
        outcome.assert_stderr_has("; the target is untouched");
        let outcome = store.pgmig().arg("--resume").run().expect_status(0);
        assert_eq!(outcome.stderr.contains("going on with"), is_resumed, "{step}\n{outcome}");
        store.is_restored();
    }
}

/// Each run dies at a later step than the one before.
#[test]
fn killed_again_and_again() {
    let store = Store::new("again");
    let undisturbed = store.undisturbed();
    let steps = STEPS.into_iter().filter(|(step, is_resumed)| *is_resumed && *step < Step::CarryOver);
    // Another connection may have loaded the large objects when the run that loads rows dies.
    for (step, _) in steps.filter(|(step, _)| *step != Step::LargeObjects) {
        store.pgmig().arg("--resume").failpoint(&format!("{step}:kill")).run().expect_killed();
    }
    let outcome = store.pgmig().args(["--resume", "--output", "json"]).run().expect_status(0);
    store.is_restored();
    assert_eq!(contents(&store.target), undisturbed);
    assert_eq!(report(&outcome)["resumed"]["is_built"], true);
}

/// 20 moments by chance in four tests, some of them of a run that goes on itself, by several connections and by one.
#[test]
fn killed_by_chance_1() {
    killed_by_chance(0x5eed_1e55);
}

#[test]
fn killed_by_chance_2() {
    killed_by_chance(0x0dd5_0dd5);
}

#[test]
fn killed_by_chance_3() {
    killed_by_chance(0xcafe_0005);
}

#[test]
fn killed_by_chance_4() {
    killed_by_chance(0x7e57_ab1e);
}

#[track_caller]
fn killed_by_chance(seed: u64) {
    let store = Store::new("chance");
    let undisturbed = store.undisturbed();
    let begun = Instant::now();
    store.pgmig().run().expect_status(0);
    let whole = begun.elapsed();
    let mut chance = Chance(seed);
    let mut killed = 0;
    while killed < 5 {
        let jobs = ["1", "2", "4"][chance.below(3)];
        let running = store.pgmig().args(["--resume", "--jobs", jobs]).spawn();
        std::thread::sleep(whole.mul_f64(chance.below(1000) as f64 / 1000.0));
        running.signal("KILL");
        killed += usize::from(running.wait().status.code().is_none());
        if chance.below(3) == 0 {
            gone_on_with(&store, jobs);
            store.is_restored();
            assert_eq!(contents(&store.target), undisturbed, "after {killed} kills");
        }
    }
    gone_on_with(&store, "2");
    store.is_restored();
    assert_eq!(contents(&store.target), undisturbed);
}

#[track_caller]
fn gone_on_with(store: &Store, jobs: &str) {
    store.pgmig().args(["--resume", "--jobs", jobs]).run().expect_status(0);
}

/// Kills a run in the middle of migration 9, which has these statements after its own.
#[track_caller]
fn killed_in_migration_9(purpose: &str, sql: &str) -> (Store, MigrationCopy) {
    let store = Store::new(purpose);
    let copy = MigrationCopy::new().append("0009_", sql);
    let running = store.pgmig().arg("--migrations").arg(copy.path()).spawn();
    let sleeps = format!(
        "SELECT 1 FROM pg_stat_activity WHERE starts_with(datname, '{}') AND query LIKE '%pg_sleep(3)%' AND state = 'active'",
        store.target.name
    );
    wait_until(|| !store.target.server.psql("postgres", &sleeps).is_empty());
    running.signal("KILL");
    running.wait().expect_killed();
    (store, copy)
}

#[test]
fn killed_within_a_migration_without_transaction() {
    let (store, copy) = killed_in_migration_9("concurrently", "\nSELECT pg_sleep(3);\n");
    let outcome = store
        .pgmig()
        .arg("--migrations")
        .arg(copy.path())
        .args(["--resume", "--output", "json"])
        .run()
        .expect_status(0);
    assert_eq!(report(&outcome)["resumed"]["migrations"], 6, "{outcome}");
    store.is_restored();
}

#[test]
fn killed_within_a_migration_that_cannot_be_a_transaction() {
    let (store, copy) = killed_in_migration_9("vacuums", "\nVACUUM workspace;\nSELECT pg_sleep(3);\n");
    let outcome = store.pgmig().arg("--migrations").arg(copy.path()).arg("--resume").run().expect_status(3);
    outcome.assert_stderr_has("which is not a transaction");
    store.pgmig().arg("--migrations").arg(copy.path()).run().expect_status(0);
    store.is_restored();
}

/// Numbers that are the same in each run (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// Tables whose rows, indexes and views take their time.
const SLOW: &str = "
    CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
    CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT n, 'x' FROM generate_series(1, 500) n;
    CREATE TABLE u (id int REFERENCES t); INSERT INTO u SELECT n FROM generate_series(1, 500) n;
    CREATE INDEX t_slow ON t (slow(id)); CREATE INDEX t_note ON t (note);
    CREATE MATERIALIZED VIEW v AS SELECT slow(id) FROM t;
    CREATE OR REPLACE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql
        AS 'BEGIN PERFORM pg_sleep(0.005); RETURN $1; END'";

/// Ends a run while this is being done in its staging database, and goes on.
#[track_caller]
fn ended_while(query: &str, how: impl Fn(&Case, crate::support::pgmig::Running)) {
    let case = Case::of(SLOW);
    let running = case.pgmig().args(["--keep-staging", "--jobs", "2"]).spawn();
    let sql = format!(
        "SELECT 1 FROM pg_stat_activity WHERE starts_with(datname, '{}') AND state = 'active' AND query ~ '{query}' LIMIT 1",
        case.target.name
    );
    wait_until(|| !case.target.server.psql("postgres", &sql).is_empty());
    how(&case, running);
    // Sessions of the run that was killed can go on for a moment.
    let entries = noted(&left_staging(&case.target));
    let outcome = case.pgmig().args(["--resume", "--jobs", "1", "--output", "json"]).run().expect_status(0);
    let document = report(&outcome);
    assert!(document["resumed"]["entries"].as_u64() >= entries.trim().parse().ok(), "{entries}{outcome}");
    case.is_restored();
}

fn killed(_: &Case, running: crate::support::pgmig::Running) {
    running.signal("KILL");
    running.wait().expect_killed();
}

/// Without a terminal and at one, nothing is asked.
fn signalled(signal: &str, running: crate::support::pgmig::Running) {
    running.signal(signal);
    let outcome = running.wait().expect_status(130);
    outcome.assert_stderr_has("interrupted; the target is untouched");
    outcome.assert_stderr_has("run the same restore again with --resume");
}

#[test]
fn while_an_index_is_built() {
    ended_while("^CREATE INDEX t_slow", killed);
    ended_while("^CREATE INDEX t_slow", |_, running| signalled("INT", running));
}

#[test]
fn while_a_view_is_filled() {
    ended_while("^REFRESH", killed);
    ended_while("^REFRESH", |_, running| signalled("TERM", running));
}

#[test]
fn when_the_server_process_ends() {
    ended_while("^CREATE INDEX t_slow", |case, running| {
        let sql =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE starts_with(datname, '%')";
        case.target.server.psql("postgres", &sql.replace('%', &case.target.name));
        running.wait().expect_status(1).assert_stderr_has("with --resume");
    });
}

/// The sessions of the run that was killed go on in the server for a while. They must not commit into the work of the next run.
#[test]
fn sessions_of_the_dead_run_are_ended_first() {
    let case = Case::of(SLOW);
    let running = case.pgmig().args(["--jobs", "2"]).spawn();
    let active = format!(
        "SELECT pid FROM pg_stat_activity WHERE starts_with(datname, '{}') AND query ~ '^CREATE INDEX t_slow'",
        case.target.name
    );
    wait_until(|| !case.target.server.psql("postgres", &active).is_empty());
    let process = case.target.server.psql("postgres", &active);
    running.signal("KILL");
    running.wait().expect_killed();
    case.pgmig().arg("--resume").run().expect_status(0);
    case.is_restored();
    let still = format!("SELECT pid FROM pg_stat_activity WHERE pid = {}", process.lines().next().unwrap());
    assert_eq!(case.target.server.psql("postgres", &still), "");
}

/// Sessions that stay connected to the target make the swap fail, after everything is built.
#[test]
fn only_the_swap_is_left() {
    let store = Store::new("in_use");
    let other = crate::support::session::HeldSession::running(&store.target, "stays", "SELECT 1;\n");
    let outcome = store.pgmig().args(["--keep-staging", "--swap-wait", "1"]).run().expect_status(3);
    outcome.assert_stderr_has("run the same restore again with --resume");
    let left = left_staging(&store.target);
    assert_eq!(left.psql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pgmig%'"), "");
    drop(other);
    let outcome = store.pgmig().args(["--resume", "--output", "json"]).run().expect_status(0);
    let document = report(&outcome);
    assert_eq!(document["resumed"]["is_built"], true);
    assert!(document["resumed"]["rows"].as_u64() > Some(0), "{outcome}");
    assert_eq!(document["tables"].as_array().map(Vec::len), Some(0));
    store.is_restored();
}

/// The plan says what is there, and changes nothing.
#[test]
fn a_dry_run_says_what_is_there() {
    let store = Store::new("planned");
    let plan = || store.pgmig().args(["--resume", "--dry-run", "--output", "json"]).run().expect_status(0);
    let nothing = report(&plan())["resume"].clone();
    assert_eq!(nothing, serde_json::json!({"work": null, "differences": []}));
    store.pgmig().failpoint("post-data:kill").run().expect_killed();
    let then = noted(&left_staging(&store.target));
    let planned = report(&plan())["resume"]["work"].clone();
    assert_eq!(format!("{}\n", planned["entries"]), then);
    assert!(planned["rows"].as_u64() > Some(0), "{planned}");
    let text = store.pgmig().args(["--resume", "--dry-run"]).run().expect_status(0);
    text.stdout_has("are there already");
    let other =
        store.pgmig().args(["--resume", "--dry-run", "--toast-compression", "keep"]).run().expect_status(0);
    other
        .stdout_has("refused: the interrupted restore is another one (toast compression: lz4, and now keep)");
    assert_eq!(noted(&left_staging(&store.target)), then);
    store.pgmig().arg("--resume").run().expect_status(0);
    store.is_restored();
}

/// As today, a run without `--resume` removes what is left.
#[test]
fn without_the_option_it_begins_anew() {
    let store = Store::new("anew");
    store.pgmig().failpoint("post-data:kill").run().expect_killed();
    let left = staging(&store.target);
    let outcome = store.pgmig().args(["--output", "json"]).run().expect_status(0);
    outcome.assert_stderr_has(&format!("removed database {left}"));
    assert!(report(&outcome)["resumed"].is_null());
    store.is_restored();
}

#[test]
fn with_nothing_left_it_begins_anew_and_says_so() {
    let store = Store::new("nothing");
    let outcome = store.pgmig().arg("--resume").run().expect_status(0);
    outcome.assert_stderr_has("there is no interrupted restore to go on with; this one begins anew");
    store.is_restored();
}

/// A superuser that is `username`, too: its objects are its own.
#[test]
fn as_a_superuser() {
    let store = Store::new("superuser");
    let target = store.backup.target("resumed_superuser");
    let pgmig = || store.backup.restore_into(&target);
    for step in ["pre-data", "data", "post-data", "privileges", "upgrade"] {
        pgmig().arg("--resume").failpoint(&format!("{step}:kill")).run().expect_killed();
    }
    pgmig().arg("--resume").run().expect_status(0);
    store.backup.assert_restored(&target);
    nothing_left(&target);
}

/// A role that may create databases and is no superuser, and the password of `username`: code of the backup runs as that.
#[test]
fn as_a_role_that_may_create_databases() {
    // Other tests would notice the membership of a role in theirs.
    let private = Server::start_private("");
    let case = Case::on(&private, SLOW);
    let server = &case.target.server;
    let creator = format!("creator_{}", case.target.name);
    server.psql(
        "postgres",
        &format!(
            "CREATE ROLE {creator} LOGIN CREATEDB PASSWORD 'cr3ate'; GRANT \"{}\" TO {creator}",
            super::APPLICATION
        ),
    );
    let file = crate::support::pgmig::TargetFile {
        username: super::APPLICATION.to_owned(),
        su_username: creator.clone(),
        su_password: "cr3ate".to_owned(),
        more: format!("password: {}\n", crate::support::application::PASSWORD),
        ..crate::support::pgmig::TargetFile::of(&case.target)
    };
    let pgmig = || {
        let pgmig = Pgmig::new().target(&file).source(&case.archive);
        pgmig
            .args(["--force", "--keep-ids", "--strategy", "swap", "--resume"])
            .timeout(Duration::from_secs(60))
    };
    for step in ["pre-data", "data", "post-data", "verify", "swap"] {
        pgmig().failpoint(&format!("{step}:kill")).run().expect_killed();
    }
    pgmig().run().expect_status(0);
    case.is_restored();
}
