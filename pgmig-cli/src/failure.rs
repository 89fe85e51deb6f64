//! How an error ends the program: its exit status and its message.

use crate::hints;
use crate::output::Text;
use pgmig_core::archive::ArchiveError;
use pgmig_core::instance::MappingDraft;
use pgmig_core::retrain::RetrainSummary;
use pgmig_core::{Error, ErrorCode, ErrorKind};
use serde::Serialize;
use std::fmt::Write;
use std::io;
use thiserror::Error as ThisError;

/// Wrong usage or configuration. The library's own error type does not cover it.
#[derive(Debug, ThisError)]
#[error("{0}")]
pub(crate) struct Usage(String);

impl Usage {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A restore that failed after it had begun. The error itself does not state what became of the target.
#[derive(Debug, ThisError)]
#[error("{0}; the target is untouched")]
pub(crate) struct Failure(#[source] Error);

impl Failure {
    /// States that the target is untouched, if the error implies it.
    pub(crate) fn of(error: Error) -> anyhow::Error {
        if error.kind() == ErrorKind::Failed { Self(error).into() } else { error.into() }
    }
}

/// The user has not allowed pgmig to erase the target's data.
#[derive(Debug, ThisError)]
#[error("{0}")]
pub(crate) struct NotErased(pub(crate) String);

/// Live instances have no target, and nobody answered which target they get.
#[derive(Debug, ThisError)]
#[error("{0}")]
pub(crate) struct Unmapped(String);

impl Unmapped {
    /// The instances that the draft does not cover. `why` states why there was no answer.
    pub(crate) fn new(draft: &MappingDraft<'_>, why: &str) -> Self {
        const SHOWN: usize = 20;
        let open = draft.open();
        let mut text = format!("{why}, and these instances of the backup are not mapped:");
        for instance in open.iter().take(SHOWN) {
            let _ = write!(text, "\n  {}", instance.label());
        }
        if open.len() > SHOWN {
            let _ = write!(text, "\n  and {} more", open.len() - SHOWN);
        }
        text += "\nlist them in a mapping file and give it with --mapping";
        Self(text)
    }

    /// Another reason.
    pub(crate) fn because(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Files or objects are not as their manifest says. The results name them.
#[derive(Debug, ThisError)]
#[error("{} found", crate::output::plural(u64::try_from(*.0).unwrap_or(u64::MAX), "fault"))]
pub(crate) struct DamagedObjects(pub(crate) usize);

/// The log does not show that all workspaces are trained.
#[derive(Debug, ThisError)]
#[error("{0}")]
pub(crate) struct Untrained(String);

impl Untrained {
    /// The reason, from the numbers of the log.
    pub(crate) fn of(summary: &RetrainSummary) -> Self {
        Self(match summary.missing() {
            Some(missing) => format!(
                "{} not trained yet; the job trains the last ones in the background: if the number stays, look into the log \
                 of store-admin, or scale the training up (pgmig retrain --scale)",
                if missing == 1 { "1 workspace is".to_owned() } else { format!("{missing} workspaces are") }
            ),
            None if summary.lines == 0 => {
                "the log has no [RETRAIN-ALL-SUMMARY] line: has the job run, and is it the log of the store-admin pod?"
                    .to_owned()
            }
            None => "the log does not have both numbers: Affected workspaces found, and Retrained Total".to_owned(),
        })
    }
}

/// Some verified archives cannot be restored. The results name them and the reasons.
#[derive(Debug, ThisError)]
#[error("{}", self.text())]
pub(crate) struct Faulty {
    /// The number of these archives.
    pub(crate) faulty: usize,
    /// The number of all archives.
    pub(crate) of: usize,
}

/// There are warnings, and `--strict` stops on them.
#[derive(Debug, ThisError)]
#[error("a restore with --strict would stop before the swap: {0}")]
pub(crate) struct WouldStop(String);

impl WouldStop {
    /// The number of warnings.
    pub(crate) fn new(warnings: usize) -> Self {
        Self(format!("{warnings} warning{}", if warnings == 1 { "" } else { "s" }))
    }
}

/// Something stops a restore. The findings name it.
#[derive(Debug, ThisError)]
#[error("{} would stop a restore", crate::output::plural(*.0, "finding"))]
pub(crate) struct Unhealthy(pub(crate) u64);

/// A signal came while the program waited for an answer.
#[derive(Debug, ThisError)]
#[error("interrupted; the target is untouched")]
pub(crate) struct Interrupted;

/// A signal came while buckets were copied.
#[derive(Debug, ThisError)]
#[error("interrupted; objects that were copied stay, and the same command goes on")]
pub(crate) struct CopyInterrupted;

/// The codes of this program's own errors.
pub(crate) const CODES: [ErrorCode; 10] = [
    ErrorCode { name: "usage", kind: ErrorKind::Usage },
    ErrorCode { name: "target-not-empty", kind: ErrorKind::Refused },
    ErrorCode { name: "instances-not-mapped", kind: ErrorKind::Refused },
    ErrorCode { name: "findings", kind: ErrorKind::Refused },
    ErrorCode { name: "strict", kind: ErrorKind::Strict },
    ErrorCode { name: "interrupted", kind: ErrorKind::Interrupted },
    ErrorCode { name: "backup-unsound", kind: ErrorKind::Failed },
    ErrorCode { name: "objects-unsound", kind: ErrorKind::Failed },
    ErrorCode { name: "not-trained", kind: ErrorKind::Failed },
    // The operating system refused something: a file, standard output, a thread.
    ErrorCode { name: "failed", kind: ErrorKind::Failed },
];

/// The code of this program's own error, if it is one.
fn own_code(cause: &(dyn std::error::Error + 'static)) -> Option<ErrorCode> {
    let [usage, not_erased, unmapped, unhealthy, would_stop, interrupted, faulty, damaged, untrained, _] =
        CODES;
    match () {
        () if cause.is::<Usage>() || crate::commands::objects::is_usage(cause) => Some(usage),
        () if cause.is::<NotErased>() => Some(not_erased),
        () if cause.is::<Unmapped>() => Some(unmapped),
        () if cause.is::<Unhealthy>() => Some(unhealthy),
        () if cause.is::<WouldStop>() => Some(would_stop),
        () if cause.is::<Interrupted>() || cause.is::<CopyInterrupted>() => Some(interrupted),
        () if cause.is::<Faulty>() => Some(faulty),
        () if cause.is::<DamagedObjects>() => Some(damaged),
        () if cause.is::<Untrained>() => Some(untrained),
        () => None,
    }
}

/// The code of the first error in the chain that has one.
pub(crate) fn code(error: &anyhow::Error) -> ErrorCode {
    let [.., failed] = CODES;
    let of = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<Error>() {
        Some(error) => Some(error.code()),
        None => own_code(cause),
    };
    error.chain().find_map(of).unwrap_or(failed)
}

/// A failure as a JSON document.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    pub(crate) code: &'static str,
    pub(crate) exit_status: u8,
    /// What became of the target.
    target: &'static str,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Document {
    /// An error of this code.
    pub(crate) fn new(code: ErrorCode, message: String) -> Self {
        let target = match code.kind {
            ErrorKind::OutcomeUnknown => "unknown",
            ErrorKind::Touched => "touched",
            _ => "untouched",
        };
        let exit_status = exit_status(code.kind);
        Self { code: code.name, exit_status, target, message, causes: Vec::new(), hints: Vec::new() }
    }

    /// What is said, a text for each cause.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let causes = self.causes.iter().map(|cause| format!("caused by: {cause}"));
        std::iter::once(self.message.clone()).chain(causes).chain(self.hints.iter().cloned())
    }

    /// What there is to be undone.
    pub(crate) fn way_back(&self) -> &'static str {
        match self.target {
            "untouched" => "The target is as it was: there is nothing to go back from.",
            "unknown" => {
                "It is not known whether the target was replaced: the message above says how to find out."
            }
            _ => "The contents of the target are as they were; the message above says what else has changed.",
        }
    }

    /// Wrong arguments.
    pub(crate) fn usage(message: String) -> Self {
        let [usage, ..] = CODES;
        Self::new(usage, message)
    }

    /// This error.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let Said { message, causes, hints } = Said::of(error);
        Self { causes, hints, ..Self::new(code(error), message) }
    }
}

/// The state of the target, from the first error in the chain that states it.
pub(crate) fn kind(error: &anyhow::Error) -> ErrorKind {
    code(error).kind
}

/// The program's exit status for this error.
pub(crate) fn exit_status(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Usage => 2,
        ErrorKind::Refused => 3,
        ErrorKind::Strict => 4,
        ErrorKind::OutcomeUnknown => 5,
        ErrorKind::Interrupted => 130,
        // The restore failed. A newer library may add kinds, which end in the same way.
        _ => 1,
    }
}

/// What is said of an error.
struct Said {
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Said {
    fn of(error: &anyhow::Error) -> Self {
        if let Some(message) = missing_backup(error) {
            return Self { message, causes: Vec::new(), hints: Vec::new() };
        }
        let hints = [hint(kind(error)), limit(error)].into_iter().flatten().map(str::to_owned).collect();
        Self { message: hints::in_our_words(error.as_ref()), causes: causes(error), hints }
    }
}

/// The error, its causes, and what helps, as lines for standard error.
pub(crate) fn describe(error: &anyhow::Error) -> Text {
    let said = Said::of(error);
    let mut text = Text::message("error", &said.message);
    for cause in &said.causes {
        text.labelled("  ", "caused by", cause);
    }
    for hint in &said.hints {
        text.labelled("", "hint", hint);
    }
    text
}

/// The causes of an error, in our words.
pub(crate) fn causes(error: &anyhow::Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let theirs = cause.to_string();
        // A transparent variant has the same text as its source.
        if !said.contains(&theirs) {
            causes.push(hints::in_our_words(cause));
        }
        said = theirs;
    }
    causes
}

/// What to do where a limit of the system for this process is reached.
fn limit(error: &anyhow::Error) -> Option<&'static str> {
    const EAGAIN: i32 = 11;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    // Some errors keep of the system's error only the text.
    let code = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<io::Error>() {
        Some(error) => error.raw_os_error(),
        None => {
            let text = cause.to_string();
            let (_, code) = text.rsplit_once("(os error ")?;
            code.split_once(')')?.0.parse().ok()
        }
    };
    match error.chain().find_map(code)? {
        ENFILE | EMFILE => Some("raise the limit of open files (ulimit -n)"),
        EAGAIN => Some("raise the limit of processes and threads (ulimit -u, or the pod's limit of PIDs)"),
        _ => None,
    }
}

/// A short error where the backup file does not exist.
fn missing_backup(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| match cause.downcast_ref::<Error>()? {
        Error::Archive(ArchiveError::Open { path, source }) if source.kind() == io::ErrorKind::NotFound => {
            Some(format!("backup file {} does not exist", path.display()))
        }
        _ => None,
    })
}

/// The next step, if the error itself does not name one.
fn hint(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Strict => Some("the warnings are above; run without --strict to accept them"),
        ErrorKind::OutcomeUnknown => Some("do not start the store before it is known what became of it"),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use pgmig_core::progress::NoticeCode;

    #[test]
    fn statuses_are_the_documented_ones() {
        assert_eq!(exit_status(ErrorKind::Failed), 1);
        assert_eq!(exit_status(ErrorKind::Usage), 2);
        assert_eq!(exit_status(ErrorKind::Refused), 3);
        assert_eq!(exit_status(ErrorKind::Strict), 4);
        assert_eq!(exit_status(ErrorKind::OutcomeUnknown), 5);
        assert_eq!(exit_status(ErrorKind::Interrupted), 130);
    }

    #[test]
    fn every_code_has_one_exit_status() {
        let mut all: Vec<(&str, u8)> = every_code();
        all.dedup_by_key(|code| code.0);
        assert_eq!(all, every_code());
    }

    #[test]
    fn the_documentation_lists_every_code_with_its_exit_status() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
        let text = std::fs::read_to_string(path).unwrap();
        let rows = text.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|');
            let name = cells.next()?.trim().strip_suffix('`')?;
            let status = cells.next()?.trim().parse::<u8>().ok()?;
            cells.next().filter(|meaning| meaning.trim().len() > 10).map(|_| (name, status))
        });
        assert_eq!(rows.collect::<Vec<_>>(), every_code(), "name and exit status, in alphabetical order");
    }

    #[test]
    fn the_documentation_lists_every_code_of_notices() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (_, table) = text.split_once("| code | meaning |").unwrap();
        let rows = table.lines().filter_map(|line| {
            let (name, meaning) = line.strip_prefix("| `")?.split_once("` | ")?;
            (meaning.len() > 10).then_some(name)
        });
        let codes = NoticeCode::ALL.iter().map(|code| code.name());
        assert_eq!(rows.collect::<Vec<_>>(), codes.collect::<Vec<_>>());
    }

    /// The library's codes and this program's, with their exit statuses, in alphabetical order.
    fn every_code() -> Vec<(&'static str, u8)> {
        let all = ErrorCode::all().into_iter().chain(CODES).map(|code| (code.name, exit_status(code.kind)));
        let all: std::collections::BTreeSet<_> = all.collect();
        // Test builds only.
        all.into_iter().filter(|code| code.0 != "failpoint").collect()
    }

    #[test]
    fn kind_is_found_below_a_context() {
        let error = anyhow::Error::from(Usage::new("no")).context("while reading");
        assert_eq!(kind(&error), ErrorKind::Usage);
        assert_eq!(kind(&NotErased(String::new()).into()), ErrorKind::Refused);
        assert_eq!(kind(&anyhow::anyhow!("other")), ErrorKind::Failed);
    }

    #[test]
    fn a_limit_of_the_system_is_named() {
        let said = |code| {
            let error = anyhow::Error::from(io::Error::from_raw_os_error(code)).context("cannot open x");
            describe(&error).as_str().to_owned()
        };
        assert!(said(24).ends_with("hint: raise the limit of open files (ulimit -n)\n"), "{}", said(24));
        assert!(said(11).contains("ulimit -u"));
        assert!(!said(2).contains("hint"));
    }

    #[test]
    fn causes_are_listed_once() {
        let error = anyhow::anyhow!("disk full").context("cannot write x: disk full").context("top");
        assert_eq!(describe(&error).as_str(), "error: top\n  caused by: cannot write x: disk full\n");
    }
}
