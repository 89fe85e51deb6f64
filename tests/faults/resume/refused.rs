//! Restores that are not gone on with: of another backup, with other options, from a stream, in place, or with a record that is not
//! pgmig's.

use super::{Case, Store, left_staging, staging};
use crate::support::database::quoted;
use crate::support::untouched::Before;
use crate::support::{Outcome, Pgmig};

const TABLES: &str = "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 3000);
                      CREATE TABLE b (id int); INSERT INTO b SELECT generate_series(1, 3000)";

/// Checks that this run is refused, names what differs, and touches neither the target nor the staging database.
#[track_caller]
fn refused(target: &crate::support::Database, pgmig: Pgmig, names: &str) -> Outcome {
    let (before, left) = (Before::of(target), left_staging(target));
    let comment = format!(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{}'",
        left.name
    );
    let state = || (left.dump(&["--create"]), left.server.psql("postgres", &comment));
    let then = state();
    let outcome = pgmig.arg("--resume").run().expect_status(3).stderr_has(names);
    assert!(state() == then, "the staging database was touched");
    before.is_unchanged();
    outcome
}

#[test]
fn another_backup_selection_or_option() {
    let case = Case::of(TABLES);
    case.pgmig().failpoint("post-data:kill").run().expect_killed();
    let refused = |pgmig: Pgmig, names: &str| {
        let outcome = refused(&case.target, pgmig, names);
        outcome.stderr_has("belongs to another restore").stderr_has("run this one without --resume")
    };
    // The same database, dumped once more.
    let again = case.archive.with_file_name("again.dump");
    case.source.dump_through_pipe(&["--compress=0"], &again);
    refused(case.of_archive(&again), "  backup: another one");
    refused(case.pgmig().args(["--exclude-table-data", "b"]), "  selection: another one");
    refused(case.pgmig().args(["--toast-compression", "keep"]), "  toast compression: lz4, and now keep");
    refused(case.pgmig().arg("--trust-archive"), "  trust of the archive: false, and now true");
    refused(case.pgmig().args(["--schema", "archive"]), "  schema: auto, and now archive");
    // It can still be gone on with.
    case.pgmig().arg("--resume").run().expect_status(0);
    case.is_restored();
}

/// Bytes in the middle of a file with the same size.
#[test]
fn a_backup_with_other_bytes() {
    let case = Case::of(TABLES);
    case.pgmig().failpoint("post-data:kill").run().expect_killed();
    let mut bytes = std::fs::read(&case.archive).unwrap();
    let place = bytes.windows(5).position(|bytes| bytes == b"1234\n").unwrap() + 3;
    bytes[place] = b'5';
    std::fs::write(&case.archive, &bytes).unwrap();
    refused(&case.target, case.pgmig(), "  backup: another one");
    bytes[place] = b'4';
    std::fs::write(&case.archive, &bytes).unwrap();
    case.pgmig().arg("--resume").run().expect_status(0);
    case.is_restored();
}

#[test]
fn another_mapping_or_release() {
    let store = Store::new("mapping");
    store.pgmig().failpoint("upgrade:kill").run().expect_killed();
    let mut other = Store::new("mapping_other");
    other.target = crate::support::Database::shared(&store.target.server, &store.target.name);
    other.backup.mapping.swap(0, 1);
    let (first, second) = (other.backup.mapping[0].1.clone(), other.backup.mapping[1].1.clone());
    other.backup.mapping[0].1 = second;
    other.backup.mapping[1].1 = first;
    refused(&store.target, other.pgmig(), "  instance mapping: another one");
    refused(
        &store.target,
        store.pgmig().args(["--to-release", "4.5.0"]),
        "  release and migrations: another one",
    );
    store.pgmig().arg("--resume").run().expect_status(0);
    store.is_restored();
}

/// A role that the archive's statements name comes into being: the plan is another one.
#[test]
fn another_plan() {
    let case = Case::of(TABLES);
    let role = format!("grantee_{}", case.target.name);
    let server = &case.target.server;
    server.psql("postgres", &format!("CREATE ROLE {role}"));
    case.source.psql(&format!("GRANT SELECT ON a TO {role}"));
    let archive = case.archive.with_file_name("granted.dump");
    case.source.dump_through_pipe(&[], &archive);
    case.source.psql(&format!("REVOKE ALL ON a FROM {role}"));
    server.psql("postgres", &format!("DROP ROLE {role}"));
    case.of_archive(&archive).failpoint("post-data:kill").run().expect_killed();
    server.psql("postgres", &format!("CREATE ROLE {role}"));
    refused(&case.target, case.of_archive(&archive), "  plan (roles, extensions or settings");
    server.psql("postgres", &format!("DROP ROLE {role}"));
    case.of_archive(&archive).arg("--resume").run().expect_status(0);
}

#[test]
fn a_stream() {
    let case = Case::of(TABLES);
    for flag in ["--resume", "--keep-staging"] {
        let before = Before::of(&case.target);
        let pgmig = case.of_archive("-".as_ref()).arg(flag).stdin(&case.archive);
        let outcome = pgmig.run().expect_status(3).stderr_has("; give the file itself");
        before.is_now(outcome.stderr_has(&format!("{flag} cannot be used here")));
    }
}

#[test]
fn in_place() {
    let case = Case::of(TABLES);
    for flag in ["--resume", "--keep-staging"] {
        let file = crate::support::pgmig::TargetFile::of(&case.target);
        let pgmig = Pgmig::new().target(&file).source(&case.archive).args([
            "--keep-ids",
            "--strategy",
            "in-place",
            flag,
        ]);
        let before = Before::of(&case.target);
        before.is_now(pgmig.run().expect_status(2).stderr_has(&format!("run it again without {flag}")));
    }
}

#[test]
fn into_the_target_s_own_schema() {
    let store = Store::new("own_schema");
    let before = Before::of(&store.target);
    for flag in ["--resume", "--keep-staging"] {
        let outcome = store.pgmig().args(["--schema", "target", flag]).run().expect_status(3);
        before.is_now(outcome.stderr_has(&format!("{flag} cannot be used here: with --schema target")));
    }
}

/// Code of the backup, which runs while rows are loaded, notes that another table is complete. It can neither read the record nor
/// change it.
#[test]
fn a_record_with_forged_notes() {
    let forge = "EXECUTE 'INSERT INTO pgmig_resume.done VALUES (''end 1'', ''{}'', ''x'')'";
    for (attempt, is_refused) in [
        (forge, true),
        (
            "BEGIN EXECUTE 'DELETE FROM pgmig_resume.done'; EXCEPTION WHEN insufficient_privilege THEN NULL; END",
            false,
        ),
        (
            "BEGIN EXECUTE 'DROP SCHEMA pgmig_resume CASCADE'; EXCEPTION WHEN insufficient_privilege THEN NULL; END",
            false,
        ),
        (
            "BEGIN PERFORM key FROM pgmig_resume.run; RAISE 'read'; EXCEPTION WHEN insufficient_privilege THEN NULL; END",
            false,
        ),
        (
            "BEGIN PERFORM seal FROM pgmig_resume.done; RAISE 'read'; EXCEPTION WHEN insufficient_privilege THEN NULL; END",
            false,
        ),
    ] {
        let case = Case::of(&format!(
            "CREATE FUNCTION forge(int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
             CREATE TABLE t (id int CHECK (forge(id))); INSERT INTO t VALUES (1);
             CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1);
             CREATE OR REPLACE FUNCTION forge(int) RETURNS boolean LANGUAGE plpgsql AS $$
                 BEGIN IF to_regclass('pgmig_resume.done') IS NOT NULL THEN {attempt}; END IF; RETURN true; END $$"
        ));
        case.pgmig().failpoint("post-data:kill").run().expect_killed();
        if is_refused {
            refused(&case.target, case.pgmig(), "was changed, by code in the backup or by another session");
            case.pgmig().run().expect_status(0);
            continue;
        }
        case.pgmig().arg("--resume").run().expect_status(0).stderr_has("going on with");
        assert_eq!(case.target.psql("SELECT count(*) FROM t, u"), "1\n");
        super::nothing_left(&case.target);
    }
}

/// Code of the backup owns the database, and writes a marker that says that only the swap is left.
#[test]
fn a_forged_marker() {
    let case = Case::of(
        "CREATE FUNCTION forge(int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE TABLE t (id int CHECK (forge(id))); INSERT INTO t VALUES (1);
         CREATE OR REPLACE FUNCTION forge(int) RETURNS boolean LANGUAGE plpgsql AS $$
             DECLARE marker text := shobj_description((SELECT oid FROM pg_database WHERE datname = current_database()), 'pg_database');
             BEGIN IF current_database() LIKE '%staging' THEN
                 EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), replace(marker, '\"state\"',
                     '\"built\":{\"fingerprint\":{},\"tables\":1,\"rows\":1,\"large_objects\":[0,0],\"migrations\":0,\"warnings\":0},\"state\"'));
             END IF; RETURN true; END $$",
    );
    case.pgmig().failpoint("post-data:kill").run().expect_killed();
    let left = staging(&case.target);
    let comment = format!(
        "SELECT shobj_description(oid, 'pg_database') ~ 'built' FROM pg_database WHERE datname = '{left}'"
    );
    assert_eq!(case.target.server.psql("postgres", &comment), "t\n", "{}", quoted(&left));
    case.pgmig()
        .args(["--resume"])
        .run()
        .expect_status(0)
        .stderr_has("going on with an interrupted restore: ");
    case.is_restored();
}
