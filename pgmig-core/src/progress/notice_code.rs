//! The codes of notices: stable names, by which programs tell them apart.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Writes the enum, the names of its variants, and the list of all.
macro_rules! notice_codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What a [`Notice`](super::Notice) is about. A code never changes its name; new ones may come.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum NoticeCode {
            $($(#[$doc])* $variant,)*
        }

        impl NoticeCode {
            /// Every code, in alphabetical order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name, in lower case with hyphens.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

notice_codes! {
    /// A partitioned table lost the access method for its new partitions.
    AccessMethodLost = "access-method-lost",
    /// A table has no statistics, because ANALYZE of it failed.
    AnalyzeFailed = "analyze-failed",
    /// The backup is from a newer PostgreSQL than the server's.
    BackupFromNewerServer = "backup-from-newer-server",
    /// There is nothing that `--resume` could go on with.
    BeginsAnew = "begins-anew",
    /// Bytes follow the end of the archive.
    BytesAfterArchive = "bytes-after-archive",
    /// The backup is of a database in SQL_ASCII, and its bytes are taken for the target's encoding.
    BytesInSqlAscii = "bytes-in-sql-ascii",
    /// The connection broke during the checks, which begin again.
    ChecksRepeated = "checks-repeated",
    /// A function uses an object that `username` may not use.
    ClosedObjectUsed = "closed-object-used",
    /// Code in the backup can act with more rights than those of `username`.
    CodeHasMoreRights = "code-has-more-rights",
    /// A comment on an object of the superuser was left out.
    CommentLeftOut = "comment-left-out",
    /// A staging or previous database of this run is left behind.
    DatabaseLeftBehind = "database-left-behind",
    /// A database looks like a previous one of the target, but is not taken for one.
    DoubtfulDatabase = "doubtful-database",
    /// The backup defines tables whose rows it does not have.
    EmptyTables = "empty-tables",
    /// The number of entries that the selection leaves out.
    EntriesLeftOut = "entries-left-out",
    /// An entry is restored because a selected one needs it.
    EntryComesAlong = "entry-comes-along",
    /// An entry is left out.
    EntryLeftOut = "entry-left-out",
    /// An entry is skipped.
    EntrySkipped = "entry-skipped",
    /// An extension that only the target has was created again.
    ExtensionCreatedAgain = "extension-created-again",
    /// An extension of the target is in another schema than in the backup.
    ExtensionInOtherSchema = "extension-in-other-schema",
    /// An extension that only the target has was not created again.
    ExtensionNotCreated = "extension-not-created",
    /// Rows of an extension's table replace those of the target.
    ExtensionRowsReplaced = "extension-rows-replaced",
    /// An extension will have another version than the target has, or than the server's newest.
    ExtensionVersion = "extension-version",
    /// Fewer connections are used than `--jobs` asks for.
    FewerConnections = "fewer-connections",
    /// A backup is kept, or a file is no backup.
    FileKept = "file-kept",
    /// `username` grants a privilege in place of another role.
    GrantorReplaced = "grantor-replaced",
    /// The migration history of the backup has another version than the target's.
    HistoryDiffers = "history-differs",
    /// The migration history of the backup says that a migration has failed.
    HistoryIsDirty = "history-is-dirty",
    /// Old instance IDs are still in binary data.
    IdsInBinaryData = "ids-in-binary-data",
    /// The interrupted run gave warnings, which only its own output shows.
    InterruptedRunHadWarnings = "interrupted-run-had-warnings",
    /// Migrations that belong to no release are not applied.
    LaterMigrations = "later-migrations",
    /// A database or a role of an earlier run cannot be removed.
    LeftoverNotRemoved = "leftover-not-removed",
    /// A role of an earlier run was removed.
    LeftoverRemoved = "leftover-removed",
    /// A server process may hold its locks on the target for a while.
    LocksStillHeld = "locks-still-held",
    /// Login event triggers of the target fire for pgmig's sessions.
    LoginTriggersFire = "login-triggers-fire",
    /// A table has the name of a migration tool's history, and gets the backup's rows.
    LooksLikeHistory = "looks-like-history",
    /// A migration tool holds a lock in the target, or its lock in the backup was released.
    MigrationToolLock = "migration-tool-lock",
    /// Migrations that were given are not applied.
    MigrationsNotUsed = "migrations-not-used",
    /// Objects of other roles stay in the target.
    ObjectsOfOthersStay = "objects-of-others-stay",
    /// A table WITH OIDS is restored without them.
    OidsDropped = "oids-dropped",
    /// An object or a table that only the target has is lost, or keeps its rows.
    OnlyInTarget = "only-in-target",
    /// The order in which the target's triggers fire for the rows of a stream can make a difference.
    OrderUnknown = "order-unknown",
    /// Other sessions are connected to the target.
    OtherSessions = "other-sessions",
    /// Objects of another role will belong to `username`.
    OwnerChanged = "owner-changed",
    /// The backup does not have all columns in which the profile moves owners.
    OwnerColumnsMissing = "owner-columns-missing",
    /// Pg_dump sends the password to a server that it has not verified.
    PasswordToAnyServer = "password-to-any-server",
    /// A pattern of the selection matches nothing.
    PatternWithoutMatch = "pattern-without-match",
    /// A warning of pg_dump itself.
    PgDump = "pg-dump",
    /// Pg_dump is another version than the server, or one with a known hole.
    PgDumpIsOld = "pg-dump-is-old",
    /// Privileges are not those of the backup.
    PrivilegesDiffer = "privileges-differ",
    /// Default privileges of another role were left out.
    PrivilegesLeftOut = "privileges-left-out",
    /// Properties of the database have changed since it was replaced.
    PropertiesChanged = "properties-changed",
    /// Schema public keeps the owner that it has in the target.
    PublicOwnerKept = "public-owner-kept",
    /// The target will have another release than it has now.
    ReleaseDiffers = "release-differs",
    /// Replication slots come with a database.
    ReplicationSlots = "replication-slots",
    /// A restore goes on with an interrupted one.
    Resumed = "resumed",
    /// The temporary role is left behind.
    RoleLeftBehind = "role-left-behind",
    /// Privileges name a role that the server does not have.
    RoleMissing = "role-missing",
    /// Rows were compared with those that were sent.
    RowsCompared = "rows-compared",
    /// Rows that only the target has are kept.
    RowsKept = "rows-kept",
    /// Rows were not compared.
    RowsNotCompared = "rows-not-compared",
    /// Rows that only the target has are lost.
    RowsOfTargetLost = "rows-of-target-lost",
    /// A rule of the profile does nothing.
    RuleDoesNothing = "rule-does-nothing",
    /// Code of the target runs as `su_username` while rows are loaded.
    RunsAsSuperuser = "runs-as-superuser",
    /// The encryption key must be saved beside the backup.
    SaveEncryptionKey = "save-encryption-key",
    /// The backup does not have the schema that the profile names.
    SchemaMissing = "schema-missing",
    /// The schema of the backup was restored without an upgrade.
    SchemaNotUpgraded = "schema-not-upgraded",
    /// Nothing shows whether a script is complete.
    ScriptWithoutComments = "script-without-comments",
    /// The target does not have some sequences of the backup.
    SequencesMissing = "sequences-missing",
    /// Another server could answer in place of this one.
    ServerNotVerified = "server-not-verified",
    /// A session cannot be ended, or cannot be looked into.
    SessionNotEnded = "session-not-ended",
    /// No synchronous standby has confirmed the restore.
    StandbyNotConfirmed = "standby-not-confirmed",
    /// Properties of the target that had changed during the restore were put back.
    StatePutBack = "state-put-back",
    /// A statement of another session was cancelled.
    StatementCancelled = "statement-cancelled",
    /// Planner statistics of the backup were skipped.
    StatisticsSkipped = "statistics-skipped",
    /// How the target is replaced, and why.
    Strategy = "strategy",
    /// Subscriptions of the target lose their tables.
    SubscriptionsLoseTables = "subscriptions-lose-tables",
    /// A database stays in its tablespace.
    TablespaceKept = "tablespace-kept",
    /// The server does not have a tablespace.
    TablespaceMissing = "tablespace-missing",
    /// Privileges of the target will be lost.
    TargetPrivilegesLost = "target-privileges-lost",
    /// Code in the backup has changed the password of the temporary role.
    TemporaryPasswordChanged = "temporary-password-changed",
    /// Triggers of the target fire, or are kept off, while rows are loaded.
    TriggersOfTarget = "triggers-of-target",
    /// It is not known when a database was replaced.
    UndatedDatabase = "undated-database",
    /// A source of the mapping is not an instance of the backup.
    UnknownSource = "unknown-source",
    /// A source of the mapping occurs nowhere in the backup.
    UnusedSource = "unused-source",
    /// Pgmig waits for something.
    Waiting = "waiting",
    /// Other sessions were connected while the target was backed up.
    WrittenSinceBackup = "written-since-backup",
}

impl fmt::Display for NoticeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for NoticeCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for NoticeCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let code = Self::ALL.iter().copied().find(|code| code.name() == name);
        code.ok_or_else(|| D::Error::custom("unknown code of a notice"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_alphabetical_order_and_differ() {
        assert!(NoticeCode::ALL.is_sorted_by(|one, next| one.name() < next.name()));
    }
}
