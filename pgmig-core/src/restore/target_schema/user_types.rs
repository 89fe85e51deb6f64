//! User-defined types of the archive and the target, which may have the same name and different meanings.

use crate::error::Result;
use crate::server::session::Session;
use crate::sql::{Lexer, StandardStrings, TokenKind, table_definition};
use std::collections::{BTreeSet, HashMap};

/// The definition of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UserType {
    /// The labels of an enum.
    Enum(Vec<String>),
    /// A domain.
    Domain {
        /// The type beneath, as `format_type` writes it.
        base: String,
        is_not_null: bool,
        /// Each one `CHECK (...)`.
        checks: BTreeSet<String>,
    },
    /// The attributes of a composite type, with their types.
    Composite(Vec<(String, String)>),
}

/// Types by name, as `format_type` writes it.
pub(crate) type UserTypes = HashMap<String, UserType>;

/// How a type of the target differs from the archive's type of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TypeDifference {
    /// Some values have no equivalent, or have another meaning.
    Other(String),
    /// The checks of the target's domain may refuse values.
    Stricter,
}

impl UserType {
    /// The type that a `CREATE TYPE` or `CREATE DOMAIN` of pg_dump defines. `None` for other types: only the server
    /// understands range types and base types.
    pub(crate) fn of_definition(sql: &str) -> Option<Self> {
        let words: Vec<&str> = sql.split_whitespace().collect();
        match words.as_slice() {
            ["CREATE", "TYPE", _, "AS", "ENUM", ..] => Some(Self::Enum(strings(sql))),
            ["CREATE", "TYPE", _, "AS", "(", ..] | ["CREATE", "TYPE", _, "AS", "(\n", ..] => attributes(sql),
            ["CREATE", "DOMAIN", _, "AS", ..] => domain(sql),
            _ => None,
        }
    }

    /// How the target's type of the same name differs; `None` if every value of this type is a value of the target's
    /// type.
    pub(crate) fn difference(&self, target: &Self) -> Option<TypeDifference> {
        match (self, target) {
            (Self::Enum(from), Self::Enum(to)) => {
                let missing: Vec<String> = from
                    .iter()
                    .filter(|label| !to.contains(label))
                    .map(|label| crate::sql::quote_literal(label))
                    .collect();
                (!missing.is_empty())
                    .then(|| TypeDifference::Other(format!("it lacks {} in the target", missing.join(", "))))
            }
            (Self::Composite(from), Self::Composite(to)) => (from != to).then(|| {
                let list = |attributes: &[(String, String)]| {
                    let one =
                        |(name, of): &(String, String)| format!("{} {of}", crate::sql::quote_ident(name));
                    attributes.iter().map(one).collect::<Vec<_>>().join(", ")
                };
                TypeDifference::Other(format!(
                    "it is ({}) in the archive, ({}) in the target",
                    list(from),
                    list(to)
                ))
            }),
            (Self::Domain { base: from, .. }, Self::Domain { base: to, .. }) if from != to => {
                Some(TypeDifference::Other(format!("it is {from} in the archive, {to} in the target")))
            }
            (
                Self::Domain { is_not_null: from_not_null, checks: from, .. },
                Self::Domain { is_not_null, checks: to, .. },
            ) => {
                let is_stricter = *is_not_null && !from_not_null || !to.is_subset(from);
                is_stricter.then_some(TypeDifference::Stricter)
            }
            _ => Some(TypeDifference::Other("it is a type of another kind in the target".to_owned())),
        }
    }
}

fn strings(sql: &str) -> Vec<String> {
    let tokens = Lexer::new(sql.as_bytes(), StandardStrings::On).map_while(std::result::Result::ok);
    let text = |token: &crate::sql::Token| sql.get(token.body.clone()).map(|text| text.replace("''", "'"));
    tokens
        .filter(|token| matches!(token.kind, TokenKind::String(_)))
        .filter_map(|token| text(&token))
        .collect()
}

/// Attributes are written like the columns of a table.
fn attributes(sql: &str) -> Option<UserType> {
    let table = format!("CREATE TABLE t {}", sql.get(sql.find('(')?..)?);
    let columns = table_definition(&table).ok()?.columns;
    Some(UserType::Composite(columns.into_iter().map(|column| (column.name, column.type_name)).collect()))
}

/// The words that may follow the type in a `CREATE DOMAIN`.
const AFTER_BASE: [&str; 6] = ["collate", "default", "not", "null", "constraint", "check"];

fn domain(sql: &str) -> Option<UserType> {
    let input = sql.as_bytes();
    let tokens: Vec<_> = Lexer::new(input, StandardStrings::On)
        .map_while(std::result::Result::ok)
        .filter(|token| !token.kind.is_blank())
        .collect();
    let after_as = tokens.iter().position(|token| token.is_word(input, "as"))?.checked_add(1)?;
    let rest = tokens.get(after_as..)?;
    let is_end = |token: &crate::sql::Token| {
        token.kind == TokenKind::Symbol(b';') || AFTER_BASE.iter().any(|word| token.is_word(input, word))
    };
    let end = rest.iter().position(is_end).unwrap_or(rest.len());
    let (base, rest) = rest.split_at_checked(end)?;
    let base = sql.get(base.first()?.span.start..base.last()?.span.end)?.to_owned();
    let (mut is_not_null, mut checks) = (false, BTreeSet::new());
    let (mut depth, mut check) = (0_u32, None);
    for (index, token) in rest.iter().enumerate() {
        let next = rest.get(index.saturating_add(1));
        match token.kind {
            TokenKind::Symbol(b'(') => depth = depth.saturating_add(1),
            TokenKind::Symbol(b')') => {
                depth = depth.saturating_sub(1);
                if let Some(start) = check.take_if(|_| depth == 0) {
                    checks.extend(sql.get(start..token.span.end).map(str::to_owned));
                }
            }
            _ if depth == 0 && token.is_word(input, "check") => check = Some(token.span.start),
            _ if depth == 0 && token.is_word(input, "not") => {
                is_not_null |= next.is_some_and(|next| next.is_word(input, "null"));
            }
            _ => {}
        }
    }
    Some(UserType::Domain { base, is_not_null, checks })
}

/// Reads the user-defined types of the target.
pub(crate) async fn read(target: &mut Session) -> Result<UserTypes> {
    let sql = "\
        SELECT pg_catalog.format_type(t.oid, NULL), t.typtype, part.name, part.definition \
        FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
        LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid \
        LEFT JOIN LATERAL ( \
            SELECT e.enumlabel::text AS name, NULL::text AS definition, e.enumsortorder AS place \
            FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid \
            UNION ALL SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnum \
            FROM pg_catalog.pg_attribute a \
            WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped \
            UNION ALL SELECT NULL, pg_catalog.format_type(t.typbasetype, t.typtypmod), 0 WHERE t.typtype = 'd' \
            UNION ALL SELECT NULL, 'NOT NULL', 1 WHERE t.typtype = 'd' AND t.typnotnull \
            UNION ALL SELECT NULL, pg_catalog.pg_get_constraintdef(k.oid), 2 \
            FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c') part ON true \
        WHERE t.typtype IN ('e', 'd', 'c') AND (c.relkind IS NULL OR c.relkind = 'c') \
        AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' ORDER BY t.oid, part.place";
    let mut types = UserTypes::new();
    for row in target.rows(sql, "list the target's types").await? {
        let (name, definition) = (row.text(2).to_owned(), row.text(3).to_owned());
        let known = types.entry(row.text(0).to_owned()).or_insert_with(|| match row.text(1) {
            "e" => UserType::Enum(Vec::new()),
            "d" => UserType::Domain { base: String::new(), is_not_null: false, checks: BTreeSet::new() },
            _ => UserType::Composite(Vec::new()),
        });
        match known {
            UserType::Enum(labels) => labels.extend(row.get(2).map(str::to_owned)),
            UserType::Composite(attributes) => attributes.extend(row.get(2).map(|_| (name, definition))),
            UserType::Domain { base, .. } if base.is_empty() => *base = definition,
            UserType::Domain { is_not_null, .. } if definition == "NOT NULL" => *is_not_null = true,
            UserType::Domain { checks, .. } => {
                checks.insert(definition);
            }
        }
    }
    Ok(types)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn enums_are_compared_by_their_labels() {
        let of = |sql| UserType::of_definition(sql).unwrap();
        let old = of("CREATE TYPE public.mood AS ENUM (\n    'good',\n    'it''s, so'\n);");
        assert_eq!(old, UserType::Enum(vec!["good".to_owned(), "it's, so".to_owned()]));
        let new = of("CREATE TYPE public.mood AS ENUM (\n    'so',\n    'good'\n);");
        let difference = old.difference(&new).unwrap();
        assert_eq!(difference, TypeDifference::Other("it lacks 'it''s, so' in the target".to_owned()));
        assert_eq!(of("CREATE TYPE public.mood AS ENUM (\n    'good'\n);").difference(&new), None);
    }

    #[test]
    fn domains_are_read_and_compared() {
        let sql = "CREATE DOMAIN public.year AS numeric(4,0) DEFAULT 1 NOT NULL\n\tCONSTRAINT c CHECK (((VALUE > 1) AND (VALUE < 9)));";
        let old = UserType::of_definition(sql).unwrap();
        let checks = BTreeSet::from(["CHECK (((VALUE > 1) AND (VALUE < 9)))".to_owned()]);
        assert_eq!(old, UserType::Domain { base: "numeric(4,0)".to_owned(), is_not_null: true, checks });
        let free = UserType::of_definition("CREATE DOMAIN public.year AS character varying(3);").unwrap();
        assert!(matches!(&free, UserType::Domain { base, .. } if base == "character varying(3)"));
        assert!(matches!(old.difference(&free), Some(TypeDifference::Other(_))));
        let lax = UserType::of_definition("CREATE DOMAIN public.year AS numeric(4,0);").unwrap();
        assert_eq!((old.difference(&lax), lax.difference(&old)), (None, Some(TypeDifference::Stricter)));
    }

    #[test]
    fn composite_types_are_compared_by_their_attributes() {
        let of = |sql| UserType::of_definition(sql).unwrap();
        let old = of("CREATE TYPE public.c AS (\n\tx integer,\n\ty character varying(3)\n);");
        let new = of("CREATE TYPE public.c AS (\n\tx integer\n);");
        assert!(
            matches!(old.difference(&new), Some(TypeDifference::Other(text)) if text.contains("y character varying(3)"))
        );
        assert_eq!(old.difference(&old), None);
        assert!(
            UserType::of_definition("CREATE TYPE public.r AS RANGE (\n    subtype = integer\n);").is_none()
        );
    }
}
