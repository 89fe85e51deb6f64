//! `--testPGConnection`: what can be reached, and whether a restore would be possible.

use crate::error::Result;
use crate::profile::Profile;
use crate::restore::archive_login::{ArchiveLogin, Choice};
use crate::restore::catalogs::instances::target_contents;
use crate::restore::clearing::Clearing;
use crate::restore::preflight::strategy::Obstacles;
use crate::restore::preflight::{open_control, open_inside};
use crate::restore::report::contents::TargetContents;
use crate::server::catalog::{self, DatabaseFacts, OtherSession};
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::text::printable;
use std::collections::HashSet;
use std::fmt;

/// The result of a connection test. `Display` shows it, one fact on each line, and escapes all names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// Host and port, or the socket's path.
    pub server: String,
    /// The server's version, as the server reports it.
    pub server_version: String,
    /// TLS version and cipher; `None` without TLS.
    pub tls: Option<String>,
    /// How far the server is known to be the right one; begins with `warning: ` where it is not.
    pub trust: String,
    /// The database.
    pub database: String,
    /// The contents of the target.
    pub contents: TargetContents,
    /// Other sessions on it.
    pub sessions: Vec<OtherSession>,
    /// The obstacles to a swap, each with its remedy; empty if there are none.
    pub obstacles: Vec<String>,
    /// The obstacles to a restore in place, which is the alternative if a swap is not possible.
    pub in_place_obstacles: Vec<String>,
}

/// Connects as a restore would and looks at the target, without changing anything.
///
/// # Errors
///
/// The server cannot be reached, or refuses to tell; the database or a role does not exist.
pub async fn probe(config: &TargetConfig) -> Result<Probe> {
    let application = config.application_name().unwrap_or("pgmig").to_owned();
    let (mut control, maintenance) = open_control(config, &application).await?;
    let name = config.database();
    let Some(target) = catalog::database_facts(&mut control, name).await? else {
        return Err(
            TargetError::UnknownDatabase { server: config.server(), database: name.to_owned() }.into()
        );
    };
    let roles = catalog::role_facts(&mut control, config.username(), &target.owner).await?;
    if !roles.owner_exists {
        let (server, user) = (config.server(), config.username().to_owned());
        return Err(TargetError::UnknownOwner { server, user }.into());
    }
    let mut obstacles = Obstacles::of(&mut control, &maintenance, config, &target, &roles).await?;
    config.turn_event_triggers_off(roles.is_superuser, control.server_version());
    let sessions = catalog::other_sessions(&mut control, name, &application).await?;
    let server = catalog::server_facts(&mut control).await?;
    let trust = control.trust().to_string();
    let run_id = uuid::Uuid::new_v4().simple().to_string();
    let choice = Choice {
        config,
        roles: &roles,
        trust_archive: false,
        jobs: 1,
        run_id: &run_id,
        application: &application,
    };
    let mut login = ArchiveLogin::default();
    let found = look_inside(&mut login, &mut control, &choice, &target).await;
    let ended = login.end(&mut control, config, &application).await;
    let (contents, in_the_way) = found?;
    ended?;
    obstacles.in_place.extend(
        in_the_way.into_iter().map(|obstacle| format!("{obstacle} (it would have to be dropped, too)")),
    );
    control.close().await;
    Ok(Probe {
        server: config.server(),
        server_version: server.version,
        tls: server.tls,
        trust,
        database: name.to_owned(),
        contents,
        sessions,
        obstacles: obstacles.swap,
        in_place_obstacles: obstacles.in_place,
    })
}

/// The contents of the target, and the obstacles to clearing it.
async fn look_inside(
    login: &mut ArchiveLogin,
    control: &mut Session,
    choice: &Choice<'_>,
    target: &DatabaseFacts,
) -> Result<(TargetContents, Vec<String>)> {
    login.choose(control, choice).await?;
    let Choice { config, application, .. } = choice;
    let mut inside = open_inside(login.config(config), application).await?;
    let profile = Profile::builtin("assistant")?;
    let contents = target_contents(&mut inside, target, Some(&profile), &HashSet::new()).await?;
    let in_the_way = Clearing::obstacles(&mut inside, config.username()).await?;
    inside.close().await;
    Ok((contents, in_the_way))
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "server      {}, PostgreSQL {}", self.server, printable(&self.server_version))?;
        writeln!(f, "TLS         {}", self.tls.as_deref().unwrap_or("none"))?;
        writeln!(f, "trust       {}", self.trust)?;
        let megabytes = self.contents.bytes.div_ceil(1_000_000);
        writeln!(f, "database    {}, {megabytes} MB", printable(&self.database))?;
        writeln!(f, "holds       {}", self.contents.describe())?;
        writeln!(f, "sessions    {}", self.sessions.len())?;
        for session in &self.sessions {
            writeln!(f, "            {}", printable(&session.to_string()))?;
        }
        write_obstacles(f, "swap    ", &self.obstacles)?;
        writeln!(f)?;
        write_obstacles(f, "in-place", &self.in_place_obstacles)
    }
}

fn write_obstacles(f: &mut fmt::Formatter<'_>, strategy: &str, obstacles: &[String]) -> fmt::Result {
    if obstacles.is_empty() {
        return write!(f, "{strategy}    possible");
    }
    write!(f, "{strategy}    not possible:")?;
    for obstacle in obstacles {
        write!(f, "\n            {}", printable(obstacle))?;
    }
    Ok(())
}
