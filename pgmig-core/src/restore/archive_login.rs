//! The login that runs code of the archive and of the target. Where possible, it has no rights except those of
//! `username`.
//!
//! Code of the archive runs when its statements run, when its rows are loaded and when its tables are read: in CHECK
//! constraints, triggers, casts and functions of indexes. Such code can return from `SET ROLE` to the role that
//! logged in. So that role must have no rights except those of `username`.

use crate::error::Result;
use crate::progress::{Notice, NoticeCode};
use crate::restore::options::RestoreOptions;
use crate::restore::refusal::Refusal;
use crate::restore::staging::names::staging_name;
use crate::server::archive_role::{Admission, ArchiveRole, Purpose};
use crate::server::catalog::RoleFacts;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use crate::sql::quote_ident;

/// The login of the sessions that run code of the archive and of the target.
#[derive(Debug, Default)]
pub(crate) enum ArchiveLogin {
    /// No login has been chosen yet.
    #[default]
    Unknown,
    /// The sessions use `su_username`'s own login.
    SuUsername(Why),
    /// The sessions log in as `username`, with its password.
    Username(TargetConfig),
    /// The sessions log in as a temporary role. A second session of `su_username`, a superuser, creates the objects
    /// that only a superuser can create.
    Temporary {
        role: ArchiveRole,
        /// The configuration with the role's login.
        config: TargetConfig,
    },
}

/// Why `su_username` is the only possible login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The user asked for it with `--trust-archive`.
    Trusted,
    /// `su_username` is `username`: no login has fewer rights.
    Same,
    /// `username` is a superuser, so no login protects against code that runs as `username`.
    OwnerIsSuperuser,
    /// `su_username` cannot create roles, and the password of `username` is unknown.
    NoPassword,
}

/// The facts that decide which login is chosen.
pub(crate) struct Choice<'a> {
    pub(crate) config: &'a TargetConfig,
    pub(crate) roles: &'a RoleFacts,
    pub(crate) trust_archive: bool,
    pub(crate) jobs: usize,
    pub(crate) run_id: &'a str,
    pub(crate) application: &'a str,
}

impl<'a> Choice<'a> {
    /// The facts for a restore.
    pub(crate) fn new(
        config: &'a TargetConfig,
        roles: &'a RoleFacts,
        options: &RestoreOptions,
        run_id: &'a str,
        application: &'a str,
    ) -> Self {
        let (trust_archive, jobs) = (options.trust_archive, options.jobs.get());
        Self { config, roles, trust_archive, jobs, run_id, application }
    }

    fn why_su_username(&self) -> Option<Why> {
        let Self { config, roles, .. } = self;
        if self.trust_archive {
            Some(Why::Trusted)
        } else if roles.owner_is_superuser {
            Some(Why::OwnerIsSuperuser)
        } else if config.su_username() == config.username() {
            Some(Why::Same)
        } else if !roles.is_superuser && config.own_login().is_none() {
            Some(Why::NoPassword)
        } else {
            None
        }
    }
}

impl ArchiveLogin {
    /// Chooses the login, and creates the temporary role if one is needed. Afterwards, even after an error, call
    /// [`end`](Self::end).
    ///
    /// # Errors
    ///
    /// [`Refusal::ArchiveLogin`] if `pg_hba.conf` does not admit the login. Or the server cannot be queried.
    pub(crate) async fn choose(&mut self, control: &mut Session, choice: &Choice<'_>) -> Result<()> {
        let Choice { config, roles, application, .. } = choice;
        if let Some(why) = choice.why_su_username() {
            *self = Self::SuUsername(why);
            return Ok(());
        }
        let login = if roles.is_superuser {
            let purpose = Purpose {
                run: choice.run_id,
                target: config.database(),
                username: config.username(),
                jobs: choice.jobs,
            };
            let (role, login) = ArchiveRole::create(control, purpose).await?;
            // Recorded before the login is tried, so that `end` removes the role if the login fails.
            *self = Self::Temporary { role, config: config.for_login(&login) };
            login
        } else {
            let Some(login) = config.own_login() else { return Ok(()) };
            login
        };
        match Admission::find(control, config, &login, config.database(), application).await? {
            Ok(Admission(admitted)) => {
                match self {
                    Self::Temporary { config, .. } => *config = admitted,
                    _ => *self = Self::Username(admitted),
                }
                Ok(())
            }
            Err(not_admitted) => Err(Refusal::ArchiveLogin {
                username: config.username().to_owned(),
                is_temporary: roles.is_superuser,
                attempts: not_admitted.attempts,
                line: not_admitted.line,
            }
            .into()),
        }
    }

    /// The configuration for sessions that run code of the archive. `config` is that of `su_username`.
    pub(crate) fn config<'a>(&'a self, config: &'a TargetConfig) -> &'a TargetConfig {
        match self {
            Self::Unknown | Self::SuUsername(_) => config,
            Self::Username(config) | Self::Temporary { config, .. } => config,
        }
    }

    /// Whether code of the archive cannot reach the rights of `su_username`.
    pub(crate) fn is_separate(&self) -> bool {
        matches!(self, Self::Username(_) | Self::Temporary { .. })
    }

    /// The kind of the login, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unknown | Self::SuUsername(_) => "su_username",
            Self::Username(_) => "username",
            Self::Temporary { .. } => "a temporary role",
        }
    }

    /// Whether it is `username` itself, and no superuser's session is beside it.
    pub(crate) fn is_username(&self) -> bool {
        matches!(self, Self::Username(_))
    }

    /// The temporary role.
    pub(crate) fn role(&self) -> Option<&ArchiveRole> {
        match self {
            Self::Temporary { role, .. } => Some(role),
            _ => None,
        }
    }

    /// Removes the temporary role.
    ///
    /// # Errors
    ///
    /// The server refuses. The next restore of the target then removes the role.
    pub(crate) async fn end(
        &mut self,
        control: &mut Session,
        config: &TargetConfig,
        application: &str,
    ) -> Result<(), TargetError> {
        let staging = staging_name(config.database());
        let own = [config.database(), staging.as_str()];
        match std::mem::take(self) {
            Self::Temporary { role, .. } => role.remove(control, config, application, &own).await,
            _ => Ok(()),
        }
    }

    /// The notice about the login that the operator needs, if any.
    pub(crate) fn notice(&self, config: &TargetConfig, is_superuser: bool) -> Option<Notice> {
        let Self::SuUsername(why) = self else { return None };
        let (login, owner) = (quote_ident(config.su_username()), quote_ident(config.username()));
        let rights = if is_superuser { ", a superuser" } else { "" };
        let text = match why {
            Why::Same => return None,
            Why::Trusted => format!(
                "RestoreOptions::trust_archive: code in the backup can act as {login}{rights}; its statements make what only a superuser \
                 can make"
            ),
            Why::OwnerIsSuperuser => format!(
                "username {owner} is a superuser, so code in the backup has all rights on this server; restore backups that \
                 you do not trust for another username"
            ),
            Why::NoPassword => format!(
                "code in the backup can act as su_username {login}, beyond the rights of {owner}; to prevent that, set \
                 password or password_file, with the password of {owner}, in the target configuration"
            ),
        };
        Some(Notice::note(NoticeCode::CodeHasMoreRights, text))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::server::TargetEnvironment;

    fn why(more: &str, change: impl FnOnce(&mut RoleFacts), trust_archive: bool) -> Option<Why> {
        let yaml = format!("host: h\ndatabase: d\nusername: app\nsu_username: su\n{more}");
        let config =
            TargetConfig::from_yaml(&yaml, "p.yaml".as_ref(), &TargetEnvironment::default()).unwrap();
        let mut roles = RoleFacts::default();
        change(&mut roles);
        let choice = Choice {
            config: &config,
            roles: &roles,
            trust_archive,
            jobs: 1,
            run_id: "",
            application: "pgmig",
        };
        choice.why_su_username()
    }

    #[test]
    fn a_superuser_and_a_password_give_a_login_of_its_own() {
        assert_eq!(why("", |roles| roles.is_superuser = true, false), None);
        assert_eq!(why("password: x\n", |_| {}, false), None);
        assert_eq!(why("", |_| {}, false), Some(Why::NoPassword));
        assert_eq!(why("", |roles| roles.is_superuser = true, true), Some(Why::Trusted));
        let both = |roles: &mut RoleFacts| (roles.is_superuser, roles.owner_is_superuser) = (true, true);
        assert_eq!(why("", both, false), Some(Why::OwnerIsSuperuser));
    }
}
