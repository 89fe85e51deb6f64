//! Foreign keys that refer to tables of extensions.
//!
//! Such a table belongs to a superuser, so `username` may not refer to it. The right is not lent: the server checks a
//! foreign key as the owner of the table that it refers to, and converts values by the casts of their types for that. With
//! a type of its own, code of the archive would run as the superuser. A superuser therefore adds the key itself, written
//! anew and not valid, so that no row is read; the same transaction looks at the types. Then `username` validates it.

use super::constraint::{AddConstraint, list};
use super::touched::require;
use crate::sql::{Parser, QualifiedName, SqlError, StandardStrings, TokenKind, quote_ident, quote_literal};
use std::fmt::Write as _;

/// The first version whose partitioned tables can have a foreign key that is not valid.
const NOT_VALID_PARTITIONED: i32 = 180_000;

/// The statements that make a foreign key: one of a superuser, and one of `username` after it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ForeignKey {
    /// Adds the key, and fails if it is not one that a superuser may add.
    pub(crate) add: String,
    /// Checks the rows; `None` if the key is not valid in the archive either.
    pub(crate) validate: Option<String>,
}

/// What stands in a statement.
struct Parsed {
    table: QualifiedName,
    is_only: bool,
    name: String,
    columns: Vec<String>,
    referenced: QualifiedName,
    referenced_columns: Option<Vec<String>>,
    /// MATCH, the actions, and when the key is checked.
    clauses: String,
    is_valid: bool,
    is_enforced: bool,
}

/// Writes the foreign key of a statement of the archive anew, for a table of the role `owner`. `None` if that is not
/// possible: pg_dump did not write the statement, or its table has partitions and the server is older than 18.
pub(crate) fn foreign_key(
    sql: &str,
    strings: StandardStrings,
    owner: &str,
    server_version: i32,
) -> Option<ForeignKey> {
    let key = parse(sql, strings).ok()?;
    if !key.is_only && server_version < NOT_VALID_PARTITIONED {
        return None;
    }
    let table = if key.is_only { format!("ONLY {}", key.table) } else { key.table.to_string() };
    let name = quote_ident(&key.name);
    let referenced_columns = key.referenced_columns.as_deref().map(list).unwrap_or_default();
    let state = if key.is_enforced { "NOT VALID" } else { "NOT ENFORCED" };
    let add = format!(
        "ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY {} REFERENCES {}{referenced_columns}{} {state};\n{}",
        list(&key.columns),
        key.referenced,
        key.clauses,
        require_harmless(&key, owner)
    );
    let is_checked = key.is_valid && key.is_enforced;
    let validate = is_checked.then(|| format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"));
    Some(ForeignKey { add, validate })
}

fn parse(sql: &str, strings: StandardStrings) -> Result<Parsed, SqlError> {
    let mut parser = Parser::new(sql, "FOREIGN KEY", strings);
    let AddConstraint { table, is_only, name } = AddConstraint::parse(&mut parser)?;
    parser.expect_word("foreign")?;
    parser.expect_word("key")?;
    let columns = parser.ident_list()?;
    parser.expect_word("references")?;
    let referenced = parser.qualified_name()?;
    let referenced_columns = if is_list(&mut parser) { Some(parser.ident_list()?) } else { None };
    let mut clauses = String::new();
    if parser.eat_word("match") {
        parser.expect_word("full")?;
        clauses.push_str(" MATCH FULL");
    }
    while parser.eat_word("on") {
        let event = if parser.eat_word("update") {
            "UPDATE"
        } else {
            parser.expect_word("delete")?;
            "DELETE"
        };
        let _ = write!(clauses, " ON {event} {}", action(&mut parser)?);
    }
    if parser.eat_word("deferrable") {
        clauses.push_str(" DEFERRABLE");
    }
    if parser.eat_word("initially") {
        parser.expect_word("deferred")?;
        clauses.push_str(" INITIALLY DEFERRED");
    }
    let (mut is_valid, mut is_enforced) = (true, true);
    while parser.eat_word("not") {
        if parser.eat_word("enforced") {
            is_enforced = false;
        } else {
            parser.expect_word("valid")?;
            is_valid = false;
        }
    }
    parser.expect_end_of_statement()?;
    Ok(Parsed {
        table,
        is_only,
        name,
        columns,
        referenced,
        referenced_columns,
        clauses,
        is_valid,
        is_enforced,
    })
}

fn is_list(parser: &mut Parser<'_>) -> bool {
    parser.peek().is_some_and(|token| token.kind == TokenKind::Symbol(b'('))
}

fn action(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    for word in ["cascade", "restrict"] {
        if parser.eat_word(word) {
            return Ok(word.to_uppercase());
        }
    }
    if parser.eat_word("no") {
        parser.expect_word("action")?;
        return Ok("NO ACTION".to_owned());
    }
    parser.expect_word("set")?;
    let value = if parser.eat_word("default") {
        "DEFAULT"
    } else {
        parser.expect_word("null")?;
        "NULL"
    };
    let columns = if is_list(parser) { list(&parser.ident_list()?) } else { String::new() };
    Ok(format!("SET {value} {columns}").trim_end().to_owned())
}

/// A query that fails unless the foreign key's table is `owner`'s, the table that it refers to is an extension's, and its
/// columns have types of the system or of extensions, or domains over these. Their casts are not the archive's.
fn require_harmless(key: &Parsed, owner: &str) -> String {
    let (table, name, owner) =
        (quote_literal(&key.table.to_string()), quote_literal(&key.name), quote_literal(owner));
    let fault = format!(
        "foreign key {} of table {} is refused: the server would run casts of types of the backup as a superuser; leave \
         it out, or trust the backup",
        quote_ident(&key.name),
        key.table
    );
    let is_member = |class: &str, oid: &str| {
        format!(
            "EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.{class}'::pg_catalog.regclass \
             AND d.objid = {oid} AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e')"
        )
    };
    // The first number that the server gives to an object of users.
    let of_system = "b.oid < 16384";
    let condition = format!(
        "pg_catalog.pg_get_userbyid(t.relowner) = {owner} AND {extension_table} AND NOT EXISTS \
         (SELECT 1 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid \
         JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN y.typtype = 'd' THEN y.typbasetype ELSE y.oid END \
         WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey) AND NOT ({of_system} OR {extension_type}))",
        extension_table = is_member("pg_class", "c.confrelid"),
        extension_type = is_member("pg_type", "b.oid"),
    );
    format!(
        "{} FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class t ON t.oid = c.conrelid \
         WHERE c.conrelid = {table}::pg_catalog.regclass AND c.conname = {name}",
        require(&condition, &fault)
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn written(sql: &str, server_version: i32) -> Option<(String, Option<String>)> {
        let key = foreign_key(sql, StandardStrings::On, "app", server_version)?;
        let (add, check) = key.add.split_once(";\n").unwrap();
        assert!(check.starts_with("SELECT (CASE WHEN"));
        Some((add.to_owned(), key.validate))
    }

    #[test]
    fn what_pg_dump_writes_is_written_anew() {
        let sql = "ALTER TABLE ONLY s.\"T\"\n    ADD CONSTRAINT f FOREIGN KEY (a, \"b c\") REFERENCES e.p(x, y) MATCH FULL \
                   ON UPDATE CASCADE ON DELETE SET NULL (a) DEFERRABLE INITIALLY DEFERRED;\n";
        let (add, validate) = written(sql, 150_000).unwrap();
        assert_eq!(
            add,
            "ALTER TABLE ONLY s.\"T\" ADD CONSTRAINT f FOREIGN KEY (a, \"b c\") REFERENCES e.p(x, y) MATCH FULL \
             ON UPDATE CASCADE ON DELETE SET NULL (a) DEFERRABLE INITIALLY DEFERRED NOT VALID"
        );
        assert_eq!(validate.as_deref(), Some("ALTER TABLE ONLY s.\"T\" VALIDATE CONSTRAINT f"));
        let not_valid = "ALTER TABLE ONLY t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p NOT VALID;";
        assert_eq!(written(not_valid, 150_000).unwrap().1, None);
        let not_enforced =
            "ALTER TABLE ONLY t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p(a) NOT ENFORCED;";
        let (add, validate) = written(not_enforced, 180_000).unwrap();
        assert!(add.ends_with(" REFERENCES p(a) NOT ENFORCED") && validate.is_none(), "{add}");
    }

    #[test]
    fn other_statements_are_not_written() {
        let partitioned = "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p(a);";
        assert_eq!(written(partitioned, 170_000), None);
        assert!(written(partitioned, 180_000).is_some());
        for sql in [
            "ALTER TABLE ONLY t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p(a); DROP TABLE u;",
            "ALTER TABLE ONLY t ADD CONSTRAINT f FOREIGN KEY (a, PERIOD b) REFERENCES p(a, PERIOD b);",
            "ALTER TABLE ONLY t ADD CONSTRAINT f CHECK (g(a));",
            "ALTER TABLE ONLY t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p(a), ADD CHECK (g(a));",
        ] {
            assert_eq!(written(sql, 150_000), None, "{sql}");
        }
    }
}
