//! Creates the extensions that come before any object of the archive: those that a superuser creates for an untrusted
//! archive, and those that only the target has.

use super::Build;
use crate::error::Result;
use crate::progress::NoticeCode;
use crate::restore::error::RestoreError;
use crate::restore::executor::Executor;
use crate::restore::journal::Journal;
use crate::restore::plan::RunAs;
use crate::restore::plan::extensions::ReplacedRows;
use crate::restore::plan::untrusted::PlannedExtension;
use crate::restore::record::Unit;
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
    /// Creates the planned extensions, and the schemas that contain them.
    pub(super) async fn make_extensions(&self, executor: &mut Executor, journal: &mut Journal) -> Result<()> {
        let plan = &self.known.plan;
        let doing = "create the schema of an extension";
        let owner = quote_ident(self.config.username());
        for schema in &plan.extension_schemas {
            let unit = Unit::StepOf("schema of extension", schema);
            if executor.record.has(unit) {
                continue;
            }
            let sql = format!("CREATE SCHEMA {} AUTHORIZATION {owner}", quote_ident(schema));
            let sql = executor.record.noted(&sql, unit, "");
            self.extensions_session(executor).await?.execute(&sql, doing).await?;
        }
        for schema in &plan.extra_schemas {
            let unit = Unit::StepOf("schema of extra extension", &schema.name);
            if executor.record.has(unit) {
                continue;
            }
            let mut statements = schema.statements(self.known.facts.is_superuser);
            statements.extend(executor.record.note([(unit, String::new())]));
            let session = self.extensions_session(executor).await?;
            session.begin(doing).await?;
            let made = run_all(session, &statements, doing).await;
            // The extension then fails, too, with a warning.
            let _ = session.end(made, doing).await;
        }
        for extension in &plan.extensions {
            let made = self.make_extension(executor, extension).await;
            let name = quote_ident(&extension.name);
            match made {
                Ok(()) if extension.is_extra => journal.notice(
                    NoticeCode::ExtensionCreatedAgain,
                    format!(
                        "extension {name}, which the target has and the archive does not, was created again"
                    ),
                ),
                Err(error) if extension.is_extra => journal.warn(
                    NoticeCode::ExtensionNotCreated,
                    format!("the target has the extension {name}, which the archive does not have: {error}"),
                ),
                made => made?,
            }
        }
        Ok(())
    }

    /// The session that creates schemas of extensions: a superuser's if there is one, else that of `username`.
    async fn extensions_session<'e>(&self, executor: &'e mut Executor) -> Result<&'e mut Session> {
        if self.known.facts.is_superuser {
            return Ok(executor.superusers().await?);
        }
        executor.become_role(&RunAs::Owner).await?;
        Ok(&mut executor.session)
    }

    async fn make_extension(&self, executor: &mut Executor, extension: &PlannedExtension) -> Result<()> {
        let doing = format!("create EXTENSION {}", quote_ident(&extension.name));
        let unit = Unit::StepOf("extension", &extension.name);
        if executor.record.has(unit) {
            return Ok(());
        }
        let note = executor.record.note([(unit, String::new())]);
        let session = if extension.as_superuser && self.known.facts.is_superuser {
            executor.superusers().await?
        } else {
            executor.become_role(&RunAs::Owner).await?;
            &mut executor.session
        };
        session.begin(&doing).await?;
        let mut made = create(session, extension, &doing).await;
        if let (Ok(()), Some(note)) = (&made, note) {
            made = session.execute(&note, &doing).await.map(drop).map_err(Into::into);
        }
        session.end(made, &doing).await
    }

    /// Deletes the rows of extensions that give way to rows of the archive. Rows that refer to others come first.
    pub(super) async fn delete_replaced_rows(&self, executor: &mut Executor) -> Result<()> {
        let run_as = if self.known.facts.is_superuser { &RunAs::Superuser } else { &RunAs::Owner };
        for (number, ReplacedRows { table, condition }) in
            self.known.plan.replaced_rows.iter().enumerate().rev()
        {
            let number = number.to_string();
            let unit = Unit::StepOf("delete rows", &number);
            if executor.record.has(unit) {
                continue;
            }
            executor.become_role(run_as).await?;
            let sql =
                format!("DELETE FROM ONLY {table} WHERE ctid IN (SELECT ctid FROM ONLY {table} {condition})");
            let sql = executor.record.noted(&sql, unit, "");
            executor
                .session
                .execute(&sql, &format!("delete the rows of {table} that the archive has"))
                .await?;
        }
        Ok(())
    }
}

async fn run_all(session: &mut Session, statements: &[String], doing: &str) -> Result<()> {
    for sql in statements {
        session.execute(sql, doing).await?;
    }
    Ok(())
}

async fn create(session: &mut Session, extension: &PlannedExtension, doing: &str) -> Result<()> {
    if let Some(schema) = extension.schema.as_ref().filter(|_| extension.as_superuser)
        && session.holds(&format!("{OF_OTHERS}{})", quote_literal(schema)), doing).await?
    {
        let (extension, schema) = (quote_ident(&extension.name), quote_ident(schema));
        return Err(RestoreError::ExtensionSchema { extension, schema }.into());
    }
    session.execute(&extension.create(), doing).await?;
    Ok(())
}
