//! An attack by the author of the archive, and how the tests try it.

use super::forge::{self, Form};
use super::world::{ATTACKER, NOT_OF_USERNAME, Setting, World};
use crate::support::store::ROW_VALUE;
use crate::support::{Database, Outcome};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// The required end of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// Status 0: the attack's code is allowed where it runs.
    Restored,
    /// With status 3, for every login.
    Refused,
    /// Status 3 or 1: the login and the strategy decide whether pgmig knows of it beforehand.
    Stopped,
    /// Any status: the attack has no effect, or harms only this restore.
    Unharmed,
}

/// The effect of the attack without pgmig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Works {
    /// It works if a superuser restores as the owner (`pg_restore --role`), as pgmig did before it had a login of its
    /// own.
    UnderRole,
    /// It works if a superuser restores.
    AsSuperuser,
    /// It works if a restore is one transaction: the restore fails, and a part of it stays.
    Commits,
    /// If a superuser restores as the owner, another database of the owner changes, or a role.
    ChangesState,
    /// It works when a superuser runs this in the restored database.
    Until(&'static str),
    /// It has no effect: PostgreSQL prevents it, or it attacks a session that only pgmig has.
    Nowhere,
}

/// An attack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vector {
    pub(super) name: &'static str,
    /// The statements that make the source.
    pub(super) source: &'static str,
    /// Whether a superuser made the source; otherwise its owner did. An attacker who forges an archive can have either.
    by_superuser: bool,
    form: Form,
    dump_args: &'static [&'static str],
    edits: &'static [(&'static str, &'static str)],
    works: Works,
    ends: Ends,
    settings: &'static [Setting],
    /// Reverts, as superuser, the changes that the proof made to the cluster.
    undo: &'static str,
    /// Words that the message must contain if the state has changed.
    names: &'static [&'static str],
}

impl Vector {
    /// An attack by the owner of the source in an archive that pg_dump wrote. The restore has no special options.
    pub(super) const fn genuine(name: &'static str, source: &'static str) -> Self {
        Self {
            name,
            source,
            by_superuser: false,
            form: Form::Custom,
            dump_args: &[],
            edits: &[],
            works: Works::UnderRole,
            ends: Ends::Restored,
            settings: Setting::ALL,
            undo: "",
            names: &[],
        }
    }

    /// An attack by replacing texts of an archive.
    pub(super) const fn forged(
        name: &'static str,
        form: Form,
        source: &'static str,
        edits: &'static [(&'static str, &'static str)],
    ) -> Self {
        let settings = Setting::AS_SUPERUSER;
        Self { form, edits, ends: Ends::Unharmed, settings, ..Self::genuine(name, source) }
    }

    pub(super) const fn by_superuser(self) -> Self {
        Self { by_superuser: true, works: Works::AsSuperuser, ..self }
    }

    pub(super) const fn works(self, works: Works) -> Self {
        Self { works, ..self }
    }

    pub(super) const fn ends(self, ends: Ends) -> Self {
        Self { ends, ..self }
    }

    pub(super) const fn at(self, settings: &'static [Setting]) -> Self {
        Self { settings, ..self }
    }

    pub(super) const fn undo(self, undo: &'static str) -> Self {
        Self { undo, ..self }
    }

    pub(super) const fn names(self, names: &'static [&'static str]) -> Self {
        Self { names, ..self }
    }
}

/// Runs attacks, each with its own archive, by every login and strategy that it concerns. Panics with the names of all
/// attacks that succeeded. `PGMIG_HOSTILE=TEXT` chooses those whose name contains the text.
#[track_caller]
pub(super) fn hold(world: &World, vectors: &[Vector]) {
    let groups: Vec<_> = vectors.iter().map(std::slice::from_ref).collect();
    hold_each(world, &groups);
}

/// Does the same with one archive for all of them, each in its own schema. The same role makes them, all end in the
/// same way, and all are restored from this form of archive.
#[track_caller]
pub(super) fn hold_together(
    world: &World,
    form: Form,
    dump_args: &'static [&'static str],
    settings: &'static [Setting],
    vectors: &[Vector],
) {
    let together: Vec<Vector> =
        vectors.iter().map(|vector| Vector { form, dump_args, settings, ..*vector }).collect();
    hold_each(world, &[&together]);
}

#[track_caller]
fn hold_each(world: &World, groups: &[&[Vector]]) {
    let wanted = std::env::var("PGMIG_HOSTILE").unwrap_or_default();
    let is_wanted = |vector: &Vector| {
        vector.name.contains(&wanted) && vector.edits.iter().all(|(_, to)| world.has_syntax_of(to))
    };
    let mut wrong = Vec::new();
    for vectors in groups.iter().filter(|vectors| vectors.iter().any(is_wanted)) {
        let mut found = Vec::new();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| attempt(world, vectors, &mut found))) {
            found.push(format!("the test itself: {}", text_of(&*panic)));
        }
        let name = if vectors.len() == 1 { vectors[0].name } else { "together" };
        wrong.extend(found.into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{} findings\n{}", wrong.len(), wrong.join("\n"));
}

/// The common part of the source and the target: owners and privileges are the target's.
const CONTENTS: [&str; 2] = ["--no-owner", "--no-privileges"];

pub(super) fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// A vector's SQL. If there are several vectors, each is in a schema of its name.
fn sql_of(world: &World, vector: &Vector, sql: &str, is_alone: bool) -> String {
    let sql = world.armed(vector.name, sql);
    if is_alone { sql } else { sql.replace("public.", &format!("{}.", vector.name)) }
}

/// All effects that the code of these vectors has had since the last call.
fn escapes(world: &World, vectors: &[Vector]) -> Vec<(&'static str, String)> {
    vectors.iter().filter_map(|vector| Some((vector.name, world.escape(vector.name)?))).collect()
}

fn attempt(world: &World, vectors: &[Vector], found: &mut Vec<String>) {
    let first = &vectors[0];
    let (source, is_alone) = (world.source(), vectors.len() == 1);
    for vector in vectors {
        let sql = sql_of(world, vector, vector.source, is_alone);
        let sql = if is_alone { sql } else { format!("CREATE SCHEMA {}; {sql}", vector.name) };
        if vector.by_superuser {
            source.psql(&sql);
        } else {
            world.psql_as(ATTACKER, &source, &sql);
        }
    }
    let _ = escapes(world, vectors);
    let edits: Vec<_> =
        first.edits.iter().map(|(from, to)| ((*from).to_owned(), world.armed(first.name, to))).collect();
    let archive = forge::archive(&source, first.form, first.dump_args, &edits, world.directory.path());
    found.extend(proof(world, vectors, &archive));
    // Forged statements are only in the archive.
    let is_comparable = first.edits.is_empty() && first.ends == Ends::Restored;
    let expected = is_comparable.then(|| source.dump(&CONTENTS));
    for setting in first.settings {
        let what = restore(world, vectors, *setting, &archive, expected.as_ref(), &[]);
        found.extend(what.into_iter().map(|what| format!("{}: {what}", setting.name())));
    }
    // The comparison reads every value of the archive's own tables.
    if first.ends == Ends::Restored && first.settings.contains(&Setting::SwapAsSuperuser) {
        let setting = Setting::SwapAsSuperuser;
        let what = restore(world, vectors, setting, &archive, expected.as_ref(), &["--verify=full"]);
        found.extend(what.into_iter().map(|what| format!("{} with --verify=full: {what}", setting.name())));
    }
}

/// Shows that the attacks work if nothing protects from them.
fn proof(world: &World, vectors: &[Vector], archive: &Path) -> Vec<String> {
    let first = &vectors[0];
    if vectors.iter().all(|vector| vector.works == Works::Nowhere) {
        return Vec::new();
    }
    let before = world.cluster();
    let target = world.target();
    // Another database of the owner.
    let bystander = (first.works == Works::ChangesState).then(|| (world.target(), world.cluster()));
    let content = (first.works == Works::Commits).then(|| target.dump(&[]));
    let is_done = restore_unprotected(world, first, &target, archive);
    for vector in vectors {
        if let Works::Until(sql) = vector.works {
            let _ = world.escape(vector.name);
            target.try_psql(&sql_of(world, vector, sql, vectors.len() == 1));
        }
    }
    let escapes = escapes(world, vectors);
    let has_changed = bystander.as_ref().is_some_and(|(_database, cluster)| *cluster != world.cluster());
    let is_half_done = !is_done && content.is_some_and(|content| content != target.dump(&[]));
    undo(world, first);
    drop((target, bystander));
    assert_eq!(before, world.cluster(), "the proof has changed the cluster");
    let works = |vector: &&Vector| match vector.works {
        Works::Nowhere => true,
        Works::UnderRole | Works::AsSuperuser | Works::Until(_) => {
            escapes.iter().any(|(name, _)| *name == vector.name)
        }
        Works::Commits => is_half_done,
        Works::ChangesState => has_changed,
    };
    let does_not_work = vectors.iter().filter(|vector| !works(vector));
    does_not_work.map(|vector| format!("{} does not work without pgmig", vector.name)).collect()
}

fn undo(world: &World, vector: &Vector) {
    if !vector.undo.is_empty() {
        world.server.psql("postgres", &vector.undo.replace("{verifier}", &world.verifier));
    }
    // Otherwise databases that were renamed, closed or made templates could not be dropped.
    world.server.psql("postgres", "DROP DATABASE IF EXISTS stolen WITH (FORCE)");
    world.reopen_databases();
}

/// Restores as a superuser does without pgmig. Returns whether that succeeds.
fn restore_unprotected(world: &World, vector: &Vector, target: &Database, archive: &Path) -> bool {
    let mut command = world.server.program(if vector.form.is_script() { "psql" } else { "pg_restore" });
    if vector.form.is_script() {
        command.args(["-X", "-q", "-d", &target.name]);
    } else {
        command.args(["--no-owner", "-d", &target.name]);
    }
    if vector.works == Works::Commits {
        command.arg("--single-transaction");
    } else if vector.works != Works::AsSuperuser && !vector.by_superuser {
        command.args(if vector.form.is_script() { ["-c", "SET ROLE app"] } else { ["--role", "app"] });
    }
    if vector.form.is_script() {
        let stop = if vector.works == Works::Commits { "ON_ERROR_STOP=1" } else { "ON_ERROR_STOP=0" };
        command.args(["-v", stop, "-f"]);
    }
    let output = command.arg(archive).stdin(Stdio::null()).output().expect("PostgreSQL's programs run");
    output.status.success()
}

/// Restores with pgmig, and returns all violations that it finds afterwards.
fn restore(
    world: &World,
    vectors: &[Vector],
    setting: Setting,
    archive: &Path,
    expected: Option<&String>,
    options: &[&str],
) -> Vec<String> {
    let (target, vector) = (world.target(), &vectors[0]);
    let before = State::of_a_fresh_target(world, &target);
    let pgmig = world.restore(setting, &target, archive).args(options.iter().copied());
    let outcome = pgmig.timeout(Duration::from_secs(60)).run();
    let mut wrong: Vec<String> =
        escapes(world, vectors).iter().map(|(name, way)| format!("ESCAPED, {name} by {way}")).collect();
    let status = outcome.status.code();
    let is_right = match vector.ends {
        Ends::Restored => status == Some(0),
        Ends::Refused => status == Some(3),
        Ends::Stopped => matches!(status, Some(1 | 3)),
        Ends::Unharmed => matches!(status, Some(0 | 1 | 3)),
    };
    if !is_right {
        wrong.push(format!("{:?} is wanted: {outcome}", vector.ends));
    }
    wrong.extend(before.difference(world, &target, &outcome, vector.names));
    if status == Some(0) {
        let others = target.psql(NOT_OF_USERNAME);
        if !others.is_empty() {
            wrong.push(format!("not of username: {}", others.trim().replace('\n', "; ")));
        }
        if expected.is_some_and(|expected| *expected != target.dump(&CONTENTS)) {
            wrong.push("pg_dump of the source and the target differ".to_owned());
        }
    }
    undo(world, vector);
    wrong
}

/// The target and the cluster before a run.
pub(super) struct State {
    cluster: String,
    database: String,
    dump: String,
}

const DATABASE: &str = "SELECT oid, datname FROM pg_database WHERE datname = current_database()";

impl State {
    pub(super) fn of(world: &World, target: &Database) -> Self {
        Self { cluster: world.cluster(), database: target.psql(DATABASE), dump: world.dump(target) }
    }

    fn of_a_fresh_target(world: &World, target: &Database) -> Self {
        let dump = world.dump_of_a_target(target);
        Self { cluster: world.cluster(), database: target.psql(DATABASE), dump }
    }

    /// Returns a message if the target has changed.
    pub(super) fn change_of_the_target(&self, world: &World, target: &Database) -> Option<String> {
        let is_same = target.psql(DATABASE) == self.database && world.dump(target) == self.dump;
        (!is_same).then(|| "STATE: the target has changed".to_owned())
    }

    /// Forbidden changes: of the cluster in any case, and of the target if the run failed.
    pub(super) fn difference(
        &self,
        world: &World,
        target: &Database,
        outcome: &Outcome,
        names: &[&str],
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let cluster = world.cluster();
        // The attack may have closed the target to connections.
        world.reopen_databases();
        let is_named = !names.is_empty()
            && outcome.status.code() != Some(0)
            && names.iter().all(|name| outcome.stderr.contains(name));
        let is_said_untouched = outcome.stderr.contains("untouched");
        if cluster != self.cluster && (!is_named || is_said_untouched) {
            wrong.push(format!(
                "STATE: {}; pgmig said: {}",
                lines_that_differ(&self.cluster, &cluster),
                outcome.stderr.trim()
            ));
        }
        if outcome.status.code() != Some(0) {
            if !Database::exists(&world.server, &target.name) {
                wrong.push("STATE: the target is gone".to_owned());
            } else if target.psql(DATABASE) != self.database {
                wrong.push("STATE: the target is another database".to_owned());
            } else if world.dump(target) != self.dump && (!is_named || is_said_untouched) {
                wrong.push(format!("STATE: the target has changed; {outcome}"));
            }
        }
        for secret in [ROW_VALUE, &world.server.password] {
            if outcome.stdout.contains(secret) || outcome.stderr.contains(secret) {
                wrong.push("a secret is shown".to_owned());
            }
        }
        wrong
    }
}

pub(crate) fn lines_that_differ(before: &str, after: &str) -> String {
    let of = |one: &str, other: &str, sign: char| -> Vec<String> {
        one.lines()
            .filter(|line| !other.lines().any(|known| known == *line))
            .map(|line| format!("{sign}{line}"))
            .collect()
    };
    [of(before, after, '-'), of(after, before, '+')].concat().join("; ")
}
