//! Entries that cannot be restored for lack of an extension, a role or a right: refused by name, or left out with a warning.
//!
//! Relatives that were tried: an extension that the server does not have, alone and with views, functions and tables that
//! need it; an event trigger and a function in C, as the application's role and as a superuser who does not trust the backup;
//! a policy, grants and default privileges of roles that are missing; scripts.

use super::{Source, WAYS, Way, assert_restored, by_pg_restore, restore};
use crate::support::application;
use crate::support::fixture::fixture;
use crate::support::untouched::Before;
use crate::support::{Database, Outcome};
use std::path::{Path, PathBuf};

/// An archive with another extension's name in place of `autoinc`: no server has it.
fn with_unknown_extension(source: &Source, sql: &str) -> PathBuf {
    source.database.psql(sql);
    let path = source.dump("unknown.dump", &["-Fc", "-Z0"]);
    let mut bytes = std::fs::read(&path).unwrap();
    replace(&mut bytes, b"autoinc", b"gvacmgt");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Replaces a text by another one of the same length.
fn replace(bytes: &mut [u8], text: &[u8], other: &[u8]) {
    let places: Vec<usize> = bytes
        .windows(text.len())
        .enumerate()
        .filter(|(_, window)| *window == text)
        .map(|(at, _)| at)
        .collect();
    for at in places {
        bytes[at..at + text.len()].copy_from_slice(other);
    }
}

#[track_caller]
fn run(archive: &Path, way: Way, options: &[&str], status: i32) -> (Database, Outcome) {
    let target = application::empty_database("unrestorable");
    let before = (status != 0).then(|| Before::of(&target));
    let outcome = restore(archive, &target, way).args(options).run().expect_status(status);
    match before {
        Some(before) => (target, before.is_now(outcome)),
        None => (target, outcome),
    }
}

#[test]
fn report_02_missing_extension() {
    let archive = fixture("reports/02-missing-extension/input.dump");
    let script = fixture("reports/02-missing-extension/input.sql");
    let twin = by_pg_restore(&archive, &[], "");
    for (way, archive) in WAYS.into_iter().flat_map(|way| [(way, &archive), (way, &script)]) {
        let (_, outcome) = run(archive, way, &["--dry-run"], 3);
        outcome.assert_stderr_has(
            "extension gvacmgt is not available on the server, and nothing in the archive depends on it",
        );
        outcome.assert_stderr_has("install it there");
        outcome.assert_stderr_has("by --skip-unrestorable, or each by --exclude-extension");
        run(archive, way, &["--skip-unrestorable", "--strict"], 4);
        let (_, outcome) = run(archive, way, &["--skip-unrestorable"], 0);
        outcome.assert_stderr_has(
            "EXTENSION gvacmgt is left out: extension gvacmgt is not available on the server",
        );
    }
    for archive in [&archive, &script] {
        assert_restored(archive, &["--skip-unrestorable"], &twin);
        assert_restored(archive, &["--exclude-extension", "gvacmgt", "--strict"], &twin);
    }
}

#[test]
fn dependents_of_a_missing_extension_go_with_it_and_rows_do_not() {
    let source = Source::of(
        "CREATE EXTENSION autoinc; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)",
    );
    let archive = with_unknown_extension(
        &source,
        "CREATE TRIGGER numbered BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION autoinc('id', 'public.s');
         CREATE SEQUENCE s; COMMENT ON TRIGGER numbered ON t IS 'numbers'",
    );
    for way in WAYS {
        let (_, outcome) = run(&archive, way, &[], 3);
        outcome.assert_stderr_has("the archive needs it for TRIGGER public.t numbered");
        let (target, outcome) = run(&archive, way, &["--skip-unrestorable"], 0);
        outcome.assert_stderr_has("TRIGGER public.t numbered is left out: it depends on EXTENSION gvacmgt");
        assert_eq!(target.psql("SELECT count(*) FROM t").trim(), "2");
    }
    let source =
        Source::of("CREATE EXTENSION hstore; CREATE TABLE t (tags hstore); INSERT INTO t VALUES ('a=>1')");
    let archive = source.dump("t.dump", &["-Fc", "-Z0"]);
    // Only the extension's own entries get another name, not its type in the table.
    let mut bytes = std::fs::read(&archive).unwrap();
    replace(&mut bytes, b"\x06\0\0\0hstore", b"\x06\0\0\0hstxxx");
    replace(&mut bytes, b"IF NOT EXISTS hstore", b"IF NOT EXISTS hstxxx");
    std::fs::write(&archive, bytes).unwrap();
    for way in WAYS {
        let (_, outcome) = run(&archive, way, &["--skip-unrestorable"], 3);
        outcome.assert_stderr_has("TABLE public.t needs EXTENSION hstxxx");
        let (target, _) = run(&archive, way, &["--skip-unrestorable", "--exclude-table=t"], 0);
        assert_eq!(target.psql("SELECT count(*) FROM pg_class WHERE relname = 't'").trim(), "0");
    }
}

#[test]
fn what_only_a_superuser_can_make_is_left_out() {
    let source = Source::of(
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1);
         CREATE FUNCTION drops() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
         CREATE EVENT TRIGGER watch ON sql_drop EXECUTE FUNCTION drops(); COMMENT ON EVENT TRIGGER watch IS 'all drops';
         CREATE FUNCTION c_function() RETURNS int LANGUAGE internal AS 'pg_backend_pid';
         CREATE VIEW uses AS SELECT c_function()",
    );
    let oracle = |archive: &Path| {
        super::after(archive, "DROP EVENT TRIGGER watch; DROP FUNCTION c_function() CASCADE")
    };
    let archive = source.dump("t.dump", &["-Fc"]);
    let expected = oracle(&archive);
    for archive in [&archive, &source.dump("t.sql", &["-Fp"])] {
        for way in WAYS {
            let (_, outcome) = run(archive, way, &[], 3);
            outcome.assert_stderr_has("EVENT TRIGGER watch");
            run(archive, way, &["--skip-unrestorable", "--strict"], 4);
            let (target, outcome) = run(archive, way, &["--skip-unrestorable"], 0);
            super::assert_is(&target, &expected, &format!("{way:?} {}\n{outcome}", archive.display()));
            outcome.assert_stderr_has("EVENT TRIGGER watch is left out: only a superuser can make it");
            outcome.assert_stderr_has(
                "VIEW public.uses is left out: it depends on FUNCTION public.c_function()",
            );
        }
    }
}

#[test]
fn report_13_untrusted_language_left_out() {
    let archive = fixture("reports/13-untrusted-language/input.dump");
    for way in WAYS {
        run(&archive, way, &["--skip-unrestorable", "--strict"], 4);
        let (target, outcome) = run(&archive, way, &["--skip-unrestorable"], 0);
        outcome.assert_stderr_has("PROCEDURAL LANGUAGE plhouse is left out: only a superuser can make it");
        outcome.assert_stderr_has(
            "TRIGGER public.task bump is left out: it depends on FUNCTION public.shell_trigger()",
        );
        assert_eq!(target.psql("SELECT count(*) FROM task").trim(), "1");
    }
}

/// Rows and privileges of an extension's tables go with the extension; no entry makes those tables.
#[test]
fn report_30_superuser_sweep_left_out() {
    for (name, warning) in [
        ("file-fdw", "FOREIGN TABLE public.hosts is left out: it depends on SERVER files"),
        ("user-mapping-superuser-option", "USER MAPPING public SERVER s is left out: it depends on SERVER s"),
        ("revoke-on-extension-table", "EXTENSION postgis is left out"),
        ("inherits-extension-table", "TABLE public.more_srs is left out: it depends on EXTENSION postgis"),
    ] {
        let archive = fixture(&format!("reports/30-superuser-sweep/{name}.dump"));
        for way in WAYS {
            run(&archive, way, &[], 3);
            let (target, outcome) = run(&archive, way, &["--skip-unrestorable"], 0);
            outcome.assert_stderr_has(warning);
            assert_eq!(target.psql("SELECT count(*) FROM t").trim(), "1", "{name} {way:?}");
        }
    }
}

/// Roles that are missing never stopped a restore: each entry that names one is a warning.
#[test]
fn entries_of_missing_roles_are_warnings() {
    let source = Source::of(
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1); ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    );
    let archive = source.files.path().join("t.sql");
    let script = std::fs::read_to_string(source.dump("whole.sql", &["-Fp"])).unwrap();
    let policy = "--\n-- Name: t some; Type: POLICY; Schema: public; Owner: -\n--\n\nCREATE POLICY some ON public.t TO no_such_role;\n\n\n";
    let end = script.find("--\n-- PostgreSQL database dump complete").unwrap();
    std::fs::write(&archive, [&script[..end], policy, &script[end..]].concat()).unwrap();
    for way in WAYS {
        let (_, outcome) = run(&archive, way, &["--skip-unrestorable"], 0);
        outcome.assert_stderr_has(
            "POLICY public.t some names the role no_such_role, which this cluster does not have",
        );
        run(&archive, way, &["--skip-unrestorable", "--strict"], 4);
    }
}
