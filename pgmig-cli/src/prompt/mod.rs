//! Asks on standard error, and reads answers from standard input line by line, so that answers can be piped.

mod card;
mod interview;

use crate::failure::{Interrupted, Unmapped};
use crate::output::{Text, say};
use anyhow::{Context, Result};
use interview::{Interview, Reply};
use pgmig_core::backup::Holdings;
use pgmig_core::instance::MappingDraft;
use pgmig_core::text::printable;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use tokio_util::sync::CancellationToken;

/// The longest answer, in bytes.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Asks for the target of each instance that the draft does not cover.
///
/// # Errors
///
/// [`Unmapped`] at the end of input, [`Interrupted`].
pub(crate) async fn map_instances<'a>(
    draft: MappingDraft<'a>,
    holdings: &Holdings,
    cancel: &CancellationToken,
) -> Result<MappingDraft<'a>> {
    let mut interview = Interview::new(draft, holdings);
    while let Some(question) = interview.question() {
        say(&question);
        loop {
            let Some(answer) = ask(&interview.prompt(), cancel).await? else {
                return Err(Unmapped::new(interview.draft(), "standard input ended").into());
            };
            match interview.answer(&answer) {
                Reply::Next => break,
                Reply::Again(reason) => say(&reason),
            }
        }
    }
    Ok(interview.into_draft())
}

/// Writes a question without a line end, and waits for the answer. Returns one line of standard input without its line
/// end, or `None` at the end of input.
pub(crate) async fn ask(question: &str, cancel: &CancellationToken) -> Result<Option<String>> {
    let _ = write!(io::stderr(), "{}", printable(question));
    let answer = tokio::select! {
        answer = tokio::task::spawn_blocking(read_line) => answer.context("cannot ask")??,
        () = cancel.cancelled() => return Err(Interrupted.into()),
    };
    // A terminal echoes the typed text with its line end. Other input needs this line end.
    match &answer {
        Some(answer) if !io::stdin().is_terminal() => say(&Text::of(answer)),
        Some(_) => {}
        None => say(&Text::of("")),
    }
    Ok(answer)
}

fn read_line() -> Result<Option<String>> {
    let mut line = Vec::new();
    let mut input = io::stdin().lock().take(MAX_ANSWER_BYTES);
    input.read_until(b'\n', &mut line).context("cannot read the answer")?;
    if line.is_empty() {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}
