//! Shows instances. Their names come from the backup and can be any text, so they are quoted, escaped and cut.

use super::Names;
use crate::output::{Text, count, len, plural};
use crate::table::{Align, Table};
use pgmig_core::backup::Holdings;
use pgmig_core::instance::{Alias, Candidate, Instance, InstanceId};

/// The longest part of a name that is shown, in characters.
const MAX_NAME_CHARS: usize = 100;

/// The instance's name, ID and region, and the amount of its data.
pub(super) fn summary(instance: &Instance, holdings: &Holdings) -> Text {
    let tables = holdings.of(instance.id);
    let held = format!("{} in {}", plural(holdings.rows(instance.id), "row"), plural(len(tables), "table"));
    lines(&[
        ("name", name(instance.name.as_deref())),
        ("ID", instance.id.to_string()),
        ("region", instance.region.as_deref().map_or_else(|| "none".to_owned(), quoted)),
        ("holds", held),
    ])
}

/// All facts about the instance.
pub(super) fn details(instance: &Instance, holdings: &Holdings) -> Text {
    let aliases: Vec<String> = instance.aliases.iter().map(alias).collect();
    let aliases = if aliases.is_empty() { "none".to_owned() } else { aliases.join(", ") };
    let mut text = summary(instance, holdings);
    text.append(&lines(&[
        ("number", instance.id.number().unwrap_or_else(|| "none".to_owned())),
        ("aliases", aliases),
        ("deleted", if instance.deleted { "yes" } else { "no" }.to_owned()),
    ]));
    let mut tables = holdings.of(instance.id).to_vec();
    if tables.is_empty() {
        return text;
    }
    tables.sort_by_key(|table| std::cmp::Reverse(table.rows));
    let mut table = Table::new(&[("rows", Align::Right), ("table", Align::Left)]);
    for holding in tables {
        table.row([count(holding.rows), holding.table]);
    }
    text.table(&table);
    text
}

/// Candidates with their numbers.
pub(super) fn candidates<'a>(numbered: impl Iterator<Item = (usize, &'a Candidate)>) -> Text {
    let mut text = Text::new();
    let mut table =
        Table::new(&[("number", Align::Right), ("provisioned instance", Align::Left), ("name", Align::Left)]);
    for (number, candidate) in numbered {
        table.row([number.to_string(), candidate.id.to_string(), name(candidate.name.as_deref())]);
    }
    text.table(&table);
    text
}

/// All pairs of a mapping.
pub(super) fn review(pairs: &[(InstanceId, InstanceId)], names: &Names) -> Text {
    let mut text = Text::new();
    text.title("The mapping");
    let columns = ["instance of the backup", "name", "becomes", "name"];
    let mut table = Table::new(&columns.map(|column| (column, Align::Left)));
    for (source, target) in pairs {
        table.row([
            source.to_string(),
            name(names.sources.get(source)),
            target.to_string(),
            name(names.targets.get(target)),
        ]);
    }
    text.table(&table);
    text
}

/// The name of the instance in a line of text.
pub(super) fn label(instance: &Instance) -> String {
    instance.name.as_deref().map_or_else(|| instance.id.to_string(), quoted)
}

/// A text in quotes. It is escaped so that it cannot imitate other output, and cut if it is very long.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", short(text))
}

pub(super) fn name<S: AsRef<str>>(name: Option<S>) -> String {
    name.map_or_else(|| "(no name)".to_owned(), |name| quoted(name.as_ref()))
}

fn short(text: &str) -> String {
    let mut chars = text.chars();
    let mut short: String = chars.by_ref().take(MAX_NAME_CHARS).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

fn alias(alias: &Alias) -> String {
    short(&alias.to_string())
}

fn lines(fields: &[(&str, String)]) -> Text {
    let mut text = Text::new();
    for (name, value) in fields {
        text.line(format!("  {name:<7}  {value}"));
    }
    text
}
