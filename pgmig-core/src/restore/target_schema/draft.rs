//! Drafts rules of a profile from the differences between the archive and the target, for an operator to edit. Pure.

use super::find::TargetSchema;
use super::triggers::TableTrigger;
use crate::profile::{TableRef, TargetRules};
use crate::restore::report::difference::{DifferenceKind as Kind, TableDifference};
use crate::sql::{QualifiedName, quote_ident};
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;

/// Names that are less alike are not taken for a rename.
const ALIKE: f64 = 0.45;

/// The sections of the draft: for each the rules, a line each.
#[derive(Debug, Default)]
struct Draft {
    global_tables: Vec<String>,
    rename: Vec<String>,
    drop: Vec<String>,
    default: Vec<String>,
    cast: Vec<String>,
    keep_new_rows: Vec<String>,
    trigger_off: Vec<String>,
    /// Triggers that fire, as rules that would keep them off.
    fired: Vec<String>,
    /// Differences for which no rule helps.
    others: Vec<String>,
}

impl TargetSchema {
    /// The text of a `profile.yaml` with a rule for every difference that needs one or may need one.
    pub(crate) fn draft(&self) -> String {
        let mut draft = Draft::of(&self.rules, &self.global);
        let gone: Vec<&TableDifference> = self
            .differences
            .iter()
            .filter(|found| found.is_refused() && found.kind == Kind::OnlyInArchive)
            .collect();
        let new: Vec<&TableDifference> =
            self.differences.iter().filter(|found| found.kind == Kind::OnlyInTarget).collect();
        let renamed = draft.renames(&gone, &new, &self.rules);
        for difference in &self.differences {
            draft.rule(difference, &renamed);
        }
        draft.keep_new_rows.extend(self.lookups.iter().map(|table| format!("{{{}}}", place(table, None))));
        let fired: BTreeSet<(&QualifiedName, &str)> =
            self.fired.iter().map(|TableTrigger { table, name }| (table, name.as_str())).collect();
        let off = |(table, name): (&QualifiedName, &str)| {
            format!("{{{}, trigger: {}}}", place(table, None), yaml(name))
        };
        draft.fired = fired.into_iter().map(off).collect();
        draft.text()
    }
}

impl Draft {
    /// The rules that the profile has already.
    fn of(rules: &TargetRules, global: &[TableRef]) -> Self {
        let at = |schema: &Option<String>, table: &str, column: Option<&str>| {
            place(&QualifiedName { schema: schema.clone(), name: table.to_owned() }, column)
        };
        let rename = rules.rename.iter().map(|rule| {
            let to_schema = rule.to_schema.as_ref().map(|schema| format!(", to_schema: {}", yaml(schema)));
            let from = at(&rule.schema, &rule.table, rule.column.as_deref());
            format!("{{{from}, to: {}{}}}", yaml(&rule.to), to_schema.unwrap_or_default())
        });
        let drop = rules
            .drop
            .iter()
            .map(|rule| format!("{{{}}}", at(&rule.schema, &rule.table, rule.column.as_deref())));
        let default = rules.default.iter().map(|rule| {
            format!("{{{}, value: {}}}", at(&rule.schema, &rule.table, Some(&rule.column)), yaml(&rule.value))
        });
        let cast = rules.cast.iter().map(|rule| {
            format!("{{{}, using: {}}}", at(&rule.schema, &rule.table, Some(&rule.column)), yaml(&rule.using))
        });
        let table = |rule: &TableRef| format!("{{{}}}", at(&rule.schema, &rule.table, None));
        let trigger_off = rules.trigger_off.iter().map(|rule| {
            let trigger =
                rule.trigger.as_ref().map(|name| format!(", trigger: {}", yaml(name))).unwrap_or_default();
            format!("{{{}{trigger}}}", at(&rule.schema, &rule.table, None))
        });
        Self {
            global_tables: global.iter().map(table).collect(),
            rename: rename.collect(),
            drop: drop.collect(),
            default: default.collect(),
            cast: cast.collect(),
            keep_new_rows: rules.keep_new_rows.iter().map(table).collect(),
            trigger_off: trigger_off.collect(),
            ..Self::default()
        }
    }

    /// Guesses which tables and columns have another name in the target. Returns both ends of each.
    fn renames(
        &mut self,
        gone: &[&TableDifference],
        new: &[&TableDifference],
        rules: &TargetRules,
    ) -> HashSet<(String, Option<String>)> {
        let mut pairs = Vec::new();
        for from in gone {
            let table = table_of(from);
            let own = rules.table(&table).unwrap_or(table);
            let candidates = new.iter().filter(|to| match (&from.column, &to.column) {
                (Some(_), Some(_)) => own == table_of(to),
                (None, None) => true,
                _ => false,
            });
            for to in candidates {
                let (one, other) = (last_name(from), last_name(to));
                pairs.push((likeness(&one, &other), *from, *to));
            }
        }
        pairs.sort_by(|one, other| other.0.total_cmp(&one.0));
        let mut taken = HashSet::new();
        let key = |difference: &TableDifference| (difference.table.clone(), difference.column.clone());
        for (likeness, from, to) in pairs {
            if likeness < ALIKE || taken.contains(&key(from)) || taken.contains(&key(to)) {
                continue;
            }
            taken.extend([key(from), key(to)]);
            let of = table_of(from);
            let to_schema = match (&from.column, table_of(to)) {
                (None, own) if own.schema != of.schema => {
                    format!(", to_schema: {}", yaml(own.schema.as_deref().unwrap_or_default()))
                }
                _ => String::new(),
            };
            let rule = format!(
                "{{{}, to: {}{to_schema}}}",
                place(&of, from.column.as_deref()),
                yaml(&last_name(to))
            );
            self.rename.push(format!("{rule}  # a guess, by the names"));
        }
        taken
    }

    /// The rule for a difference that is no rename.
    fn rule(&mut self, difference: &TableDifference, renamed: &HashSet<(String, Option<String>)>) {
        if renamed.contains(&(difference.table.clone(), difference.column.clone())) {
            return;
        }
        let table = table_of(difference);
        let column = difference.column.as_deref();
        let here = place(&table, column);
        match &difference.kind {
            Kind::OnlyInTarget if column.is_none() && difference.then().contains("erased") => {
                self.global_tables.push(format!("{{{here}}}"));
            }
            _ if !difference.is_refused() => {}
            Kind::OnlyInArchive => self.drop.push(format!("{{{here}}}  # its values get lost")),
            Kind::OnlyInTarget | Kind::Nullable | Kind::WasComputed => {
                self.default
                    .push(format!("{{{here}, value: \"''\"}}  # give a value: {}", difference.then()));
            }
            Kind::Type { target, .. } => {
                let using = format!("{}::text::{target}", quoted(column));
                self.cast.push(format!("{{{here}, using: {}}}", yaml(&using)));
            }
            Kind::Definition { of, .. } => {
                let using = format!("{}::text::{of}", quoted(column));
                self.cast.push(format!("{{{here}, using: {}}}  # {}", yaml(&using), difference.what()));
            }
            _ => self.others.push(difference.to_string()),
        }
    }

    fn text(&self) -> String {
        let mut text = "# Rules for loading a backup into the target's own schema, drafted from the differences between them.\n\
                        # Check each line, put this into DIR/profile.yaml, and make another draft with that profile: the columns of\n\
                        # renamed tables are compared only then.\n\
                        name: draft\nschema: public\n"
            .to_owned();
        let Self { global_tables, rename, drop, default, cast, keep_new_rows, trigger_off, fired, others } =
            self;
        list(&mut text, 0, "global_tables", global_tables);
        let sections = [
            ("rename", rename),
            ("drop", drop),
            ("default", default),
            ("cast", cast),
            ("keep_new_rows", keep_new_rows),
            ("trigger_off", trigger_off),
        ];
        if sections.iter().any(|(_, rules)| !rules.is_empty()) {
            text.push_str("target_schema:\n");
        }
        for (name, rules) in sections {
            list(&mut text, 2, name, rules);
        }
        if !fired.is_empty() {
            text.push_str("# Triggers that fire for the loaded rows; to keep one off, name it below target_schema:\n#   trigger_off:\n");
            for rule in fired {
                let _ = writeln!(text, "#   - {rule}");
            }
        }
        for other in others {
            let _ = writeln!(text, "# No rule helps with {}", other.replace('\n', " "));
        }
        text
    }
}

fn list(text: &mut String, indent: usize, name: &str, rules: &[String]) {
    if rules.is_empty() {
        return;
    }
    let blanks = " ".repeat(indent);
    let _ = writeln!(text, "{blanks}{name}:");
    for rule in rules {
        let _ = writeln!(text, "{blanks}- {}", rule.replace('\n', " "));
    }
}

/// The table of a difference, which names it as SQL.
fn table_of(difference: &TableDifference) -> QualifiedName {
    QualifiedName::parse(&difference.table).unwrap_or_else(|_| QualifiedName::unqualified(&difference.table))
}

fn last_name(difference: &TableDifference) -> String {
    difference.column.clone().map_or_else(|| table_of(difference).name, |column| unquoted(&column))
}

/// The name that an identifier spells.
fn unquoted(name: &str) -> String {
    QualifiedName::parse(name).map_or_else(|_| name.to_owned(), |name| name.name)
}

fn quoted(column: Option<&str>) -> String {
    quote_ident(&unquoted(column.unwrap_or_default()))
}

fn place(table: &QualifiedName, column: Option<&str>) -> String {
    let schema =
        table.schema.as_ref().map(|schema| format!("schema: {}, ", yaml(schema))).unwrap_or_default();
    let column = column.map(|column| format!(", column: {}", yaml(&unquoted(column)))).unwrap_or_default();
    format!("{schema}table: {}{column}", yaml(&table.name))
}

/// A scalar of YAML: plain where nothing can be mistaken, else in single quotes.
fn yaml(text: &str) -> String {
    let is_plain = |char: char| char.is_ascii_lowercase() || char == '_';
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if !text.is_empty() && text.chars().all(is_plain) && !words.contains(&text) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// How alike two names are, from 0 to 1: by the pairs of letters that both have.
fn likeness(one: &str, other: &str) -> f64 {
    let pairs = |name: &str| -> Vec<(char, char)> {
        let letters: Vec<char> = name.to_lowercase().chars().filter(|char| char.is_alphanumeric()).collect();
        letters.iter().copied().zip(letters.iter().copied().skip(1)).collect()
    };
    let (mut ours, theirs) = (pairs(one), pairs(other));
    let total = ours.len() + theirs.len();
    let mut common = 0_u32;
    for pair in &theirs {
        if let Some(at) = ours.iter().position(|own| own == pair) {
            ours.swap_remove(at);
            common += 1;
        }
    }
    let total = u32::try_from(total).unwrap_or(u32::MAX);
    if total == 0 { 0.0 } else { 2.0 * f64::from(common) / f64::from(total) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;
    use crate::restore::report::difference::Outcome;

    fn difference(table: &str, column: Option<&str>, kind: Kind, is_refused: bool) -> TableDifference {
        let text = "its 2 rows are erased; advice".to_owned();
        let outcome = if is_refused { Outcome::Refused(text) } else { Outcome::Accepted(text) };
        TableDifference { table: table.to_owned(), column: column.map(str::to_owned), kind, outcome }
    }

    #[test]
    fn every_difference_gets_a_rule() {
        let types = Kind::Type { archive: "text".to_owned(), target: "integer".to_owned() };
        let schema = TargetSchema {
            differences: vec![
                difference("public.customer", None, Kind::OnlyInArchive, true),
                difference("public.customers", None, Kind::OnlyInTarget, false),
                difference("public.role", None, Kind::OnlyInTarget, false),
                difference("public.a", Some("old_name"), Kind::OnlyInArchive, true),
                difference("public.a", Some("\"newName\""), Kind::OnlyInTarget, true),
                difference("public.a", Some("xyz"), Kind::OnlyInArchive, true),
                difference("public.a", Some("n"), types, true),
                difference("public.b", Some("q"), Kind::OnlyInTarget, true),
            ],
            lookups: vec![QualifiedName::new("public", "kind")],
            ..TargetSchema::default()
        };
        let text = schema.draft();
        for line in [
            "global_tables:\n- {schema: public, table: role}",
            "- {schema: public, table: customer, to: customers}  # a guess",
            "- {schema: public, table: a, column: old_name, to: 'newName'}  # a guess",
            "drop:\n  - {schema: public, table: a, column: xyz}",
            "- {schema: public, table: b, column: q, value: \"''\"}",
            "cast:\n  - {schema: public, table: a, column: 'n', using: 'n::text::integer'}",
            "keep_new_rows:\n  - {schema: public, table: kind}",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
        let read = Profile::from_yaml((&text, "p.yaml".as_ref()), ("1.0.0: 1", "r.yaml".as_ref()));
        assert!(read.is_ok(), "{read:?}\n{text}");
    }

    #[test]
    fn names_are_alike_by_their_letters() {
        assert!(likeness("customer", "customers") > 0.9);
        assert!(likeness("old_name", "newName") >= ALIKE);
        assert!(likeness("colour", "amount") < ALIKE);
        assert_eq!((yaml("no"), yaml("a_b"), yaml("it's")), ("'no'".into(), "a_b".into(), "'it''s'".into()));
    }
}
