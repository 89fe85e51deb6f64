//! Matches the tables of the archive to those of the target, column by column. Pure.

use super::archived::Definitions;
use super::columns::{Columns, FromColumn, TempColumn, temp_table};
use super::expressions::Expression;
use super::own::{OwnTable, OwnTables};
use super::types::{TypeMatches, TypePair};
use super::user_types::{UserType, UserTypes};
use crate::archive::DumpId;
use crate::migrations;
use crate::profile::{Profile, TargetRules};
use crate::restore::plan::{Destination, RowForm, TableLoad};
use crate::restore::report::difference::{DifferenceKind, Outcome, TableDifference};
use crate::rewrite::Shape;
use crate::sql::{ColumnDefinition, QualifiedName};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Decides where rows go.
pub(crate) struct Matcher<'a> {
    pub(crate) definitions: &'a Definitions,
    /// The columns that INSERT statements name, for tables that the archive does not define.
    pub(crate) named: &'a HashMap<DumpId, Vec<String>>,
    pub(crate) own: &'a OwnTables,
    pub(crate) own_types: &'a UserTypes,
    pub(crate) profile: Option<&'a Profile>,
    pub(crate) rules: &'a TargetRules,
    /// The time zone in which the target reads times that have none.
    pub(crate) time_zone: &'a str,
    pub(crate) is_stream: bool,
}

/// The result for all tables.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Matched {
    /// The loads, each with its destination, without the tables that are left out.
    pub(crate) loads: Vec<TableLoad>,
    pub(crate) differences: BTreeSet<TableDifference>,
    /// Tables of the target that get no rows, since the archive does not have them.
    pub(crate) new: Vec<QualifiedName>,
    /// The expressions of the profile that are used.
    pub(crate) expressions: Vec<Expression>,
}

impl<'a> Matcher<'a> {
    /// Every pair of types that the server must compare.
    pub(crate) fn type_pairs(&self, loads: &[TableLoad]) -> BTreeSet<TypePair> {
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

    pub(crate) fn type_pair(&self, load: &TableLoad, column: &FromColumn, target: &str) -> Option<TypePair> {
        let schema = load.table.schema.clone().filter(|_| self.definitions.is_unqualified);
        let archive = self.definitions.base_type(&load.table, column.type_name.as_deref()?);
        Some(TypePair { archive, schema, target: target.to_owned() })
    }

    pub(crate) fn run(&self, loads: &[TableLoad], types: &TypeMatches) -> Matched {
        let mut matched = Matched::default();
        let mut taken = HashSet::new();
        for load in loads {
            if let Some(into) = self.load(load, types, &mut matched) {
                taken.insert(into.table.clone());
                matched.loads.push(TableLoad { into: Some(Box::new(into)), ..load.clone() });
            }
        }
        for (name, table) in self.own {
            let is_new = table.root.is_none()
                && !taken.contains(name)
                && !self.is_global(name, table)
                && self.definitions.columns(name).is_none();
            if is_new {
                matched.new.push(name.clone());
            }
        }
        matched
    }

    /// The target's table for rows of a table of the archive. The profile's rule decides, else the name. A
    /// partition's rows always go through its root, since the target's bounds may differ from the archive's.
    pub(crate) fn destination(&self, table: &QualifiedName) -> Option<(&'a QualifiedName, &'a OwnTable)> {
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

    pub(crate) fn name_in_target<'n>(&'n self, table: &QualifiedName, column: &'n str) -> &'n str {
        let root = self.definitions.parents(table).last().copied();
        let renamed = self.rules.column(table, column);
        renamed.or_else(|| self.rules.column(root?, column)).unwrap_or(column)
    }

    /// A type that users have defined in the target, by its name or by the name of its array type.
    pub(crate) fn own_type(&self, name: &str) -> Option<&'a UserType> {
        self.own_types.get(name.trim_end_matches("[]"))
    }

    /// Whether the archive has such a table, and this column in it if one is given.
    pub(crate) fn archive_has(
        &self,
        loads: &[TableLoad],
        is: impl Fn(&QualifiedName) -> bool,
        column: Option<&str>,
    ) -> bool {
        let has = |name: &str| {
            let is_defined = |table: &QualifiedName| {
                let columns = self.definitions.columns(table).unwrap_or_default();
                is(table) && columns.iter().any(|column| column.name == name)
            };
            let is_loaded = |load: &TableLoad| {
                let columns = self.row_columns(load).unwrap_or_default();
                is(&load.table) && columns.iter().any(|column| column.name == name)
            };
            self.definitions.tables().any(is_defined) || loads.iter().any(is_loaded)
        };
        match column {
            Some(name) => has(name),
            None => self.definitions.tables().chain(loads.iter().map(|load| &load.table)).any(is),
        }
    }

    /// The target's name for such a table of the archive, if a rule renames it.
    pub(crate) fn renamed(
        &self,
        loads: &[TableLoad],
        is: impl Fn(&QualifiedName) -> bool,
    ) -> Option<QualifiedName> {
        loads.iter().filter(|load| is(&load.table)).find_map(|load| self.rules.table(&load.table))
    }

    fn is_global(&self, name: &QualifiedName, table: &OwnTable) -> bool {
        table.of_extension || self.is_global_name(name)
    }

    fn is_global_name(&self, name: &QualifiedName) -> bool {
        let defined = self.definitions.columns(name).unwrap_or_default();
        let columns: Vec<&str> = defined.iter().map(|column| column.name.as_str()).collect();
        migrations::tool_of(&name.name, &columns).is_some()
            || self.own.get(name).is_some_and(|own| own.is_of_tool(name))
            || self.profile.is_some_and(|profile| profile.is_global(name))
    }

    /// The columns of a load's rows, in the order of their fields; `None` if the archive does not show them.
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
                        is_nullable: definition.is_some_and(|column| self.is_nullable(load, column)),
                    }
                };
                Some(copy.columns.iter().flatten().map(from).collect())
            }
            RowForm::Inserts { .. } => {
                let from = |column: ColumnDefinition| FromColumn {
                    type_name: type_name(&column),
                    is_generated: column.is_generated,
                    is_nullable: self.is_nullable(load, &column),
                    name: column.name,
                };
                let Some(defined) = defined else {
                    let from = |name: &String| FromColumn {
                        name: name.clone(),
                        type_name: None,
                        is_generated: false,
                        is_nullable: false,
                    };
                    return Some(self.named.get(&load.dump_id)?.iter().map(from).collect());
                };
                Some(defined.into_iter().map(from).collect())
            }
        }
    }

    fn is_nullable(&self, load: &TableLoad, column: &ColumnDefinition) -> bool {
        let domain = self.definitions.user_type(&load.table, &column.type_name);
        !column.is_not_null && !matches!(domain, Some((_, UserType::Domain { is_not_null: true, .. })))
    }

    /// The destination of a load's rows; `None` if they are not loaded.
    fn load(&self, load: &TableLoad, types: &TypeMatches, matched: &mut Matched) -> Option<Destination> {
        let name = &load.table;
        let parents = self.definitions.parents(name);
        let differences = &mut matched.differences;
        let accepted = |text: &str| Outcome::Accepted(text.to_owned());
        if std::iter::once(name).chain(parents.iter().copied()).any(|name| self.rules.drops(name, None)) {
            differences.insert(of_table(name, DifferenceKind::LeftOut, accepted("its rows are not loaded")));
            return None;
        }
        let destination = self.destination(name);
        let mut names = std::iter::once(name).chain(parents.iter().copied());
        if names.any(|name| self.is_global_name(name))
            || destination.is_some_and(|(name, own)| self.is_global(name, own))
        {
            let outcome = accepted("it keeps the target's rows");
            differences.insert(of_table(name, DifferenceKind::Global, outcome));
            return None;
        }
        let Some((table, own)) = destination else {
            let advice = match self.rules.table(name) {
                Some(to) => format!("the profile renames it to {to}, which is no table of the target"),
                None => "give the profile a rule for it (target_schema: rename or drop)".to_owned(),
            };
            differences.insert(of_table(name, DifferenceKind::OnlyInArchive, Outcome::Refused(advice)));
            return None;
        };
        if self.rules.table(name).is_some() {
            let kind = DifferenceKind::Renamed { to: table.to_string() };
            differences.insert(of_table(name, kind, accepted("its rows go there, as the profile says")));
        } else if table != name && !self.is_same_partition(name, &parents, table) {
            let kind = DifferenceKind::Partition { of: table.to_string() };
            differences.insert(of_table(name, kind, accepted("its rows go there")));
        }
        self.columns(load, (table, own), types, matched)
    }

    /// Whether the target has a partition of that name with the same root.
    fn is_same_partition(
        &self,
        name: &QualifiedName,
        parents: &[&QualifiedName],
        root: &QualifiedName,
    ) -> bool {
        let own_root = self.own.get(name).and_then(|own| own.root.as_ref());
        let archived = parents.last().map(|root| self.rules.table(root).unwrap_or_else(|| (*root).clone()));
        own_root == Some(root) && archived.as_ref() == Some(root)
    }

    /// Matches the columns of a load's rows to those of its table.
    fn columns(
        &self,
        load: &TableLoad,
        (table, own): (&QualifiedName, &'a OwnTable),
        types: &TypeMatches,
        matched: &mut Matched,
    ) -> Option<Destination> {
        let name = &load.table;
        let Some(from) = self.row_columns(load) else {
            let advice = if self.is_stream {
                "give the file itself instead of standard input, where the first statement is not known beforehand"
            } else {
                "take the backup without --inserts, or with --column-inserts, or with definitions"
            };
            let refused = Outcome::Refused(advice.to_owned());
            matched.differences.insert(of_table(name, DifferenceKind::Unnamed, refused));
            return None;
        };
        let root = self.definitions.parents(name).last().copied().unwrap_or(name);
        // COPY without a list of columns is for a table that has no columns in the archive.
        let has_none = from.is_empty() && !own.columns.is_empty();
        let mut columns = Columns {
            matcher: self,
            load,
            label: root,
            table,
            own,
            types,
            differences: &mut matched.differences,
            places: Vec::new(),
            used: Vec::new(),
            is_buffered: has_none || matches!(load.form, RowForm::Inserts { .. }),
        };
        let temp_columns: Vec<TempColumn> = from.iter().map(|column| columns.place(column)).collect();
        columns.fill_rest(&from);
        let Columns { places, used, is_buffered, .. } = columns;
        matched.expressions.extend(used.into_iter().map(|used| Expression {
            rule: used.rule,
            sql: used.sql,
            columns: temp_columns.clone(),
            table: table.clone(),
            column: used.column,
        }));
        let shapes = from.iter().map(|column| (column.name.clone(), self.shape(load, column, own, types)));
        Some(Destination {
            table: table.clone(),
            columns: places.iter().map(|place| place.column.name.clone()).collect(),
            from: shapes.collect(),
            temp_table: is_buffered.then(|| temp_table(table, &temp_columns, &places)),
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

pub(crate) fn of_table(table: &QualifiedName, kind: DifferenceKind, outcome: Outcome) -> TableDifference {
    TableDifference { table: table.to_string(), column: None, kind, outcome }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::super::own::OwnColumn;
    use super::*;
    use crate::copy::CopyStatement;
    use crate::restore::plan::RunAs;

    fn table(name: &str) -> QualifiedName {
        QualifiedName::new("s", name)
    }

    fn column(name: &str, is_not_null: bool, has_default: bool) -> OwnColumn {
        let (name, type_name) = (name.to_owned(), "text".to_owned());
        OwnColumn { name, type_name, is_not_null, has_default, is_generated: false }
    }

    fn rows(name: &str, columns: &[&str]) -> TableLoad {
        let columns = Some(columns.iter().map(|&column| column.to_owned()).collect());
        TableLoad {
            dump_id: DumpId::new(1).unwrap(),
            table: table(name),
            form: RowForm::Copy(CopyStatement { table: table(name), columns, has_oids: false }),
            run_as: RunAs::Owner,
            alone: false,
            in_order: false,
            last: false,
            into: None,
        }
    }

    /// Matches rows of `t (a, b)` to a table `t` of the target that has these columns.
    fn matched(columns: &[OwnColumn], rules: &TargetRules) -> Matched {
        let own = OwnTable { columns: columns.to_vec(), ..OwnTable::default() };
        let own = OwnTables::from([(table("t"), own), (table("new"), OwnTable::default())]);
        let (definitions, named) = (Definitions::default(), HashMap::new());
        let matcher = Matcher {
            definitions: &definitions,
            named: &named,
            own: &own,
            own_types: &UserTypes::new(),
            profile: None,
            rules,
            time_zone: "UTC",
            is_stream: false,
        };
        matcher.run(&[rows("t", &["a", "b"])], &TypeMatches::new())
    }

    fn refused(matched: &Matched) -> Vec<String> {
        let refused = matched.differences.iter().filter(|difference| difference.is_refused());
        refused.map(ToString::to_string).collect()
    }

    #[test]
    fn columns_go_by_their_names() {
        let own = [column("b", true, false), column("c", true, true), column("a", false, false)];
        let matched = matched(&own, &TargetRules::default());
        assert_eq!(refused(&matched), Vec::<String>::new());
        let into = matched.loads[0].into.as_ref().unwrap();
        assert_eq!(
            (into.columns.as_slice(), &into.temp_table),
            (["a".to_owned(), "b".to_owned()].as_slice(), &None)
        );
        let texts: Vec<String> = matched.differences.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["column s.t.c: the archive has no such column; it takes its default"]);
        assert_eq!(matched.new, [table("new")]);
    }

    #[test]
    fn what_has_no_place_or_no_value_is_refused() {
        let matched =
            matched(&[column("a", false, false), column("c", true, false)], &TargetRules::default());
        let refused = refused(&matched);
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert!(refused[0].starts_with("column s.t.b: the target has no such column"), "{refused:?}");
        assert!(refused[1].contains("column s.t.c") && refused[1].contains("NOT NULL"), "{refused:?}");
    }

    #[test]
    fn rules_make_rows_go_through_a_temporary_table() {
        let yaml = "rename: [{table: t, column: b, to: c}]\ndefault: [{table: t, column: c, value: \"'x'\"}]\n\
                    cast: [{table: t, column: a, using: upper(a)}]\n";
        let rules: TargetRules = crate::server::yaml::parse(yaml).unwrap();
        let matched = matched(&[column("a", false, false), column("c", true, false)], &rules);
        assert_eq!(refused(&matched), Vec::<String>::new());
        let buffer = matched.loads[0].temp_table().unwrap();
        assert_eq!(buffer.create, "CREATE TEMPORARY TABLE pgmig_held (a text, b text) ON COMMIT DROP");
        assert_eq!(
            buffer.insert,
            "INSERT INTO s.t (a, c) OVERRIDING SYSTEM VALUE SELECT (upper(a)), COALESCE(b, ('x')) FROM \
             pg_temp.pgmig_held"
        );
    }
}
