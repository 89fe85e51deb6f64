//! Ends the archive's part of a restore in place.

use super::Build;
use crate::error::Result;
use crate::migrations;
use crate::restore::executor::Executor;
use crate::restore::plan::RunAs;
use crate::restore::state::{Subject, require_unchanged};
use crate::server::session::Session;

const DOING: &str = "check what the backup's code has changed";

impl Build {
    /// Ends the archive's part where one transaction holds the whole restore. First it runs the checks that would
    /// wait for the commit. From here on no statement of the archive runs, so none can commit early. Then it refuses
    /// if the archive has changed the state of the target database or of a role. Migrations come later and may change
    /// it, because they are not part of the archive.
    pub(super) async fn settle(&mut self, executor: &mut Executor) -> Result<()> {
        let Some(guard) = self.guard.take() else { return Ok(()) };
        executor.become_role(&RunAs::Owner).await?;
        guard.lift(&mut executor.session).await?;
        migrations::settle_constraints(executor.session.conn()).await?;
        self.require_same_state(&mut executor.session).await
    }

    async fn require_same_state(&self, session: &mut Session) -> Result<()> {
        let Some(state) = &self.state else { return Ok(()) };
        let path = session.leave_search_path(DOING).await?;
        let subject =
            Subject { database: self.target_oid, username: self.config.username(), is_superuser: false };
        require_unchanged(session, state, subject).await?;
        Ok(session.return_to_search_path(&path, DOING).await?)
    }
}
