//! Migrations in a transaction that is already open: refuses statements that cannot run there, and adapts others.

use super::error::SchemaError;
use super::plan::UpgradePlan;
use super::run::{SplitStatements, split};
use super::set::MigrationFile;
use crate::migrations::statement_lines::PlacedStatement;
use crate::migrations::transaction_block::Words;
use crate::server::TargetError;
use crate::sql::{Parser, StandardStrings, TokenKind, decode_literal};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use std::borrow::Cow;

/// From this server version on, a new value of an enum type can be used in the transaction that added it.
const NEW_VALUES_AT_ONCE: i32 = 170_000;

/// Checks that all migrations of a plan can be applied in one transaction of the caller.
///
/// # Errors
///
/// [`SchemaError::Split`]; [`SchemaError::NeedsOwnTransaction`] for the first statement that cannot run in it.
pub fn check_in_one_transaction(
    plan: &UpgradePlan,
    splitter: SplitStatements,
    server_version: i32,
) -> Result<(), SchemaError> {
    let mut added: Vec<NewValue<'_>> = Vec::new();
    for file in plan.migrations() {
        for statement in split(file, splitter)? {
            if let Some(why) = why_alone(statement) {
                return Err(alone(file, statement.line, &statement.excerpt(), why));
            }
            let words = Words::of(statement.sql);
            if server_version < NEW_VALUES_AT_ONCE {
                if let Some(new) = added.iter().find(|new| words.mention(&new.value)) {
                    let what = format!("ALTER TYPE ... ADD VALUE '{}'", new.value);
                    return Err(alone(new.file, new.line, &what, IS_USED));
                }
                added.extend(words.new_value().map(|value| NewValue { file, line: statement.line, value }));
            }
        }
    }
    Ok(())
}

const IS_USED: &str =
    "a later statement may use the new value, which takes a commit in between before PostgreSQL 17";

/// A value that a migration adds to an enum type.
struct NewValue<'a> {
    file: &'a MigrationFile,
    line: usize,
    value: String,
}

fn alone(file: &MigrationFile, line: usize, statement: &str, why: &'static str) -> SchemaError {
    let statement = statement.to_owned();
    SchemaError::NeedsOwnTransaction { file: file.name().to_owned(), line: Some(line), statement, why }
}

/// Why the statement cannot run in a transaction with others; `None` if nothing says so.
pub(super) fn why_alone(statement: PlacedStatement<'_>) -> Option<&'static str> {
    if statement.transaction_control().is_some() {
        return Some("it is transaction control");
    }
    Words::of(statement.sql).why_alone()
}

/// The statement without CONCURRENTLY, if it creates, drops or rebuilds an index. No other session sees the tables,
/// so CONCURRENTLY is not needed.
pub(super) fn without_concurrently(sql: &str) -> Cow<'_, str> {
    let words = Words::of(sql);
    let is_of_index = words.begin(&["create", "index"])
        || words.begin(&["create", "unique", "index"])
        || words.begin(&["drop", "index"])
        || words.begin(&["reindex"]);
    let Some(token) = words.tokens.iter().find(|token| words.is(token, "concurrently")) else {
        return sql.into();
    };
    // The keyword comes before the name. After an opening parenthesis, except REINDEX's own, it is a different word.
    let before = words.tokens.iter().take_while(|other| other.span.start < token.span.start);
    let parentheses = before.filter(|token| token.kind == TokenKind::Symbol(b'(')).count();
    let is_option = words.begin(&["reindex"]) && parentheses == 1;
    if !is_of_index || parentheses > usize::from(is_option) {
        return sql.into();
    }
    let (head, tail) =
        (sql.get(..token.span.start).unwrap_or_default(), sql.get(token.span.end..).unwrap_or_default());
    // In REINDEX (CONCURRENTLY) it is in the list of options, which must not become empty.
    let instead = if is_option { "CONCURRENTLY false" } else { "" };
    format!("{head}{instead}{tail}").into()
}

/// Remains of a migration that the end of its transaction would remove: settings of `SET LOCAL`, and temporary tables
/// with ON COMMIT DROP.
#[derive(Debug)]
#[must_use = "the next migration finds it until remove()"]
pub(super) struct LeftBehind {
    /// The settings with their previous values.
    settings: Vec<(String, String)>,
    /// The tables' names as SQL.
    tables: Vec<String>,
}

impl LeftBehind {
    /// Finds the remains in the statements, and reads the settings' values.
    pub(super) async fn of(
        connection: &mut PgConnection,
        statements: &[PlacedStatement<'_>],
    ) -> Result<Self, TargetError> {
        let mut settings = Vec::new();
        for name in statements.iter().filter_map(|statement| local_setting(statement.sql)) {
            let value: Option<String> = sqlx::query_scalar("SELECT pg_catalog.current_setting($1, true)")
                .bind(&name)
                .fetch_one(&mut *connection)
                .await
                .map_err(TargetError::doing("read a setting"))?;
            settings.push((name, value.unwrap_or_default()));
        }
        let tables = statements.iter().filter_map(|statement| dropped_on_commit(statement.sql)).collect();
        Ok(Self { settings, tables })
    }

    /// Removes the remains, as the end of the transaction would.
    pub(super) async fn remove(self, connection: &mut PgConnection) -> Result<(), TargetError> {
        let doing = "end what holds for a transaction only";
        for (name, value) in self.settings {
            let sql = sqlx::query("SELECT pg_catalog.set_config($1, $2, true)").bind(name).bind(value);
            sql.execute(&mut *connection).await.map_err(TargetError::doing(doing))?;
        }
        for table in self.tables {
            let sql = AssertSqlSafe(format!("DROP TABLE IF EXISTS pg_temp.{table} CASCADE"));
            sqlx::raw_sql(sql).execute(&mut *connection).await.map_err(TargetError::doing(doing))?;
        }
        Ok(())
    }
}

/// The setting that `SET LOCAL` changes.
fn local_setting(sql: &str) -> Option<String> {
    let mut parser = Parser::new(sql, "SET", StandardStrings::On);
    if !(parser.eat_word("set") && parser.eat_word("local")) {
        return None;
    }
    let name = parser.qualified_name().ok()?;
    Some(match (name.schema, name.name.as_str()) {
        (Some(prefix), name) => format!("{prefix}.{name}"),
        (None, "time") => "timezone".to_owned(),
        (None, "session") => "session_authorization".to_owned(),
        (None, "schema") => "search_path".to_owned(),
        (None, "names") => "client_encoding".to_owned(),
        (None, name) => name.to_owned(),
    })
}

/// The temporary table of a statement with ON COMMIT DROP, as SQL.
fn dropped_on_commit(sql: &str) -> Option<String> {
    let words = Words::of(sql);
    let is_dropped = words.tokens.windows(3).any(|three| match three {
        [on, commit, drop] => words.is(on, "on") && words.is(commit, "commit") && words.is(drop, "drop"),
        _ => false,
    });
    let mut parser = Parser::new(sql, "CREATE TABLE", StandardStrings::On);
    if !is_dropped || !parser.eat_word("create") {
        return None;
    }
    let _ = parser.eat_word("local") || parser.eat_word("global");
    if !(parser.eat_word("temporary") || parser.eat_word("temp")) || !parser.eat_word("table") {
        return None;
    }
    let _ = parser.eat_word("if") && parser.eat_word("not") && parser.eat_word("exists");
    Some(crate::sql::quote_ident(&parser.qualified_name().ok()?.name))
}

impl Words<'_> {
    /// The value in `ALTER TYPE ... ADD VALUE 'value'`.
    fn new_value(&self) -> Option<String> {
        if !self.begin(&["alter", "type"]) {
            return None;
        }
        let value = self.tokens.windows(2).position(|pair| match pair {
            [add, value] => self.is(add, "add") && self.is(value, "value"),
            _ => false,
        })?;
        let mut after = self.tokens.iter().skip(value);
        let literal = after.find(|token| matches!(token.kind, TokenKind::String(_)))?;
        decode_literal(self.sql(), literal).map(Cow::into_owned)
    }

    /// Whether a string constant equals this value, or contains it as a literal (in the body of a function).
    fn mention(&self, value: &str) -> bool {
        let quoted = crate::sql::quote_literal(value);
        self.tokens.iter().filter(|token| matches!(token.kind, TokenKind::String(_))).any(|token| {
            decode_literal(self.sql(), token).is_some_and(|text| text == value || text.contains(&quoted))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_made_without_concurrently() {
        for (sql, expected) in [
            ("CREATE INDEX CONCURRENTLY i ON t (a)", "CREATE INDEX  i ON t (a)"),
            (
                "create unique index concurrently if not exists i on t (a);",
                "create unique index  if not exists i on t (a);",
            ),
            ("DROP INDEX CONCURRENTLY i", "DROP INDEX  i"),
            ("REINDEX TABLE CONCURRENTLY t", "REINDEX TABLE  t"),
            ("REINDEX (VERBOSE, CONCURRENTLY) INDEX i", "REINDEX (VERBOSE, CONCURRENTLY false) INDEX i"),
        ] {
            assert_eq!(without_concurrently(sql), expected);
        }
        for same in [
            "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
            "CREATE INDEX i ON t (concurrently)",
            "CREATE INDEX \"concurrently\" ON t (a)",
            "CREATE TABLE concurrently (a int)",
            "SELECT 'CONCURRENTLY'",
        ] {
            assert_eq!(without_concurrently(same), same);
        }
    }

    #[test]
    fn transaction_control_needs_its_own_transaction() {
        let why = |sql| why_alone(PlacedStatement { sql, line: 1 });
        assert!(why("COMMIT").is_some());
        assert!(why("COMMIT PREPARED 'x'").is_some());
        assert!(why("VACUUM t").is_some());
        assert!(why("SAVEPOINT s").is_none());
    }

    #[test]
    fn what_ends_with_a_transaction_is_found() {
        for (sql, setting) in [
            ("SET LOCAL search_path = x", Some("search_path")),
            ("set local Work_Mem to '1GB'", Some("work_mem")),
            ("SET LOCAL TIME ZONE 'UTC'", Some("timezone")),
            ("SET LOCAL app.tenant = 'x'", Some("app.tenant")),
            ("SET LOCAL ROLE x", Some("role")),
            ("SET search_path = x", None),
        ] {
            assert_eq!(local_setting(sql).as_deref(), setting, "{sql}");
        }
        for (sql, table) in [
            ("CREATE TEMP TABLE moved ON COMMIT DROP AS SELECT 1", Some("moved")),
            ("CREATE TEMPORARY TABLE IF NOT EXISTS \"M v\" (a int) ON COMMIT DROP;", Some("\"M v\"")),
            ("CREATE TEMP TABLE stays (a int)", None),
            ("CREATE TABLE t (a int)", None),
        ] {
            assert_eq!(dropped_on_commit(sql).as_deref(), table, "{sql}");
        }
    }

    #[test]
    fn new_values_of_enum_types_are_found_where_they_are_used() {
        let words = Words::of("ALTER TYPE s.mood ADD VALUE IF NOT EXISTS 'it''s fine' BEFORE 'sad'");
        let value = words.new_value().unwrap();
        assert_eq!(value, "it's fine");
        assert!(Words::of("UPDATE t SET mood = 'it''s fine'").mention(&value));
        assert!(
            Words::of("CREATE FUNCTION f() RETURNS text AS $$ SELECT 'it''s fine' $$ LANGUAGE sql")
                .mention(&value)
        );
        assert!(!Words::of("UPDATE t SET mood = 'it''s fine, too'").mention(&value));
        assert!(Words::of("ALTER TYPE t RENAME VALUE 'a' TO 'b'").new_value().is_none());
    }
}
