//! Creates a target database that does not exist, and removes it if nothing was restored into it.

use crate::error::Result;
use crate::restore::preflight::open_control;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::{quote_ident, quote_literal};

const DOING: &str = "create the target database";

/// A target database that [`create_target`] has created.
#[derive(Debug)]
#[must_use]
pub struct NewTarget {
    config: TargetConfig,
    oid: String,
}

/// Creates the target database for `username`, with the server's default properties. `None` if it exists.
///
/// # Errors
///
/// The server cannot be reached, or `su_username` may not create databases.
pub async fn create_target(config: &TargetConfig, application: &str) -> Result<Option<NewTarget>> {
    match Session::open(config, config.database(), application).await {
        Err(TargetError::UnknownDatabase { .. }) => {}
        Err(error) => return Err(error.into()),
        Ok(session) => {
            session.close().await;
            return Ok(None);
        }
    }
    let (mut control, _) = open_control(config, application).await?;
    let (name, owner) = (quote_ident(config.database()), quote_ident(config.username()));
    control.execute(&format!("CREATE DATABASE {name} OWNER {owner}"), DOING).await?;
    let oid = control.value(&oid_of(config.database()), DOING).await?;
    control.close().await;
    Ok(Some(NewTarget { config: config.clone(), oid }))
}

impl NewTarget {
    /// The name of the database.
    pub fn name(&self) -> &str {
        self.config.database()
    }

    /// Removes the database if it is still the one that was created, and empty. Returns whether it was removed.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or another session uses the database.
    pub async fn remove(self, application: &str) -> Result<bool> {
        let Self { config, oid } = self;
        let mut inside = Session::open(&config, config.database(), application).await?;
        // Everything that is not of the system has such an OID.
        let own = "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid >= 16384) \
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)";
        let is_empty = inside.holds(own, "look whether the new database is empty").await?;
        inside.close().await;
        let (mut control, _) = open_control(&config, application).await?;
        let is_same = control.optional(&oid_of(config.database()), DOING).await? == Some(oid);
        let removes = is_empty && is_same;
        if removes {
            let drop = format!("DROP DATABASE {}", quote_ident(config.database()));
            control.execute(&drop, "remove the new database").await?;
        }
        control.close().await;
        Ok(removes)
    }
}

fn oid_of(database: &str) -> String {
    format!("SELECT oid FROM pg_catalog.pg_database WHERE datname = {}", quote_literal(database))
}
