//! Whether a column of another type can store all values of a type unchanged, even where the server changes them
//! silently. Pure.

/// The fractional digits of seconds in a time type without a precision.
const MOST_FRACTION: u32 = 6;

/// How the values of one type fit into a column of another type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Every value fits.
    Whole,
    /// The server refuses a value that does not fit.
    Checked,
    /// The server would silently change the values, and they would lose this.
    Loses(&'static str),
}

/// The parts of a type as `format_type` writes it.
struct Spelled<'t> {
    /// The name without modifiers and brackets: `timestamp with time zone`.
    name: String,
    modifiers: Vec<u32>,
    /// The fields of an interval: `day to minute`.
    fields: &'t str,
}

impl<'t> Spelled<'t> {
    fn of(text: &'t str) -> Self {
        let text = text.trim_end_matches("[]");
        let (mut name, mut modifiers) = (text.to_owned(), Vec::new());
        if let Some((before, rest)) = text.split_once('(')
            && let Some((inside, after)) = rest.split_once(')')
        {
            name = format!("{before}{after}");
            modifiers = inside.split(',').filter_map(|number| number.trim().parse().ok()).collect();
        }
        let fields = text.strip_prefix("interval ").unwrap_or_default();
        let fields = fields.split('(').next().unwrap_or_default();
        if name.starts_with("interval") {
            name = "interval".to_owned();
        }
        Self { name, modifiers, fields }
    }

    fn first(&self) -> Option<u32> {
        self.modifiers.first().copied()
    }

    fn fraction(&self) -> u32 {
        self.first().unwrap_or(MOST_FRACTION)
    }

    /// The decimal places of its values; `None` if there is no limit.
    fn scale(&self) -> Option<u32> {
        match self.name.as_str() {
            "smallint" | "integer" | "bigint" => Some(0),
            "numeric" if !self.modifiers.is_empty() => Some(self.modifiers.get(1).copied().unwrap_or(0)),
            _ => None,
        }
    }

    fn is_timestamp(&self) -> bool {
        self.name.starts_with("timestamp")
    }

    fn is_time(&self) -> bool {
        self.name.starts_with("time ")
    }
}

/// How values of one type fit into another type; for arrays, how their elements fit. Both types are written as
/// `format_type` writes them.
pub(crate) fn fit(archive: &str, target: &str) -> Fit {
    let (from, to) = (Spelled::of(archive), Spelled::of(target));
    if let Some(lost) = lost(&from, &to) {
        return Fit::Loses(lost);
    }
    let is_limited = |spelled: &Spelled<'_>| {
        matches!(spelled.name.as_str(), "character varying" | "character" | "bit" | "bit varying" | "numeric")
            && !spelled.modifiers.is_empty()
    };
    let is_narrower = is_limited(&to) && (from.name != to.name || from.modifiers != to.modifiers);
    let numbers = ["smallint", "integer", "bigint", "numeric", "real", "double precision"];
    let size = |spelled: &Spelled<'_>| numbers.iter().position(|name| *name == spelled.name);
    let is_smaller = size(&from).zip(size(&to)).is_some_and(|(from, to)| to < from && to < 3);
    if is_narrower || is_smaller { Fit::Checked } else { Fit::Whole }
}

fn lost(from: &Spelled<'_>, to: &Spelled<'_>) -> Option<&'static str> {
    const DECIMALS: &str = "decimal places";
    let (archive, target) = (from.name.as_str(), to.name.as_str());
    match (archive, target) {
        (_, "numeric") if to.scale().is_some_and(|to| from.scale().is_none_or(|from| from > to)) => {
            is_number(archive).then_some(DECIMALS)
        }
        ("double precision" | "numeric" | "bigint" | "integer", "real") => Some("digits"),
        ("numeric" | "bigint", "double precision") => Some("digits"),
        ("numeric" | "real" | "double precision", "money") => Some(DECIMALS),
        (_, "date") if from.is_timestamp() => Some("the time of day"),
        (_, _) if from.is_timestamp() && to.is_time() => Some("the date"),
        ("interval", _) if to.is_time() => Some("whole days"),
        ("interval", "interval") if !to.fields.is_empty() && to.fields != from.fields => {
            Some("what is not among its fields")
        }
        (_, _) if has_fraction(from) && has_fraction(to) && to.fraction() < from.fraction() => {
            Some("fractions of a second")
        }
        ("text" | "character varying" | "character", "name") => Some("what is longer than 63 bytes"),
        ("text" | "character varying" | "character" | "name", "\"char\"") => {
            Some("all but the first character")
        }
        ("inet", "cidr") => Some("the host's part of an address"),
        ("box", "circle") | ("circle", "polygon") => Some("the shape"),
        _ => None,
    }
}

fn is_number(name: &str) -> bool {
    matches!(name, "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision")
}

fn has_fraction(spelled: &Spelled<'_>) -> bool {
    spelled.is_timestamp() || spelled.is_time() || spelled.name == "interval"
}

/// Whether converting values of one type to the other requires a time zone.
pub(crate) fn takes_time_zone(archive: &str, target: &str) -> bool {
    let zoned = |text: &str| Spelled::of(text).name.ends_with("with time zone");
    let is_date_or_time = |text: &str| {
        let spelled = Spelled::of(text);
        spelled.is_timestamp() || spelled.is_time() || spelled.name == "date"
    };
    is_date_or_time(archive) && is_date_or_time(target) && zoned(archive) != zoned(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_would_change_is_told() {
        for (archive, target) in [
            ("numeric(10,4)", "numeric(10,2)"),
            ("numeric", "numeric(10,2)"),
            ("double precision", "numeric(10,2)"),
            ("double precision", "real"),
            ("timestamp with time zone", "timestamp(0) with time zone"),
            ("time without time zone", "time(3) without time zone"),
            ("timestamp without time zone", "date"),
            ("interval", "interval day to minute"),
            ("interval", "interval(0)"),
            ("text", "name"),
            ("numeric(10,4)[]", "numeric(10,2)[]"),
            ("inet", "cidr"),
        ] {
            assert!(matches!(fit(archive, target), Fit::Loses(_)), "{archive} to {target}");
        }
    }

    #[test]
    fn what_the_server_refuses_is_told_apart_from_what_always_fits() {
        for (archive, target) in [
            ("text", "character varying(2)"),
            ("character varying(20)", "character varying(10)"),
            ("numeric(12,2)", "numeric(6,2)"),
            ("bigint", "integer"),
            ("numeric", "integer"),
        ] {
            assert_eq!(fit(archive, target), Fit::Checked, "{archive} to {target}");
        }
        for (archive, target) in [
            ("integer", "bigint"),
            ("integer", "numeric"),
            ("real", "double precision"),
            ("timestamp(3) with time zone", "timestamp with time zone"),
            ("interval day to minute", "interval"),
            ("character(5)", "text"),
            ("uuid", "text"),
            ("public.mood", "text"),
        ] {
            assert_eq!(fit(archive, target), Fit::Whole, "{archive} to {target}");
        }
        assert!(matches!(fit("integer", "numeric(6,2)"), Fit::Checked));
    }

    #[test]
    fn a_time_zone_is_taken_between_times_with_and_without_one() {
        assert!(takes_time_zone("timestamp without time zone", "timestamp(3) with time zone"));
        assert!(takes_time_zone("date", "timestamp with time zone"));
        assert!(!takes_time_zone("date", "timestamp without time zone"));
        assert!(!takes_time_zone("text", "timestamp with time zone"));
    }
}
