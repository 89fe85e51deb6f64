//! Maps instances as an operator does: at a terminal, with piped answers, with files, and by `pgmig mapping`.

use crate::support::document::document;
use crate::support::pgmig::TargetFile;
use crate::support::resource_controller::{Controller, TOKEN};
use crate::support::store::Backup;
use crate::support::{Outcome, Pgmig};
use serde_json::{Value, json};
use std::path::Path;

/// The instances of the backup in the order of its rows: "Contoso Bank", "Zweig ...", and one without a name.
const CONTOSO: &str = "00000000-0000-0000-0000-001570184978";
const ZWEIG: &str = "e10001eb-6272-453a-bb43-3dcf0e765892";
const UNNAMED: &str = "00000000-0000-0000-1764-035503433645";

/// The target's instances, in the order of the list.
const TARGETS: [&str; 4] = [
    "00000000-0000-0000-0000-001570194490",
    "00000000-0000-0000-0000-001570194491",
    "00000000-0000-0000-0000-001570194492",
    "00000000-0000-0000-0000-001570194493",
];

fn instance(number: u64, name: &str) -> Value {
    json!({ "id": number.to_string(), "name": name })
}

/// A Resource Controller with the first `count` of [`TARGETS`]. Number 2 has the name of an instance of the backup.
fn controller(count: usize) -> Controller {
    let names = ["first", "Contoso Bank", "third", "fourth"];
    let numbered = (1_570_194_490..).zip(names).take(count);
    Controller::gateway(numbered.map(|(number, name)| instance(number, name)).collect())
}

/// `pgmig mapping` of this backup.
fn mapping(backup: &Path, controller: &Controller) -> Pgmig {
    Pgmig::new()
        .arg("mapping")
        .source(backup)
        .file("resourceController.yaml", &controller.yaml(TOKEN, None))
        .args(["-r", "resourceController.yaml", "--no-progress"])
}

/// Answers from a pipe.
fn answers(pgmig: Pgmig, answers: &str) -> Pgmig {
    let pgmig = pgmig.file("answers", answers);
    let file = pgmig.directory().join("answers");
    pgmig.stdin(&file)
}

fn yaml(pairs: &[(&str, &str)]) -> String {
    let lines: String = pairs.iter().map(|(source, target)| format!("  {source}: {target}\n")).collect();
    format!("instance-mappings:\n{lines}")
}

/// The mapping file, without its comments.
#[track_caller]
fn written(directory: &Path) -> String {
    let text =
        std::fs::read_to_string(directory.join("enteredMapping.yaml")).expect("the mapping was written");
    without_comments(&text)
}

fn without_comments(yaml: &str) -> String {
    yaml.split_inclusive('\n').filter(|line| !line.trim_start().starts_with('#')).collect()
}

/// Checks that a run wrote neither a mapping nor a part of one.
#[track_caller]
fn wrote_nothing(directory: &Path) {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.filter(|name| name.to_string_lossy().contains("apping")).collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn answers_can_be_piped() {
    let backup = Backup::of_oldest_release();
    let controller = controller(4);
    // The answers: the default, a number, an ID. A number that was chosen before is refused.
    let input = format!("\n2\n4\n{}\n", TARGETS[0].to_uppercase());
    let outcome = answers(mapping(&backup.archive, &controller), &input).run().expect_status(0);
    let expected = yaml(&[(CONTOSO, TARGETS[1]), (ZWEIG, TARGETS[3]), (UNNAMED, TARGETS[0])]);
    assert_eq!(written(outcome.directory.path()), expected);
    let outcome = outcome
        .stderr_has("Instance 1 of 3 of the backup")
        .stderr_has("Target of \"Contoso Bank\" (Enter for 2, 0 for details): ")
        .stderr_has("Target of \"Zweig \\\"Söhne\\\"\" (0 for details, b to go back): 2")
        .stderr_has("is not free: another instance of the backup has it")
        .stderr_has(&format!("Target of {UNNAMED} (0 for details, b to go back): "))
        .stderr_has("The mapping")
        .stderr_has("notice: mapping saved in enteredMapping.yaml")
        .stderr_has("1 instance of the target gets no data from the backup")
        .stderr_has(TARGETS[2])
        .keeps_secret(TOKEN);
    assert_eq!(outcome.stdout, "");
}

#[test]
fn the_file_gives_itself_again() {
    let backup = Backup::of_oldest_release();
    let controller = controller(4);
    let first = answers(mapping(&backup.archive, &controller), "1\n2\n3").run().expect_status(0);
    let entered = written(first.directory.path());
    // pgmig asks nothing: standard input is empty.
    let again = mapping(&backup.archive, &controller)
        .file("entered.yaml", &entered)
        .args(["--mapping", "entered.yaml"])
        .run()
        .expect_status(0);
    assert_eq!(written(again.directory.path()), entered);
    assert!(!again.stderr.contains("Target of"), "{again}");
}

#[test]
fn at_a_terminal() {
    let backup = Backup::of_oldest_release();
    let controller = controller(3);
    let mut terminal = mapping(&backup.archive, &controller).at_terminal();
    terminal.sees("Instance 1 of 3 of the backup").sees("us-south").sees("Enter for 2, 0 for details): ");
    terminal.types("0").sees("aliases  1570184978").sees("store.workspace").sees("0 for details): ");
    terminal.types("4").sees("There is no number 4. Type the number of a free one").sees("0 for details): ");
    terminal.types("nobody").sees("No free instance has \"nobody\" in its name or ID").sees("details): ");
    terminal.types("third").sees(TARGETS[2]).sees("0 for details): ");
    terminal.types("").sees("Instance 2 of 3 of the backup").sees("eu-de").sees("b to go back): ");
    terminal.types("").sees("There is no default here").sees("b to go back): ");
    terminal.types(TARGETS[1]).sees("is not free").sees("b to go back): ");
    terminal.types("b").sees("Instance 1 of 3 of the backup").sees("0 for details): ");
    terminal.types("3").sees("Instance 2 of 3 of the backup").sees("b to go back): ");
    terminal.types("1").sees("Instance 3 of 3 of the backup").sees("(no name)").sees("b to go back): ");
    terminal.types("1").sees("is not free").sees("b to go back): ");
    terminal.types("2").sees("The mapping").sees("Zweig").sees("first").sees("change the last answer): ");
    terminal.types("what").sees("Press Enter to accept the mapping").sees("change the last answer): ");
    terminal.types("b").sees("Instance 3 of 3 of the backup").sees("b to go back): ");
    terminal.types("b").sees("Instance 2 of 3 of the backup").sees("b to go back): ");
    terminal.types("b").sees("Instance 1 of 3 of the backup").sees("0 for details): ");
    terminal.types("").sees("Instance 2 of 3").sees("b to go back): ").types("1");
    terminal.sees("Instance 3 of 3").sees("b to go back): ").types("3");
    terminal.sees("The mapping").sees("change the last answer): ").types("");
    let ended = terminal.ends().expect_status(0).keeps_secret(TOKEN);
    let expected = yaml(&[(CONTOSO, TARGETS[1]), (ZWEIG, TARGETS[0]), (UNNAMED, TARGETS[2])]);
    assert_eq!(written(ended.directory.path()), expected);
}

#[test]
fn ctrl_c_is_130_and_ctrl_d_is_3() {
    let backup = Backup::of_oldest_release();
    let controller = controller(3);
    for (letter, status, says) in [('c', 130, "interrupted"), ('d', 3, "--mapping")] {
        let mut terminal = mapping(&backup.archive, &controller).at_terminal();
        terminal.sees("0 for details): ").types("").sees("Instance 2").sees("b to go back): ");
        terminal.presses_ctrl(letter);
        let ended = terminal.ends().expect_status(status).has_shown(says);
        wrote_nothing(ended.directory.path());
    }
}

#[test]
fn the_end_of_input_names_what_is_left() {
    let backup = Backup::of_oldest_release();
    let outcome = answers(mapping(&backup.archive, &controller(3)), "\n").run().expect_status(3);
    wrote_nothing(outcome.directory.path());
    let outcome = outcome.stderr_has("standard input ended").stderr_has(ZWEIG).stderr_has("--mapping");
    assert!(!outcome.stderr.contains(&format!("Bank\", {CONTOSO}")), "{outcome}");
}

#[test]
fn only_what_a_mapping_file_lacks_is_asked() {
    let backup = Backup::of_oldest_release();
    // The instance's alias, and its ID in another spelling.
    let partial = "instance-mappings:\n  \"{7A2C90D1-83BE-4D0E-9A77-5E1F0C2B3D44}\": \
                   00000000-0000-0000-0000-001570194491\n";
    let controller = controller(4);
    let pgmig = mapping(&backup.archive, &controller).file("partial.yaml", partial);
    let outcome = answers(pgmig.args(["-m", "partial.yaml"]), "2\n1\n").run().expect_status(0);
    let alias = "7a2c90d1-83be-4d0e-9a77-5e1f0c2b3d44";
    let expected = yaml(&[(alias, TARGETS[1]), (CONTOSO, TARGETS[2]), (UNNAMED, TARGETS[0])]);
    assert_eq!(written(outcome.directory.path()), expected);
    assert!(!outcome.stderr.contains("Target of \"Zweig"), "{outcome}");
}

#[test]
fn by_name_without_a_question_where_names_are_unique() {
    let backup = Backup::of_oldest_release();
    let names = [(1_570_194_490, "Zweig \"Söhne\""), (1_570_194_491, "Contoso Bank"), (1_570_194_492, "x")];
    let controller =
        Controller::gateway(names.iter().map(|(number, name)| instance(*number, name)).collect());
    let pgmig = mapping(&backup.archive, &controller).arg("--map-by-name");
    let outcome = answers(pgmig, "1\n").run().expect_status(0).stderr_has("Instance 1 of 1 of the backup");
    let expected = yaml(&[(CONTOSO, TARGETS[1]), (ZWEIG, TARGETS[0]), (UNNAMED, TARGETS[2])]);
    assert_eq!(written(outcome.directory.path()), expected);
    // An instance without a name is an error if pgmig may not ask.
    let pgmig = mapping(&backup.archive, &controller).arg("--yes");
    let outcome = answers(pgmig, "1\n2\n3\n").run().expect_status(3).stderr_has(UNNAMED);
    assert!(!outcome.stderr.contains("Target of") && !outcome.stderr.contains(ZWEIG), "{outcome}");
    wrote_nothing(outcome.directory.path());
}

/// A mapping in the making: the pairs that are known are lines, all others comments.
#[test]
fn a_template_needs_no_terminal_and_is_a_mapping_file() {
    let backup = Backup::of_oldest_release();
    let controller = controller(4);
    let template = mapping(&backup.archive, &controller).args(["--template", "--output", "json"]);
    let outcome =
        template.run().expect_status(0).stderr_has("3 instances of the backup have to get a target");
    let document = document(&outcome, "mapping");
    assert_eq!((&document["complete"], &document["pairs"]), (&json!(false), &json!([])));
    assert_eq!(document["open"].as_array().unwrap().len(), 3);
    let path = outcome.directory.path().join("enteredMapping.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    for line in [
        format!("  # {CONTOSO}: {}", TARGETS[1]),
        format!("  # {ZWEIG}: TARGET"),
        format!("  # {UNNAMED}: TARGET"),
        format!("#   {}  \"third\"", TARGETS[2]),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.contains("  # \"Zweig \\\"Söhne\\\"\"") && text.contains("  # (no name)"), "{text}");
    // Filled in as the first line says, it is a mapping.
    let filled = text.replace(&format!("# {CONTOSO}"), CONTOSO);
    let filled = filled.replace(&format!("# {ZWEIG}: TARGET"), &format!("{ZWEIG}: {}", TARGETS[0]));
    let filled = filled.replace(&format!("# {UNNAMED}: TARGET"), &format!("{UNNAMED}: {}", TARGETS[3]));
    let again = mapping(&backup.archive, &controller).file("filled.yaml", &filled);
    let outcome = again.args(["--mapping", "filled.yaml"]).run().expect_status(0);
    let expected = yaml(&[(CONTOSO, TARGETS[1]), (ZWEIG, TARGETS[0]), (UNNAMED, TARGETS[3])]);
    assert_eq!(written(outcome.directory.path()), expected);
}

#[test]
fn what_names_tell_is_written_although_the_rest_is_not_known() {
    let backup = Backup::of_oldest_release();
    let controller = controller(4);
    let named = |extra: &[&str]| {
        let pgmig = mapping(&backup.archive, &controller).arg("--map-by-name").args(extra.iter().copied());
        answers(pgmig, "").run().expect_status(3).stderr_has(ZWEIG).stderr_has("1 instance mapped by name")
    };
    for extra in [&[][..], &["--yes"]] {
        let outcome = named(extra);
        assert_eq!(written(outcome.directory.path()), yaml(&[(CONTOSO, TARGETS[1])]));
        outcome.assert_stderr_has("2 instances of the backup have to get a target in enteredMapping.yaml");
    }
    let document = document(&named(&["--output", "json"]), "mapping");
    assert_eq!(document["complete"], false);
    assert_eq!(document["pairs"][0]["target_name"], "Contoso Bank");
    assert_eq!(document["open"].as_array().unwrap().len(), 2);
}

#[test]
fn too_few_provisioned_instances_are_refused_with_both_counts() {
    let backup = Backup::of_oldest_release();
    let outcome = answers(mapping(&backup.archive, &controller(2)), "1\n2\n3\n").run();
    let outcome = outcome.expect_status(3).stderr_has("has 3 instances").stderr_has("only 2 are provisioned");
    assert!(!outcome.stderr.contains("Target of"), "{outcome}");
}

#[test]
fn a_thousand_instances_can_be_searched() {
    let backup = Backup::of_oldest_release();
    let instances = (0..1_000).map(|n| instance(1_000_000 + n, &format!("instance-{n}")));
    let controller = Controller::gateway(instances.collect());
    let input = "?\n?\ninstance-77\n778\n12\ninstance-1\n1001\n1000\n";
    let outcome = answers(mapping(&backup.archive, &controller), input).run().expect_status(0);
    let id = |n: u64| format!("00000000-0000-0000-0000-{:012}", 1_000_000 + n);
    let expected = yaml(&[(CONTOSO, &id(777)), (ZWEIG, &id(11)), (UNNAMED, &id(999))]);
    assert_eq!(written(outcome.directory.path()), expected);
    let outcome = outcome
        .stderr_has("1,000 provisioned instances are free: ? lists them")
        .stderr_has("980 more: ? lists the next ones")
        .stderr_has("960 more: ? lists the next ones")
        .stderr_has("There is no number 1001")
        .stderr_has("90 more have it, too");
    // At most five screens: three questions, two pages, two searches.
    assert!(outcome.stderr.lines().count() < 130, "{outcome}");
}

#[test]
fn names_cannot_do_anything_to_the_terminal() {
    let backup = Backup::of_oldest_release();
    let hostile = "a\u{1b}[2J\r\nb\u{202e}c";
    let instances = (0..3).map(|n| instance(1_570_194_490 + n, hostile)).collect();
    let outcome = answers(mapping(&backup.archive, &Controller::gateway(instances)), "\u{1b}[2J\n1\n2\n3\n")
        .run()
        .expect_status(0)
        .stderr_has("a\\u{1b}[2J\\r\\nb\\u{202e}c");
    assert!(!outcome.stderr.contains(['\u{1b}', '\r', '\u{202e}']), "{outcome}");
}

#[test]
fn a_target_that_is_not_provisioned_is_named() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("unprovisioned");
    let controller = controller(3);
    let nowhere = "00000000-0000-0000-0000-000000000077";
    let pairs = [(CONTOSO, TARGETS[0]), (ZWEIG, TARGETS[1]), (UNNAMED, nowhere)];
    restore(&controller, &TargetFile::of(&target))
        .source(&backup.archive)
        .mapping(&pairs)
        .run()
        .expect_status(2)
        .stderr_has(&format!("{UNNAMED} is mapped to {nowhere}, which is not provisioned"));
}

/// `-r resourceController.yaml --target postgres.yaml --force`.
fn restore(controller: &Controller, target: &TargetFile) -> Pgmig {
    Pgmig::new()
        .file("resourceController.yaml", &controller.yaml(TOKEN, None))
        .args(["--resourceController", "resourceController.yaml", "--force"])
        .target(target)
}

#[test]
fn a_restore_asks_and_then_needs_no_answers_any_more() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("asked");
    let controller = controller(4);
    let pgmig = restore(&controller, &TargetFile::of(&target)).source(&backup.archive);
    let outcome = answers(pgmig, "1\n2\n3\n").run().expect_status(0).keeps_secret(TOKEN);
    let entered = written(outcome.directory.path());
    assert_eq!(entered, yaml(&[(CONTOSO, TARGETS[0]), (ZWEIG, TARGETS[1]), (UNNAMED, TARGETS[2])]));
    let live = "SELECT tenant_id FROM store.tenant WHERE deleted IS NOT TRUE AND region NOT IN ('monitoring', 'System') \
                ORDER BY 1";
    assert_eq!(target.psql(live).lines().collect::<Vec<_>>(), &TARGETS[..3]);

    let pgmig = restore(&controller, &TargetFile::of(&target)).source(&backup.archive);
    let again = pgmig.file("enteredMapping.yaml", &entered).args(["-m", "enteredMapping.yaml"]).run();
    let again = again.expect_status(0);
    assert!(!again.stderr.contains("Target of"), "{again}");
    assert_eq!(written(again.directory.path()), entered);
}

#[test]
fn a_reviewed_mapping_is_never_overwritten() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("reviewed");
    let controller = controller(4);
    let reviewed = "# reviewed by two people\ninstance-mappings: {}\n";
    for arguments in [&["--dry-run"][..], &[]] {
        let pgmig = restore(&controller, &TargetFile::of(&target)).source(&backup.archive).args(arguments);
        let outcome =
            answers(pgmig.file("enteredMapping.yaml", reviewed), "1\n2\n3\n").run().expect_status(0);
        let outcome = outcome.stderr_has("mapping saved in enteredMapping.2.yaml");
        let kept = std::fs::read_to_string(outcome.directory.path().join("enteredMapping.yaml")).unwrap();
        assert_eq!(kept, reviewed);
        let entered =
            std::fs::read_to_string(outcome.directory.path().join("enteredMapping.2.yaml")).unwrap();
        assert!(entered.contains("  # \"Contoso Bank\" -> \"first\"\n"), "{entered}");
        assert_eq!(
            without_comments(&entered),
            yaml(&[(CONTOSO, TARGETS[0]), (ZWEIG, TARGETS[1]), (UNNAMED, TARGETS[2])])
        );
    }
}

#[test]
fn a_backup_from_standard_input_is_never_asked_about() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("stdin_asked");
    let run = |pgmig: Pgmig| pgmig.args(["--source", "-"]).stdin(&backup.archive).run();
    let (enough, too_few) = (controller(4), controller(2));
    let pgmig = restore(&enough, &TargetFile::of(&target));
    run(pgmig).expect_status(3).stderr_has("nothing can be asked").stderr_has("--mapping");
    let pgmig = restore(&enough, &TargetFile::of(&target)).mapping(&[(CONTOSO, TARGETS[0])]);
    run(pgmig).expect_status(3).stderr_has(ZWEIG).stderr_has(UNNAMED);
    let pgmig = restore(&too_few, &TargetFile::of(&target));
    let pairs: Vec<_> = backup.mapping.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    run(pgmig.mapping(&pairs)).expect_status(2).stderr_has("not provisioned on the target");
    let pgmig = restore(&enough, &TargetFile::of(&target));
    run(pgmig.mapping(&pairs)).expect_status(0);
    backup.assert_restored(&target);
}

#[test]
fn without_a_resource_controller_the_other_way_out_is_named() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("no_controller");
    let outcome: Outcome =
        Pgmig::new().target(&TargetFile::of(&target)).source(&backup.archive).arg("--force").run();
    outcome.expect_status(3).stderr_has(CONTOSO).stderr_has(UNNAMED).stderr_has("--resourceController");
}

#[test]
fn a_place_that_takes_no_file_is_an_error_before_the_first_question() {
    let backup = Backup::of_oldest_release();
    let controller = controller(3);
    for output in ["nowhere/mapping.yaml", "."] {
        let pgmig = mapping(&backup.archive, &controller).args(["--file", output]);
        let outcome =
            answers(pgmig, "1\n2\n3\n").run().expect_status(1).stderr_has("cannot write the mapping file");
        assert!(!outcome.stderr.contains("Target of"), "{outcome}");
    }
    let target = backup.target("unwritable");
    let pgmig = restore(&controller, &TargetFile::of(&target)).source(&backup.archive);
    std::fs::create_dir(pgmig.directory().join("enteredMapping.yaml")).unwrap();
    let outcome = answers(pgmig, "1\n2\n3\n").run().expect_status(1).stderr_has("enteredMapping.yaml");
    assert!(!outcome.stderr.contains("Target of"), "{outcome}");
}

#[test]
fn the_mapping_command_refuses_what_it_cannot_do() {
    let backup = Backup::of_oldest_release();
    let controller = controller(3);
    Pgmig::new().args(["mapping", "--source", "-", "-r", "x"]).run().expect_status(2).stderr_has("a file");
    Pgmig::new()
        .arg("mapping")
        .source(&backup.archive)
        .run()
        .expect_status(2)
        .stderr_has("--resourceController");
    Pgmig::new().args(["mapping", "-r", "x"]).run().expect_status(2).stderr_has("--source is missing");
    mapping(&backup.archive, &controller).arg("--force").run().expect_status(2).stderr_has("--force");
}
