//! Servers that fail, damaged copies, and mistakes.

use super::bucket_server::BucketServer;
use crate::support::Pgmig;
use crate::support::certificate::Identity;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const BUCKET: &str = "stt-customization-icp";

/// The files of objects, in the order of their names.
fn files(directory: &Path) -> Vec<PathBuf> {
    let folders = directory.join(BUCKET).join("objects").read_dir().unwrap();
    let mut files: Vec<PathBuf> = folders
        .flat_map(|folder| folder.unwrap().path().read_dir().unwrap().map(|file| file.unwrap().path()))
        .collect();
    files.sort();
    files
}

/// One server for several tests: it takes seconds to start.
#[test]
fn mistakes_and_connections() {
    let mut server = BucketServer::start();
    for test in [mistakes_are_named, a_server_is_trusted_by_its_ca, wrong_keys_are_refused] {
        test(&mut server);
        server.clear(BUCKET);
    }
}

#[test]
fn faults_of_servers_and_copies() {
    let mut server = BucketServer::start();
    let tests = [
        a_server_that_fails_is_asked_again,
        a_busy_server_is_waited_for,
        damage_is_found,
        the_server_is_compared_with_the_backup,
    ];
    for test in tests {
        test(&mut server);
        server.clear(BUCKET);
    }
}

fn a_server_is_trusted_by_its_ca(server: &mut BucketServer) {
    server.create(BUCKET);
    server.fill(BUCKET, "a", 2, 10);
    let directory = TempDir::new().unwrap();
    let backup = |host: &str| {
        let pgmig = Pgmig::new().args(["objects", "backup", "--directory"]).arg(directory.path());
        server.at(pgmig, host)
    };
    let refused = "the server's certificate is not accepted";
    backup("localhost").run().expect_status(1).stderr_has(refused);
    let other = Identity::authority("another CA").pem();
    let by = |host: &str, ca: &str| backup(host).file("ca.crt", ca).args(["--ca-file", "ca.crt"]).run();
    by("localhost", &other).expect_status(1).stderr_has(refused);
    // Another name of this machine, which the certificate does not have.
    by("localhost.localdomain", &server.authority.pem()).expect_status(1);
    by("127.0.0.2", &server.authority.pem()).expect_status(1);
    by("localhost", "no certificate").expect_status(2).stderr_has("cannot read the CA file ca.crt");
    backup("localhost").args(["--ca-file", "missing"]).run().expect_status(2).stderr_has("missing");
    assert!(!directory.path().join(BUCKET).join("objects.jsonl").exists());
    for host in ["localhost", "127.0.0.1"] {
        by(host, &server.authority.pem()).expect_status(0);
    }
    let outcome = backup("127.0.0.1").arg("--insecure").run().expect_status(0);
    outcome.stderr_has("the server's certificate is not verified (--insecure)");
}

fn wrong_keys_are_refused(server: &mut BucketServer) {
    server.create(BUCKET);
    let directory = TempDir::new().unwrap();
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let pgmig =
        server.pgmig("backup", directory.path()).file("secret", secret).args(["--log-level", "trace"]);
    let outcome = pgmig.run().expect_status(1).keeps_secret(secret);
    outcome
        .stderr_has("SignatureDoesNotMatch")
        .stderr_has("bucket speech-service-base-models on https://localhost");
    let pgmig = server.pgmig("backup", directory.path()).file("access", "AKIAIOSFODNN7EXAMPLE");
    pgmig.run().expect_status(1).stderr_has("InvalidAccessKeyId");
    for (key, said) in [("", "the secret key is empty"), ("a\u{1}b", "characters that no such key has")] {
        let pgmig = server.pgmig("backup", directory.path()).file("secret", key);
        pgmig.run().expect_status(2).stderr_has(said);
    }
}

fn a_server_that_fails_is_asked_again(server: &mut BucketServer) {
    server.create(BUCKET);
    for prefix in ["the-cut-one", "the-cut//one", "the-lossy-one"] {
        server.fill(BUCKET, prefix, 1, 300_000);
    }
    let held = server.objects(BUCKET);
    let directory = TempDir::new().unwrap();
    server.requests("GET");
    server.run("backup", directory.path(), &[]).expect_status(0);
    let asked = server.requests("GET");
    assert_eq!(asked[&format!("/{BUCKET}/the-cut-one0")], 2, "{asked:?}");
    server.run("verify", directory.path(), &[]).expect_status(0);

    // A server that stores something else is found out by its checksum.
    for key in held.as_object().unwrap().keys() {
        server.delete(BUCKET, key);
    }
    let outcome = server.run("restore", directory.path(), &["--jobs", "1"]).expect_status(1);
    outcome.stderr_has("the-lossy-one0").stderr_has("the server has stored something else");
    let verified = server.run("verify", directory.path(), &[]).expect_status(1);
    verified.stdout_has("its content on the server is another one");
}

fn a_busy_server_is_waited_for(server: &mut BucketServer) {
    server.create(BUCKET);
    let directory = TempDir::new().unwrap();
    server.fill(BUCKET, "the-busy-one", 1, 1000);
    server.requests("PUT");
    server.run("backup", directory.path(), &[]).expect_status(0);
    let held = server.objects(BUCKET);
    server.delete(BUCKET, "the-busy-one0");
    server.requests("PUT");
    server.run("restore", directory.path(), &[]).expect_status(0);
    assert_eq!(server.requests("PUT")[&format!("/{BUCKET}/the-busy-one0")], 3);
    assert_eq!(server.objects(BUCKET), held);
}

fn damage_is_found(server: &mut BucketServer) {
    server.create(BUCKET);
    server.fill(BUCKET, "model/", 4, 1000);
    let held = server.objects(BUCKET);
    let directory = TempDir::new().unwrap();
    let directory = directory.path();
    server.run("backup", directory, &[]).expect_status(0);
    let files = files(directory);
    let sound = std::fs::read(&files[0]).unwrap();
    let verify = || Pgmig::new().args(["objects", "verify", "--directory"]).arg(directory);

    // Without a server, and without the keys of one.
    verify().run().expect_status(0).stdout_has("Verified 4 objects");
    let mut flipped = sound.clone();
    flipped[500] ^= 1;
    std::fs::write(&files[0], flipped).unwrap();
    std::fs::remove_file(&files[1]).unwrap();
    std::fs::write(files[2].with_file_name("stranger"), "x").unwrap();
    let outcome = verify().run().expect_status(1);
    let outcome = outcome.stdout_has("is not what was copied").stdout_has("stranger is of no object");
    outcome.stdout_has("No such file").stderr_has("3 faults found");
    // Nothing damaged is sent.
    for key in held.as_object().unwrap().keys() {
        server.delete(BUCKET, key);
    }
    let refused = server.run("restore", directory, &[]).expect_status(1);
    // Whichever comes first: the one that is not what was copied, or the one that is not there.
    assert!(
        refused.stderr.contains("is not what was copied") || refused.stderr.contains("No such file"),
        "{refused}"
    );
    let there = server.objects(BUCKET);
    for (key, object) in there.as_object().unwrap() {
        assert_eq!(object, &held[key]);
    }
    // A backup whose manifest is cut off, of another bucket, or of a later version.
    let manifest = directory.join(BUCKET).join("objects.jsonl");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (wrong, said) in [
        (lines[..3].join("\n"), "it is cut off, or lines are missing"),
        ([&lines[..2], &lines[3..]].concat().join("\n"), "it is cut off, or lines are missing"),
        (text.replacen(BUCKET, "another", 1), "it is that of bucket \"another\""),
        (text.replacen("\"pgmig_objects\":1", "\"pgmig_objects\":2", 1), "its form has version 2"),
        (text.replacen("\"size\":1000", "\"size\":-1", 1), "line 2"),
        ("hello".to_owned(), "it is not a manifest of pgmig objects"),
    ] {
        std::fs::write(&manifest, wrong).unwrap();
        for action in ["verify", "restore", "backup"] {
            server.run(action, directory, &[]).expect_status(1).stderr_has(said);
        }
    }
}

fn the_server_is_compared_with_the_backup(server: &mut BucketServer) {
    server.create(BUCKET);
    server.fill(BUCKET, "model/", 4, 1000);
    let directory = TempDir::new().unwrap();
    server.run("backup", directory.path(), &[]).expect_status(0);
    server.delete(BUCKET, "model/0");
    server.put(BUCKET, "model/1", "aGVsbG8=");
    // The same size.
    server.ask(&serde_json::json!({"do": "put", "bucket": BUCKET, "key": "model/2", "body": "A".repeat(1332) + "AA=="}));
    let outcome = server.run("verify", directory.path(), &[]).expect_status(1);
    let outcome = outcome.stdout_has("object \"model/0\": the server does not have it");
    let outcome = outcome.stdout_has("object \"model/1\": it has 5 bytes on the server instead of 1000");
    let outcome = outcome.stdout_has("object \"model/2\": its content on the server is another one");
    outcome.stderr_has("3 faults found");
}

fn mistakes_are_named(server: &mut BucketServer) {
    let directory = TempDir::new().unwrap();
    let directory = directory.path();
    let none = server.run("backup", directory, &[]).expect_status(2);
    none.stderr_has(
        "none of the buckets speech-service-base-models, stt-async-icp, stt-customization-icp exists",
    );
    server.create(BUCKET);
    let outcome = server.run("backup", directory, &[]).expect_status(0);
    outcome.stdout_has("bucket stt-async-icp is not on the server, and was left out");
    // MinIO has no such keys.
    server.put(BUCKET, "a/../b", "aGVsbG8=");
    let outcome = server.run("backup", directory, &[]).expect_status(1);
    outcome.stderr_has("object \"a/../b\"").stderr_has("a part of its key is . or ..");
    server
        .run("backup", directory, &["--bucket", "missing"])
        .expect_status(1)
        .stderr_has("there is no such bucket");
    server.run("restore", directory, &["--bucket", "missing"]).expect_status(2);
    for name in ["../up", "", "a/b", ".."] {
        let outcome = server.run("backup", directory, &["--bucket", name]).expect_status(2);
        outcome.stderr_has("is not the name of a bucket");
    }
    let bare =
        |args: &[&str]| Pgmig::new().args(["objects"]).args(args.iter().copied()).run().expect_status(2);
    bare(&["backup", "--directory", "d"]).stderr_has("--endpoint is missing");
    bare(&["backup", "--endpoint", "https://h"]).stderr_has("--directory");
    bare(&["backup", "-d", "d", "--endpoint", "https://h"]).stderr_has("--access-key-file is missing");
    bare(&["verify", "-d", "d"]).stderr_has("there is no complete copy of a bucket");
    for url in ["minio:9000", "ftp://h", "https://h/path", "https://user:secret@h", "https://"] {
        let pgmig = Pgmig::new().file("k", "x").args(["objects", "backup", "-d", "d", "--endpoint", url]);
        pgmig.args(["--access-key-file", "k", "--secret-key-file", "k"]).run().expect_status(2);
    }
    // Nobody listens there.
    let pgmig = Pgmig::new().file("k", "x").args(["objects", "backup", "-d", "d", "--access-key-file", "k"]);
    let pgmig = pgmig.args(["--secret-key-file", "k", "--endpoint", "http://127.0.0.1:1"]);
    pgmig.run().expect_status(1).stderr_has("the connection is not encrypted").stderr_has("refused");
}
