//! The names of backups: `store.dump_YYYYMMDD-HHMMSS`, in UTC, as the product's cron job names them.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The beginning of every name.
const PREFIX: &str = "store.dump_";
const SECONDS_A_DAY: u64 = 24 * 60 * 60;
const DAYS_A_WEEK: u64 = 7;
/// 1 January 1970 was a Thursday; Sunday is 0.
const THURSDAY: u64 = 4;

/// When a backup was begun, to the second, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName {
    /// Seconds since 1970.
    seconds: u64,
}

impl FileName {
    /// The name of a backup that begins at this time.
    pub(super) fn at(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        Self { seconds }
    }

    /// Reads a name; `None` if it is not one of a backup.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (date, time) = name.strip_prefix(PREFIX)?.split_once('-')?;
        let part = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
        let are_digits = [(date, 8), (time, 6)]
            .iter()
            .all(|(text, length)| text.len() == *length && text.bytes().all(|byte| byte.is_ascii_digit()));
        if !are_digits {
            return None;
        }
        let days = days(part(date, 0, 4)?, part(date, 4, 6)?, part(date, 6, 8)?)?;
        let (hour, minute, second) = (part(time, 0, 2)?, part(time, 2, 4)?, part(time, 4, 6)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let parsed = Self { seconds: days * SECONDS_A_DAY + hour * 3600 + minute * 60 + second };
        // A date that does not exist, such as 30 February, has another name.
        (parsed.to_string() == name).then_some(parsed)
    }

    /// The day of the week; 0 is Sunday.
    pub(super) fn day_of_week(self) -> u64 {
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

fn clock(seconds: u64) -> (u64, u64, u64) {
    let of_day = seconds % SECONDS_A_DAY;
    (of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// Years are counted from 1 March, so that the leap day is the last day of one. A cycle of 400 years has this many days.
const CYCLE: u64 = 146_097;
/// The days from 1 March of year 0 to 1 January 1970.
const EPOCH: u64 = 719_468;

/// Year, month and day of this many days after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH;
    let (cycle, day_of_cycle) = (days / CYCLE, days % CYCLE);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (cycle * 400 + year_of_cycle + u64::from(month <= 2), month, day)
}

/// The days from 1970-01-01; `None` before that.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year.checked_sub(u64::from(month <= 2))?;
    let (cycle, year_of_cycle) = (year / 400, year % 400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let day_of_cycle = 365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    (cycle * CYCLE + day_of_cycle).checked_sub(EPOCH)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(seconds: u64) -> FileName {
        FileName::at(UNIX_EPOCH + Duration::from_secs(seconds))
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
