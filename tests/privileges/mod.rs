//! Privileges after a restore are those of the backup and of the target, or a warning has the statement that sets them.
//!
//! Of this kind were tried: grants and revokes on functions, views, columns and tables of `pg_catalog`, on members of an
//! extension that a superuser makes, on members of a trusted extension, on a language, on schema `information_schema`;
//! with and without a grant option; privileges that PUBLIC has anyway and privileges that nobody has; default privileges
//! of a role of the platform that exists, that `username` is a member of, that the cluster does not have; the target's
//! default privileges of `username` and of another role, for all schemas and for one; the target's grants on schema
//! public, and what it revokes there from PUBLIC; a backup that has the same privileges as the target; the same by plain
//! scripts from standard input.

mod owners;
mod reports;
mod target;

use crate::support::application::{self, APPLICATION};
use crate::support::pgmig::TargetFile;
use crate::support::role::create_role;
use crate::support::{Database, Outcome, Pgmig, Server};
use std::path::Path;

/// How a restore is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By swap, by a superuser for an ordinary owner.
    Swap,
    /// The same, and the backup is trusted.
    TrustedSwap,
    /// In place, by the owner.
    InPlace,
}

impl Way {
    const ALL: [Self; 3] = [Self::Swap, Self::TrustedSwap, Self::InPlace];

    /// A restore for [`APPLICATION`].
    fn restore(self, target: &Database, archive: &Path, args: &[&str]) -> Outcome {
        self.command(target, args).source(archive).run()
    }

    fn command(self, target: &Database, args: &[&str]) -> Pgmig {
        self.command_for(APPLICATION, application::PASSWORD, target, args)
    }

    /// A restore for a role.
    fn command_for(self, owner: &str, password: &str, target: &Database, args: &[&str]) -> Pgmig {
        let swap = TargetFile { username: owner.to_owned(), ..TargetFile::of(target) };
        let (file, strategy) = match self {
            Self::InPlace => {
                let (su_username, su_password) = (owner.to_owned(), password.to_owned());
                (TargetFile { su_username, su_password, ..swap }, "in-place")
            }
            _ => (swap, "swap"),
        };
        let pgmig = Pgmig::new().target(&file).args(["--keep-ids", "--force", "--schema", "archive"]);
        let pgmig = if self == Self::TrustedSwap { pgmig.arg("--trust-archive") } else { pgmig };
        pgmig.args(["--strategy", strategy]).args(args.iter().copied())
    }
}

/// The warnings that contain a statement about privileges.
fn warnings(outcome: &Outcome) -> Vec<&str> {
    let warnings = outcome.stderr.lines().filter_map(|line| line.strip_prefix("warning: "));
    warnings.filter(|line| line.contains("GRANT") || line.contains("REVOKE")).collect()
}

/// Runs the statements that the warnings name, as a superuser.
fn follow(outcome: &Outcome, target: &Database) {
    for warning in warnings(outcome) {
        let (_, statements) = warning.rsplit_once(": ").expect("a warning ends in its statements");
        target.psql(statements);
    }
}

/// All lines of pg_dump about privileges, sorted.
fn dumped(database: &Database) -> Vec<String> {
    let dump = database.dump(&["--schema-only"]);
    let begins = ["GRANT ", "REVOKE ", "ALTER DEFAULT PRIVILEGES "];
    let lines = dump.lines().filter(|line| begins.iter().any(|begin| line.starts_with(begin)));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A database into which pg_restore has restored the archive as superuser.
fn oracle(archive: &Path) -> Database {
    let oracle = Database::create("oracle");
    oracle.restore_with_pg_restore(archive, &["--no-owner"]);
    oracle
}

fn with_roles(roles: &[&str]) -> Server {
    let server = Server::of_this_run();
    for role in roles {
        create_role(&server, role);
    }
    server
}
