//! A PostgreSQL server for tests: the one that `tests/with-postgres` started for the whole run, or a private one. A
//! private server is for a test that needs other settings or kills the server.

use super::fixture::repository;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

/// A server's address, and the superuser's login.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The directory of its Unix socket, on which the server asks for no password.
    pub(crate) socket: PathBuf,
    pub(crate) superuser: String,
    pub(crate) password: String,
    /// PostgreSQL's own programs.
    pub(crate) bindir: PathBuf,
    /// Its data directory.
    pub(crate) data: PathBuf,
    /// A directory for files that tests make once and share.
    pub(crate) shared: PathBuf,
    /// The CA of its certificate; `None` if the server does not use TLS.
    pub(crate) ca: Option<PathBuf>,
}

/// The roles to which the corpus's archives grant privileges.
const CORPUS_ROLES: [&str; 4] = ["store_owner", "app_rw", "app_ro", "Weird Role; -- \"x\""];

impl Server {
    /// The server of this test run.
    ///
    /// # Panics
    ///
    /// There is no server. A test that needs PostgreSQL fails without it; no test is skipped.
    pub(crate) fn of_this_run() -> Self {
        Self::from_variables(|name| std::env::var(name).ok()).unwrap_or_else(|missing| {
            panic!("{missing} is not set: these tests need PostgreSQL, run `make test`")
        })
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let required = |name: &str| variable(name).ok_or_else(|| name.to_owned());
        Ok(Self {
            host: required("PGMIG_TEST_HOST")?,
            port: required("PGMIG_TEST_PORT")?.parse().expect("PGMIG_TEST_PORT is a port"),
            socket: required("PGMIG_TEST_SOCKET")?.into(),
            superuser: required("PGMIG_TEST_SUPERUSER")?,
            password: required("PGMIG_TEST_PASSWORD")?,
            bindir: required("PGMIG_TEST_BINDIR")?.into(),
            data: required("PGMIG_TEST_PGDATA")?.into(),
            shared: required("PGMIG_TEST_SHARED")?.into(),
            ca: variable("PGMIG_TEST_CA").map(PathBuf::from),
        })
    }

    /// Starts a private server with these lines in its postgresql.conf. It has a certificate for `localhost`. It stops
    /// when the value is dropped or the test's process ends.
    pub(crate) fn start_private(conf: &str) -> PrivateServer {
        Self::started(Command::new(repository().join("tests/with-postgres")), conf)
    }

    /// The same, with PostgreSQL's programs in this directory.
    pub(crate) fn start_private_from(bindir: &Path, conf: &str) -> PrivateServer {
        let mut keeper = Command::new(repository().join("tests/with-postgres"));
        keeper.env("PGMIG_PG_BINDIR", bindir);
        Self::started(keeper, conf)
    }

    fn started(mut keeper: Command, conf: &str) -> PrivateServer {
        let mut keeper = keeper
            // Says where the server is, then waits for its input to end: with this process, at the latest.
            .args(["--tls", "sh", "-c", "env -0 | tr '\\n\\0' ' \\n' | grep ^PGMIG_TEST_; echo; exec cat"])
            .env("PGMIG_TEST_CONF", conf)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/with-postgres starts");
        let mut variables = Vec::new();
        let mut lines = BufReader::new(keeper.stdout.take().expect("stdout is piped"));
        loop {
            let mut line = String::new();
            let length = lines.read_line(&mut line).expect("with-postgres prints UTF-8");
            assert!(length > 0, "tests/with-postgres ended early, see its message above");
            match line.trim_end_matches('\n').split_once('=') {
                Some((name, value)) => variables.push((name.to_owned(), value.to_owned())),
                None => break,
            }
        }
        let find =
            |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let server = Self::from_variables(find).expect("with-postgres exports them all");
        let stdin = keeper.stdin.take();
        PrivateServer { server, keeper, stdin, environment: Vec::new() }
    }

    /// The server's major version: 15, 16, ...
    pub(crate) fn major_version(&self) -> u32 {
        let number = self.psql("postgres", "SHOW server_version_num");
        number.trim().parse::<u32>().expect("server_version_num is a number") / 10_000
    }

    /// A command of PostgreSQL's own programs, to run against this server as superuser, over the socket.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bindir.join(name));
        command
            .env("PGHOST", &self.socket)
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", &self.superuser);
        command
    }

    /// Runs one of PostgreSQL's own programs and returns its output.
    #[track_caller]
    pub(crate) fn run_program<A: AsRef<OsStr>>(
        &self,
        name: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Vec<u8> {
        let output =
            self.program(name).args(args).stdin(Stdio::null()).output().expect("PostgreSQL's programs run");
        succeeded(name, output)
    }

    /// Runs SQL as superuser; returns rows as lines, columns separated by `|`.
    #[track_caller]
    pub(crate) fn psql(&self, database: &str, sql: &str) -> String {
        String::from_utf8(succeeded("psql", self.try_psql(database, sql))).expect("psql prints UTF-8")
    }

    /// Like [`Server::psql`], for SQL that may fail.
    pub(crate) fn try_psql(&self, database: &str, sql: &str) -> Output {
        let mut child = self
            .program("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql runs");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let sql = sql.to_owned();
        // psql may fail and stop reading before it has read everything.
        let writer = std::thread::spawn(move || drop(stdin.write_all(sql.as_bytes())));
        let output = child.wait_with_output().expect("psql ends");
        writer.join().expect("the writer does not panic");
        output
    }

    /// Creates the roles to which the corpus's archives grant privileges, once for all tests.
    pub(crate) fn create_corpus_roles(&self) {
        let mut sql = "BEGIN; SELECT pg_advisory_xact_lock(7067);\n".to_owned();
        for role in CORPUS_ROLES {
            let literal = role.replace('\'', "''");
            sql += &format!(
                "SELECT format('CREATE ROLE %I', '{literal}') \
                 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{literal}') \\gexec\n"
            );
        }
        self.psql("postgres", &(sql + "COMMIT;"));
    }
}

/// A server for one test. It stops when the value is dropped.
#[derive(Debug)]
pub(crate) struct PrivateServer {
    server: Server,
    keeper: Child,
    stdin: Option<ChildStdin>,
    /// Variables of its environment from the next start on.
    environment: Vec<(String, PathBuf)>,
}

impl PrivateServer {
    /// From its next start on, it loads this library before all others, and has this variable.
    pub(crate) fn preload(&mut self, library: &Path, (name, value): (&str, &Path)) {
        self.environment =
            vec![("LD_PRELOAD".to_owned(), library.to_owned()), (name.to_owned(), value.to_owned())];
    }

    /// Kills all processes of the server, as a power failure would.
    pub(crate) fn crash(&self) {
        self.control(&["stop", "-m", "immediate"]);
    }

    /// Starts it again on the same port, after a [`PrivateServer::crash`].
    pub(crate) fn start_again(&self) {
        let log = self.server.data.with_file_name("server.log");
        let options = format!("-p {}", self.server.port);
        let log = log.to_str().expect("the harness's paths are UTF-8");
        self.control(&["start", "-w", "-s", "-l", log, "-o", &options]);
    }

    /// Runs pg_ctl as the data directory's owner.
    fn control(&self, args: &[&str]) {
        use std::os::unix::fs::MetadataExt;
        use std::os::unix::process::CommandExt;
        let owner = std::fs::metadata(&self.server.data).expect("the data directory is there");
        let mut command = self.server.program("pg_ctl");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg("-D").arg(&self.server.data).args(args).current_dir("/").stdin(Stdio::null());
        let myself = std::fs::metadata("/proc/self").expect("Linux has /proc").uid();
        if myself != owner.uid() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        // Not `output()`: the server inherits the pipes and would keep them open.
        let status = command.stdout(Stdio::null()).status().expect("pg_ctl runs");
        assert!(status.success(), "pg_ctl {args:?}: {status}");
    }
}

impl Deref for PrivateServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        drop(self.stdin.take()); // the end of its input tells with-postgres to clean up
        let _ = self.keeper.wait();
    }
}

#[track_caller]
fn succeeded(what: &str, output: Output) -> Vec<u8> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}\n{stderr}", output.status);
    output.stdout
}
