//! Instance IDs.

use super::IdError;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The ID of a service instance: a UUID.
///
/// Its display has lower case and hyphens. Parsing accepts that form, also in upper case and in braces.
///
/// ```
/// use pgmig_core::instance::InstanceId;
/// let id = InstanceId::from_number(1570184978).expect("has at most 32 digits");
/// assert_eq!(id.to_string(), "00000000-0000-0000-0000-001570184978");
/// assert_eq!(id.number().as_deref(), Some("1570184978"));
/// assert_eq!("{E10001EB-6272-453A-BB43-3DCF0E765892}".parse::<InstanceId>()?.number(), None);
/// # Ok::<(), pgmig_core::instance::IdError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(Uuid);

impl InstanceId {
    /// The ID with this UUID.
    pub fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID.
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// The ID that stands for a number: its decimal digits, padded with zeros to 32, in UUID form. `None` if the
    /// number has more digits.
    pub fn from_number(number: u128) -> Option<Self> {
        Self::from_digits(&number.to_string())
    }

    /// Like [`from_number`](Self::from_number), for decimal digits; leading zeros do not matter.
    pub fn from_digits(digits: &str) -> Option<Self> {
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        (digits.len() <= 32).then(|| Uuid::try_parse(&format!("{digits:0>32}")).ok().map(Self)).flatten()
    }

    /// The number for which this ID stands, in decimal digits without leading zeros. `None` if one of its digits is
    /// not decimal.
    pub fn number(self) -> Option<String> {
        let digits = self.0.as_simple().to_string();
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = digits.trim_start_matches('0');
        Some(if significant.is_empty() { "0".to_owned() } else { significant.to_owned() })
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.as_hyphenated(), f)
    }
}

impl Serialize for InstanceId {
    /// Serializes the ID as a string, in the form of its display.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for InstanceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let braced = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let text = braced.unwrap_or(text);
        // The length excludes forms without hyphens and with a URN prefix, which the crate accepts, too.
        if text.len() != uuid::fmt::Hyphenated::LENGTH {
            return Err(IdError);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| IdError)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn reads_hyphenated_forms_only() {
        let id: InstanceId = "e10001eb-6272-453a-bb43-3dcf0e765892".parse().unwrap();
        assert_eq!("{E10001EB-6272-453A-BB43-3DCF0E765892}".parse(), Ok(id));
        assert_eq!("E10001EB-6272-453A-BB43-3DCF0E765892".parse(), Ok(id));
        for bad in [
            "",
            "e10001eb6272453abb433dcf0e765892",
            "urn:uuid:e10001eb-6272-453a-bb43-3dcf0e765892",
            "{e10001eb-6272-453a-bb43-3dcf0e765892",
            "e10001eb-6272-453a-bb43-3dcf0e76589",
            "e10001eb-6272-453a-bb43-3dcf0e76589g",
            "e10001e-b6272-453a-bb43-3dcf0e765892",
            " e10001eb-6272-453a-bb43-3dcf0e765892",
        ] {
            assert_eq!(bad.parse::<InstanceId>(), Err(IdError), "{bad}");
        }
    }

    #[test]
    fn numbers_go_both_ways() {
        for (number, id) in [
            (0, "00000000-0000-0000-0000-000000000000"),
            (1_764_035_503_433_645, "00000000-0000-0000-1764-035503433645"),
            (99_999_999_999_999_999_999_999_999_999_999, "99999999-9999-9999-9999-999999999999"),
        ] {
            let parsed = InstanceId::from_number(number).unwrap();
            assert_eq!((parsed.to_string(), parsed.number()), (id.to_owned(), Some(number.to_string())));
        }
        assert_eq!(InstanceId::from_number(10_u128.pow(32)), None);
        assert_eq!(InstanceId::from_digits("007"), InstanceId::from_number(7));
        assert_eq!(InstanceId::from_digits(""), None);
        assert_eq!(InstanceId::from_digits("+7"), None);
    }
}
