//! pgmig accepts and refuses the same certificates, modes and variables as psql, whose libpq is the model.

use crate::support::certificate::{Identity, Leaf, Validity};
use crate::support::cluster::replace;
use crate::support::pgmig::TargetFile;
use crate::support::server::PrivateServer;
use crate::support::session::wait_until;
use crate::support::{Database, Outcome, Pgmig, Server};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream};
use openssl::x509::X509;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

const ACCEPTED: bool = true;
const REFUSED: bool = false;

/// A server whose certificates the test can replace, and the files for its clients.
struct Site {
    files: TempDir,
    database: Database,
    server: PrivateServer,
}

impl Site {
    fn new(conf: &str) -> Self {
        let server = Server::start_private(conf);
        let database = Database::create_on(&server, "chains");
        Self { files: TempDir::new().unwrap(), database, server }
    }

    /// Makes the server send this certificate and its chain.
    fn serve(&self, identity: &Identity, behind: &[&Identity]) {
        let key = identity.key.private_key_to_pem_pkcs8().unwrap();
        let chain: String = std::iter::once(&identity).chain(behind).map(|identity| identity.pem()).collect();
        replace(&self.server.data.join("server.key"), &key);
        replace(&self.server.data.join("server.crt"), chain.as_bytes());
        self.server.psql("postgres", "SELECT pg_reload_conf()");
        wait_until(|| self.served() == identity.certificate);
    }

    fn served(&self) -> X509 {
        let mut tcp = TcpStream::connect((self.server.host.as_str(), self.server.port)).unwrap();
        tcp.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
        let mut answer = [0];
        tcp.read_exact(&mut answer).unwrap();
        let context = SslContext::builder(SslMethod::tls_client()).unwrap().build();
        let mut stream = SslStream::new(Ssl::new(&context).unwrap(), tcp).unwrap();
        stream.connect().unwrap();
        stream.ssl().peer_certificate().unwrap()
    }

    /// Makes these lines of pg_hba.conf decide about TCP connections.
    fn admit(&self, lines: &str) {
        replace(&self.server.data.join("pg_hba.conf"), format!("local all all trust\n{lines}").as_bytes());
        self.server.psql("postgres", "SELECT pg_reload_conf()");
        let count = format!("{}\n", 1 + lines.lines().count());
        wait_until(|| self.server.psql("postgres", "SELECT count(*) FROM pg_hba_file_rules") == count);
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.files.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn pems(&self, name: &str, identities: &[&Identity]) -> String {
        self.file(name, &identities.iter().map(|identity| identity.pem()).collect::<String>())
    }

    /// Connects with pgmig.
    fn pgmig(&self, host: &str, variables: &[(&str, &str)]) -> Outcome {
        let target = TargetFile { host: host.to_owned(), ..TargetFile::of(&self.database) };
        let pgmig = Pgmig::new().target(&target).arg("--testPGConnection");
        let pgmig = variables.iter().fold(pgmig, |pgmig, (name, value)| pgmig.env(name, *value));
        pgmig.run().keeps_secret(&self.server.password)
    }

    /// Connects with psql and pgmig, which must agree. psql is not asked if it is older than `since`.
    #[track_caller]
    fn judge(&self, since: u32, name: &str, host: &str, variables: &[(&str, &str)], accepted: bool) {
        if since <= self.server.major_version() {
            let mut psql = Command::new(self.server.bindir.join("psql"));
            psql.args(["-X", "-w", "-d", &self.database.name, "-c", ""]);
            psql.env("HOME", self.files.path())
                .env("PGHOST", host)
                .env("PGPORT", self.server.port.to_string());
            psql.env("PGUSER", &self.server.superuser).env("PGPASSWORD", &self.server.password);
            let output = psql.envs(variables.iter().copied()).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), accepted, "psql, {name}: {stderr}");
        }
        let outcome = self.pgmig(host, variables);
        assert_eq!(outcome.status.success(), accepted, "pgmig, {name}: {outcome}");
    }

    /// [`judge`](Self::judge) with a mode and a CA file.
    #[track_caller]
    fn verify(&self, name: &str, host: &str, mode: &str, ca: &str, accepted: bool) {
        self.judge(10, name, host, &[("PGSSLMODE", mode), ("PGSSLROOTCERT", ca)], accepted);
    }
}

#[test]
fn chains_are_judged_as_psql_judges_them() {
    let site = Site::new("");
    let (root, other) = (Identity::authority("root"), Identity::authority("other"));
    let middle = root.intermediate("middle");
    let leaf = middle.issue(&["localhost"], Validity::Now);
    let only_root = site.pems("root.crt", &[&root]);
    let both = site.pems("both.crt", &[&root, &middle]);
    let only_middle = site.pems("middle.crt", &[&middle]);
    let wrong = site.pems("other.crt", &[&other]);
    let two = site.pems("two.crt", &[&other, &root]);
    let leaf_alone = site.pems("leaf.crt", &[&leaf]);

    site.serve(&leaf, &[]);
    let judge = |name: &str, ca: &str, accepted| site.verify(name, "localhost", "verify-full", ca, accepted);
    judge("the intermediate is in the file", &both, ACCEPTED);
    judge("nobody has the intermediate", &only_root, REFUSED);
    judge("the file has no root", &only_middle, REFUSED);
    judge("the file has the certificate itself", &leaf_alone, REFUSED);
    judge("another CA", &wrong, REFUSED);

    site.serve(&leaf, &[&middle]);
    judge("the server sends the intermediate", &only_root, ACCEPTED);
    judge("the right CA is the second one", &two, ACCEPTED);
    judge("the file has no root, the server sends the intermediate", &only_middle, REFUSED);

    site.serve(&leaf, &[&middle, &root]);
    judge("the server sends the root, which the file does not have", &wrong, REFUSED);
    judge("the server sends the root, the file has the intermediate", &only_middle, REFUSED);
    judge("the server sends all", &only_root, ACCEPTED);

    for validity in [Validity::Now, Validity::Past] {
        let is_valid = matches!(validity, Validity::Now);
        let direct = root.issue(&["localhost"], validity);
        site.serve(&direct, &[]);
        judge(&format!("{validity:?}"), &only_root, is_valid);
        site.verify("sslmode verify-ca", "localhost", "verify-ca", &only_root, is_valid);
    }
    let by_leaf = leaf.issue(&["localhost"], Validity::Now);
    site.serve(&by_leaf, &[&leaf, &middle]);
    judge("issued by a certificate that is no CA", &only_root, REFUSED);
    let for_clients = Leaf { is_for_clients: true, ..Leaf::of(&"localhost") };
    site.serve(&root.issue_leaf(for_clients), &[]);
    judge("made for clients", &only_root, REFUSED);
}

#[test]
fn names_are_judged_as_psql_judges_them() {
    let site = Site::new("");
    let root = Identity::authority("root");
    let ca = site.pems("root.crt", &[&root]);
    // Common name, other names, host, and the first version of psql that compares addresses with the names.
    let cases: [(&str, &[&str], &str, u32, bool); 12] = [
        ("elsewhere", &["localhost"], "localhost", 10, ACCEPTED),
        ("elsewhere", &["LocalHost"], "localhost", 10, ACCEPTED),
        ("localhost", &["elsewhere"], "localhost", 10, REFUSED),
        ("localhost", &[], "localhost", 10, ACCEPTED),
        ("elsewhere", &[], "localhost", 10, REFUSED),
        ("*.localhost", &[], "localhost", 10, REFUSED),
        ("elsewhere", &["*.localhost", "*"], "localhost", 10, REFUSED),
        ("elsewhere", &["127.0.0.1"], "127.0.0.1", 15, ACCEPTED),
        ("elsewhere", &["127.0.0.2"], "127.0.0.1", 10, REFUSED),
        ("127.0.0.1", &[], "127.0.0.1", 10, ACCEPTED),
        ("127.0.0.1", &["localhost"], "127.0.0.1", 15, ACCEPTED),
        ("localhost", &["127.0.0.1"], "localhost", 15, ACCEPTED),
    ];
    for (common_name, alternative_names, host, since, accepted) in cases {
        let leaf = Leaf { common_name, alternative_names, validity: Validity::Now, is_for_clients: false };
        site.serve(&root.issue_leaf(leaf), &[]);
        let name = format!("{common_name} {alternative_names:?} for {host}");
        site.judge(since, &name, host, &[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", &ca)], accepted);
        site.verify(&name, host, "verify-ca", &ca, ACCEPTED);
    }
}

#[test]
fn modes_are_what_they_are_in_psql() {
    let site = Site::new("");
    let (root, other) = (Identity::authority("root"), Identity::authority("other"));
    site.serve(&root.issue(&["localhost"], Validity::Now), &[]);
    let (right, wrong) = (site.pems("root.crt", &[&root]), site.pems("other.crt", &[&other]));
    let with = |mode: &str, ca: &str, accepted| {
        site.verify(&format!("sslmode {mode}, {ca}"), "localhost", mode, ca, accepted);
    };
    let without = |since, mode: &str, accepted| {
        site.judge(since, &format!("sslmode {mode}"), "localhost", &[("PGSSLMODE", mode)], accepted);
    };
    for mode in ["disable", "allow", "prefer", "require"] {
        without(10, mode, ACCEPTED);
    }
    for mode in ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] {
        with(mode, &right, ACCEPTED);
    }
    // Without TLS, no certificate is verified.
    for mode in ["disable", "allow", "prefer"] {
        with(mode, &wrong, ACCEPTED);
        let outcome = site.pgmig("localhost", &[("PGSSLMODE", mode), ("PGSSLROOTCERT", &wrong)]);
        outcome.stdout_has("TLS         none");
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        with(mode, &wrong, REFUSED);
    }
    without(10, "verify-ca", REFUSED);
    without(10, "verify-full", REFUSED);
    for mode in ["disable", "prefer", "require", "verify-ca", "verify-full"] {
        let variables = [("PGSSLMODE", mode), ("PGSSLROOTCERT", "system")];
        site.judge(16, &format!("system, {mode}"), "localhost", &variables, REFUSED);
    }

    // A server that admits only TLS connections, or only connections without TLS.
    site.admit("hostssl all all all scram-sha-256\n");
    without(10, "disable", REFUSED);
    for mode in ["allow", "prefer", "require"] {
        without(10, mode, ACCEPTED);
    }
    site.admit("hostnossl all all all scram-sha-256\n");
    for mode in ["disable", "allow", "prefer"] {
        without(10, mode, ACCEPTED);
    }
    with("require", &right, REFUSED);
}

#[test]
fn the_system_s_cas_do_not_count_beside_the_one_that_was_given() {
    let site = Site::new("");
    let (root, public) = (Identity::authority("root"), Identity::authority("a public CA"));
    site.serve(&public.issue(&["localhost"], Validity::Now), &[]);
    let given = site.pems("root.crt", &[&root]);
    // The files that OpenSSL uses as the system's CAs.
    let system = site.pems("system.crt", &[&public]);
    for host in ["localhost", "127.0.0.1"] {
        site.pgmig(host, &[("SSL_CERT_FILE", &system), ("PG_CA_FILE", &given)])
            .expect_status(1)
            .stderr_has("the server's certificate was not issued by the CA in ")
            .stderr_has("root.crt")
            .stderr_has("use this cluster's ca.crt");
    }
    let variables = [("SSL_CERT_FILE", system.as_str()), ("PGSSLROOTCERT", "system")];
    site.pgmig("localhost", &variables).expect_status(0).stdout_has("certificate is verified");
    site.pgmig("127.0.0.1", &variables).expect_status(1).stderr_has("not for this host");
}

#[test]
fn revoked_certificates_are_refused_as_by_psql() {
    let site = Site::new("");
    let root = Identity::authority("root");
    let (good, bad) = (root.issue(&["localhost"], Validity::Now), root.issue(&["localhost"], Validity::Now));
    let middle = root.intermediate("middle");
    let below = middle.issue(&["localhost"], Validity::Now);
    let ca = site.pems("root.crt", &[&root]);
    let crl = root.revocations(&[&bad]);
    let file = site.file("root.crl", &crl);
    let directory = site.files.path().join("crls");
    std::fs::create_dir(&directory).unwrap();
    let hash = root.certificate.subject_name_hash();
    std::fs::write(directory.join(format!("{hash:08x}.r0")), &crl).unwrap();
    let directory = directory.to_str().unwrap().to_owned();
    let judge = |name: &str, variable: &str, value: &str, accepted| {
        let variables = [("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", &ca), (variable, value)];
        site.judge(14, name, "localhost", &variables, accepted);
    };
    site.serve(&good, &[]);
    judge("not revoked", "PGSSLCRL", &file, ACCEPTED);
    judge("not revoked", "PGSSLCRLDIR", &directory, ACCEPTED);
    site.serve(&bad, &[]);
    judge("revoked", "PGSSLCRL", &file, REFUSED);
    judge("revoked", "PGSSLCRLDIR", &directory, REFUSED);
    site.verify("nobody asks", "localhost", "verify-full", &ca, ACCEPTED);
    site.serve(&below, &[&middle]);
    judge("the intermediate has no CRL", "PGSSLCRL", &file, REFUSED);
    let all = site.file("all.crl", &(crl + &middle.revocations(&[])));
    judge("all have a CRL", "PGSSLCRL", &all, ACCEPTED);

    // libpq ignores a CRL that it cannot read.
    for (variable, value) in [("PGSSLCRL", "nowhere.crl"), ("PGSSLCRL", &ca), ("PGSSLCRLDIR", "nowhere")] {
        site.pgmig("localhost", &[("PGSSLROOTCERT", &ca), (variable, value)])
            .expect_status(1)
            .stderr_has(&format!("{value} (named by {variable})"));
    }
    site.pgmig("localhost", &[("PGSSLCRL", &file)])
        .expect_status(2)
        .stderr_has("PGSSLCRL cannot be honoured");
}

#[test]
fn versions_of_tls_are_limited_as_by_psql() {
    let site = Site::new("ssl_max_protocol_version = 'TLSv1.2'");
    let judge = |variable: &str, version: &str, accepted| {
        let variables = [("PGSSLMODE", "require"), (variable, version)];
        site.judge(13, &format!("{variable}={version}"), "localhost", &variables, accepted);
    };
    judge("PGSSLMINPROTOCOLVERSION", "TLSv1.2", ACCEPTED);
    judge("PGSSLMINPROTOCOLVERSION", "TLSv1.3", REFUSED);
    judge("PGSSLMINPROTOCOLVERSION", "TLSv2", REFUSED);
    judge("PGSSLMAXPROTOCOLVERSION", "tlsv1.2", ACCEPTED);
}

#[test]
fn logins_are_bound_and_limited_as_by_psql() {
    let site = Site::new("password_encryption = 'scram-sha-256'");
    let judge = |since, name: &str, mode: &str, variable: &str, value: &str, accepted| {
        let variables = [("PGSSLMODE", mode), (variable, value)];
        site.judge(since, &format!("{name}: {mode}, {variable}={value}"), "localhost", &variables, accepted);
    };
    let scram = |mode: &str, value, accepted| judge(13, "scram", mode, "PGCHANNELBINDING", value, accepted);
    scram("require", "require", ACCEPTED);
    scram("require", "prefer", ACCEPTED);
    scram("require", "disable", ACCEPTED);
    scram("disable", "prefer", ACCEPTED);
    scram("disable", "require", REFUSED);
    let limited = |name, value, accepted| judge(16, name, "require", "PGREQUIREAUTH", value, accepted);
    limited("scram", "scram-sha-256", ACCEPTED);
    limited("scram", "md5,password", REFUSED);
    limited("scram", "!password", ACCEPTED);
    limited("scram", "kerberos", REFUSED);
    let outcome = site.pgmig("localhost", &[("PGSSLMODE", "require"), ("PGCHANNELBINDING", "require")]);
    outcome.stdout_has("proved that it knows the password (channel binding)");

    site.admit("host all all all password\n");
    judge(13, "password", "require", "PGCHANNELBINDING", "require", REFUSED);
    judge(13, "password", "require", "PGCHANNELBINDING", "prefer", ACCEPTED);
    limited("password", "scram-sha-256", REFUSED);
    limited("password", "password", ACCEPTED);

    site.admit("host all all all trust\n");
    judge(13, "trust", "require", "PGCHANNELBINDING", "require", REFUSED);
    limited("trust", "scram-sha-256", REFUSED);
    limited("trust", "none", ACCEPTED);
    limited("trust", "!none", REFUSED);
    site.pgmig("localhost", &[("PGREQUIREAUTH", "scram-sha-256")])
        .expect_status(1)
        .stderr_has("the server asks for no authentication, which PGREQUIREAUTH does not allow");
}

#[test]
fn a_password_that_is_stored_as_md5_lets_in() {
    let site = Site::new("password_encryption = 'md5'");
    let password = site.server.password.replace('\'', "''");
    site.server.psql("postgres", &format!("ALTER ROLE {} PASSWORD '{password}'", site.server.superuser));
    site.admit("host all all all md5\n");
    site.judge(10, "md5", "localhost", &[("PGSSLMODE", "disable")], ACCEPTED);
    site.judge(16, "md5", "localhost", &[("PGREQUIREAUTH", "scram-sha-256")], REFUSED);
    site.judge(13, "md5", "localhost", &[("PGSSLMODE", "require"), ("PGCHANNELBINDING", "require")], REFUSED);
}

#[test]
fn passwords_of_every_script_let_in() {
    let site = Site::new("");
    // SASLprep changes the second and the third password. It does not allow the others, which are used unchanged.
    for password in ["pässwörd", "I\u{ad}X", "\u{2168}", "a\u{e000}b", "\u{627}1"] {
        site.server.psql("postgres", &format!("ALTER ROLE {} PASSWORD '{password}'", site.server.superuser));
        let more = "sslmode: disable\n".to_owned();
        let yaml =
            TargetFile { su_password: "-".to_owned(), more, ..TargetFile::of(&site.database) }.to_yaml();
        let yaml = yaml.replace("su_password: '-'\n", "su_password_file: password\n");
        let pgmig = Pgmig::new().file("postgres.yaml", &yaml).file("password", password);
        pgmig.args(["--target", "postgres.yaml", "--testPGConnection"]).run().expect_status(0);
    }
}

#[test]
fn passwords_with_control_characters_are_refused_before_the_server_is_asked() {
    let file = TargetFile { su_password: "-".to_owned(), ..TargetFile::of(&Database::create("control")) };
    let yaml = file.to_yaml().replace("su_password: '-'\n", "su_password_file: password\n");
    for password in ["a\u{7}b", "two\nlines"] {
        let pgmig = Pgmig::new().file("postgres.yaml", &yaml).file("password", password);
        let outcome = pgmig.args(["--target", "postgres.yaml", "--testPGConnection"]).run().expect_status(2);
        outcome.stderr_has("a password on one line, without control characters").keeps_secret(password);
    }
}

#[test]
fn a_client_certificate_lets_in_as_with_psql() {
    let site = Site::new("");
    let root = Identity::authority("root");
    let superuser = site.server.superuser.as_str();
    let client = root.issue_leaf(Leaf { is_for_clients: true, ..Leaf::of(&superuser) });
    let certificate = site.pems("client.crt", &[&client]);
    let key = String::from_utf8(client.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    let key = site.file("client.key", &key);
    let trusted = site.server.data.join("clients.crt");
    replace(&trusted, root.pem().as_bytes());
    site.server.psql("postgres", "ALTER SYSTEM SET ssl_ca_file = 'clients.crt'");
    site.admit("hostssl all all all cert\n");
    let with = [("PGSSLMODE", "require"), ("PGSSLCERT", certificate.as_str()), ("PGSSLKEY", key.as_str())];
    wait_until(|| site.pgmig("localhost", &with).status.success());
    site.judge(10, "with a certificate", "localhost", &with, ACCEPTED);
    site.judge(10, "without", "localhost", &with[..1], REFUSED);

    site.pgmig("localhost", &with[..2]).expect_status(2).stderr_has("set PGSSLKEY");
    let path = PathBuf::from(&key);
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    site.judge(10, "others can read the key", "localhost", &with, REFUSED);
    site.pgmig("localhost", &with).expect_status(1).stderr_has("run chmod 600");
}
