//! The page for people: one file without a network or scripts, light and dark, for a wide screen, a phone and paper.

use super::html::Html;
use super::timeline::{Piece, Timeline};
use super::{Report, SetOfReports, Version};
use crate::failure::Document;
use crate::output::{bytes, count, duration, len, noun, plural};
use crate::progress::label;
use pgmig_core::progress::{Severity, Step};
use pgmig_core::restore::{PlannedArchive, PlannedTarget, RestoreReport, Strategy, TableReport};
use pgmig_core::text::utc;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many tables and pairs the page lists. `report.json` has all of them.
pub(super) const MOST_ROWS: usize = 1000;

/// How many pieces of work a connection's lane shows.
const MOST_BARS: usize = 3000;

/// The style of all pages.
pub(super) const STYLE: &str = include_str!("page.css");

/// The page of a report.
pub(super) fn page(report: &Report) -> String {
    let mut body = body(report);
    body.push(&footer(&report.pgmig));
    Html::page(&title(report), STYLE, &body)
}

/// The page of several restores: what became of each, then each as on a page of its own.
pub(super) fn page_of_set(set: &SetOfReports) -> String {
    let complete = set.restores.iter().filter(|report| report.restore.is_some()).count();
    let title = format!("{complete} of {} complete", plural(len(&set.restores), "restore"));
    let mut body = Html::of("h1", "", &title);
    let class = if set.error.is_none() { "verdict ok" } else { "verdict bad" };
    let verdict = set.error.as_ref().map_or("complete".to_owned(), verdict_of);
    body.push(&Html::element("p", "", &Html::of("span", class, &verdict)));
    let began = format!("{}, {}", utc(set.began_unix_seconds), seconds(set.took_seconds));
    body.push(&Html::of("p", "lead", &began));
    for text in set.error.iter().flat_map(Document::lines) {
        body.push(&Html::of("pre", "", &text));
    }
    let longest = set.restores.iter().map(|report| report.took_seconds).fold(0.0, f64::max);
    let mut rows = row("th", &[("", "database"), ("", "outcome"), ("number", "time"), ("track", "")]);
    for report in &set.restores {
        let cells =
            [("", database(report)), ("", &*outcome(report)), ("number", &seconds(report.took_seconds))];
        rows.push(&with_bar(&cells, "rows", percent(report.took_seconds, longest)));
    }
    body.push(&wide_table(&rows));
    for report in &set.restores {
        body.push(&self::body(report));
    }
    body.push(&footer(&set.pgmig));
    Html::page(&title, STYLE, &body)
}

/// What a page says at its end.
pub(super) fn footer(pgmig: &Version) -> Html {
    let commit = pgmig.commit.unwrap_or("commit unknown");
    let text = format!("Made by pgmig {} ({commit}). The same as data: report.json", pgmig.version);
    Html::of("footer", "", &text)
}

fn body(report: &Report) -> Html {
    let mut body = Html::new();
    body.push(&head(report));
    body.push(&facts(report));
    body.push(&times(report));
    if let Some(restored) = &report.restore {
        let done = &restored.report;
        body.push(&tables(done, &report.timeline));
        body.push(&instances(done));
        body.push(&migrations(done));
        body.push(&notices(done));
    }
    body.push(&way_back(report));
    body
}

fn database(report: &Report) -> &str {
    let planned = report.target.as_ref().map(|target| target.database.as_str());
    let restored = report.restore.as_ref().map(|done| done.report.database.as_str());
    restored.or(planned).unwrap_or("(not known)")
}

fn title(report: &Report) -> String {
    match (&report.restore, &report.error) {
        (_, Some(_)) => format!("Restore of {}: failed", database(report)),
        (None, None) => format!("Restore of {}: not begun", database(report)),
        (Some(_), None) => format!("Restore of {}", database(report)),
    }
}

fn verdict_of(error: &Document) -> String {
    format!("exit status {}: {}", error.exit_status, error.code)
}

fn outcome(report: &Report) -> String {
    match (&report.restore, &report.error) {
        (_, Some(error)) => verdict_of(error),
        (None, None) => "not begun".to_owned(),
        (Some(_), None) => "complete".to_owned(),
    }
}

fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default())
}

/// The verdict, and the figures that say most.
fn head(report: &Report) -> Html {
    let mut html = Html::of("h1", "", &title(report));
    let class = if report.error.is_none() { "verdict ok" } else { "verdict bad" };
    html.push(&Html::element("p", "", &Html::of("span", class, &outcome(report))));
    let began = format!("{}, {}", utc(report.began_unix_seconds), seconds(report.took_seconds));
    html.push(&Html::of("p", "lead", &began));
    if let Some(error) = &report.error {
        for text in error.lines() {
            html.push(&Html::of("pre", "", &text));
        }
    }
    let Some(restored) = &report.restore else { return html };
    let done = &restored.report;
    let rows: u64 = done.tables.iter().map(|table| table.rows).sum();
    let size: u64 = done.tables.iter().map(|table| table.bytes).sum();
    let replaced = replacements(done);
    let warnings = done.notices.iter().filter(|notice| notice.severity == Severity::Warning).count();
    let warnings = u64::try_from(warnings).unwrap_or(u64::MAX);
    html.push(&tiles(&[
        (count(rows), format!("{} in {}", noun(rows, "row"), plural(len(&done.tables), "table"))),
        (bytes(size), "of rows".to_owned()),
        (
            count(done.large_objects.0),
            format!("{}, {}", noun(done.large_objects.0, "large object"), bytes(done.large_objects.1)),
        ),
        (
            count(len(&done.sources)),
            format!("{}, {}", noun(len(&done.sources), "mapped ID"), plural(replaced, "replacement")),
        ),
        (count(len(&done.migrations)), noun(len(&done.migrations), "migration")),
        (count(warnings), noun(warnings, "warning")),
    ]));
    html
}

/// Figures in big letters, each with what it counts.
pub(super) fn tiles(figures: &[(String, String)]) -> Html {
    let mut tiles = Html::new();
    for (figure, what) in figures {
        let mut tile = Html::of("b", "", figure);
        tile.push(&Html::of("span", "", what));
        tiles.push(&Html::element("div", "tile", &tile));
    }
    Html::element("div", "tiles", &tiles)
}

fn replacements(done: &RestoreReport) -> u64 {
    let in_rows: u64 = done.tables.iter().map(table_replacements).sum();
    in_rows + done.ddl_replacements + done.large_object_ids.replaced
}

fn table_replacements(table: &TableReport) -> u64 {
    table.replacements.iter().map(|column| column.count).sum()
}

/// The backup, the target, and what ran.
fn facts(report: &Report) -> Html {
    let mut cards = Html::new();
    if let Some(archive) = &report.archive {
        cards.push(&card("Backup", &archive_facts(archive, report.archive_sha256.as_deref())));
    }
    if let Some(target) = &report.target {
        cards.push(&card("Target", &target_facts(target, report)));
    }
    let mut ran = vec![(
        "pgmig",
        format!("{} ({})", report.pgmig.version, report.pgmig.commit.unwrap_or("commit unknown")),
    )];
    ran.extend(report.mapping_file.iter().map(|file| ("mapping file", file.clone())));
    if let Some(restored) = &report.restore {
        let done = &restored.report;
        let strategy = if done.strategy == Strategy::InPlace { "in place" } else { "swap" };
        ran.push(("strategy", strategy.to_owned()));
        let version = |version: &Option<_>| {
            version.as_ref().map(|version: &pgmig_core::profile::SchemaVersion| version.to_string())
        };
        ran.extend(version(&done.source_version).map(|version| ("schema of the backup", version)));
        ran.extend(version(&done.target_version).map(|version| ("schema now", version)));
        if let Some(compared) = &done.row_comparison {
            ran.push((
                "rows compared",
                format!("{} in {}", count(compared.rows), plural(compared.tables, "table")),
            ));
        }
    }
    cards.push(&card("Run", &ran));
    let mut html = Html::of("h2", "", "What was restored where");
    html.push(&Html::element("div", "facts", &cards));
    html
}

fn archive_facts(archive: &PlannedArchive, sha256: Option<&str>) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let file = archive.file.as_ref().map(|file| file.display().to_string());
    facts.push(("file", file.unwrap_or_else(|| "standard input".to_owned())));
    facts.extend(archive.bytes.map(|size| ("size", format!("{} ({} bytes)", bytes(size), count(size)))));
    facts.extend(sha256.map(|hash| ("SHA-256", hash.to_owned())));
    let version = archive.container_version.map(|version| format!(" {version}")).unwrap_or_default();
    facts.push((
        "format",
        format!("{}{version}, {}", archive.format, plural(archive.entries as u64, "entry")),
    ));
    facts.extend(archive.created.map(|created| ("made", created.to_string())));
    facts.extend(archive.pg_dump_version.clone().map(|version| ("by pg_dump", version)));
    facts.extend(archive.server_version.clone().map(|version| ("from server", version)));
    facts.extend(archive.database.clone().map(|database| ("database", database)));
    facts
}

fn target_facts(target: &PlannedTarget, report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("database", target.database.clone()),
        ("server", target.server.clone()),
        ("version", target.server_version.clone()),
        ("TLS", target.tls.clone().unwrap_or_else(|| "none".to_owned())),
        ("objects belong to", target.username.clone()),
        ("logged in as", target.su_username.clone()),
    ];
    if let Some(restored) = &report.restore {
        let erased = &restored.report.erased;
        let held = format!(
            "{}, {} in {}",
            plural(len(&erased.instances), "instance"),
            plural(erased.rows, "row"),
            plural(erased.tables, "table")
        );
        facts.push(("it held before", held));
        facts.extend(restored.report.previous.clone().map(|previous| ("previous database", previous)));
        facts
            .extend(restored.report.backup.as_ref().map(|file| ("backup of it", file.display().to_string())));
    }
    facts
}

pub(super) fn card(title: &str, facts: &[(&'static str, String)]) -> Html {
    let mut list = Html::new();
    for (name, value) in facts {
        list.push(&Html::of("dt", "", name));
        list.push(&Html::of("dd", "", value));
    }
    let mut card = Html::of("h3", "", title);
    card.push(&Html::element("dl", "", &list));
    Html::element("div", "card", &card)
}

/// Where the time went: by steps, and by connection.
fn times(report: &Report) -> Html {
    let timeline = &report.timeline;
    let end = timeline.end();
    let mut html = Html::of("h2", "", "Where the time went");
    if end <= 0.0 {
        html.push(&Html::of("p", "", "Nothing took any time."));
        return html;
    }
    html.push(&legend());
    let mut chart = Html::new();
    for step in &timeline.steps {
        let known = Step::ALL.into_iter().find(|known| known.name() == step.what);
        let name: &str = known.map_or(step.what.as_str(), |known| label(known));
        chart.push(&Html::of("span", "name", &format!("{name} ({})", seconds(step.took))));
        chart.push(&Html::element("span", "lane", &bar(step, step_class(&step.what), end)));
    }
    if !timeline.waits.is_empty() {
        let mut waits = Html::new();
        for wait in &timeline.waits {
            let title = format!(
                "waited for {} from {} on, up to {}",
                wait.what,
                seconds(wait.began),
                seconds(wait.limit)
            );
            waits.push(&Html::bar("waits", percent(wait.began, end), 0.4, &title));
        }
        chart.push(&Html::of("span", "name", "waits began"));
        chart.push(&Html::element("span", "lane", &waits));
    }
    chart.push(&axis(end));
    html.push(&Html::element("div", "chart", &chart));
    if !timeline.connections.is_empty() {
        html.push(&connections(timeline, end));
    }
    html
}

fn connections(timeline: &Timeline, end: f64) -> Html {
    let mut html = Html::of("h2", "", "Connections at work");
    let mut chart = Html::new();
    for lane in &timeline.connections {
        let busy: f64 = lane.work.iter().map(|piece| piece.took).sum();
        chart.push(&Html::of("span", "name", &format!("process {} ({})", lane.connection, seconds(busy))));
        let mut bars = Html::new();
        for piece in lane.work.iter().take(MOST_BARS) {
            bars.push(&bar(piece, work_class(&piece.what), end));
        }
        chart.push(&Html::element("span", "lane", &bars));
    }
    chart.push(&axis(end));
    html.push(&Html::element("div", "chart", &chart));
    html.push(&longest(timeline));
    html
}

/// The pieces of work that took longest.
fn longest(timeline: &Timeline) -> Html {
    const SHOWN: usize = 10;
    let mut pieces: Vec<&Piece> = timeline.connections.iter().flat_map(|lane| &lane.work).collect();
    pieces.sort_by(|a, b| b.took.total_cmp(&a.took));
    let longest = pieces.first().map_or(0.0, |piece| piece.took);
    let mut rows = row("th", &[("", "longest work"), ("number", "began"), ("number", "took"), ("track", "")]);
    for piece in pieces.into_iter().take(SHOWN) {
        let cells =
            [("", piece.what.as_str()), ("number", &seconds(piece.began)), ("number", &seconds(piece.took))];
        rows.push(&with_bar(&cells, work_class(&piece.what), percent(piece.took, longest)));
    }
    wide_table(&rows)
}

fn legend() -> Html {
    let mut legend = Html::new();
    for (class, name) in [
        ("rows", "rows"),
        ("objects", "large objects"),
        ("entries", "definitions, indexes, constraints"),
        ("migrations", "migrations"),
        ("other", "everything else"),
        ("waits", "waits for others"),
    ] {
        let mut item = Html::of("i", class, "");
        item.push(&Html::text(name));
        legend.push(&Html::element("span", "", &item));
    }
    Html::element("div", "legend", &legend)
}

fn axis(end: f64) -> Html {
    let mut marks = Html::new();
    for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
        marks.push(&Html::of("span", "", &seconds(end * part)));
    }
    // Below the bars, and not below their names.
    let mut axis = Html::of("span", "name", "");
    axis.push(&Html::element("span", "axis", &marks));
    axis
}

fn bar(piece: &Piece, class: &'static str, end: f64) -> Html {
    let title = format!("{}: {}, from {} on", piece.what, seconds(piece.took), seconds(piece.began));
    Html::bar(class, percent(piece.began, end), percent(piece.took, end), &title)
}

pub(super) fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole * 100.0 } else { 0.0 }
}

fn step_class(step: &str) -> &'static str {
    match step {
        "data" => "rows",
        "large-objects" => "objects",
        "pre-data" | "post-data" | "privileges" => "entries",
        "upgrade" => "migrations",
        _ => "other",
    }
}

fn work_class(work: &str) -> &'static str {
    match work {
        "large objects" => "objects",
        rows if rows.starts_with("rows of ") => "rows",
        _ => "entries",
    }
}

/// Rows, bytes, time and replacements by table, the longest first.
fn tables(done: &RestoreReport, timeline: &Timeline) -> Html {
    let times: BTreeMap<&str, f64> = timeline.of_tables();
    let time = |table: &TableReport| times.get(table.table.as_str()).copied().unwrap_or_default();
    let mut tables: Vec<&TableReport> = done.tables.iter().collect();
    tables.sort_by(|a, b| time(b).total_cmp(&time(a)).then(b.bytes.cmp(&a.bytes)));
    let longest = tables.first().map_or(0.0, |table| time(table));
    let mut rows = row(
        "th",
        &[
            ("", "table"),
            ("number", "rows"),
            ("number", "size"),
            ("number", "IDs replaced"),
            ("number", "time"),
            ("track", ""),
        ],
    );
    for table in tables.iter().take(MOST_ROWS) {
        let cells = [
            ("", table.table.as_str()),
            ("number", &count(table.rows)),
            ("number", &bytes(table.bytes)),
            ("number", &count(table_replacements(table))),
            ("number", &seconds(time(table))),
        ];
        rows.push(&with_bar(&cells, "rows", percent(time(table), longest)));
    }
    let mut html = Html::of("h2", "", "Tables");
    html.push(&wide_table(&rows));
    html.push(&more(tables.len()));
    html
}

fn instances(done: &RestoreReport) -> Html {
    if done.instances.is_empty() {
        return Html::new();
    }
    let found: BTreeMap<String, u64> =
        done.sources.iter().map(|source| (source.source.to_string(), source.found)).collect();
    let mut rows = row("th", &[("", "instance"), ("", "of the backup"), ("", "became"), ("number", "found")]);
    for instance in done.instances.iter().take(MOST_ROWS) {
        let id = instance.source.id.to_string();
        let became = if instance.target == instance.source.id {
            "the same".to_owned()
        } else {
            instance.target.to_string()
        };
        let count = found.get(&id).map(|found| count(*found)).unwrap_or_default();
        let name = instance.source.name.as_deref().unwrap_or("(no name)");
        rows.push(&row("td", &[("", name), ("", &id), ("", &became), ("number", &count)]));
    }
    let mut html = Html::of("h2", "", "Instances");
    html.push(&wide_table(&rows));
    html.push(&more(done.instances.len()));
    html
}

fn migrations(done: &RestoreReport) -> Html {
    if done.migrations.is_empty() {
        return Html::new();
    }
    let longest = done.migrations.iter().map(|migration| migration.took.as_secs_f64()).fold(0.0, f64::max);
    let mut rows = row("th", &[("number", "version"), ("", "migration"), ("number", "time"), ("track", "")]);
    for migration in &done.migrations {
        let took = migration.took.as_secs_f64();
        let cells = [
            ("number", migration.version.to_string()),
            ("", migration.description.clone()),
            ("number", seconds(took)),
        ];
        let cells: Vec<(&'static str, &str)> =
            cells.iter().map(|(class, text)| (*class, text.as_str())).collect();
        rows.push(&with_bar(&cells, "migrations", percent(took, longest)));
    }
    let mut html = Html::of("h2", "", "Migrations");
    html.push(&wide_table(&rows));
    html
}

fn notices(done: &RestoreReport) -> Html {
    let mut html = Html::new();
    for (severity, title, class) in
        [(Severity::Warning, "Warnings", "warn"), (Severity::Notice, "Notices", "")]
    {
        let mut list = Html::new();
        let mut is_empty = true;
        for notice in done.notices.iter().filter(|notice| notice.severity == severity) {
            list.push(&Html::of("li", "", &notice.text));
            is_empty = false;
        }
        if !is_empty {
            html.push(&Html::of("h2", class, title));
            html.push(&Html::element("ul", "", &list));
        }
    }
    html
}

/// What to type to go back.
fn way_back(report: &Report) -> Html {
    let mut html = Html::of("h2", "", "How to go back");
    if report.restore.is_none() {
        let text =
            report.error.as_ref().map_or("There is nothing to go back from.", |error| error.way_back());
        html.push(&Html::of("p", "", text));
    } else if report.go_back.is_empty() {
        let text = "This restore kept neither the previous database (--keep-previous) nor a backup of it (--backup-first).";
        html.push(&Html::of("p", "", text));
    }
    for command in &report.go_back {
        html.push(&Html::of("pre", "", command));
    }
    html
}

pub(super) fn row(cell: &'static str, cells: &[(&'static str, &str)]) -> Html {
    let mut row = Html::new();
    for (class, text) in cells {
        row.push(&Html::of(cell, class, text));
    }
    Html::element("tr", "", &row)
}

pub(super) fn with_bar(cells: &[(&'static str, &str)], class: &'static str, width: f64) -> Html {
    let mut row = Html::new();
    for (cell, text) in cells {
        row.push(&Html::of("td", cell, text));
    }
    let lane = Html::element("span", "lane", &Html::bar(class, 0.0, width, ""));
    row.push(&Html::element("td", "track", &lane));
    Html::element("tr", "", &row)
}

pub(super) fn wide_table(rows: &Html) -> Html {
    Html::element("div", "wide", &Html::element("table", "", rows))
}

pub(super) fn more(of: usize) -> Html {
    match of.checked_sub(MOST_ROWS).filter(|more| *more > 0) {
        Some(more) => Html::of("p", "lead", &format!("and {more} more: report.json has all of them")),
        None => Html::new(),
    }
}
