//! A case of the property test.

use super::types::{Features, Type, any_type};
use crate::support::random::Random;
use pgmig_core::restore::StrategyChoice;
use proptest::prelude::*;

/// A source database: its table, its instances, its mapping, its dump. The seed determines the rows.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) seed: u64,
    pub(super) columns: Vec<Column>,
    pub(super) partitions: Partitions,
    /// The new ID for each of [`SOURCES`]; `None` for instances that are deleted and not mapped.
    pub(super) targets: Vec<Option<Target>>,
    pub(super) escape_format: bool,
    pub(super) dump: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) kind: Type,
    pub(super) role: Role,
}

/// The profile's setting for a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    Excluded,
    /// IDs in its bytea are replaced.
    Rewritten,
    /// IDs in its bytea are not searched for.
    Left,
}

/// How the table is partitioned. The key is its first column, of type uuid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Partitions {
    None,
    List,
    Range,
    Hash,
    /// By list. Each partition is partitioned by hash of the second column, of type text.
    Nested,
}

/// A target of the mapping: one of the sources, or a new ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Source(usize),
    New(usize),
}

/// The instances of the backup. Some share digits, so that parts of them resemble others.
pub(super) const SOURCES: [&str; 8] = [
    "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01",
    "9d3a7e54-5c2b-4f7c-8e21-0b6a5d4c3b02",
    "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb",
    "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbb0",
    "00000000-0000-0000-0000-001570184978",
    "00000000-0000-0000-1764-035503433645",
    "e10001eb-6272-453a-bb43-3dcf0e765892",
    "ffffffff-ffff-4fff-bfff-ffffffffffff",
];

/// An instance as the table of instances has it.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) id: &'static str,
    pub(super) alias: String,
    pub(super) target: Option<String>,
}

impl Case {
    /// The strategy. The seed determines it, so that a failed case is repeated in the same way.
    pub(super) fn strategy(&self) -> StrategyChoice {
        if self.seed.is_multiple_of(2) { StrategyChoice::Swap } else { StrategyChoice::InPlace }
    }

    /// The same case, with a seed that determines this strategy.
    pub(super) fn for_strategy(self, strategy: StrategyChoice) -> Self {
        let seed = if self.strategy() == strategy { self.seed } else { self.seed ^ 1 };
        Self { seed, ..self }
    }

    /// The same case with a partitioned table. If the table had no partitions, the seed determines their kind.
    pub(super) fn with_partitions(self) -> Self {
        const KINDS: [Partitions; 4] =
            [Partitions::List, Partitions::Range, Partitions::Hash, Partitions::Nested];
        let partitions = match self.partitions {
            Partitions::None => KINDS[Random::new(self.seed).below(KINDS.len())],
            partitions => partitions,
        };
        Self { partitions, ..self }
    }

    /// The instances. An alias is a number if its target has a number, otherwise a UUID.
    pub(super) fn instances(&self) -> Vec<Instance> {
        let mut random = Random::new(self.seed);
        let instance = |(at, id): (usize, &&'static str)| {
            let target = self.targets[at].map(|target| match target {
                Target::Source(source) => SOURCES[source].to_owned(),
                Target::New(number) if number % 2 == 0 => {
                    format!("00000000-0000-0000-0000-{:012}", 570_194_490 + number)
                }
                Target::New(number) => format!("c0ffee00-abcd-4abc-8abc-{number:012x}"),
            });
            let digits = |id: &String| id.replace('-', "").bytes().all(|byte| byte.is_ascii_digit());
            let is_number = target.as_ref().is_some_and(digits) && random.once_in(2);
            let alias = if is_number { (1_000 + at).to_string() } else { random.uuid() };
            Instance { id, alias, target }
        };
        SOURCES.iter().enumerate().map(instance).collect()
    }

    /// The names and types of the columns, after the key.
    pub(super) fn named_columns(&self) -> impl Iterator<Item = (String, &Column)> {
        self.columns.iter().enumerate().map(|(at, column)| (format!("c{at}"), column))
    }
}

pub(super) fn any_case(features: Features) -> impl Strategy<Value = Case> {
    let role = prop_oneof![
        6 => Just(Role::Plain),
        1 => Just(Role::Excluded),
        2 => Just(Role::Rewritten),
        1 => Just(Role::Left),
    ];
    let column = (any_type(features), role).prop_map(|(kind, role)| {
        // pgmig rewrites the labels of an enum, so its values must be rewritten, too.
        let role = if role == Role::Excluded && kind.has_enum() { Role::Plain } else { role };
        Column { kind, role }
    });
    let partitions = prop_oneof![
        4 => Just(Partitions::None),
        1 => Just(Partitions::List),
        1 => Just(Partitions::Range),
        1 => Just(Partitions::Hash),
        1 => Just(Partitions::Nested),
    ];
    let dump = prop::sample::select(vec![
        vec!["--compress=0"],
        vec!["--compress=0", "--load-via-partition-root"],
        vec!["--compress=1"],
    ]);
    let columns = prop::collection::vec(column, 1..5);
    let parts = (any::<u64>(), columns, any::<bool>(), partitions, any_targets(), any::<bool>(), dump);
    parts.prop_map(|(seed, generated, has_alias, partitions, targets, escape_format, dump)| {
        let plain = |kind| Column { kind, role: Role::Plain };
        let mut columns = vec![plain(Type::Uuid), plain(Type::Text)];
        columns.extend(has_alias.then(|| plain(Type::Alias)));
        columns.extend(generated);
        Case { seed, columns, partitions, targets, escape_format, dump }
    })
}

/// Any injective mapping of some of the sources: to new IDs, as exchanges, cycles or chains. A source can be the target
/// of another source only if it is mapped itself.
fn any_targets() -> impl Strategy<Value = Vec<Option<Target>>> {
    let order = Just((0..SOURCES.len()).collect::<Vec<_>>()).prop_shuffle();
    (order, 1..=SOURCES.len(), prop::collection::vec(any::<bool>(), SOURCES.len())).prop_map(
        |(order, mapped, to_source)| {
            let mapped = &order[..mapped];
            let mut targets = vec![None; SOURCES.len()];
            for (at, source) in mapped.iter().enumerate() {
                let next = mapped[(at + 1) % mapped.len()];
                let target = if to_source[at] { Target::Source(next) } else { Target::New(at) };
                targets[*source] = Some(target);
            }
            targets
        },
    )
}
