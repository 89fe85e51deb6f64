//! Lists of entries: those of pg_restore and of pgmig are the same, and both programs make the same of them.
//!
//! Relatives that were tried: lines in another order, lines behind a semicolon, comments of one's own, blank lines, numbers
//! alone, line ends of Windows, a line that is no number, a number twice, a list of another backup, a list without a table
//! whose rows it names.

use super::{Source, Way, assert_restored, by_pg_restore, restore, whole};
use crate::support::application;
use crate::support::{Outcome, Pgmig};
use std::path::{Path, PathBuf};

fn listing(archive: &Path) -> String {
    Pgmig::new().arg("inspect").arg("--list").arg(archive).run().expect_status(0).stdout
}

fn written(source: &Source, name: &str, text: &str) -> PathBuf {
    let path = source.files.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn edited(listing: &str, is_out: impl Fn(&str) -> bool) -> String {
    let line = |line: &str| if is_out(line) { format!(";{line}\n") } else { format!("{line}\n") };
    listing.lines().map(line).collect()
}

#[test]
fn both_programs_make_the_same_of_a_list() {
    let source = whole();
    let archive = source.dump("all.dump", &["-Fc"]);
    let all = listing(&archive);
    let of_sale = |line: &str| line.contains(" sale") || line.contains("per_item") || line.contains(" best");
    let without_sale = edited(&all, of_sale);
    let tables: Vec<&str> = all.lines().filter(|line| !line.starts_with(';')).collect();
    let (data, others): (Vec<&str>, Vec<&str>) =
        tables.iter().partition(|line| line.contains(" TABLE DATA "));
    let (last, first): (Vec<&str>, Vec<&str>) = others
        .iter()
        .partition(|line| [" INDEX ", " CONSTRAINT ", " TRIGGER "].iter().any(|kind| line.contains(kind)));
    let reordered: Vec<&str> = first.into_iter().chain(data.into_iter().rev()).chain(last).collect();
    for (name, text) in [
        ("without-sale", without_sale.clone()),
        ("windows", without_sale.replace('\n', "\r\n")),
        ("reordered", format!("; by hand\n\n{}\n", reordered.join("\n"))),
        ("numbers", tables.iter().map(|line| format!("{}\n", line.split(';').next().unwrap())).collect()),
        ("no-comments", edited(&all, |line| line.contains(" COMMENT "))),
    ] {
        let list = written(&source, name, &text);
        let list = list.to_str().unwrap();
        let twin = by_pg_restore(&archive, &["-L", list], "");
        assert_restored(&archive, &["--use-list", list], &twin);
    }
}

#[test]
fn a_script_has_a_list_too() {
    let source = whole();
    let (archive, script) = (source.dump("all.dump", &["-Fc"]), source.dump("all.sql", &["-Fp"]));
    let is_out = |line: &str| line.contains(" COMMENT ") || line.contains("PUBLICATION");
    let twin = written(&source, "twin", &edited(&listing(&archive), is_out));
    let list = written(&source, "list", &edited(&listing(&script), is_out));
    let twin = by_pg_restore(&archive, &["-L", twin.to_str().unwrap()], "");
    assert_restored(&script, &["-L", list.to_str().unwrap()], &twin);
    let target = application::empty_database("selection");
    let from_stdin =
        super::with_target(&target, Way::Swap).args(["--source", "-", "-L"]).arg(&list).stdin(&script);
    let outcome = from_stdin.run().expect_status(0);
    super::assert_is(&target, &twin, &outcome.to_string());
}

#[test]
fn lists_that_do_not_fit_are_refused() {
    let source = Source::of(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT * FROM t",
    );
    let archive = source.dump("t.dump", &["-Fc"]);
    let all = listing(&archive);
    let run = |text: &str, status| -> Outcome {
        let list = written(&source, "list", text);
        let target = application::empty_database("selection");
        restore(&archive, &target, Way::InPlace).arg("-L").arg(list).run().expect_status(status)
    };
    run(&format!("{all}\nTABLE t"), 2).assert_stderr_has("expected the number of an entry, not \"TABLE t\"");
    run(&format!("{all}999999; 1 1 TABLE public t"), 3).assert_stderr_has("it has no entry 999999");
    let other = all.replace(" VIEW ", " FUNCTION ");
    run(&other, 3).assert_stderr_has("make the list from this backup");
    let without_table = edited(&all, |line| line.contains(" TABLE public t "));
    run(&without_table, 3)
        .assert_stderr_has("TABLE DATA public.t needs TABLE public.t: the list does not name it");
    let outcome =
        run(&edited(&all, |line| line.contains(" TABLE public t ") || line.contains("TABLE DATA")), 0);
    outcome.assert_stderr_has("VIEW public.v is left out: it depends on TABLE public.t");
    let target = application::empty_database("selection");
    let missing =
        restore(&archive, &target, Way::InPlace).args(["-L", "missing.list"]).run().expect_status(2);
    missing.assert_stderr_has("cannot read the list missing.list");
}
