//! The rights and the locks that a restore in place requires. pgmig checks them before it drops anything.

use crate::support::application::{self, APPLICATION};
use crate::support::database::quoted;
use crate::support::fixture::fixture;
use crate::support::restored::Restored;
use crate::support::untouched::Before;
use crate::support::{Database, Outcome, Pgmig, Server};
use std::path::Path;
use tempfile::TempDir;

fn restore(target: &Database, archive: &Path) -> Outcome {
    let pgmig = Pgmig::new().target(&application::target_file(target)).args(["--keep-ids", "--force"]);
    pgmig.args(["--schema", "archive", "--strategy", "in-place"]).source(archive).run()
}

#[test]
fn what_only_a_superuser_can_make_is_listed_all_at_once() {
    Server::of_this_run().create_corpus_roles();
    let target = application::target("rights");
    let before = Before::of(&target);
    let outcome = before.is_now(restore(&target, &fixture("archives/15_pipe_gz.dump")).expect_status(3));
    for entry in [
        "\n  FOREIGN DATA WRAPPER dummy_fdw\n",
        "\n  SERVER dummy_srv\n",
        "\n  PUBLICATION pub_all\n",
        "\n  PUBLICATION TABLES IN SCHEMA billing.pub_schema billing\n",
        "\n  EVENT TRIGGER evt_log\n",
    ] {
        outcome.assert_stderr_has(entry);
    }
}

/// An archive of pg_dump 15 with every object that an owner can have, and with objects of a superuser that the owner
/// can use.
#[test]
fn an_owner_restores_what_an_owner_can_have() {
    let server = Server::of_this_run();
    server.create_corpus_roles();
    let oracle = Database::create_on(&server, "oracle");
    oracle.restore_with_pg_restore(&fixture("archives/15_pipe_gz.dump"), &["--no-owner"]);
    oracle.psql("DROP EVENT TRIGGER evt_log; DROP PUBLICATION pub_schema");
    let directory = TempDir::new().unwrap();
    let archive = directory.path().join("of_owner.dump");
    oracle.dump_through_pipe(&[], &archive);
    let target = application::empty_database("of_owner");
    target.psql(&format!(
        "CREATE FOREIGN DATA WRAPPER dummy_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER dummy_fdw TO {};
         CREATE PUBLICATION pub_all FOR ALL TABLES",
        quoted(APPLICATION)
    ));
    // The second run first clears everything that the first run made.
    for _ in 0..2 {
        let outcome = restore(&target, &archive).expect_status(0);
        outcome.stderr_has("PUBLICATION pub_all was skipped: it is there already");
        if let Some(difference) = Restored::of(&oracle).difference(&Restored::of(&target)) {
            panic!("{difference}");
        }
    }
    // Objects of a superuser are unchanged: a wrapper and a publication.
    assert_eq!(
        target.psql("SELECT pubowner::regrole FROM pg_publication WHERE pubname = 'pub_all'"),
        "postgres\n"
    );
}

#[test]
fn what_others_granted_is_granted_by_the_owner() {
    let server = Server::of_this_run();
    server.create_corpus_roles();
    let source = Database::create_on(&server, "grantor");
    source.psql(
        "CREATE TABLE granted (id integer); GRANT SELECT ON granted TO app_rw WITH GRANT OPTION;
         SET ROLE app_rw; GRANT SELECT ON granted TO app_ro",
    );
    let directory = TempDir::new().unwrap();
    let archive = directory.path().join("granted.dump");
    source.dump_through_pipe(&[], &archive);
    let target = application::empty_database("granted");
    let outcome = restore(&target, &archive).expect_status(0);
    outcome.stderr_has("grants what app_rw had granted");
    assert_eq!(target.psql("SELECT has_table_privilege('app_ro', 'granted', 'SELECT')"), "t\n");
}

#[test]
fn a_schema_that_is_closed_to_the_owner_is_refused() {
    let source = application::empty_database("closed_source");
    source.psql(&format!("SET ROLE {}; CREATE TABLE public.fruit (id integer)", quoted(APPLICATION)));
    let directory = TempDir::new().unwrap();
    let archive = directory.path().join("fruit.dump");
    source.dump_through_pipe(&[], &archive);
    let target = application::empty_database("closed");
    target.psql("ALTER SCHEMA public OWNER TO postgres");
    let before = Before::of(&target);
    let outcome = before.is_now(restore(&target, &archive).expect_status(3));
    outcome
        .stderr_has("TABLE public.fruit and all else in schema public")
        .stderr_has("GRANT CREATE ON SCHEMA public");
}

/// Tables with keys and text. Each consists of four relations.
fn archive_of_tables(server: &Server, tables: u32, directory: &Path) -> std::path::PathBuf {
    let source = Database::create_on(server, "tables");
    source.psql(&format!(
        "SELECT format('CREATE TABLE t%s (id integer PRIMARY KEY, note text)', i) FROM generate_series(1, {tables}) i
         \\gexec"
    ));
    let archive = directory.join(format!("{tables}.dump"));
    source.dump_through_pipe(&[], &archive);
    archive
}

#[test]
fn a_lock_table_that_is_too_small_is_refused_with_the_setting_that_is_enough() {
    // In PostgreSQL 18, the default of 16 worker slots enlarges the lock table. This value gives it its former size.
    let workers = match Server::of_this_run().major_version() {
        18.. => "autovacuum_worker_slots = 3",
        _ => "",
    };
    let settings = format!("max_locks_per_transaction = 10\nmax_connections = 20\n{workers}");
    let server = Server::start_private(&settings);
    application::create(&server);
    let target = Database::create_with(&server, "locks", &format!("OWNER {}", quoted(APPLICATION)));
    let directory = TempDir::new().unwrap();
    let (fits, too_many) = (
        archive_of_tables(&server, 135, directory.path()),
        archive_of_tables(&server, 160, directory.path()),
    );
    // A restore that pgmig accepts has enough locks. The same restore over its own result needs more, because the
    // dropped tables count, too.
    restore(&target, &fits).expect_status(0);
    let before = Before::of(&target);
    before.is_now(
        restore(&target, &fits).expect_status(3).stderr_has("max_locks_per_transaction be set to 64"),
    );
    let target = Database::create_with(&server, "locks", &format!("OWNER {}", quoted(APPLICATION)));
    let outcome = restore(&target, &too_many).expect_status(3).stderr_has("it is 10");
    outcome.stderr_has("max_locks_per_transaction be set to 64");
    server.psql("postgres", "ALTER SYSTEM SET max_locks_per_transaction = 64");
    server.crash();
    server.start_again();
    restore(&target, &too_many).expect_status(0);
    restore(&target, &too_many).expect_status(0);
}
