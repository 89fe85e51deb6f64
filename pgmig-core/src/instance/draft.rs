//! A mapping in the making, from instances of the backup to provisioned instances.

use super::{Alias, Instance, InstanceId, Mapping, MappingError, Resolution};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// An instance of the target to which an instance of the backup can be mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its ID.
    pub id: InstanceId,
    /// The name that its owner gave it.
    pub name: Option<String>,
}

/// A mapping in the making, which will cover every live instance of a backup. It accepts only valid pairs.
/// [`Mapping::resolve`] finds contradictions between pairs.
///
/// ```
/// use pgmig_core::instance::{Candidate, Instance, InstanceId, Mapping, MappingDraft};
/// let id = |number| InstanceId::from_number(number).expect("has at most 32 digits");
/// let name = Some("prod".to_owned());
/// let backup = [Instance { id: id(1), aliases: vec![], name: name.clone(), region: None, deleted: false }];
/// let candidates = vec![Candidate { id: id(8), name: None }, Candidate { id: id(9), name }];
///
/// let mut draft = MappingDraft::new(&Mapping::default(), &backup, &[], candidates)?;
/// draft.assign_by_name();
/// assert!(draft.open().is_empty());
/// assert_eq!(draft.into_mapping().pairs(), [(id(1), id(9))]);
/// # Ok::<(), pgmig_core::instance::MappingError>(())
/// ```
#[derive(Debug, Clone)]
pub struct MappingDraft<'a> {
    pairs: Vec<(InstanceId, InstanceId)>,
    /// Instances that are not covered yet, in the backup's order.
    open: Vec<&'a Instance>,
    /// Candidates that are not chosen yet, in the caller's order.
    free: Vec<Candidate>,
    /// The IDs and aliases of instances that keep them.
    kept: HashMap<InstanceId, &'a Instance>,
}

impl<'a> MappingDraft<'a> {
    /// Begins with the pairs of `given`. A candidate is not free if one of these pairs uses it, or if its ID belongs to
    /// an instance of the backup that keeps it. Deleted instances and those of `system_regions` keep their IDs.
    ///
    /// # Errors
    ///
    /// [`MappingError::NotProvisioned`] for a target of `given` that is not a candidate,
    /// [`MappingError::TooFewProvisioned`], and the errors of [`Mapping::resolve`] for `given`.
    pub fn new(
        given: &Mapping,
        instances: &'a [Instance],
        system_regions: &[String],
        candidates: Vec<Candidate>,
    ) -> Result<Self, MappingError> {
        let provisioned: HashSet<InstanceId> = candidates.iter().map(|candidate| candidate.id).collect();
        if let Some(&(key, target)) = given.pairs().iter().find(|(_, target)| !provisioned.contains(target)) {
            return Err(MappingError::NotProvisioned { key, target });
        }
        let open = given.uncovered(instances, system_regions);
        let kept = kept(instances, &given.apply(instances, system_regions)?);
        let taken: HashSet<InstanceId> = given.pairs().iter().map(|(_, target)| *target).collect();
        if let Some((key, target)) = given.pairs().iter().find(|(_, target)| kept.contains_key(target)) {
            return Err(is_kept(&kept, *key, *target));
        }
        let is_free =
            |candidate: &Candidate| !taken.contains(&candidate.id) && !kept.contains_key(&candidate.id);
        let free: Vec<Candidate> = candidates.into_iter().filter(is_free).collect();
        if open.len() > free.len() {
            let keeping: HashSet<InstanceId> = kept.values().map(|instance| instance.id).collect();
            return Err(MappingError::TooFewProvisioned {
                instances: instances.len().saturating_sub(keeping.len()),
                provisioned: provisioned.len(),
                open: open.len(),
                free: free.len(),
            });
        }
        Ok(Self { pairs: given.pairs().to_vec(), open, free, kept })
    }

    /// The instances that the mapping does not cover yet.
    pub fn open(&self) -> &[&'a Instance] {
        &self.open
    }

    /// The pairs so far: the given ones, then the others in the order in which they were made.
    pub fn pairs(&self) -> &[(InstanceId, InstanceId)] {
        &self.pairs
    }

    /// The candidates that can still be chosen.
    pub fn free(&self) -> &[Candidate] {
        &self.free
    }

    /// The most likely candidate for `instance`. It is the free one of the same name, if that name is unique on both
    /// sides; else the one with the same ID.
    pub fn suggestion(&self, instance: &Instance) -> Option<&Candidate> {
        let same_name = instance.name.as_ref().and_then(|name| {
            let mut open = self.open.iter().filter(|other| other.name.as_ref() == Some(name));
            let mut free = self.free.iter().filter(|candidate| candidate.name.as_ref() == Some(name));
            match (open.next(), open.next(), free.next(), free.next()) {
                (Some(_), None, Some(candidate), None) => Some(candidate),
                _ => None,
            }
        });
        let suggested =
            same_name.or_else(|| self.free.iter().find(|candidate| candidate.id == instance.id))?;
        self.check(instance, suggested.id).is_ok().then_some(suggested)
    }

    /// Maps an uncovered instance to a free candidate.
    ///
    /// # Errors
    ///
    /// [`MappingError::DuplicatePair`] if the instance is covered or the candidate is not free,
    /// [`MappingError::TargetIsSource`], [`MappingError::NoNumber`], [`MappingError::AliasForm`]. The draft is then
    /// unchanged.
    pub fn assign(&mut self, source: InstanceId, target: InstanceId) -> Result<(), MappingError> {
        let position = self.open.iter().position(|instance| instance.id == source);
        let instance = position.and_then(|at| self.open.get(at));
        let Some(instance) = instance else {
            return Err(MappingError::DuplicatePair { id: source, side: "source" });
        };
        if !self.kept.contains_key(&target) && !self.free.iter().any(|candidate| candidate.id == target) {
            return Err(MappingError::DuplicatePair { id: target, side: "target" });
        }
        self.check(instance, target)?;
        self.open.retain(|instance| instance.id != source);
        self.free.retain(|candidate| candidate.id != target);
        self.pairs.push((source, target));
        Ok(())
    }

    /// Maps every uncovered instance with a unique name to the free candidate of that name, if the name is unique
    /// there, too. Returns how many were mapped.
    pub fn assign_by_name(&mut self) -> usize {
        let mut candidates = HashMap::new();
        for candidate in &self.free {
            let Some(name) = &candidate.name else { continue };
            // `None` means that there are several.
            candidates.entry(name.clone()).and_modify(|id| *id = None).or_insert(Some(candidate.id));
        }
        let mut named: HashMap<&str, usize> = HashMap::new();
        for name in self.open.iter().filter_map(|instance| instance.name.as_deref()) {
            *named.entry(name).or_default() += 1;
        }
        let target = |instance: &Instance| {
            let name = instance.name.as_deref().filter(|name| named.get(name) == Some(&1))?;
            let target = candidates.get(name).copied().flatten()?;
            self.check(instance, target).is_ok().then_some((instance.id, target))
        };
        let found: HashMap<InstanceId, InstanceId> =
            self.open.iter().filter_map(|instance| target(instance)).collect();
        let taken: HashSet<InstanceId> = found.values().copied().collect();
        let in_order = self.open.iter().filter_map(|open| Some((open.id, *found.get(&open.id)?)));
        self.pairs.extend(in_order);
        self.open.retain(|instance| !found.contains_key(&instance.id));
        self.free.retain(|candidate| !taken.contains(&candidate.id));
        found.len()
    }

    /// The mapping so far: the given pairs, then the others in the order in which they were made.
    pub fn into_mapping(self) -> Mapping {
        Mapping::from_unique(self.pairs)
    }

    /// Checks whether `instance` may become `target`, provided that the target is free.
    fn check(&self, instance: &Instance, target: InstanceId) -> Result<(), MappingError> {
        if self.kept.contains_key(&target) {
            return Err(is_kept(&self.kept, instance.id, target));
        }
        for alias in &instance.aliases {
            match alias {
                Alias::Number(number) if target.number().is_none() => {
                    return Err(MappingError::NoNumber { id: instance.id, number: number.clone(), target });
                }
                Alias::Other(_) if target != instance.id => {
                    return Err(MappingError::AliasForm { id: instance.id });
                }
                Alias::Uuid(_) | Alias::Number(_) | Alias::Other(_) => {}
            }
        }
        Ok(())
    }
}

/// The IDs and aliases of instances that keep theirs. Mapped instances do not, nor do open ones, which will be
/// mapped.
fn kept<'a>(instances: &'a [Instance], resolution: &Resolution) -> HashMap<InstanceId, &'a Instance> {
    let mapped = resolution.instances.iter().filter(|instance| instance.mapped);
    let changing: HashSet<InstanceId> = mapped
        .map(|instance| instance.source.id)
        .chain(resolution.uncovered.iter().map(|instance| instance.id))
        .collect();
    let mut kept = HashMap::new();
    for instance in instances.iter().filter(|instance| !changing.contains(&instance.id)) {
        let aliases = instance.aliases.iter().filter_map(Alias::id);
        kept.extend(aliases.chain([instance.id]).map(|id| (id, instance)));
    }
    kept
}

fn is_kept(kept: &HashMap<InstanceId, &Instance>, key: InstanceId, target: InstanceId) -> MappingError {
    let name = kept.get(&target).map(|instance| instance.label()).unwrap_or_default();
    MappingError::TargetIsSource { key, target, name }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn id(number: u128) -> InstanceId {
        InstanceId::from_number(number).unwrap()
    }

    fn instance(number: u128, name: Option<&str>) -> Instance {
        let name = name.map(str::to_owned);
        Instance { id: id(number), aliases: vec![], name, region: None, deleted: false }
    }

    fn candidates(of: &[(u128, Option<&str>)]) -> Vec<Candidate> {
        of.iter().map(|(number, name)| Candidate { id: id(*number), name: name.map(str::to_owned) }).collect()
    }

    fn given(pairs: &[(u128, u128)]) -> Mapping {
        Mapping::new(pairs.iter().map(|(source, target)| (id(*source), id(*target)))).unwrap()
    }

    fn numbers(mapping: &Mapping) -> Vec<(String, String)> {
        let number = |id: InstanceId| id.number().unwrap();
        mapping.pairs().iter().map(|(source, target)| (number(*source), number(*target))).collect()
    }

    #[test]
    fn names_are_matched_where_they_are_unique_on_both_sides() {
        let backup = [
            instance(1, Some("a")),
            instance(2, Some("twice here")),
            instance(3, Some("twice here")),
            instance(4, Some("twice there")),
            instance(5, None),
            instance(6, Some("z")),
        ];
        let there = candidates(&[
            (11, Some("z")),
            (12, Some("twice here")),
            (13, Some("twice there")),
            (14, Some("twice there")),
            (15, None),
            (16, Some("a")),
        ]);
        let mut draft = MappingDraft::new(&Mapping::default(), &backup, &[], there).unwrap();
        let suggested = |draft: &MappingDraft<'_>, at: usize| draft.suggestion(&backup[at]).map(|to| to.id);
        assert_eq!((suggested(&draft, 0), suggested(&draft, 5)), (Some(id(16)), Some(id(11))));
        assert!((1..5).all(|at| suggested(&draft, at).is_none()));
        assert_eq!(draft.assign_by_name(), 2);
        assert_eq!(draft.open().len(), 4);
        assert_eq!(draft.assign_by_name(), 0);
        draft.assign(id(2), id(13)).unwrap();
        // The remaining names are unique now.
        assert_eq!(suggested(&draft, 2), Some(id(12)));
        assert_eq!(suggested(&draft, 3), Some(id(14)));
        let pairs = numbers(&draft.into_mapping());
        assert_eq!(pairs, [("1", "16"), ("6", "11"), ("2", "13")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn an_instance_that_is_provisioned_itself_is_suggested_if_no_name_fits() {
        let backup = [instance(1, Some("old name")), instance(2, Some("b"))];
        let there = candidates(&[(3, Some("b")), (2, Some("c")), (1, Some("new name"))]);
        let draft = MappingDraft::new(&Mapping::default(), &backup, &[], there).unwrap();
        assert_eq!(draft.suggestion(&backup[0]).map(|to| to.id), Some(id(1)));
        assert_eq!(draft.suggestion(&backup[1]).map(|to| to.id), Some(id(3)));
    }

    #[test]
    fn swaps_can_be_entered_one_after_the_other() {
        let backup = [instance(1, None), instance(2, None)];
        let there = candidates(&[(1, None), (2, None)]);
        let mut draft = MappingDraft::new(&given(&[(1, 2)]), &backup, &[], there).unwrap();
        assert_eq!(draft.free(), candidates(&[(1, None)]));
        draft.assign(id(2), id(1)).unwrap();
        draft.into_mapping().resolve(&backup, &[]).unwrap();
    }

    #[test]
    fn instances_that_keep_their_ids_are_no_targets() {
        let mut backup = [instance(1, None), instance(2, None), instance(3, None)];
        backup[1].deleted = true;
        backup[2].region = Some("System".to_owned());
        let regions = ["System".to_owned()];
        let there = candidates(&[(2, None), (3, None), (9, None)]);
        let mut draft = MappingDraft::new(&Mapping::default(), &backup, &regions, there.clone()).unwrap();
        assert_eq!(draft.free(), candidates(&[(9, None)]));
        let error = draft.assign(id(1), id(2)).unwrap_err();
        assert!(matches!(error, MappingError::TargetIsSource { .. }), "{error}");
        let error = MappingDraft::new(&given(&[(1, 3)]), &backup, &regions, there.clone()).unwrap_err();
        assert!(matches!(error, MappingError::TargetIsSource { .. }), "{error}");
        // The deleted instance is mapped itself, so it does not keep its ID.
        let draft = MappingDraft::new(&given(&[(2, 9), (1, 2)]), &backup, &regions, there).unwrap();
        assert!(draft.open().is_empty() && draft.free().is_empty());
    }

    #[test]
    fn targets_must_be_provisioned_and_enough() {
        let mut backup = [instance(1, None), instance(2, None), instance(3, None)];
        backup[2].deleted = true;
        let there = candidates(&[(8, None)]);
        let error = MappingDraft::new(&given(&[(1, 7)]), &backup, &[], there.clone()).unwrap_err();
        assert!(matches!(error, MappingError::NotProvisioned { .. }), "{error}");
        assert_eq!(error.kind(), crate::ErrorKind::Usage);
        for pairs in [&[][..], &[(1, 8)]] {
            let error = MappingDraft::new(&given(pairs), &backup, &[], there.clone()).unwrap_err();
            assert!(
                matches!(error, MappingError::TooFewProvisioned { instances: 2, provisioned: 1, .. }),
                "{error}"
            );
            assert_eq!(error.kind(), crate::ErrorKind::Refused);
        }
    }

    #[test]
    fn a_refused_pair_changes_nothing() {
        let mut backup = [instance(1, None), instance(2, None)];
        backup[0].aliases = vec![Alias::Number("1".to_owned())];
        let unnumbered = "e10001eb-6272-453a-bb43-3dcf0e765892".parse().unwrap();
        let mut there = candidates(&[(8, None), (9, None)]);
        there[1].id = unnumbered;
        let mut draft = MappingDraft::new(&Mapping::default(), &backup, &[], there).unwrap();
        assert!(matches!(draft.assign(id(1), unnumbered), Err(MappingError::NoNumber { .. })));
        assert!(matches!(draft.assign(id(1), id(7)), Err(MappingError::DuplicatePair { .. })));
        assert!(matches!(draft.assign(id(5), id(8)), Err(MappingError::DuplicatePair { .. })));
        assert_eq!((draft.open().len(), draft.free().len()), (2, 2));
        draft.assign(id(1), id(8)).unwrap();
        draft.assign(id(2), unnumbered).unwrap();
        assert!(draft.open().is_empty());
    }

    #[test]
    fn many_names_take_no_time_worth_mentioning() {
        let backup: Vec<Instance> =
            (0..50_000).map(|n| instance(n + 1, Some(&format!("name {n}")))).collect();
        let there = (0..50_000).map(|n| Candidate { id: id(n + 100_000), name: Some(format!("name {n}")) });
        let mut draft = MappingDraft::new(&Mapping::default(), &backup, &[], there.collect()).unwrap();
        assert_eq!(draft.assign_by_name(), 50_000);
    }
}
