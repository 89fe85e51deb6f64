//! The codes of errors of servers: the target, the Resource Controller, pg_dump.

use super::codes;
use crate::dump::DumpError;
use crate::resource_controller::{ResourceControllerConfigError, ResourceControllerError};
use crate::server::TargetError;

const DISK_FULL: &str = "53100";
const TOO_MANY_CONNECTIONS: &str = "53300";
const CANCELLED: &str = "57014";

codes! { TargetError {
    "server-unreachable" Failed: Self::Unreachable { .. },
    "too-many-files" Failed: Self::TooManyFiles { .. },
    "server-timeout" Failed: Self::Timeout { .. },
    "login-failed" Failed: Self::WrongPassword { .. } | Self::NoPassword { .. } | Self::UnknownRole { .. } | Self::NotAdmitted { .. }
        | Self::LoginStopped { .. },
    "owner-unknown" Failed: Self::UnknownOwner { .. },
    "connection-pooler" Failed: Self::Pooler { .. },
    "database-unknown" Failed: Self::UnknownDatabase { .. },
    "tls-failed" Failed: Self::Tls { .. },
    "tls-setup" Failed: Self::CaFile { .. } | Self::TlsSetup { .. },
    "connection-lost" Failed: Self::Server(error) if error.connection_lost,
    "server-disk-full" Failed: Self::Server(error) if error.sqlstate.as_deref() == Some(DISK_FULL),
    "too-many-connections" Failed: Self::Server(error) if error.sqlstate.as_deref() == Some(TOO_MANY_CONNECTIONS),
    "statement-cancelled" Failed: Self::Server(error) if error.sqlstate.as_deref() == Some(CANCELLED),
    "statement-failed" Failed: Self::Server(_),
}}

codes! { ResourceControllerConfigError {
    "config-invalid" Usage: Self::Invalid { .. },
    ;
    Self::File(error) => error,
}}

codes! { ResourceControllerError {
    "resource-controller-token" Failed: Self::TokenRefused { .. },
    "resource-controller-untrusted" Usage: Self::UntrustedCertificate(_),
    "resource-controller-unreachable" Failed: Self::Unreachable { .. } | Self::Timeout { .. } | Self::Tls { .. }
        | Self::TlsSetup(_),
    "resource-controller-answer" Failed: Self::NotFound { .. } | Self::Redirected { .. } | Self::Busy { .. } | Self::Status { .. }
        | Self::WebPage { .. } | Self::Truncated { .. } | Self::TooLarge { .. } | Self::UnexpectedAnswer { .. }
        | Self::TooManyInstances { .. },
    "config-invalid" Usage: Self::NoToken | Self::InvalidToken { .. },
    "config-unreadable" Usage: Self::CaFile { .. },
    ;
    Self::Config(error) => error,
}}

codes! { DumpError {
    "pg-dump-missing" Refused: Self::NoPgDump { .. } | Self::TooOld { .. },
    "pg-dump-unusable" Usage: Self::NotPgDump { .. } | Self::NotHonoured { .. },
    "file-exists" Refused: Self::Exists(_),
    "backup-not-written" Failed: Self::File { .. } | Self::Output(_) | Self::Password(_),
    "pg-dump-failed" Failed: Self::Failed { .. },
    "backup-unsound" Failed: Self::Unsound(_) | Self::Trailing,
    "interrupted" Interrupted: Self::Interrupted,
}}
