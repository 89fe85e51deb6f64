//! Asks on standard error, and reads answers from standard input line by line, so that answers can be piped.

mod card;
mod interview;

use crate::failure::{Interrupted, Unmapped};
use crate::output::{Text, say};
use anyhow::{Context, Result};
use interview::{Interview, Reply};
use pgmig_core::backup::Holdings;
use pgmig_core::instance::{InstanceId, MappingDraft};
use pgmig_core::text::printable;
use std::collections::HashMap;
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
    names: &Names,
    cancel: &CancellationToken,
) -> Result<MappingDraft<'a>> {
    let mut interview = Interview::new(draft, holdings);
    loop {
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
        say(&card::review(interview.draft().pairs(), names));
        if is_accepted(&interview, cancel).await? {
            return Ok(interview.into_draft());
        }
        interview.back();
    }
}

/// Asks whether the reviewed mapping is right. Piped answers are not reviewed by anybody.
async fn is_accepted(interview: &Interview<'_, '_>, cancel: &CancellationToken) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    loop {
        let Some(answer) =
            ask("Is that right? (Enter for yes, b to change the last answer): ", cancel).await?
        else {
            return Err(Unmapped::new(interview.draft(), "standard input ended").into());
        };
        match answer.trim().to_lowercase().as_str() {
            "" | "y" | "yes" => return Ok(true),
            "b" | "n" | "no" => return Ok(false),
            _ => say(&Text::of("Press Enter to accept the mapping, or type b to change the last answer.")),
        }
    }
}

/// The names of instances, for people.
pub(crate) struct Names {
    /// Of instances of the backup, by their IDs and aliases.
    pub(crate) sources: HashMap<InstanceId, String>,
    /// Of provisioned instances.
    pub(crate) targets: HashMap<InstanceId, String>,
}

impl Names {
    /// The comment on a pair in the mapping file.
    pub(crate) fn comment(&self, source: InstanceId, target: InstanceId) -> Option<String> {
        let (source, target) = (self.sources.get(&source), self.targets.get(&target));
        (source.is_some() || target.is_some())
            .then(|| format!("{} -> {}", card::name(source), card::name(target)))
    }
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
