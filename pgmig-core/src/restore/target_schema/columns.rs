//! Which column of the target takes the values of which one of the archive, in one table. Pure.

use super::difference::{DifferenceKind, Outcome, TableDifference};
use super::matching::Matcher;
use super::own::{OwnColumn, OwnTable};
use super::types::{Conversion, TypeMatch, TypeMatches};
use crate::restore::plan::{Held, TableLoad};
use crate::sql::{QualifiedName, quote_ident};
use std::collections::BTreeSet;

/// The temporary table in which rows are held: one at a time in a session.
const HELD: &str = "pgmig_held";

/// A column of the archive's rows.
pub(super) struct FromColumn {
    pub(super) name: String,
    /// As the archive defines it; `None` where it does not.
    pub(super) type_name: Option<String>,
    /// Computed in the archive: there is a place for it in the rows, and no value.
    pub(super) is_generated: bool,
}

/// How a column of the archive gets into the target's.
pub(super) struct Place<'a> {
    pub(super) column: &'a OwnColumn,
    /// SQL, where rows are held.
    pub(super) expression: String,
}

/// The columns of one table being matched.
pub(super) struct Columns<'a, 'm> {
    pub(super) matcher: &'m Matcher<'a>,
    pub(super) load: &'m TableLoad,
    /// What differences call the table: a partition by the root of its tree, so that each is told once.
    pub(super) label: &'m QualifiedName,
    pub(super) table: &'m QualifiedName,
    pub(super) own: &'a OwnTable,
    pub(super) types: &'m TypeMatches,
    pub(super) differences: &'m mut BTreeSet<TableDifference>,
    pub(super) places: Vec<Place<'a>>,
    pub(super) is_held: bool,
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
    pub(super) fn place(&mut self, from: &FromColumn) -> String {
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
    pub(super) fn fill_rest(&mut self, from: &[FromColumn]) {
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

/// How rows with these columns are held, and inserted into the table.
pub(super) fn held(table: &QualifiedName, columns: &[String], places: &[Place<'_>]) -> Held {
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
