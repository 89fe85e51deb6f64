//! Saves and restores a session's settings, so that the settings of one migration do not affect the next.

use crate::server::TargetError;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

/// The settings of a session: its role, and each setting that it has changed, with the value.
#[derive(Debug)]
pub(super) struct Settings {
    role: String,
    changed: Vec<(String, String)>,
}

impl Settings {
    /// The present settings. They do not include `SET LOCAL`, or settings that no loaded library defines (`app.x`).
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Self, TargetError> {
        let role = sqlx::query_scalar("SELECT pg_catalog.current_setting('role')")
            .fetch_one(&mut *connection)
            .await
            .map_err(TargetError::doing("read the session's role"))?;
        let changed = sqlx::query_as(
            "SELECT name, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings
             WHERE source = 'session' AND name !~ '^transaction_'",
        )
        .fetch_all(connection)
        .await
        .map_err(TargetError::doing("read the session's settings"))?;
        Ok(Self { role, changed })
    }

    /// Restores the settings that were changed since.
    pub(super) async fn set_back(&self, connection: &mut PgConnection) -> Result<(), TargetError> {
        let doing = "put the session's settings back";
        let now = Self::of(connection).await?;
        for (name, _) in
            now.changed.iter().filter(|(name, _)| !self.changed.iter().any(|(own, _)| own == name))
        {
            let sql = AssertSqlSafe(format!("RESET {}", crate::sql::quote_ident(name)));
            sqlx::raw_sql(sql).execute(&mut *connection).await.map_err(TargetError::doing(doing))?;
        }
        let role = ("role".to_owned(), self.role.clone());
        let role = (now.role != self.role).then_some(&role);
        for (name, value) in self.changed.iter().filter(|own| !now.changed.contains(own)).chain(role) {
            sqlx::query("SELECT pg_catalog.set_config($1, $2, false)")
                .bind(name)
                .bind(value)
                .execute(&mut *connection)
                .await
                .map_err(TargetError::doing(doing))?;
        }
        Ok(())
    }
}
