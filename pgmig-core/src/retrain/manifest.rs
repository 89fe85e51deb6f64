//! The manual's `TemporaryPatch` resources, and the commands that remove them.

use super::job::{RetrainJob, Scale};
use super::{InstanceName, Namespace};
use serde::Serialize;
use std::fmt::Write as _;

/// The annotations in which the operators note that a patch is there.
const OPPY: &str = "oppy.ibm.com/temporary-patches";
const OPER8: &str = "oper8.org/temporary-patches";
/// The patches of replicas: what the name ends with, and the kind of the resource that is patched.
const SCALED: [(&str, &str); 3] = [
    ("clu-training-replicas", "WatsonAssistantCluTraining"),
    ("clu-runtime-replicas", "WatsonAssistantCluRuntime"),
    ("clu-replicas", "WatsonAssistantClu"),
];
const STORE_ADMIN: (&str, &str) = ("store-admin-env-vars", "WatsonAssistantStore");

/// A resource for `oc apply -f -`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The name of the resource.
    pub name: String,
    /// The kind of the resource that it patches.
    pub patched_kind: &'static str,
    /// The resource, a YAML document.
    pub yaml: String,
}

/// The patch with the settings of the job.
pub(super) fn store_admin(job: &RetrainJob) -> Manifest {
    let mut patch = "    store-admin:\n      deployment:\n        spec:\n          template:\n            spec:\n              \
                     containers:\n              - name: store-admin\n                env:\n"
        .to_owned();
    let mut environment = job.environment();
    environment.sort_by_key(|variable| variable.name);
    for variable in environment {
        // Writing to a String cannot fail.
        let _ = write!(
            patch,
            "                - name: {}\n                  value: \"{}\"\n",
            variable.name, variable.value
        );
    }
    manifest(job, STORE_ADMIN, &patch)
}

/// The patches with the replicas of all deployments.
pub(super) fn scaling(job: &RetrainJob, scale: &Scale) -> Vec<Manifest> {
    let one = |deployment: &str, replicas: u32| {
        format!("    {deployment}:\n      deployment:\n        spec:\n          replicas: {replicas}\n")
    };
    let training = format!(
        "    clu-training:\n      deployment:\n        training:\n          spec:\n            replicas: {}\n",
        scale.clu_training
    );
    let runtime = one("tfmm", scale.tfmm) + &one("dragonfly-clu-mm", scale.dragonfly_clu_mm);
    let clu =
        one("clu-embedding", scale.clu_embedding) + &one("clu-triton-serving", scale.clu_triton_serving);
    let patches = [training, runtime, clu];
    SCALED.iter().zip(&patches).map(|(what, patch)| manifest(job, *what, patch)).collect()
}

fn manifest(job: &RetrainJob, (suffix, patched_kind): (&str, &'static str), patch: &str) -> Manifest {
    let name = format!("{}-{suffix}", job.instance);
    // Names are quoted: `null` and `1e3` are names, too.
    let yaml = format!(
        "apiVersion: assistant.watson.ibm.com/v1\nkind: TemporaryPatch\nmetadata:\n  name: \"{name}\"\n  namespace: \
         \"{namespace}\"\nspec:\n  apiVersion: assistant.watson.ibm.com/v1\n  kind: {patched_kind}\n  name: \
         \"{instance}\"\n  patchType: patchStrategicMerge\n  patch:\n{patch}",
        namespace = job.namespace,
        instance = job.instance,
    );
    Manifest { name, patched_kind, yaml }
}

/// The commands that remove the patches, and the notes about them.
pub(super) fn undo(namespace: &Namespace, instance: &InstanceName, is_scaled: bool) -> Vec<String> {
    let mut commands = removal(namespace, instance, &[STORE_ADMIN], &[OPPY]);
    if is_scaled {
        commands.extend(removal(namespace, instance, &SCALED, &[OPPY, OPER8]));
    }
    commands
}

fn removal(
    namespace: &Namespace,
    instance: &InstanceName,
    patches: &[(&str, &'static str)],
    annotations: &[&str],
) -> Vec<String> {
    let finalizers = patches.iter().map(|(suffix, _)| {
        format!(
            "oc patch temporarypatch {instance}-{suffix} -p '{{\"metadata\":{{\"finalizers\":[]}}}}' --type=merge -n {namespace}"
        )
    });
    let deletions = patches
        .iter()
        .map(|(suffix, _)| format!("oc delete temporarypatch {instance}-{suffix} -n {namespace}"));
    let notes = annotations.iter().flat_map(|annotation| {
        patches.iter().map(move |(_, kind)| {
            let kind = kind.to_ascii_lowercase();
            format!(
                "oc patch {kind}/{instance} -p '{{\"metadata\":{{\"annotations\":{{\"{annotation}\":null}}}}}}' --type=merge \
                 -n {namespace}"
            )
        })
    });
    finalizers.chain(deletions).chain(notes).collect()
}
