//! Migration histories of other tools: pgmig recognises and shows them, but does not continue them.

use super::error::SchemaError;
use crate::server::TargetError;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use std::fmt;

/// The history that a store has instead of sqlx's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForeignHistory {
    /// The tool that wrote the history.
    pub tool: UnknownHistory,
    /// The schema version in the tool's own words; `None` if the history shows none that pgmig understands.
    pub version: Option<String>,
    /// Whether a migration was left unfinished.
    pub is_dirty: bool,
}

/// The tool whose history a store has instead of sqlx's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownHistory {
    /// The store has no table of a known migration tool.
    Missing,
    /// `flyway_schema_history`.
    Flyway,
    /// `databasechangelog`.
    Liquibase,
    /// `schema_migrations` with a column `dirty`.
    GolangMigrate,
    /// `schema_migrations` without a column `dirty`: Rails, dbmate.
    SchemaMigrations,
    /// `alembic_version`.
    Alembic,
    /// `knex_migrations`.
    Knex,
    /// `__EFMigrationsHistory`.
    EntityFramework,
}

/// The history tables of the tools; their names may be in upper case. Two tools use `schema_migrations`, with
/// different columns.
const TABLES: [(&str, UnknownHistory); 6] = [
    ("flyway_schema_history", UnknownHistory::Flyway),
    ("databasechangelog", UnknownHistory::Liquibase),
    ("schema_migrations", UnknownHistory::SchemaMigrations),
    ("alembic_version", UnknownHistory::Alembic),
    ("knex_migrations", UnknownHistory::Knex),
    ("__EFMigrationsHistory", UnknownHistory::EntityFramework),
];

/// The most rows that are read. Histories are short; of a longer one the last rows may be missing, so that no version
/// is reported.
const MOST_ROWS: usize = 100_000;

impl UnknownHistory {
    /// The tool's word for a step of the history.
    fn step(self) -> &'static str {
        match self {
            Self::Liquibase => "changeset",
            Self::Knex | Self::EntityFramework => "migration",
            Self::Alembic => "revision",
            Self::Missing | Self::Flyway | Self::GolangMigrate | Self::SchemaMigrations => "version",
        }
    }

    /// Recognises the tool by the names of a store's tables. Also returns the table that identified it.
    pub fn recognise<'a>(tables: impl IntoIterator<Item = &'a str>) -> (Self, Option<&'a str>) {
        let known = |table: &'a str| {
            let (_, tool) = TABLES.iter().find(|(name, _)| name.eq_ignore_ascii_case(table))?;
            Some((*tool, Some(table)))
        };
        tables.into_iter().find_map(known).unwrap_or((Self::Missing, None))
    }
}

/// A row of a history. Returns the value of a column by name, regardless of case; `None` for NULL and for a missing
/// column.
pub type HistoryRow<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads a history row by row, in any order.
#[derive(Debug)]
pub struct ForeignReader {
    tool: UnknownHistory,
    rows: usize,
    /// The sort key of the newest row so far, and its version.
    newest: Option<((i64, String), String)>,
    is_dirty: bool,
}

impl ForeignReader {
    /// Reads the history of this tool, in a table with these columns.
    pub fn new<'a>(tool: UnknownHistory, mut columns: impl Iterator<Item = &'a str>) -> Self {
        let tool = match tool {
            UnknownHistory::SchemaMigrations if columns.any(|name| name == "dirty") => {
                UnknownHistory::GolangMigrate
            }
            other => other,
        };
        Self { tool, rows: 0, newest: None, is_dirty: false }
    }

    /// Adds a row.
    pub fn push(&mut self, row: HistoryRow<'_>) {
        self.rows += 1;
        let is = |column: &str, value: &str| row(column).is_some_and(|found| found == value);
        let number = |column: &str| row(column).and_then(|text| text.parse().ok()).unwrap_or(0_i64);
        let (order, version) = match self.tool {
            UnknownHistory::Flyway => {
                self.is_dirty |= is("success", "f");
                // Repeatable migrations have no version.
                (number("installed_rank"), row("version").filter(|_| is("success", "t")))
            }
            UnknownHistory::Liquibase => (number("orderexecuted"), row("id")),
            UnknownHistory::GolangMigrate => {
                self.is_dirty |= is("dirty", "t");
                (number("version"), row("version"))
            }
            UnknownHistory::SchemaMigrations => (0, row("version")),
            UnknownHistory::Alembic => (0, row("version_num")),
            UnknownHistory::Knex => (number("id"), row("name")),
            UnknownHistory::EntityFramework => (0, row("MigrationId")),
            UnknownHistory::Missing => return,
        };
        let Some(version) = version else { return };
        let order = (order, version.clone());
        if self.newest.as_ref().is_none_or(|(newest, _)| *newest < order) {
            self.newest = Some((order, version));
        }
    }

    /// Whether the store has no table of a known migration tool.
    pub fn is_missing(&self) -> bool {
        self.tool == UnknownHistory::Missing
    }

    /// The history that the rows show.
    pub fn finish(self) -> ForeignHistory {
        let version = self.newest.filter(|_| self.rows <= MOST_ROWS).map(|(_, version)| version);
        ForeignHistory { tool: self.tool, version, is_dirty: self.is_dirty }
    }
}

/// Reads the history of another tool in the connected database, if it has one.
pub(crate) async fn foreign_history(connection: &mut PgConnection) -> Result<ForeignHistory, SchemaError> {
    let tables = super::history::tables(connection).await?;
    read(connection, &tables).await
}

/// Reads the history from one of these tables (schema and name) of the connected database.
pub(super) async fn read(
    connection: &mut PgConnection,
    tables: &[(String, String)],
) -> Result<ForeignHistory, SchemaError> {
    let (tool, table) = UnknownHistory::recognise(tables.iter().map(|(_, table)| table.as_str()));
    let found = tables.iter().find(|(_, name)| Some(name.as_str()) == table);
    let Some((schema, table)) = found else {
        return Ok(ForeignReader::new(tool, std::iter::empty()).finish());
    };
    let doing = "read the migration history";
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT a.attname::text FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
    )
    .bind(schema)
    .bind(table)
    .fetch_all(&mut *connection)
    .await
    .map_err(TargetError::doing(doing))?;
    let quote = crate::sql::quote_ident;
    let list: Vec<String> = columns.iter().map(|name| format!("{}::text", quote(name))).collect();
    // A bool then has the same form as in the archive's COPY data.
    let sql = format!(
        "SELECT ARRAY[{}]::text[] FROM {}.{} LIMIT {}",
        list.join(", "),
        quote(schema),
        quote(table),
        MOST_ROWS + 1
    );
    let rows: Vec<Vec<Option<String>>> = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_all(connection)
        .await
        .map_err(TargetError::doing(doing))?;
    let mut reader = ForeignReader::new(tool, columns.iter().map(String::as_str));
    for row in &rows {
        let value = |column: &str| {
            let place = columns.iter().position(|name| name.eq_ignore_ascii_case(column))?;
            row.get(place)?.as_deref().map(as_copied)
        };
        reader.push(&value);
    }
    Ok(reader.finish())
}

/// The cast of a bool to text gives `true`; its form in COPY data is `t`.
fn as_copied(text: &str) -> String {
    match text {
        "true" => "t",
        "false" => "f",
        other => other,
    }
    .to_owned()
}

/// The tool, as the end of `its migration history: ...`.
impl fmt::Display for UnknownHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "none",
            Self::Flyway => "Flyway's (flyway_schema_history)",
            Self::Liquibase => "Liquibase's (databasechangelog)",
            Self::GolangMigrate => "golang-migrate's (schema_migrations)",
            Self::SchemaMigrations => "unknown (schema_migrations, as of Rails or dbmate)",
            Self::Alembic => "unknown (alembic_version, Alembic's)",
            Self::Knex => "unknown (knex_migrations, Knex's)",
            Self::EntityFramework => "unknown (__EFMigrationsHistory, Entity Framework's)",
        })
    }
}

impl fmt::Display for ForeignHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tool.fmt(f)?;
        if let Some(version) = &self.version {
            write!(f, ", at {} {version}", self.tool.step())?;
        }
        if self.is_dirty { f.write_str(", with a migration that was left half way") } else { Ok(()) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(tool: UnknownHistory, columns: &[&str], rows: &[&[Option<&str>]]) -> ForeignHistory {
        let mut reader = ForeignReader::new(tool, columns.iter().copied());
        for row in rows {
            let value = |column: &str| {
                let place = columns.iter().position(|name| *name == column)?;
                row.get(place).copied().flatten().map(str::to_owned)
            };
            reader.push(&value);
        }
        reader.finish()
    }

    #[test]
    fn other_tools_are_recognised_by_their_tables() {
        let kind = |tables: &[&'static str]| UnknownHistory::recognise(tables.iter().copied()).0;
        assert_eq!(kind(&["tenant", "flyway_schema_history"]), UnknownHistory::Flyway);
        assert_eq!(kind(&["databasechangeloglock", "databasechangelog"]), UnknownHistory::Liquibase);
        assert_eq!(kind(&["schema_migrations"]), UnknownHistory::SchemaMigrations);
        assert_eq!(kind(&["tenant"]), UnknownHistory::Missing);
        // Liquibase can be configured to quote its names.
        assert_eq!(kind(&["DATABASECHANGELOG"]), UnknownHistory::Liquibase);
    }

    #[test]
    fn the_newest_version_is_found_in_any_order() {
        let columns = ["installed_rank", "version", "success"];
        let rows: [&[Option<&str>]; 4] = [
            &[Some("10"), Some("3.1"), Some("t")],
            &[Some("9"), Some("3.0"), Some("t")],
            &[Some("11"), None, Some("t")],
            &[Some("12"), Some("4"), Some("f")],
        ];
        let history = read(UnknownHistory::Flyway, &columns, &rows);
        assert_eq!((history.version.as_deref(), history.is_dirty), (Some("3.1"), true));
        let rows: [&[Option<&str>]; 2] = [&[Some("b"), Some("2")], &[Some("a"), Some("10")]];
        let history = read(UnknownHistory::Liquibase, &["id", "orderexecuted"], &rows);
        assert_eq!(history.version.as_deref(), Some("a"));
    }

    #[test]
    fn golang_migrate_is_told_by_its_column() {
        let history =
            read(UnknownHistory::SchemaMigrations, &["version", "dirty"], &[&[Some("7"), Some("t")]]);
        let text = history.to_string();
        assert!(
            text.contains("golang-migrate's") && text.contains("version 7") && text.contains("half way"),
            "{text}"
        );
        let rows: [&[Option<&str>]; 2] = [&[Some("20240101")], &[Some("20230101")]];
        let history = read(UnknownHistory::SchemaMigrations, &["version"], &rows);
        assert_eq!(
            (history.tool, history.version.as_deref()),
            (UnknownHistory::SchemaMigrations, Some("20240101"))
        );
    }
}
