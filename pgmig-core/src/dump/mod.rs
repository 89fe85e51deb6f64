//! Backs a database up: runs pg_dump, verifies the archive while it is written, and keeps only a sound one.
//!
//! Nothing here knows of restores. A file gets its name after all of it was verified and is on disk.

mod cleaning;
mod destination;
mod error;
mod file_name;
mod password;
mod program;
mod prune;
mod report;
mod retention;
mod secret;
mod stream;

pub use destination::Destination;
pub use error::DumpError;
pub use program::{PgDump, Programs};
pub use prune::{BackupFile, PruneOptions, PruneReport, prune};
pub use report::DumpReport;
pub use retention::Retention;

use self::program::{Version, guarded_release};
use self::stream::Job;
use crate::error::Result;
use crate::progress::{NoProgress, Notice, NoticeCode, Progress};
use crate::server::session::Session;
use crate::server::{LibpqSettings, TargetConfig, TargetError};
use crate::thread::on_thread;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio_util::sync::CancellationToken;

/// How long a cancelled backup may take to remove its temporary file.
const CLEAN_UP: Duration = Duration::from_secs(3);

/// How a backup is made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DumpOptions {
    /// The pg_dump to run.
    pub programs: Programs,
    /// How long pg_dump waits for a lock on a table. It only reads, but a session that changes a table's definition is
    /// in its way.
    pub lock_wait: Duration,
}

impl Default for DumpOptions {
    fn default() -> Self {
        Self { programs: Programs::default(), lock_wait: Duration::from_secs(60) }
    }
}

/// A backup that is about to be made.
///
/// ```no_run
/// use pgmig_core::dump::{Destination, Dump};
/// # async fn back_up(target: pgmig_core::server::TargetConfig) -> pgmig_core::Result<()> {
/// let report = Dump::of(target, Destination::Directory("/backups".into())).run().await?;
/// println!("{} rows in {:?}", report.verified.rows(), report.file);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is done until run() is called"]
pub struct Dump {
    config: TargetConfig,
    destination: Destination,
    options: DumpOptions,
    progress: Arc<dyn Progress>,
    cancel: CancellationToken,
}

impl std::fmt::Debug for Dump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dump")
            .field("database", &self.config.database())
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}

/// A server's answers that a backup needs.
struct Facts {
    version: Version,
    full_version: String,
    /// Whether no other server could have answered.
    is_certain: bool,
    /// Whether the login was bound to the server's certificate.
    is_bound: bool,
}

impl Dump {
    /// A backup of the database that `config` describes. pg_dump logs in as `su_username`.
    pub fn of(config: TargetConfig, destination: Destination) -> Self {
        let (progress, cancel) = (Arc::new(NoProgress), CancellationToken::new());
        Self { config, destination, options: DumpOptions::default(), progress, cancel }
    }

    /// Makes it with these options.
    pub fn options(mut self, options: DumpOptions) -> Self {
        self.options = options;
        self
    }

    /// Sends the events to `progress`.
    pub fn progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Ends the backup soon after `cancel` is cancelled. Nothing is then left of it.
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Looks whether a backup can be made: whether the server answers, and which pg_dump would be run. Changes nothing.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, there is no pg_dump for its version, or no such directory.
    pub async fn check(&self) -> Result<PgDump> {
        self.destination.check()?;
        let facts = self.facts().await?;
        self.program(&facts).await
    }

    /// Makes the backup. If this returns an error, there is no file of it.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check). pg_dump fails, its archive is not sound, or the file cannot be written.
    pub async fn run(self) -> Result<DumpReport> {
        let cancel = self.cancel.clone();
        let started = Instant::now();
        let looking = async {
            let facts = self.facts().await?;
            let program = self.program(&facts).await?;
            Ok::<_, crate::Error>((facts, program))
        };
        let (facts, program) = tokio::select! {
            found = looking => found?,
            () = cancel.cancelled() => return Err(DumpError::Interrupted.into()),
        };
        let Self { config, destination, options, progress, .. } = self;
        let mut notices = vec![];
        notices.extend(too_new(&program, &facts));
        notices.extend(unguarded(&program, &facts, config.su_username()));
        let mut settings = config.libpq_settings();
        notices.extend(demand_proof(&mut settings, &program, &facts));
        let (server, database) = (config.server(), config.database().to_owned());
        let job = Job {
            program: program.clone(),
            settings,
            lock_wait: options.lock_wait,
            database: database.clone(),
            at: SystemTime::now(),
            progress,
            stop: CancellationToken::new(),
        };
        let stop = job.stop.clone();
        // Whoever drops this future wants no backup.
        let _stop_when_dropped = stop.clone().drop_guard();
        let mut working = Box::pin(on_thread("pgmig-backup", move || job.run(destination)));
        let made = tokio::select! {
            made = &mut working => made,
            () = cancel.cancelled() => {
                stop.cancel();
                // The thread may have been renaming the file: then there is a backup.
                let ended = tokio::time::timeout(CLEAN_UP, working).await;
                ended.unwrap_or_else(|_| Err(DumpError::Interrupted.into()))
            }
        }?;
        notices.extend(made.notices);
        Ok(DumpReport {
            server,
            database,
            server_version: facts.full_version,
            pg_dump: program,
            file: made.file,
            bytes: made.bytes,
            store_version: made.schema_version,
            verified: made.verified,
            notices,
            took: started.elapsed(),
        })
    }

    async fn facts(&self) -> Result<Facts, TargetError> {
        let application = self.config.application_name().unwrap_or("pgmig");
        self.turn_event_triggers_off(application).await;
        let mut session = Session::open(&self.config, self.config.database(), application).await?;
        session.expect_answers(true);
        let sql = "SELECT pg_catalog.current_setting('server_version')";
        let full_version = session.value(sql, "read the server's version").await?;
        let version = Version::of_server(session.server_version());
        let trust = session.trust();
        let (is_certain, is_bound) = (trust.is_certain(), trust.is_bound());
        session.close().await;
        Ok(Facts { version, full_version, is_certain, is_bound })
    }

    /// A superuser's sessions in the database must not run its login triggers. So another database is asked whether they
    /// can be turned off. If none lets this login in, they fire.
    async fn turn_event_triggers_off(&self, application: &str) {
        for database in self.config.maintenance_databases() {
            let Ok(mut session) = Session::open(&self.config, database, application).await else { continue };
            session.expect_answers(true);
            let sql = "SELECT pg_catalog.current_setting('is_superuser')";
            let is_superuser = session.value(sql, "read the rights of su_username").await;
            let is_superuser = is_superuser.is_ok_and(|is_superuser| is_superuser == "on");
            self.config.turn_event_triggers_off(is_superuser, session.server_version());
            session.close().await;
            return;
        }
    }

    async fn program(&self, facts: &Facts) -> Result<PgDump> {
        let (programs, version) = (self.options.programs.clone(), facts.version);
        let (settings, stop) = (self.config.libpq_settings(), self.cancel.clone());
        on_thread("pgmig-pg-dump", move || {
            let program = programs.find(version, &stop)?;
            program.require(&settings)?;
            Ok(program)
        })
        .await
    }
}

/// Lets pg_dump demand as much of the server as pgmig had from it: another one could answer this time, and ask for the
/// password itself. Returns a warning where pg_dump cannot.
fn demand_proof(settings: &mut LibpqSettings, program: &PgDump, facts: &Facts) -> Option<Notice> {
    if facts.is_certain || settings.password().is_none() {
        return None;
    }
    let version = program.version();
    if facts.is_bound && version.major >= 13 {
        settings.set_default("PGCHANNELBINDING", "require");
    } else if version.major >= 16 {
        settings.set_default("PGREQUIREAUTH", "scram-sha-256,md5");
    } else {
        return Some(Notice::warning(
            NoticeCode::PasswordToAnyServer,
            format!(
                "pg_dump {} sends the password to any server that answers for this one; name a CA with PG_CA_FILE, or a pg_dump of \
             16 or later",
                program.version
            ),
        ));
    }
    None
}

/// A notice of a pg_dump whose archives the server's own pg_restore does not read.
fn too_new(program: &PgDump, facts: &Facts) -> Option<Notice> {
    if program.version() <= facts.version {
        return None;
    }
    let text = format!(
        "pg_dump {} makes archives that pg_restore {} may not read; pgmig reads them",
        program.version, facts.version
    );
    Some(Notice::note(NoticeCode::PgDumpIsOld, text))
}

/// A warning of releases in which an owner of a table can make pg_dump run code with the rights of its login.
fn unguarded(program: &PgDump, facts: &Facts, login: &str) -> Option<Notice> {
    let of_program =
        guarded_release(&program.version).map(|since| (format!("pg_dump {}", program.version), since));
    let of_server = || {
        guarded_release(&facts.full_version)
            .map(|since| (format!("the server's {}", facts.full_version), since))
    };
    let (what, since) = of_program.or_else(of_server)?;
    let text = format!(
        "{what} lets an owner of a table in the database run code with the rights of {login} (CVE-2024-7348); update it to {since} or later"
    );
    Some(Notice::warning(NoticeCode::PgDumpIsOld, text))
}
