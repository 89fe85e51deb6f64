//! A mapping file to be filled in: the pairs that are known, every instance that has no target yet, and the provisioned
//! instances that are free. A line without a target is a comment, so that pgmig reads the file in every state.

use crate::prompt::Names;
use pgmig_core::instance::{Instance, MappingDraft};
use pgmig_core::text::printable;
use std::fmt::Write as _;

/// What stands in the place of a target that is to be filled in.
const TO_FILL_IN: &str = "TARGET";

/// The text of the file.
pub(super) fn text(draft: &MappingDraft<'_>, names: &Names, backup: &str) -> String {
    let mut text = format!("# Instances of {}", printable(backup));
    if !draft.open().is_empty() {
        text += ". Write the target of each instance into its line, and remove the # before it.";
    }
    text += "\ninstance-mappings:\n";
    for (source, target) in draft.pairs() {
        if let Some(comment) = names.comment(*source, *target) {
            let _ = writeln!(text, "  # {}", printable(&comment));
        }
        let _ = writeln!(text, "  {source}: {target}");
    }
    for instance in draft.open() {
        let suggestion = draft.suggestion(instance).map(|candidate| candidate.id.to_string());
        let why = if suggestion.is_some() { "; a provisioned instance has the same name or ID" } else { "" };
        let _ = writeln!(text, "  # {}{why}", printable(&described(instance)));
        let _ = writeln!(text, "  # {}: {}", instance.id, suggestion.as_deref().unwrap_or(TO_FILL_IN));
    }
    if !draft.free().is_empty() {
        text += "# Provisioned instances that are free:\n";
    }
    for candidate in draft.free() {
        let _ = writeln!(text, "#   {}  {}", candidate.id, printable(&named(candidate.name.as_deref())));
    }
    text
}

fn named(name: Option<&str>) -> String {
    name.map_or_else(|| "(no name)".to_owned(), |name| format!("{name:?}"))
}

fn described(instance: &Instance) -> String {
    let name = named(instance.name.as_deref());
    match &instance.region {
        Some(region) => format!("{name}, region {region:?}"),
        None => name,
    }
}
