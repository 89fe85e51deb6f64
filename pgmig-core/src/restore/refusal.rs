//! Why a restore was refused before anything of the target was changed.

pub(crate) mod previous;
pub(crate) mod resume;
mod shown;

use self::previous::PreviousRefusal;
use self::resume::ResumeRefusal;
use self::shown::{Differences, Sessions, who_ends};
use super::error::RestoreError;
use super::report::difference::{SchemaDifference, TableDifference};
use crate::instance::InstanceId;
use crate::lines::{AllLines, Lines, count, inline};
use crate::profile::{Profile, Release};
use crate::server::{LockHolder, OtherSession};
use crate::sql::{QualifiedName, quote_ident};
use std::time::Duration;
use thiserror::Error;

/// Why a restore was refused before anything of the target was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The target holds data, and the caller has not allowed pgmig to erase it.
    #[error("database {database} holds data ({contents}), which a restore would erase")]
    WouldErase {
        /// The target.
        database: String,
        /// The target's contents, in words.
        contents: String,
    },
    /// The target is a database of PostgreSQL itself, and the caller has not allowed pgmig to erase it.
    #[error(
        "database {database} is one of PostgreSQL's own, which a restore would replace; check database in the configuration"
    )]
    SystemDatabase {
        /// The target.
        database: String,
    },
    /// The mapping contradicts itself or the backup.
    #[error("the mapping cannot be used with this backup: {0}")]
    Mapping(String),
    /// The mapping names IDs that do not occur in the backup.
    #[error("these sources of the mapping occur nowhere in the backup: {}; correct them in the mapping file", inline(sources.iter()))]
    UnusedSources {
        /// The sources.
        sources: Vec<InstanceId>,
    },
    /// The caller asked for a release, but the backup's schema cannot be upgraded.
    #[error("the backup cannot be brought to release {release}: {reason}")]
    NoUpgrade {
        /// The requested release.
        release: Release,
        /// The reason.
        reason: String,
    },
    /// The archive holds only a part of a database.
    #[error(
        "the archive is a partial one: {0}; a restore replaces the whole database, so everything else would be \
         erased; take a full backup with pg_dump -Fc"
    )]
    Partial(String),
    /// The archive holds rows of foreign tables.
    #[error(
        "the archive holds rows of the foreign table {0}, which belong to another server; take the backup without \
         --include-foreign-data"
    )]
    ForeignData(String),
    /// The encoding does not allow IDs to be replaced safely.
    #[error(
        "the archive's encoding {0} has multi-byte characters that contain ASCII bytes, so IDs cannot be rewritten \
         in it safely"
    )]
    Encoding(String),
    /// Names in an archive of a database in SQL_ASCII have bytes that are not UTF-8.
    #[error(
        "names in the archive have bytes that are not UTF-8, which pgmig sends to the server; rename these objects in the \
         source, or say which encoding they are in (pg_dump --encoding=LATIN1, for example):\n{}",
        AllLines(.0)
    )]
    RawNames(
        /// The entries.
        Vec<String>,
    ),
    /// A plain script from a stream cannot be restored into the target's own schema.
    #[error(
        "a plain script from standard input or a pipe cannot be restored into the target's own schema, as its tables are \
         only known when their rows come; give the file itself"
    )]
    ScriptStream,
    /// A plain script from a stream has an encoding that must be converted.
    #[error(
        "a plain script in encoding {0} cannot be read from standard input or a pipe; give the file itself, or dump with \
         --encoding=UTF8"
    )]
    ScriptEncoding(String),
    /// Another restore of the same database is running.
    #[error(
        "another restore of database {database} is running: server process {} ({}), connected since {}; wait for \
         it, or end it with SELECT pg_terminate_backend({})",
        holder.pid, holder.application, holder.since, holder.pid
    )]
    Locked {
        /// The target.
        database: String,
        /// The holder of the lock.
        holder: LockHolder,
    },
    /// Sessions stayed connected to the target.
    #[error(
        "database {database} is in use: {} stayed connected for {} s:\n{}\nstop the clients (scale the store \
         deployment to 0){}",
        count(sessions.len(), "session"),
        waited.as_secs(),
        Sessions(sessions),
        who_ends(sessions)
    )]
    InUse {
        /// The target.
        database: String,
        /// The other sessions.
        sessions: Vec<OtherSession>,
        /// How long pgmig waited.
        waited: Duration,
    },
    /// The target cannot be swapped.
    #[error("database {database} cannot be replaced by a swap:\n{}", Lines(reasons))]
    CannotSwap {
        /// The target.
        database: String,
        /// The obstacles, each with its remedy.
        reasons: Vec<String>,
    },
    /// The target cannot be restored in place.
    #[error("database {database} cannot be restored in place:\n{}", Lines(reasons))]
    CannotRestoreInPlace {
        /// The target.
        database: String,
        /// The obstacles, each with its remedy.
        reasons: Vec<String>,
    },
    /// Entries that begin or end a transaction, or that cannot run inside one.
    #[error(
        "the archive has what cannot be restored in one transaction; pg_dump does not write \
         it; a swap restores it, which takes a su_username that may create databases:\n{}",
        Lines(.0)
    )]
    TransactionControl(Vec<String>),
    /// An option requires a swap.
    #[error(
        "{0} requires StrategyChoice::Swap, which makes a second database; leave {0} out, or use a su_username that can create \
         databases"
    )]
    NotInPlace(&'static str),
    /// Entries that only a superuser can create. `su_username` is not a superuser.
    #[error(
        "the archive has objects that only a superuser can create, and su_username {login} is not one:\n{}\nlet a \
         superuser create them in the target and restore in place, which leaves them as they are{}; or use a superuser as \
         su_username",
        AllLines(entries),
        if entries.iter().any(|entry| entry.starts_with("EVENT TRIGGER ")) {
            ", except for event triggers: leave these out of the restore, and let a superuser create them afterwards"
        } else {
            ""
        }
    )]
    NeedsSuperuser {
        /// The role that pgmig logs in as.
        login: String,
        /// The entries.
        entries: Vec<String>,
    },
    /// Extensions of the archive cannot be created, or are elsewhere in the target.
    #[error(
        "the archive's extensions do not fit the server or the target:\n{}\nto restore the rest, leave them out with the \
         entries that depend on them, by Selection::skip_unrestorable, or each by Selection::exclude_extensions",
        AllLines(.0)
    )]
    Extensions(
        /// The reasons, each with its remedy.
        Vec<String>,
    ),
    /// The server does not admit the login that is meant to run code of the archive.
    #[error(
        "the server does not let {} log in, as which code in the backup is to run:\n{}\nadd this line to pg_hba.conf, above \
         the lines that refuse it, and reload the server: {line}\nor, if you trust the backup and the target's owner, use \
         RestoreOptions::trust_archive",
        if *is_temporary { format!("a temporary role, a member of {username},") } else { format!("username {username}") },
        AllLines(attempts)
    )]
    ArchiveLogin {
        /// `username`.
        username: String,
        /// Whether the login is a temporary role. Otherwise it is `username` itself.
        is_temporary: bool,
        /// The addresses that pgmig tried, and the server's answers.
        attempts: Vec<String>,
        /// A line for `pg_hba.conf` that admits the login.
        line: String,
    },
    /// Entries that only a superuser can make, in an archive that the caller does not trust.
    #[error(
        "the backup has objects that only a superuser can make, and a superuser makes nothing for a backup that is not \
         trusted:\n{}\n{}if you trust the backup, use RestoreOptions::trust_archive: its statements are then run as a superuser",
        AllLines(entries),
        match (is_swap, entries.iter().any(|entry| entry.starts_with("EXTENSION "))) {
            (true, true) => "for an extension that you trust, use RestoreOptions::allow_extensions NAME; ",
            (true, false) => "",
            (false, _) => "let a superuser make them in the target beforehand, and they stay as they are; or use StrategyChoice::Swap, \
                           in which a superuser makes harmless extensions; or, ",
        }
    )]
    NeedsTrust {
        /// The entries.
        entries: Vec<String>,
        /// Whether a swap replaces the target. In a swap, pgmig itself creates extensions.
        is_swap: bool,
    },
    /// Objects of other roles in the target that our DROP would take along, or that block it.
    #[error(
        "the target cannot be cleared: objects of others would be dropped with those of {owner}, or are in the way:\n{}\n\
         let them be dropped, or given to {owner} (ALTER ... OWNER TO {owner}), by who owns them or a superuser",
        AllLines(obstacles)
    )]
    CannotClear {
        /// `username`, as SQL.
        owner: String,
        /// The obstacles, their owners, and the objects that the obstacles depend on.
        obstacles: Vec<String>,
    },
    /// The server's lock table has no room for a restore in one transaction.
    #[error(
        "a restore in place takes about {needed} locks in its one transaction, and the server has room for about {free}; \
         let max_locks_per_transaction be set to {setting} (it is {current}) and the server be restarted, or use a su_username \
         that may create databases, for a swap"
    )]
    TooManyLocks {
        /// How many locks the restore needs.
        needed: u64,
        /// How many locks the server's table has, without those in use.
        free: u64,
        /// The present value of `max_locks_per_transaction`.
        current: u64,
        /// The value that the restore needs.
        setting: u64,
    },
    /// The target was empty when the restore began, and now holds data.
    #[error(
        "database {database} was empty when this restore began and now holds data ({contents}); stop whoever writes \
         to it and run again"
    )]
    Filled {
        /// The target.
        database: String,
        /// The target's contents, in words.
        contents: String,
    },
    /// The target was replaced while this restore was being prepared.
    #[error("database {database} was replaced by another restore since this one looked at it; run it again")]
    Changed {
        /// The target.
        database: String,
    },
    /// A database that pgmig did not make has the staging database's name.
    #[error(
        "database {0} has the name that the staging database needs and was not made by pgmig; rename or drop it"
    )]
    NameTaken(String),
    /// An interrupted restore is not gone on with.
    #[error(transparent)]
    Resume(#[from] ResumeRefusal),
    /// A row of a stream names an instance by another ID than the mapping does. The table that says which instance this
    /// ID belongs to comes later in the stream.
    #[error(
        "{place} refers to an instance by {alias}, which is no key of the mapping, and came before the table of \
         instances in this stream, which tells whose it is; restore from a file (it is read twice), or use that ID \
         as the instance's key in the mapping file"
    )]
    LateAlias {
        /// The other ID.
        alias: String,
        /// The table or entry that contains it.
        place: String,
    },
    /// The archive holds no store, but the target holds one.
    #[error(
        "the archive holds no store that pgmig knows (no table of instances), but the target does, with {instances} \
         instances"
    )]
    NotAStore {
        /// The number of the target's instances.
        instances: usize,
    },
    /// The target's own schema cannot take rows.
    #[error("rows cannot be loaded into the target's own schema:\n{}", Lines(.0))]
    TargetObstacles(
        /// The obstacles, each with its remedy.
        Vec<String>,
    ),
    /// Rows of the archive have no place in the target's own schema.
    #[error(
        "the archive's rows do not fit the target's schema:\n{}{}",
        differences.iter().filter(|difference| difference.is_refused()).map(|difference| format!("  {difference}"))
            .collect::<Vec<_>>().join("\n"),
        idle_rules.iter().map(|rule| format!("\n  a rule of the profile does nothing: {rule}")).collect::<String>()
    )]
    TargetSchema {
        /// Every difference, including those that pgmig can handle.
        differences: Vec<TableDifference>,
        /// The profile's rules that match nothing. Perhaps they were meant for some of the differences.
        idle_rules: Vec<String>,
    },
    /// Rules of the profile cannot be followed.
    #[error("rules of the profile cannot be followed with this archive and this target:\n{}", Lines(.0))]
    TargetRules(
        /// The rules, and why each of them cannot be followed.
        Vec<String>,
    ),
    /// The caller asked for an upgrade, but the schema cannot be upgraded.
    #[error("there is no way to upgrade the backup's schema, which SchemaSource::Migrate asks for: {why}")]
    NotMigrated {
        /// The reason.
        why: String,
        /// The change that would make it possible.
        remedy: Remedy,
    },
    /// No table of the archive is in the target, and no table of the target is in the archive.
    #[error("the backup and the target have no table in common; is this the right backup?")]
    NoTableInCommon,
    /// The archive's schema history is unknown, and the target has a different schema.
    #[error(
        "the archive's schema history is unknown to pgmig{history}, and the target's schema differs from the \
         archive's:\n{}{}",
        Differences(differences),
        if *is_foreseen { "\n(constraints, indexes, functions and the rest are compared when tables and columns are the same)" } else { "" }
    )]
    UnknownHistory {
        /// The known facts of the history, in brackets; empty if there are none.
        history: String,
        /// The change that would make an upgrade possible.
        remedy: Remedy,
        /// The differences between the schemas.
        differences: Vec<SchemaDifference>,
        /// Whether pgmig compared tables and columns only, before it restored anything.
        is_foreseen: bool,
    },
    /// A previous database is not put back, or not dropped.
    #[error(transparent)]
    Previous(#[from] PreviousRefusal),
    /// The requested profile does not fit the archive.
    #[error(
        "profile {profile} says that instances are in {tenants}, which the archive does not have; correct its tenant, or \
         leave that out if the store has no instances"
    )]
    NoInstances {
        /// The profile's name.
        profile: String,
        /// The table of instances and its columns, in words.
        tenants: String,
    },
    /// The archive has none of the columns (the second text) in which the profile (the first one) replaces IDs.
    #[error(
        "profile {0} moves the owners in {1}, which the archive does not have: is it the backup of another database?"
    )]
    NoOwnerColumns(String, String),
}

/// The change that would make an upgrade of the backup's schema possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// A profile that says where the store keeps its instances and its history.
    Profile,
    /// The store's migrations.
    Migrations,
    /// A backup that has sqlx's migration history.
    SqlxHistory,
    /// An upgrade by the store's own migration tool.
    OwnTool,
}

impl Refusal {
    /// The profile's table of instances does not exist.
    pub fn no_instances(profile: &Profile) -> Self {
        let tenants = profile.tenant().map_or_else(String::new, |tenant| {
            let table = QualifiedName { schema: tenant.schema.clone(), name: tenant.table.clone() };
            let columns: Vec<String> = tenant.columns().map(|column| quote_ident(column)).collect();
            format!("table {table} with the columns {}", columns.join(", "))
        });
        Self::NoInstances { profile: profile.name().to_owned(), tenants }
    }
}

impl From<Refusal> for crate::Error {
    fn from(refusal: Refusal) -> Self {
        RestoreError::from(refusal).into()
    }
}
