//! Prints copies of buckets for people.

use super::{Text, bytes, count, duration, len, plural};
use crate::commands::objects::Copied;
use crate::table::{Align, Table};
use pgmig_objects::{BucketReport, ObjectsReport};
use std::time::Duration;

/// What was copied or compared.
pub(crate) fn objects(copied: &Copied, is_quiet: bool) -> Text {
    let report = &copied.report;
    let mut text = Text::new();
    if !is_quiet {
        text.line(headline(copied));
        text.section("Buckets", &buckets(copied.action, report));
        text.list("Notices", notices(copied.action, report));
    }
    let faults = report.faults.iter().map(|fault| match &fault.key {
        Some(key) => format!("bucket {}, object {key:?}: {}", fault.bucket, fault.what),
        None => format!("bucket {}: {}", fault.bucket, fault.what),
    });
    text.list("Faults", faults);
    text
}

fn headline(copied: &Copied) -> String {
    let sum = |of: fn(&BucketReport) -> u64| copied.report.buckets.iter().map(of).sum::<u64>();
    let took = duration(Duration::try_from_secs_f64(copied.took_seconds).unwrap_or_default());
    let (all, size) = (plural(sum(|bucket| bucket.objects), "object"), bytes(sum(|bucket| bucket.bytes)));
    match copied.action {
        "verify" => {
            format!("Verified {all} ({size}) in {took}: {}", plural(len(&copied.report.faults), "fault"))
        }
        action => {
            let verb = if action == "backup" { "Backed up" } else { "Restored" };
            let new = plural(sum(|bucket| bucket.copied), "object");
            format!(
                "{verb} {all} ({size}) in {took}: copied {new} ({})",
                bytes(sum(|bucket| bucket.copied_bytes))
            )
        }
    }
}

fn buckets(action: &str, report: &ObjectsReport) -> Table {
    let mut columns = vec![("bucket", Align::Left), ("objects", Align::Right), ("size", Align::Right)];
    if action != "verify" {
        columns.extend([("copied", Align::Right), ("unchanged", Align::Right), ("deleted", Align::Right)]);
    }
    let mut table = Table::new(&columns);
    for bucket in &report.buckets {
        let row = [bucket.bucket.clone(), count(bucket.objects), bytes(bucket.bytes)];
        if action == "verify" {
            table.row(row);
            continue;
        }
        let [name, objects, size] = row;
        let [copied, unchanged, deleted] = [bucket.copied, bucket.unchanged, bucket.deleted].map(count);
        table.row([name, objects, size, copied, unchanged, deleted]);
    }
    table
}

fn notices(action: &str, report: &ObjectsReport) -> Vec<String> {
    let mut notices = Vec::new();
    for bucket in &report.buckets {
        if bucket.created {
            notices.push(format!("bucket {} was created", bucket.bucket));
        }
        if bucket.only_at_target > 0 && action != "verify" {
            let objects = plural(bucket.only_at_target, "object");
            let (target, source) =
                if action == "backup" { ("directory", "bucket") } else { ("bucket", "directory") };
            notices.push(format!(
                "bucket {}: the {target} keeps {objects} that the {source} does not have (--delete deletes such objects)",
                bucket.bucket
            ));
        }
    }
    let place = if action == "backup" { "on the server" } else { "in the directory" };
    notices.extend(
        report.absent.iter().map(|bucket| format!("bucket {bucket} is not {place}, and was left out")),
    );
    notices
}
