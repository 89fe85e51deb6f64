//! Asks before data is erased. Only `--force` answers this question beforehand; `--yes` does not.

use crate::failure::NotErased;
use crate::output::{self, Text, say, tell};
use crate::prompt;
use anyhow::Result;
use pgmig_core::restore::TargetContents;
use std::io::{self, IsTerminal};
use tokio_util::sync::CancellationToken;

/// The data that would be erased.
pub(crate) struct Erasure<'a> {
    /// The target's database.
    pub(crate) database: &'a str,
    /// Its contents.
    pub(crate) contents: &'a TargetContents,
    /// Facts that the operator should know before the answer.
    pub(crate) warnings: Vec<&'a str>,
    /// Whether the backup comes from standard input, which then cannot answer questions.
    pub(crate) from_stdin: bool,
}

/// Returns if the operator typed the database's name. Any other answer is an error, and so is the end of input.
pub(crate) async fn erase(erasure: &Erasure<'_>, cancel: &CancellationToken) -> Result<()> {
    let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    if erasure.from_stdin || !terminal {
        return Err(refused(erasure).into());
    }
    let mut text = Text::of(format!("The target {:?} holds data, which would be erased:", erasure.database));
    text.append(&contents(erasure.contents));
    say(&text);
    erasure.warnings.iter().for_each(|warning| tell("warning", warning));
    let question = "Type the database's name to erase it, anything else to stop: ";
    let answer = prompt::ask(question, cancel).await?.unwrap_or_default();
    if answer == erasure.database {
        return Ok(());
    }
    Err(NotErased(format!("not confirmed: {:?} is left as it is", erasure.database)).into())
}

fn refused(erasure: &Erasure<'_>) -> NotErased {
    NotErased(format!(
        "the target {:?} holds data, and there is no terminal to ask at; --force erases it:\n{}",
        erasure.database,
        contents(erasure.contents).as_str().trim_end()
    ))
}

/// A line with the totals, then a line for each instance.
fn contents(contents: &TargetContents) -> Text {
    let mut text = Text::of(format!("  {}", output::totals(contents)));
    text.append(&output::instances(&contents.instances));
    text
}
