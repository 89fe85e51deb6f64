//! Columns of text, aligned.

use pgmig_core::text::printable;
use std::fmt::Write;

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Lines of cells. The last column may have any width: it is for long texts and wide characters.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a line. Control characters are escaped, because names in an archive may contain them.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.columns.len(), "a cell for each column");
        self.rows.push(cells.iter().map(|cell| printable(cell).into_owned()).collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The header and the lines, indented by two spaces.
    pub(crate) fn render(&self) -> String {
        let header: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&header).chain(&self.rows).collect();
        let width = |column: usize| {
            lines
                .iter()
                .filter_map(|line| line.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for line in lines {
            let mut rendered = String::new();
            for ((cell, (_, align)), width) in line.iter().zip(&self.columns).zip(&widths) {
                let _ = match align {
                    Align::Left => write!(rendered, "  {cell:<width$}"),
                    Align::Right => write!(rendered, "  {cell:>width$}"),
                };
            }
            let _ = writeln!(text, "{}", rendered.trim_end());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_space() {
        let mut table = Table::new(&[("name", Align::Left), ("rows", Align::Right), ("note", Align::Left)]);
        table.row(["a".to_owned(), "12345".to_owned(), String::new()]);
        table.row(["long one".to_owned(), "1".to_owned(), "x".to_owned()]);
        assert_eq!(table.render(), "  name       rows  note\n  a         12345\n  long one      1  x\n");
    }

    #[test]
    fn control_characters_are_escaped() {
        let mut table = Table::new(&[("name", Align::Left)]);
        table.row(["a\n\u{1b}[31mb\u{9b}\u{202e}".to_owned()]);
        assert_eq!(table.render(), "  name\n  a\\n\\u{1b}[31mb\\u{9b}\\u{202e}\n");
    }
}
