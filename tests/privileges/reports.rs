//! Databases that people reported in public.

use super::{Way, dumped, follow, oracle, warnings, with_roles};
use crate::support::application;
use crate::support::fixture::fixture;
use crate::support::untouched::Before;
use crate::support::{Database, Outcome, Server};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

#[test]
fn report_06_default_privileges_of_platform_role() {
    with_roles(&["case06_platform", "case06_everyone", "case06_reader"]);
    let archive = fixture("reports/06-default-privileges-of-platform-role/input.dump");
    let expected = dumped(&oracle(&archive));
    for way in Way::ALL {
        let target = application::empty_database("case06");
        let strict = || way.restore(&target, &archive, &["--strict"]);
        if way == Way::TrustedSwap {
            strict().expect_status(0);
        } else {
            let before = Before::of(&target);
            before.is_now(strict().expect_status(4));
            let outcome = way.restore(&target, &archive, &[]).expect_status(0);
            assert_eq!(warnings(&outcome).len(), 2, "{way:?}: {}", outcome.stderr);
            assert_eq!(target.psql("SELECT count(*) FROM pg_default_acl"), "0\n", "{way:?}");
            follow(&outcome, &target);
        }
        assert_eq!(dumped(&target), expected, "{way:?}");
    }
}

#[test]
fn default_privileges_of_a_role_of_username_are_kept_for_it() {
    let server = with_roles(&["case06_team", "case06_everyone"]);
    // This test needs a role of its own: another test's restore must not see the role's membership change.
    let sql = "CREATE ROLE case06_owner LOGIN PASSWORD 'case06' IN ROLE case06_team";
    server.psql("postgres", sql);
    let source = Database::create("case06_team");
    source.psql(
        "CREATE TABLE item (id int);
         ALTER DEFAULT PRIVILEGES FOR ROLE case06_team GRANT SELECT ON TABLES TO case06_everyone",
    );
    let directory = TempDir::new().unwrap();
    let archive = directory.path().join("team.dump");
    source.dump_through_pipe(&[], &archive);
    for way in Way::ALL {
        let target = Database::create_with(&server, "case06_team", "TEMPLATE template0 OWNER case06_owner");
        let pgmig = way.command_for("case06_owner", "case06", &target, &["--strict"]);
        pgmig.source(&archive).run().expect_status(0);
        assert_eq!(dumped(&target), dumped(&source), "{way:?}");
    }
}

/// The report's archive. From PostgreSQL 17 on a function in it has one more argument: then an archive of this server with
/// the same privileges.
fn archive_14(directory: &Path) -> PathBuf {
    if Server::of_this_run().major_version() < 17 {
        return fixture("reports/14-privileges-on-system-objects/input.dump");
    }
    let source = Database::create("case14_source");
    source.psql(
        "CREATE EXTENSION pg_stat_statements; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
         GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_create(text) TO case14_monitor;
         GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO case14_monitor WITH GRANT OPTION;
         REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep(double precision) FROM PUBLIC;
         GRANT SELECT ON pg_catalog.pg_authid TO case14_monitor;
         GRANT SELECT (rolname) ON pg_catalog.pg_authid TO PUBLIC;
         GRANT EXECUTE ON FUNCTION pg_stat_statements_reset(oid, oid, bigint, boolean) TO case14_monitor;
         REVOKE SELECT ON pg_stat_statements FROM PUBLIC; GRANT USAGE ON SCHEMA information_schema TO case14_monitor;
         REVOKE ALL ON LANGUAGE plpgsql FROM PUBLIC; GRANT USAGE ON LANGUAGE plpgsql TO case14_monitor",
    );
    let archive = directory.join("14.dump");
    source.dump_through_pipe(&[], &archive);
    archive
}

/// In place, the platform created the extension before the restore.
fn target_14(way: Way) -> Database {
    let target = application::empty_database("case14");
    if way == Way::InPlace {
        target.psql("CREATE EXTENSION pg_stat_statements");
    }
    target
}

#[test]
fn report_14_privileges_on_system_objects() {
    with_roles(&["case14_monitor"]);
    let directory = TempDir::new().unwrap();
    let archive = archive_14(directory.path());
    let expected = dumped(&oracle(&archive));
    for way in Way::ALL {
        let target = target_14(way);
        let strict = || way.restore(&target, &archive, &["--strict"]);
        if way == Way::TrustedSwap {
            strict().expect_status(0);
        } else {
            let before = Before::of(&target);
            before.is_now(strict().expect_status(4));
            let outcome = way.restore(&target, &archive, &[]).expect_status(0);
            names_the_statements_of_14(way, &outcome);
            follow(&outcome, &target);
        }
        assert_eq!(dumped(&target), expected, "{way:?}");
    }
}

fn names_the_statements_of_14(way: Way, outcome: &Outcome) {
    // An untrusted backup gives no role a privilege of a superuser.
    for statement in [
        "GRANT EXECUTE ON ROUTINE pg_catalog.pg_read_file(text) TO case14_monitor WITH GRANT OPTION",
        "GRANT SELECT ON TABLE pg_catalog.pg_authid TO case14_monitor",
        "GRANT EXECUTE ON ROUTINE public.pg_stat_statements_reset(userid oid, dbid oid, queryid bigint",
    ] {
        outcome.assert_stderr_has(statement);
    }
    // An untrusted backup may revoke privileges. A superuser has run these statements, unless the way has no superuser.
    let revoked = [
        "REVOKE EXECUTE ON ROUTINE pg_catalog.pg_sleep(double precision) FROM PUBLIC",
        "REVOKE SELECT ON TABLE public.pg_stat_statements FROM PUBLIC",
        "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC",
        "GRANT USAGE ON LANGUAGE plpgsql TO case14_monitor",
    ];
    for statement in revoked {
        assert_eq!(outcome.stderr.contains(statement), way == Way::InPlace, "{way:?}: {statement}");
    }
}

/// The members of a trusted extension belong to a superuser, even if `username` creates the extension.
#[test]
fn revokes_on_a_trusted_extension_have_their_effect_or_are_a_warning() {
    with_roles(&["case14_monitor"]);
    let source = Database::create("case14_trusted");
    source.psql(
        "CREATE EXTENSION hstore; CREATE TABLE item (tags hstore);
         REVOKE EXECUTE ON FUNCTION akeys(hstore) FROM PUBLIC;
         GRANT EXECUTE ON FUNCTION akeys(hstore) TO case14_monitor;
         REVOKE USAGE ON TYPE hstore FROM PUBLIC",
    );
    let directory = TempDir::new().unwrap();
    let archive = directory.path().join("trusted.dump");
    source.dump_through_pipe(&[], &archive);
    for way in Way::ALL {
        let target = application::empty_database("case14_trusted");
        if way == Way::InPlace {
            let before = Before::of(&target);
            before.is_now(way.restore(&target, &archive, &["--strict"]).expect_status(4));
            let outcome = way.restore(&target, &archive, &[]).expect_status(0);
            outcome.assert_stderr_has("REVOKE EXECUTE ON ROUTINE public.akeys(public.hstore) FROM PUBLIC");
            follow(&outcome, &target);
        } else {
            way.restore(&target, &archive, &["--strict"]).expect_status(0);
        }
        assert_eq!(dumped(&target), dumped(&source), "{way:?}");
    }
}
