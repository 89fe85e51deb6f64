//! Buckets to a directory and back: everything is copied, once, and nothing is deleted unasked.

use super::bucket_server::BucketServer;
use crate::support::document::document;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BUCKETS: [&str; 3] = ["speech-service-base-models", "stt-async-icp", "stt-customization-icp"];

/// Keys that a path of a file system would change, or that a signature quotes. The body of each is "hello".
const KEYS: [&str; 14] = [
    "customizations/1/model.bin",
    "a",
    "a/b",
    "a/b c+d",
    "ä/ß=&?#%41",
    "a//b",
    "/lead",
    "..../etc/passwd",
    "a/...b",
    "trail/",
    "control\u{1}\u{7f}",
    "q*(~)!'\"<>&amp;",
    "objects.jsonl",
    "日本語.wav",
];
const HELLO: &str = "aGVsbG8=";

/// The sums that a report has over all buckets.
fn sums(outcome: &crate::support::Outcome) -> [u64; 5] {
    let report = document(outcome, "objects");
    let sum = |name: &str| {
        let buckets = report["buckets"].as_array().unwrap().iter();
        buckets.map(|bucket| bucket[name].as_u64().unwrap()).sum()
    };
    ["objects", "copied", "unchanged", "deleted", "only_at_target"].map(sum)
}

fn everything(server: &mut BucketServer) -> Vec<Value> {
    BUCKETS.iter().map(|bucket| server.objects(bucket)).collect()
}

#[test]
fn buckets_come_back_as_they_were() {
    let (mut source, mut target) = (BucketServer::start(), BucketServer::start());
    for bucket in BUCKETS {
        source.create(bucket);
        source.fill(bucket, "customizations/", 12, 1000);
    }
    source.create("another-bucket");
    let bucket = BUCKETS[2];
    for key in KEYS {
        source.put(bucket, key, HELLO);
    }
    source.put(bucket, "empty", "");
    // Sent in two parts.
    source.fill(bucket, "long-", 1, 17 << 20);
    let attributes = json!({"ContentType": "audio/wav", "ContentEncoding": "gzip", "CacheControl": "no-cache",
        "Metadata": {"owner": "00000000-0000-0000-1764-035503433645"}});
    for key in ["described", "described//too"] {
        source.ask(
            &json!({"do": "put", "bucket": bucket, "key": key, "body": HELLO, "attributes": attributes}),
        );
    }
    let held = everything(&mut source);
    let directory = TempDir::new().unwrap();
    let directory = directory.path();
    let all = 3 * 12 + 18;

    let outcome = source.run("backup", directory, &["--output", "json"]).expect_status(0);
    assert_eq!(sums(&outcome), [all, all, 0, 0, 0]);
    // The bucket that was not asked for is not there, and no key has left the folder.
    let mut names: Vec<_> = directory.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, BUCKETS);
    // The manifest has the checksums that the other client found.
    let manifest = std::fs::read_to_string(directory.join(bucket).join("objects.jsonl")).unwrap();
    let lines = manifest.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let stored: Vec<Value> = lines.filter(|line| line["key"].is_string()).collect();
    assert_eq!(stored.len(), held[2].as_object().unwrap().len());
    for stored in &stored {
        let theirs = &held[2][stored["key"].as_str().unwrap()];
        assert_eq!((&stored["sha256"], &stored["size"]), (&theirs["sha256"], &theirs["size"]), "{stored}");
    }
    source.run("verify", directory, &[]).expect_status(0).stdout_has("0 faults");

    // A second backup asks for lists only.
    source.requests("GET");
    let again = source.run("backup", directory, &["--output", "json"]).expect_status(0);
    assert_eq!(sums(&again), [all, 0, all, 0, 0]);
    assert!(source.requests("GET").keys().all(|path| BUCKETS.contains(&path.trim_matches('/'))));

    // The target has none of the buckets.
    let outcome = target.run("restore", directory, &["--output", "json"]).expect_status(0);
    assert_eq!(sums(&outcome), [all, all, 0, 0, 0]);
    assert!(document(&outcome, "objects")["buckets"][0]["created"].as_bool().unwrap());
    assert_eq!(everything(&mut target), held);
    assert_eq!(target.objects("another-bucket"), Value::Null);
    target.requests("PUT");
    let again = target.run("restore", directory, &["--output", "json"]).expect_status(0);
    assert_eq!(sums(&again), [all, 0, all, 0, 0]);
    assert!(target.requests("PUT").is_empty());
    let verified = target.run("verify", directory, &["--output", "json"]).expect_status(0);
    assert_eq!(document(&verified, "objects")["faults"], json!([]));
}

/// Waits until this holds.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

#[test]
fn an_interrupted_copy_is_gone_on_with() {
    let mut server = BucketServer::start();
    let bucket = BUCKETS[1];
    server.create(bucket);
    server.fill(bucket, "job-slow-", 16, 5000);
    let held = server.objects(bucket);
    let directory = TempDir::new().unwrap();
    let directory = directory.path();
    let progress = directory.join(bucket).join("progress.jsonl");
    server.requests("GET");

    // Killed, and interrupted.
    for (signal, received) in [("KILL", 3), ("INT", 8)] {
        let running = server.pgmig("backup", directory).args(["--jobs", "2"]).spawn();
        until("objects are received", || lines(&progress) >= received);
        running.signal(signal);
        let outcome = running.wait();
        if signal == "INT" {
            outcome.expect_status(130).stderr_has("the same command goes on");
        }
        assert!(lines(&progress) < 16 && !directory.join(bucket).join("objects.jsonl").exists());
    }
    // A copy that is not complete is no backup.
    server.run("restore", directory, &[]).expect_status(2).stderr_has("objects.jsonl does not exist");
    let noted = u64::try_from(lines(&progress)).unwrap();
    // What a killed run was writing.
    std::fs::OpenOptions::new()
        .append(true)
        .open(&progress)
        .and_then(|mut file| std::io::Write::write_all(&mut file, b"{\"key\":\"cut o"))
        .unwrap();
    let outcome = server.run("backup", directory, &["--output", "json"]).expect_status(0);
    let [objects, copied, unchanged, ..] = sums(&outcome);
    assert_eq!((objects, copied, unchanged), (16, 16 - noted, noted));
    assert!(!progress.exists());
    // At most those were received twice that were on the way when a run ended.
    let received: u64 =
        server.requests("GET").iter().filter(|(path, _)| path.contains("job")).map(|(_, n)| n).sum();
    assert!((16..=20).contains(&received), "{received}");

    server.clear(bucket);
    let running = server.pgmig("restore", directory).args(["--jobs", "2"]).spawn();
    until("objects are stored", || server.count(bucket) >= 3);
    running.signal("TERM");
    running.wait().expect_status(130);
    let there = u64::try_from(server.count(bucket)).unwrap();
    let outcome = server.run("restore", directory, &["--output", "json"]).expect_status(0);
    let [objects, copied, unchanged, ..] = sums(&outcome);
    assert_eq!((objects, copied + unchanged), (16, 16));
    assert!(there < 16 && unchanged >= there, "{there} {unchanged}");
    assert_eq!(server.objects(bucket), held);
}

#[test]
fn nothing_is_deleted_unless_asked_for() {
    let mut server = BucketServer::start();
    let bucket = "of-our-own";
    server.create(bucket);
    server.fill(bucket, "model/", 3, 100);
    let directory = TempDir::new().unwrap();
    let directory = directory.path();
    let named = |more: &[&'static str]| [&["--bucket", bucket, "--output", "json"], more].concat();
    server.run("backup", directory, &named(&[])).expect_status(0);
    let files = || {
        let folders = directory.join(bucket).join("objects").read_dir().unwrap();
        folders.map(|folder| folder.unwrap().path().read_dir().unwrap().count()).sum::<usize>()
    };

    // The bucket loses an object, and another one changes.
    server.delete(bucket, "model/0");
    server.put(bucket, "model/1", HELLO);
    let outcome = server.run("backup", directory, &named(&[])).expect_status(0);
    assert_eq!((sums(&outcome), files()), ([2, 1, 1, 0, 1], 3));
    server.run("verify", directory, &["--bucket", bucket]).expect_status(1).stdout_has("model/0");
    let outcome = server.run("backup", directory, &named(&["--delete"])).expect_status(0);
    assert_eq!((sums(&outcome), files()), ([2, 0, 2, 1, 0], 2));
    server.run("verify", directory, &["--bucket", bucket]).expect_status(0);

    // The bucket has an object that the directory does not have.
    server.put(bucket, "new//one", HELLO);
    server.put(bucket, "new", HELLO);
    let held = server.objects(bucket);
    let outcome = server.run("restore", directory, &named(&[])).expect_status(0);
    assert_eq!((sums(&outcome), server.objects(bucket)), ([2, 0, 2, 0, 2], held));
    let text = server.run("restore", directory, &["--bucket", bucket]).expect_status(0);
    text.stdout_has(
        "the bucket keeps 2 objects that the directory does not have (--delete deletes such objects)",
    );
    let outcome = server.run("restore", directory, &named(&["--delete"])).expect_status(0);
    assert_eq!(sums(&outcome), [2, 0, 2, 2, 0]);
    let left: Vec<String> = server.objects(bucket).as_object().unwrap().keys().cloned().collect();
    assert_eq!(left, ["model/1", "model/2"]);
}
