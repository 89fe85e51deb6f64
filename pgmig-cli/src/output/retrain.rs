//! Prints the training of a restored store: as YAML that `oc apply -f -` takes, with the rest in comments.

use super::{Text, count, duration, plural};
use crate::commands::retrain::{Job, Progressed, Retraining};
use crate::shell;
use crate::table::{Align, Table};
use pgmig_core::retrain::{RetrainVerdict, Training, Variable};
use std::time::Duration;

/// The number of workspaces, and the time for each number of replicas.
pub(super) fn training(training: &Training) -> Text {
    let mut text = Text::of(format!("{} to train", plural(training.workspaces, "workspace")));
    let mut table =
        Table::new(&[("replicas", Align::Right), ("seconds", Align::Right), ("about", Align::Left)]);
    for time in &training.times {
        let about = duration(Duration::from_secs(time.seconds));
        table.row([time.replicas.to_string(), time.seconds.to_string(), about]);
    }
    text.table(&table);
    text
}

/// The training, and the job if one was asked for.
pub(crate) fn retraining(retraining: &Retraining, is_quiet: bool) -> Text {
    let times = training(&retraining.training);
    let Some(job) = &retraining.job else { return times };
    let mut text = Text::new();
    if !is_quiet {
        comment(&mut text, times.as_str().lines());
        text.line("#");
        text.line("# The settings of the job:");
        exports(&mut text, &job.environment);
        if let Some(scale) = &job.scale {
            text.line("#");
            text.line("# The replicas while it runs:");
            exports(&mut text, &scale.environment());
        }
        text.line("#");
        text.line("# For oc apply -f -");
    }
    for patch in &job.patches {
        text.line("---");
        text.lines(&patch.yaml);
    }
    if !is_quiet {
        undo(&mut text, job);
    }
    text
}

fn undo(text: &mut Text, job: &Job) {
    text.line("# Afterwards, when pgmig retrain --log says that the job is complete, these undo it (pgmig retrain --undo):");
    comment(text, job.undo.iter().map(String::as_str));
}

fn comment<'a>(text: &mut Text, lines: impl Iterator<Item = &'a str>) {
    lines.for_each(|line| text.line(format!("# {line}").trim_end()));
}

fn exports(text: &mut Text, variables: &[Variable]) {
    for variable in variables {
        text.line(format!("# export {}={}", variable.name, shell::word(&variable.value)));
    }
}

/// Commands, a line for each.
pub(crate) fn lines(lines: &[String]) -> Text {
    let mut text = Text::new();
    lines.iter().for_each(|line| text.line(line));
    text
}

/// Whether the job is complete.
pub(crate) fn retrained(progressed: &Progressed, is_quiet: bool) -> Text {
    let summary = &progressed.summary;
    let shown = |number: Option<u64>| number.map_or_else(|| "not found".to_owned(), count);
    let mut text = Text::new();
    if !is_quiet {
        text.line(match progressed.verdict {
            RetrainVerdict::Complete => "The job is complete",
            RetrainVerdict::Incomplete => "The job is not complete",
            _ => "The log does not say whether the job is complete",
        });
        text.line(format!("  affected workspaces found: {}", shown(summary.affected)));
        text.line(format!("  retrained in total: {}", shown(summary.trained)));
    }
    text
}
