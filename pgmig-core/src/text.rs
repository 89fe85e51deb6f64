//! Text for people. What others wrote is escaped for a terminal; the known word that was meant is found.

use crate::calendar::civil;
use std::borrow::Cow;
use std::fmt::Write;

/// The text with all characters escaped that a terminal obeys or hides: control characters, line ends among them, and
/// characters without a width, some of which turn the direction of others. So the text cannot fake other output.
///
/// ```
/// assert_eq!(pgmig_core::text::printable("a\nerror: b\u{1b}[2J"), "a\\nerror: b\\u{1b}[2J");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) {
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A time in seconds since 1970, as people read it, in UTC.
///
/// ```
/// assert_eq!(pgmig_core::text::utc(951_782_400), "2000-02-29 00:00:00 UTC");
/// ```
pub fn utc(unix_seconds: u64) -> String {
    let (days, seconds) = (unix_seconds / 86_400, unix_seconds % 86_400);
    let (year, month, day) = civil(i64::try_from(days).unwrap_or_default());
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Whether [`printable`] escapes the character.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// The known word that `word` is likely meant to be: one with a small part of its letters changed, added, left out or
/// exchanged with the next one. Case does not count.
///
/// ```
/// use pgmig_core::text::meant;
/// assert_eq!(meant("prot", &["host", "port"]), Some("port"));
/// assert_eq!(meant("password1234", &["host", "port"]), None);
/// ```
pub fn meant<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // A word much longer than all known ones resembles none of them.
    let longest = known.iter().map(|known| known.len()).max().unwrap_or(0).saturating_mul(2);
    let word = Some(word).filter(|word| word.len() <= longest)?.to_lowercase();
    let near = known.iter().map(|known| (distance(&word, &known.to_lowercase()), *known));
    // Of two equally near words, the one with the same first letter: `sorce` is `source`, not `force`.
    let (distance, nearest) =
        near.min_by_key(|(distance, known)| (*distance, !starts_alike(&word, known)))?;
    (distance <= (nearest.chars().count() / 4).max(1)).then_some(nearest)
}

fn starts_alike(word: &str, other: &str) -> bool {
    word.chars().next() == other.to_lowercase().chars().next()
}

/// How many letters to change, add, leave out or exchange with their neighbour make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let first: Vec<usize> = (0..=b.len()).collect();
    let (mut before, mut previous) = (first.clone(), first);
    for (row, letter) in a.iter().enumerate() {
        let mut current = vec![row.saturating_add(1)];
        for (column, other) in b.iter().enumerate() {
            let at = |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX);
            let next = column.saturating_add(1);
            let changed = at(&previous, column).saturating_add(usize::from(letter != other));
            let added = at(&previous, next).min(at(&current, column)).saturating_add(1);
            let is_exchanged = column > 0
                && row > 0
                && b.get(column.saturating_sub(1)) == Some(letter)
                && a.get(row.saturating_sub(1)) == Some(other);
            let exchanged = if is_exchanged {
                at(&before, column.saturating_sub(1)).saturating_add(1)
            } else {
                usize::MAX
            };
            current.push(changed.min(added).min(exchanged));
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_796_081_487), "2026-11-30 23:31:27 UTC");
    }

    #[test]
    fn what_a_terminal_obeys_or_hides_is_escaped() {
        for hidden in
            ['\0', '\n', '\r', '\t', '\u{1b}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{e0041}']
        {
            let shown = printable(&format!("a{hidden}b")).into_owned();
            assert!(shown.starts_with("a\\") && shown.ends_with('b'), "{shown}");
            assert!(!shown.contains(is_unprintable), "{shown}");
        }
        for plain in ["", "naïve \"a\\b\"", "日本語", "e\u{301}", "👍🏽", "مرحبا"] {
            assert_eq!(printable(plain), plain);
        }
    }

    #[test]
    fn distances_are_those_of_single_mistakes() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("port", "port", 0),
            ("prot", "port", 1),
            ("prt", "port", 1),
            ("pport", "port", 1),
            ("part", "port", 1),
            ("kitten", "sitting", 3),
            ("su_pasword", "su_password", 1),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn only_what_is_close_is_meant() {
        let known =
            ["host", "port", "database", "username", "su_username", "su_password", "su_password_file"];
        for (word, expected) in [
            ("Host", "host"),
            ("prot", "port"),
            ("databse", "database"),
            ("user_name", "username"),
            ("su_pasword", "su_password"),
            ("supassword", "su_password"),
            ("su-password", "su_password"),
        ] {
            assert_eq!(meant(word, &known), Some(expected), "{word}");
        }
        for word in ["", "S3cret", "hunter2", "pass", "word", &"x".repeat(1 << 20)] {
            assert_eq!(meant(word, &known), None, "{word:.20}");
        }
        assert_eq!(meant("a", &[]), None);
        assert_eq!(meant("sorce", &["force", "source"]), Some("source"));
    }
}
