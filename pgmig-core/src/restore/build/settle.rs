//! The end of the archive's part of a restore in place.

use super::Build;
use crate::error::Result;
use crate::migrations;
use crate::restore::executor::Executor;
use crate::restore::plan::RunAs;
use crate::restore::state::{Subject, require_unchanged};
use crate::server::session::Session;
use crate::sql::quote_literal;

const DOING: &str = "look what the backup's code has changed";

impl Build {
    /// Where one transaction holds everything: all of the archive has been restored, so checks that wait for the commit
    /// are made now, and no statement of the archive runs any more that could commit early. Nor may any have changed what
    /// belongs to the target database itself, or to a role: migrations, which are not the archive's, may.
    pub(super) async fn settle(&mut self, executor: &mut Executor) -> Result<()> {
        let Some(guard) = self.guard.take() else { return Ok(()) };
        executor.become_role(&RunAs::Owner).await?;
        guard.lift(&mut executor.session).await?;
        migrations::settle_constraints(executor.session.conn()).await?;
        self.require_same_state(&mut executor.session).await
    }

    async fn require_same_state(&self, session: &mut Session) -> Result<()> {
        let Some(state) = &self.state else { return Ok(()) };
        // Whatever the archive has in its search path must not stand for what is the catalogs'.
        let path = session.value("SHOW search_path", DOING).await?;
        session.execute("SET search_path = ''", DOING).await?;
        let subject =
            Subject { database: self.target_oid, username: self.config.username(), is_superuser: false };
        require_unchanged(session, state, subject).await?;
        let sql = format!("SELECT pg_catalog.set_config('search_path', {}, false)", quote_literal(&path));
        session.execute(&sql, DOING).await?;
        Ok(())
    }
}
