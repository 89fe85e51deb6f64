//! A superuser's session on the database that is being filled. It runs only statements that pgmig itself has written.
//! Its search_path is empty, and it reads no table of a user.

use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};

/// The session. It is opened on first use.
pub(crate) struct SuperuserSession {
    config: TargetConfig,
    database: String,
    application: String,
    session: Option<Session>,
}

impl SuperuserSession {
    /// Makes a closed session.
    pub(crate) fn new(config: &TargetConfig, database: &str, application: &str) -> Self {
        let (database, application) = (database.to_owned(), application.to_owned());
        Self { config: config.clone(), database, application, session: None }
    }

    /// Returns the session. Opens it on first use.
    ///
    /// # Errors
    ///
    /// The server cannot be reached.
    pub(crate) async fn get(&mut self) -> Result<&mut Session, TargetError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                let mut session = Session::open(&self.config, &self.database, &self.application).await?;
                // The commit of the swap makes everything durable.
                session.execute("SET synchronous_commit = off", "set up the session").await?;
                session
            }
        };
        Ok(self.session.insert(session))
    }

    /// Closes the session.
    pub(crate) async fn close(self) {
        if let Some(session) = self.session {
            session.close().await;
        }
    }
}
