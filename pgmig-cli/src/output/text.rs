//! Text for a terminal, line by line. Every text reaches a terminal in this form only. So a text from outside (a
//! server, an archive, a file, an argument) can neither end nor begin a line. It contains no character that controls
//! the terminal.

use crate::table::Table;
use pgmig_core::text::printable;

/// The indentation of a message's further lines, so that none of them can pass for a message.
const INDENT: &str = "  ";

/// Lines, each escaped when it is added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text(String);

impl Text {
    /// An empty text.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A text of one line.
    pub(crate) fn of(line: impl AsRef<str>) -> Self {
        let mut text = Self::new();
        text.line(line);
        text
    }

    /// A message of this kind (`error`, `warning`). Its line ends are kept; further lines are indented.
    pub(crate) fn message(kind: &str, message: &str) -> Self {
        let mut text = Self::new();
        text.labelled("", kind, message);
        text
    }

    /// Adds exactly one line.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        self.0 += &printable(line.as_ref());
        self.0.push('\n');
    }

    /// Adds `label: ` and the message, indented by `indent`; further lines are indented more.
    pub(crate) fn labelled(&mut self, indent: &str, label: &str, message: &str) {
        let mut lines = message.trim_end().lines();
        self.line(format!("{indent}{label}: {}", lines.next().unwrap_or_default()));
        for line in lines {
            let more = if line.starts_with(INDENT) { "" } else { INDENT };
            self.line(format!("{indent}{more}{line}").trim_end());
        }
    }

    /// Adds the lines of the library's own text, and keeps their indentation.
    pub(crate) fn lines(&mut self, lines: &str) {
        lines.lines().for_each(|line| self.line(line));
    }

    /// Adds a title, after an empty line.
    pub(crate) fn title(&mut self, title: &str) {
        self.line("");
        self.line(title);
    }

    /// Adds a table.
    pub(crate) fn table(&mut self, table: &Table) {
        self.lines(&table.render());
    }

    /// Adds a title and a table. Adds nothing if the table is empty.
    pub(crate) fn section(&mut self, title: &str, table: &Table) {
        if !table.is_empty() {
            self.title(title);
            self.table(table);
        }
    }

    /// Adds a title and an indented line for each text. Adds nothing if there are no texts.
    pub(crate) fn list(&mut self, title: &str, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut texts = texts.into_iter().peekable();
        if texts.peek().is_some() {
            self.title(title);
            texts.for_each(|text| self.line(format!("  {}", text.as_ref())));
        }
    }

    /// Adds the lines of another text.
    pub(crate) fn append(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// All lines, each with a line end.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Align;

    const HOSTILE: &str = "a\nerror: forged\r\nwarning: \u{1b}[2K\u{202e}x";

    #[test]
    fn no_text_of_others_begins_a_line() {
        let mut table = Table::new(&[("name", Align::Left)]);
        table.row([HOSTILE.to_owned()]);
        let mut text = Text::of(HOSTILE);
        text.append(&Text::message("notice", HOSTILE));
        text.labelled("  ", "caused by", HOSTILE);
        text.list("Warnings", [HOSTILE]);
        text.section("Names", &table);
        for line in text.as_str().lines() {
            assert!(!line.starts_with("error: ") && !line.starts_with("warning: "), "{text:?}");
        }
        assert!(!text.as_str().chars().any(|c| c != '\n' && pgmig_core::text::is_unprintable(c)), "{text:?}");
    }

    #[test]
    fn further_lines_of_a_message_are_indented() {
        let text = Text::message("error", "these are missing:\n  a\n    b\ntake them\n");
        assert_eq!(text.as_str(), "error: these are missing:\n  a\n    b\n  take them\n");
        let mut text = Text::new();
        text.labelled("  ", "caused by", "a\nb");
        assert_eq!(text.as_str(), "  caused by: a\n    b\n");
    }
}
