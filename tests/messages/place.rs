//! The directory in which a command of a case runs, and the names that make its output the same on every machine.

use super::case::{Case, Shown};
use crate::support::Database;
use crate::support::damage::{malformed, truncated};
use crate::support::fixture::fixture;
use crate::support::pgmig::{TargetFile, binary};
use crate::support::resource_controller::{Controller, TOKEN};
use crate::support::role::create_role;
use crate::support::server::Server;
use crate::support::store::Backup;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A password that no message may show.
const PASSWORD: &str = "n0t-to-be-sh0wn";

/// A role that may log in, and nothing more.
const ROLE: &str = "messages_app";

/// A target that no command reaches.
const NOWHERE: &str = "host: 127.0.0.1\nport: 1\ndatabase: store\nusername: app\nsu_username: app\n\
                       su_password: n0t-to-be-sh0wn\n";

/// A Resource Controller that no command reaches.
const NO_CONTROLLER: &str = "accessTokens:\n  - n0t-to-be-sh0wn\nhost: 127.0.0.1\nport: 1\n";

/// The live instances of `store.dump`, and the provisioned ones of the target.
const MAPPING: [(&str, &str); 3] = [
    ("00000000-0000-0000-0000-001570184978", "00000000-0000-0000-0000-001570194490"),
    ("00000000-0000-0000-1764-035503433645", "00000000-0000-0000-0000-001570194491"),
    ("e10001eb-6272-453a-bb43-3dcf0e765892", "00000000-0000-0000-0000-001570194492"),
];

/// What is in the directory of every case, and what stands for names that differ between machines.
pub(super) struct Place {
    files: Vec<(&'static str, Vec<u8>)>,
    /// A text of this run, and the text that stands for it in the files of the cases.
    names: Vec<(String, &'static str)>,
    server: Option<OnServer>,
}

/// What the cases have on a server.
struct OnServer {
    password: String,
    /// PostgreSQL's own programs, of the server's version.
    programs: String,
    _databases: [Database; 2],
    _controller: Controller,
}

/// Whether a line says how far a run is, and when.
fn is_progress(line: &str) -> bool {
    line.split_once('[')
        .and_then(|(_, rest)| rest.split_once(" s] "))
        .is_some_and(|(time, _)| time.chars().all(|c| c == ' ' || c == '.' || c.is_ascii_digit()))
}

/// The line without the size of a database, which differs between servers.
fn without_size(line: &str) -> String {
    let Some((before, rest)) = line.split_once(" large objects; ") else { return line.to_owned() };
    match rest.split_once(" MiB") {
        Some((_, after)) => format!("{before} large objects; ... MiB{after}"),
        None => line.to_owned(),
    }
}

impl Place {
    /// `postgres.yaml` and `resourceController.yaml` lead nowhere.
    pub(super) fn without_server() -> Self {
        let mut place = Self { files: Vec::new(), names: Vec::new(), server: None };
        place.backups();
        place.file("postgres.yaml", NOWHERE);
        place.file("resourceController.yaml", NO_CONTROLLER);
        place
    }

    /// `postgres.yaml` leads to a store with data, `empty.yaml` to an empty database, and `owner.yaml` to the same as a role
    /// that owns it and has no other right.
    pub(super) fn with_server() -> Self {
        let server = Server::of_this_run();
        let store = Backup::of_oldest_release().target("messages");
        create_role(&server, ROLE);
        server.psql("postgres", &format!("ALTER ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'"));
        let empty = Database::create_with(&server, "nothing", &format!("OWNER {ROLE} TEMPLATE template0"));
        let controller = Controller::zen(
            [(1_570_194_490, "first"), (1_570_194_491, "second")]
                .map(|(number, name): (u64, &str)| {
                    json!({
                        "id": number.to_string(), "display_name": name, "addon_type": "assistant",
                        "provision_status": "PROVISIONED", "namespace": "cpd", "metadata": {}
                    })
                })
                .to_vec(),
        );
        let mut place = Self { files: Vec::new(), names: Vec::new(), server: None };
        place.backups();
        place.file("postgres.yaml", &TargetFile::of(&store).to_yaml());
        place.file("empty.yaml", &TargetFile::of(&empty).to_yaml());
        let owner = TargetFile {
            username: ROLE.to_owned(),
            su_username: ROLE.to_owned(),
            su_password: PASSWORD.to_owned(),
            ..TargetFile::of(&empty)
        };
        place.file("owner.yaml", &owner.to_yaml());
        let rc = format!(
            "accessTokens:\n  - {TOKEN}\nhost: localhost\nport: {}\ntype: assistant\n",
            controller.port
        );
        place.file("resourceController.yaml", &format!("{rc}caFile: ca.crt\n"));
        place.file("untrusted.yaml", &rc);
        let ca = std::fs::read(controller.ca_file()).expect("the CA's certificate is there");
        place.files.push(("ca.crt", ca));
        place.names = vec![
            (ROLE.to_owned(), "app"),
            (store.name.clone(), "store"),
            (empty.name.clone(), "empty"),
            (format!("{}:{}", server.host, server.port), "db.example:5432"),
            (format!("localhost:{}", controller.port), "controller.example:443"),
            (format!("port {}", server.port), "port 5432"),
            (server.superuser.clone(), "postgres"),
        ];
        let databases = [store, empty];
        place.server = Some(OnServer {
            password: server.password,
            programs: server.bindir.display().to_string(),
            _databases: databases,
            _controller: controller,
        });
        place
    }

    /// The backups, and a mapping for them.
    fn backups(&mut self) {
        let read = |path: &Path| std::fs::read(path).expect("a fixture can be read");
        let store = fixture("releases/4.0.0.dump");
        self.files.push(("half.dump", truncated(&store, 50)));
        self.files.push(("store.dump", read(&store)));
        self.files.push(("tty.dump", malformed("kubectl_tty_prefix.dump")));
        self.files.push(("crlf.dump", malformed("crlf_mangled.dump")));
        self.files.push(("utf16.sql", malformed("utf16_powershell.dump")));
        self.files.push(("newer.dump", malformed("version_2.0.dump")));
        self.files.push(("flipped.dump", malformed("flip_chunk_gz.dump")));
        self.files.push(("rows.sql.gz", read(&fixture("archives/15_plain_data.sql.gz"))));
        let pairs: String =
            MAPPING.iter().map(|(source, target)| format!("  {source}: {target}\n")).collect();
        self.file("enteredMapping.yaml", &format!("instance-mappings:\n{pairs}"));
    }

    fn file(&mut self, name: &'static str, content: &str) {
        self.files.push((name, content.as_bytes().to_vec()));
    }

    /// Runs the case's command.
    pub(super) fn run(&self, case: &Case) -> Shown {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let of_case = case.files.iter().map(|(name, text)| (name.as_str(), text.as_bytes()));
        for (name, content) in self.files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).chain(of_case)
        {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is in the directory")).expect("it can be made");
            std::fs::write(&path, content).expect("a file can be written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
                .expect("its mode can be set");
        }
        let path = binary();
        let programs = path.parent().expect("the binary is in a directory").display().to_string();
        let of_server = self.server.as_ref().map(|on| on.programs.as_str()).unwrap_or("/usr/bin");
        let output = Command::new("bash")
            .args(["-c", &format!("exec 2>&1\n{}", case.command)])
            .current_dir(directory.path())
            .env_clear()
            .env("PATH", format!("{programs}:{of_server}:/usr/bin:/bin"))
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", "/nonexistent")
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        let text = String::from_utf8(output.stdout).expect("pgmig prints UTF-8");
        let passwords = self.server.as_ref().map(|on| on.password.as_str());
        for secret in [PASSWORD, TOKEN].into_iter().chain(passwords) {
            assert!(!text.contains(secret), "{}: a secret is shown: {text}", case.command);
        }
        assert!(!text.contains("panicked"), "{}: {text}", case.command);
        let text = self.names.iter().fold(text, |text, (name, stands)| text.replace(name.as_str(), stands));
        let status = output.status.code().expect("no signal ends it");
        let text = text.split_inclusive('\n').filter(|line| !is_progress(line)).map(without_size).collect();
        Shown { text, status }
    }
}
