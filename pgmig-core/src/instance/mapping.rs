//! The mapping from instances of the backup to instances of the target.

use super::{InstanceId, MappingError};
use crate::text::printable;
use std::collections::HashSet;
use std::fmt::Write;

/// Pairs of source and target IDs. No source and no target occurs twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping {
    pairs: Vec<(InstanceId, InstanceId)>,
}

impl Mapping {
    /// Makes a mapping of these pairs (source, target), in this order.
    ///
    /// # Errors
    ///
    /// [`MappingError::DuplicatePair`] if a source or a target occurs twice.
    pub fn new(pairs: impl IntoIterator<Item = (InstanceId, InstanceId)>) -> Result<Self, MappingError> {
        let pairs: Vec<(InstanceId, InstanceId)> = pairs.into_iter().collect();
        let (mut sources, mut targets) = (HashSet::new(), HashSet::new());
        for (source, target) in &pairs {
            if !sources.insert(source) {
                return Err(MappingError::DuplicatePair { id: *source, side: "source" });
            }
            if !targets.insert(target) {
                return Err(MappingError::DuplicatePair { id: *target, side: "target" });
            }
        }
        Ok(Self { pairs })
    }

    /// Makes a mapping of pairs that are known to be unique.
    pub(super) fn from_unique(pairs: Vec<(InstanceId, InstanceId)>) -> Self {
        Self { pairs }
    }

    /// The pairs of source and target, in the order in which they were given.
    pub fn pairs(&self) -> &[(InstanceId, InstanceId)] {
        &self.pairs
    }

    /// Whether the mapping has no pairs.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The text of a mapping file; reading it gives the same mapping.
    pub fn to_yaml(&self) -> String {
        self.to_yaml_with(|_, _| None)
    }

    /// The same, with a comment before each pair for which `comment` returns one. A comment must be a single line.
    pub(super) fn to_yaml_with(&self, comment: impl Fn(InstanceId, InstanceId) -> Option<String>) -> String {
        if self.pairs.is_empty() {
            return "instance-mappings: {}\n".to_owned();
        }
        let mut yaml = "instance-mappings:\n".to_owned();
        for (source, target) in &self.pairs {
            // Writing to a String cannot fail.
            if let Some(comment) = comment(*source, *target) {
                let _ = writeln!(yaml, "  # {}", printable(&comment));
            }
            let _ = writeln!(yaml, "  {source}: {target}");
        }
        yaml
    }
}
