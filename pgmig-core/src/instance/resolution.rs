//! A mapping applied to the instances of a backup.

use super::{Alias, Instance, InstanceId, Mapping, MappingError};
use std::collections::{HashMap, HashSet};

/// An instance of the backup, and its ID in the target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedInstance {
    /// The instance as it is in the backup.
    pub source: Instance,
    /// Its ID in the target: the source's own ID if it is not mapped.
    pub target: InstanceId,
    /// Whether the mapping names it.
    pub mapped: bool,
}

/// The effect of a mapping on the instances of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Resolution {
    /// Pairs of IDs to replace everywhere: the mapping's own pairs, then pairs for IDs and aliases of its instances
    /// that are not keys themselves. Sources are unique. Pairs of two equal IDs are included.
    pub pairs: Vec<(InstanceId, InstanceId)>,
    /// Numbers to replace in alias columns, in decimal digits as stored.
    pub numbers: Vec<(String, String)>,
    /// Every instance of the backup, in its order.
    pub instances: Vec<ResolvedInstance>,
    /// Live instances that need a mapping and do not have one; the restore must be refused.
    pub uncovered: Vec<Instance>,
    /// Keys of the mapping that name no instance of the backup. They deserve a warning.
    pub unknown_sources: Vec<InstanceId>,
}

impl Mapping {
    /// The live instances that this mapping does not cover, without those of the system's regions. Unlike
    /// [`resolve`](Self::resolve), this accepts an incomplete mapping.
    pub fn uncovered<'a>(&self, instances: &'a [Instance], system_regions: &[String]) -> Vec<&'a Instance> {
        let index = Index::new(self, instances);
        let is_open =
            |instance: &&Instance| index.keys(instance).is_empty() && !instance.may_stay(system_regions);
        instances.iter().filter(is_open).collect()
    }

    /// Applies the mapping to the instances of a backup.
    ///
    /// A key names the instance with that ID, else the instance with that alias (a numeric alias in its UUID form).
    /// Deleted instances and those of `system_regions` need no mapping.
    ///
    /// # Errors
    ///
    /// The [`MappingError`]s without a file: [`TargetIsSource`](MappingError::TargetIsSource),
    /// [`TwoKeys`](MappingError::TwoKeys), [`AmbiguousKey`](MappingError::AmbiguousKey),
    /// [`SharedAlias`](MappingError::SharedAlias), [`NoNumber`](MappingError::NoNumber),
    /// [`AliasForm`](MappingError::AliasForm).
    pub fn resolve(
        &self,
        instances: &[Instance],
        system_regions: &[String],
    ) -> Result<Resolution, MappingError> {
        let resolution = self.apply(instances, system_regions)?;
        resolution.check_targets(self)?;
        Ok(resolution)
    }

    /// Like [`resolve`](Self::resolve), for an incomplete mapping: targets may be instances of the backup that are
    /// still to be mapped.
    pub(super) fn apply(
        &self,
        instances: &[Instance],
        system_regions: &[String],
    ) -> Result<Resolution, MappingError> {
        let index = Index::new(self, instances);
        index.check_ambiguity(instances)?;
        let mut resolution = Resolution { pairs: self.pairs().to_vec(), ..Resolution::default() };
        let mut followed = Followed::new(&index);
        let mut named = HashSet::new();
        for instance in instances {
            let keys = index.keys(instance);
            named.extend(keys.iter().map(|(key, _)| *key));
            let target = match keys.as_slice() {
                [] => None,
                [(_, target)] => Some(*target),
                [(first, _), (second, _), ..] => {
                    return Err(MappingError::TwoKeys { id: *first, alias: *second });
                }
            };
            match target {
                Some(target) => resolution.follow(instance, target, &mut followed)?,
                None if !instance.may_stay(system_regions) => resolution.uncovered.push(instance.clone()),
                None => {}
            }
            let mapped = target.is_some();
            let target = target.unwrap_or(instance.id);
            resolution.instances.push(ResolvedInstance { source: instance.clone(), target, mapped });
        }
        let unknown = self.pairs().iter().map(|(source, _)| *source).filter(|source| !named.contains(source));
        resolution.unknown_sources = unknown.collect();
        Ok(resolution)
    }
}

impl Resolution {
    /// Adds the pairs that follow when `instance` becomes `target`.
    fn follow(
        &mut self,
        instance: &Instance,
        target: InstanceId,
        followed: &mut Followed<'_>,
    ) -> Result<(), MappingError> {
        let id = instance.id;
        if !followed.index.targets.contains_key(&id) {
            self.pairs.push((id, target));
        }
        for alias in &instance.aliases {
            match alias {
                // The alias is the key of another pair, or the ID of another instance, which then keeps it.
                Alias::Uuid(alias) if followed.index.is_taken(*alias) => {}
                Alias::Uuid(uuid) => {
                    if followed.is_new(alias, id)? {
                        self.pairs.push((*uuid, target));
                    }
                }
                Alias::Number(number) => {
                    let missing = || MappingError::NoNumber { id, number: number.clone(), target };
                    let target = target.number().ok_or_else(missing)?;
                    if followed.is_new(alias, id)? {
                        self.numbers.push((number.clone(), target));
                    }
                }
                Alias::Other(_) if target == id => {}
                Alias::Other(_) => return Err(MappingError::AliasForm { id }),
            }
        }
        Ok(())
    }

    /// Checks that no target is an instance that keeps its ID.
    fn check_targets(&self, mapping: &Mapping) -> Result<(), MappingError> {
        let mut kept = HashMap::new();
        for instance in self.instances.iter().filter(|instance| !instance.mapped) {
            let aliases = instance.source.aliases.iter().filter_map(Alias::id);
            kept.extend(aliases.chain([instance.source.id]).map(|id| (id, &instance.source)));
        }
        let is_reversed = !mapping.is_empty()
            && self.unknown_sources.len() == mapping.pairs().len()
            && mapping.pairs().iter().all(|(_, target)| kept.contains_key(target));
        if is_reversed {
            return Err(MappingError::Reversed);
        }
        for (key, target) in mapping.pairs() {
            if let Some(instance) = kept.get(target) {
                let (key, target, name) = (*key, *target, instance.label());
                return Err(MappingError::TargetIsSource { key, target, name });
            }
        }
        Ok(())
    }
}

/// Finds instances by the names that a mapping may use.
struct Index {
    targets: HashMap<InstanceId, InstanceId>,
    ids: HashSet<InstanceId>,
}

impl Index {
    /// Whether `alias` is a key of the mapping, or an instance's ID.
    fn is_taken(&self, alias: InstanceId) -> bool {
        self.targets.contains_key(&alias) || self.ids.contains(&alias)
    }

    fn new(mapping: &Mapping, instances: &[Instance]) -> Self {
        let ids = instances.iter().map(|instance| instance.id).collect();
        Self { targets: mapping.pairs().iter().copied().collect(), ids }
    }

    /// The keys that name `instance`, with their targets. The ID of another instance does not name this one, even if
    /// it is an alias of this one.
    fn keys(&self, instance: &Instance) -> Vec<(InstanceId, InstanceId)> {
        let mut keys: Vec<InstanceId> = vec![instance.id];
        for alias in instance.aliases.iter().filter_map(Alias::id) {
            if !self.ids.contains(&alias) && !keys.contains(&alias) {
                keys.push(alias);
            }
        }
        keys.into_iter().filter_map(|key| self.targets.get(&key).map(|target| (key, *target))).collect()
    }

    /// Checks that no key is an alias of two instances.
    fn check_ambiguity(&self, instances: &[Instance]) -> Result<(), MappingError> {
        let mut owners = HashMap::new();
        for instance in instances {
            for (key, _) in self.keys(instance) {
                if let Some(first) = owners.insert(key, instance.id) {
                    return Err(MappingError::AmbiguousKey { key, first, second: instance.id });
                }
            }
        }
        Ok(())
    }
}

/// Aliases that are replaced together with an instance, each with that instance.
struct Followed<'a> {
    index: &'a Index,
    owners: HashMap<Alias, InstanceId>,
}

impl<'a> Followed<'a> {
    fn new(index: &'a Index) -> Self {
        Self { index, owners: HashMap::new() }
    }

    /// Notes that `alias` follows the instance `id`. Returns false if that is noted already.
    fn is_new(&mut self, alias: &Alias, id: InstanceId) -> Result<bool, MappingError> {
        match self.owners.insert(alias.clone(), id) {
            None => Ok(true),
            Some(first) if first == id => Ok(false),
            Some(first) => Err(MappingError::SharedAlias { alias: alias.to_string(), first, second: id }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    /// The ID whose digits are all `digit`.
    fn id(digit: char) -> InstanceId {
        let text: String = "00000000-0000-0000-0000-000000000000".replace('0', &digit.to_string());
        text.parse().unwrap()
    }

    fn instance(digit: char, aliases: Vec<Alias>) -> Instance {
        let region = Some("us-south".to_owned());
        Instance { id: id(digit), aliases, name: None, region, deleted: false }
    }

    fn mapping(pairs: &[(char, char)]) -> Mapping {
        Mapping::new(pairs.iter().map(|(source, target)| (id(*source), id(*target)))).unwrap()
    }

    #[test]
    fn covers_by_id_and_by_alias() {
        let instances = [
            instance('a', vec![Alias::Uuid(id('b'))]),
            instance('c', vec![Alias::Uuid(id('d'))]),
            instance('e', vec![Alias::Uuid(id('e'))]),
        ];
        let resolution = mapping(&[('a', '1'), ('d', '2'), ('f', '3')]).resolve(&instances, &[]).unwrap();
        let expected = [('a', '1'), ('d', '2'), ('f', '3'), ('b', '1'), ('c', '2')];
        assert_eq!(resolution.pairs, expected.map(|(source, target)| (id(source), id(target))));
        assert_eq!(resolution.uncovered, [instances[2].clone()]);
        assert_eq!(resolution.unknown_sources, [id('f')]);
        let targets: Vec<InstanceId> = resolution.instances.iter().map(|instance| instance.target).collect();
        assert_eq!(targets, [id('1'), id('2'), id('e')]);
    }

    #[test]
    fn deleted_and_system_instances_may_stay() {
        let mut instances = [instance('a', vec![]), instance('b', vec![]), instance('c', vec![])];
        instances[0].deleted = true;
        instances[1].region = Some("monitoring".to_owned());
        let regions = ["monitoring".to_owned()];
        let open = Mapping::default();
        assert_eq!(open.resolve(&instances, &regions).unwrap().uncovered, [instances[2].clone()]);
        assert_eq!(open.uncovered(&instances, &regions), [&instances[2]]);
        let mapped = mapping(&[('a', '1'), ('c', '2')]).resolve(&instances, &regions).unwrap();
        assert_eq!(mapped.instances[0].target, id('1'));
        assert!(mapped.uncovered.is_empty() && mapped.instances[2].mapped && !mapped.instances[1].mapped);
    }

    #[test]
    fn swaps_and_identities_are_fine() {
        let instances =
            [instance('a', vec![]), instance('b', vec![]), instance('c', vec![Alias::Uuid(id('d'))])];
        let resolution = mapping(&[('a', 'b'), ('b', 'a'), ('c', 'd')]).resolve(&instances, &[]).unwrap();
        assert_eq!(resolution.pairs.last(), Some(&(id('d'), id('d'))));
    }

    #[test]
    fn a_target_is_no_instance_that_stays() {
        let mut kept = instance('b', vec![Alias::Uuid(id('d'))]);
        for deleted in [true, false] {
            kept.deleted = deleted;
            let instances = [instance('a', vec![]), kept.clone()];
            for target in ['b', 'd'] {
                let error = mapping(&[('a', target)]).resolve(&instances, &[]).unwrap_err();
                assert!(matches!(error, MappingError::TargetIsSource { .. }), "{error}");
            }
        }
    }

    #[test]
    fn a_mapping_that_is_turned_round_is_called_so() {
        let instances = [instance('a', vec![]), instance('b', vec![])];
        let error = mapping(&[('1', 'a'), ('2', 'b')]).resolve(&instances, &[]).unwrap_err();
        assert!(matches!(error, MappingError::Reversed), "{error}");
        // One that has a source of the backup is not.
        let error = mapping(&[('1', 'b'), ('a', '2')]).resolve(&instances, &[]).unwrap_err();
        assert!(matches!(error, MappingError::TargetIsSource { .. }), "{error}");
    }

    #[test]
    fn two_keys_for_one_instance_contradict_each_other() {
        let instances = [instance('a', vec![Alias::Uuid(id('b'))])];
        let error = mapping(&[('a', '1'), ('b', '2')]).resolve(&instances, &[]).unwrap_err();
        assert!(matches!(error, MappingError::TwoKeys { .. }), "{error}");
    }

    #[test]
    fn an_alias_belongs_to_one_instance() {
        let instances =
            [instance('a', vec![Alias::Uuid(id('c'))]), instance('b', vec![Alias::Uuid(id('c'))])];
        let error = mapping(&[('c', '1')]).resolve(&instances, &[]).unwrap_err();
        assert!(matches!(error, MappingError::AmbiguousKey { .. }), "{error}");
        let error = mapping(&[('a', '1'), ('b', '2')]).resolve(&instances, &[]).unwrap_err();
        assert!(matches!(error, MappingError::SharedAlias { .. }), "{error}");
    }

    #[test]
    fn an_alias_that_is_another_instances_id_names_that_one() {
        let mut other = instance('b', vec![]);
        other.deleted = true;
        let instances = [instance('a', vec![Alias::Uuid(id('b'))]), other];
        let resolution = mapping(&[('b', '1')]).resolve(&instances, &[]).unwrap();
        assert_eq!(resolution.uncovered, [instances[0].clone()]);
        let resolution = mapping(&[('a', '1')]).resolve(&instances, &[]).unwrap();
        assert_eq!(resolution.pairs, [(id('a'), id('1'))]);
    }

    #[test]
    fn numbers_follow() {
        let number = |digits: &str| Alias::Number(digits.to_owned());
        let instances = [instance('a', vec![number("1570184978")])];
        let target = InstanceId::from_number(42).unwrap();
        let by_number = InstanceId::from_number(1_570_184_978).unwrap();
        for key in [id('a'), by_number] {
            let resolution = Mapping::new([(key, target)]).unwrap().resolve(&instances, &[]).unwrap();
            assert_eq!(resolution.numbers, [("1570184978".to_owned(), "42".to_owned())]);
            assert!(resolution.pairs.contains(&(id('a'), target)));
        }
        let error = mapping(&[('a', 'f')]).resolve(&instances, &[]).unwrap_err();
        assert!(matches!(error, MappingError::NoNumber { .. }), "{error}");
        let other = [instance('a', vec![Alias::Other("x".to_owned())])];
        let error = mapping(&[('a', '1')]).resolve(&other, &[]).unwrap_err();
        assert!(matches!(error, MappingError::AliasForm { .. }), "{error}");
    }
}
