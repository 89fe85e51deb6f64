//! The order of the rooms in `restore/`: a room imports only rooms that stand below it.
//!
//! This test reads the `use` statements and the paths of every file. A new room is a new name in [`ORDER`].

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The rooms of `restore/`, the highest first. Rooms of one line may import each other.
const ORDER: [&[&str]; 10] = [
    // The entry points for callers.
    &["dry_run", "doctor", "prepared", "previous", "new_target"],
    // The two stories.
    &["swap", "in_place"],
    // Fills one database.
    &["build"],
    // The checks before anything is changed.
    &["preflight"],
    // The rows, and the objects that are created after them.
    &["load"],
    // Lock, journal, leftovers: the same for both stories.
    &["run", "commit", "backup_first"],
    &["target_schema", "clearing", "privileges", "staging", "executor", "archive_login", "failpoint"],
    // The sessions in which pgmig runs its own statements.
    &["superuser_session", "state", "record"],
    // Pure.
    &["plan"],
    &["sessions", "interruption", "error", "refusal", "catalogs", "journal", "report", "options"],
];

/// Files that see all rooms: they only name what each room offers.
const DOORS: [&str; 3] = ["lib.rs", "error.rs", "restore/mod.rs"];

/// Modules that know no network and no database: they import none of [`CONNECTED`]. The archive reader is a crate without
/// such dependencies.
const PURE: [&str; 4] = ["digest/", "rewrite/", "restore/plan/", "migrations/plan.rs"];

/// Crates and modules that connect to a database directly.
const CONNECTED: [&str; 4] = ["crate::server", "sqlx", "sqlx_core", "tokio"];

/// Imports of a higher room that are still there, as `file -> room`. This list may only become shorter.
const KNOWN: [&str; 0] = [];

/// More of them than this means that a room has no inside.
const RESTRICTED: usize = 40;

#[test]
fn no_room_imports_one_above_it() {
    let files = files();
    let exports = exports(&files);
    let found: BTreeSet<String> = files.iter().flat_map(|file| file.upward(&exports)).collect();
    let known: BTreeSet<String> = KNOWN.iter().map(ToString::to_string).collect();
    let new: Vec<_> = found.difference(&known).collect();
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(new.is_empty(), "imports of a room above: {new:#?}");
    assert!(gone.is_empty(), "take these out of KNOWN: {gone:#?}");
}

#[test]
fn every_room_has_a_place_in_the_order() {
    let rooms: BTreeSet<String> =
        files().iter().filter_map(|file| room(&file.name).map(str::to_owned)).collect();
    let ordered: BTreeSet<String> = ORDER.iter().copied().flatten().map(ToString::to_string).collect();
    assert_eq!(rooms, ordered);
}

#[test]
fn pure_modules_import_nothing_that_connects() {
    let connects = |path: &String| CONNECTED.iter().any(|root| is_below(path, root));
    let mut found = Vec::new();
    for file in files().iter().filter(|file| PURE.iter().any(|pure| file.name.starts_with(pure))) {
        found.extend(
            file.paths.iter().filter(|path| connects(path)).map(|path| format!("{}: {path}", file.name)),
        );
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn few_items_are_visible_in_a_part_of_the_crate_only() {
    let count: usize = files().iter().map(|file| file.code.matches("pub(in ").count()).sum();
    assert!(count < RESTRICTED, "{count} items are `pub(in ...)`");
}

#[test]
fn imports_are_read_in_all_their_forms() {
    let graph = |code: &str| paths("restore/load/graph.rs", code);
    assert_eq!(graph("use super::watch;"), ["crate::restore::load::watch"]);
    assert_eq!(graph("pub(crate) use self::a::B as C;"), ["crate::restore::load::graph::a::B"]);
    assert_eq!(
        graph("use crate::restore::{plan::{Plan, Task},\n    error::*};"),
        ["crate::restore::plan::Plan", "crate::restore::plan::Task", "crate::restore::error::*"]
    );
    assert_eq!(graph("let x = crate::restore::swap::run(y);"), ["crate::restore::swap::run"]);
    assert_eq!(paths("restore/swap/mod.rs", "use super::run;"), ["crate::restore::run"]);
    assert!(graph("let x = \"\n    use it again\";").is_empty(), "a line of a text");
    assert_eq!(room("restore/load/graph.rs"), Some("load"));
    assert_eq!(room("restore/run.rs"), Some("run"));
    assert_eq!(room("server/lock.rs"), None);
    let code = without_comments_and_tests(
        "/// crate::a\nx(); // crate::b\n#[cfg(test)]\nmod tests {\ncrate::c\n}\n",
    );
    assert_eq!(code.trim(), "x();");
}

/// A file of the library: its path below `src`, its code, and the paths that the code names.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) code: String,
    paths: Vec<String>,
}

impl File {
    /// The rooms above this file that it imports; a file outside of `restore/` is below all of them.
    fn upward(&self, exports: &BTreeMap<String, String>) -> BTreeSet<String> {
        if DOORS.contains(&self.name.as_str()) {
            return BTreeSet::new();
        }
        let own = room(&self.name).map_or(ORDER.len(), height);
        let rooms = self.paths.iter().filter_map(|path| {
            let first = path.strip_prefix("crate::restore::")?.split("::").next()?;
            Some(exports.get(first).map_or(first, String::as_str))
        });
        let above = rooms.filter(|room| height(room) < own);
        above.map(|room| format!("{} -> {room}", self.name)).collect()
    }
}

/// The line of a room in [`ORDER`]. A name that is no room is a fault of the test, or of the order.
fn height(room: &str) -> usize {
    let line = ORDER.iter().position(|rooms| rooms.contains(&room));
    line.unwrap_or_else(|| panic!("{room} has no place in the order of rooms"))
}

/// The room of a file; `None` outside of `restore/`.
fn room(file: &str) -> Option<&str> {
    let below = file.strip_prefix("restore/").filter(|below| *below != "mod.rs")?;
    let first = below.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

/// The names that `restore/mod.rs` re-exports, with the room of each.
fn exports(files: &[File]) -> BTreeMap<String, String> {
    let paths = &files.iter().find(|file| file.name == "restore/mod.rs").unwrap().paths;
    let split = |path: &String| {
        let (room, rest) = path.strip_prefix("crate::restore::")?.split_once("::")?;
        Some((rest.rsplit("::").next()?.to_owned(), room.to_owned()))
    };
    paths.iter().filter_map(split).collect()
}

pub(crate) fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &mut found);
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        let code = without_comments_and_tests(&std::fs::read_to_string(path).unwrap());
        File { paths: paths(&name, &code), name, code }
    };
    let is_test =
        |file: &File| ["rooms.rs", "flags.rs"].contains(&file.name.as_str()) || file.name.contains("tests");
    found.iter().map(read).filter(|file| !is_test(file)).collect()
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in directory.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code down to the tests at its end, which may import what they like.
fn without_comments_and_tests(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let code = code.split("\n#[cfg(test)]\n#[allow").next().unwrap();
    let lines = code.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths of the imports, and those that begin with `crate::` elsewhere, all from `crate` or from another crate.
fn paths(file: &str, code: &str) -> Vec<String> {
    let module = file.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
    let mut found = Vec::new();
    for statement in code.split(';') {
        match statement.lines().position(is_import) {
            Some(first) => {
                let import = statement.lines().skip(first).collect::<Vec<_>>().join(" ");
                let (_, tree) = import.split_once("use ").unwrap();
                found.extend(expand(tree).iter().map(|path| resolve(path, &module)));
            }
            None => found.extend(inline(statement)),
        }
    }
    found
}

/// Whether an import begins in this line. A line of a text can begin with the word, too, but then no path follows.
fn is_import(line: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line);
    let path = line.strip_prefix("use ").and_then(|path| path.split("::").next());
    path.is_some_and(|root| {
        root.chars().all(|letter| letter.is_alphanumeric() || letter == '_') && line.contains("::")
    })
}

/// Paths in code that begin with `crate::`.
fn inline(code: &str) -> impl Iterator<Item = String> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    code.split("crate::").skip(1).map(move |rest| {
        let path = rest.split(|letter| !is_part(letter)).next().unwrap();
        format!("crate::{}", path.trim_end_matches(':'))
    })
}

/// `a::{b, c::{d}}` as `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap().trim().to_owned()];
    };
    let inside = rest.trim_end().strip_suffix('}').unwrap();
    let (mut depth, mut from, mut parts) = (0, 0, Vec::new());
    for (at, letter) in inside.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(inside.get(from..at).unwrap());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(inside.get(from..).unwrap());
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty()).flat_map(expand);
    parts.map(|part| format!("{prefix}{part}")).collect()
}

/// A path from `crate`, where it begins with `self` or `super`. Others name a crate, or something in the module itself.
fn resolve(path: &str, module: &str) -> String {
    let mut module: Vec<&str> = module.split("::").filter(|name| *name != "lib").collect();
    let mut names: Vec<&str> = path.split("::").collect();
    match names.first() {
        Some(&"self") => drop(names.remove(0)),
        Some(&"super") => {
            while names.first() == Some(&"super") {
                names.remove(0);
                module.pop();
            }
        }
        _ if module.as_slice() == ["restore"] && !path.starts_with("crate::") => {}
        _ => return path.to_owned(),
    }
    ["crate"].into_iter().chain(module).chain(names).collect::<Vec<_>>().join("::")
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}
