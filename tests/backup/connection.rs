//! pg_dump connects as pgmig does: by socket, by TLS, with the same demands.

use crate::support::Server;
use crate::support::backup::{DIRECTORY, Site, names, script};
use crate::support::certificate::Identity;
use crate::support::cluster::replace;

#[test]
fn by_a_socket_without_a_password() {
    let mut site = Site::new("backup_socket");
    site.file.host = site.database.server.socket.to_str().unwrap().to_owned();
    let yaml = site.file.to_yaml();
    let without = yaml.split_inclusive('\n').filter(|line| !line.starts_with("su_password"));
    let yaml: String = without.collect();
    let outcome = site.backup().file("postgres.yaml", &yaml).args(["-o", DIRECTORY]).run().expect_status(0);
    assert_eq!(names(&outcome).len(), 1);
}

/// Refuses to go on without TLS, and prints what libpq is told.
const SHOW: &str = r#"
if [ "$1" != -V ]; then env | grep ^PGSSL > "$(dirname "$0")/variables"; fi
exec "$PG_DUMP" "$@"
"#;

#[test]
fn by_tls_with_the_same_ca_and_mode() {
    let server = Server::start_private("");
    let hba = "local all all trust\nhostssl all all all scram-sha-256\n";
    replace(&server.data.join("pg_hba.conf"), hba.as_bytes());
    server.psql("postgres", "SELECT pg_reload_conf()");
    let mut site = Site::on(&server, "backup_tls");
    site.file.host = "localhost".to_owned();
    let directory = tempfile::tempdir().unwrap();
    let program = script(directory.path(), &server, SHOW);
    let ca = server.ca.clone().unwrap();
    let outcome = site
        .backup_with(&program)
        .args(["-o", DIRECTORY])
        .env("PG_CA_FILE", &ca)
        .env("PGSSLMODE", "verify-full")
        .run()
        .expect_status(0);
    let names = names(&outcome);
    site.assert_is_backup(&outcome.directory.path().join(DIRECTORY).join(&names[0]));
    let variables = std::fs::read_to_string(directory.path().join("variables")).unwrap();
    assert!(variables.contains("PGSSLMODE=verify-full\n"), "{variables}");
    assert!(variables.contains(&format!("PGSSLROOTCERT={}\n", ca.display())), "{variables}");
    // Another CA: pgmig itself refuses the server.
    let other = directory.path().join("other.crt");
    std::fs::write(&other, Identity::authority("other").pem()).unwrap();
    let refused = site.backup().args(["-o", DIRECTORY]).env("PG_CA_FILE", &other).run().expect_status(1);
    refused.assert_stderr_has("certificate");
}

#[test]
fn a_demand_that_pg_dump_does_not_know_is_refused() {
    let site = Site::new("backup_demands");
    let outcome = site.backup().args(["-o", DIRECTORY]).env("PGREQUIREAUTH", "scram-sha-256").run();
    if site.database.server.major_version() < 16 {
        let outcome = outcome.expect_status(2).stderr_has("PGREQUIREAUTH cannot be honoured: pg_dump ");
        assert_eq!(names(&outcome), [""; 0]);
    } else {
        outcome.expect_status(0);
    }
}
