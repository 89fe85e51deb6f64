//! Prints backups, and which of them were removed, for people.

use super::{Text, bytes, duration, len, plural};
use crate::commands::backup::{BackedUp, all_notices};
use crate::table::{Align, Table};
use pgmig_core::dump::{BackupFile, PruneReport};
use pgmig_core::progress::{Notice, Severity};

/// A backup that was made.
pub(crate) fn backed_up(done: &BackedUp, is_quiet: bool) -> Text {
    let report = &done.report;
    let mut text = Text::new();
    match &report.file {
        // The name is part of the result.
        Some(file) if is_quiet => text.line(file.display().to_string()),
        _ if is_quiet => {}
        file => {
            let file =
                file.as_ref().map_or_else(|| "standard output".to_owned(), |file| file.display().to_string());
            text.line(format!("Backed up {:?} in {}: {file}", report.database, duration(report.took)));
            text.line(format!(
                "  verified: {} in {}, {}; {} on disk",
                plural(report.verified.rows(), "row"),
                plural(len(&report.verified.tables), "table"),
                plural(report.verified.large_objects.count, "large object"),
                bytes(report.bytes)
            ));
            text.line(format!("  by pg_dump {} ({})", report.pg_dump.version, report.pg_dump.path.display()));
            if let Some(version) = &report.store_version {
                text.line(format!("  the store has {version}"));
            }
        }
    }
    if let Some(pruned) = &done.pruned
        && !is_quiet
    {
        text.line(format!("  {}", removed_line(pruned)));
    }
    list_notices(&mut text, all_notices(done), is_quiet);
    text
}

/// What was removed from a directory, or would be.
pub(crate) fn pruned(report: &PruneReport, is_quiet: bool) -> Text {
    let mut text = Text::new();
    if !is_quiet {
        text.line(removed_line(report));
        text.section("Kept", &files(&report.kept));
        let title = if report.dry_run { "To be removed" } else { "Removed" };
        text.section(title, &files(&report.removed));
    }
    list_notices(&mut text, report.notices.iter(), is_quiet);
    text
}

fn removed_line(report: &PruneReport) -> String {
    let (removed, kept) = (plural(len(&report.removed), "old backup"), plural(len(&report.kept), "backup"));
    let freed = bytes(report.removed.iter().map(|file| file.bytes).sum());
    match report.dry_run {
        true => format!("Would remove {removed} ({freed}), and keep {kept}"),
        false => format!("Removed {removed} ({freed}), kept {kept}"),
    }
}

fn files(files: &[BackupFile]) -> Table {
    let columns =
        [("backup", Align::Left), ("taken", Align::Left), ("size", Align::Right), ("database", Align::Left)];
    let mut table = Table::new(&columns);
    for backup in files {
        let file = backup.file.display().to_string();
        table.row([file, backup.taken_at.clone(), bytes(backup.bytes), backup.database.clone()]);
    }
    table
}

fn list_notices<'a>(text: &mut Text, all: impl Iterator<Item = &'a Notice>, is_quiet: bool) {
    let all: Vec<&Notice> = all.collect();
    for (title, severity) in [("Warnings", Severity::Warning), ("Notices", Severity::Notice)] {
        let of_it =
            all.iter().filter(|notice| notice.severity == severity).map(|notice| notice.text.as_str());
        if severity == Severity::Warning || !is_quiet {
            text.list(title, of_it);
        }
    }
}
