//! Why a restore was refused, or failed.

use super::compare::SchemaDifference;
use super::step::Step;
use super::target_schema::TableDifference;
use crate::archive::DumpId;
use crate::error::ErrorKind;
use crate::instance::Instance;
use crate::profile::{Profile, Release};
use crate::sql::{QualifiedName, quote_ident};
use crate::target::{LockHolder, OtherSession};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// How many things a message names before it says how many more there are.
const NAMED: usize = 20;

/// Why a restore was refused before anything of the target was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The target holds data and erasing was not allowed.
    #[error(
        "database {database} holds data ({contents}), which a restore would erase; back it up if it is wanted, \
         then use --force"
    )]
    WouldErase {
        /// The target.
        database: String,
        /// What it holds, in words.
        contents: String,
    },
    /// Live instances of the backup have no target.
    #[error(
        "the mapping does not cover {} of the backup:\n{}\nadd a line \"source: target\" for each to the mapping \
         file; or give --resourceController, to be asked (not with a backup from standard input); or use --keep-ids \
         to restore under the backup's own IDs",
        count(.0.len(), "instance"),
        Instances(.0)
    )]
    Unmapped(Vec<Instance>),
    /// The mapping contradicts itself or the backup.
    #[error("the mapping cannot be used with this backup: {0}")]
    Mapping(String),
    /// The backup's schema cannot be upgraded, and a release was asked for.
    #[error(
        "the backup cannot be brought to release {release}: {reason}; without --to-release it is restored as it is into \
         an empty target"
    )]
    NoUpgrade {
        /// The release.
        release: Release,
        /// Why not.
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
    /// The encoding cannot be rewritten safely.
    #[error(
        "the archive's encoding {0} has multi-byte characters that contain ASCII bytes, so IDs cannot be rewritten \
         in it safely; use --keep-ids, or dump with --encoding=UTF8"
    )]
    Encoding(String),
    /// A plain script from a stream is to be restored into the target's own schema.
    #[error(
        "a plain script from standard input or a pipe cannot be restored with --schema target, as its tables are only known \
         when their rows come; give the file itself"
    )]
    ScriptStream,
    /// A plain script from a stream, in an encoding that has to be converted.
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
        /// Who holds the lock.
        holder: LockHolder,
    },
    /// Sessions stayed connected to the target.
    #[error(
        "database {database} is in use: {} stayed connected for {} s:\n{}\nstop the clients (scale the store \
         deployment to 0), or {}, or wait longer with --swap-wait",
        count(sessions.len(), "session"),
        waited.as_secs(),
        Sessions(sessions),
        who_ends(sessions)
    )]
    InUse {
        /// The target.
        database: String,
        /// Who is connected.
        sessions: Vec<OtherSession>,
        /// How long was waited.
        waited: Duration,
    },
    /// The target cannot be swapped.
    #[error("database {database} cannot be replaced by a swap:\n{}", Lines(reasons))]
    CannotSwap {
        /// The target.
        database: String,
        /// Why, and what to do about it.
        reasons: Vec<String>,
    },
    /// The target cannot be restored in place.
    #[error("database {database} cannot be restored in place:\n{}", Lines(reasons))]
    CannotRestoreInPlace {
        /// The target.
        database: String,
        /// Why, and what to do about it.
        reasons: Vec<String>,
    },
    /// Entries that begin or end transactions, or take one of their own.
    #[error(
        "the archive has what cannot be restored in one transaction; pg_dump does not write \
         it; a swap restores it, which takes a su_username that may create databases:\n{}",
        Lines(.0)
    )]
    TransactionControl(Vec<String>),
    /// What is asked for takes a swap.
    #[error(
        "{0} cannot be used with --strategy in-place, as it takes a second database; leave it out, or use a su_username \
         that may create databases, and no --strategy"
    )]
    NotInPlace(&'static str),
    /// Entries that only a superuser can create, and `su_username` is none.
    #[error(
        "the archive has objects that only a superuser can create, and su_username {login} is not one:\n{}\nlet a \
         superuser create them in the target and restore in place, which leaves them as they are{}; or use a superuser as \
         su_username",
        AllLines(entries),
        if entries.iter().any(|entry| entry.starts_with("EVENT TRIGGER ")) {
            " (event triggers on a function of the superuser's own: username's are dropped and made anew)"
        } else {
            ""
        }
    )]
    NeedsSuperuser {
        /// The role that connects.
        login: String,
        /// The entries.
        entries: Vec<String>,
    },
    /// Objects of others in the target that would be dropped with what is `username`'s, or are in the way.
    #[error(
        "the target cannot be cleared: objects of others would be dropped with those of {owner}, or are in the way:\n{}\n\
         let them be dropped, or given to {owner} (ALTER ... OWNER TO {owner}), by who owns them or a superuser",
        AllLines(obstacles)
    )]
    CannotClear {
        /// `username`, as SQL.
        owner: String,
        /// What is in the way, whose it is, and what it depends on.
        obstacles: Vec<String>,
    },
    /// The server's lock table has no room for a restore in one transaction.
    #[error(
        "a restore in place takes about {needed} locks in its one transaction, and the server has room for about {free}; \
         let max_locks_per_transaction be set to {setting} (it is {current}) and the server be restarted, or use a su_username \
         that may create databases, for a swap"
    )]
    TooManyLocks {
        /// How many locks it takes.
        needed: u64,
        /// How many there are, without those in use.
        free: u64,
        /// What `max_locks_per_transaction` is.
        current: u64,
        /// What it has to be.
        setting: u64,
    },
    /// The target was empty when the restore began, and is no longer.
    #[error(
        "database {database} was empty when this restore began and now holds data ({contents}); stop whoever writes \
         to it and run again, or use --force"
    )]
    Filled {
        /// The target.
        database: String,
        /// What it holds, in words.
        contents: String,
    },
    /// The target was replaced while this restore was being prepared.
    #[error("database {database} was replaced by another restore since this one looked at it; run it again")]
    Changed {
        /// The target.
        database: String,
    },
    /// A database that is not ours has the staging database's name.
    #[error(
        "database {0} has the name that the staging database needs and was not made by pgmig; rename or drop it"
    )]
    NameTaken(String),
    /// What refers to an instance by another ID than the mapping's key came by in a stream before the table that
    /// says whose it is.
    #[error(
        "{place} refers to an instance by {alias}, which is no key of the mapping, and came before the table of \
         instances in this stream, which tells whose it is; restore from a file (it is read twice), or use that ID \
         as the instance's key in the mapping file"
    )]
    LateAlias {
        /// The other ID.
        alias: String,
        /// Where it was found.
        place: String,
    },
    /// The archive holds no store, but the target does.
    #[error(
        "the archive holds no store that pgmig knows (no table of instances), but the target does, with {instances} \
         instances; is it the right backup? give its --profile, or restore into an empty database; of a part of a store, \
         --schema target keeps the instances if the profile has their table among its global_tables"
    )]
    NotAStore {
        /// How many instances the target has.
        instances: usize,
    },
    /// The target is not one into whose own schema rows can be loaded.
    #[error("the target cannot be loaded into with --schema target:\n{}", Lines(.0))]
    TargetObstacles(
        /// What stands in the way, and what to do about it.
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
        /// Every difference, those that can be dealt with among them.
        differences: Vec<TableDifference>,
        /// Rules of the profile that match nothing: what they were meant for is perhaps among the differences.
        idle_rules: Vec<String>,
    },
    /// Rules of the profile cannot be followed.
    #[error("rules of the profile cannot be followed with this archive and this target:\n{}", Lines(.0))]
    TargetRules(
        /// Which, and why.
        Vec<String>,
    ),
    /// The schema cannot be upgraded, and an upgrade was asked for.
    #[error(
        "there is no way to upgrade the backup's schema, which --schema migrate asks for: {why}; {advice}, or use --schema \
         target to load the rows into the target's own schema"
    )]
    NotMigrated {
        /// Why not.
        why: String,
        /// What would make it possible.
        advice: &'static str,
    },
    /// The archive's schema history is unknown and the target has another schema.
    #[error(
        "the archive's schema history is unknown to pgmig{history}, and the target's schema differs from the \
         archive's:\n{}\n{}{advice}, use --schema archive to give the target the archive's schema, --schema target (by a swap) to \
         load the rows into the target's own, or restore into an empty database",
        Differences(differences),
        if *is_foreseen { "(constraints, indexes, functions and the rest are compared when tables and columns are the same)\n" } else { "" }
    )]
    UnknownHistory {
        /// What is known of the history, in brackets; or nothing.
        history: String,
        /// What would make an upgrade possible.
        advice: &'static str,
        /// How the schemas differ.
        differences: Vec<SchemaDifference>,
        /// Whether only tables and columns were compared, before anything was restored.
        is_foreseen: bool,
    },
    /// The profile that was asked for is not that of the archive.
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
}

/// Why a restore failed. The target is untouched, except where a variant says otherwise.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Refused before anything was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A row was not accepted.
    #[error("{0}")]
    Row(Box<RowError>),
    /// What was to be written could not be.
    #[error("cannot write the script")]
    Output(#[source] std::io::Error),
    /// A script cannot be made of the archive.
    #[error("no script can be made of the archive because of {entry}: {reason}")]
    Script {
        /// The entry.
        entry: String,
        /// What is in the way.
        reason: String,
    },
    /// The archive's own statement failed.
    #[error(
        "could not create {entry}: {message} (SQLSTATE {sqlstate}); it is the archive's entry with dump ID {dump_id}"
    )]
    Entry {
        /// What the entry makes.
        entry: String,
        /// The entry's dump ID.
        dump_id: DumpId,
        /// The server's message.
        message: String,
        /// The server's code.
        sqlstate: String,
    },
    /// What was restored is not what the archive holds.
    #[error("the restored database does not agree with the archive:\n{}", Lines(.0))]
    Verification(Vec<String>),
    /// Constraints of the target's schema do not hold for the archive's rows.
    #[error("the archive's rows violate constraints of the target's schema:\n{}", Lines(.0))]
    Constraints(Vec<String>),
    /// The target's schema is not what its copy was made of.
    #[error(
        "the schema of the target was changed while this restore was under way, or could not be set back as it was; \
         run it again while nobody changes the target:\n{}",
        Lines(.0)
    )]
    SchemaChanged(Vec<String>),
    /// The data of a table are damaged.
    #[error(
        "the data of table {table} cannot be read: {reason}; the archive is damaged, take the backup again"
    )]
    Data {
        /// The table.
        table: String,
        /// What is wrong.
        reason: String,
    },
    /// Stopped because there were warnings.
    #[error("stopped before the target was replaced because of {} (--strict); the target is untouched", count(*.0, "warning"))]
    Strict(usize),
    /// The connection was lost while committing the swap.
    #[error(
        "the connection was lost while the swap was being committed, and the server cannot be reached; when it \
         can, this tells the outcome: {query} -- {swapped_oid} means that the restore is complete, anything else \
         that the target is untouched"
    )]
    OutcomeUnknown {
        /// The query that tells.
        query: String,
        /// Its answer if the swap was committed.
        swapped_oid: u32,
    },
    /// The connection was lost while committing a restore in place.
    #[error(
        "the connection was lost while the restore was being committed, and the server cannot tell yet how that ended; when \
         it can, this does: {query} -- \"committed\" means that the restore is complete, \"aborted\" that the target is \
         untouched"
    )]
    CommitUnknown {
        /// The query that tells, in any database of the server.
        query: String,
    },
    /// A statement ended the transaction that everything is restored in. Nothing of it was committed.
    #[error(
        "{0} ended the transaction in which everything is restored; nothing was committed; transaction control does not \
         belong into a backup"
    )]
    TransactionEnded(String),
    /// Interrupted.
    #[error("interrupted; the target is untouched")]
    Interrupted,
    /// The server sent messages during a load until both sides waited for each other.
    #[error(
        "the load of a table came to a halt because the server sends messages while it takes rows (RAISE INFO in a \
         function that a constraint or a generated column of the table calls?); remove these from the function in the source and \
         take the backup again"
    )]
    Stalled,
    /// A test build stopped here.
    #[error("stopped at the failpoint {0}")]
    Failpoint(Step),
    /// A task of the restore ended unexpectedly: a bug.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

/// A row that the server did not accept. Holds no values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The table, as SQL.
    pub table: String,
    /// The row's number in the archive, from 1; `None` where the server did not say.
    pub row: Option<u64>,
    /// The column, where the server said it.
    pub column: Option<String>,
    /// The server's code.
    pub sqlstate: String,
    /// What the code means, in words.
    pub condition: String,
    /// The violated constraint, where there is one.
    pub constraint: Option<String>,
    /// The partitions of the table and their bounds, where the row fits none.
    pub bounds: Vec<String>,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row {
            Some(row) => write!(f, "row {row} of table {} was refused", self.table)?,
            None => write!(f, "a row of table {} was refused", self.table)?,
        }
        if let Some(column) = &self.column {
            write!(f, " for its column {column}")?;
        }
        write!(f, ": {} (SQLSTATE {})", self.condition, self.sqlstate)?;
        if let Some(constraint) = &self.constraint {
            write!(f, ", constraint {constraint}")?;
        }
        if !self.bounds.is_empty() {
            write!(f, "; it fits none of the partitions:\n{}", Lines(&self.bounds))?;
        }
        Ok(())
    }
}

impl Refusal {
    /// A profile whose table of instances is not there.
    pub fn no_instances(profile: &Profile) -> Self {
        let tenants = profile.tenant().map_or_else(String::new, |tenant| {
            let table = QualifiedName { schema: tenant.schema.clone(), name: tenant.table.clone() };
            let columns: Vec<String> = tenant.columns().map(|column| quote_ident(column)).collect();
            format!("table {table} with the columns {}", columns.join(", "))
        });
        Self::NoInstances { profile: profile.name().to_owned(), tenants }
    }
}

impl RestoreError {
    /// What a caller should conclude.
    pub fn kind(&self) -> ErrorKind {
        match self {
            RestoreError::Refused(_) => ErrorKind::Refused,
            RestoreError::Strict(_) => ErrorKind::Strict,
            RestoreError::OutcomeUnknown { .. } | RestoreError::CommitUnknown { .. } => {
                ErrorKind::OutcomeUnknown
            }
            RestoreError::Interrupted => ErrorKind::Interrupted,
            _ => ErrorKind::Failed,
        }
    }
}

impl From<Refusal> for crate::Error {
    fn from(refusal: Refusal) -> Self {
        RestoreError::from(refusal).into()
    }
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Indented lines, the first [`NAMED`] of them.
struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_lines(f, self.0.iter())
    }
}

/// Indented lines, all of them: an operator has to deal with each.
struct AllLines<'a>(&'a [String]);

impl fmt::Display for AllLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|line| format!("  {line}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// All of them: an operator has to deal with each.
struct Differences<'a>(&'a [SchemaDifference]);

impl fmt::Display for Differences<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|difference| format!("  {difference}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

struct Instances<'a>(&'a [Instance]);

impl fmt::Display for Instances<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |instance: &Instance| match &instance.name {
            Some(name) => format!("{} ({name:?})", instance.id),
            None => format!("{} (no name)", instance.id),
        };
        write_lines(f, self.0.iter().map(line))
    }
}

struct Sessions<'a>(&'a [OtherSession]);

impl fmt::Display for Sessions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(
                "  a lock on the database is held from another one, or its sessions have just ended",
            );
        }
        write_lines(f, self.0.iter())
    }
}

/// What to do about sessions: `su_username` may not be allowed to end them.
fn who_ends(sessions: &[OtherSession]) -> String {
    let others: BTreeSet<String> = sessions
        .iter()
        .filter(|session| !session.can_be_ended)
        .map(|session| quote_ident(&session.role))
        .collect();
    if others.is_empty() {
        return "use --terminate-sessions".to_owned();
    }
    let others: Vec<String> = others.into_iter().collect();
    format!("let a superuser end those of role {}, which su_username may not", others.join(", "))
}

fn write_lines<L: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    lines: impl ExactSizeIterator<Item = L>,
) -> fmt::Result {
    let all = lines.len();
    for (index, line) in lines.take(NAMED).enumerate() {
        let end = if index > 0 { "\n" } else { "" };
        write!(f, "{end}  {line}")?;
    }
    if all > NAMED { write!(f, "\n  and {} more", all - NAMED) } else { Ok(()) }
}
