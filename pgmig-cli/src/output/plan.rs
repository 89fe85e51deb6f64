//! What a restore would do, for people.

use super::{
    bytes, count, difference_table, duration, instances, label, len, lines, notices, plural, section, totals,
};
use crate::commands::dry_run::DryRun;
use crate::commands::mapping::Provisioned;
use crate::table::{Align, Table, printable};
use pgmig_core::archive::Compression;
use pgmig_core::instance::Instance;
use pgmig_core::progress::Severity;
use pgmig_core::restore::{
    OnlyInTarget, PlannedArchive, PlannedInstance, PlannedMigration, PlannedObjects, PlannedSchema,
    PlannedTarget, RestorePass, RestorePlan, Strategy, TableDifference, WhyThatId,
};
use std::fmt::Write as _;

/// The plan.
pub(crate) fn plan(dry_run: &DryRun) -> String {
    let plan = &dry_run.plan;
    let mut text =
        format!("Dry run, in {}: what a restore would do. Nothing was changed.\n", duration(plan.took));
    if let Some(file) = &dry_run.mapping_file {
        let _ = writeln!(text, "The mapping that was entered is in {}.", printable(file));
    }
    text += &facts("Archive", &archive(&plan.archive));
    text += &facts("Target", &target(&plan.target));
    text += &facts("Strategy", &strategy(plan));
    section(&mut text, "Instances", &planned_instances(plan.instances.as_deref().unwrap_or_default()));
    text += &dry_run.provisioned.as_ref().map(provisioned).unwrap_or_default();
    text += &erased(plan);
    text += &schema(&plan.schema);
    section(&mut text, "Tables", &tables(plan));
    text += &large_objects(plan);
    section(&mut text, "Objects", &objects(&plan.objects));
    text += &only_in_target(&plan.only_in_target);
    let sessions: Vec<String> = plan.sessions.iter().map(ToString::to_string).collect();
    text += &lines("Other sessions on the target", sessions.iter().map(String::as_str));
    text += &lines("Left over from earlier runs, removed", plan.leftovers.iter().map(String::as_str));
    text += &notices(&plan.notices, Severity::Warning, "Warnings");
    text += &notices(&plan.notices, Severity::Notice, "Notices");
    text += &lines("Not known beforehand", plan.unknown.iter().map(String::as_str));
    text
}

/// A title, and a line for each fact.
fn facts(title: &str, facts: &[(&str, String)]) -> String {
    let line = |(name, value): &(&str, String)| format!("  {name:<8}  {}\n", printable(value));
    format!("\n{title}\n{}", facts.iter().map(line).collect::<String>())
}

fn archive(archive: &PlannedArchive) -> Vec<(&'static str, String)> {
    let mut file = match &archive.file {
        Some(file) => file.display().to_string(),
        None => "standard input".to_owned(),
    };
    if let Some(size) = archive.bytes {
        let _ = write!(file, ", {}", bytes(size));
    }
    let _ = write!(file, ", {} format", archive.format);
    if let Some(version) = archive.container_version {
        let _ = write!(file, " {version}");
    }
    if let Some(compression) = archive.compression {
        let _ = write!(file, ", compression {compression}");
    }
    if let Some(compression) = archive.file_compression.filter(|wrapper| *wrapper != Compression::None) {
        let _ = write!(file, ", in a {compression} file");
    }
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    let created = archive.created.map_or_else(|| "at an unknown time".to_owned(), |time| time.to_string());
    let made = format!("{created}, by pg_dump {}", known(&archive.pg_dump_version));
    let of = format!(
        "database {:?}, PostgreSQL {}, encoding {}",
        known(&archive.database),
        known(&archive.server_version),
        known(&archive.encoding)
    );
    vec![("file", file), ("made", made), ("of", of)]
}

fn target(target: &PlannedTarget) -> Vec<(&'static str, String)> {
    let tls = target.tls.as_deref().unwrap_or("no TLS");
    let superuser = if target.su_is_superuser { " (superuser)" } else { "" };
    vec![
        ("server", format!("{}, PostgreSQL {}, {tls}", target.server, target.server_version)),
        ("database", format!("{:?}, owner {}", target.database, target.database_owner)),
        (
            "roles",
            format!("connects as {}{superuser}, objects belong to {}", target.su_username, target.username),
        ),
    ]
}

fn strategy(plan: &RestorePlan) -> Vec<(&'static str, String)> {
    let name = match plan.strategy {
        Strategy::Swap => {
            "swap: a new database is built beside the target, then both are renamed in one transaction"
        }
        Strategy::InPlace => "in-place: the target is emptied and filled anew, in one transaction",
        _ => "other",
    };
    let jobs = u64::try_from(plan.jobs.get()).unwrap_or(u64::MAX);
    let mut facts = vec![("how", name.to_owned()), ("because", plan.strategy_reason.clone())];
    if let Some(staging) = &plan.target.staging_database {
        facts.push(("beside", format!("{staging:?}, until the swap")));
    }
    facts.push(("with", format!("up to {} at a time", plural(jobs, "connection"))));
    if plan.strategy == Strategy::Swap {
        let kept = if plan.keep_previous { "kept" } else { "dropped" };
        facts.push(("then", format!("the replaced database is {kept}")));
    }
    facts
}

fn planned_instances(instances: &[PlannedInstance]) -> Table {
    let mut table = Table::new(&[
        ("source", Align::Left),
        ("target", Align::Left),
        ("because", Align::Left),
        ("region", Align::Left),
        ("name", Align::Left),
    ]);
    for instance in instances {
        let Instance { id, region, .. } = &instance.source;
        let same = *id == instance.target;
        let target = if same { "the same".to_owned() } else { instance.target.to_string() };
        let because = match instance.because {
            WhyThatId::Mapped => "mapped",
            WhyThatId::KeepIds => "--keep-ids",
            WhyThatId::Deleted => "deleted",
            WhyThatId::System => "system",
            _ => "other",
        };
        let region = region.clone().unwrap_or_default();
        table.row([id.to_string(), target, because.to_owned(), region, label(&instance.source)]);
    }
    table
}

fn provisioned(provisioned: &Provisioned) -> String {
    let Provisioned { url, instances, unused } = provisioned;
    let how_many = plural(u64::try_from(*instances).unwrap_or(u64::MAX), "instance");
    let mut text = format!(
        "\nProvisioned\n  {how_many} by {}, of which {} get nothing of the backup\n",
        printable(url),
        count(len(unused))
    );
    let mut table = Table::new(&[("gets nothing", Align::Left), ("name", Align::Left)]);
    for candidate in unused {
        table.row([candidate.id.to_string(), candidate.name.clone().unwrap_or_default()]);
    }
    if !table.is_empty() {
        text += &table.render();
    }
    text
}

fn erased(plan: &RestorePlan) -> String {
    if plan.erased.is_empty() {
        return "\nErased from the target\n  nothing: it holds no rows and no large objects\n".to_owned();
    }
    let mut text = format!("\nErased from the target\n  {}\n", totals(&plan.erased));
    text += &instances(&plan.erased.instances);
    if plan.needs_confirmation {
        text += "  A restore needs --force for that, or the database's name typed at a terminal.\n";
    }
    text
}

fn schema(schema: &PlannedSchema) -> String {
    let mut text = "\nSchema\n".to_owned();
    let none = &Vec::new();
    let (line, migrations) = match schema {
        PlannedSchema::Migrate { to, migrations, .. } if migrations.is_empty() => {
            (format!("stays at {to}"), migrations)
        }
        PlannedSchema::Migrate { from, to, migrations } => {
            let from = from.map(|from| format!("from {from} ")).unwrap_or_default();
            (format!("{from}to {to}, by {}", plural(len(migrations), "migration")), migrations)
        }
        PlannedSchema::Target { differences } => return text + &target_schema(differences),
        PlannedSchema::AsItIs { reason } => (format!("as it is, not upgraded: {reason}"), none),
        PlannedSchema::Later { to: Some(to) } => (format!("upgraded to {to}"), none),
        _ => ("upgraded".to_owned(), none),
    };
    let _ = writeln!(text, "  {}", printable(&line));
    if !migrations.is_empty() {
        text += &migration_table(migrations).render();
    }
    text
}

/// The target's own schema, and where the archive's tables are not those.
fn target_schema(differences: &[TableDifference]) -> String {
    let table = difference_table(differences);
    let how = "the target's own; rows are loaded by the names of tables and columns";
    if table.is_empty() {
        format!("  {how}, which are the same\n")
    } else {
        format!("  {how}\n{}", table.render())
    }
}

fn migration_table(migrations: &[PlannedMigration]) -> Table {
    let mut table =
        Table::new(&[("version", Align::Right), ("release", Align::Left), ("migration", Align::Left)]);
    for migration in migrations {
        let release = migration.release.map(|release| release.to_string()).unwrap_or_default();
        table.row([migration.version.to_string(), release, migration.description.clone()]);
    }
    table
}

fn tables(plan: &RestorePlan) -> Table {
    let mut table = Table::new(&[("in the archive", Align::Right), ("table", Align::Left)]);
    for planned in &plan.tables {
        table.row([size(planned.archive_bytes), planned.table.clone()]);
    }
    table
}

fn large_objects(plan: &RestorePlan) -> String {
    let how_many = match plan.large_objects.count {
        Some(0) => return String::new(),
        Some(number) => plural(number, "large object"),
        None => "how many is not known beforehand".to_owned(),
    };
    let size = plan.large_objects.archive_bytes;
    let size = size.map(|size| format!("; {} in the archive", bytes(size))).unwrap_or_default();
    format!("\nLarge objects\n  {how_many}{size}\n")
}

fn objects(objects: &[PlannedObjects]) -> Table {
    let mut table = Table::new(&[("pass", Align::Left), ("objects", Align::Right), ("kind", Align::Left)]);
    for counted in objects {
        let pass = match counted.pass {
            RestorePass::PreData => "pre-data",
            RestorePass::Data => "data",
            RestorePass::PostData => "post-data",
            RestorePass::Privileges => "privileges",
            RestorePass::Last => "last",
            _ => "other",
        };
        table.row([pass.to_owned(), count(counted.count), counted.kind.clone()]);
    }
    table
}

fn only_in_target(only: &OnlyInTarget) -> String {
    let extensions =
        only.extensions.iter().map(|name| format!("extension {name:?}, created again if rights allow"));
    let publications = only.publications.iter().map(|name| format!("publication {name:?}, lost"));
    let texts: Vec<String> = extensions.chain(publications).collect();
    lines("In the target, not in the archive", texts.iter().map(String::as_str))
}

fn size(number: Option<u64>) -> String {
    number.map_or_else(|| "unknown".to_owned(), bytes)
}
