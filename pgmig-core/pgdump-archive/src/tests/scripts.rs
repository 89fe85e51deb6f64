//! Plain scripts of pg_dump, and inputs that must not be accepted as such.

use super::{Contents, fixture, fixtures, read_all_blocks, read_all_in_order, read_block};
use crate::{Archive, ArchiveError, Block, Compression, Entry, EntryKind, Format, ScriptProblem, Section};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Cursor, Read, Write},
    path::PathBuf,
};

fn packed(name: &str) -> PathBuf {
    fixtures().join("archives").join(format!("{name}.sql.gz"))
}

fn script(name: &str) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(packed(name)).unwrap()).read_to_string(&mut text).unwrap();
    text
}

fn open(script: &str) -> Result<Archive, ArchiveError> {
    Archive::from_bytes(script.as_bytes().to_vec())
}

fn problem(script: &str) -> ScriptProblem {
    match open(script) {
        Err(ArchiveError::Script { problem, .. }) => problem,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("not refused"),
    }
}

/// Rows and large objects by their names. The empty lines that archives have at the end of rows are left out.
fn by_name(mut archive: Archive) -> BTreeMap<String, Vec<u8>> {
    let mut contents = Contents::new();
    while let Some((id, block)) = archive.next_block().unwrap() {
        read_block(id, block, &mut contents).unwrap();
    }
    let by_name = contents.into_iter().map(|((id, oid), bytes)| {
        let entry = archive.entry(id).unwrap();
        match entry.kind {
            EntryKind::Blobs => (format!("large object {oid}"), bytes),
            _ => (format!("{:?} {}", entry.namespace, entry.tag), bytes.trim_ascii_end().to_vec()),
        }
    });
    by_name.collect()
}

const SAME: [(&str, &str); 13] = [
    ("9.5_plain", "9.5_file_gz"),
    ("9.5_plain_create_clean", "9.5_file_gz"),
    ("9.5_plain_inserts", "9.5_inserts"),
    ("15_plain", "15_pipe_gz"),
    ("15_plain_create_clean", "15_pipe_gz"),
    ("15_plain_inserts", "15_inserts"),
    ("15_plain_column_inserts", "15_column_inserts"),
    ("16_plain", "16_file_lz4"),
    ("16_plain_inserts", "16_inserts"),
    ("18_plain", "18_file_gz"),
    ("18_plain_create_clean", "18_file_gz"),
    ("18_plain_stats", "18_stats"),
    ("13_plain", "13_part_root"),
];

#[test]
fn a_script_holds_the_rows_and_large_objects_of_the_custom_archive() {
    for (name, custom) in SAME {
        if name == "13_plain" {
            continue; // no custom archive of the same options
        }
        let expected = by_name(Archive::open(&fixture(custom)).unwrap());
        let archive = open(&script(name)).unwrap();
        assert_eq!((archive.header().format, archive.header().wrapper), (Format::Plain, Compression::None));
        assert!(!archive.is_stream() && !archive.is_sequential());
        assert!(expected == by_name(archive), "{name}");
        let packed = Archive::open(&packed(name)).unwrap();
        assert_eq!((packed.header().wrapper, packed.is_sequential()), (Compression::Gzip, true));
        assert!(expected == by_name(packed), "{name}, packed");
        for stream in [
            Archive::from_stream(Cursor::new(script(name))).unwrap(),
            Archive::from_stream(File::open(super::scripts::packed(name)).unwrap()).unwrap(),
        ] {
            assert!(stream.is_stream() && !stream.has_all_entries());
            assert!(expected == by_name(stream), "{name}, stream");
        }
    }
}

/// psql takes such a script: the server recognises how rows end. Names that have a line end have CR LF now.
#[test]
fn lines_can_end_in_cr_lf() {
    let by_name = |archive| -> BTreeMap<String, Vec<u8>> {
        by_name(archive).into_iter().map(|(name, rows)| (name.replace("\\r\\n", "\\n"), rows)).collect()
    };
    for (name, custom) in SAME.iter().filter(|(name, _)| !name.contains("inserts") && *name != "13_plain") {
        let expected = by_name(Archive::open(&fixture(custom)).unwrap());
        let script = script(name).replace('\n', "\r\n");
        assert!(expected == by_name(open(&script).unwrap()), "{name}");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(script.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        assert!(expected == by_name(Archive::from_bytes(packed).unwrap()), "{name}, packed");
        let stream = Archive::from_stream(Cursor::new(script)).unwrap();
        assert!(expected == by_name(stream), "{name}, stream");
    }
}

/// Reads of every length, so that each CR and LF is once in two of them.
#[test]
fn a_cr_before_a_lf_is_left_out_wherever_reads_end() {
    let script = SCRIPT.replace('\n', "\r\n");
    let expected =
        SCRIPT.split_once("FROM stdin;\n").and_then(|(_, rest)| rest.split_once("\n\n\n")).unwrap().0;
    for at_most in 1..9 {
        let mut archives =
            [open(&script).unwrap(), Archive::from_stream(Cursor::new(script.clone())).unwrap()];
        for archive in &mut archives {
            let Some((_, Block::Data(mut data))) = archive.next_block().unwrap() else { panic!("no rows") };
            let mut rows = Vec::new();
            while data.read_into(&mut rows, at_most).unwrap() > 0 {}
            assert_eq!(String::from_utf8(rows).unwrap().trim_end(), expected, "{at_most}");
        }
    }
}

#[test]
fn a_script_reads_the_same_in_every_way() {
    for (name, _) in SAME {
        let contents = read_all_blocks(&packed(name)).unwrap();
        assert!(read_all_in_order(Archive::open(&packed(name)).unwrap()).unwrap() == contents, "{name}");
        let ids = |archive: &Archive| {
            archive.entries().iter().map(|entry| format!("{entry:?}")).collect::<Vec<_>>()
        };
        let mut stream = Archive::from_stream(Cursor::new(script(name))).unwrap();
        let mut blocks = 0;
        while let Some((_, mut block)) = stream.next_block().unwrap() {
            blocks += 1;
            match &mut block {
                Block::Data(data) if blocks % 2 == 0 => drop(data.read_into(&mut Vec::new(), 7).unwrap()),
                Block::LargeObjects(objects) if blocks % 2 == 0 => drop(objects.next_object().unwrap()),
                _ => {}
            }
        }
        assert!(stream.has_all_entries() && stream.read_entries().unwrap().is_none());
        assert_eq!(ids(&stream), ids(&Archive::open(&packed(name)).unwrap()), "{name}");
    }
}

/// The properties of an entry that a restore uses. Those that say the same in another form are left out.
fn essence(entry: &Entry) -> String {
    let text = |text: &Option<crate::ArchiveText>| {
        text.as_ref().map(|text| text.to_string()).filter(|text| !text.is_empty())
    };
    let sql = |sql: Option<String>| {
        sql.map(|sql| sql.replace("\\n", " ").split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let is_object = entry.kind == EntryKind::Blob;
    format!(
        "{:?} {} {} {:?} {:?} {:?} {:?} {} {:?} {:?}",
        entry.section,
        entry.desc,
        entry.tag,
        text(&entry.namespace),
        text(&entry.owner),
        sql(text(&entry.definition)),
        sql(text(&entry.copy_statement)),
        entry.had_dumper,
        text(&entry.tablespace),
        // A script sets the access method for all tables that follow; a partitioned table does not use it.
        text(&entry.table_access_method)
            .filter(|_| !text(&entry.definition).unwrap_or_default().contains("PARTITION BY")),
    ) + &if is_object { entry.catalog_id.oid.to_string() } else { String::new() }
}

#[test]
fn a_script_has_the_entries_of_the_custom_archive() {
    for (name, custom) in SAME.into_iter().filter(|(name, _)| *name != "13_plain") {
        let is_kept = |entry: &&Entry| {
            let about_database =
                entry.tag.to_string().starts_with("DATABASE ") || entry.catalog_id.table_oid.0 == 1262;
            !about_database && !matches!(entry.kind, EntryKind::Database | EntryKind::DatabaseProperties)
        };
        let custom = Archive::open(&fixture(custom)).unwrap();
        let plain = open(&script(name)).unwrap();
        let mut expected: Vec<_> = custom.entries().iter().filter(is_kept).map(essence).collect();
        let mut found: Vec<_> = plain.entries().iter().filter(is_kept).map(essence).collect();
        expected.sort();
        found.sort();
        // pg_dump leaves these out of a script, or writes them for each large object of a group.
        let is_told_otherwise =
            |line: &String| line.contains(" ACL LARGE OBJECTS ") || line.contains(" SCHEMA public ");
        expected.retain(|line| !is_told_otherwise(line));
        found.retain(|line| !is_told_otherwise(line));
        let missing: Vec<_> = expected.iter().filter(|line| !found.contains(line)).collect();
        let other: Vec<_> = found.iter().filter(|line| !expected.contains(line)).collect();
        assert!(missing.is_empty() && other.is_empty(), "{name}: missing {missing:#?}\nand has {other:#?}");
        assert_eq!(expected.len(), found.len(), "{name}");
    }
}

#[test]
fn session_settings_come_from_the_statements_above_the_entries() {
    let archive = open(&script("15_plain_create_clean")).unwrap();
    assert_eq!((archive.encoding(), archive.standard_conforming_strings()), (Some("UTF8"), true));
    assert!(archive.search_path_statement().is_some());
    let header = archive.header();
    assert_eq!(header.database.as_ref().unwrap(), &"chatstore");
    assert!(header.server_version.as_ref().unwrap().to_string().starts_with("15."));
    assert!(header.dump_version.as_ref().unwrap().to_string().starts_with("15."));
    assert_eq!((header.container, header.created), (None, None));
    assert!(open(&script("9.5_plain")).unwrap().search_path_statement().is_none());
}

#[test]
fn names_with_line_ends_are_as_they_were() {
    let archive = open(&script("18_plain")).unwrap();
    let odd = |entry: &&Entry| entry.tag == "T; --\nnewline name";
    assert_eq!(archive.entries().iter().filter(odd).count(), 2, "the table and its rows");
}

#[test]
fn statistics_are_entries_of_the_section_that_they_are_in() {
    let statistics = |archive: &Archive| -> Vec<(String, Section)> {
        let entries = archive.entries().iter().filter(|entry| entry.kind == EntryKind::StatisticsData);
        let name = |entry: &Entry| format!("{:?} {}", entry.namespace, entry.tag);
        entries.map(|entry| (name(entry), entry.section)).collect()
    };
    let (mut found, mut expected) = (
        statistics(&open(&script("18_plain_stats")).unwrap()),
        statistics(&Archive::open(&fixture("18_stats")).unwrap()),
    );
    assert!(found.len() > 20);
    found.sort_by(|one, other| one.0.cmp(&other.0));
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(found, expected);
}

#[test]
fn sections_follow_the_order_of_the_script() {
    let archive = open(&script("18_plain")).unwrap();
    let sections = archive.entries().iter().map(|entry| entry.section);
    assert!(sections.filter(|section| *section != Section::None).is_sorted());
}

const SCRIPT: &str = "--\n-- PostgreSQL database dump\n--\n\n\\restrict x\n\nSET client_encoding = 'UTF8';\n\
    SET standard_conforming_strings = on;\nSELECT pg_catalog.set_config('search_path', '', false);\n\n\
    --\n-- Name: t; Type: TABLE; Schema: public; Owner: joe\n--\n\nCREATE TABLE public.t (a text);\n\n\n\
    ALTER TABLE public.t OWNER TO joe;\n\n\
    --\n-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: joe\n--\n\n\
    COPY public.t (a) FROM stdin;\n-- Name: no; Type: TABLE; Schema: public; Owner: joe\n\\\\! no\nit's\n\\.\n\n\n\
    --\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict x\n\n";

/// The script with a text inserted before a line.
fn with(inserted: &str, before: &str) -> String {
    assert!(SCRIPT.contains(before));
    SCRIPT.replacen(before, &format!("{inserted}{before}"), 1)
}

#[test]
fn what_looks_like_a_comment_or_a_command_in_data_is_data() {
    let archive = open(SCRIPT).unwrap();
    assert_eq!(archive.entries().len(), 5);
    let rows = by_name(archive).into_values().next().unwrap();
    assert_eq!(rows, b"-- Name: no; Type: TABLE; Schema: public; Owner: joe\n\\\\! no\nit's\n\\.");
}

#[test]
fn what_looks_like_a_comment_in_a_body_is_a_part_of_it() {
    let body = "--\n-- Name: no; Type: TABLE; Schema: public; Owner: joe\n--\n\\! no\n-- PostgreSQL database dump complete\n";
    let function = format!(
        "--\n-- Name: f(); Type: FUNCTION; Schema: public; Owner: joe\n--\n\n\
         CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $_$\n{body}$_$;\n\n\n"
    );
    let archive = open(&with(&function, "--\n-- Name: t; Type: TABLE")).unwrap();
    assert_eq!(archive.entries().len(), 6);
    assert!(archive.entries()[3].definition.as_ref().unwrap().to_str().unwrap().contains(body));
}

#[test]
fn commands_of_psql_are_refused_by_name_wherever_they_are() {
    for command in
        ["\\! rm -rf /", "\\i /etc/passwd", "\\copy t from x", "\\o |sh", "\\gexec", "\\set x `id`", "\\g"]
    {
        let name = command.split(' ').next().unwrap().trim_start_matches('\\').to_owned();
        for before in
            ["SET client_encoding", "CREATE TABLE", "COPY public.t", "-- PostgreSQL database dump complete"]
        {
            let found = problem(&with(&format!("{command}\n"), before));
            assert_eq!(found, ScriptProblem::Command(name.clone()), "{command} before {before}");
        }
        assert_eq!(problem(&format!("{SCRIPT}{command}\n")), ScriptProblem::Command(name), "at the end");
    }
    assert_eq!(problem(&with("SELECT 1 \\gexec\n", "CREATE TABLE")), ScriptProblem::Command("gexec".into()));
    let error = open(&with("\\! x\n", "CREATE TABLE")).unwrap_err().to_string();
    assert!(error.contains("\\!") && error.contains("at byte 232"), "{error}");
}

#[test]
fn a_script_must_be_one_dump_of_one_database_from_beginning_to_end() {
    assert_eq!(problem(&format!("{SCRIPT}{SCRIPT}")), ScriptProblem::SeveralDumps);
    assert_eq!(problem(&format!("{SCRIPT}SELECT 1;\n")), ScriptProblem::AfterEnd);
    assert_eq!(problem(&with("\\connect other\n", "--\n-- Data for")), ScriptProblem::SeveralDatabases);
    assert!(open(&with("\\connect other\n", "--\n-- Name: t;")).is_ok(), "as --create does it");
    assert_eq!(
        problem(&with("CREATE TABLE a ();\n", "--\n-- Name: t;")),
        ScriptProblem::Outside("CREATE TABLE".into())
    );
    assert!(open(&with("DROP TABLE a;\n", "--\n-- Name: t;")).is_ok(), "as --clean does it");
    assert!(open(&with("DROP TABLE a;\n", "COPY public.t")).is_err());
    assert_eq!(
        problem(&with("SET client_encoding = 'LATIN1';\n", "--\n-- Name: t;")),
        ScriptProblem::Changes
    );
    assert_eq!(problem(&SCRIPT.replace("UTF8", "SJIS")), ScriptProblem::Encoding("SJIS".into()));
}

#[test]
fn headers_that_were_edited_are_refused() {
    assert_eq!(problem(&SCRIPT.replace("--\n-- Name: t;", "-- Name: t;")), ScriptProblem::Header);
    assert_eq!(
        problem(&SCRIPT.replace("-- Name: t; Type: TABLE;", "-- Name: t; TABLE;")),
        ScriptProblem::Header
    );
    assert_eq!(problem(&SCRIPT.replace("-- Data for Name", "-- Name")), ScriptProblem::Header);
    let without =
        SCRIPT.replace("--\n-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: joe\n--\n", "");
    assert_eq!(problem(&without), ScriptProblem::Unexpected("COPY".into()));
}

#[test]
fn copy_that_is_not_from_standard_input_is_refused() {
    for copy in [
        "FROM '/etc/passwd';",
        "FROM PROGRAM 'id';",
        "FROM stdin WITH (FORMAT csv);",
        "FROM stdin; SELECT 1;",
    ] {
        assert!(open(&SCRIPT.replace("FROM stdin;", copy)).is_err(), "{copy}");
    }
}

#[test]
fn a_script_that_was_cut_anywhere_is_refused() {
    let complete = SCRIPT.find(" complete").unwrap() + " complete".len();
    for length in 0..complete {
        assert!(open(&SCRIPT[..length]).is_err(), "cut at {length}");
    }
    let script = script("18_plain");
    for length in (0..script.len() - 60).step_by(4093) {
        assert!(Archive::from_bytes(script.as_bytes()[..length].to_vec()).is_err(), "cut at {length}");
    }
}

#[test]
fn a_statement_that_was_cut_off_in_a_stream_is_no_statement() {
    let script = script("15_plain_inserts");
    let values = script.find(" VALUES (").unwrap();
    let cut = Cursor::new(script.as_bytes()[..values].to_vec());
    let error = Archive::from_stream(cut).and_then(read_all_in_order).unwrap_err();
    assert!(matches!(error, ArchiveError::Script { problem: ScriptProblem::CutOff, .. }), "{error}");
    assert_eq!(error.place().unwrap().offset, u64::try_from(script.find("INSERT INTO").unwrap()).unwrap());
}

#[test]
fn verbose_comments_are_understood() {
    let verbose = SCRIPT
        .replace("--\n-- Name: t;", "--\n-- TOC entry 215 (class 1259 OID 16386)\n-- Name: t;")
        .replace("--\n-- Data", "--\n-- TOC entry 3320 (class 0 OID 16386)\n-- Dependencies: 215\n-- Data")
        .replace("SET client_encoding", "-- Started on 2026-11-20 12:16:20 UTC\n\nSET client_encoding");
    assert_eq!(open(&verbose).unwrap().entries().len(), 5);
}
