//! Matches the columns of one table: which column of the target gets which column of the archive. Pure.

use super::fit::Fit;
use super::matching::Matcher;
use super::own::{OwnColumn, OwnTable};
use super::types::{Conversion, TypeMatch, TypeMatches};
use super::user_types::TypeDifference;
use crate::restore::plan::{TableLoad, TempTable};
use crate::restore::report::difference::{DifferenceKind, Outcome, TableDifference};
use crate::sql::{QualifiedName, quote_ident};
use std::collections::BTreeSet;

/// The temporary table that buffers rows: one at a time in a session.
const TEMP_TABLE: &str = "pgmig_held";

/// A column in the rows of the archive.
pub(crate) struct FromColumn {
    pub(crate) name: String,
    /// Its type in the archive; `None` if the archive does not define the column.
    pub(crate) type_name: Option<String>,
    /// Whether the archive computes it. A held row has a place for such a column, and no value in it.
    pub(crate) is_generated: bool,
    /// Whether it may be NULL by the archive's definition.
    pub(crate) is_nullable: bool,
}

/// A column of the temporary table: name and type, as SQL.
pub(crate) type TempColumn = (String, String);

/// A column of the target, and the value that it gets.
pub(crate) struct Place<'a> {
    pub(crate) column: &'a OwnColumn,
    /// SQL, where rows go through the temporary table.
    pub(crate) expression: String,
}

/// An expression of the profile that is used for a column.
pub(crate) struct Used {
    pub(crate) rule: String,
    pub(crate) sql: String,
    /// The target's column.
    pub(crate) column: String,
}

/// Matches the columns of one table.
pub(crate) struct Columns<'a, 'm> {
    pub(crate) matcher: &'m Matcher<'a>,
    pub(crate) load: &'m TableLoad,
    /// The table's name in differences. A partition has the name of its root, so that each difference is reported
    /// once.
    pub(crate) label: &'m QualifiedName,
    pub(crate) table: &'m QualifiedName,
    pub(crate) own: &'a OwnTable,
    pub(crate) types: &'m TypeMatches,
    pub(crate) differences: &'m mut BTreeSet<TableDifference>,
    pub(crate) places: Vec<Place<'a>>,
    pub(crate) used: Vec<Used>,
    pub(crate) is_buffered: bool,
}

impl<'a> Columns<'a, '_> {
    fn differs(&mut self, column: &str, kind: DifferenceKind, outcome: Outcome) {
        // A rule for the column must use this name.
        let is_own = matches!(kind, DifferenceKind::OnlyInTarget | DifferenceKind::WasComputed);
        let table = if is_own { self.table } else { self.label }.to_string();
        self.differences.insert(TableDifference { table, column: Some(quote_ident(column)), kind, outcome });
    }

    fn accepted(&mut self, column: &str, kind: DifferenceKind, text: &str) {
        self.differs(column, kind, Outcome::Accepted(text.to_owned()));
    }

    fn refused(&mut self, column: &str, kind: DifferenceKind, advice: &str) {
        self.differs(column, kind, Outcome::Refused(advice.to_owned()));
    }

    /// Finds the place of a column of the archive; returns it as one of the table that holds rows.
    pub(crate) fn place(&mut self, from: &FromColumn) -> TempColumn {
        let name = quote_ident(&from.name);
        let as_it_is = (name.clone(), self.seen_type(from));
        let rules = self.matcher.rules;
        if from.is_generated {
            self.is_buffered = true;
            return as_it_is;
        }
        if self.is_left_out(&from.name) {
            self.is_buffered = true;
            self.accepted(&from.name, DifferenceKind::LeftOut, "its values are not loaded");
            return as_it_is;
        }
        let Some(column) = self.destination(from) else { return as_it_is };
        let cast = rules.cast(&self.load.table, &from.name).or_else(|| rules.cast(self.label, &from.name));
        let default = rules.default_value(self.table, &column.name);
        let (mut temp_type, mut expression) = match cast {
            Some(using) => {
                self.cast_by_rule(from, column);
                self.use_expression("cast", using, column);
                (as_it_is.1.clone(), format!("({using})"))
            }
            None => (self.convert(from, column), name.clone()),
        };
        if let Some(value) = default {
            self.use_expression("default", value, column);
            expression = format!("COALESCE({expression}, ({value}))");
            if self.matcher.own_type(&column.type_name).is_some() {
                // A domain could refuse the NULL that is to be replaced.
                temp_type = as_it_is.1;
            }
        } else if cast.is_none() && from.is_nullable && column.is_not_null {
            let text = format!("a NULL in it stops the restore; {} fills it", self.default_rule(column));
            self.accepted(&from.name, DifferenceKind::Nullable, &text);
        }
        self.places.push(Place { column, expression });
        (name, temp_type)
    }

    fn use_expression(&mut self, kind: &str, sql: &str, column: &OwnColumn) {
        self.is_buffered = true;
        let rule = format!("{kind} for column {}.{}", self.table, quote_ident(&column.name));
        self.used.push(Used { rule, sql: sql.to_owned(), column: quote_ident(&column.name) });
    }

    /// Whether the profile drops this column of the archive.
    fn is_left_out(&self, column: &str) -> bool {
        let rules = self.matcher.rules;
        rules.drops(&self.load.table, Some(column)) || rules.drops(self.label, Some(column))
    }

    /// The target's column for a column of the archive. Adds a difference if the target has none, or computes it.
    fn destination(&mut self, from: &FromColumn) -> Option<&'a OwnColumn> {
        let target = self.matcher.name_in_target(&self.load.table, &from.name).to_owned();
        let Some(column) = self.own.column(&target) else {
            let advice = if target == from.name {
                "give the profile a rule for it (target_schema: rename or drop)".to_owned()
            } else {
                let (to, table) = (quote_ident(&target), self.table);
                format!("the profile renames it to {to}, which table {table} of the target does not have")
            };
            self.refused(&from.name, DifferenceKind::OnlyInArchive, &advice);
            return None;
        };
        let kind = DifferenceKind::Renamed { to: quote_ident(&target) };
        if self.places.iter().any(|place| place.column.name == target) {
            let advice =
                "another column of the archive goes there, too: only one can (target_schema: rename or drop)";
            self.refused(&from.name, kind, advice);
            return None;
        }
        if target != from.name {
            self.accepted(&from.name, kind, "its values go there, as the profile says");
        }
        if column.is_generated {
            let advice = "if the target's values will do, drop it in the profile (target_schema: drop)";
            self.refused(&from.name, DifferenceKind::Computed, advice);
            return None;
        }
        Some(column)
    }

    /// The type in which expressions of the profile see a column: the archive's type, with domains resolved. It is
    /// `text` for types that a user has defined, since the target's type of that name may be another one.
    fn seen_type(&self, from: &FromColumn) -> String {
        let definitions = self.matcher.definitions;
        let base = from.type_name.as_deref().map(|of| definitions.base_type(&self.load.table, of));
        let is_users = |base: &String| definitions.user_type(&self.load.table, base).is_some();
        base.filter(|base| self.is_known(from) && !is_users(base)).unwrap_or_else(|| "text".to_owned())
    }

    fn is_known(&self, from: &FromColumn) -> bool {
        let target = self.matcher.name_in_target(&self.load.table, &from.name);
        let target = self.own.column(target).map_or("text", |own| own.type_name.as_str());
        self.match_of(from, target).is_some_and(|matched| matched.is_known)
    }

    fn match_of(&self, from: &FromColumn, target: &str) -> Option<TypeMatch> {
        let pair = self.matcher.type_pair(self.load, from, target)?;
        self.types.get(&pair).copied()
    }

    fn cast_by_rule(&mut self, from: &FromColumn, column: &OwnColumn) {
        let Some(archive) = from.type_name.clone() else { return };
        let kind = match self.definition_difference(from, column) {
            Some((of, TypeDifference::Other(how))) => DifferenceKind::Definition { of, how },
            _ if archive == column.type_name => return,
            _ => DifferenceKind::Type { archive, target: column.type_name.clone() },
        };
        self.accepted(&from.name, kind, "its values are converted as the profile says");
    }

    /// How the target's type differs from the archive's type of the same name, if users have defined both.
    fn definition_difference(
        &self,
        from: &FromColumn,
        column: &OwnColumn,
    ) -> Option<(String, TypeDifference)> {
        let definitions = self.matcher.definitions;
        let (name, archive) = definitions.user_type(&self.load.table, from.type_name.as_deref()?)?;
        let own_name = column.type_name.trim_end_matches("[]");
        let target = self.matcher.own_type(own_name).filter(|_| own_name == name)?;
        Some((name, archive.difference(target)?))
    }

    /// Decides by the types, and returns the type in which the column is held. Values that are loaded as text are
    /// held as the target's type: so they are parsed in the same way whether rows are held or not.
    fn convert(&mut self, from: &FromColumn, column: &OwnColumn) -> String {
        let as_target = column.type_name.clone();
        let Some(archive) = from.type_name.clone() else { return as_target };
        match self.definition_difference(from, column) {
            Some((of, TypeDifference::Other(how))) => {
                let advice = self.cast_rule(from, &format!("{}::{as_target}", quote_ident(&from.name)));
                self.refused(&from.name, DifferenceKind::Definition { of, how }, &advice);
                return as_target;
            }
            Some((of, TypeDifference::Stricter)) => {
                let kind =
                    DifferenceKind::Definition { of, how: "the target's domain checks more".to_owned() };
                self.accepted(&from.name, kind, "a value that it does not admit stops the restore");
                return as_target;
            }
            None if archive == as_target => return as_target,
            None => {}
        }
        let kind = DifferenceKind::Type { archive, target: as_target.clone() };
        let matched = self.match_of(from, &as_target);
        let Some(matched) = matched.filter(|matched| matched.conversion != Conversion::None) else {
            let advice = self.cast_rule(from, "...");
            self.refused(&from.name, kind, &advice);
            return as_target;
        };
        if let Fit::Loses(lost) = matched.fit {
            let rule = self.cast_rule(from, &quote_ident(&from.name));
            self.refused(&from.name, kind, &format!("it would lose {lost}; if it may, {rule}"));
            return as_target;
        }
        self.accepted(&from.name, kind, &self.how(matched));
        if matched.conversion == Conversion::Text {
            return as_target;
        }
        self.is_buffered = true;
        let base =
            from.type_name.as_deref().map(|of| self.matcher.definitions.base_type(&self.load.table, of));
        base.filter(|_| matched.is_known).unwrap_or_else(|| "text".to_owned())
    }

    fn how(&self, matched: TypeMatch) -> String {
        let how = match matched.conversion {
            _ if matched.is_zoned => {
                format!("its values are converted in time zone {}", self.matcher.time_zone)
            }
            Conversion::Text => "its values are taken as they are".to_owned(),
            Conversion::Assignment | Conversion::None => "its values are converted as INSERT does".to_owned(),
        };
        if matched.fit == Fit::Checked {
            format!("{how}, and one that does not fit stops the restore")
        } else {
            how
        }
    }

    /// Advice with the rule to write for a column of the archive.
    fn cast_rule(&self, from: &FromColumn, using: &str) -> String {
        let (table, column) = (self.label.name.as_str(), from.name.as_str());
        let rule = format!("{{table: {table}, column: {column}, using: {using:?}}}");
        format!("give the profile a rule for it (target_schema: cast: {rule})")
    }

    /// The rule to write for a column of the target.
    fn default_rule(&self, column: &OwnColumn) -> String {
        let (table, column) = (self.table.name.as_str(), column.name.as_str());
        format!("target_schema: default: {{table: {table}, column: {column}, value: ...}}")
    }

    /// Decides about the target's columns for which the archive has no column.
    pub(crate) fn fill_rest(&mut self, from: &[FromColumn]) {
        let own = self.own;
        let computed = self.matcher.definitions.columns(&self.load.table).unwrap_or_default();
        for column in own.columns.iter().filter(|column| !column.is_generated) {
            let is_taken = self.places.iter().any(|place| place.column.name == column.name);
            let is_refused = from.iter().any(|from| {
                self.matcher.name_in_target(&self.load.table, &from.name) == column.name
                    && !from.is_generated
                    && !self.is_left_out(&from.name)
            });
            if is_taken || is_refused {
                continue;
            }
            let was_computed =
                computed.iter().any(|definition| definition.name == column.name && definition.is_generated);
            self.fill(column, was_computed);
        }
    }

    fn fill(&mut self, column: &'a OwnColumn, was_computed: bool) {
        let kind = match was_computed {
            true => DifferenceKind::WasComputed,
            false if self.is_left_out(&column.name) => DifferenceKind::LeftOut,
            false => DifferenceKind::OnlyInTarget,
        };
        if let Some(value) = self.matcher.rules.default_value(self.table, &column.name) {
            self.use_expression("default", value, column);
            self.accepted(&column.name, kind, "it gets the value that the profile says");
            self.places.push(Place { column, expression: format!("({value})") });
        } else if was_computed {
            let advice = format!("give the profile an expression for it ({})", self.default_rule(column));
            self.refused(&column.name, kind, &advice);
        } else if column.has_default {
            self.accepted(&column.name, kind, "it takes its default");
        } else if column.is_not_null {
            let rule = self.default_rule(column);
            let advice =
                format!("it is NOT NULL and has no default: give the profile a value for it ({rule})");
            self.refused(&column.name, kind, &advice);
        } else {
            self.accepted(&column.name, kind, "it stays NULL");
        }
    }
}

/// The temporary table of rows with these columns, and the statement that inserts them into the table.
pub(crate) fn temp_table(table: &QualifiedName, columns: &[TempColumn], places: &[Place<'_>]) -> TempTable {
    let temp_table = QualifiedName::new("pg_temp", TEMP_TABLE);
    let names: Vec<String> = places.iter().map(|place| quote_ident(&place.column.name)).collect();
    let expressions: Vec<&str> = places.iter().map(|place| place.expression.as_str()).collect();
    let columns: Vec<String> = columns.iter().map(|(name, of)| format!("{name} {of}")).collect();
    let names = if names.is_empty() { String::new() } else { format!("({}) ", names.join(", ")) };
    TempTable {
        create: format!("CREATE TEMPORARY TABLE {TEMP_TABLE} ({}) ON COMMIT DROP", columns.join(", ")),
        insert: format!(
            "INSERT INTO {table} {names}OVERRIDING SYSTEM VALUE SELECT {} FROM {temp_table}",
            expressions.join(", ")
        ),
        table: temp_table,
    }
}
