//! Asks the server whether INSERT could store values of one type as another type.

use super::fit::{Fit, fit, takes_time_zone};
use crate::error::Result;
use crate::server::session::Session;
use crate::sql::quote_literal;
use std::collections::{BTreeSet, HashMap};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TypePair {
    pub(crate) archive: String,
    /// The schema to search for the archive's type if its name is not qualified.
    pub(crate) schema: Option<String>,
    pub(crate) target: String,
}

/// How values of the archive's type become values of the target's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// The target's type can read their text.
    Text,
    /// By the assignment cast that INSERT uses.
    Assignment,
    /// They cannot be converted.
    None,
}

/// The server's answer about a pair of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypeMatch {
    pub(crate) conversion: Conversion,
    /// Whether the text is JSON.
    pub(crate) is_json: bool,
    /// Whether the target has the archive's type.
    pub(crate) is_known: bool,
    /// How values fit into the target's type.
    pub(crate) fit: Fit,
    /// Whether the conversion requires a time zone.
    pub(crate) is_zoned: bool,
}

pub(crate) type TypeMatches = HashMap<TypePair, TypeMatch>;

/// Asks the server about each pair. Domains are judged by their base types, and arrays by their elements.
pub(crate) async fn matches(target: &mut Session, pairs: &BTreeSet<TypePair>) -> Result<TypeMatches> {
    if pairs.is_empty() {
        return Ok(TypeMatches::new());
    }
    let value = |(index, pair): (usize, &TypePair)| {
        let in_schema = match &pair.schema {
            Some(schema) => quote_literal(&format!("{}.{}", crate::sql::quote_ident(schema), pair.archive)),
            None => "NULL".to_owned(),
        };
        format!("({index}, {}, {in_schema}, {})", quote_literal(&pair.archive), quote_literal(&pair.target))
    };
    let values: Vec<String> = pairs.iter().enumerate().map(value).collect();
    let sql = format!(
        "WITH RECURSIVE pair(n, s, s2, t) AS (VALUES {}), \
         step(n, s, t, st, tt, depth) AS ( \
             SELECT n, COALESCE(pg_catalog.to_regtype(s), pg_catalog.to_regtype(s2))::pg_catalog.oid, \
                 pg_catalog.to_regtype(t)::pg_catalog.oid, s::text, t::text, 0 FROM pair \
             UNION ALL \
             SELECT step.n, \
                 CASE WHEN a.typtype = 'd' THEN a.typbasetype WHEN b.typtype = 'd' THEN step.s ELSE a.typelem END, \
                 CASE WHEN a.typtype = 'd' THEN step.t WHEN b.typtype = 'd' THEN b.typbasetype ELSE b.typelem END, \
                 CASE WHEN a.typtype = 'd' THEN pg_catalog.format_type(a.typbasetype, a.typtypmod) ELSE step.st END, \
                 CASE WHEN a.typtype = 'd' THEN step.tt \
                     WHEN b.typtype = 'd' THEN pg_catalog.format_type(b.typbasetype, b.typtypmod) ELSE step.tt END, \
                 depth + 1 \
             FROM step JOIN pg_catalog.pg_type a ON a.oid = step.s JOIN pg_catalog.pg_type b ON b.oid = step.t \
             WHERE step.s <> step.t AND (a.typtype = 'd' OR b.typtype = 'd' \
                 OR a.typcategory = 'A' AND b.typcategory = 'A' AND a.typelem <> 0 AND b.typelem <> 0)) \
         SELECT DISTINCT ON (step.n) step.n, a.typname, a.typcategory, b.typname, b.typcategory, step.s = step.t, \
             EXISTS (SELECT 1 FROM pg_catalog.pg_cast c WHERE c.castsource = step.s AND c.casttarget = step.t \
                 AND c.castcontext IN ('i', 'a')), step.st, step.tt \
         FROM step LEFT JOIN pg_catalog.pg_type a ON a.oid = step.s LEFT JOIN pg_catalog.pg_type b ON b.oid = step.t \
         ORDER BY step.n, step.depth DESC",
        values.join(", ")
    );
    let rows = target.rows(&sql, "compare the types of columns").await?;
    let by_index: HashMap<usize, TypeMatch> = rows
        .iter()
        .map(|row| {
            let kinds = Kinds {
                archive: row.get(1).map(|name| (name, row.text(2))),
                target: (row.text(3), row.text(4)),
                is_same: row.is_true(5),
                is_assignable: row.is_true(6),
                spelled: (row.text(7), row.text(8)),
            };
            (row.number::<usize>(0), kinds.judge())
        })
        .collect();
    let matched = |(index, pair): (usize, &TypePair)| Some((pair.clone(), *by_index.get(&index)?));
    Ok(pairs.iter().enumerate().filter_map(matched).collect())
}

/// Two types with their names and categories, with domains and arrays resolved.
struct Kinds<'a> {
    /// `None` if the target does not have this type.
    archive: Option<(&'a str, &'a str)>,
    target: (&'a str, &'a str),
    is_same: bool,
    is_assignable: bool,
    /// Both types as `format_type` writes them, with their modifiers.
    spelled: (&'a str, &'a str),
}

const STRING: &str = "S";
const NUMBER: &str = "N";

impl Kinds<'_> {
    fn judge(&self) -> TypeMatch {
        let (target, category) = self.target;
        let is_json = |name: &str| matches!(name, "json" | "jsonb");
        TypeMatch {
            conversion: self.conversion(),
            is_json: self.archive.map_or_else(|| is_json(target), |(archive, _)| is_json(archive)),
            is_known: self.archive.is_some() && !category.is_empty(),
            fit: fit(self.spelled.0, self.spelled.1),
            is_zoned: takes_time_zone(self.spelled.0, self.spelled.1),
        }
    }

    /// Values are loaded as text where that gives the same result as the assignment. Otherwise they are assigned: the
    /// text of a bool is `t`, but its assignment to text gives `true`.
    fn conversion(&self) -> Conversion {
        let (target, category) = self.target;
        let Some((archive, archive_category)) = self.archive else {
            return if category == STRING { Conversion::Text } else { Conversion::None };
        };
        if self.is_same {
            return Conversion::Text;
        }
        if category == STRING {
            let is_assigned = archive == "bool" || archive == "bpchar" && target != "bpchar";
            return if is_assigned { Conversion::Assignment } else { Conversion::Text };
        }
        let are_numbers = category == NUMBER && archive_category == NUMBER;
        match (self.is_assignable, archive, target) {
            (false, ..) => Conversion::None,
            (true, "money", _) | (true, _, "money") => Conversion::Assignment,
            // As text, a number that does not fit is an error; an assignment would round it.
            (true, ..) if are_numbers => Conversion::Text,
            (true, "json", "jsonb") | (true, "jsonb", "json") => Conversion::Text,
            (true, "date", "timestamp" | "timestamptz") | (true, "timestamp", "timestamptz") => {
                Conversion::Text
            }
            (true, ..) => Conversion::Assignment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversion(archive: Option<(&str, &str)>, target: (&str, &str), is_assignable: bool) -> Conversion {
        Kinds { archive, target, is_same: false, is_assignable, spelled: ("", "") }.conversion()
    }

    #[test]
    fn text_goes_where_it_means_the_same() {
        use Conversion as C;
        assert_eq!(conversion(Some(("int4", "N")), ("int8", "N"), true), C::Text);
        assert_eq!(conversion(Some(("uuid", "U")), ("text", "S"), false), C::Text);
        assert_eq!(conversion(None, ("varchar", "S"), false), C::Text);
        assert_eq!(conversion(None, ("int4", "N"), false), C::None);
        assert_eq!(conversion(Some(("text", "S")), ("uuid", "U"), false), C::None);
    }

    #[test]
    fn values_whose_text_differs_are_assigned() {
        use Conversion as C;
        assert_eq!(conversion(Some(("bool", "B")), ("text", "S"), true), C::Assignment);
        assert_eq!(conversion(Some(("timestamptz", "D")), ("timestamp", "D"), true), C::Assignment);
        assert_eq!(conversion(Some(("timestamp", "D")), ("timestamptz", "D"), true), C::Text);
        assert_eq!(conversion(Some(("int4", "N")), ("money", "N"), true), C::Assignment);
    }
}
