//! Runs the `pgmig` binary as an operator does: in a directory of its own, with its YAML files beside it.

use super::database::Database;
use super::pty::Terminal;
use super::server::Server;
use pgmig_core::server::{CONNECTION_VARIABLES, LIBPQ_VARIABLES};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A command line of pgmig, and the directory that it runs in.
#[derive(Debug)]
pub(crate) struct Pgmig {
    directory: TempDir,
    args: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    stdin: Input,
    timeout: Duration,
    /// A limit of `prlimit`, and its value.
    limit: Option<(String, u64)>,
}

/// The program's standard input.
#[derive(Debug)]
enum Input {
    Nothing,
    File(PathBuf),
    /// Sends these bytes and keeps the pipe open.
    Stalled(Vec<u8>),
}

/// The settings in postgres.yaml.
#[derive(Debug, Clone)]
pub(crate) struct TargetFile {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) username: String,
    pub(crate) su_username: String,
    pub(crate) su_password: String,
    /// More lines, added unchanged.
    pub(crate) more: String,
}

/// A run of pgmig that has not ended.
#[derive(Debug)]
pub(crate) struct Running {
    directory: TempDir,
    child: Child,
    /// Keeps standard input open until the run has ended.
    stdin: Option<ChildStdin>,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
    deadline: Instant,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) directory: TempDir,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The variables that pgmig reads, beside those of libpq. They are removed, so that a developer's environment does not change a test.
const ENVIRONMENT: [&str; 9] = [
    "PG_CA_FILE",
    "RC_CA_FILE",
    "ENABLE_ICP",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGPASSWORD",
    "PGAPPNAME",
    "NO_COLOR",
    "PGMIG_FAILPOINT",
];

impl TargetFile {
    /// The target is this database. pgmig connects by TCP and password as the superuser, who also owns the objects.
    pub(crate) fn of(database: &Database) -> Self {
        let Server { host, port, superuser, password, .. } = database.server.clone();
        Self {
            host,
            port,
            database: database.name.clone(),
            username: superuser.clone(),
            su_username: superuser,
            su_password: password,
            more: String::new(),
        }
    }

    /// The file.
    pub(crate) fn to_yaml(&self) -> String {
        let quoted = |text: &str| match text.chars().any(char::is_control) {
            true => serde_json::to_string(text).expect("a text is JSON"),
            false => format!("'{}'", text.replace('\'', "''")),
        };
        format!(
            "host: {}\nport: {}\ndatabase: {}\nusername: {}\nsu_username: {}\nsu_password: {}\n{}",
            quoted(&self.host),
            self.port,
            quoted(&self.database),
            quoted(&self.username),
            quoted(&self.su_username),
            quoted(&self.su_password),
            self.more
        )
    }
}

impl Pgmig {
    /// No arguments yet.
    pub(crate) fn new() -> Self {
        Self {
            directory: TempDir::new().expect("a temporary directory can be made"),
            args: Vec::new(),
            environment: Vec::new(),
            stdin: Input::Nothing,
            timeout: Duration::from_secs(120),
            limit: None,
        }
    }

    /// `--target postgres.yaml` with this content.
    pub(crate) fn target(self, target: &TargetFile) -> Self {
        self.file("postgres.yaml", &target.to_yaml()).args(["--target", "postgres.yaml"])
    }

    /// `--source archive`.
    pub(crate) fn source(self, archive: &Path) -> Self {
        self.arg("--source").arg(archive)
    }

    /// `--mapping enteredMapping.yaml` with these pairs.
    pub(crate) fn mapping(self, pairs: &[(&str, &str)]) -> Self {
        let mut yaml = "instance-mappings:\n".to_owned();
        for (source, target) in pairs {
            yaml += &format!("  {source}: {target}\n");
        }
        self.file("enteredMapping.yaml", &yaml).args(["--mapping", "enteredMapping.yaml"])
    }

    /// Writes a file beside it, which nobody else can read.
    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).expect("a file can be written");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, private).expect("its mode can be set");
        self
    }

    /// Forgets the arguments, and keeps the files.
    pub(crate) fn without_arguments(mut self) -> Self {
        self.args.clear();
        self
    }

    /// One more argument.
    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// More arguments.
    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Stops at a step, or dies there with `STEP:kill`.
    pub(crate) fn failpoint(self, failpoint: &str) -> Self {
        self.env("PGMIG_FAILPOINT", failpoint)
    }

    /// Reads standard input from a file.
    pub(crate) fn stdin(mut self, file: &Path) -> Self {
        self.stdin = Input::File(file.to_owned());
        self
    }

    /// Sends these bytes to standard input and keeps the pipe open.
    pub(crate) fn stalled_stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = Input::Stalled(bytes);
        self
    }

    /// Sets a limit of the system: `nofile`.
    pub(crate) fn limit(mut self, what: &str, most: u64) -> Self {
        self.limit = Some((what.to_owned(), most));
        self
    }

    /// The time limit; the default is two minutes.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Outcome {
        self.spawn().wait()
    }

    /// Starts it at a terminal.
    #[track_caller]
    pub(crate) fn at_terminal(self) -> Terminal {
        Terminal::start(self.command(), self.directory)
    }

    /// The directory in which it will run.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn command(&self) -> Command {
        let mut command = match &self.limit {
            None => Command::new(binary()),
            Some((what, most)) => {
                let mut command = Command::new("prlimit");
                command.arg(format!("--{what}={most}:{most}")).arg(binary());
                command
            }
        };
        let of_libpq = LIBPQ_VARIABLES.into_iter().chain(CONNECTION_VARIABLES);
        for name in ENVIRONMENT.into_iter().chain(of_libpq) {
            command.env_remove(name);
        }
        command.args(&self.args).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it.
    #[track_caller]
    pub(crate) fn spawn(self) -> Running {
        let mut command = self.command();
        let stdin = match &self.stdin {
            Input::Nothing => Stdio::null(),
            Input::File(file) => Stdio::from(File::open(file).expect("the input is there")),
            Input::Stalled(_) => Stdio::piped(),
        };
        let mut child = command
            .current_dir(self.directory.path())
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("pgmig starts");
        let stdin = child.stdin.take();
        if let (Some(stdin), Input::Stalled(bytes)) = (&stdin, self.stdin) {
            let mut stdin = stdin.as_fd().try_clone_to_owned().map(File::from).expect("a pipe can be cloned");
            // The run may end before it has read everything.
            std::thread::spawn(move || drop(stdin.write_all(&bytes)));
        }
        Running {
            stdin,
            stdout: read_all(child.stdout.take().expect("stdout is piped")),
            stderr: read_all(child.stderr.take().expect("stderr is piped")),
            directory: self.directory,
            child,
            deadline: Instant::now() + self.timeout,
        }
    }
}

impl Running {
    /// Sends a signal: `INT`, `TERM`, `KILL`.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success(), "cannot send SIG{signal}");
    }

    /// Whether it handles SIGTERM already. Before that, SIGTERM would kill it.
    pub(crate) fn is_listening(&self) -> bool {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux has /proc");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).expect("it has signals");
        const SIGTERM: u32 = 15;
        u64::from_str_radix(caught, 16).expect("a mask is hexadecimal") >> (SIGTERM - 1) & 1 == 1
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }

    /// Waits for its end. If that takes too long, kills it and panics.
    #[track_caller]
    pub(crate) fn wait(self) -> Outcome {
        self.end().unwrap_or_else(|stderr| panic!("pgmig did not end in time; its standard error:\n{stderr}"))
    }

    /// Waits for its end. If that takes too long, kills it and returns its standard error.
    pub(crate) fn end(mut self) -> Result<Outcome, String> {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            if Instant::now() > self.deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return Err(text(self.stderr));
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        drop(self.stdin);
        let (stdout, stderr) = (text(self.stdout), text(self.stderr));
        Ok(Outcome { directory: self.directory, status, stdout, stderr })
    }
}

impl Outcome {
    /// Checks the exit status.
    #[track_caller]
    pub(crate) fn expect_status(self, expected: i32) -> Self {
        assert_eq!(self.status.code(), Some(expected), "{self}");
        self
    }

    /// Checks that it was killed by a signal.
    #[track_caller]
    pub(crate) fn expect_killed(self) -> Self {
        assert_eq!(self.status.signal(), Some(9), "{self}");
        self
    }

    /// Checks that standard error says this.
    #[track_caller]
    pub(crate) fn stderr_has(self, text: &str) -> Self {
        self.assert_stderr_has(text);
        self
    }

    /// Like [`Outcome::stderr_has`], but borrows the outcome.
    #[track_caller]
    pub(crate) fn assert_stderr_has(&self, text: &str) {
        assert!(self.stderr.contains(text), "standard error does not say {text:?}\n{self}");
    }

    /// Checks that standard output says this.
    #[track_caller]
    pub(crate) fn stdout_has(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "standard output does not say {text:?}\n{self}");
        self
    }

    /// Checks that neither output holds this secret.
    #[track_caller]
    pub(crate) fn keeps_secret(self, secret: &str) -> Self {
        assert!(!secret.is_empty(), "an empty secret is everywhere");
        assert!(!self.stdout.contains(secret) && !self.stderr.contains(secret), "a secret is shown");
        self
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n--- stdout\n{}\n--- stderr\n{}", self.status, self.stdout, self.stderr)
    }
}

/// The binary that was built beside this one: target/PROFILE/deps/integration-HASH -> target/PROFILE/pgmig.
pub(crate) fn binary() -> PathBuf {
    let this = std::env::current_exe().expect("a test knows its own path");
    let profile = this.parent().and_then(Path::parent).expect("a test is in target/PROFILE/deps");
    let binary = profile.join("pgmig");
    assert!(binary.exists(), "{} is not built: run `make test`", binary.display());
    binary
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

fn text(reader: JoinHandle<Vec<u8>>) -> String {
    let bytes = reader.join().expect("the reader does not panic");
    String::from_utf8(bytes).expect("pgmig prints UTF-8")
}
