//! What was found.

use crate::restore::preflight::probe::Probe;
use serde::Serialize;
use std::fmt;

/// What a finding means for a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Gravity {
    /// A restore would be refused, or would fail.
    StopsRestore,
    /// A restore would take longer, or would need more of something.
    CostsTime,
    /// Good to know.
    Information,
}

impl fmt::Display for Gravity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StopsRestore => "stops the restore",
            Self::CostsTime => "costs time",
            Self::Information => "for information",
        })
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it means.
    pub gravity: Gravity,
    /// Its stable name, such as `no-synchronous-standby`.
    pub code: &'static str,
    /// What was found. Names in it are as the server or the backup has them.
    pub text: String,
    /// What helps: a command or a change. `None` if nothing has to be done, or if the text says it.
    pub help: Option<String>,
}

impl Finding {
    /// A finding for which nothing helps that one could type.
    pub fn new(gravity: Gravity, code: &'static str, text: impl Into<String>) -> Self {
        Self { gravity, code, text: text.into(), help: None }
    }

    /// The same finding with what helps.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All findings about a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// Host and port, or the socket's path.
    pub server: String,
    /// The server's version, as the server reports it; `None` if it could not be reached.
    pub server_version: Option<String>,
    /// The database.
    pub database: String,
    /// The findings, the gravest first.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Adds findings and keeps the order.
    pub fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
        self.findings.sort_by_key(|finding| finding.gravity);
    }

    /// Whether something stops a restore.
    pub fn stops_restore(&self) -> bool {
        self.findings.iter().any(|finding| finding.gravity == Gravity::StopsRestore)
    }
}

/// What a connection test found.
pub(super) fn of_probe(probe: &Probe) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(warning) = probe.trust.strip_prefix("warning: ") {
        findings.push(Finding::new(Gravity::Information, "server-not-authenticated", warning));
    }
    let in_place_gravity = match probe.obstacles.is_empty() {
        true => Gravity::Information,
        false => Gravity::StopsRestore,
    };
    let swap_gravity = match probe.in_place_obstacles.is_empty() {
        true => Gravity::Information,
        false => Gravity::StopsRestore,
    };
    let swap = probe.obstacles.iter().map(|obstacle| {
        Finding::new(swap_gravity, "no-swap", format!("the target cannot be replaced by a swap: {obstacle}"))
    });
    findings.extend(swap);
    let in_place = probe.in_place_obstacles.iter().map(|obstacle| {
        Finding::new(in_place_gravity, "not-in-place", format!("no restore in place is possible: {obstacle}"))
    });
    findings.extend(in_place);
    let sessions = probe.sessions.iter().map(|session| {
        let text = format!("another session is on the target, and the restore waits for its end: {session}");
        let finding = Finding::new(Gravity::CostsTime, "session-on-target", text);
        match session.can_be_ended {
            true => finding.with_help(format!("SELECT pg_terminate_backend({});", session.pid)),
            false => finding,
        }
    });
    findings.extend(sessions);
    if !probe.contents.is_empty() {
        let text = format!("the target holds {}, which a restore would erase", probe.contents.describe());
        findings.push(Finding::new(Gravity::Information, "target-not-empty", text));
    }
    findings
}
