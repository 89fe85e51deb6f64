//! Days of the Gregorian calendar, also of the years before it was used.

/// A cycle of 400 years has this many days.
const CYCLE: i64 = 146_097;
/// The days from 1 March of year 0 to 1 January 1970.
const EPOCH: i64 = 719_468;
/// The days from 1970-01-01 to 2000-01-01.
pub(crate) const DAYS_TO_2000: i64 = 10_957;

/// The days from 1970-01-01 to this one. Year 0 is 1 BC. A day of the month that does not exist is counted on from its first.
/// `month` is 1 to 12.
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years are counted from 1 March, so that the leap day is the last day of one.
    let (year, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    cycle * CYCLE + 365 * year + year / 4 - year / 100 + day_of_year - EPOCH
}

/// Year, month and day of this many days after 1970-01-01.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH;
    let (cycle, day_of_cycle) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    let year = (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let (month, next) = if from_march < 10 { (from_march + 3, 0) } else { (from_march - 9, 1) };
    (cycle * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_has_its_date() {
        // From `date -u -d DATE +%s`, and of the last two from `SELECT date '0001-01-01 BC' - date '1970-01-01'`.
        for (date, number) in [
            ((1970, 1, 1), 0),
            ((2000, 1, 1), DAYS_TO_2000),
            ((2000, 2, 29), 11_016),
            ((2026, 11, 30), 20_787),
            ((2100, 3, 1), 47_541),
            ((1900, 3, 1), -25_508),
            ((0, 1, 1), -719_528),
            ((-43, 3, 15), -735_160),
        ] {
            assert_eq!(days(date.0, date.1, date.2), number, "{date:?}");
            assert_eq!(civil(number), date, "{number}");
        }
        for number in (-1_000_000..1_000_000).step_by(17) {
            let (year, month, day) = civil(number);
            assert_eq!(days(year, month, day), number);
        }
    }
}
