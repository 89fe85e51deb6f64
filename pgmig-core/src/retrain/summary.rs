//! The summary lines of the job in the log of the store-admin service.

use super::RetrainError;
use serde::Serialize;
use std::io::{BufRead, Read as _};

/// The mark of a summary line.
const MARK: &str = "[retrain-all-summary]";
const AFFECTED: &str = "affected workspaces found";
const TRAINED: &str = "retrained total";
/// A longer line is read in pieces of this length.
const LONGEST_LINE: u64 = 1024 * 1024;

/// What the log says about the job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RetrainSummary {
    /// The number of summary lines.
    pub lines: u64,
    /// The workspaces that the job found, by the last summary.
    pub affected: Option<u64>,
    /// The workspaces that it has trained, by the last summary.
    pub trained: Option<u64>,
}

/// Whether the job is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RetrainVerdict {
    /// As many workspaces are trained as were found.
    Complete,
    /// Fewer are trained.
    Incomplete,
    /// The log does not have both numbers.
    Unknown,
}

impl RetrainSummary {
    /// Reads a log to its end. Of several summaries the last one counts.
    ///
    /// # Errors
    ///
    /// [`RetrainError::Log`].
    pub fn read(mut log: impl BufRead) -> Result<Self, RetrainError> {
        let mut summary = Self::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = log.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line);
            if read.map_err(|error| RetrainError::Log(error.to_string()))? == 0 {
                return Ok(summary);
            }
            summary.line(&String::from_utf8_lossy(&line).to_ascii_lowercase());
        }
    }

    /// Whether the job is complete.
    pub fn verdict(&self) -> RetrainVerdict {
        match (self.affected, self.trained) {
            (Some(affected), Some(trained)) if trained >= affected => RetrainVerdict::Complete,
            (Some(_), Some(_)) => RetrainVerdict::Incomplete,
            _ => RetrainVerdict::Unknown,
        }
    }

    /// How many workspaces are not trained; `None` if that is not known.
    pub fn missing(&self) -> Option<u64> {
        Some(self.affected?.saturating_sub(self.trained?))
    }

    fn line(&mut self, line: &str) {
        let Some((_, text)) = line.split_once(MARK) else { return };
        self.lines = self.lines.saturating_add(1);
        let (affected, trained) = (number_after(text, AFFECTED), number_after(text, TRAINED));
        if affected.is_some() {
            // Another run of the job begins with the number that it found.
            if self.affected.is_some() {
                self.trained = None;
            }
            self.affected = affected;
        }
        self.trained = trained.or(self.trained);
    }
}

/// The first number that follows a phrase, before another phrase begins.
fn number_after(text: &str, phrase: &str) -> Option<u64> {
    let (_, rest) = text.split_once(phrase)?;
    let other = if phrase == AFFECTED { TRAINED } else { AFFECTED };
    let rest = rest.split_once(other).map_or(rest, |(before, _)| before);
    let start = rest.find(|c: char| c.is_ascii_digit())?;
    let digits = rest.get(start..)?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(log: &str) -> (Option<u64>, Option<u64>, RetrainVerdict) {
        let summary = RetrainSummary::read(log.as_bytes()).unwrap();
        (summary.affected, summary.trained, summary.verdict())
    }

    #[test]
    fn both_numbers_are_found_however_they_are_written() {
        for log in [
            "x [RETRAIN-ALL-SUMMARY] Affected workspaces found: 12, Retrained Total: 12\n",
            "{\"msg\":\"[RETRAIN-ALL-SUMMARY] Affected workspaces found = 12; Retrained Total=12\"}\r\n",
            "[RETRAIN-ALL-SUMMARY] Affected workspaces found: 12\n[RETRAIN-ALL-SUMMARY] Retrained Total: 12",
            "[RETRAIN-ALL-SUMMARY] Retrained Total: 12\n[RETRAIN-ALL-SUMMARY] Affected workspaces found: 12",
            "[RETRAIN-ALL-SUMMARY] Retrained Total: 12 of Affected workspaces found: 12",
            "[RETRAIN-ALL-SUMMARY] Affected workspaces found 12 / Retrained Total count 12",
        ] {
            assert_eq!(read(log), (Some(12), Some(12), RetrainVerdict::Complete), "{log}");
        }
    }

    #[test]
    fn the_last_summary_counts() {
        let line = |affected, trained| {
            format!(
                "[RETRAIN-ALL-SUMMARY] Affected workspaces found: {affected}, Retrained Total: {trained}\n"
            )
        };
        let log = line(12, 12) + "other\n" + &line(30, 28);
        assert_eq!(read(&log), (Some(30), Some(28), RetrainVerdict::Incomplete));
        assert_eq!(RetrainSummary::read(log.as_bytes()).unwrap().missing(), Some(2));
        // The second run has only begun: the total is that of the first.
        let log = line(12, 12) + "[RETRAIN-ALL-SUMMARY] Affected workspaces found: 12\n";
        assert_eq!(read(&log), (Some(12), None, RetrainVerdict::Unknown));
    }

    #[test]
    fn lines_without_the_mark_say_nothing() {
        let log = "Affected workspaces found: 3, Retrained Total: 3\n[RETRAIN-ALL] Retrained Total: 3\n";
        assert_eq!(read(log), (None, None, RetrainVerdict::Unknown));
        assert_eq!(read("[RETRAIN-ALL-SUMMARY] Affected workspaces found: many, Retrained Total: 3").0, None);
        assert_eq!(read(""), (None, None, RetrainVerdict::Unknown));
        let long = format!("{}[RETRAIN-ALL-SUMMARY]", "x".repeat(3 << 20));
        assert_eq!(RetrainSummary::read(long.as_bytes()).unwrap().lines, 1);
        let huge =
            "[RETRAIN-ALL-SUMMARY] Affected workspaces found: 99999999999999999999, Retrained Total: 1";
        assert_eq!(read(huge).0, None);
    }
}
