//! Archives in forms that other tools make of them, and whole backups that hold little.
//!
//! Relatives that were tried: directories packed by tar with pax headers and with long names, compressed and not; databases
//! with default privileges, a publication of all tables or an event trigger only; directories that lack the data of one
//! table, of all tables, and the list of large objects.

use super::{Source, WAYS, Way, by_pg_restore, restore};
use crate::support::Pgmig;
use crate::support::application;
use crate::support::restored::Restored;
use std::process::Command;

#[test]
fn report_real_01_pax_headers() {
    let source = Source::of(
        "CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 1000); SELECT lo_from_bytea(0, 'x')",
    );
    let name = format!("shop_{}", "long".repeat(30));
    let directory = source.dump(&name, &["-Fd"]);
    let expected = by_pg_restore(&directory);
    let files = directory.parent().unwrap();
    for (format, more) in [("gnu", "-c"), ("pax", "-c"), ("pax", "-cz"), ("ustar", "-c")] {
        let path = files.join(format!("{format}{more}.tar"));
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(files).arg(format!("--format={format}")).arg(format!("{more}f")).arg(&path);
        let made = tar.args(
            ["--pax-option=globexthdr.comment=all,exthdr.name=%d/PaxHeaders/%f"]
                .iter()
                .filter(|_| format == "pax"),
        );
        // ustar has no room for the name of the directory.
        let made =
            made.arg(if format == "ustar" { "--transform=s/long//g" } else { "--no-wildcards" }).arg(&name);
        assert!(made.status().unwrap().success(), "tar {format}");
        Pgmig::new().args(["verify".as_ref(), path.as_os_str()]).run().expect_status(0);
        let target = application::empty_database("inputs");
        restore(&path, &target, Way::Swap).run().expect_status(0);
        assert_eq!(
            expected.in_any_order().difference(&Restored::of(&target).in_any_order()),
            None,
            "{format}"
        );
    }
}

#[test]
fn report_real_11_whole_backups_without_definitions_in_pre_data() {
    for sql in [
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO \"store app\"",
        "CREATE PUBLICATION p FOR ALL TABLES",
        "SELECT lo_from_bytea(1000, 'x')",
    ] {
        let server = crate::support::Server::of_this_run();
        application::create(&server);
        let source = Source::of(sql);
        for options in [&["-Fc"][..], &["-Fp"]] {
            let archive = source.dump("little", options);
            let target = application::empty_database("inputs");
            let outcome = restore(&archive, &target, Way::Swap).arg("--trust-archive").run();
            assert_eq!(outcome.status.code(), Some(0), "{sql}: {outcome}");
        }
    }
    let source = Source::of("CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)");
    for part in ["--section=post-data", "--section=data", "-a"] {
        let archive = source.dump("part.dump", &["-Fc", part]);
        for way in WAYS {
            let target = application::empty_database("inputs");
            restore(&archive, &target, way).run().expect_status(3).assert_stderr_has("partial");
        }
    }
}

#[test]
fn report_real_13_a_directory_that_lacks_data_is_listed() {
    let source = Source::of("CREATE TABLE t (a int); CREATE TABLE u (a int); SELECT lo_from_bytea(0, 'x')");
    let directory = source.dump("lacking", &["-Fd", "-Z0"]);
    let list = |status: i32| {
        Pgmig::new()
            .args(["inspect".as_ref(), "--list".as_ref(), directory.as_os_str()])
            .run()
            .expect_status(status)
    };
    let whole = list(0);
    assert_eq!(whole.stderr, "");
    let mut removed = 0;
    for file in std::fs::read_dir(&directory).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "toc.dat" {
            std::fs::remove_file(file.path()).unwrap();
            removed += 1;
            let outcome = list(0).stderr_has("warning: ");
            assert_eq!(outcome.stdout, whole.stdout, "{:?}", file.file_name());
        }
    }
    assert!(removed >= 4, "{removed}");
    Pgmig::new().args(["verify".as_ref(), directory.as_os_str()]).run().expect_status(1);
    let target = application::empty_database("inputs");
    assert_ne!(restore(&directory, &target, Way::Swap).run().status.code(), Some(0));
}
