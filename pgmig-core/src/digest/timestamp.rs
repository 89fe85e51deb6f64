//! Reads a `timestamptz` as PostgreSQL writes it with DateStyle ISO, in whatever time zone.

use crate::calendar;

const MICROSECONDS: i64 = 1_000_000;
const DAY: i64 = 24 * 60 * 60;

/// The microseconds since 2000-01-01 00:00 UTC: `2020-06-01 12:00:00.5+02`, `0044-03-15 12:00:00+00:53:28 BC`, `infinity`.
pub(super) fn read(text: &str) -> Option<i64> {
    match text {
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(i64::MIN),
        _ => {}
    }
    let (text, is_bc) = text.strip_suffix(" BC").map_or((text, false), |text| (text, true));
    let (date, time) = text.split_once(' ')?;
    let mut parts = date.split('-');
    let (year, month, day) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if is_bc { 1 - year } else { year };
    let (time, offset) = time.split_at_checked(time.rfind(['+', '-'])?)?;
    let (sign, offset) = offset.split_at_checked(1)?;
    let offset = clock(offset)? * if sign == "-" { -1 } else { 1 };
    let (time, fraction) = match time.split_once('.') {
        Some((time, digits)) if (1..=6).contains(&digits.len()) => {
            let padding = u32::try_from(6 - digits.len()).ok()?;
            (time, number(digits)? * 10_i64.pow(padding))
        }
        Some(_) => return None,
        None => (time, 0),
    };
    let days = calendar::days(year, month, day).checked_sub(calendar::DAYS_TO_2000)?;
    let seconds = days.checked_mul(DAY)?.checked_add(clock(time)? - offset)?;
    seconds.checked_mul(MICROSECONDS)?.checked_add(fraction)
}

/// The seconds of `HH`, `HH:MM` or `HH:MM:SS`.
fn clock(text: &str) -> Option<i64> {
    let (mut seconds, mut unit) = (0, 60 * 60);
    for part in text.split(':') {
        if unit == 0 {
            return None;
        }
        seconds += number(part)? * unit;
        unit /= 60;
    }
    Some(seconds)
}

fn number(digits: &str) -> Option<i64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_as_the_server_reads_it() {
        // `SELECT extract(epoch FROM t::timestamptz - '2000-01-01 00:00+00')`, and more by the tests of the rows.
        for (text, expected) in [
            ("2000-01-01 00:00:00+00", 0),
            ("2000-01-01 00:00:00.000001+00", 1),
            ("2000-01-01 01:00:00.5+01", 500_000),
            ("1999-12-31 23:59:59.25-00:30", 1_799_250_000),
            ("2000-03-01 00:00:00+00", 60 * DAY * MICROSECONDS),
            ("1900-03-01 00:00:00+00", -36_465 * DAY * MICROSECONDS),
            ("0001-01-01 00:00:00+00 BC", -730_485 * DAY * MICROSECONDS),
            ("infinity", i64::MAX),
            ("-infinity", i64::MIN),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        assert_eq!(read("2020-01-01 00:00:00.5+01"), Some(0x0002_3e06_b036_5d20));
        for text in
            ["", "2000-01-01", "2000-01-01 00:00:00", "2000-01-01 00:00:00.1234567+00", "x-01-01 00:00:00+00"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
