//! The time at which the job runs, in the form of its schedule.

use super::RetrainError;
use crate::calendar::{civil, days};
use crate::text::utc;
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// A time to the second, in UTC. Its display is the schedule of the job: seconds, minutes, hours, day of month, month, `?` for
/// any day of the week, year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Seconds since 1970.
    seconds: i64,
}

/// Three numbers that belong together.
type Fields = (i64, i64, i64);

/// The years that a schedule can name.
const YEARS: std::ops::RangeInclusive<i64> = 1970..=9999;

impl Moment {
    /// Whether this time is over at `now`.
    pub fn is_before(self, now: SystemTime) -> bool {
        now.duration_since(UNIX_EPOCH).is_ok_and(|now| self.seconds.unsigned_abs() <= now.as_secs())
    }

    /// The time as people read it: `2026-12-01 02:00:00 UTC`.
    pub fn shown(self) -> String {
        utc(self.seconds.unsigned_abs())
    }

    /// Year, month and day; hour, minute and second.
    fn fields(self) -> (Fields, Fields) {
        let of_day = self.seconds % SECONDS_A_DAY;
        (civil(self.seconds / SECONDS_A_DAY), (of_day / 3600, of_day / 60 % 60, of_day % 60))
    }

    fn of(date: Fields, time: Fields) -> Option<Self> {
        let ((year, month, day), (hour, minute, second)) = (date, time);
        if !YEARS.contains(&year) || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let since = days(year, month, day);
        // 30 February would be read as a day of March.
        (civil(since) == date)
            .then_some(Self { seconds: since * SECONDS_A_DAY + hour * 3600 + minute * 60 + second })
    }

    /// Reads `2026-12-01T02:00:00Z`, with a space in place of the T, without seconds, with another zone or without one.
    fn from_date(text: &str) -> Option<Self> {
        let (date, rest) = text.split_once(['T', 't', ' '])?;
        let (time, zone) = match rest.find(['Z', 'z', '+', '-']) {
            Some(at) => rest.split_at(at),
            None => (rest, "Z"),
        };
        let date = numbers(date, '-', &[4, 2, 2])?;
        let time =
            numbers(time.trim_end(), ':', &[2, 2, 2]).or_else(|| numbers(time.trim_end(), ':', &[2, 2]));
        let &[year, month, day] = date.as_slice() else { return None };
        let time = match *time?.as_slice() {
            [hour, minute, second] => (hour, minute, second),
            [hour, minute] => (hour, minute, 0),
            _ => return None,
        };
        let local = Self::of((year, month, day), time)?;
        let seconds = match zone.split_at_checked(1)? {
            ("Z" | "z", "") => local.seconds,
            // East of Greenwich, clocks are ahead of UTC.
            ("+", ahead) => local.seconds - zone_seconds(ahead)?,
            ("-", behind) => local.seconds + zone_seconds(behind)?,
            _ => return None,
        };
        // A zone can move the first hours of 1970 into the year before.
        (seconds >= 0).then_some(Self { seconds })
    }

    /// Reads the schedule itself: `0 40 19 11 3 ? 2024`.
    fn from_schedule(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[second, minute, hour, day, month, "?" | "*", year] = fields.as_slice() else { return None };
        let number = |text: &str| if text.len() <= 4 { digits(text) } else { None };
        let date = (number(year)?, number(month)?, number(day)?);
        Self::of(date, (number(hour)?, number(minute)?, number(second)?))
    }
}

impl FromStr for Moment {
    type Err = RetrainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        Self::from_date(trimmed)
            .or_else(|| Self::from_schedule(trimmed))
            .ok_or_else(|| RetrainError::Time { text: text.to_owned() })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((year, month, day), (hour, minute, second)) = self.fields();
        write!(f, "{second} {minute} {hour} {day} {month} ? {year}")
    }
}

/// The seconds of `01:00`, `0100` or `01`.
fn zone_seconds(text: &str) -> Option<i64> {
    let parts = numbers(text, ':', &[2, 2]).or_else(|| numbers(text, ':', &[2]));
    let (hours, minutes) = match parts.as_deref() {
        Some(&[hours, minutes]) => (hours, minutes),
        Some(&[hours]) => (hours, 0),
        _ => {
            let (hours, minutes) = text.split_at_checked(2).filter(|_| text.len() == 4)?;
            (digits(hours)?, digits(minutes)?)
        }
    };
    (hours <= 14 && minutes <= 59).then_some(hours * 3600 + minutes * 60)
}

/// Numbers of so many digits each, with a separator between them.
fn numbers(text: &str, separator: char, lengths: &[usize]) -> Option<Vec<i64>> {
    let parts: Vec<&str> = text.split(separator).collect();
    let fit =
        parts.len() == lengths.len() && parts.iter().zip(lengths).all(|(part, length)| part.len() == *length);
    if !fit {
        return None;
    }
    parts.into_iter().map(digits).collect()
}

fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::time::Duration;

    fn schedule(text: &str) -> String {
        text.parse::<Moment>().unwrap().to_string()
    }

    #[test]
    fn times_in_every_form_are_the_manuals_schedule() {
        for text in [
            "2024-03-11T19:40:00Z",
            "2024-03-11 19:40",
            "2024-03-11T19:40",
            "2024-03-11t19:40:00z",
            "2024-03-11T20:40:00+01:00",
            "2024-03-11T20:40+0100",
            "2024-03-12T01:10:00+05:30",
            "2024-03-11T11:40:00-08",
            "0 40 19 11 3 ? 2024",
            "00  40 19 11 03 * 2024 ",
        ] {
            assert_eq!(schedule(text), "0 40 19 11 3 ? 2024", "{text}");
        }
        // Across a month's end and a leap day.
        assert_eq!(schedule("2024-03-01T00:30:00+01:00"), "0 30 23 29 2 ? 2024");
        assert_eq!(schedule("2026-12-31T23:59:59-01:00"), "59 59 0 1 1 ? 2027");
        assert_eq!("2026-12-01T02:03:04Z".parse::<Moment>().unwrap().shown(), "2026-12-01 02:03:04 UTC");
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "",
            "now",
            "02:00",
            "2026-12-01",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00Z",
            "2026-12-01T24:00Z",
            "2026-12-01T02:60Z",
            "2026-12-01T02:00:60Z",
            "2026-12-01T02:00:00ZZ",
            "2026-12-01T02:00:00+25:00",
            "26-12-01T02:00Z",
            "2026-1-1T02:00Z",
            "0 0 2 1 12 ?",
            "0 0 2 1 12 MON 2026",
            "0 0 2 1 12 ? 2026 1",
            "0 0 2 30 2 ? 2026",
            "+0 0 2 1 12 ? 2026",
            "2026-12-01T02:00:00é",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_past_is_known() {
        let moment: Moment = "1970-01-01T00:01:00Z".parse().unwrap();
        assert!(moment.is_before(UNIX_EPOCH + Duration::from_secs(60)));
        assert!(!moment.is_before(UNIX_EPOCH + Duration::from_secs(59)));
    }
}
