//! The codes of a restore that is refused or fails.

use super::codes;
use crate::restore::{PreviousRefusal, Refusal, RestoreError, ResumeRefusal};

codes! { RestoreError {
    "row-refused" Failed: Self::Row(_),
    "output-failed" Failed: Self::Output(_),
    "script-impossible" Failed: Self::Script { .. },
    "entry-failed" Failed: Self::Entry { .. },
    "verification-failed" Failed: Self::Verification(_),
    "constraints-violated" Failed: Self::Constraints(_),
    "target-schema-changed" Failed: Self::SchemaChanged(_),
    "backup-damaged" Failed: Self::Data { .. },
    "row-too-large" Failed: Self::RowTooLarge { .. },
    "strict" Strict: Self::Strict(_),
    "outcome-unknown" OutcomeUnknown: Self::SwapOutcomeUnknown { .. } | Self::InPlaceOutcomeUnknown { .. },
    "committed-early" OutcomeUnknown: Self::CommittedEarly { .. },
    "commit-timeout" Failed: Self::CommitTimeout { .. },
    "open-files-limit" Refused: Self::OpenFiles { .. },
    "connection-lost" Failed: Self::CommitLost,
    "source-stalled" Failed: Self::SourceStalled { .. },
    "transaction-ended" Failed: Self::TransactionEnded(_),
    "database-properties-changed" Touched: Self::StateChanged { .. },
    "database-properties-put-back" Failed: Self::StatePutBack { .. } | Self::StateWouldChange(_),
    "session-changed" Failed: Self::SessionChanged { .. },
    "extension-unsafe" Failed: Self::ExtensionSchema { .. },
    "previous-not-dropped" Failed: Self::NotDropped { .. },
    "interrupted" Interrupted: Self::Interrupted,
    "server-messages" Failed: Self::Stalled,
    "failpoint" Failed: Self::Failpoint(_),
    "internal" Failed: Self::Internal(_),
    ;
    Self::Refused(refusal) => refusal,
    Self::Kept { because, .. } => because.as_ref(),
}}

codes! { Refusal {
    "target-not-empty" Refused: Self::WouldErase { .. },
    "system-database" Refused: Self::SystemDatabase { .. },
    "mapping-contradicted" Refused: Self::Mapping(_),
    "mapping-unused-source" Refused: Self::UnusedSources { .. },
    "profile-without-columns" Refused: Self::NoOwnerColumns(..),
    "no-upgrade" Refused: Self::NoUpgrade { .. } | Self::NotMigrated { .. },
    "partial-backup" Refused: Self::Partial(_),
    "foreign-data" Refused: Self::ForeignData(_),
    "encoding" Refused: Self::Encoding(_) | Self::RawNames(..),
    "needs-a-file" Refused: Self::ScriptStream | Self::ScriptEncoding(_) | Self::LateAlias { .. },
    "locked" Refused: Self::Locked { .. },
    "target-in-use" Refused: Self::InUse { .. },
    "cannot-swap" Refused: Self::CannotSwap { .. },
    "cannot-restore-in-place" Refused: Self::CannotRestoreInPlace { .. } | Self::TransactionControl(_),
    "needs-swap" Refused: Self::NotInPlace(_),
    "needs-superuser" Refused: Self::NeedsSuperuser { .. },
    "extensions" Refused: Self::Extensions(..),
    "archive-login" Refused: Self::ArchiveLogin { .. },
    "needs-trust" Refused: Self::NeedsTrust { .. },
    "cannot-clear" Refused: Self::CannotClear { .. },
    "too-many-locks" Refused: Self::TooManyLocks { .. },
    "target-filled" Refused: Self::Filled { .. },
    "target-changed" Refused: Self::Changed { .. },
    "name-taken" Refused: Self::NameTaken(_),
    "no-table-in-common" Refused: Self::NoTableInCommon,
    "not-a-store" Refused: Self::NotAStore { .. },
    "target-schema-obstacles" Refused: Self::TargetObstacles(..),
    "target-schema-differs" Refused: Self::TargetSchema { .. },
    "target-schema-rules" Refused: Self::TargetRules(..),
    "history-unknown" Refused: Self::UnknownHistory { .. },
    "profile-does-not-fit" Refused: Self::NoInstances { .. },
    ;
    Self::Resume(refusal) => refusal,
    Self::Previous(refusal) => refusal,
}}

codes! { ResumeRefusal {
    "not-resumable" Refused: Self::NotResumable { .. } | Self::HalfMigrated { .. },
    "resume-other-restore" Refused: Self::OtherRestore { .. } | Self::RecordChanged { .. },
    "staging-in-use" Refused: Self::StagingInUse { .. },
}}

codes! { PreviousRefusal {
    "previous-none" Refused: Self::NoneKept { .. },
    "previous-unknown" Refused: Self::Unknown { .. },
    "previous-not-ours" Refused: Self::NotMarked { .. } | Self::IsTarget { .. } | Self::OfAnotherTarget { .. } | Self::Copied { .. }
        | Self::Staging { .. } | Self::Renamed { .. } | Self::OtherOwner { .. } | Self::Invalid { .. } | Self::Ambiguous { .. },
    "previous-not-put-back" Refused: Self::CannotPutBack { .. },
    "previous-not-droppable" Refused: Self::CannotDrop { .. },
    "previous-in-use" Refused: Self::InUse { .. },
    "previous-changed" Refused: Self::Changed { .. },
}}
