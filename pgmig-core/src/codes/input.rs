//! The codes of errors in files: archives, configuration, mappings, profiles, migrations.

use super::codes;
use crate::archive::ErrorClass;
use crate::backup::BackupError;
use crate::config_file::ConfigFileError;
use crate::instance::{DiscoverError, MappingError};
use crate::migrations::SchemaError;
use crate::profile::ProfileError;
use crate::selection::SelectionError;
use crate::server::ConfigError;
use crate::verify::Fault;

codes! { ErrorClass {
    "backup-not-found" Usage: Self::NotFound,
    "backup-unreadable" Failed: Self::Unreadable,
    "not-a-backup" Failed: Self::NotAnArchive,
    "database-not-chosen" Usage: Self::ManyDatabases,
    "database-not-in-backup" Usage: Self::NoSuchDatabase,
    "backup-version" Failed: Self::Version,
    "backup-incomplete" Failed: Self::Incomplete,
    "backup-damaged" Failed: Self::Damaged,
    "script-not-restorable" Failed: Self::Script,
    "backup-not-seekable" Failed: Self::NeedsFile,
    "internal" Failed: Self::Misuse,
}}

codes! { Fault {
    "backup-damaged" Failed: Self::Text { .. } | Self::RawName(..) | Self::Sql { .. } | Self::Row { .. } | Self::Insert { .. }
        | Self::LargeObjectUnknown { .. } | Self::LargeObjectAgain { .. } | Self::LargeObjectTooLarge { .. },
    "backup-incomplete" Failed: Self::LargeObjectMissing { .. },
    "verification-stopped" Failed: Self::Stopped,
    ;
    Self::Archive(error) => error,
}}

codes! { ConfigFileError {
    "config-not-found" Usage: Self::Missing { .. },
    "config-unreadable" Usage: Self::Read { .. },
    "config-mixed-up" Usage: Self::MixedUp { .. },
    "config-invalid" Usage: Self::NotText { .. } | Self::ConnectionString { .. } | Self::Yaml { .. },
}}

codes! { ConfigError {
    "config-not-found" Usage: Self::File(ConfigFileError::Missing { .. }),
    "config-unreadable" Usage: Self::File(ConfigFileError::Read { .. }) | Self::PasswordFile { .. },
    "config-mixed-up" Usage: Self::File(ConfigFileError::MixedUp { .. }),
    "config-invalid" Usage: Self::File(_) | Self::Yaml { .. } | Self::Vcap { .. } | Self::MissingKey { .. }
        | Self::InvalidValue { .. } | Self::InvalidSetting { .. } | Self::Connection { .. },
    "setting-not-supported" Usage: Self::CannotHonour { .. },
    "environment-invalid" Usage: Self::InvalidEnvironment { .. },
}}

codes! { MappingError {
    "mapping-not-written" Failed: Self::Write { .. },
    "mapping-invalid" Usage: Self::Malformed { .. } | Self::DuplicateKey { .. } | Self::BadId { .. } | Self::DuplicateTarget { .. }
        | Self::DuplicatePair { .. },
    "mapping-does-not-fit" Usage: Self::TargetIsSource { .. } | Self::Reversed | Self::NotProvisioned { .. } | Self::TwoKeys { .. }
        | Self::AmbiguousKey { .. } | Self::SharedAlias { .. } | Self::NoNumber { .. } | Self::AliasForm { .. },
    "too-few-provisioned" Refused: Self::TooFewProvisioned { .. },
    ;
    Self::File(error) => error,
}}

codes! { DiscoverError {
    "instances-unreadable" Failed: Self::NoColumn { .. } | Self::FieldCount { .. } | Self::BadId { .. } | Self::DuplicateId { .. }
        | Self::BadBoolean { .. },
}}

codes! { BackupError {
    "instances-not-mapped" Refused: Self::Unmapped(_),
    "backup-damaged" Failed: Self::Data { .. },
    "no-threads" Failed: Self::NoThread(_),
    "internal" Failed: Self::ThreadDied,
    "interrupted" Interrupted: Self::Interrupted,
}}

codes! { ProfileError {
    "profile-unreadable" Usage: Self::Read { .. },
    "profile-invalid" Usage: Self::Invalid { .. } | Self::Release { .. },
    "profile-unknown" Usage: Self::UnknownName { .. },
}}

codes! { SelectionError {
    "selection-invalid" Usage: Self::Pattern { .. } | Self::ListLine { .. } | Self::ListFile { .. },
    "selection-does-not-fit" Refused: Self::OtherList { .. } | Self::NoMatch { .. } | Self::NoDefinitions(_) | Self::NoData
        | Self::RowsLost(..) | Self::Instances(..),
}}

codes! { SchemaError {
    "migrations-invalid" Usage: Self::Read { .. } | Self::NotUtf8 { .. } | Self::ByteOrderMark { .. } | Self::MisnamedFile { .. }
        | Self::Reversible { .. } | Self::DuplicateVersion { .. } | Self::MissingVersion { .. } | Self::NoMigrations { .. }
        | Self::UnknownSet { .. } | Self::ReleaseWithoutMigration { .. } | Self::Split { .. } | Self::CopyThroughClient { .. }
        | Self::OutsideTransaction { .. } | Self::TransactionControl { .. },
    "release-unknown" Refused: Self::UnknownRelease { .. },
    "history-invalid" Refused: Self::HistoryRow { .. } | Self::Dirty { .. } | Self::ChecksumChanged { .. }
        | Self::HistoryGap { .. } | Self::UnknownVersion { .. },
    "backup-newer-than-target" Refused: Self::NewerThanTarget { .. },
    "history-unknown" Refused: Self::UnknownHistory(_),
    "migration-needs-swap" Refused: Self::NeedsOwnTransaction { .. },
    "history-locked" Refused: Self::Locked { .. },
    "migration-failed" Failed: Self::Migration { .. },
    ;
    Self::Target(error) => error,
}}
