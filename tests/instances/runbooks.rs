//! Types the manuals' commands at a terminal, as the manuals print them. The directory contains only the files of the
//! manual.

use crate::support::cluster::{self, Cluster, SERVICE, shell_that_knows_the_service};
use crate::support::pgmig::binary;
use crate::support::pty::Terminal;
use crate::support::resource_controller::{Controller, TOKEN};
use crate::support::role::create_role;
use crate::support::session::Exporter;
use crate::support::store::{Backup, apply_migrations, apply_migrations_as};
use crate::support::untouched::databases_beside;
use crate::support::{Database, Server};
use serde_json::json;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// The password of the application's owner.
const PASSWORD: &str = "s3cret-of-dbadmin";

/// A directory with `pgmig` and the backup, as the manual copies them into the pod.
fn pod(backup: &Backup, file: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    symlink(binary(), directory.path().join("pgmig")).unwrap();
    std::fs::copy(&backup.archive, directory.path().join(file)).unwrap();
    directory
}

/// Imitates `oc exec -it POD /bin/bash` as far as the runbook needs it.
fn shell(directory: TempDir) -> Terminal {
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-i"]).env_clear().env("PATH", "/usr/bin:/bin").env("PS1", "pod$ ");
    let mut terminal = Terminal::start(bash, directory);
    terminal.sees("pod$ ");
    terminal
}

/// The same in a pod of a cluster, where the database's service has a name. Returns the name by which pgmig reaches it.
fn shell_in_cluster(directory: TempDir) -> (Terminal, &'static str) {
    let (mut bash, host) = match shell_that_knows_the_service(directory.path()) {
        Some(bash) => (bash, SERVICE),
        None => {
            let mut bash = Command::new("bash");
            bash.args(["--norc", "--noprofile", "-i"]);
            (bash, "localhost")
        }
    };
    bash.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("PS1", "pod$ ");
    let mut terminal = Terminal::start(bash, directory);
    terminal.sees("pod$ ");
    (terminal, host)
}

/// The answers of a whole run: accept the certificate, choose a target for each instance, confirm erasing.
fn answer(terminal: &mut Terminal, database: &str) {
    terminal.sees("Trust this certificate, this time? [y/N] ").types("y");
    terminal.sees("Instance 1 of 3 of the backup").sees("(0 for details): ").types("1");
    // The instance of the same name.
    terminal
        .sees("Instance 2 of 3 of the backup")
        .sees("(Enter for 3, 0 for details, b to go back): ")
        .types("");
    terminal.sees("Instance 3 of 3 of the backup").sees("(0 for details, b to go back): ").types("2");
    terminal.sees("The mapping").sees("assistant-2").sees("b to change the last answer): ").types("");
    terminal.sees("which would be erased").sees("Type the database's name to erase it").types(database);
    terminal.sees("Restored \"").sees("pod$ ");
}

/// Leaves the shell. Checks pgmig's exit status, the mapping, and the restored database.
fn finish(mut terminal: Terminal, backup: &Backup, target: &Database, password: &str) {
    terminal.types("exit $?");
    let ended = terminal.ends().expect_status(0).keeps_secret(TOKEN).keeps_secret(password);
    let written = std::fs::read_to_string(ended.directory.path().join("enteredMapping.yaml")).unwrap();
    assert_eq!(written, ENTERED);
    backup.assert_restored(target);
    assert_eq!(databases_beside(target), "");
}

/// The mapping that results from the answers, in the order of the questions.
const ENTERED: &str = "\
instance-mappings:
  # \"Contoso Bank\" -> \"assistant-1\"
  00000000-0000-0000-0000-001570184978: 00000000-0000-0000-0000-001570194490
  # \"Zweig \\\"Söhne\\\"\" -> \"Zweig \\\"Söhne\\\"\"
  e10001eb-6272-453a-bb43-3dcf0e765892: 00000000-0000-0000-0000-001570194492
  # (no name) -> \"assistant-2\"
  00000000-0000-0000-1764-035503433645: 00000000-0000-0000-0000-001570194491
";

/// The instances of the target: number and name.
const PROVISIONED: [(u64, &str); 4] = [
    (1_570_194_490, "assistant-1"),
    (1_570_194_491, "assistant-2"),
    (1_570_194_492, "Zweig \"Söhne\""),
    (1_570_194_493, "spare"),
];

fn gateway() -> Controller {
    let instance = |(number, name): (u64, &str)| json!({ "zen_id": number.to_string(), "name": name });
    Controller::gateway(PROVISIONED.map(instance).to_vec())
}

fn zen() -> Controller {
    let instance = |(number, name): (u64, &str)| {
        json!({
            "id": number.to_string(), "display_name": name, "addon_type": "assistant",
            "provision_status": "PROVISIONED", "namespace": "cpd", "metadata": {}
        })
    };
    Controller::zen(PROVISIONED.map(instance).to_vec())
}

/// `resourceController.yaml` in the manual's form, which has no CA.
fn resource_controller_yaml(controller: &Controller, more: &str) -> String {
    format!("accessTokens:\n  - {TOKEN}\nhost: localhost\nport: {}\n{more}", controller.port)
}

fn postgres_yaml(target: &Database, username: &str, superuser: &str, password: &str) -> String {
    format!(
        "host: localhost\nport: {}\ndatabase: {}\nusername: {username}\nsu_username: {superuser}\n\
         su_password: {password}\n",
        target.server.port, target.name
    )
}

/// A target of the newest release that holds data of the provisioned instances.
fn target_with_data(target: &Database) {
    apply_migrations(target, "newest");
    provision(target);
}

fn provision(target: &Database) {
    for (number, name) in PROVISIONED {
        let id = format!("00000000-0000-0000-0000-{number:012}");
        target.psql(&format!(
            "INSERT INTO store.tenant (tenant_id, instance_id, name) VALUES ('{id}', '{number}', '{name}')"
        ));
    }
}

/// Release 1.4.2: the superuser is a separate role, and the database has no TLS.
#[test]
fn release_1_4_2() {
    let backup = Backup::of_oldest_release();
    let server = Server::of_this_run();
    create_role(&server, "store_icp_release");
    server.psql("postgres", "ALTER ROLE store_icp_release LOGIN");
    let target = Database::create_with(&server, "icp", "OWNER store_icp_release TEMPLATE template0");
    // The service itself creates its tables.
    let service = Server { superuser: "store_icp_release".to_owned(), ..server.clone() };
    target_with_data(&Database::shared(&service, &target.name));
    let controller = gateway();
    let postgres = postgres_yaml(&target, "store_icp_release", &server.superuser, &server.password);
    let directory = pod(&backup, "store.dump");
    std::fs::write(directory.path().join("postgres.yaml"), postgres).unwrap();
    std::fs::write(
        directory.path().join("resourceController.yaml"),
        resource_controller_yaml(&controller, ""),
    )
    .unwrap();

    let mut terminal = shell(directory);
    terminal.types(
        "./pgmig --resourceController resourceController.yaml --target postgres.yaml --source store.dump",
    );
    answer(&mut terminal, &target.name);
    finish(terminal, &backup, &target, &server.password);
}

/// The manuals of 2022 and 2025: TLS with the cluster's CA. The application's owner is the only role.
#[test]
fn releases_with_a_ca_file() {
    for (controller, more) in [(gateway(), ""), (zen(), "type: assistant\n")] {
        let backup = Backup::of_oldest_release();
        let server = Server::start_private("");
        server.psql("postgres", &format!("CREATE ROLE dbadmin LOGIN CREATEDB PASSWORD '{PASSWORD}'"));
        let as_owner = Server { superuser: "dbadmin".to_owned(), ..server.clone() };
        let target = Database::create_on(&as_owner, "conversation_pprd");
        target_with_data(&target);
        let directory = pod(&backup, "store.dump_20251120-230000");
        let path = directory.path().to_owned();
        let ca = server.ca.as_ref().expect("a private server speaks TLS");
        std::fs::copy(ca, path.join("ca.crt")).unwrap();
        std::fs::write(path.join("postgres.yaml"), postgres_yaml(&target, "dbadmin", "dbadmin", PASSWORD))
            .unwrap();
        std::fs::write(path.join("resourceController.yaml"), resource_controller_yaml(&controller, more))
            .unwrap();

        let mut terminal = shell(directory);
        terminal.types(&format!("cd {}", path.display())).sees("pod$ ");
        terminal.types(&format!("export PG_CA_FILE={}/ca.crt", path.display())).sees("pod$ ");
        terminal.types("export ENABLE_ICP=true").sees("pod$ ");
        terminal.types(
            "./pgmig --resourceController resourceController.yaml --target postgres.yaml \
             --source store.dump_20251120-230000",
        );
        answer(&mut terminal, &target.name);
        // Even the owner cannot read a table with FORCE ROW LEVEL SECURITY.
        finish(terminal, &backup, &Database::shared(&server, &target.name), PASSWORD);
    }
}

/// The runbook of docs/runbooks.md for a cluster of CloudNativePG. The application's role owns its database and has no other
/// right. A metrics exporter connects repeatedly.
#[test]
fn a_role_that_owns_its_database_and_nothing_more() {
    let backup = Backup::of_oldest_release();
    let cluster = Cluster::start();
    apply_migrations_as(&cluster.database, "newest", cluster::OWNER);
    provision(&cluster.database);
    let directory = pod(&backup, "store.dump");
    let path = directory.path().to_owned();
    let controller = zen();
    let exporter = Exporter::start(&cluster.database, Duration::from_millis(100));

    let (mut terminal, host) = shell_in_cluster(directory);
    std::fs::write(path.join("ca.crt"), &cluster.ca).unwrap();
    let postgres = postgres_yaml(&cluster.database, cluster::OWNER, cluster::OWNER, cluster::PASSWORD);
    std::fs::write(path.join("postgres.yaml"), postgres.replace("host: localhost", &format!("host: {host}")))
        .unwrap();
    let more = "type: assistant\n";
    std::fs::write(path.join("resourceController.yaml"), resource_controller_yaml(&controller, more))
        .unwrap();
    terminal.types(&format!("cd {}", path.display())).sees("pod$ ");
    terminal.types(&format!("export PG_CA_FILE={}/ca.crt", path.display())).sees("pod$ ");
    terminal.types("./pgmig --testPGConnection --target postgres.yaml");
    terminal.sees("TLS         TLSv1.3").sees("pod$ ");
    terminal.types(
        "./pgmig --resourceController resourceController.yaml --target postgres.yaml --source store.dump",
    );
    answer(&mut terminal, &cluster.database.name);
    backup.assert_restored(&cluster.database);

    // The second run uses the entered mapping, over the restored database.
    terminal
        .types("./pgmig --dry-run --target postgres.yaml --source store.dump --mapping enteredMapping.yaml");
    terminal.sees("in-place").sees("pod$ ");
    terminal
        .types("./pgmig --force --target postgres.yaml --source store.dump --mapping enteredMapping.yaml");
    terminal.sees("Restored \"").sees("pod$ ");
    assert!(exporter.stop() > 0, "the exporter was never let in");
    finish(terminal, &backup, &cluster.database, cluster::PASSWORD);
    assert_eq!(owners(&cluster.database), "dbadmin\n");
}

/// The owners of objects in schema store.
fn owners(target: &Database) -> String {
    target.psql("SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'store'::regnamespace")
}
