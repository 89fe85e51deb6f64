//! TLS to the Resource Controller: the certificates that pgmig accepts. A server with any other certificate gets no
//! request.

use crate::support::Pgmig;
use crate::support::certificate::{Identity, Validity};
use crate::support::pgmig::binary;
use crate::support::resource_controller::{
    Controller, Reply, SeenRequest, TOKEN, block_on, ids, list, quick, zen_instances, zen_page,
};
use openssl::ssl::SslVersion;
use pgmig_core::ErrorKind;
use pgmig_core::resource_controller::{
    CaSource, Limits, RcEnvironment, ResourceController, ResourceControllerConfig, ResourceControllerError,
    ServiceType, UntrustedCertificate, Verification,
};
use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

const ZEN: Option<ServiceType> = Some(ServiceType::Assistant);

fn one_page(request: &SeenRequest) -> Reply {
    Reply::json(&zen_page(&zen_instances(1, 1), request.number("offset"), 20))
}

/// The certificate that pgmig refused. Checks that the server received no request.
#[track_caller]
fn untrusted(server: &Controller, config: ResourceControllerConfig) -> UntrustedCertificate {
    let error = list(config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!((server.connections(), server.requests().len()), (1, 0), "tried once, and nothing was sent");
    let text = error.to_string();
    assert!(["caFile", "RC_CA_FILE", "insecureSkipVerify"].iter().all(|way| text.contains(way)), "{text}");
    match error {
        ResourceControllerError::UntrustedCertificate(untrusted) => *untrusted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_ca_that_is_not_known() {
    let server = Controller::start(one_page);
    let mut config = server.config(ZEN);
    config.ca_file = None;
    let untrusted = untrusted(&server, config);
    assert!(untrusted.reason.contains("unable to get local issuer certificate"), "{untrusted:?}");
    let certificate = untrusted.certificate;
    assert_eq!(certificate.subject, "O=pgmig tests, CN=localhost");
    assert_eq!(certificate.issuer, "O=pgmig tests, CN=CA of the tests");
    assert_eq!(certificate.names, ["localhost", "127.0.0.1"]);
}

#[test]
fn a_file_of_another_ca() {
    let server = Controller::start(one_page);
    let other = Controller::start(one_page);
    let mut config = server.config(ZEN);
    config.ca_file = Some(other.ca_file());
    untrusted(&server, config);
}

#[test]
fn ca_file_of_the_configuration() {
    let server = Controller::start(one_page);
    let listing = list(server.config(ZEN)).unwrap();
    assert_eq!(listing.tls.verification, Verification::Verified(CaSource::ConfigFile(server.ca_file())));
    assert_eq!(listing.tls.version, "TLSv1.3");
}

#[test]
fn ca_file_of_the_environment() {
    let server = Controller::start(one_page);
    let mut config = server.config(ZEN);
    config.ca_file = None;
    let environment = RcEnvironment { rc_ca_file: Some(server.ca_file()) };
    let listing = block_on(&ResourceController::new(config, &environment).unwrap()).unwrap();
    assert_eq!(listing.tls.verification, Verification::Verified(CaSource::EnvironmentFile(server.ca_file())));
}

#[test]
fn a_bundle_is_read_to_its_end() {
    let server = Controller::start(one_page);
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("bundle.crt");
    let others: String = (0..3).map(|_| Identity::authority("another CA").pem()).collect();
    std::fs::write(&bundle, format!("# comment\n{others}\n{}", server.authority.pem())).unwrap();
    let mut config = server.config(ZEN);
    config.ca_file = Some(bundle);
    list(config).unwrap();
}

#[test]
fn the_servers_own_certificate_as_ca_file() {
    let authority = Identity::authority("CA of the tests");
    let identity = authority.issue(&["localhost"], Validity::Now);
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join("own.crt");
    std::fs::write(&own, identity.pem()).unwrap();
    let server = Controller::serve(authority, move |_| identity.clone(), SslVersion::TLS1_3, one_page);
    let mut config = server.config(ZEN);
    config.ca_file = Some(own.clone());
    let listing = list(config).unwrap();
    assert_eq!(listing.tls.verification, Verification::Verified(CaSource::ConfigFile(own)));
}

#[test]
fn ca_files_that_are_of_no_use() {
    let server = Controller::start(one_page);
    let directory = tempfile::tempdir().unwrap();
    let damaged =
        format!("{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", server.authority.pem());
    for (content, says) in
        [(None, "No such file"), (Some(""), "no PEM certificate"), (Some(&*damaged), "damaged")]
    {
        let path = directory.path().join("ca.crt");
        let _ = std::fs::remove_file(&path);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let mut config = server.config(ZEN);
        config.ca_file = Some(path);
        let error = list(config).unwrap_err();
        assert!(error.to_string().contains("ca.crt") && error.to_string().contains(says), "{error}");
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_certificate_for_another_host() {
    let server = Controller::start_as(&["gateway.zen"], Validity::Now, one_page);
    let untrusted = untrusted(&server, server.config(ZEN));
    assert!(untrusted.reason.contains("hostname mismatch"), "{untrusted:?}");
    assert_eq!(untrusted.certificate.names, ["gateway.zen"]);
}

#[test]
fn addresses_are_verified_too() {
    let server = Controller::start(one_page);
    let mut config = server.config(ZEN);
    config.host = "127.0.0.1".to_owned();
    list(config).unwrap();
    let server = Controller::start_as(&["localhost"], Validity::Now, one_page);
    let mut config = server.config(ZEN);
    config.host = "127.0.0.1".to_owned();
    assert!(untrusted(&server, config).reason.contains("IP address mismatch"));
}

#[test]
fn an_expired_certificate() {
    let server = Controller::start_as(&["localhost"], Validity::Past, one_page);
    assert!(untrusted(&server, server.config(ZEN)).reason.contains("expired"));
}

#[test]
fn insecure_skip_verify_warns_with_the_fingerprint() {
    let authority = Identity::authority("CA of the tests");
    let identity = authority.issue(&["elsewhere"], Validity::Past);
    let fingerprint = identity.fingerprint();
    let server = Controller::serve(authority, move |_| identity.clone(), SslVersion::TLS1_3, one_page);
    let mut config = server.config(ZEN);
    config.ca_file = None;
    config.insecure_skip_verify = true;
    let listing = list(config).unwrap();
    assert!(matches!(listing.tls.verification, Verification::Skipped { .. }), "{:?}", listing.tls);
    assert!(listing.warnings()[0].contains(&fingerprint), "{:?}", listing.warnings());
}

#[test]
fn insecure_skip_verify_is_no_matter_where_the_certificate_verifies() {
    let server = Controller::start(one_page);
    let mut config = server.config(ZEN);
    config.insecure_skip_verify = true;
    let listing = list(config).unwrap();
    assert!(matches!(listing.tls.verification, Verification::Verified(_)));
    assert_eq!(listing.warnings(), Vec::<String>::new());
}

#[test]
fn a_trusted_certificate_is_accepted_and_no_other() {
    let authority = Identity::authority("CA of the tests");
    let (first, second) = (authority.issue(&["x"], Validity::Now), authority.issue(&["x"], Validity::Now));
    let expected = first.fingerprint();
    // Four connections: one to learn the fingerprint, two for the pages of a list, one with another certificate.
    let identity = move |connection| if connection < 3 { first.clone() } else { second.clone() };
    let server = Controller::serve(authority, identity, SslVersion::TLS1_3, one_page);
    let mut controller = ResourceController::new(server.config(ZEN), &RcEnvironment::default()).unwrap();
    let Err(ResourceControllerError::UntrustedCertificate(untrusted)) = block_on(&controller) else {
        panic!("it was accepted")
    };
    assert_eq!(untrusted.certificate.fingerprint.to_string(), expected);
    controller.trust(untrusted.certificate.fingerprint);
    let listing = block_on(&controller).unwrap();
    assert_eq!(listing.tls.verification, Verification::Trusted);
    assert_eq!(listing.instances[0].id, ids(1, 1)[0]);
    let requests = server.requests().len();
    assert_eq!(requests, 2);
    let error = block_on(&controller).unwrap_err();
    assert!(matches!(error, ResourceControllerError::UntrustedCertificate(_)), "{error}");
    assert_eq!(server.requests().len(), requests, "the token was sent to another server");
}

#[test]
fn tls_1_2_is_the_oldest_that_is_spoken() {
    let serve = |version| {
        let authority = Identity::authority("CA of the tests");
        let identity = authority.issue(&["localhost"], Validity::Now);
        Controller::serve(authority, move |_| identity.clone(), version, one_page)
    };
    let server = serve(SslVersion::TLS1_2);
    assert_eq!(list(server.config(ZEN)).unwrap().tls.version, "TLSv1.2");
}

/// A server that sends this on every connection and does not speak TLS.
fn plain(says: &'static [u8], hold: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let _ = stream.write_all(says);
                std::thread::sleep(hold);
            });
        }
    });
    port
}

fn at(port: u16) -> ResourceControllerConfig {
    ResourceControllerConfig::new(vec![TOKEN.to_owned().into()], "localhost", port)
}

#[test]
fn a_server_without_tls_is_told() {
    let port = plain(b"HTTP/1.1 400 Bad Request\r\n\r\n", Duration::from_secs(5));
    let error = list(at(port)).unwrap_err();
    assert!(matches!(error, ResourceControllerError::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
}

#[test]
fn a_server_that_closes_the_connection_is_tried_again() {
    let error = list(at(plain(b"", Duration::ZERO))).unwrap_err();
    assert!(matches!(error, ResourceControllerError::Unreachable { attempts: 3, .. }), "{error:?}");
}

#[test]
fn a_server_that_says_nothing_runs_into_the_time_limit() {
    let port = plain(b"", Duration::from_secs(30));
    let limits = Limits { connect: Duration::from_millis(300), attempts: 2, ..quick() };
    let controller = ResourceController::new(at(port), &RcEnvironment::default()).unwrap();
    let error = block_on(&controller.with_limits(limits)).unwrap_err();
    assert!(error.to_string().contains("did not accept a connection within 0.3 s (2 tries)"), "{error}");
}

// The command line

#[test]
fn without_a_terminal_an_unknown_ca_is_status_2() {
    let server = Controller::start(one_page);
    Pgmig::new()
        .args(["--testRCConnection", "-r", "rc.yaml"])
        .file("rc.yaml", &server.yaml_without_ca(TOKEN, ZEN))
        .run()
        .expect_status(2)
        .stderr_has("cannot be verified")
        .stderr_has("SHA-256 fingerprint ")
        .stderr_has("insecureSkipVerify: true")
        .keeps_secret(TOKEN);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn rc_ca_file_is_read_from_the_environment() {
    let server = Controller::start(one_page);
    Pgmig::new()
        .args(["--testRCConnection", "-r", "rc.yaml"])
        .file("rc.yaml", &server.yaml_without_ca(TOKEN, ZEN))
        .env("RC_CA_FILE", server.ca_file())
        .run()
        .expect_status(0)
        .stdout_has("certificate verified with RC_CA_FILE ");
}

#[test]
fn insecure_skip_verify_is_warned_of() {
    let server = Controller::start(one_page);
    Pgmig::new()
        .args(["--testRCConnection", "-r", "rc.yaml"])
        .file("rc.yaml", &(server.yaml_without_ca(TOKEN, ZEN) + "insecureSkipVerify: true\n"))
        .run()
        .expect_status(0)
        .stderr_has("warning: the certificate of https://localhost:")
        .stderr_has("fingerprint is ")
        .stdout_has("certificate NOT verified");
}

/// Runs `--testRCConnection` at a terminal and types this answer. Returns the exit status and the terminal's text.
fn at_a_terminal(server: &Controller, answer: &str) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("rc.yaml"), server.yaml_without_ca(TOKEN, ZEN)).unwrap();
    let mut script = Command::new("script")
        .args(["-qec", &format!("{} --testRCConnection -r rc.yaml", binary().display()), "/dev/null"])
        .env_remove("RC_CA_FILE")
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, of util-linux, is installed");
    script.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    let output = script.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn at_a_terminal_the_certificate_is_shown_and_trusted_on_yes() {
    let server = Controller::start(one_page);
    let (status, shown) = at_a_terminal(&server, "y\n");
    assert_eq!(status, Some(0), "{shown}");
    for text in [
        "O=pgmig tests, CN=CA of the tests",
        "localhost, 127.0.0.1",
        "Trust this certificate, this time? [y/N]",
        "not verified but trusted by you",
        "1 instance provisioned",
    ] {
        assert!(shown.contains(text), "{text} is not in\n{shown}");
    }
    assert_eq!(shown.matches("[y/N]").count(), 1, "{shown}");
    assert!(!shown.contains(TOKEN));
}

#[test]
fn at_a_terminal_any_other_answer_is_status_2() {
    for answer in ["n\n", "\n", "yes please\n", ""] {
        let server = Controller::start(one_page);
        let (status, shown) = at_a_terminal(&server, answer);
        assert_eq!(status, Some(2), "{answer:?}: {shown}");
        assert!(shown.contains("error: the certificate of localhost:"), "{shown}");
        assert_eq!(server.requests().len(), 0, "{answer:?}");
    }
}
