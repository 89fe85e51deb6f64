//! `--testPGConnection`: its output for a server that can be reached, and for each cause of a failure.

use crate::support::fixture::fixture;
use crate::support::pgmig::TargetFile;
use crate::support::pooler::Pooler;
use crate::support::server::PrivateServer;
use crate::support::session::{HeldSession, wait_until};
use crate::support::{Database, Outcome, Pgmig, Server};
use std::process::Command;

fn test_connection(target: &TargetFile) -> Outcome {
    Pgmig::new().arg("--testPGConnection").target(target).run()
}

#[test]
fn right_configuration_by_tcp() {
    let database = Database::create("connection");
    let version = database.psql("SHOW server_version");
    let version = version.split_whitespace().next().unwrap();
    test_connection(&TargetFile::of(&database))
        .expect_status(0)
        .stdout_has(version)
        .stdout_has(&database.name)
        .keeps_secret(&database.server.password);
}

#[test]
fn right_configuration_by_socket() {
    let database = Database::create("connection");
    let host = database.server.socket.to_str().unwrap().to_owned();
    let target = TargetFile { host, su_password: "not asked for".to_owned(), ..TargetFile::of(&database) };
    test_connection(&target).expect_status(0).stdout_has(&database.name);
}

#[test]
fn wrong_password() {
    let database = Database::create("connection");
    let target = TargetFile { su_password: "wr0ng-s3cret".to_owned(), ..TargetFile::of(&database) };
    test_connection(&target)
        .expect_status(1)
        .stderr_has("error: ")
        .stderr_has("wrong password, or no such role")
        .keeps_secret("wr0ng-s3cret");
}

#[test]
fn no_server() {
    let database = Database::create("connection");
    // A privileged port. The harness and the system assign only ports above it.
    let port = 1009;
    let target = TargetFile { port, ..TargetFile::of(&database) };
    test_connection(&target).expect_status(1).stderr_has("no PostgreSQL server answers").stderr_has("1009");
}

#[test]
fn unknown_database() {
    let database = Database::create("connection");
    let target = TargetFile { database: "no_such_database".to_owned(), ..TargetFile::of(&database) };
    test_connection(&target).expect_status(1).stderr_has("database \"no_such_database\" does not exist on");
}

#[test]
fn unknown_key_beside_the_password() {
    let database = Database::create("connection");
    let target = TargetFile {
        more: "su_pasword: an0ther-s3cret\n".to_owned(),
        su_password: "th3-s3cret".to_owned(),
        ..TargetFile::of(&database)
    };
    test_connection(&target)
        .expect_status(2)
        .stderr_has("su_pasword")
        .stderr_has("line 7")
        .keeps_secret("s3cret");
}

#[test]
fn missing_configuration_file() {
    Pgmig::new()
        .args(["--testPGConnection", "--target", "nowhere.yaml"])
        .run()
        .expect_status(2)
        .stderr_has("nowhere.yaml");
}

#[test]
fn a_session_is_shown() {
    let database = Database::create("connection");
    let application = format!("{} client", database.name);
    let _session = HeldSession::open(&database, &application);
    let outcome = test_connection(&TargetFile::of(&database)).expect_status(0);
    outcome.stdout_has("sessions    1").stdout_has(&application).stdout_has("swap        possible");
}

/// A server with a certificate for `localhost`, and the CA that signed it.
struct TlsSite {
    server: PrivateServer,
    database: Database,
    ca: String,
    other_ca: String,
}

impl TlsSite {
    fn new() -> Self {
        let server = Server::start_private("");
        let database = Database::create_on(&server, "tls");
        let ca = std::fs::read_to_string(server.ca.as_ref().unwrap()).unwrap();
        Self { server, database, ca, other_ca: self_signed() }
    }

    /// Tests the connection to this host, with this bundle as PG_CA_FILE and these lines in postgres.yaml.
    fn test(&self, host: &str, bundle: &str, more: &str) -> Outcome {
        self.pgmig(host, bundle, more).arg("--testPGConnection").run().keeps_secret(&self.server.password)
    }

    fn pgmig(&self, host: &str, bundle: &str, more: &str) -> Pgmig {
        let (host, more) = (host.to_owned(), more.to_owned());
        let pgmig = Pgmig::new().target(&TargetFile { host, more, ..TargetFile::of(&self.database) });
        pgmig.file("ca.crt", bundle).env("PG_CA_FILE", "ca.crt")
    }
}

/// A self-signed certificate that signed no other.
fn self_signed() -> String {
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=another CA", "-keyout", "/dev/null"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn tls() {
    let site = TlsSite::new();
    let TlsSite { ca, other_ca, .. } = &site;
    // The host by its name, by its address (which no certificate contains), and with verification requested.
    for (host, more) in [
        ("localhost", ""),
        ("127.0.0.1", ""),
        ("localhost", "sslmode: verify-full\n"),
        ("127.0.0.1", "sslmode: verify-ca\n"),
        ("127.0.0.1", "sslmode: require\n"),
    ] {
        site.test(host, ca, more).expect_status(0).stdout_has("TLS         TLSv1.");
    }
    site.test("127.0.0.1", ca, "sslmode: verify-full\n")
        .expect_status(1)
        .stderr_has("verify-full")
        .stderr_has("not for this host")
        .stderr_has("set sslmode: verify-ca");
    site.test("localhost", other_ca, "")
        .expect_status(1)
        .stderr_has("the server's certificate was not issued by the CA in ca.crt")
        .stderr_has("use this cluster's ca.crt");
    // A bundle whose last certificate is the right one, and a bundle without it.
    let third_ca = self_signed();
    let bundle = format!("comment\n{other_ca}{third_ca}more comment\n{ca}");
    site.test("localhost", &bundle, "sslmode: verify-full\n").expect_status(0).stdout_has("TLSv1.");
    let bundle = format!("{other_ca}{third_ca}");
    site.test("localhost", &bundle, "").expect_status(1).stderr_has("not issued by the CA in ca.crt");
    site.test("localhost", "no certificate\n", "")
        .expect_status(1)
        .stderr_has("cannot read CA file ca.crt (named by PG_CA_FILE)");
    site.test("localhost", ca, "sslmode: disable\n").expect_status(0).stdout_has("TLS         none");

    // A server that admits TLS connections only. Every session of a restore uses TLS.
    std::fs::write(
        site.server.data.join("pg_hba.conf"),
        "local all all trust\nhostssl all all all scram-sha-256\n",
    )
    .unwrap();
    site.server.psql("postgres", "SELECT pg_reload_conf()");
    // The server reads its files after it has handled the signal.
    wait_until(|| site.server.psql("postgres", "SELECT count(*) FROM pg_hba_file_rules") == "2\n");
    wait_until(|| !site.test("localhost", ca, "sslmode: disable\n").status.success());
    site.test("localhost", ca, "sslmode: disable\n")
        .expect_status(1)
        .stderr_has("does not admit")
        .stderr_has("the server may want TLS: remove sslmode: disable");
    let archive = fixture("archives/emptydb_15.dump");
    site.pgmig("localhost", ca, "").arg("--keep-ids").source(&archive).run().expect_status(0);
}

#[test]
fn a_pooler_in_transaction_mode_is_refused_each_time() {
    let database = Database::create("connection");
    let pooler = Pooler::start(&database.server);
    let target = pooler.target(TargetFile::of(&database));
    for _ in 0..2 {
        let outcome = test_connection(&target).expect_status(1);
        outcome.stderr_has("is a connection pooler").stderr_has("session mode");
    }
}
