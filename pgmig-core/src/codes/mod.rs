//! The codes of errors: stable names, by which programs tell failures apart, each with its [`ErrorKind`].
//!
//! Every variant of every error has a row in one of the tables below, which the compiler demands. Several variants may
//! share a code, if a program would do the same about them. A code never changes its name or its kind.

mod input;
mod restore;
mod server;

use crate::archive::{ArchiveError, ErrorClass};
use crate::backup::BackupError;
use crate::dump::DumpError;
use crate::error::Error;
use crate::instance::{DiscoverError, MappingError};
use crate::migrations::SchemaError;
use crate::outcome::ErrorKind;
use crate::profile::ProfileError;
use crate::resource_controller::ResourceControllerError;
use crate::restore::{PreviousRefusal, Refusal, RestoreError, ResumeRefusal};
use crate::selection::SelectionError;
use crate::server::{ConfigError, TargetError};
use crate::verify::Fault;

/// The stable name of a failure, and its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErrorCode {
    /// The name, in lower case with hyphens.
    pub name: &'static str,
    /// What became of the target.
    pub kind: ErrorKind,
}

/// An error whose variants have codes.
pub(crate) trait Coded {
    /// Every code that the error itself can have.
    const CODES: &'static [ErrorCode];

    /// The code.
    fn code(&self) -> ErrorCode;
}

/// The table of an error: for each pattern the code and its kind; then, for errors that wrap another one, that one.
macro_rules! codes {
    ($error:ty {
        $($name:literal $kind:ident: $pattern:pat $(if $guard:expr)?,)*
        $(; $($outer:pat => $inner:expr,)*)?
    }) => {
        impl $crate::codes::Coded for $error {
            const CODES: &'static [$crate::codes::ErrorCode] = &[$($crate::codes::ErrorCode {
                name: $name,
                kind: $crate::outcome::ErrorKind::$kind,
            },)*];

            fn code(&self) -> $crate::codes::ErrorCode {
                match self {
                    $($pattern $(if $guard)? => $crate::codes::ErrorCode {
                        name: $name,
                        kind: $crate::outcome::ErrorKind::$kind,
                    },)*
                    $($($outer => $crate::codes::Coded::code($inner),)*)?
                }
            }
        }
    };
}
use codes;

codes! { Error {
    ;
    Self::Archive(error) => error,
    Self::Verify(error) => error,
    Self::Mapping(error) => error,
    Self::Discover(error) => error,
    Self::Backup(error) => error,
    Self::Config(error) => error,
    Self::Profile(error) => error,
    Self::Target(error) => error,
    Self::ResourceController(error) => error,
    Self::Selection(error) => error,
    Self::Schema(error) => error,
    Self::Dump(error) => error,
    Self::Restore(error) => error,
}}

impl Error {
    /// The error's code.
    pub fn code(&self) -> ErrorCode {
        Coded::code(self)
    }
}

impl ErrorCode {
    /// Every code that [`Error::code`] can return, in alphabetical order.
    pub fn all() -> Vec<Self> {
        let tables: [&[Self]; 15] = [
            ErrorClass::CODES,
            Fault::CODES,
            MappingError::CODES,
            DiscoverError::CODES,
            BackupError::CODES,
            ConfigError::CODES,
            ProfileError::CODES,
            TargetError::CODES,
            ResourceControllerError::CODES,
            SelectionError::CODES,
            SchemaError::CODES,
            DumpError::CODES,
            RestoreError::CODES,
            Refusal::CODES,
            ResumeRefusal::CODES,
        ];
        let mut all: Vec<Self> = tables.concat();
        all.extend(PreviousRefusal::CODES);
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Coded for ArchiveError {
    const CODES: &'static [ErrorCode] = &[];

    fn code(&self) -> ErrorCode {
        self.class().code()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_code_has_one_kind_and_a_plain_name() {
        let all = ErrorCode::all();
        let names: BTreeSet<_> = all.iter().map(|code| code.name).collect();
        assert_eq!(names.len(), all.len(), "a code with two kinds: {all:?}");
        let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        assert!(names.iter().all(|name| is_plain(name)), "{names:?}");
        assert!(names.len() > 60, "{}", names.len());
    }

    #[test]
    fn an_error_that_wraps_another_one_has_its_code() {
        let refused = Error::from(Refusal::ScriptStream);
        assert_eq!(refused.code().name, "needs-a-file");
        assert_eq!(refused.kind(), ErrorKind::Refused);
        let kept = RestoreError::Kept { because: Box::new(refused), staging: "x".to_owned() };
        assert_eq!(Error::from(kept).code().name, "needs-a-file");
    }
}
