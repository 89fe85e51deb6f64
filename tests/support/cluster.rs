//! A cluster as CloudNativePG sets one up: the application's role logs in and owns its database, nothing more; TLS 1.3
//! with a certificate of the services' names only; scram; the superuser gets in by the socket alone.

use super::certificate::{Identity, Validity};
use super::database::Database;
use super::server::{PrivateServer, Server};
use super::session::wait_until;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

/// The service of the primary.
pub(crate) const SERVICE: &str = "wa_inst-postgres-16-rw";

/// The application's role.
pub(crate) const OWNER: &str = "dbadmin";

/// Its password.
pub(crate) const PASSWORD: &str = "s3cret-of-dbadmin";

/// The cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The application's, empty. What is asked of it is asked as the superuser.
    pub(crate) database: Database,
    /// The CA's certificate, as the secret has it.
    pub(crate) ca: String,
    /// Last, as the database is dropped from it.
    _server: PrivateServer,
}

impl Cluster {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let server =
            Server::start_private("ssl_min_protocol_version = 'TLSv1.3'\nmax_prepared_transactions = 0");
        let authority = Identity::authority("wa_inst-postgres-16-ca");
        let names =
            ["", ".zen", ".zen.svc", ".zen.svc.cluster.local"].map(|domain| format!("{SERVICE}{domain}"));
        let identity = authority.issue(&names.each_ref().map(String::as_str), Validity::Now);
        let key = identity.key.private_key_to_pem_pkcs8().expect("a key is PEM");
        replace(&server.data.join("server.key"), &key);
        replace(&server.data.join("server.crt"), identity.pem().as_bytes());
        // By TCP only with TLS and a password; the superuser has none.
        let hba = "local all all trust\nhostssl all all all scram-sha-256\n";
        replace(&server.data.join("pg_hba.conf"), hba.as_bytes());
        let superuser = &server.superuser;
        server.psql(
            "postgres",
            &format!(
                "ALTER ROLE {superuser} PASSWORD NULL; CREATE ROLE {OWNER} LOGIN PASSWORD '{PASSWORD}';
                 SELECT pg_reload_conf()"
            ),
        );
        wait_until(|| server.psql("postgres", "SELECT count(*) FROM pg_hba_file_rules") == "2\n");
        let name = "conversation_pprd_wa_inst";
        let database = Database::create_named(&server, name, &format!("OWNER {OWNER}"));
        Self { database, ca: authority.pem(), _server: server }
    }
}

/// Writes a file of the data directory, which stays its owner's.
pub(crate) fn replace(path: &Path, content: &[u8]) {
    let directory = std::fs::metadata(path.parent().expect("a file is in a directory")).expect("it is there");
    std::fs::write(path, content).expect("a file can be written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("permissions can be set");
    if directory.uid() != std::fs::metadata("/proc/self").expect("Linux has /proc").uid() {
        chown(path, Some(directory.uid()), Some(directory.gid())).expect("root may give files away");
    }
}

/// Where the service's name can be resolved, as in a pod: a shell with an /etc/hosts of its own. `None` where the
/// system gives no mount namespace; then the server is reached as localhost, and its name is not verified.
pub(crate) fn shell_that_knows_the_service(directory: &Path) -> Option<Command> {
    let hosts = directory.join("hosts");
    std::fs::write(&hosts, format!("127.0.0.1 localhost {SERVICE}\n")).expect("a file can be written");
    let with_hosts = |last: &str| {
        let mut command = Command::new("unshare");
        let script = format!("mount --bind {} /etc/hosts && exec {last}", hosts.display());
        command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
        command
    };
    let possible = with_hosts("true").output().is_ok_and(|output| output.status.success());
    possible.then(|| with_hosts("bash --norc --noprofile -i"))
}
