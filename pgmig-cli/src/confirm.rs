//! Asks before data is erased. Only `--force` answers this question beforehand; `--yes` does not.

use crate::failure::NotErased;
use crate::output::{self, Text, say};
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

/// A question that only the database's name answers.
pub(crate) struct Question<'a> {
    /// What would happen.
    pub(crate) text: Text,
    /// The question.
    pub(crate) ask: &'a str,
    /// The database's name.
    pub(crate) name: &'a str,
    /// The refusal where nobody can be asked.
    pub(crate) refused: String,
}

/// Returns if the operator typed the database's name. Any other answer is an error, and so is the end of input.
pub(crate) async fn by_name(question: &Question<'_>, cancel: &CancellationToken) -> Result<()> {
    if !is_terminal() {
        return Err(NotErased(question.refused.clone()).into());
    }
    say(&question.text);
    let answer = prompt::ask(question.ask, cancel).await?.unwrap_or_default();
    if answer == question.name {
        return Ok(());
    }
    Err(NotErased(format!("not confirmed: {:?} is left as it is", question.name)).into())
}

fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The same for data that a restore would erase.
pub(crate) async fn erase(erasure: &Erasure<'_>, cancel: &CancellationToken) -> Result<()> {
    if erasure.from_stdin {
        return Err(NotErased(refused(erasure)).into());
    }
    let mut text = match erasure.contents.is_empty() {
        true => Text::of(own_database(erasure)),
        false => Text::of(format!("The target {:?} holds data, which would be erased:", erasure.database)),
    };
    if !erasure.contents.is_empty() {
        text.append(&contents(erasure.contents));
    }
    erasure.warnings.iter().for_each(|warning| text.append(&Text::message("warning", warning)));
    let ask = "Type the database's name to erase it, anything else to stop: ";
    let question = Question { text, ask, name: erasure.database, refused: refused(erasure) };
    by_name(&question, cancel).await
}

/// An empty target is asked about only if it is one of these.
fn own_database(erasure: &Erasure<'_>) -> String {
    format!("the target {:?} is one of PostgreSQL's own databases, which would be replaced", erasure.database)
}

fn refused(erasure: &Erasure<'_>) -> String {
    if erasure.contents.is_empty() {
        let what = own_database(erasure);
        return format!("{what}; correct database, or use --force if you mean it");
    }
    format!(
        "the target {:?} holds data, and there is no terminal to ask at; --force erases it:\n{}",
        erasure.database,
        contents(erasure.contents).as_str().trim_end()
    )
}

/// A line with the totals, then a line for each instance.
fn contents(contents: &TargetContents) -> Text {
    let mut text = Text::of(format!("  {}", output::totals(contents)));
    text.append(&output::instances(&contents.instances));
    text
}
