//! Which table of the target takes the rows of which one of the archive, column by column. Pure.

use super::archived::Definitions;
use super::difference::{DifferenceKind, Outcome, TableDifference};
use super::own::{OwnColumn, OwnTable, OwnTables};
use super::types::{Conversion, TypeMatch, TypeMatches, TypePair};
use crate::archive::DumpId;
use crate::profile::{Profile, TargetRules};
use crate::restore::plan::{Destination, Held, RowForm, TableLoad};
use crate::rewrite::Shape;
use crate::schema;
use crate::sql::{ColumnDefinition, QualifiedName, quote_ident};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The temporary table in which rows are held: one at a time in a session.
const HELD: &str = "pgmig_held";

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

/// A column of the archive's rows.
struct FromColumn {
    name: String,
    /// As the archive defines it; `None` where it does not.
    type_name: Option<String>,
    /// Computed in the archive: there is a place for it in the rows, and no value.
    is_generated: bool,
}

/// How a column of the archive gets into the target's.
struct Place<'a> {
    column: &'a OwnColumn,
    /// SQL, where rows are held.
    expression: String,
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

    fn type_pair(&self, load: &TableLoad, column: &FromColumn, target: &str) -> Option<TypePair> {
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

    fn name_in_target<'n>(&'n self, table: &QualifiedName, column: &'n str) -> &'n str {
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
        let Some(from) = self.row_columns(load) else {
            let advice = "take the backup without --inserts, or with --column-inserts, or with the tables' definitions".to_owned();
            differences.insert(of_table(name, DifferenceKind::Unnamed, Outcome::Refused(advice)));
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

fn held(table: &QualifiedName, columns: &[String], places: &[Place<'_>]) -> Held {
    let held = QualifiedName::new("pg_temp", HELD);
    let names: Vec<String> = places.iter().map(|place| quote_ident(&place.column.name)).collect();
    let expressions: Vec<&str> = places.iter().map(|place| place.expression.as_str()).collect();
    let names = if names.is_empty() { String::new() } else { format!("({}) ", names.join(", ")) };
    Held {
        create: format!("CREATE TEMPORARY TABLE {HELD} ({}) ON COMMIT DROP", columns.join(", ")),
        insert: format!(
            "INSERT INTO {table} {names}OVERRIDING SYSTEM VALUE SELECT {} FROM {held}",
            expressions.join(", ")
        ),
        table: held,
    }
}

/// The columns of one table being matched.
struct Columns<'a, 'm> {
    matcher: &'m Matcher<'a>,
    load: &'m TableLoad,
    /// What differences call the table: a partition by the root of its tree, so that each is told once.
    label: &'m QualifiedName,
    table: &'m QualifiedName,
    own: &'a OwnTable,
    types: &'m TypeMatches,
    differences: &'m mut BTreeSet<TableDifference>,
    places: Vec<Place<'a>>,
    is_held: bool,
}

impl<'a> Columns<'a, '_> {
    fn differs(&mut self, column: &str, kind: DifferenceKind, outcome: Outcome) {
        let (table, column) = (self.label.to_string(), Some(quote_ident(column)));
        self.differences.insert(TableDifference { table, column, kind, outcome });
    }

    fn accepted(&mut self, column: &str, kind: DifferenceKind, text: &str) {
        self.differs(column, kind, Outcome::Accepted(text.to_owned()));
    }

    fn refused(&mut self, column: &str, kind: DifferenceKind, advice: &str) {
        self.differs(column, kind, Outcome::Refused(advice.to_owned()));
    }

    /// Finds the place of a column of the archive; returns it as one of the table that holds rows.
    fn place(&mut self, from: &FromColumn) -> String {
        let name = quote_ident(&from.name);
        let rules = self.matcher.rules;
        let own_type = self.known_type(from);
        let as_it_is = format!("{name} {}", own_type.unwrap_or("text"));
        if from.is_generated {
            self.is_held = true;
            return as_it_is;
        }
        if rules.drops(&self.load.table, Some(&from.name)) || rules.drops(self.label, Some(&from.name)) {
            self.is_held = true;
            self.accepted(&from.name, DifferenceKind::OnlyInArchive, "it is left out, as the profile says");
            return as_it_is;
        }
        let target = self.matcher.name_in_target(&self.load.table, &from.name).to_owned();
        let Some(column) = self.own.column(&target) else {
            let advice = "give the profile a rule for it (target_schema: rename or drop)";
            self.refused(&from.name, DifferenceKind::OnlyInArchive, advice);
            return as_it_is;
        };
        if target != from.name {
            let kind = DifferenceKind::Renamed { to: quote_ident(&target) };
            self.accepted(&from.name, kind, "its values go there, as the profile says");
        }
        if column.is_generated {
            let advice = "if the target's values will do, drop it in the profile (target_schema: drop)";
            self.refused(&from.name, DifferenceKind::Computed, advice);
            return as_it_is;
        }
        let cast = rules.cast(&self.load.table, &from.name).or_else(|| rules.cast(self.label, &from.name));
        let (held, mut expression) = match cast {
            Some(using) => {
                self.is_held = true;
                self.cast_by_rule(from, column);
                (as_it_is, format!("({using})"))
            }
            None => (self.convert(from, column, as_it_is), name.clone()),
        };
        if let Some(value) = rules.default_value(self.table, &column.name) {
            self.is_held = true;
            expression = format!("COALESCE({expression}, ({value}))");
        }
        self.places.push(Place { column, expression });
        held
    }

    /// The archive's type of a column, where the target has it.
    fn known_type<'f>(&self, from: &'f FromColumn) -> Option<&'f str> {
        let target = self.matcher.name_in_target(&self.load.table, &from.name);
        let target = self.own.column(target).map_or("text", |own| own.type_name.as_str());
        let matched = self.match_of(from, target)?;
        from.type_name.as_deref().filter(|_| matched.is_known)
    }

    fn match_of(&self, from: &FromColumn, target: &str) -> Option<TypeMatch> {
        let pair = self.matcher.type_pair(self.load, from, target)?;
        self.types.get(&pair).copied()
    }

    fn cast_by_rule(&mut self, from: &FromColumn, column: &OwnColumn) {
        let Some(archive) = from.type_name.clone().filter(|archive| *archive != column.type_name) else {
            return;
        };
        let kind = DifferenceKind::Type { archive, target: column.type_name.clone() };
        self.accepted(&from.name, kind, "its values are converted as the profile says");
    }

    /// Decides by the types. What is stored as text is held as the target's type, so that it is read in the same
    /// way whether rows are held or not.
    fn convert(&mut self, from: &FromColumn, column: &OwnColumn, as_it_is: String) -> String {
        let as_target = format!("{} {}", quote_ident(&from.name), column.type_name);
        let Some(archive) = from.type_name.clone().filter(|archive| *archive != column.type_name) else {
            return as_target;
        };
        let kind = DifferenceKind::Type { archive, target: column.type_name.clone() };
        match self.match_of(from, &column.type_name).map(|matched| matched.conversion) {
            Some(Conversion::Text) => {
                self.accepted(&from.name, kind, "its values are taken as they are");
                as_target
            }
            Some(Conversion::Assignment) => {
                self.is_held = true;
                self.accepted(&from.name, kind, "its values are converted as INSERT does");
                as_it_is
            }
            Some(Conversion::None) | None => {
                let advice = "give the profile a rule for it (target_schema: cast)";
                self.refused(&from.name, kind, advice);
                as_it_is
            }
        }
    }

    /// The target's columns that no column of the archive is for.
    fn fill_rest(&mut self, from: &[FromColumn]) {
        let own = self.own;
        let computed = self.matcher.definitions.columns(&self.load.table).unwrap_or_default();
        for column in own.columns.iter().filter(|column| !column.is_generated) {
            let is_taken = self.places.iter().any(|place| place.column.name == column.name);
            let is_refused = from.iter().any(|from| {
                self.matcher.name_in_target(&self.load.table, &from.name) == column.name && !from.is_generated
            });
            let left_out = self.matcher.rules.drops(&self.load.table, Some(&column.name));
            if is_taken || is_refused && !left_out {
                continue;
            }
            let was_computed =
                computed.iter().any(|definition| definition.name == column.name && definition.is_generated);
            self.fill(column, was_computed);
        }
    }

    fn fill(&mut self, column: &'a OwnColumn, was_computed: bool) {
        let kind = if was_computed { DifferenceKind::WasComputed } else { DifferenceKind::OnlyInTarget };
        if let Some(value) = self.matcher.rules.default_value(self.table, &column.name) {
            self.is_held = true;
            self.accepted(&column.name, kind, "it gets the value that the profile says");
            self.places.push(Place { column, expression: format!("({value})") });
        } else if was_computed {
            let advice = "give the profile an expression for it (target_schema: default)";
            self.refused(&column.name, kind, advice);
        } else if column.has_default {
            self.accepted(&column.name, kind, "it takes its default");
        } else if column.is_not_null {
            let advice =
                "it is NOT NULL and has no default: give the profile a value for it (target_schema: default)";
            self.refused(&column.name, kind, advice);
        } else {
            self.accepted(&column.name, kind, "it stays NULL");
        }
    }
}
