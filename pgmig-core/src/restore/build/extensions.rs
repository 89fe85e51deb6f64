//! Creates the extensions that a superuser creates for an untrusted archive. They come before any object of the
//! archive.

use super::Build;
use crate::error::Result;
use crate::restore::error::RestoreError;
use crate::restore::executor::Executor;
use crate::restore::journal::Journal;
use crate::restore::plan::RunAs;
use crate::restore::plan::untrusted::PlannedExtension;
use crate::server::session::Session;
use crate::sql::{quote_ident, quote_literal};

/// Finds objects in a schema that do not belong to a superuser.
const OF_OTHERS: &str = "\
    SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace n JOIN ( \
        SELECT relnamespace AS nsp, relowner AS owner FROM pg_catalog.pg_class \
        UNION ALL SELECT pronamespace, proowner FROM pg_catalog.pg_proc \
        UNION ALL SELECT typnamespace, typowner FROM pg_catalog.pg_type \
        UNION ALL SELECT oprnamespace, oprowner FROM pg_catalog.pg_operator) o ON o.nsp = n.oid \
    JOIN pg_catalog.pg_roles r ON r.oid = o.owner AND NOT r.rolsuper WHERE n.nspname = ";

impl Build {
    /// Creates the planned extensions, and the archive's schemas that contain them.
    pub(super) async fn make_extensions(&self, executor: &mut Executor, journal: &mut Journal) -> Result<()> {
        let plan = &self.known.plan;
        let owner = quote_ident(self.config.username());
        let Some(superuser) = executor.superuser() else { return Ok(()) };
        for schema in &plan.extension_schemas {
            let sql = format!("CREATE SCHEMA {} AUTHORIZATION {owner}", quote_ident(schema));
            superuser.get().await?.execute(&sql, "create the schema of an extension").await?;
        }
        for extension in &plan.extensions {
            let made = self.make_extension(executor, extension).await;
            let name = quote_ident(&extension.name);
            match made {
                Ok(()) if extension.is_extra => journal.notice(format!(
                    "extension {name}, which the target has and the archive does not, was created again"
                )),
                Err(error) if extension.is_extra => journal.warn(format!(
                    "the target has the extension {name}, which the archive does not have: {error}"
                )),
                made => made?,
            }
        }
        Ok(())
    }

    async fn make_extension(&self, executor: &mut Executor, extension: &PlannedExtension) -> Result<()> {
        let doing = format!("create EXTENSION {}", quote_ident(&extension.name));
        if !extension.as_superuser {
            executor.become_role(&RunAs::Owner).await?;
            return Ok(executor.session.execute(&extension.create(), &doing).await.map(drop)?);
        }
        let Some(superuser) = executor.superuser() else { return Ok(()) };
        let session = superuser.get().await?;
        session.begin(&doing).await?;
        let made = as_superuser(session, extension, &doing).await;
        session.end(made, &doing).await
    }
}

async fn as_superuser(session: &mut Session, extension: &PlannedExtension, doing: &str) -> Result<()> {
    if let Some(schema) = &extension.schema {
        if extension.is_extra {
            let sql = format!("CREATE SCHEMA IF NOT EXISTS {}", quote_ident(schema));
            session.execute(&sql, doing).await?;
        }
        if session.holds(&format!("{OF_OTHERS}{})", quote_literal(schema)), doing).await? {
            let (extension, schema) = (quote_ident(&extension.name), quote_ident(schema));
            return Err(RestoreError::ExtensionSchema { extension, schema }.into());
        }
    }
    session.execute(&extension.create(), doing).await?;
    Ok(())
}
