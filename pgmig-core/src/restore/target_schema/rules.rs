//! Checks the rules of a profile against this archive and this target. Pure.
//!
//! Without this check, a rule with a mistyped name would silently do nothing.

use super::matching::Matcher;
use crate::profile::{TableRef, TargetRules};
use crate::restore::plan::TableLoad;
use crate::sql::QualifiedName;
use std::collections::HashSet;

/// The table or column that a rule names.
type Place<'r> = (&'r Option<String>, &'r str, Option<&'r str>);

/// The results of the check.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Rules that cannot be followed.
    pub(crate) faults: Vec<String>,
    /// Rules that have no effect.
    pub(crate) idle: Vec<String>,
}

/// Checks every rule.
pub(crate) fn look(matcher: &Matcher<'_>, loads: &[TableLoad], global: &[TableRef]) -> Findings {
    let mut findings = Findings::default();
    findings.contradictions(matcher.rules, global);
    let of_archive = |place: Place<'_>| matcher.archive_has(loads, |table| is(place, table), place.2);
    let rules = matcher.rules;
    let renames = rules.rename.iter().map(|rule| ("rename", place(&rule.schema, &rule.table, &rule.column)));
    let drops = rules.drop.iter().map(|rule| ("drop", place(&rule.schema, &rule.table, &rule.column)));
    let casts = rules
        .cast
        .iter()
        .map(|rule| ("cast", (&rule.schema, rule.table.as_str(), Some(rule.column.as_str()))));
    for (kind, place) in renames.chain(drops).chain(casts).filter(|(_, place)| !of_archive(*place)) {
        let noun = if place.2.is_some() { "column" } else { "table" };
        findings.idle.push(format!("{}: the archive has no such {noun}", label(kind, place)));
    }
    for rule in &rules.default {
        let place = (&rule.schema, rule.table.as_str(), Some(rule.column.as_str()));
        let of_target = matcher.own.iter().filter(|(name, _)| is(place, name));
        let mut columns = of_target.filter_map(|(_, table)| table.column(&rule.column)).peekable();
        if columns.peek().is_none() {
            let hint = match matcher.renamed(loads, |table| is(place, table)) {
                Some(to) => {
                    format!("; the target calls the table {to}, and default takes the target's names")
                }
                None => String::new(),
            };
            findings.idle.push(format!("{}: the target has no such column{hint}", label("default", place)));
        } else if columns.all(|column| column.is_generated) {
            findings.faults.push(format!("{}: the target computes that column", label("default", place)));
        }
    }
    for table in global {
        let place = (&table.schema, table.table.as_str(), None);
        if !matcher.own.keys().any(|own| table.is(own)) && !of_archive(place) {
            findings.faults.push(format!(
                "global_tables: {}: neither the target nor the archive has such a table, so no rows would be kept for it",
                name(place)
            ));
        }
    }
    findings
}

impl Findings {
    /// Finds two rules for the same table or column.
    fn contradictions(&mut self, rules: &TargetRules, global: &[TableRef]) {
        let mut seen = HashSet::new();
        let renames =
            rules.rename.iter().map(|rule| ("rename", place(&rule.schema, &rule.table, &rule.column)));
        let drops = rules.drop.iter().map(|rule| ("drop", place(&rule.schema, &rule.table, &rule.column)));
        let global =
            global.iter().map(|table| ("global_tables", (&table.schema, table.table.as_str(), None)));
        for (kind, place) in renames.chain(drops).chain(global) {
            if !seen.insert(place) {
                self.faults.push(format!("{}: there is another rule for it", label(kind, place)));
            }
        }
        let mut converted: HashSet<Place<'_>> =
            rules.drop.iter().map(|rule| place(&rule.schema, &rule.table, &rule.column)).collect();
        for rule in &rules.cast {
            let place = (&rule.schema, rule.table.as_str(), Some(rule.column.as_str()));
            if !converted.insert(place) {
                self.faults.push(format!("{}: there is another rule for it", label("cast", place)));
            }
        }
        let mut filled = HashSet::new();
        for rule in &rules.default {
            let place = (&rule.schema, rule.table.as_str(), Some(rule.column.as_str()));
            if !filled.insert(place) {
                self.faults.push(format!("{}: there is another rule for it", label("default", place)));
            }
        }
    }
}

fn place<'r>(schema: &'r Option<String>, table: &'r str, column: &'r Option<String>) -> Place<'r> {
    (schema, table, column.as_deref())
}

fn is((schema, name, _): Place<'_>, table: &QualifiedName) -> bool {
    table.name == name && schema.as_ref().is_none_or(|schema| table.schema.as_ref() == Some(schema))
}

fn name((schema, table, column): Place<'_>) -> String {
    let table = QualifiedName { schema: schema.clone(), name: table.to_owned() };
    match column {
        Some(column) => format!("{table}.{}", crate::sql::quote_ident(column)),
        None => table.to_string(),
    }
}

fn label(kind: &str, place: Place<'_>) -> String {
    format!("{kind}: {}", name(place))
}
