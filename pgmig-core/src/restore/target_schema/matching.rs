//! Which table of the target takes the rows of which one of the archive, column by column. Pure.

use super::archived::Definitions;
use super::columns::{Columns, FromColumn, held};
use super::difference::{DifferenceKind, Outcome, TableDifference};
use super::own::{OwnTable, OwnTables};
use super::types::{TypeMatches, TypePair};
use crate::archive::DumpId;
use crate::profile::{Profile, TargetRules};
use crate::restore::plan::{Destination, RowForm, TableLoad};
use crate::rewrite::Shape;
use crate::schema;
use crate::sql::{ColumnDefinition, QualifiedName};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Says where rows go.
pub(super) struct Matcher<'a> {
    pub(super) definitions: &'a Definitions,
    /// The columns that INSERT statements name, of tables that the archive does not define.
    pub(super) named: &'a HashMap<DumpId, Vec<String>>,
    pub(super) own: &'a OwnTables,
    pub(super) profile: Option<&'a Profile>,
    pub(super) rules: &'a TargetRules,
}

/// Where all rows go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Matched {
    /// The loads, each with its destination; those of tables that are left out are not among them.
    pub(super) loads: Vec<TableLoad>,
    pub(super) differences: BTreeSet<TableDifference>,
}

impl<'a> Matcher<'a> {
    /// Every pair of types that has to be judged.
    pub(super) fn type_pairs(&self, loads: &[TableLoad]) -> BTreeSet<TypePair> {
        let mut pairs = BTreeSet::new();
        for load in loads {
            let Some((_, table)) = self.destination(&load.table) else { continue };
            for column in self.row_columns(load).unwrap_or_default() {
                let own = table.column(self.name_in_target(&load.table, &column.name));
                let target = own.map_or("text", |own| own.type_name.as_str());
                pairs.extend(self.type_pair(load, &column, target));
            }
        }
        pairs
    }

    pub(super) fn type_pair(&self, load: &TableLoad, column: &FromColumn, target: &str) -> Option<TypePair> {
        let schema = load.table.schema.clone().filter(|_| self.definitions.is_unqualified);
        let archive = column.type_name.clone()?;
        Some(TypePair { archive, schema, target: target.to_owned() })
    }

    /// Matches all tables.
    pub(super) fn run(&self, loads: &[TableLoad], types: &TypeMatches) -> Matched {
        let mut matched = Matched::default();
        let mut taken = HashSet::new();
        for load in loads {
            if let Some(into) = self.load(load, types, &mut matched.differences) {
                taken.insert(into.table.clone());
                matched.loads.push(TableLoad { into: Some(into), ..load.clone() });
            }
        }
        for (name, table) in self.own {
            let is_new = table.root.is_none()
                && !taken.contains(name)
                && !self.is_global(name, table)
                && self.definitions.columns(name).is_none();
            if is_new {
                let outcome = Outcome::Accepted("it stays empty".to_owned());
                matched.differences.insert(of_table(name, DifferenceKind::OnlyInTarget, outcome));
            }
        }
        matched
    }

    /// The target's table for rows of the archive's: by the profile's rule, by its name, or that of which it is a
    /// partition. Rows of a partition always go through the root, since its bounds need not be the archive's.
    fn destination(&self, table: &QualifiedName) -> Option<(&'a QualifiedName, &'a OwnTable)> {
        let in_target = |name: &QualifiedName| {
            let name = self.rules.table(name).unwrap_or_else(|| name.clone());
            let (name, own) = self.own.get_key_value(&name)?;
            match &own.root {
                Some(root) => self.own.get_key_value(root),
                None => Some((name, own)),
            }
        };
        in_target(table).or_else(|| self.definitions.parents(table).into_iter().find_map(in_target))
    }

    pub(super) fn name_in_target<'n>(&'n self, table: &QualifiedName, column: &'n str) -> &'n str {
        let root = self.definitions.parents(table).last().copied();
        let renamed = self.rules.column(table, column);
        renamed.or_else(|| self.rules.column(root?, column)).unwrap_or(column)
    }

    fn is_global(&self, name: &QualifiedName, table: &OwnTable) -> bool {
        table.of_extension || self.is_global_name(name)
    }

    fn is_global_name(&self, name: &QualifiedName) -> bool {
        schema::is_tool_table(&name.name) || self.profile.is_some_and(|profile| profile.is_global(name))
    }

    /// The columns of a load's rows, in the order of their fields; `None` if nothing tells them.
    fn row_columns(&self, load: &TableLoad) -> Option<Vec<FromColumn>> {
        let defined = self.definitions.columns(&load.table);
        match &load.form {
            RowForm::Copy(copy) => {
                let defined = defined.unwrap_or_default();
                let from = |name: &String| {
                    let definition = defined.iter().find(|column| column.name == *name);
                    FromColumn {
                        name: name.clone(),
                        type_name: definition.and_then(type_name),
                        is_generated: false,
                    }
                };
                Some(copy.columns.iter().flatten().map(from).collect())
            }
            RowForm::Inserts { .. } => {
                let from = |column: ColumnDefinition| FromColumn {
                    type_name: type_name(&column),
                    is_generated: column.is_generated,
                    name: column.name,
                };
                let Some(defined) = defined else {
                    let from = |name: &String| FromColumn {
                        name: name.clone(),
                        type_name: None,
                        is_generated: false,
                    };
                    return Some(self.named.get(&load.dump_id)?.iter().map(from).collect());
                };
                Some(defined.into_iter().map(from).collect())
            }
        }
    }

    /// Where the rows of a load go; `None` if they do not go anywhere.
    fn load(
        &self,
        load: &TableLoad,
        types: &TypeMatches,
        differences: &mut BTreeSet<TableDifference>,
    ) -> Option<Destination> {
        let name = &load.table;
        let accepted = |text: &str| Outcome::Accepted(text.to_owned());
        if self.rules.drops(name, None) {
            let outcome = accepted("its rows are left out, as the profile says");
            differences.insert(of_table(name, DifferenceKind::OnlyInArchive, outcome));
            return None;
        }
        let destination = self.destination(name);
        if self.is_global_name(name) || destination.is_some_and(|(name, own)| self.is_global(name, own)) {
            let outcome = accepted("it keeps the target's rows");
            differences.insert(of_table(name, DifferenceKind::Global, outcome));
            return None;
        }
        let Some((table, own)) = destination else {
            let advice = "give the profile a rule for it (target_schema: rename or drop)".to_owned();
            differences.insert(of_table(name, DifferenceKind::OnlyInArchive, Outcome::Refused(advice)));
            return None;
        };
        if self.rules.table(name).is_some() {
            let kind = DifferenceKind::Renamed { to: table.to_string() };
            differences.insert(of_table(name, kind, accepted("its rows go there, as the profile says")));
        } else if table != name {
            let kind = DifferenceKind::Partition { of: table.to_string() };
            differences.insert(of_table(name, kind, accepted("its rows go there")));
        }
        self.columns(load, (table, own), types, differences)
    }

    /// Which columns of its table the rows of a load go to.
    fn columns(
        &self,
        load: &TableLoad,
        (table, own): (&QualifiedName, &'a OwnTable),
        types: &TypeMatches,
        differences: &mut BTreeSet<TableDifference>,
    ) -> Option<Destination> {
        let name = &load.table;
        let Some(from) = self.row_columns(load) else {
            let advice = "take the backup without --inserts, or with --column-inserts, or with definitions";
            differences.insert(of_table(name, DifferenceKind::Unnamed, Outcome::Refused(advice.to_owned())));
            return None;
        };
        let root = self.definitions.parents(name).last().copied().unwrap_or(name);
        let mut columns = Columns {
            matcher: self,
            load,
            label: root,
            table,
            own,
            types,
            differences,
            places: Vec::new(),
            is_held: false,
        };
        let held_columns: Vec<String> = from.iter().map(|column| columns.place(column)).collect();
        columns.fill_rest(&from);
        let (places, is_held) =
            (columns.places, columns.is_held || matches!(load.form, RowForm::Inserts { .. }));
        let shapes = from.iter().map(|column| (column.name.clone(), self.shape(load, column, own, types)));
        Some(Destination {
            table: table.clone(),
            columns: places.iter().map(|place| place.column.name.clone()).collect(),
            from: shapes.collect(),
            held: is_held.then(|| held(table, &held_columns, &places)),
        })
    }

    fn shape(&self, load: &TableLoad, column: &FromColumn, own: &OwnTable, types: &TypeMatches) -> Shape {
        let target = own.column(self.name_in_target(&load.table, &column.name));
        let target = target.map_or("text", |own| own.type_name.as_str());
        let is_json = match self.type_pair(load, column, target).and_then(|pair| types.get(&pair).copied()) {
            Some(matched) => matched.is_json,
            None => matches!(target, "json" | "jsonb"),
        };
        let written = column.type_name.as_deref().unwrap_or(target);
        let (element, is_array) = (written.trim_end_matches("[]"), written.ends_with("[]"));
        let shape = match element {
            _ if is_json => Shape::Json,
            "bytea" => Shape::Bytea,
            _ => Shape::Text,
        };
        if is_array { Shape::Array(Box::new(shape)).simplified() } else { shape }
    }
}

fn type_name(column: &ColumnDefinition) -> Option<String> {
    (!column.type_name.is_empty()).then(|| column.type_name.clone())
}

fn of_table(table: &QualifiedName, kind: DifferenceKind, outcome: Outcome) -> TableDifference {
    TableDifference { table: table.to_string(), column: None, kind, outcome }
}
