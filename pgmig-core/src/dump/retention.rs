//! Which backups are kept: the rule of the product's cron job. Pure.

use super::file_name::FileName;
use serde::Serialize;

/// How many backups are kept. The rule is the cron job's: backups of one day of the week are counted apart from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Retention {
    /// How many backups are kept that were not taken on `weekly_day`.
    pub keep_daily: usize,
    /// How many backups are kept that were taken on `weekly_day`.
    pub keep_weekly: usize,
    /// The day of the weekly backup: 0 is Sunday, 6 is Saturday. Days are those of UTC, as in the files' names.
    pub weekly_day: u8,
}

impl Default for Retention {
    /// The cron job's values.
    fn default() -> Self {
        Self { keep_daily: 6, keep_weekly: 4, weekly_day: 0 }
    }
}

impl Retention {
    /// The rule with these numbers.
    pub fn new(keep_daily: usize, keep_weekly: usize, weekly_day: u8) -> Self {
        Self { keep_daily, keep_weekly, weekly_day }
    }

    /// Whether each of these backups is kept. The newest must be first.
    pub(super) fn keeps(&self, newest_first: &[FileName]) -> Vec<bool> {
        let (mut daily, mut weekly) = (self.keep_daily, self.keep_weekly);
        let keep = |file: &FileName| {
            let left =
                if file.day_of_week() == i64::from(self.weekly_day) { &mut weekly } else { &mut daily };
            let is_kept = *left > 0;
            *left = left.saturating_sub(1);
            is_kept
        };
        newest_first.iter().map(keep).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// 1 November 2026 is a Sunday.
    fn november(newest: u32, oldest: u32) -> Vec<FileName> {
        let name = |day| FileName::parse(&format!("store.dump_202611{day:02}-230000")).unwrap();
        (oldest..=newest).rev().map(name).collect()
    }

    fn kept(rule: Retention, files: &[FileName]) -> Vec<String> {
        let kept = files.iter().zip(rule.keeps(files)).filter(|(_, kept)| *kept);
        kept.map(|(file, _)| file.to_string().get(17..19).unwrap().to_owned()).collect()
    }

    #[test]
    fn the_weekly_day_is_counted_apart() {
        let files = november(30, 1);
        let expected = ["30", "29", "28", "27", "26", "25", "24", "22", "15", "08"];
        assert_eq!(kept(Retention::default(), &files), expected);
        assert_eq!(kept(Retention::new(2, 1, 3), &files), ["30", "29", "25"]);
        assert_eq!(kept(Retention::new(0, 0, 0), &files), [""; 0]);
    }

    #[test]
    fn backups_are_counted_and_not_days() {
        let name = |time: &str| FileName::parse(&format!("store.dump_20261130-{time}")).unwrap();
        let files = [name("230002"), name("230001"), name("230000")];
        assert_eq!(Retention::new(2, 4, 0).keeps(&files), [true, true, false]);
    }
}
