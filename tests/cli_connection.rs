//! `--testPGConnection`: what it says of a server that is there, and of each way that it cannot be reached.

use crate::support::pgmig::TargetFile;
use crate::support::{Database, Outcome, Pgmig, Server};

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
        .stderr_has("does not accept the password")
        .keeps_secret("wr0ng-s3cret");
}

#[test]
fn no_server() {
    let database = Database::create("connection");
    // A privileged port: below those that the harness and the system give out.
    let port = 1009;
    let target = TargetFile { port, ..TargetFile::of(&database) };
    test_connection(&target).expect_status(1).stderr_has("no PostgreSQL server answers").stderr_has("1009");
}

#[test]
fn unknown_database() {
    let database = Database::create("connection");
    let target = TargetFile { database: "no_such_database".to_owned(), ..TargetFile::of(&database) };
    test_connection(&target).expect_status(1).stderr_has("has no database \"no_such_database\"");
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
fn tls_with_a_ca_for_localhost() {
    let server = Server::start_private("");
    let database = Database::create_on(&server, "tls");
    let target = TargetFile { host: "localhost".to_owned(), ..TargetFile::of(&database) };
    let ca = server.ca.clone().unwrap();
    Pgmig::new()
        .arg("--testPGConnection")
        .target(&target)
        .env("PG_CA_FILE", ca)
        .run()
        .expect_status(0)
        .stdout_has("TLS");
}

#[test]
fn tls_with_the_wrong_ca() {
    let server = Server::start_private("");
    let other = Server::start_private("");
    let database = Database::create_on(&server, "tls");
    Pgmig::new()
        .arg("--testPGConnection")
        .target(&TargetFile::of(&database))
        .env("PG_CA_FILE", other.ca.clone().unwrap())
        .run()
        .expect_status(1)
        .stderr_has("certificate");
}
