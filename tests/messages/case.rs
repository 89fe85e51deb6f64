//! The file of a case:
//!
//! ```text
//! An unknown key in the target's configuration.
//!
//! file postgres.yaml
//!     hots: localhost
//!
//! $ pgmig --source store.dump --target postgres.yaml
//! error: ...
//!
//! exit status 2
//! ```
//!
//! First the mistake in words, then files that are made for it, the command, what it shows, and its exit status.

/// A mistake.
#[derive(Debug)]
pub(super) struct Case {
    /// Everything before the command.
    head: String,
    /// Name and content of each file.
    pub(super) files: Vec<(String, String)>,
    pub(super) command: String,
    pub(super) shown: String,
    pub(super) status: i32,
}

/// What a command showed, on both outputs in their order, and its exit status.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) status: i32,
}

const STATUS: &str = "exit status ";

impl Case {
    /// Reads a file. What is shown and the exit status may be missing, in a case that is new.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (head, rest) = text.split_once("\n$ ").ok_or("no line begins with `$ `")?;
        if head.starts_with("file ") || head.trim().is_empty() {
            return Err("it begins with no line that says what the mistake is");
        }
        let (command, rest) = rest.split_once('\n').ok_or("the command has no end")?;
        let (shown, status) = match rest.rsplit_once(STATUS) {
            Some((shown, status)) => {
                let status = status.trim().parse().map_err(|_| "the exit status is no number")?;
                (shown.strip_suffix('\n').unwrap_or(shown), status)
            }
            None => ("", 0),
        };
        let mut files: Vec<(String, String)> = Vec::new();
        for line in head.lines() {
            match (line.strip_prefix("file "), line.strip_prefix("    "), files.last_mut()) {
                (Some(name), ..) => files.push((name.to_owned(), String::new())),
                (None, Some(content), Some((_, text))) => *text += &format!("{content}\n"),
                _ => {}
            }
        }
        Ok(Self {
            head: head.to_owned(),
            files,
            command: command.to_owned(),
            shown: shown.to_owned(),
            status,
        })
    }

    /// The file, if this is shown.
    pub(super) fn with(&self, shown: &Shown) -> String {
        let Shown { text, status } = shown;
        format!("{}\n$ {}\n{text}\n{STATUS}{status}\n", self.head, self.command)
    }
}
