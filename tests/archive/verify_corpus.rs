//! `pgmig verify` and `pgmig inspect --list` over every archive of a corpus. Sound archives pass, damaged ones are
//! reported with the place of the damage, and lists equal those of pg_restore.

#![allow(clippy::print_stdout, reason = "how much was compared is told")]

use crate::support::corpus::{archives, can_be_a_stream, directory};
use crate::support::damage::malformed;
use crate::support::document::document;
use crate::support::fixture::fixture;
use crate::support::listing::{self, listing_of, listings};
use crate::support::pgmig::{Outcome, Pgmig, binary};
use crate::support::server::Server;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The limit of the address space in KiB. It is enough for any damaged archive, because threads and the program itself
/// need most of it. A program that believes a wrong length exceeds it.
const DAMAGED_KIB: u32 = 640 * 1024;

#[test]
fn sound_archives_pass() {
    let archives = archives(&directory());
    assert!(!archives.is_empty());
    let outcome = Pgmig::new()
        .args(["verify", "--no-progress"])
        .args(&archives)
        .timeout(Duration::from_secs(600))
        .run()
        .expect_status(0);
    assert_eq!(outcome.stdout.lines().count(), archives.len());
    for (archive, line) in archives.iter().zip(outcome.stdout.lines()) {
        assert!(line.starts_with(&format!("{}: sound: ", archive.display())), "{line}");
    }
    println!("{} archives", archives.len());
}

/// From standard input, pgmig finds the same as in the file.
#[test]
fn standard_input_holds_what_the_file_holds() {
    let mut compared = 0;
    for archive in archives(&directory()).into_iter().filter(|archive| can_be_a_stream(archive)) {
        let found = |pgmig: Pgmig| {
            let outcome = pgmig.run().expect_status(0);
            let mut document = document(&outcome, "verify");
            let contents = &mut document["archives"][0];
            let mut tables = contents["tables"].as_array().expect("tables are listed").clone();
            let rows = tables.iter_mut().map(|table| (table["table"].take(), table["rows"].take()));
            let mut rows: Vec<_> = rows.map(|(table, rows)| format!("{table} {rows}")).collect();
            rows.sort();
            (rows, contents["entries"].take(), contents["large_objects"].take())
        };
        let verify = || Pgmig::new().args(["verify", "--output", "json", "--no-progress"]);
        assert!(
            found(verify().arg("-").stdin(&archive)) == found(verify().arg(&archive)),
            "{}: standard input and file differ",
            archive.display()
        );
        compared += 1;
    }
    println!("{compared} compared");
    assert!(compared > 0);
}

/// A damaged file, the expected result, and the file's place.
struct Damaged {
    name: String,
    verdict: String,
    path: PathBuf,
    /// Keeps the unpacked file until the end of the test.
    _unpacked: Option<tempfile::TempDir>,
}

/// The damaged files of the fixtures, and those of `damaged/` in the corpus.
fn damaged() -> Vec<Damaged> {
    let verdicts = |list: &Path| -> Vec<(String, String)> {
        let text = std::fs::read_to_string(list).expect("the list is there");
        let fields = text.lines().map(|line| line.split('\t').map(ToOwned::to_owned).collect::<Vec<_>>());
        fields.map(|fields| (fields[0].clone(), fields[1].clone())).collect()
    };
    let unpack = |(name, verdict): (String, String)| {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join(&name);
        std::fs::write(&path, malformed(&name)).expect("a file can be written");
        Damaged { name, verdict, path, _unpacked: Some(directory) }
    };
    let mut damaged: Vec<Damaged> =
        verdicts(&fixture("malformed/EXPECTED.tsv")).into_iter().map(unpack).collect();
    let corpus = directory().join("damaged");
    if corpus.is_dir() {
        let given = |(name, verdict): (String, String)| {
            let path = corpus.join(&name);
            Damaged { name, verdict, path, _unpacked: None }
        };
        damaged.extend(verdicts(&corpus.join("EXPECTED.tsv")).into_iter().map(given));
    }
    damaged
}

fn verify_in_little_memory(path: &Path) -> (Option<i32>, String, String) {
    let script = format!("ulimit -v {DAMAGED_KIB}; exec \"$0\" verify --no-progress \"$1\"");
    let output =
        Command::new("bash").args(["-c", &script]).arg(binary()).arg(path).output().expect("bash runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("pgmig prints UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn damaged_archives_are_told_with_the_place() {
    let damaged = damaged();
    assert!(damaged.len() >= 59);
    for Damaged { name, verdict, path, .. } in &damaged {
        let (status, stdout, stderr) = verify_in_little_memory(path);
        println!("{verdict}: {stdout}");
        assert_eq!(stdout.lines().count(), 1, "{name}: {status:?} {stdout} {stderr}");
        assert!(!stderr.contains("panicked"), "{name}: {stderr}");
        match (verdict.as_str(), status) {
            ("refuse" | "either", Some(1)) => {
                let reason = stdout.split_once(": cannot be restored: ").expect("a reason is given").1;
                assert!(reason.len() > 20, "{name}: {reason}");
                assert!(has_place(reason), "{name}: no place in {reason}");
            }
            ("sound" | "either", Some(0)) => assert!(stdout.contains(": sound: "), "{name}: {stdout}"),
            _ => panic!("{name}, {verdict}: {status:?} {stdout} {stderr}"),
        }
    }
}

/// The place of a fault: a byte, an entry, or the whole file.
fn has_place(reason: &str) -> bool {
    ["byte ", "dump ID", "is not a", "container version"].iter().any(|place| reason.contains(place))
}

fn list(archive: &Path) -> Outcome {
    Pgmig::new().args(["inspect", "--list"]).arg(archive).run().expect_status(0)
}

/// The list without the line that says when the archive was made, because it depends on the time zone. Also without the
/// database's entry (catalog 1262), which pg_restore 10 and older list, too. Those versions also print line ends in
/// names unchanged.
fn essential(listing: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in listing.lines() {
        match lines.last_mut().filter(|_| !line.starts_with(|c: char| c == ';' || c.is_ascii_digit())) {
            Some(last) => last.extend([" ", line]),
            None => lines.push(line.to_owned()),
        }
    }
    lines.retain(|line| !line.starts_with("; Archive created at") && !line.contains("; 1262 "));
    lines
}

/// Compares every stored list. Prints the archives that have none, such as scripts, which pg_restore does not list.
#[test]
fn listings_are_those_of_pg_restore() {
    let (mut compared, mut without) = (BTreeSet::new(), Vec::new());
    for archive in archives(&directory()) {
        let found = list(&archive).stdout;
        let Some(expected) = listing_of(&archive) else {
            without.push(archive);
            continue;
        };
        assert_eq!(essential(&found), essential(&listing::read(&expected)), "{}", archive.display());
        compared.insert(expected);
    }
    println!("{} listings; none is stored of {without:?}", compared.len());
    let stored: BTreeSet<PathBuf> = listings(&directory()).into_iter().collect();
    let left: Vec<_> = stored.difference(&compared).collect();
    assert!(left.is_empty(), "of which archive are these? {left:?}");
    assert!(!compared.is_empty());
}

/// `pg_restore --use-list` with pgmig's list gives the same result as pg_restore without a list.
#[test]
fn pg_restore_takes_the_listing() {
    let server = Server::of_this_run();
    let directory = tempfile::tempdir().unwrap();
    let list_file = directory.path().join("list");
    let mut taken = 0;
    for archive in archives(&self::directory()) {
        let path = archive.to_str().expect("a path of the corpus is UTF-8");
        let by_pg_restore = |args: &[&str]| {
            let output = server.program("pg_restore").args(args).arg(path).output().expect("pg_restore runs");
            output.status.success().then_some(output.stdout)
        };
        let Some(whole) = by_pg_restore(&["-f", "-"]) else {
            println!("{path}: this pg_restore cannot read it");
            continue;
        };
        std::fs::write(&list_file, list(&archive).stdout).unwrap();
        let use_list = ["-f", "-", "-L", list_file.to_str().unwrap()];
        let selected = by_pg_restore(&use_list).expect("pg_restore takes the listing");
        assert!(script(&whole) == script(&selected), "{path}: the scripts differ");
        taken += 1;
    }
    assert!(taken > 0);
}

/// The output without the random token that newer minor releases of pg_restore write.
fn script(text: &[u8]) -> Vec<&[u8]> {
    let is_token = |line: &&[u8]| line.starts_with(b"\\restrict ") || line.starts_with(b"\\unrestrict ");
    text.split(|byte| *byte == b'\n').filter(|line| !is_token(line)).collect()
}
