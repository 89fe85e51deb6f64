//! Two stores with different schemas, made by SQL. A test restores one into the other's own schema.

use super::database::Database;
use super::pgmig::{Outcome, Pgmig, TargetFile};
use super::untouched::Before;
use std::path::PathBuf;
use tempfile::TempDir;

/// A source with its archive, and a target.
#[derive(Debug)]
pub(crate) struct TwoSchemas {
    directory: TempDir,
    pub(crate) target: Database,
}

impl TwoSchemas {
    /// Makes both with these statements.
    #[track_caller]
    pub(crate) fn new(source: &str, target: &str) -> Self {
        let (from, to) = (Database::create("from"), Database::create("to"));
        from.psql(source);
        to.psql(target);
        let directory = TempDir::new().expect("a temporary directory can be made");
        from.dump_through_pipe(&[], &directory.path().join("from.dump"));
        Self { directory, target: to }
    }

    pub(crate) fn archive(&self) -> PathBuf {
        self.directory.path().join("from.dump")
    }

    /// A restore with a profile that contains these lines.
    pub(crate) fn restore(&self, rules: &str) -> Pgmig {
        restore_with(&TargetFile::of(&self.target), rules).source(&self.archive())
    }

    /// The same restore from standard input.
    pub(crate) fn restore_stream(&self, rules: &str) -> Pgmig {
        restore_with(&TargetFile::of(&self.target), rules).args(["--source", "-"]).stdin(&self.archive())
    }

    /// Expects that pgmig refuses the restore, that a dry run reports the same, and that the target is unchanged.
    #[track_caller]
    pub(crate) fn is_refused(&self, rules: &str, texts: &[&str]) -> Outcome {
        let before = Before::of(&self.target);
        for pgmig in [self.restore(rules).arg("--dry-run"), self.restore(rules)] {
            let outcome = before.is_now(pgmig.run().expect_status(3));
            for text in texts {
                outcome.assert_stderr_has(text);
            }
        }
        before.is_now(self.restore(rules).run())
    }
}

/// A restore into this target. The profile describes a store without instances and contains these lines.
pub(crate) fn restore_with(target: &TargetFile, rules: &str) -> Pgmig {
    let pgmig = Pgmig::new().target(target);
    let directory = pgmig.directory().join("profile");
    std::fs::create_dir(&directory).expect("a directory can be made");
    std::fs::write(directory.join("releases.yaml"), "1.0.0: 1\n").expect("a file can be written");
    let profile = format!("name: two\nschema: public\n{rules}");
    std::fs::write(directory.join("profile.yaml"), profile).expect("a file can be written");
    pgmig.args(["--profile", "profile", "--schema", "target", "--keep-ids", "--force"])
}
