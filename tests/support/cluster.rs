//! A cluster in the manner of CloudNativePG. The application's role logs in, owns its database, and has no other right.
//! The server requires TLS 1.3 and scram; its certificate has only the names of the services. The superuser logs in by
//! the socket alone.

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
    /// The application's database, which is empty. Tests query it as the superuser.
    pub(crate) database: Database,
    /// The CA's certificate, in the form that the cluster's secret has.
    pub(crate) ca: String,
    /// The last field, because the database must be dropped before the server stops.
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
        // Connections by TCP need TLS and a password. The superuser has no password.
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

/// Writes a file of the data directory, and keeps the directory's owner as the file's owner.
pub(crate) fn replace(path: &Path, content: &[u8]) {
    let directory = std::fs::metadata(path.parent().expect("a file is in a directory")).expect("it is there");
    std::fs::write(path, content).expect("a file can be written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("permissions can be set");
    if directory.uid() != std::fs::metadata("/proc/self").expect("Linux has /proc").uid() {
        chown(path, Some(directory.uid()), Some(directory.gid())).expect("root may give files away");
    }
}

/// A shell with its own /etc/hosts, in which the service's name can be resolved as in a pod. `None` if the system
/// offers no mount namespace. Then tests reach the server as localhost and do not verify its name.
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
