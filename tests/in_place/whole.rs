//! Restores in place, in one transaction on one connection, by a role that owns its database and has no other right.

use crate::in_place::readers::has_locked;
use crate::support::application::{self, APPLICATION, PASSWORD};
use crate::support::database::quoted;
use crate::support::document::document;
use crate::support::migrations::MigrationCopy;
use crate::support::pgmig::TargetFile;
use crate::support::proxy::{Cut, Proxy};
use crate::support::session::{HeldSession, wait_until};
use crate::support::store::{Backup, SPARE};
use crate::support::untouched::Before;
use crate::support::{Database, Outcome, Pgmig, Server};
use std::time::Duration;

#[test]
fn an_owner_restores_into_an_empty_database() {
    let backup = Backup::of_oldest_release();
    let target = application::empty_database("empty");
    let outcome = application::restore_into(&backup, &target).run().expect_status(0).keeps_secret(PASSWORD);
    outcome.stderr_has(
        "strategy in-place: a swap is not possible: su_username store app may not create databases",
    );
    backup.assert_restored(&target);
    let owners = "SELECT DISTINCT pg_get_userbyid(o) FROM (SELECT relowner FROM pg_class
        WHERE relnamespace = 'store'::regnamespace UNION ALL SELECT lomowner FROM pg_largeobject_metadata) AS x (o)";
    assert_eq!(target.psql(owners), format!("{APPLICATION}\n"));
}

#[test]
fn an_owner_replaces_its_store() {
    let backup = Backup::of_oldest_release();
    let target = application::target("replaces");
    let oid = "SELECT oid FROM pg_database WHERE datname = current_database()";
    let before = target.psql(oid);
    // From standard input, too.
    let pgmig = backup.map(Pgmig::new().target(&application::target_file(&target)).arg("--force"));
    pgmig.args(["--source", "-"]).stdin(&backup.archive).run().expect_status(0);
    backup.assert_restored(&target);
    let outcome = application::restore_into(&backup, &target).args(["--jobs", "4"]).run().expect_status(0);
    outcome.stderr_has("in place everything goes over one connection").keeps_secret(PASSWORD);
    backup.assert_restored(&target);
    let outcome =
        application::restore_into(&backup, &target).args(["--output", "json"]).run().expect_status(0);
    assert_eq!(document(&outcome, "restore")["strategy"], "in-place");
    assert_eq!(target.psql(oid), before, "it is the same database");
}

#[test]
fn a_dry_run_tells_why() {
    let backup = Backup::of_oldest_release();
    let target = application::target("dry");
    let before = Before::of(&target);
    let dry_run = |args: &[&str]| {
        let pgmig = application::restore_into(&backup, &target).arg("--dry-run").args(args.iter().copied());
        before.is_now(pgmig.run().expect_status(0))
    };
    let text = dry_run(&[]).stdout_has("in-place: the target is emptied and filled anew, in one transaction");
    text.stdout_has("a swap is not possible: su_username store app may not create databases");
    let plan = document(&dry_run(&["--output", "json", "--jobs", "4"]), "plan");
    assert_eq!((&plan["strategy"], &plan["jobs"]), (&"in-place".into(), &1.into()));
    assert!(plan["target"]["staging_database"].is_null());
    let asked_for = dry_run(&["--strategy", "in-place"]);
    asked_for.stdout_has("--strategy in-place asks for it");
}

#[test]
fn what_only_a_swap_can_do_is_refused() {
    let backup = Backup::of_oldest_release();
    let target = application::target("only");
    let before = Before::of(&target);
    for (args, status, says) in [
        (&["--strategy", "swap"][..], 3, "may not create databases"),
        (&["--keep-previous"], 3, "may not create databases"),
        (&["--keep-previous", "--strategy", "in-place"], 2, "--keep-previous"),
        (&["--schema", "target", "--strategy", "in-place"], 3, "--schema target requires --strategy swap"),
    ] {
        let outcome = application::restore_into(&backup, &target).args(args.iter().copied()).run();
        before.is_now(outcome.expect_status(status).stderr_has(says));
    }
}

#[test]
fn without_force_data_are_not_erased() {
    let backup = Backup::of_oldest_release();
    let target = application::target("kept");
    let before = Before::of(&target);
    let restore = |target: &Database| backup.restore(Pgmig::new().target(&application::target_file(target)));
    before.is_now(restore(&target).run().expect_status(3).stderr_has("--force"));
    let empty = application::empty_database("unforced");
    restore(&empty).run().expect_status(0);
    backup.assert_restored(&empty);
}

#[test]
fn strict_stops_before_the_commit() {
    let backup = Backup::of_oldest_release();
    let target = application::target("strict");
    let before = Before::of(&target);
    let unknown = "11111111-2222-4333-8444-555555555555";
    let mut pairs: Vec<_> = backup.mapping.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    pairs.push((unknown, SPARE));
    let pgmig =
        Pgmig::new().target(&application::target_file(&target)).source(&backup.archive).mapping(&pairs);
    let outcome = pgmig.args(["--force", "--strict", "--allow-unused"]).run().expect_status(4);
    before.is_now(outcome.stderr_has("stopped before the target was replaced because of 2 warnings"));
}

/// The connection breaks during the commit. pgmig finds out whether the commit succeeded.
#[track_caller]
fn cut_in_the_commit(purpose: &str, cut: Cut, status: i32) -> (Backup, Database, Before, Outcome) {
    let backup = Backup::of_oldest_release();
    let target = application::target(purpose);
    let before = Before::of(&target);
    let proxy = Proxy::start(&target.server, cut);
    let file = proxy.target(application::target_file(&target));
    let outcome = backup.restore(Pgmig::new().target(&file).arg("--force")).run().expect_status(status);
    assert!(proxy.has_cut(), "no COMMIT came by\n{outcome}");
    (backup, target, before, outcome)
}

#[test]
fn a_commit_that_the_server_never_got() {
    let (_, _target, before, outcome) = cut_in_the_commit("never", Cut::Before, 1);
    before.is_now(outcome.stderr_has("the target is untouched"));
}

#[test]
fn a_commit_whose_answer_was_lost() {
    let (backup, target, _, _) = cut_in_the_commit("lost", Cut::After, 0);
    backup.assert_restored(&target);
}

#[test]
fn a_commit_whose_outcome_cannot_be_found_out() {
    let (backup, target, _, outcome) = cut_in_the_commit("unknown", Cut::AfterAndForEver, 5);
    let query = outcome.stderr.split("this query shows it: ").nth(1).unwrap().split(" -- ").next().unwrap();
    assert!(query.contains("xact_status") || query.contains("txid_status"), "{outcome}");
    assert_eq!(target.server.psql("postgres", query), "committed\n");
    backup.assert_restored(&target);
}

/// pgmig reports that the first interruption comes too late. After a second one, it does not claim that the target is
/// untouched.
#[test]
fn an_interrupt_during_the_commit() {
    let backup = Backup::of_oldest_release();
    let target = application::target("interrupt_commit");
    let before = Before::of(&target);
    let proxy = Proxy::start(&target.server, Cut::Held);
    let file = proxy.target(application::target_file(&target));
    let running = backup.restore(Pgmig::new().target(&file).arg("--force")).spawn();
    wait_until(|| proxy.has_cut());
    running.signal("INT");
    running.signal("TERM");
    let outcome = running.wait().expect_status(5).stderr_has("too late").stderr_has("look into the target");
    assert!(!outcome.stderr.contains("untouched"), "{outcome}");
    let left = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
        target.name
    );
    wait_until(|| target.server.psql("postgres", &left) == "0\n");
    before.is_now(outcome);
}

/// A reader's view of the target: the instances, or nothing while the reader cannot get a lock at once.
fn read(target: &Database) -> Option<String> {
    let sql = "SET lock_timeout = '50ms'; SELECT string_agg(tenant_id::text, ' ' ORDER BY tenant_id),
        (SELECT count(*) FROM store.workspace), (SELECT max(version) FROM store._sqlx_migrations) FROM store.tenant";
    let output = target.try_psql(sql);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() || stderr.contains("lock timeout"), "{stderr}");
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_reader_sees_the_old_state_and_then_the_new_one() {
    let backup = Backup::of_oldest_release();
    let target = application::target("reader");
    let old = read(&target).unwrap();
    let running = application::restore_into(&backup, &target).spawn();
    wait_until(|| has_locked(&target));
    // A reader that waits for a lock sees the new state, even if it began to wait before the commit.
    let waits = |pause: u64| {
        let (server, name) = (target.server.clone(), target.name.clone());
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(pause));
            let target = Database::shared(&server, &name);
            target.psql("SELECT string_agg(tenant_id::text, ' ' ORDER BY tenant_id) FROM store.tenant")
        })
    };
    let waiting = [0, 200, 600].map(waits);
    // A reader that does not wait is answered before the restore ends, or not at all.
    let mut seen = Vec::new();
    while has_locked(&target) {
        seen.extend(read(&target));
    }
    running.wait().expect_status(0);
    let new = read(&target).unwrap();
    assert_ne!(old, new);
    assert!(seen.iter().all(|state| *state == new), "{seen:?}");
    let instances = new.split('|').next().unwrap();
    for reader in waiting {
        assert_eq!(reader.join().unwrap().trim_end(), instances);
    }
    backup.assert_restored(&target);
}

#[test]
fn a_session_that_stays_is_named() {
    let backup = Backup::of_oldest_release();
    let target = application::target("stays");
    let before = Before::of(&target);
    let application = format!("{} client", target.name);
    let session = HeldSession::open(&target, &application);
    let outcome = application::restore_into(&backup, &target).args(["--swap-wait", "1"]).run();
    let outcome = outcome.expect_status(3).stderr_has("1 session stayed connected for 1 s");
    drop(session);
    before.is_now(outcome.stderr_has(&application).stderr_has("let a superuser end those of role"));
}

#[test]
fn a_session_may_leave_in_time_or_be_ended() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("leaves");
    let restore = || backup.restore_into(&target).args(["--strategy", "in-place"]);
    let session = HeldSession::open(&target, &format!("{} client", target.name));
    let running = restore().spawn();
    let waiting = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND application_name LIKE 'pgmig %'",
        target.name
    );
    wait_until(|| target.server.psql("postgres", &waiting) == "1\n");
    drop(session);
    running.wait().expect_status(0);
    backup.assert_restored(&target);
    let sql = "BEGIN; SELECT * FROM store.tenant; SELECT pg_sleep(600);\n";
    let _session = HeldSession::running(&target, &format!("{} client", target.name), sql);
    restore().arg("--terminate-sessions").run().expect_status(0);
    backup.assert_restored(&target);
}

#[test]
fn an_interrupt_during_the_load() {
    let backup = Backup::of_oldest_release();
    let target = application::target("interrupt");
    let before = Before::of(&target);
    let archive = std::fs::read(&backup.archive).unwrap();
    let pgmig = Pgmig::new().target(&application::target_file(&target)).args(["--force", "--source", "-"]);
    let running = backup.map(pgmig).stalled_stdin(archive[..archive.len() * 9 / 10].to_vec()).spawn();
    let loading = format!(
        "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
         WHERE d.datname = '{}' AND l.mode = 'AccessExclusiveLock' AND l.granted",
        target.name
    );
    wait_until(|| target.server.psql("postgres", &loading) != "0\n");
    running.signal("TERM");
    before.is_now(running.wait().expect_status(130).stderr_has("the target is untouched"));
}

#[test]
fn a_second_run_is_refused() {
    let backup = Backup::of_oldest_release();
    let target = application::target("second");
    let session = HeldSession::open(&target, &format!("{} client", target.name));
    let name = format!("{} first", target.name);
    let first = application::restore_into(&backup, &target).env("PGAPPNAME", &name).spawn();
    let locked = format!(
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
         WHERE l.locktype = 'advisory' AND l.granted AND a.application_name LIKE '{name} %'"
    );
    wait_until(|| target.server.psql("postgres", &locked) == "1\n");
    let second = application::restore_into(&backup, &target).run().expect_status(3);
    second.stderr_has("another restore of database").stderr_has(&name);
    drop(session);
    first.wait().expect_status(0);
    backup.assert_restored(&target);
}

#[test]
fn a_target_with_a_logical_slot_keeps_it() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("slot");
    let slot = format!("in_place_{}", std::process::id());
    target.psql(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"));
    let outcome = backup.restore_into(&target).run();
    let slots = "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()";
    let kept = target.psql(slots);
    target.psql(&format!("SELECT pg_drop_replication_slot('{slot}')"));
    outcome.expect_status(0).stderr_has(&format!("a swap is not possible: logical replication slot {slot}"));
    assert_eq!(kept, format!("{slot}\n"));
    backup.assert_restored(&target);
}

#[test]
fn a_target_with_a_subscription_keeps_it() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("subscribed");
    let name = format!("in_place_{}", std::process::id());
    target.psql(&format!(
        "CREATE SUBSCRIPTION {name} CONNECTION 'host=nowhere' PUBLICATION p \
         WITH (connect = false, slot_name = NONE, enabled = false)"
    ));
    let outcome = backup.restore_into(&target).run();
    let kept = target.psql(
        "SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
        WHERE d.datname = current_database()",
    );
    target.psql(&format!("DROP SUBSCRIPTION {name}"));
    outcome.expect_status(0).stderr_has("a swap is not possible: subscription");
    assert_eq!(kept, format!("{name}\n"));
    backup.assert_restored(&target);
}

/// Transaction control in an entry. No pg_dump writes it, but a file can contain any statement.
#[test]
fn transaction_control_in_an_entry_is_refused() {
    let source = Database::create("control_source");
    source.psql("CREATE TABLE t (id int); CREATE VIEW v AS SELECT 1111111 AS one; INSERT INTO t VALUES (1)");
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("control.sql");
    let dump = source.dump(&["--format=plain"]);
    let target = application::empty_database("control");
    target.psql(&format!(
        "SET ROLE {}; CREATE TABLE kept AS SELECT 1 AS n",
        crate::support::database::quoted(APPLICATION)
    ));
    let before = Before::of(&target);
    let file = application::target_file(&target);
    for statement in [
        "COMMIT",
        "VACUUM",
        "REINDEX (VERBOSE) SCHEMA public",
        "DO $$ BEGIN COMMIT; END $$",
        "CREATE INDEX CONCURRENTLY ON t (id)",
    ] {
        let hostile =
            dump.replace("CREATE VIEW public.v AS", &format!("{statement};\nCREATE VIEW public.v AS"));
        assert_ne!(dump, hostile);
        std::fs::write(&script, &hostile).unwrap();
        for stdin in [false, true] {
            let pgmig = Pgmig::new().target(&file).args(["--force", "--keep-ids", "--schema", "archive"]);
            let pgmig =
                if stdin { pgmig.args(["--source", "-"]).stdin(&script) } else { pgmig.source(&script) };
            before.is_now(pgmig.run().expect_status(3).stderr_has("in one transaction"));
        }
    }
}

#[test]
fn migrations_that_need_a_transaction_of_their_own_are_refused_beforehand() {
    let backup = Backup::of_oldest_release();
    let target = application::target("alone");
    let before = Before::of(&target);
    let refused = |prefix: &str, sql: &str, texts: &[&str]| {
        let copy = MigrationCopy::new().append(prefix, sql);
        let pgmig = application::restore_into(&backup, &target).arg("--migrations").arg(copy.path());
        let mut outcome = pgmig.run().expect_status(3).stderr_has("cannot be run in the one transaction");
        assert!(!outcome.stderr.contains("dropping"), "found out before anything is done\n{outcome}");
        for text in texts {
            outcome = outcome.stderr_has(text);
        }
        before.is_now(outcome);
    };
    refused("0009_", "\nVACUUM tenant;\n", &["0009_", "VACUUM tenant"]);
    refused("0009_", "\nBEGIN; SELECT 1; COMMIT;\n", &["0009_", "BEGIN"]);
    refused("0009_", "\nREINDEX (VERBOSE) DATABASE x;\n", &["0009_", "REINDEX (VERBOSE) DATABASE x"]);
    refused("0009_", "\nCLUSTER;\n", &["0009_", "CLUSTER"]);
    refused("0009_", "\nDO $$ BEGIN COMMIT; END $$;\n", &["0009_", "it ends transactions"]);
    if target.server.major_version() < 17 {
        let added = "\nALTER TYPE skill_kind ADD VALUE 'brand new';\n";
        let copy = MigrationCopy::new()
            .append("0004_", added)
            .append("0005_", "\nSELECT 'brand new'::skill_kind;\n");
        let pgmig = application::restore_into(&backup, &target).arg("--migrations").arg(copy.path());
        let outcome = pgmig.run().expect_status(3).stderr_has("0004_").stderr_has("ADD VALUE 'brand new'");
        before.is_now(outcome);
    }
}

/// Effects that end with a transaction end with each migration. A deferred constraint may be violated until then.
#[test]
fn migrations_run_as_with_transactions_of_their_own() {
    let backup = Backup::of_oldest_release();
    let target = application::target("scoped");
    let copy = MigrationCopy::new()
        .append(
            "0006_",
            "\nCREATE TABLE pair (id int PRIMARY KEY, other int NOT NULL REFERENCES pair DEFERRABLE INITIALLY DEFERRED);
             CREATE TEMP TABLE moved ON COMMIT DROP AS SELECT 1 AS a; SET LOCAL search_path = pg_catalog;\n",
        )
        .append(
            "0007_",
            "\nCREATE TEMP TABLE moved ON COMMIT DROP AS SELECT 2 AS a;
             INSERT INTO pair VALUES (1, 2); INSERT INTO pair VALUES (2, 1);\n",
        );
    let pgmig = application::restore_into(&backup, &target).arg("--migrations").arg(copy.path());
    pgmig.run().expect_status(0);
    backup.assert_restored(&target);
    assert_eq!(target.psql("SELECT count(*) FROM store.pair"), "2\n");
    let checksums = "SELECT count(*) FROM store._sqlx_migrations WHERE version = 9 AND length(checksum) = 48";
    assert_eq!(target.psql(checksums), "1\n");
    let concurrent = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    assert_eq!(target.psql(concurrent), "0\n");
}

/// Inside a transaction, the server refuses REINDEX of a partitioned table, but not of its partitions.
#[test]
fn a_migration_reindexes_a_partitioned_table() {
    let backup = Backup::of_oldest_release();
    let target = application::target("reindexed");
    let copy = MigrationCopy::new().append(
        "0009_",
        "\nCREATE TABLE part_of (id int PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE first_part PARTITION OF part_of FOR VALUES FROM (0) TO (10);
         CREATE TABLE second_part PARTITION OF part_of FOR VALUES FROM (10) TO (20);
         INSERT INTO part_of SELECT generate_series(0, 19);
         REINDEX (VERBOSE) TABLE CONCURRENTLY part_of; REINDEX INDEX part_of_pkey; REINDEX TABLE tenant;\n",
    );
    let pgmig = application::restore_into(&backup, &target).arg("--migrations").arg(copy.path());
    pgmig.run().expect_status(0);
    backup.assert_restored(&target);
    assert_eq!(target.psql("SELECT count(*) FROM store.part_of"), "20\n");
}

/// A NOINHERIT role gets rights only by SET ROLE. Here one is a superuser, and another is only a member of the owner.
#[test]
fn roles_that_inherit_nothing_restore_in_place() {
    let backup = Backup::of_oldest_release();
    // This test needs a role of its own: a restore of another test would notice a new member of the shared role.
    const OWNER: &str = "owner with members";
    let server = &Server::of_this_run();
    crate::support::role::create_role(server, OWNER);
    let target =
        Database::create_with(server, "noinherit", &format!("OWNER {} TEMPLATE template0", quoted(OWNER)));
    for (role, attributes) in [("noinherit superuser", "SUPERUSER"), ("noinherit member", "NOSUPERUSER")] {
        crate::support::role::create_role(server, role);
        let (name, owner) = (quoted(role), quoted(OWNER));
        server.psql(
            "postgres",
            &format!("ALTER ROLE {name} LOGIN NOINHERIT {attributes} PASSWORD '{PASSWORD}'; GRANT {owner} TO {name}"),
        );
        let file = TargetFile {
            username: OWNER.to_owned(),
            su_username: role.to_owned(),
            su_password: PASSWORD.to_owned(),
            ..TargetFile::of(&target)
        };
        let pgmig = backup.restore(Pgmig::new().target(&file).args(["--force", "--strategy", "in-place"]));
        pgmig.run().expect_status(0);
        backup.assert_restored(&target);
    }
}

/// A store of unknown history replaces a store with the same schema, and no other.
#[test]
fn an_unknown_history_is_compared_with_what_was_there() {
    let source = Database::create("unknown_source");
    source.psql("CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t VALUES (1, 'one')");
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("t.dump");
    source.dump_through_pipe(&[], &archive);
    let target = Database::create("unknown");
    let restore = || {
        let pgmig = Pgmig::new().target(&TargetFile::of(&target)).args(["--force", "--keep-ids"]);
        pgmig.args(["--strategy", "in-place"]).source(&archive).run()
    };
    target.psql("CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t VALUES (2, 'two')");
    restore().expect_status(0);
    assert_eq!(target.psql("SELECT * FROM t"), "1|one\n");
    target.psql("ALTER TABLE t ADD COLUMN more int");
    let before = Before::of(&target);
    before.is_now(restore().expect_status(3).stderr_has("column").stderr_has("more"));
}
