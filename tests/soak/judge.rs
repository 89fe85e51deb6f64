//! Judges runs by what the target holds after them.

use super::fault::{Ended, Kind};
use super::room::Found;
use super::tally::{Promise, Wrong};
use crate::support::Outcome;
use std::os::unix::process::ExitStatusExt;

/// How a run ended, in a word.
pub(super) fn end(outcome: &Result<Outcome, String>) -> String {
    let Ok(outcome) = outcome else { return "did not end".to_owned() };
    match (outcome.status.code(), outcome.status.signal()) {
        (Some(status), _) => status.to_string(),
        (None, Some(9)) => "killed".to_owned(),
        (None, signal) => format!("ended by signal {}", signal.unwrap_or_default()),
    }
}

/// The promises that were broken.
pub(super) fn judge(kind: Kind, ended: &Ended, found: &Found, password: &str) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let all = || -> String { ended.outcomes.iter().map(told).collect() };
    if let Found::Neither(difference) = found {
        wrong.push(Wrong {
            promise: Promise::State,
            details: format!("the target differs: {difference}\n{}", all()),
        });
    }
    for seen in &ended.seen {
        wrong.push(Wrong { promise: Promise::State, details: format!("a reader saw {seen}\n{}", all()) });
    }
    if ended.took > kind.limit() || ended.outcomes.iter().any(Result::is_err) {
        let limit = kind.limit();
        wrong.push(Wrong {
            promise: Promise::Time,
            details: format!("{:?} of {limit:?}\n{}", ended.took, all()),
        });
    }
    let (restored, before) = (*found == Found::Restored, *found == Found::Before);
    let outcomes: Vec<&Outcome> = ended.outcomes.iter().flatten().collect();
    let done = outcomes.iter().filter(|outcome| outcome.status.success()).count();
    for outcome in &outcomes {
        let lies = lies(kind, ended, outcome, restored, before, done > 0, password);
        wrong
            .extend(lies.map(|lie| Wrong { promise: Promise::Status, details: format!("{lie}\n{outcome}") }));
    }
    if kind == Kind::TenRuns && done == 0 {
        wrong.push(Wrong { promise: Promise::Status, details: format!("none of ten is done\n{}", all()) });
    }
    wrong
}

/// The reason why an exit status or a message is not true.
fn lies(
    kind: Kind,
    ended: &Ended,
    outcome: &Outcome,
    restored: bool,
    before: bool,
    another_is_done: bool,
    password: &str,
) -> Option<String> {
    let is_undisturbed = ended.struck.is_none();
    let text = format!("{}{}", outcome.stdout, outcome.stderr);
    if text.contains(password) {
        return Some("it shows the password".to_owned());
    }
    if text.contains("panicked") || text.contains("internal error") {
        return Some("it fails within itself".to_owned());
    }
    let Some(status) = outcome.status.code() else {
        let is_ours = kind == Kind::Killed && outcome.status.signal() == Some(9);
        return (!is_ours).then(|| "it is ended by a signal".to_owned());
    };
    let possible = if is_undisturbed { &[0] } else { kind.statuses() };
    if !possible.contains(&status) {
        return Some(format!("exit status {status} is not one of {possible:?}"));
    }
    if status == 0 && !restored {
        return Some("exit status 0, but the target is not restored".to_owned());
    }
    if !matches!(status, 0 | 5) && !before && !another_is_done {
        return Some(format!("exit status {status}, but the target is not as before"));
    }
    let is_said = outcome.stderr.contains("the target is untouched");
    (is_said && !before && !another_is_done).then(|| "the target is not untouched".to_owned())
}

fn told(outcome: &Result<Outcome, String>) -> String {
    match outcome {
        Ok(outcome) => outcome.to_string(),
        Err(stderr) => format!("it did not end; standard error:\n{stderr}"),
    }
}
