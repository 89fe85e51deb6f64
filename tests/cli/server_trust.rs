//! Servers that only pretend to be the right one: which secrets they learn, and what pgmig reports.

use crate::support::fixture::fixture;
use crate::support::pgmig::TargetFile;
use crate::support::server::PrivateServer;
use crate::support::stranger::{Stranger, Visit, forward, own_address};
use crate::support::{Database, Outcome, Pgmig, Server};
use std::net::IpAddr;

const PASSWORD: &str = "p4ss-of-dbadmin";
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Tests the connection to this stranger, without TLS unless the caller asks for it.
fn visit(stranger: &Stranger, variables: &[(&str, &str)]) -> Outcome {
    let target = TargetFile {
        host: stranger.host.clone(),
        port: stranger.port,
        database: "store".to_owned(),
        username: "dbadmin".to_owned(),
        su_username: "dbadmin".to_owned(),
        su_password: PASSWORD.to_owned(),
        more: String::new(),
    };
    let pgmig = Pgmig::new().target(&target).arg("--testPGConnection");
    let pgmig = variables.iter().fold(pgmig, |pgmig, (name, value)| pgmig.env(name, *value));
    pgmig.run().keeps_secret(PASSWORD)
}

/// The parts of a message, concatenated.
fn message(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

const ASKS_FOR_PASSWORD: [u8; 4] = [0, 0, 0, 3];
const ASKS_FOR_MD5: [u8; 8] = [0, 0, 0, 5, 1, 2, 3, 4];
const ALL_IS_WELL: [u8; 4] = [0, 0, 0, 0];

#[test]
fn a_server_without_tls_does_not_get_the_password_in_clear() {
    let stranger = Stranger::at(own_address(), |visit| {
        visit.refuse_tls();
        visit.send(b'R', &ASKS_FOR_PASSWORD);
        visit.read();
    });
    for variables in [&[][..], &[("PGREQUIREAUTH", "password")]] {
        visit(&stranger, variables)
            .expect_status(1)
            .stderr_has("the server asks for the password in clear text over a connection without TLS")
            .stderr_has("scram-sha-256");
    }
    assert!(stranger.was_sent(b"dbadmin") && !stranger.was_sent(PASSWORD.as_bytes()));
    let port = stranger.port;
    visit(&stranger, &[("PGSSLMODE", "require")]).expect_status(1).stderr_has(&format!(":{port}"));
}

#[test]
fn this_machine_gets_the_password_in_clear_where_it_asks() {
    let stranger = Stranger::at(LOOPBACK, |visit| {
        visit.refuse_tls();
        visit.send(b'R', &ASKS_FOR_PASSWORD);
        visit.read();
    });
    visit(&stranger, &[]).expect_status(1);
    assert!(stranger.was_sent(PASSWORD.as_bytes()));
}

#[test]
fn methods_that_are_not_allowed_are_not_begun() {
    let stranger = Stranger::at(LOOPBACK, |visit| {
        visit.refuse_tls();
        visit.send(b'R', &ASKS_FOR_MD5);
        visit.read();
    });
    visit(&stranger, &[("PGREQUIREAUTH", "scram-sha-256")])
        .expect_status(1)
        .stderr_has("the server asks for the method md5, which PGREQUIREAUTH does not allow");
    assert!(!stranger.was_sent(b"md5"));
    visit(&stranger, &[]).expect_status(1);
    assert!(stranger.was_sent(b"md5"));
}

/// Begins SCRAM up to the client's final message.
fn challenge(visit: &mut Visit) {
    visit.refuse_tls();
    visit.send(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    let first = String::from_utf8_lossy(&visit.read()).into_owned();
    let nonce = first.rsplit("r=").next().unwrap_or_default().to_owned();
    let challenge = format!("r={nonce}x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    visit.send(b'R', &message(&[&[0, 0, 0, 11], challenge.as_bytes()]));
    visit.read();
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_spoken_to() {
    let breaks_off = Stranger::at(LOOPBACK, |visit| {
        challenge(visit);
        visit.send(b'R', &ALL_IS_WELL);
        visit.send(b'Z', b"I");
        visit.read();
    });
    visit(&breaks_off, &[]).expect_status(1).stderr_has("breaks off SCRAM");
    let guesses = Stranger::at(LOOPBACK, |visit| {
        challenge(visit);
        let proof = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        visit.send(b'R', &message(&[&[0, 0, 0, 12], proof]));
        visit.send(b'R', &ALL_IS_WELL);
        visit.send(b'Z', b"I");
        visit.read();
    });
    visit(&guesses, &[])
        .expect_status(1)
        .stderr_has("the server did not prove that it knows the password")
        .stderr_has("check that host and port are those of the right server");
    for stranger in [&breaks_off, &guesses] {
        assert!(!stranger.was_sent(b"SET client_min_messages"), "a query was sent");
    }
}

#[test]
fn a_message_of_2_gb_before_the_login_is_not_read() {
    for kind in *b"RESN" {
        let stranger = Stranger::at(LOOPBACK, move |visit| {
            visit.refuse_tls();
            visit.write(&[kind, 0x7f, 0xff, 0xff, 0xff]);
            // Sends as long as the client reads.
            while visit.write(&[0; 1024 * 1024]) {}
        });
        visit(&stranger, &[]).expect_status(1).stderr_has("a message is too long");
    }
}

#[test]
fn a_message_of_2_gb_after_the_login_is_not_read() {
    let stranger = Stranger::at(LOOPBACK, |visit| {
        visit.refuse_tls();
        visit.send(b'R', &ALL_IS_WELL);
        visit.send(b'Z', b"I");
        visit.read();
        visit.write(&[b'D', 0x7f, 0xff, 0xff, 0xff]);
        while visit.write(&[0; 1024 * 1024]) {}
    });
    visit(&stranger, &[])
        .expect_status(1)
        .stderr_has("the server sent a message that is too long (SQLSTATE 08P01)");
}

#[test]
fn what_is_no_server_is_said_to_be_none() {
    let web = Stranger::at(LOOPBACK, |visit| {
        visit.read();
        visit.write(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    visit(&web, &[("PGSSLMODE", "require")]).expect_status(1).stderr_has("not a PostgreSQL server's");
    // An attacker injects clear text after the answer to the request for TLS. pgmig refuses to continue.
    let injector = Stranger::at(LOOPBACK, |visit| {
        visit.read();
        visit.write(b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I");
        visit.read();
    });
    visit(&injector, &[("PGSSLMODE", "require")]).expect_status(1).stderr_has("no TLS connection to");
    assert!(!injector.was_sent(b"dbadmin"));
}

#[test]
fn requests_of_the_environment_that_cannot_be_honoured_are_refused_by_name() {
    let stranger = Stranger::at(LOOPBACK, |_| {});
    for (name, value) in [
        ("PGGSSENCMODE", "require"),
        ("PGSSLCERTMODE", "require"),
        ("PGSSLCRL", "root.crl"),
        ("PGSSLCRLDIR", "crls"),
        ("PGSSLCERT", "client.crt"),
        ("PGSSLNEGOTIATION", "direct"),
        ("PGCHANNELBINDING", "maybe"),
        ("PGREQUIREAUTH", "kerberos"),
        ("PGSSLMINPROTOCOLVERSION", "SSLv3"),
        ("PGSSLMODE", "verify-ca"),
        ("PGSSLMODE", "verify-full"),
    ] {
        let named = if name == "PGSSLMODE" { "sslmode verify-" } else { name };
        visit(&stranger, &[(name, value)]).expect_status(2).stderr_has(named);
    }
    let database = Database::create("trust");
    let host = database.server.socket.to_str().unwrap().to_owned();
    let target = TargetFile { host, ..TargetFile::of(&database) };
    let by_socket = || Pgmig::new().arg("--testPGConnection").target(&target);
    by_socket().env("PGREQUIREPEER", "postgres").run().expect_status(2).stderr_has("PGREQUIREPEER");
    by_socket().run().expect_status(0).stdout_has("trust       the server is on this machine (socket)");
}

#[test]
fn settings_of_pgoptions_do_not_reach_the_server() {
    let database = Database::create("trust");
    let test = Pgmig::new().arg("--testPGConnection").target(&TargetFile::of(&database));
    test.env("PGOPTIONS", "-c work_mem=nonsense").run().expect_status(0);
}

/// A server elsewhere, with a certificate for another name than its address.
struct Elsewhere {
    port: u16,
    host: String,
    database: Database,
    server: PrivateServer,
}

impl Elsewhere {
    fn new() -> Self {
        let server = Server::start_private("");
        let database = Database::create_on(&server, "elsewhere");
        Self { port: forward(&server), host: own_address().to_string(), database, server }
    }

    fn pgmig(&self, more: &str) -> Pgmig {
        let (host, port, more) = (self.host.clone(), self.port, more.to_owned());
        Pgmig::new().target(&TargetFile { host, port, more, ..TargetFile::of(&self.database) })
    }

    fn test(&self, more: &str, variables: &[(&str, &str)]) -> Outcome {
        let pgmig = self.pgmig(more).arg("--testPGConnection");
        let pgmig = variables.iter().fold(pgmig, |pgmig, (name, value)| pgmig.env(name, *value));
        pgmig.run().expect_status(0).keeps_secret(&self.server.password)
    }

    fn admit(&self, line: &str) {
        std::fs::write(self.server.data.join("pg_hba.conf"), format!("local all all trust\n{line}\n"))
            .unwrap();
        self.server.psql("postgres", "SELECT pg_reload_conf()");
        let method = line.rsplit(' ').next().unwrap();
        let sql = format!(
            "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = '{method}' AND type <> 'local'"
        );
        crate::support::session::wait_until(|| self.server.psql("postgres", &sql) == "1\n");
    }
}

#[test]
fn a_server_that_was_not_authenticated_is_warned_of() {
    let site = Elsewhere::new();
    let ca = std::fs::read_to_string(site.server.ca.as_ref().unwrap()).unwrap();
    site.test("sslmode: disable\n", &[])
        .stdout_has("trust       warning: the connection to ")
        .stdout_has("is not encrypted")
        .stdout_has("set PG_CA_FILE to this cluster's ca.crt");
    // SCRAM with channel binding authenticates the server's certificate.
    let bound = site.test("", &[]).stdout_has("TLS         TLSv1.").stdout_has("channel binding");
    assert!(!bound.stdout.contains("warning"), "{bound}");
    site.test("", &[("PGCHANNELBINDING", "disable")])
        .stdout_has("TLS         TLSv1.")
        .stdout_has("trust       warning: pgmig did not verify the certificate of ");
    let verified =
        site.pgmig("").file("ca.crt", &ca).env("PG_CA_FILE", "ca.crt").arg("--testPGConnection").run();
    let verified = verified.expect_status(0).stdout_has("trust       the server's certificate is verified");
    assert!(!verified.stdout.contains("warning"), "{verified}");
}

#[test]
fn the_plan_and_the_report_warn_of_a_server_that_was_not_authenticated() {
    let site = Elsewhere::new();
    let archive = fixture("archives/emptydb_15.dump");
    let restore = |more: &str| site.pgmig(more).args(["--keep-ids", "--force"]).source(&archive);
    const WARNING: &str = "is not encrypted: anybody on the way can read and change it";
    restore("sslmode: disable\n").arg("--dry-run").run().expect_status(0).stdout_has(WARNING);
    restore("sslmode: disable\n").arg("--strict").run().expect_status(4).stderr_has(WARNING);
    restore("sslmode: disable\n").run().expect_status(0).stdout_has(WARNING);
    let strict = restore("").arg("--strict").run().expect_status(0);
    assert!(!strict.stdout.contains("encrypted") && !strict.stderr.contains("encrypted"), "{strict}");
}

#[test]
fn a_password_in_clear_goes_over_tls_only_where_it_is_asked_for_or_the_server_is_verified() {
    let site = Elsewhere::new();
    let ca = std::fs::read_to_string(site.server.ca.as_ref().unwrap()).unwrap();
    site.admit("hostssl all all all password");
    let outcome = site.pgmig("").arg("--testPGConnection").run().expect_status(1);
    outcome
        .stderr_has("the server asks for the password in clear text, and its certificate is not verified")
        .stderr_has("set PG_CA_FILE to this cluster's ca.crt, or PGREQUIREAUTH=password");
    site.test("", &[("PGREQUIREAUTH", "password")]).stdout_has("it was sent the password in clear text");
    let verified = site.pgmig("").file("ca.crt", &ca).env("PG_CA_FILE", "ca.crt").arg("--testPGConnection");
    verified.run().expect_status(0).stdout_has("certificate is verified");
}
