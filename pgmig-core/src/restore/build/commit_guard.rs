//! Makes an early commit fail.
//!
//! Transaction control in the archive is found and refused beforehand. Should any be overlooked, then everything would
//! be committed half way. So as long as statements of the archive run, a deferred constraint is violated: a commit
//! fails, and undoes everything.

use crate::error::Result;
use crate::server::session::Session;

const DOING: &str = "guard the transaction";

/// The violated constraint.
#[derive(Debug)]
#[must_use = "the transaction cannot be committed until it is lifted"]
pub(crate) struct Guard {
    /// False where not even the owner may make temporary tables.
    is_set: bool,
}

impl Guard {
    /// Sets it, as the session's current role.
    pub(crate) async fn set(session: &mut Session) -> Result<Self> {
        let sql = "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY')";
        let is_set = session.holds(sql, DOING).await?;
        if is_set {
            let sql = "CREATE TEMPORARY TABLE pgmig_guarded (id int PRIMARY KEY) ON COMMIT DROP; \
                       CREATE TEMPORARY TABLE pgmig_guard (id int REFERENCES pg_temp.pgmig_guarded \
                           DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP; \
                       INSERT INTO pg_temp.pgmig_guard VALUES (1)";
            session.execute(sql, DOING).await?;
        }
        Ok(Self { is_set })
    }

    /// Lifts it, as the role that set it.
    pub(crate) async fn lift(self, session: &mut Session) -> Result<()> {
        if self.is_set {
            session.execute("DELETE FROM pg_temp.pgmig_guard", DOING).await?;
        }
        Ok(())
    }
}
