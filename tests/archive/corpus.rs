//! Every full archive of a corpus, restored by pgmig and by pg_restore: pg_dump cannot tell the results apart.
//!
//! Packed directories, tars and scripts are compared with what pg_restore makes of a custom archive of the same database.
//!
//! `PGMIG_CORPUS=DIR make test-corpus` uses the archives below DIR, `make test` uses those of `fixtures/`.

use crate::support::corpus::{self, Contents};
use crate::support::database::quoted;
use crate::support::fixture::fixture;
use crate::support::pgmig::TargetFile;
use crate::support::restored::Restored;
use crate::support::role::ordinary_role;
use crate::support::{Database, Pgmig, Server};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;

/// Errors of pg_restore after which its result is still the right one, and the reasons.
const TOLERATED: [(&str, &str); 1] =
    [("schema \"public\" already exists", "pg_dump 10 and older write CREATE SCHEMA public")];

/// The result of restoring an archive.
enum Verdict {
    /// pgmig's result equals that of pg_restore, which reported these tolerated errors.
    Equal(Vec<String>),
    /// A partial archive, which pgmig refused.
    Refused(String),
    /// pg_restore gave no result to compare with.
    Skipped(String),
    /// The results differ.
    Wrong(String),
}

#[test]
#[allow(clippy::print_stdout, reason = "the report of `make test-corpus`")]
fn every_full_archive_is_restored_as_pg_restore_does_it() {
    let server = Server::of_this_run();
    server.create_corpus_roles();
    let directory = corpus::directory();
    let archives = corpus::archives(&directory);
    let verdicts = in_parallel(&archives, |archive| {
        let verdict = verdict(&server, archive);
        show(archive.strip_prefix(&directory).unwrap_or(archive), &verdict);
        verdict
    });
    let count = |is: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| is(verdict)).count();
    let equal = count(|verdict| matches!(verdict, Verdict::Equal(_)));
    let refused = count(|verdict| matches!(verdict, Verdict::Refused(_)));
    let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
    let wrong = count(|verdict| matches!(verdict, Verdict::Wrong(_)));
    let totals = format!("{equal} equal, {refused} refused as partial, {skipped} skipped, {wrong} wrong");
    print_line(&format!("{} archives: {totals}", archives.len()));
    assert_eq!(wrong, 0, "archives that pgmig did not restore as pg_restore does");
    assert!(equal > 0, "no archive below {} was restored", directory.display());
}

fn show(archive: &Path, verdict: &Verdict) {
    let text = match verdict {
        Verdict::Equal(errors) if errors.is_empty() => "equal".to_owned(),
        Verdict::Equal(errors) => format!("equal; pg_restore says: {}", errors.join("; ")),
        Verdict::Refused(why) => format!("refused as partial: {why}"),
        Verdict::Skipped(why) => format!("skipped: {why}"),
        Verdict::Wrong(what) => format!("WRONG: {what}"),
    };
    print_line(&format!("{}: {text}", archive.display()));
}

#[allow(clippy::print_stdout, reason = "what was compared, and what was not, is this test's result")]
fn print_line(line: &str) {
    println!("{line}");
}

/// pg_dump 17 and newer write large objects in groups. An older pg_restore cannot read these entries; pgmig restores
/// them on any server. The three archives hold the same objects.
#[test]
fn large_objects_of_newer_releases() {
    let server = Server::of_this_run();
    server.create_corpus_roles();
    let oracle = Database::create_on(&server, "objects");
    oracle.restore_with_pg_restore(&fixture("archives/manylo_15.dump"), &["--no-owner"]);
    let (expected, grants) = (Restored::of(&oracle), oracle.psql(LARGE_OBJECT_GRANTS));
    for archive in ["manylo_17", "manylo_18"] {
        let target = Database::create_on(&server, "objects");
        let archive = fixture(&format!("archives/{archive}.dump"));
        Pgmig::new()
            .target(&TargetFile::of(&target))
            .source(&archive)
            .args(["--keep-ids", "--schema", "archive"])
            .run()
            .expect_status(0);
        assert_eq!(expected.difference(&Restored::of(&target)), None);
        assert_eq!(grants, target.psql(LARGE_OBJECT_GRANTS));
    }
}

/// Objects that do not belong to the owner, by number.
const LARGE_OBJECT_GRANTS: &str = "
    SELECT pg_get_userbyid(grantee), privilege_type, count(*), min(oid), max(oid)
    FROM pg_largeobject_metadata, aclexplode(lomacl)
    WHERE grantee <> lomowner GROUP BY 1, 2 ORDER BY 1, 2";

/// Two archives at a time: most of the work is the server's.
pub(crate) fn in_parallel<V: Send>(archives: &[PathBuf], check: impl Fn(&Path) -> V + Sync) -> Vec<V> {
    let queue = Mutex::new(archives.iter().enumerate());
    let work = || {
        let mut done = Vec::new();
        loop {
            let next = queue.lock().expect("no worker panics with the lock").next();
            let Some((index, archive)) = next else { return done };
            done.push((index, check(archive)));
        }
    };
    let mut done: Vec<_> = std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.into_iter().flat_map(|worker| worker.join().expect("a check does not panic")).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, verdict)| verdict).collect()
}

fn verdict(server: &Server, archive: &Path) -> Verdict {
    match Contents::of(archive, server.major_version()) {
        Contents::Full => compare(server, archive),
        Contents::Partial(why) => refusal(server, archive, why),
        Contents::Newer(why) => Verdict::Skipped(why),
        Contents::Unreadable(error) => unreadable(server, archive, &error.to_string()),
    }
}

/// If pgmig cannot read an archive, pg_restore must not be able to read it either.
fn unreadable(server: &Server, archive: &Path, error: &str) -> Verdict {
    let mut pg_restore = server.program("pg_restore");
    let output = pg_restore.args(["-f", "/dev/null"]).arg(archive).output().expect("pg_restore runs");
    match output.status.success() {
        true => Verdict::Wrong(format!("pg_restore reads it, pgmig does not: {error}")),
        false => Verdict::Skipped(error.to_owned()),
    }
}

fn refusal(server: &Server, archive: &Path, why: String) -> Verdict {
    let target = Database::create_on(server, "partial");
    let outcome = Pgmig::new()
        .target(&TargetFile::of(&target))
        .source(archive)
        .args(["--keep-ids", "--schema", "archive"])
        .run();
    match outcome.status.code() {
        Some(3) if outcome.stderr.contains("the archive is a partial one") => Verdict::Refused(why),
        _ => Verdict::Wrong(format!("it is partial ({why}), and pgmig did not refuse it: {outcome}")),
    }
}

/// Restores the archive by pg_restore as superuser, which is the oracle; by pgmig from the file, for a superuser; and
/// by pgmig from standard input, if possible, for an ordinary owner of the database. Each pgmig restore runs twice: by
/// a swap, then in place over its result.
fn compare(server: &Server, archive: &Path) -> Verdict {
    let oracle = Database::create_on(server, "oracle");
    let Some(same) = corpus::custom_of_the_same(archive) else {
        return Verdict::Wrong("there is no custom archive of the same database".to_owned());
    };
    let errors = match restore_with_pg_restore(&oracle, &same) {
        Ok(tolerated) => tolerated,
        Err(error) => return Verdict::Skipped(format!("pg_restore cannot restore it here: {error}")),
    };
    let expected = Restored::of(&oracle);
    drop(oracle);
    let owner = ordinary_role(server);
    for (username, from_stdin) in
        [(server.superuser.as_str(), false), (owner, corpus::can_be_a_stream(archive))]
    {
        let clauses = format!("TEMPLATE template0 OWNER {}", quoted(username));
        let target = Database::create_with(server, "corpus", &clauses);
        let file = TargetFile { username: username.to_owned(), ..TargetFile::of(&target) };
        for strategy in ["swap", "in-place"] {
            let restore = |more: &[&str]| {
                let pgmig = Pgmig::new().target(&file).args(["--force", "--keep-ids", "--schema", "archive"]);
                let pgmig = match from_stdin {
                    true => pgmig.args(["--source", "-"]).stdin(archive),
                    false => pgmig.source(archive),
                };
                pgmig.args(["--strategy", strategy]).args(more.iter().copied()).run()
            };
            let mut outcome = restore(&[]);
            // Some archives hold objects that only a superuser can make, and later only a superuser can drop.
            let needs_trust = ["if you trust the backup", "the target cannot be cleared"];
            if outcome.status.code() == Some(3)
                && needs_trust.iter().any(|text| outcome.stderr.contains(text))
            {
                outcome = restore(&["--trust-archive"]);
            }
            if outcome.status.code() != Some(0) {
                return Verdict::Wrong(format!("{strategy} as {username}: {outcome}"));
            }
            let restored = Restored::of(&target);
            let difference = match strategy {
                "swap" => expected.difference(&restored),
                _ => expected.in_any_order().difference(&restored.in_any_order()),
            };
            if let Some(difference) = difference {
                return Verdict::Wrong(format!("{strategy} as {username}:\n{difference}"));
            }
        }
    }
    Verdict::Equal(errors)
}

/// The tolerated errors, or the first error that is not tolerated.
fn restore_with_pg_restore(database: &Database, archive: &Path) -> Result<Vec<String>, String> {
    let mut pg_restore = database.server.program("pg_restore");
    let output = pg_restore
        .args(["--no-owner", "-d", &database.name])
        .arg(archive)
        .stdin(Stdio::null())
        .output()
        .expect("pg_restore runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<_> = stderr.lines().filter(|line| line.contains("error:")).map(str::to_owned).collect();
    let is_tolerated = |error: &String| TOLERATED.iter().any(|(message, _)| error.ends_with(message));
    match errors.iter().find(|error| !is_tolerated(error)) {
        Some(error) => Err(error.clone()),
        None if errors.is_empty() && !output.status.success() => Err(stderr.into_owned()),
        None => Ok(errors),
    }
}
