//! A pseudo-terminal, at which a test reads and types as an operator does.

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};
use std::process::Command;
use tempfile::TempDir;

/// How long a text may take to appear, in milliseconds.
const TIMEOUT_MS: u64 = 60_000;

/// A program at a terminal.
pub(crate) struct Terminal {
    session: PtySession,
    directory: TempDir,
    /// The text that it has shown, up to the text that was last waited for.
    shown: String,
}

/// How a program at a terminal ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    /// All text that it has shown, without escape sequences.
    pub(crate) shown: String,
    pub(crate) directory: TempDir,
}

impl Terminal {
    /// Starts a command, which runs in `directory`.
    #[track_caller]
    pub(crate) fn start(mut command: Command, directory: TempDir) -> Self {
        command.current_dir(directory.path());
        let session = spawn_command(command, Some(TIMEOUT_MS)).expect("a pseudo-terminal can be had");
        Self { session, directory, shown: String::new() }
    }

    /// Waits until the terminal shows this text.
    #[track_caller]
    pub(crate) fn sees(&mut self, text: &str) -> &mut Self {
        match self.session.exp_string(text) {
            Ok(before) => self.shown += &format!("{before}{text}"),
            Err(error) => panic!("{text:?} is not shown: {error}\n--- before that\n{}", self.shown),
        }
        self
    }

    /// Types a line and Enter.
    #[track_caller]
    pub(crate) fn types(&mut self, line: &str) -> &mut Self {
        self.session.send_line(line).expect("a terminal can be written to");
        self
    }

    /// Presses Ctrl and this letter.
    #[track_caller]
    pub(crate) fn presses_ctrl(&mut self, letter: char) -> &mut Self {
        self.session.send_control(letter).expect("a terminal can be written to");
        self
    }

    /// Waits for the program's end.
    #[track_caller]
    pub(crate) fn ends(mut self) -> Ended {
        match self.session.exp_eof() {
            Ok(rest) => self.shown += &rest,
            Err(error) => panic!("the program does not end: {error}\n--- before that\n{}", self.shown),
        }
        let status = match self.session.process().wait().expect("a child can be waited for") {
            WaitStatus::Exited(_, status) => status,
            other => panic!("the program ended with {other:?}\n{}", self.shown),
        };
        Ended { status, shown: self.shown, directory: self.directory }
    }
}

impl Ended {
    /// Checks the exit status.
    #[track_caller]
    pub(crate) fn expect_status(self, expected: i32) -> Self {
        assert_eq!(self.status, expected, "{}", self.shown);
        self
    }

    /// Checks that this was shown.
    #[track_caller]
    pub(crate) fn has_shown(self, text: &str) -> Self {
        assert!(self.shown.contains(text), "{text:?} was not shown\n{}", self.shown);
        self
    }

    /// Checks that this was not shown.
    #[track_caller]
    pub(crate) fn keeps_secret(self, secret: &str) -> Self {
        assert!(!secret.is_empty(), "an empty secret is everywhere");
        assert!(!self.shown.contains(secret), "a secret is shown");
        self
    }
}
