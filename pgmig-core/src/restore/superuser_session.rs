//! A superuser's session on the database that is being filled. It runs statements that pgmig has written itself, and
//! nothing else: its search_path is empty, and it reads no user's table.

use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};

/// The session, which is opened when it is needed first.
pub(crate) struct SuperuserSession {
    config: TargetConfig,
    database: String,
    application: String,
    session: Option<Session>,
}

impl SuperuserSession {
    /// Opens nothing yet.
    pub(crate) fn new(config: &TargetConfig, database: &str, application: &str) -> Self {
        let (database, application) = (database.to_owned(), application.to_owned());
        Self { config: config.clone(), database, application, session: None }
    }

    /// The session.
    ///
    /// # Errors
    ///
    /// The server cannot be reached.
    pub(crate) async fn get(&mut self) -> Result<&mut Session, TargetError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                let mut session = Session::open(&self.config, &self.database, &self.application).await?;
                // The swap's commit makes everything durable.
                session.execute("SET synchronous_commit = off", "set up the session").await?;
                session
            }
        };
        Ok(self.session.insert(session))
    }

    /// Says good-bye to the server.
    pub(crate) async fn close(self) {
        if let Some(session) = self.session {
            session.close().await;
        }
    }
}
