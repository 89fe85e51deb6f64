//! The question before data is erased. Only `--force` answers it beforehand: `--yes` does not.

use crate::failure::{Interrupted, NotErased};
use crate::output::{self, say};
use anyhow::{Context, Result};
use pgmig_core::restore::TargetContents;
use std::io::{self, IsTerminal, Write};
use tokio_util::sync::CancellationToken;

/// What would be erased.
pub(crate) struct Erasure<'a> {
    /// The target's database.
    pub(crate) database: &'a str,
    /// What it holds.
    pub(crate) contents: &'a TargetContents,
    /// Whether the backup comes from standard input, which then cannot answer.
    pub(crate) from_stdin: bool,
}

/// Returns if the operator typed the database's name; any other answer, or nobody to ask, is an error.
pub(crate) async fn erase(erasure: &Erasure<'_>, cancel: &CancellationToken) -> Result<()> {
    let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    if erasure.from_stdin || !terminal {
        return Err(refused(erasure).into());
    }
    say(&format!(
        "The target {:?} holds data, which would be erased:\n{}",
        erasure.database,
        contents(erasure.contents)
    ));
    let _ = write!(io::stderr(), "Type the database's name to erase it, anything else to stop: ");
    let answer = tokio::select! {
        answer = tokio::task::spawn_blocking(read_line) => answer.context("cannot ask")??,
        () = cancel.cancelled() => return Err(Interrupted.into()),
    };
    if confirms(&answer, erasure.database) {
        return Ok(());
    }
    Err(NotErased(format!("not confirmed: {:?} is left as it is", erasure.database)).into())
}

fn refused(erasure: &Erasure<'_>) -> NotErased {
    NotErased(format!(
        "the target {:?} holds data, and there is no terminal to ask at; --force erases it:\n{}",
        erasure.database,
        contents(erasure.contents).trim_end()
    ))
}

/// One line with the totals, then one for each instance.
fn contents(contents: &TargetContents) -> String {
    format!("  {}\n{}", output::totals(contents), output::instances(&contents.instances))
}

fn read_line() -> Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("cannot read the answer")?;
    Ok(line)
}

/// A name may have spaces at its ends: only the line's end is cut.
fn confirms(answer: &str, database: &str) -> bool {
    let answer = answer.strip_suffix('\n').unwrap_or(answer);
    answer.strip_suffix('\r').unwrap_or(answer) == database
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_name_confirms() {
        assert!(confirms("store\n", "store"));
        assert!(confirms("store\r\n", "store"));
        assert!(confirms(" s \n", " s "));
        for answer in ["", "\n", "y\n", "yes\n", "Store\n", "store x\n"] {
            assert!(!confirms(answer, "store"), "{answer:?}");
        }
    }
}
