//! Names with everything in them: the printed command is run by a shell.

use crate::support::previous::{Site, run_printed};

/// Restores and goes back by the printed command, and drops what is left by its age.
#[track_caller]
fn works(name: &str) {
    let site = Site::named(name);
    let old = site.target.dump(&[]);
    let restored = site.restore().arg("--keep-previous").run().expect_status(0);
    let new = site.target.dump(&[]);
    let outcome = run_printed(&restored, "--force");
    assert!(outcome.status.success(), "{outcome:?}");
    assert!(site.target.dump(&[]) == old, "{name:?}");
    assert_eq!(site.target.psql("SELECT current_database()").trim_end_matches('\n'), name);
    let outcome = site.rollback().run().expect_status(0);
    assert!(site.target.dump(&[]) == new, "{name:?}");
    let back = run_printed(&outcome, "--force");
    assert!(back.status.success(), "{back:?}");
    assert!(site.target.dump(&[]) == old, "{name:?}");
    let list = site.previous(["list"]).run().expect_status(0);
    assert_eq!(list.stdout.lines().count(), 2, "{list}");
    site.previous(["drop", "--force", "--older-than", "0s"]).run().expect_status(0);
    let left = format!(
        "SELECT count(*) FROM pg_database d WHERE shobj_description(oid, 'pg_database') LIKE 'pgmig-marker-1 %'
         AND datname <> {0} AND starts_with(datname, left({0}, 20))",
        quote(name)
    );
    assert_eq!(site.admin(&left), "0\n");
    assert!(site.target.dump(&[]) == old);
}

fn quote(name: &str) -> String {
    format!("'{}'", name.replace('\'', "''"))
}

#[test]
fn of_63_bytes() {
    works(&format!("{:0>63}", format!("b{}", std::process::id())));
}

#[test]
fn of_63_bytes_beyond_ascii() {
    works(&format!("{:b>9}{}", std::process::id(), "é".repeat(27)));
}

#[test]
fn with_quotes_and_other_signs() {
    works(&format!(" It's \"ODD\"; -- \\ % $1 `x` $(y) {} ", std::process::id()));
}

#[test]
fn with_line_ends_and_escapes() {
    works(&format!("two\nlines\u{1b}[31m\t'{}", std::process::id()));
}

#[test]
fn that_look_like_an_option() {
    works(&format!("--force {}", std::process::id()));
}
