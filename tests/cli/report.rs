//! `--report`: the page for the change ticket, looked at in a browser, and the same as data.
//!
//! Relatives: a restore that is complete, one by a swap that keeps the previous database, one in place, one that is refused,
//! one that fails on the way; texts of others that look like markup; a narrow, a middle and a wide window; a dark one; paper.

use super::targets::set;
use crate::support::browser::{look, print};
use crate::support::document::check;
use crate::support::pgmig::TargetFile;
use crate::support::session::HeldSession;
use crate::support::store::Backup;
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Outcome, Pgmig};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A phone, a tablet, a screen.
const WIDTHS: [u32; 3] = [360, 800, 1400];

fn files(outcome: &Outcome) -> (PathBuf, Value) {
    files_of(outcome, "report")
}

#[track_caller]
fn files_of(outcome: &Outcome, kind: &str) -> (PathBuf, Value) {
    let directory = outcome.directory.path().join("ticket");
    let text = std::fs::read_to_string(directory.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["kind"], kind);
    check(&report, kind).unwrap_or_else(|error| panic!("{error}\n{text}"));
    (directory.join("report.html"), report)
}

/// Checks that the page fits into windows of every width, and returns its text.
#[track_caller]
fn fits(page: &Path) -> String {
    let picture = page.with_file_name("picture.png");
    let all = look(page, &WIDTHS, Some(&picture), &[]);
    for (seen, width) in all.iter().zip(WIDTHS) {
        assert_eq!(seen["width"], width);
        assert_eq!(seen["outside"], json!([]), "{width}: {seen:#}");
        assert_eq!(seen["overlapping"], json!([]), "{width}: {seen:#}");
        assert!(seen["scroll"].as_u64() <= seen["width"].as_u64(), "{width}: {seen:#}");
        // The script of this test is the only one.
        assert_eq!(seen["scripts"], 1);
    }
    assert_eq!(all.len(), WIDTHS.len());
    assert!(std::fs::metadata(picture).unwrap().len() > 50_000, "an empty picture");
    all[1]["text"].as_str().unwrap().to_owned()
}

#[test]
fn a_restore_is_told_on_one_page() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("reported");
    let pgmig = backup.restore_into(&target).args(["--report", "ticket", "--keep-previous", "--jobs", "3"]);
    let outcome = pgmig.run().expect_status(0).keeps_secret(&target.server.password);
    let outcome = outcome.stderr_has("the report is in ticket/report.html");
    let (page, report) = files(&outcome);
    let sum = Command::new("sha256sum").arg(&backup.archive).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    assert_eq!(report["archive_sha256"].as_str(), sum.split(' ').next());
    assert_eq!((&report["error"], &report["target"]["database"]), (&Value::Null, &json!(target.name)));
    let previous = databases_beside(&target).trim().to_owned();
    let command = format!("pgmig previous rollback {previous} -t postgres.yaml");
    assert_eq!(report["go_back"], json!([command]));
    let timeline = &report["timeline"];
    let steps: Vec<&str> =
        timeline["steps"].as_array().unwrap().iter().filter_map(|step| step["what"].as_str()).collect();
    assert!(["pre-data", "data", "upgrade", "swap"].iter().all(|step| steps.contains(step)), "{steps:?}");
    let work: Vec<&Value> = timeline["connections"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|lane| lane["work"].as_array().unwrap())
        .collect();
    let is_there = |what: &str| work.iter().any(|piece| piece["what"].as_str().unwrap().contains(what));
    assert!(is_there("rows of store.tenant") && is_there("CONSTRAINT store."), "{timeline:#}");
    let text = fits(&page);
    for part in [
        "complete",
        "Where the time went",
        "Connections at work",
        "Tables",
        "Instances",
        "Migrations",
        "How to go back",
        "Contoso Bank",
        "store.workspace",
        "environments get a table",
        sum.split(' ').next().unwrap(),
        &command,
        "enteredMapping.yaml",
        "from server",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let dark = look(&page, &WIDTHS[..1], None, &["--blink-settings=preferredColorScheme=0"]);
    assert_eq!(dark[0]["back"], "rgb(20, 24, 30)", "a dark page");
    let paper = page.with_file_name("printed.pdf");
    print(&page, &paper);
    let paper = std::fs::read(paper).unwrap();
    assert!(paper.starts_with(b"%PDF") && paper.len() > 20_000, "{}", paper.len());
    if let Some(directory) = std::env::var_os("PGMIG_PICTURES") {
        for name in ["report.html", "picture.png", "printed.pdf"] {
            std::fs::copy(page.with_file_name(name), Path::new(&directory).join(name)).unwrap();
        }
    }
    let page = std::fs::read_to_string(page).unwrap();
    let has_no = |what: &str| assert!(!page.contains(what), "{what}");
    ["http://", "https://", "src=", "<script", "@import", "url("].into_iter().for_each(has_no);
    target.server.psql("postgres", &format!("DROP DATABASE {previous}"));
}

/// Of three restores the second one fails on the way, and the third one does not begin.
#[test]
fn a_set_is_told_on_one_page() {
    let backup = Backup::of_oldest_release();
    let targets = [backup.target("set_page_1"), backup.target("set_page_2"), backup.target("set_page_3")];
    let session = HeldSession::open(&targets[1], "client");
    let pgmig = set(&backup, &targets.each_ref()).args(["--swap-wait", "1", "--report", "ticket"]);
    let outcome = pgmig.run().expect_status(3).stderr_has("the report is in ticket/report.html");
    drop(session);
    let (page, report) = files_of(&outcome, "report_set");
    let restores = report["restores"].as_array().unwrap();
    let outcomes: Vec<(bool, &Value)> =
        restores.iter().map(|each| (each["restore"].is_null(), &each["error"]["code"])).collect();
    assert_eq!(outcomes, [(false, &Value::Null), (true, &json!("target-in-use")), (true, &Value::Null)]);
    assert_eq!(report["error"]["code"], "target-in-use");
    let text = fits(&page);
    for part in
        ["1 of 3 restores complete", "target-in-use", "not begun", "store.workspace", &targets[2].name]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_backup_is_told_on_one_page() {
    let backup = Backup::of_oldest_release();
    let pgmig =
        Pgmig::new().without_arguments().arg("inspect").arg(&backup.archive).args(["--report", "ticket"]);
    let outcome = pgmig.run().expect_status(0).stderr_has("the report is in ticket/report.html");
    let (page, report) = files_of(&outcome, "report_inspect");
    assert!(report["inspection"]["tables"].as_array().unwrap().len() > 5, "{report:#}");
    let text = fits(&page);
    let hash = report["archive_sha256"].as_str().unwrap();
    for part in ["Tables by size", "store.workspace", "Instances", "Contoso Bank", "TABLE DATA", "gzip", hash]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_failure_is_told_too() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("reported_failure");
    let before = Before::of(&target);
    let restore = || backup.restore_into(&target).args(["--report", "ticket"]);
    let told = |pgmig: Pgmig, status: i32, code: &str, says: &str| {
        let outcome = before.is_now(pgmig.run().expect_status(status));
        let (page, report) = files(&outcome);
        assert_eq!((&report["error"]["code"], &report["restore"]), (&json!(code), &Value::Null));
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.contains("there is nothing to go back from") && text.contains(says), "{text}");
        // The refusal has the longest text.
        if status == 3 {
            fits(&page);
        }
    };
    told(restore().failpoint("data"), 1, "failpoint", "failpoint data");
    let refused = Pgmig::new().target(&TargetFile::of(&target)).args(["--report", "ticket"]);
    told(backup.restore(refused), 3, "target-not-empty", "holds data");
    let missing =
        Pgmig::new().target(&TargetFile::of(&target)).args(["-s", "nothing.dump", "--report", "ticket"]);
    told(missing.arg("--keep-ids"), 2, "backup-not-found", "nothing.dump");
    // A place that cannot be written to is an error before anything else.
    let nowhere = backup.restore_into(&target).args(["--report", "/proc/nowhere"]);
    before.is_now(nowhere.run().expect_status(1).stderr_has("cannot write the report to /proc/nowhere"));
}

#[test]
fn names_of_others_cannot_become_a_part_of_the_page() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("reported_markup");
    let hostile = r#"<img src=x onerror="x"><script>alert(1)</script>"#;
    target.psql(&format!(r#"CREATE SCHEMA s; CREATE TABLE s."{}" (a int)"#, hostile.replace('"', "\"\"")));
    target.psql(&format!(r#"INSERT INTO s."{}" VALUES (1)"#, hostile.replace('"', "\"\"")));
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("<b>&.dump");
    target.dump_through_pipe(&[], &archive);
    let pgmig =
        Pgmig::new().target(&TargetFile::of(&target)).source(&archive).args(["--force", "--keep-ids"]);
    let outcome = pgmig.args(["--report", "ticket", "--strategy", "in-place"]).run().expect_status(0);
    let (page, report) = files(&outcome);
    assert_eq!(report["restore"]["strategy"], "in-place");
    let seen = look(&page, &[800], None, &[]).remove(0);
    assert_eq!(seen["scripts"], 1);
    let text = seen["text"].as_str().unwrap();
    assert!(text.contains("<script>alert(1)</script>") && text.contains("<b>&.dump"), "{text}");
    assert!(text.contains("neither the previous database"), "{text}");
}
