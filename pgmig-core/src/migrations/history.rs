//! The migrations that were applied to a store: rows of `_sqlx_migrations`, from the database or from an archive.

use super::error::SchemaError;
use super::foreign::{self, ForeignHistory};
use crate::profile::Profile;
use crate::server::TargetError;
use sqlx::postgres::PgConnection;

/// A migration that was applied to a store, from its history.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedMigration {
    /// The migration's version.
    pub version: i64,
    /// Its description.
    pub description: String,
    /// False while the migration runs, and after it failed half way.
    pub success: bool,
    /// sqlx's checksum of the migration's text.
    pub checksum: Vec<u8>,
}

/// The migration history of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum History {
    /// The database is empty: there is no store yet.
    None,
    /// sqlx's history, oldest first; every migration is finished.
    Known(Vec<AppliedMigration>),
    /// There is a store, but no history that pgmig can read.
    Unknown(ForeignHistory),
}

impl AppliedMigration {
    /// Parses a row of COPY data. `field` returns the value of a column by name, `None` for NULL, with COPY's escapes
    /// already removed.
    ///
    /// # Errors
    ///
    /// [`SchemaError::HistoryRow`] for a column that is missing, or does not have sqlx's form.
    ///
    /// ```
    /// # use pgmig_core::migrations::AppliedMigration;
    /// let row = AppliedMigration::from_fields(|column| match column {
    ///     "version" => Some(b"1"),
    ///     "description" => Some(b"tenants"),
    ///     "success" => Some(b"t"),
    ///     "checksum" => Some(b"\\x00ff"),
    ///     _ => None,
    /// })?;
    /// assert_eq!((row.version, row.checksum), (1, vec![0, 255]));
    /// # Ok::<(), pgmig_core::migrations::SchemaError>(())
    /// ```
    pub fn from_fields<'a>(field: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, SchemaError> {
        let text = |column| field(column).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let bad = |column, row: &str| SchemaError::HistoryRow { column, row: row.to_owned() };
        let version: i64 =
            text("version").and_then(|text| text.parse().ok()).ok_or_else(|| bad("version", "a row"))?;
        let row = format!("migration {version}");
        Ok(Self {
            version,
            description: text("description").ok_or_else(|| bad("description", &row))?.to_owned(),
            // INSERT statements have `true` and `false`.
            success: match text("success") {
                Some("t" | "true") => true,
                Some("f" | "false") => false,
                _ => return Err(bad("success", &row)),
            },
            checksum: text("checksum").and_then(bytea_hex).ok_or_else(|| bad("checksum", &row))?,
        })
    }
}

impl History {
    /// Checks the rows of a history table, which may be in any order.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Dirty`] if a migration is not finished.
    pub fn from_applied(mut applied: Vec<AppliedMigration>) -> Result<Self, SchemaError> {
        applied.sort_by_key(|migration| migration.version);
        match applied.iter().find(|migration| !migration.success) {
            Some(dirty) => {
                Err(SchemaError::Dirty { version: dirty.version, description: dirty.description.clone() })
            }
            None => Ok(Self::Known(applied)),
        }
    }

    /// Reads the history of the connected database. A database without tables (except those of extensions) has none.
    ///
    /// # Errors
    ///
    /// The server refuses a statement, or a migration is unfinished.
    pub async fn read(connection: &mut PgConnection, profile: &Profile) -> Result<Self, SchemaError> {
        match find(connection, profile).await? {
            Found::NoTables => Ok(Self::None),
            Found::Unknown(unknown) => Ok(Self::Unknown(unknown)),
            Found::Rows(applied) => Self::from_applied(applied),
        }
    }

    /// The newest version that was applied to the store.
    pub fn newest(&self) -> Option<i64> {
        match self {
            Self::Known(applied) => applied.last().map(|migration| migration.version),
            _ => None,
        }
    }
}

/// The newest migration that the store of the connected database has finished; `None` if there is none. Unlike
/// [`History::read`], it accepts an unfinished migration.
pub(crate) async fn newest_finished(
    connection: &mut PgConnection,
    profile: &Profile,
) -> Result<Option<i64>, SchemaError> {
    match find(connection, profile).await? {
        Found::Rows(applied) => Ok(newest_of(&applied)),
        Found::NoTables | Found::Unknown(_) => Ok(None),
    }
}

fn newest_of(applied: &[AppliedMigration]) -> Option<i64> {
    applied.iter().filter(|migration| migration.success).map(|migration| migration.version).max()
}

/// The history that a database shows.
enum Found {
    NoTables,
    Unknown(ForeignHistory),
    /// The rows of the profile's history table, in any order, finished or not.
    Rows(Vec<AppliedMigration>),
}

/// Schema and name of each table of the connected database, except those of extensions.
pub(super) async fn tables(connection: &mut PgConnection) -> Result<Vec<(String, String)>, TargetError> {
    sqlx::query_as(
        "SELECT n.nspname::text, c.relname::text
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
           AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_depend d
               WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
           )",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(TargetError::doing("list the tables"))
}

async fn find(connection: &mut PgConnection, profile: &Profile) -> Result<Found, SchemaError> {
    let tables = tables(connection).await?;
    if tables.is_empty() {
        return Ok(Found::NoTables);
    }
    let own =
        |(schema, table): &(String, String)| schema == profile.schema() && table == profile.history_table();
    if !tables.iter().any(own) {
        return Ok(Found::Unknown(foreign::read(connection, &tables).await?));
    }
    Ok(Found::Rows(read_rows(connection, profile).await?))
}

async fn read_rows(
    connection: &mut PgConnection,
    profile: &Profile,
) -> Result<Vec<AppliedMigration>, SchemaError> {
    let table = qualified(connection, profile).await?;
    let sql = format!("SELECT version, description, success, checksum FROM {table}");
    let rows: Vec<(i64, String, bool, Vec<u8>)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .fetch_all(connection)
        .await
        .map_err(TargetError::doing("read the migration history"))?;
    let applied = |(version, description, success, checksum)| AppliedMigration {
        version,
        description,
        success,
        checksum,
    };
    Ok(rows.into_iter().map(applied).collect())
}

/// The history table's name as SQL, quoted by the server.
pub(super) async fn qualified(
    connection: &mut PgConnection,
    profile: &Profile,
) -> Result<String, TargetError> {
    sqlx::query_scalar("SELECT pg_catalog.format('%I.%I', $1::text, $2::text)")
        .bind(profile.schema())
        .bind(profile.history_table())
        .fetch_one(connection)
        .await
        .map_err(TargetError::doing("name the migration history"))
}

/// Parses bytea in hex form, which pg_dump always writes.
fn bytea_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.strip_prefix("\\x")?.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn row<'a>(
        version: &'a str,
        success: &'a str,
        checksum: &'a str,
    ) -> Result<AppliedMigration, SchemaError> {
        AppliedMigration::from_fields(|column| match column {
            "version" => Some(version.as_bytes()),
            "description" => Some(b"some words"),
            "success" => Some(success.as_bytes()),
            "checksum" => Some(checksum.as_bytes()),
            _ => None,
        })
    }

    #[test]
    fn rows_are_sorted() {
        let rows = vec![row("2", "t", "\\x0AfF").unwrap(), row("1", "t", "\\x").unwrap()];
        let history = History::from_applied(rows).unwrap();
        assert_eq!(history.newest(), Some(2));
        let History::Known(applied) = history else { panic!("known") };
        assert_eq!((applied[0].version, applied[1].checksum.as_slice()), (1, [10, 255].as_slice()));
    }

    #[test]
    fn bad_rows_name_the_column() {
        let message = |result: Result<AppliedMigration, SchemaError>| result.unwrap_err().to_string();
        assert!(message(row("x", "t", "\\x")).contains("column version of a row"));
        assert!(message(row("7", "yes", "\\x")).contains("column success of migration 7"));
        for checksum in ["", "00", "\\x0", "\\x0g", "\\xé"] {
            assert!(message(row("7", "t", checksum)).contains("column checksum"), "{checksum}");
        }
    }

    #[test]
    fn the_newest_finished_migration_is_found_in_any_order() {
        let rows = ["5", "7", "6"]
            .map(|version| row(version, if version == "7" { "f" } else { "t" }, "\\x").unwrap());
        assert_eq!(newest_of(&rows), Some(6));
        assert_eq!(newest_of(&rows[1..2]), None);
        assert_eq!(newest_of(&[]), None);
    }

    #[test]
    fn an_unfinished_migration_is_refused() {
        let error = History::from_applied(vec![row("3", "f", "\\x").unwrap()]).unwrap_err();
        assert!(error.to_string().contains("migration 3 (some words) was left half way"), "{error}");
    }
}
