//! Starts the S3 server (`tests/s3-server`), and asks it what it holds.

use crate::support::certificate::{Identity, Validity};
use crate::support::fixture::repository;
use crate::support::{Outcome, Pgmig};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// An S3 server over TLS, of one test.
pub(super) struct BucketServer {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub(super) port: u64,
    pub(super) access_key: String,
    pub(super) secret_key: String,
    /// The CA of its certificate.
    pub(super) authority: Identity,
    _directory: TempDir,
}

impl BucketServer {
    #[track_caller]
    pub(super) fn start() -> Self {
        let authority = Identity::authority("objects CA");
        let identity = authority.issue(&["localhost", "127.0.0.1"], Validity::Now);
        let directory = TempDir::new().unwrap();
        let write = |name: &str, content: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let certificate = write("certificate", identity.pem() + &authority.pem());
        let key = String::from_utf8(identity.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        let mut child = Command::new(repository().join("tests/s3-server"))
            .args([&certificate, &write("key", key)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("the S3 server starts");
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        Self {
            commands: child.stdin.take(),
            child,
            answers,
            port: ready["port"].as_u64().unwrap(),
            access_key: text("access_key"),
            secret_key: text("secret_key"),
            authority,
            _directory: directory,
        }
    }

    /// Runs a command of `server.py`.
    #[track_caller]
    pub(super) fn ask(&mut self, command: &Value) -> Value {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{command} failed"))
    }

    pub(super) fn create(&mut self, bucket: &str) {
        self.ask(&json!({"do": "create", "bucket": bucket}));
    }

    /// Stores an object whose content is this text in Base64.
    pub(super) fn put(&mut self, bucket: &str, key: &str, body: &str) {
        self.ask(&json!({"do": "put", "bucket": bucket, "key": key, "body": body}));
    }

    pub(super) fn fill(&mut self, bucket: &str, prefix: &str, number: u32, size: u32) {
        self.ask(&json!({"do": "fill", "bucket": bucket, "prefix": prefix, "number": number, "size": size}));
    }

    pub(super) fn delete(&mut self, bucket: &str, key: &str) {
        self.ask(&json!({"do": "delete", "bucket": bucket, "key": key}));
    }

    /// All objects of a bucket, by another client; null if there is no such bucket.
    pub(super) fn objects(&mut self, bucket: &str) -> Value {
        self.ask(&json!({"do": "objects", "bucket": bucket}))
    }

    /// The number of objects of a bucket.
    pub(super) fn count(&mut self, bucket: &str) -> usize {
        self.ask(&json!({"do": "keys", "bucket": bucket})).as_array().unwrap().len()
    }

    /// Deletes a bucket and its objects.
    pub(super) fn clear(&mut self, bucket: &str) {
        self.ask(&json!({"do": "clear", "bucket": bucket}));
    }

    /// How many requests of a method there were since the last question, by path.
    pub(super) fn requests(&mut self, method: &str) -> BTreeMap<String, u64> {
        serde_json::from_value(self.ask(&json!({"do": "requests", "method": method}))).unwrap()
    }

    /// `pgmig objects ACTION` with this server and a directory.
    pub(super) fn pgmig(&self, action: &str, directory: &Path) -> Pgmig {
        let pgmig = Pgmig::new().args(["objects", action, "--directory"]).arg(directory);
        self.at(pgmig, "localhost").file("ca.crt", &self.authority.pem()).args(["--ca-file", "ca.crt"])
    }

    /// The options for this server, by one of its names, without those of TLS.
    pub(super) fn at(&self, pgmig: Pgmig, host: &str) -> Pgmig {
        let pgmig = pgmig.arg("--endpoint").arg(format!("https://{host}:{}", self.port));
        let pgmig = pgmig.file("access", &format!("{}\n", self.access_key)).file("secret", &self.secret_key);
        pgmig.args(["--access-key-file", "access", "--secret-key-file", "secret"])
    }

    /// Runs it to its end, and checks that the secret key is in no output.
    #[track_caller]
    pub(super) fn run(&self, action: &str, directory: &Path, args: &[&str]) -> Outcome {
        let outcome = self.pgmig(action, directory).args(args.iter().copied()).run();
        outcome.keeps_secret(&self.secret_key)
    }
}

impl Drop for BucketServer {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.child.wait();
    }
}
