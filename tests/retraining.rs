//! `pgmig retrain`, beside the manual's own commands, which bash runs.

use crate::support::Pgmig;
use crate::support::document::document;
use crate::support::store::Backup;
use serde_json::Value;
use std::process::Command;

const AT: &str = "2124-03-11T19:40:00Z";
const SCHEDULE: &str = "0 40 19 11 3 ? 2124";

/// What bash prints.
#[track_caller]
fn bash(script: &str) -> String {
    let output = Command::new("bash").args(["-euc", script]).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The manual's calculate_autoretrain_all_job_duration.sh, with the number in place of etcd's.
fn durations(workspaces: u64) -> String {
    bash(&format!(
        r#"
calculate_duration() {{
  local input_variable="$1"
  DURATION=$(("$NUM_OF_WORKSPACES_TO_TRAIN"*60 / (input_variable * 2) + "$NUM_OF_WORKSPACES_TO_TRAIN" * 2))
}}
NUM_OF_WORKSPACES_TO_TRAIN={workspaces}
for replicas in 5 10 15; do calculate_duration $replicas; echo "$replicas $DURATION"; done
"#
    ))
}

fn shown(training: &Value) -> String {
    let times = training["times"].as_array().unwrap().iter();
    times.map(|time| format!("{} {}\n", time["replicas"], time["seconds"])).collect()
}

/// The manual's settings and resources, for P replicas scaled to X; `cat <<EOF` without `oc`.
fn manual(replicas: u32, scale: u32) -> String {
    let up = |tenths: u32| (scale * tenths).div_ceil(10);
    bash(&format!(
        r#"
export AUTO_RETRAIN="false"
export BATCH_RETRAIN_ALL_SIZE=$(({replicas} * 2))
export WAIT_TIME_BETWEEN_BATCH_RETRAIN_IN_SECONDS_FOR_RETRAIN_ALL=$((60-${{BATCH_RETRAIN_ALL_SIZE}}))
export WAIT_TIME_BETWEEN_TRAININGS_FOR_RETRAIN_ALL=1
export AUTO_RETRAIN_ALL_CRON_SCHEDULE="{SCHEDULE}"
export AUTO_RETRAIN_ALL_ENABLED="true"
export PROJECT_CPD_INST_OPERANDS=cpd-1 INSTANCE=wa
export CLU_TRAINING_REPLICAS={scale} TFMM_REPLICAS={} DRAGONFLY_CLU_MM_REPLICAS={}
export CLU_EMBEDDING_REPLICAS={} CLU_TRITON_SERVING_REPLICAS={}
{MANIFESTS}"#,
        up(5),
        up(3),
        up(2),
        up(2),
    ))
}

/// The manual's resources. Their order is that in which pgmig prints them.
const MANIFESTS: &str = r#"
cat <<EOF
apiVersion: assistant.watson.ibm.com/v1
kind: TemporaryPatch
metadata:
  name: ${INSTANCE}-clu-training-replicas
  namespace: ${PROJECT_CPD_INST_OPERANDS}
spec:
  apiVersion: assistant.watson.ibm.com/v1
  kind: WatsonAssistantCluTraining
  name: $INSTANCE
  patchType: patchStrategicMerge
  patch:
    clu-training:
      deployment:
        training:
          spec:
            replicas: ${CLU_TRAINING_REPLICAS}
---
apiVersion: assistant.watson.ibm.com/v1
kind: TemporaryPatch
metadata:
  name: ${INSTANCE}-clu-runtime-replicas
  namespace: ${PROJECT_CPD_INST_OPERANDS}
spec:
  apiVersion: assistant.watson.ibm.com/v1
  kind: WatsonAssistantCluRuntime
  name: ${INSTANCE}
  patchType: patchStrategicMerge
  patch:
    tfmm:
      deployment:
        spec:
          replicas: ${TFMM_REPLICAS}
    dragonfly-clu-mm:
      deployment:
        spec:
          replicas: ${DRAGONFLY_CLU_MM_REPLICAS}
---
apiVersion: assistant.watson.ibm.com/v1
kind: TemporaryPatch
metadata:
  name: ${INSTANCE}-clu-replicas
  namespace: ${PROJECT_CPD_INST_OPERANDS}
spec:
  apiVersion: assistant.watson.ibm.com/v1
  kind: WatsonAssistantClu
  name: ${INSTANCE}
  patchType: patchStrategicMerge
  patch:
    clu-embedding:
      deployment:
        spec:
          replicas: ${CLU_EMBEDDING_REPLICAS}
    clu-triton-serving:
      deployment:
        spec:
          replicas: ${CLU_TRITON_SERVING_REPLICAS}
---
apiVersion: assistant.watson.ibm.com/v1
kind: TemporaryPatch
metadata:
  name: ${INSTANCE}-store-admin-env-vars
  namespace: ${PROJECT_CPD_INST_OPERANDS}
spec:
  apiVersion: assistant.watson.ibm.com/v1
  kind: WatsonAssistantStore
  name: ${INSTANCE}
  patchType: patchStrategicMerge
  patch:
    store-admin:
      deployment:
        spec:
          template:
            spec:
              containers:
              - name: store-admin
                env:
                - name: AUTO_RETRAIN
                  value: "${AUTO_RETRAIN}"
                - name: AUTO_RETRAIN_ALL_CRON_SCHEDULE
                  value: "${AUTO_RETRAIN_ALL_CRON_SCHEDULE}"
                - name: AUTO_RETRAIN_ALL_ENABLED
                  value: "${AUTO_RETRAIN_ALL_ENABLED}"
                - name: BATCH_RETRAIN_ALL_SIZE
                  value: "${BATCH_RETRAIN_ALL_SIZE}"
                - name: WAIT_TIME_BETWEEN_BATCH_RETRAIN_IN_SECONDS_FOR_RETRAIN_ALL
                  value: "${WAIT_TIME_BETWEEN_BATCH_RETRAIN_IN_SECONDS_FOR_RETRAIN_ALL}"
                - name: WAIT_TIME_BETWEEN_TRAININGS_FOR_RETRAIN_ALL
                  value: "${WAIT_TIME_BETWEEN_TRAININGS_FOR_RETRAIN_ALL}"
EOF
"#;

/// The documents of a YAML text.
#[track_caller]
fn documents(yaml: &str) -> Vec<Value> {
    let documents = yaml.split("---\n").filter(|text| text.lines().any(|line| !line.starts_with('#')));
    documents
        .map(|text| serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}")))
        .collect()
}

fn retrain() -> Pgmig {
    Pgmig::new().arg("retrain")
}

#[test]
fn the_times_are_those_of_the_manuals_script() {
    for workspaces in [0, 1, 2, 7, 29, 123, 1_000, 98_765, 100_000_007] {
        let outcome = retrain().args(["--workspaces", &workspaces.to_string(), "--output", "json"]).run();
        let document = document(&outcome.expect_status(0), "retrain");
        assert_eq!(shown(&document["training"]), durations(workspaces), "{workspaces}");
        assert_eq!(document["training"]["workspaces"], workspaces);
    }
}

#[test]
fn the_patches_are_the_manuals() {
    for (replicas, scale) in [(1, 1), (2, 7), (5, 5), (10, 24), (29, 30), (30, 33)] {
        let (p, x) = (replicas.to_string(), scale.to_string());
        let args =
            ["--workspaces", "12", "--replicas", &p, "--scale", &x, "--at", AT, "--namespace", "cpd-1"];
        let outcome = retrain().args(args).args(["--instance", "wa"]).run().expect_status(0);
        let expected = documents(&manual(replicas, scale));
        assert_eq!(documents(&outcome.stdout), expected, "{outcome}");
        assert_eq!(expected.len(), 4);
        // The settings in the comments are commands for a shell.
        let exports = outcome.stdout.lines().filter_map(|line| line.strip_prefix("# export "));
        let exports: Vec<String> = exports.map(|line| format!("export {line}")).collect();
        let script = exports.join("\n")
            + "\necho \"$AUTO_RETRAIN_ALL_CRON_SCHEDULE|$BATCH_RETRAIN_ALL_SIZE|$TFMM_REPLICAS\"";
        assert_eq!(bash(&script), format!("{SCHEDULE}|{}|{}\n", replicas * 2, scale.div_ceil(2)));
        // Without --scale there is only the job.
        let args = ["--workspaces", "12", "--replicas", &p, "--at", SCHEDULE, "--namespace", "cpd-1"];
        let outcome = retrain().args(args).args(["--instance", "wa", "--quiet"]).run().expect_status(0);
        assert_eq!(documents(&outcome.stdout), expected[3..]);
    }
}

#[test]
fn the_commands_that_undo_are_the_manuals() {
    // Printed in place of being run: each argument on a line of its own.
    let oc = "oc() { printf '%s\\n' \"$@\" --; }\n";
    let manual = r#"
INSTANCE=wa PROJECT_CPD_INST_OPERANDS=cpd-1
oc patch temporarypatch ${INSTANCE}-store-admin-env-vars -p '{"metadata":{"finalizers":[]}}' --type=merge -n ${PROJECT_CPD_INST_OPERANDS}
oc delete temporarypatch ${INSTANCE}-store-admin-env-vars -n ${PROJECT_CPD_INST_OPERANDS}
oc patch watsonassistantstore/${INSTANCE} -p "{\"metadata\":{\"annotations\":{\"oppy.ibm.com/temporary-patches\":null}}}" --type=merge -n ${PROJECT_CPD_INST_OPERANDS}
"#;
    let scaled = r#"
oc patch temporarypatch ${INSTANCE}-clu-training-replicas -p '{"metadata":{"finalizers":[]}}' --type=merge -n ${PROJECT_CPD_INST_OPERANDS}
oc patch temporarypatch ${INSTANCE}-clu-runtime-replicas -p '{"metadata":{"finalizers":[]}}' --type=merge -n ${PROJECT_CPD_INST_OPERANDS}
oc patch temporarypatch ${INSTANCE}-clu-replicas -p '{"metadata":{"finalizers":[]}}' --type=merge -n ${PROJECT_CPD_INST_OPERANDS}
oc delete temporarypatch ${INSTANCE}-clu-training-replicas -n ${PROJECT_CPD_INST_OPERANDS}
oc delete temporarypatch ${INSTANCE}-clu-runtime-replicas -n ${PROJECT_CPD_INST_OPERANDS}
oc delete temporarypatch ${INSTANCE}-clu-replicas -n ${PROJECT_CPD_INST_OPERANDS}
oc patch watsonassistantclutraining/${INSTANCE} -p "{\"metadata\":{\"annotations\":{\"oppy.ibm.com/temporary-patches\":null}}}" --type=merge -n ${PROJECT_CPD_INST_OPERANDS}
oc patch watsonassistantcluruntime/${INSTANCE} -p "{\"metadata\":{\"annotations\":{\"oppy.ibm.com/temporary-patches\":null}}}" --type=merge -n ${PROJECT_CPD_INST_OPERANDS}
oc patch watsonassistantclu/${INSTANCE} -p "{\"metadata\":{\"annotations\":{\"oppy.ibm.com/temporary-patches\":null}}}" --type=merge -n ${PROJECT_CPD_INST_OPERANDS}
oc patch watsonassistantclutraining/${INSTANCE} -p "{\"metadata\":{\"annotations\":{\"oper8.org/temporary-patches\":null}}}" --type=merge -n ${PROJECT_CPD_INST_OPERANDS}
oc patch watsonassistantcluruntime/${INSTANCE} -p "{\"metadata\":{\"annotations\":{\"oper8.org/temporary-patches\":null}}}" --type=merge -n ${PROJECT_CPD_INST_OPERANDS}
oc patch watsonassistantclu/${INSTANCE} -p "{\"metadata\":{\"annotations\":{\"oper8.org/temporary-patches\":null}}}" --type=merge -n ${PROJECT_CPD_INST_OPERANDS}
"#;
    let undo = ["--undo", "--namespace", "cpd-1", "--instance", "wa"];
    let outcome = retrain().args(undo).run().expect_status(0);
    assert_eq!(bash(&format!("{oc}{}", outcome.stdout)), bash(&format!("{oc}{manual}")));
    let outcome = retrain().args(undo).args(["--scale", "10"]).run().expect_status(0);
    assert_eq!(bash(&format!("{oc}{}", outcome.stdout)), bash(&format!("{oc}{manual}{scaled}")));
}

#[test]
fn workspaces_are_those_of_the_backup() {
    let backup = Backup::of_oldest_release();
    let count = backup.source.psql("SELECT count(*) FROM store.workspace");
    let count: u64 = count.trim().parse().unwrap();
    assert!(count > 0);
    let archive = backup.archive.to_str().unwrap();
    let script = backup.source.dump(&["--inserts"]);
    for pgmig in [
        retrain().args(["-s", archive]),
        retrain().args(["--source", "-"]).stdin(&backup.archive),
        retrain().file("store.sql", &script).args(["--source", "store.sql", "--profile", "assistant"]),
    ] {
        let outcome = pgmig.args(["--output", "json"]).run().expect_status(0);
        assert_eq!(shown(&document(&outcome, "retrain")["training"]), durations(count));
    }
    // A restore reports the same.
    let target = backup.target("training");
    let outcome = backup.restore_into(&target).args(["--output", "json"]).run().expect_status(0);
    let report = document(&outcome, "restore");
    assert_eq!(
        (&report["training"]["workspaces"], shown(&report["training"])),
        (&Value::from(count), durations(count))
    );
    let outcome = backup.restore_into(&target).run().expect_status(0);
    outcome.stdout_has(&format!("{count} workspaces to train\n"));
}

#[test]
fn a_log_says_whether_the_job_is_complete() {
    let log = |affected: u64, trained: u64| {
        format!(
            "2024-03-11 19:40:00 INFO starting\n2024-03-11 20:00:00 INFO [RETRAIN-ALL-SUMMARY] Affected workspaces found: \
             {affected}, Retrained Total: {trained}\n"
        )
    };
    let complete = retrain().file("a.log", &log(120, 120)).args(["--log", "a.log"]).run().expect_status(0);
    complete.stdout_has("The job is complete\n");
    let incomplete = retrain().file("a.log", &log(120, 117)).args(["--log", "a.log"]).run().expect_status(1);
    incomplete.stdout_has("The job is not complete\n").stderr_has("3 workspaces are not trained yet");
    // Restarted: the last summary counts.
    let both = log(120, 120) + &log(120, 40);
    let pgmig = retrain().file("a.log", &both).args(["--log", "a.log", "--output", "json"]);
    let outcome = pgmig.run().expect_status(1);
    let document = document(&outcome, "retrain_log");
    assert_eq!((&document["verdict"], &document["trained"]), (&"incomplete".into(), &40.into()));
    let files = Pgmig::new().file("a.log", &log(7, 7));
    let input = files.directory().join("a.log");
    retrain().stdin(&input).args(["--log", "-"]).run().expect_status(0);
    let silent = retrain().file("a.log", "nothing\n").args(["--log", "a.log"]).run().expect_status(1);
    silent.stderr_has("no [RETRAIN-ALL-SUMMARY] line");
    retrain().args(["--log", "missing.log"]).run().expect_status(2).stderr_has("cannot read missing.log");
}

#[test]
fn mistakes_are_named() {
    let all = ["--workspaces", "1", "--replicas", "5", "--at", AT, "--namespace", "cpd", "--instance", "wa"];
    for missing in ["--replicas", "--at", "--namespace", "--instance"] {
        let at = all.iter().position(|arg| *arg == missing).unwrap();
        let args = [&all[..at], &all[at + 2..]].concat();
        retrain().args(args).run().expect_status(2).stderr_has(&format!("{missing} is missing"));
    }
    retrain().run().expect_status(2).stderr_has("--workspaces N gives their number");
    for (flag, wrong) in [
        ("--workspaces", "-1"),
        ("--replicas", "0"),
        ("--at", "2024-02-30T00:00Z"),
        ("--namespace", "a b"),
        ("--instance", "wa\"; echo"),
    ] {
        let mut args = all.to_vec();
        let at = all.iter().position(|arg| *arg == flag).unwrap();
        args[at + 1] = wrong;
        let args: Vec<String> = args.chunks(2).map(|pair| format!("{}={}", pair[0], pair[1])).collect();
        retrain().args(args).run().expect_status(2);
    }
    // Facts that are no errors.
    let mut past = all.to_vec();
    past[5] = "2024-03-11T19:40:00Z";
    retrain().args(past).run().expect_status(0).stderr_has("2024-03-11 19:40:00 UTC is over");
    let mut many = all.to_vec();
    many[3] = "31";
    retrain().args(many).run().expect_status(0).stderr_has("is negative, and is set to 0");
    let database = crate::support::Database::create("no_workspaces");
    let archive = Pgmig::new().file("x.sql", &database.dump(&[]));
    let archive = archive.args(["retrain", "--source", "x.sql"]).run().expect_status(2);
    archive.stderr_has("has no table of workspaces");
}
