//! Numbers, sizes and times, for people.

use std::time::Duration;

pub(crate) fn len<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

pub(crate) fn plural(number: u64, noun: &str) -> String {
    format!("{} {}", count(number), self::noun(number, noun))
}

/// The noun in the number of its figure.
pub(crate) fn noun(number: u64, noun: &str) -> String {
    let stem = noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']));
    match stem {
        _ if number == 1 => noun.to_owned(),
        Some(stem) => format!("{stem}ies"),
        None => format!("{noun}s"),
    }
}

/// With a comma between thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In binary units, as PostgreSQL's own pg_size_pretty.
pub(crate) fn bytes(number: u64) -> String {
    indicatif::BinaryBytes(number).to_string()
}

/// Rounded to about three digits.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..=59 => format!("{:.1} s", duration.as_secs_f64()),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// As a clock shows it: `0:54`, `1:01:01`.
pub(crate) fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        let texts = [0, 12, 999, 1_000, 123_456, 1_234_567].map(count);
        assert_eq!(texts, ["0", "12", "999", "1,000", "123,456", "1,234,567"]);
    }

    #[test]
    fn durations_are_short() {
        let texts = [0, 999, 1_000, 59_900, 61_000, 3_600_000, 90_060_000]
            .map(|milliseconds| duration(Duration::from_millis(milliseconds)));
        assert_eq!(texts, ["0 ms", "999 ms", "1.0 s", "59.9 s", "1 min 1 s", "1 h 0 min", "25 h 1 min"]);
    }

    #[test]
    fn a_clock_has_minutes_and_seconds() {
        let texts = [0, 9, 60, 3599, 3600, 90_061].map(|seconds| clock(Duration::from_secs(seconds)));
        assert_eq!(texts, ["0:00", "0:09", "1:00", "59:59", "1:00:00", "25:01:01"]);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([plural(0, "row"), plural(1, "row"), plural(2, "row")], ["0 rows", "1 row", "2 rows"]);
        assert_eq!([plural(1, "entry"), plural(2, "entry")], ["1 entry", "2 entries"]);
    }
}
