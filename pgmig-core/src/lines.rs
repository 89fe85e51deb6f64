//! Lists in messages: some are named, the rest counted.

use std::fmt;

/// How many things a message names, a line each, before it says how many more there are.
const NAMED: usize = 20;

/// How many things a message names within a line.
const NAMED_INLINE: usize = 5;

/// `1 table`, `2 tables`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Indented lines, the first [`NAMED`] of them.
pub(crate) struct Lines<'a>(pub(crate) &'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_lines(f, self.0.iter())
    }
}

/// Indented lines, all of them: an operator has to deal with each.
pub(crate) struct AllLines<'a>(pub(crate) &'a [String]);

impl fmt::Display for AllLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|line| format!("  {line}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Writes indented lines, the first [`NAMED`] of them.
pub(crate) fn write_lines<L: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    lines: impl ExactSizeIterator<Item = L>,
) -> fmt::Result {
    let all = lines.len();
    for (index, line) in lines.take(NAMED).enumerate() {
        let end = if index > 0 { "\n" } else { "" };
        write!(f, "{end}  {line}")?;
    }
    if all > NAMED { write!(f, "\n  and {} more", all - NAMED) } else { Ok(()) }
}

/// `a; b; and 3 more`: the first few of a list, within a line.
pub(crate) fn inline<L: fmt::Display>(things: impl ExactSizeIterator<Item = L>) -> String {
    let all = things.len();
    let mut named: Vec<String> = things.take(NAMED_INLINE).map(|thing| thing.to_string()).collect();
    if all > NAMED_INLINE {
        named.push(format!("and {} more", all - NAMED_INLINE));
    }
    named.join("; ")
}
