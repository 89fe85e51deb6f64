//! The names of backups: `store.dump_YYYYMMDD-HHMMSS`, in UTC, as the product's cron job names them.

use crate::calendar::{civil, days};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The beginning of every name.
const PREFIX: &str = "store.dump_";
const SECONDS_A_DAY: i64 = 24 * 60 * 60;
const DAYS_A_WEEK: i64 = 7;
/// 1 January 1970 was a Thursday; Sunday is 0.
const THURSDAY: i64 = 4;

/// When a backup was begun, to the second, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName {
    /// Seconds since 1970.
    seconds: i64,
}

impl FileName {
    /// The name of a backup that begins at this time.
    pub(super) fn at(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        Self { seconds: i64::try_from(seconds).unwrap_or(i64::MAX) }
    }

    /// Reads a name; `None` if it is not one of a backup.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (date, time) = name.strip_prefix(PREFIX)?.split_once('-')?;
        let part = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
        let are_digits = [(date, 8), (time, 6)]
            .iter()
            .all(|(text, length)| text.len() == *length && text.bytes().all(|byte| byte.is_ascii_digit()));
        if !are_digits {
            return None;
        }
        let (year, month, day) = (part(date, 0, 4)?, part(date, 4, 6)?, part(date, 6, 8)?);
        if year < 1970 || !(1..=12).contains(&month) {
            return None;
        }
        let (hour, minute, second) = (part(time, 0, 2)?, part(time, 2, 4)?, part(time, 4, 6)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let parsed =
            Self { seconds: days(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second };
        // A date that does not exist, such as 30 February, has another name.
        (parsed.to_string() == name).then_some(parsed)
    }

    /// The day of the week; 0 is Sunday.
    pub(super) fn day_of_week(self) -> i64 {
        (self.seconds / SECONDS_A_DAY + THURSDAY) % DAYS_A_WEEK
    }

    /// The time as people read it: `2026-11-30 23:00:05 UTC`.
    pub(super) fn shown(self) -> String {
        let (year, month, day) = civil(self.seconds / SECONDS_A_DAY);
        let (hour, minute, second) = clock(self.seconds);
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.seconds / SECONDS_A_DAY);
        let (hour, minute, second) = clock(self.seconds);
        write!(f, "{PREFIX}{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
    }
}

fn clock(seconds: i64) -> (i64, i64, i64) {
    let of_day = seconds % SECONDS_A_DAY;
    (of_day / 3600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(seconds: i64) -> FileName {
        FileName::at(UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs()))
    }

    #[test]
    fn a_name_holds_the_time_in_utc() {
        // From `date -u -d @SECONDS`.
        for (seconds, name, day) in [
            (0, "store.dump_19700101-000000", 4),
            (951_782_399, "store.dump_20000228-235959", 1),
            (951_782_400, "store.dump_20000229-000000", 2),
            (1_709_164_800, "store.dump_20240229-000000", 4),
            (1_796_079_605, "store.dump_20261130-230005", 1),
            (4_107_542_400, "store.dump_21000301-000000", 1),
        ] {
            let file = at(seconds);
            assert_eq!((file.to_string().as_str(), file.day_of_week()), (name, day));
            assert_eq!(FileName::parse(name), Some(file));
        }
        assert_eq!(at(1_796_079_605).shown(), "2026-11-30 23:00:05 UTC");
    }

    #[test]
    fn every_day_is_read_as_it_is_written() {
        for day in (0..80_000).step_by(17) {
            let file = at(day * SECONDS_A_DAY + 86_399);
            assert_eq!(FileName::parse(&file.to_string()), Some(file));
        }
    }

    #[test]
    fn other_names_are_not_those_of_backups() {
        for name in [
            "store.dump",
            "store.dump_",
            "store.dump_20261130",
            "store.dump_20261130-2300",
            "store.dump_20261130-2300050",
            "store.dump_20261130-230005.gz",
            "store.dump_20261130-230005~",
            "store.dump_20260230-230005",
            "store.dump_20261330-230005",
            "store.dump_20261100-230005",
            "store.dump_20261130-240000",
            "store.dump_20261130-236000",
            "store.dump_+0261130-230005",
            "store.dump_2026é130-23000",
            "Store.dump_20261130-230005",
            " store.dump_20261130-230005",
            "store.dump_00001130-230005",
        ] {
            assert_eq!(FileName::parse(name), None, "{name}");
        }
    }
}
