//! A target that does not exist yet: an empty database, created for a restore and dropped again if that fails.

use super::preflight::open_control;
use super::prepared::application_name;
use crate::error::Result;
use crate::server::catalog::database_facts;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::{quote_ident, quote_literal};

/// Everything that is not of the system has such an OID.
const IS_EMPTY: &str = "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid >= 16384) \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)";

/// An empty database that pgmig has created.
#[derive(Debug)]
pub struct NewDatabase {
    config: TargetConfig,
    oid: u32,
}

impl NewDatabase {
    /// Creates the target, owned by `username`, unless it exists; then returns `None`. `encoding` is that of the backup.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or `su_username` may not create the database.
    pub async fn create_if_missing(config: &TargetConfig, encoding: Option<&str>) -> Result<Option<Self>> {
        let (mut control, _) = open_control(config, &application(config)).await?;
        if database_facts(&mut control, config.database()).await?.is_some() {
            control.close().await;
            return Ok(None);
        }
        let database = quote_ident(config.database());
        let mut sql =
            format!("CREATE DATABASE {database} OWNER {} TEMPLATE template0", quote_ident(config.username()));
        if let Some(encoding) = encoding {
            sql += &format!(" ENCODING {}", quote_literal(encoding));
        }
        control.execute(&sql, &format!("create database {database}")).await?;
        let facts = database_facts(&mut control, config.database()).await?;
        control.close().await;
        let missing = || TargetError::UnknownDatabase {
            server: config.server(),
            database: config.database().to_owned(),
        };
        let oid = facts.ok_or_else(missing)?.oid;
        Ok(Some(Self { config: config.clone(), oid }))
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        self.config.database()
    }

    /// Drops the database if it is still the one that was created, and empty: for a restore that did not happen. Returns
    /// whether it was dropped.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or does not drop the database.
    pub async fn drop_unused(self) -> Result<bool> {
        let (database, name) = (self.config.database(), application(&self.config));
        let mut inside = Session::open(&self.config, database, &name).await?;
        let is_empty = inside.holds(IS_EMPTY, "look whether the new database is empty").await?;
        inside.close().await;
        let (mut control, _) = open_control(&self.config, &name).await?;
        let found = database_facts(&mut control, database).await?;
        let is_ours = is_empty && found.is_some_and(|facts| facts.oid == self.oid);
        if is_ours {
            let database = quote_ident(self.config.database());
            control
                .execute(&format!("DROP DATABASE {database}"), &format!("drop database {database}"))
                .await?;
        }
        control.close().await;
        Ok(is_ours)
    }
}

fn application(config: &TargetConfig) -> String {
    application_name(config.application_name().unwrap_or("pgmig"), &uuid::Uuid::new_v4().simple().to_string())
}
