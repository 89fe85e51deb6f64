//! How fast data stream through, on one thread:  cargo bench -p pgmig-core
//!
//! In bytes of COPY text per second: unpacking, cutting into rows, rewriting, and looking for IDs that were left.

#![allow(clippy::unwrap_used, reason = "a benchmark")]

use divan::Bencher;
use divan::counter::BytesCount;
use pgmig_core::archive::copy::{EndMarker, RowSplitter};
use pgmig_core::archive::{Archive, Block};
use pgmig_core::benchmarked::ColumnRule::{Bytea, Json, Text};
use pgmig_core::benchmarked::{
    BinaryRule, ColumnRule, LargeObjectRewriter, LeftoverCounter, RowRewriter, Rules,
};
use pgmig_core::instance::InstanceId;
use std::io::Write;
use std::sync::Arc;

/// As much as is rewritten at once in a restore.
const PIECE_BYTES: usize = 128 * 1024;

const PAIRS: [u128; 3] = [1, 20, 10_000];

fn main() {
    divan::main();
}

/// A script of pg_dump, compressed as a whole: unpacked, and the rows found in it.
#[divan::bench(args = ["none", "gzip", "lz4", "zstd"])]
fn unpack(bencher: Bencher, codec: &str) {
    let rows = json_rows(64 * PIECE_BYTES);
    let packed = pack(&script(&rows), codec);
    bencher.counter(BytesCount::of_slice(&rows)).bench_local(|| {
        let mut archive = Archive::from_stream(std::io::Cursor::new(packed.clone())).unwrap();
        let mut read = 0;
        while archive.read_entries().unwrap().is_some() {
            let Some((_, Block::Data(mut data))) = archive.next_block().unwrap() else { break };
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            while data.read_into(&mut piece, PIECE_BYTES).unwrap() > 0 {
                read += piece.len();
                piece.clear();
            }
        }
        assert!(read >= rows.len(), "the rows, and perhaps their end marker");
    });
}

#[divan::bench]
fn cut_rows(bencher: Bencher) {
    let rows = json_rows(PIECE_BYTES);
    bencher.counter(BytesCount::of_slice(&rows)).bench_local(|| {
        let mut out = Vec::with_capacity(rows.len());
        let mut splitter = RowSplitter::new(EndMarker::Optional);
        splitter.push(&rows, &mut out).unwrap();
        out
    });
}

#[divan::bench(args = PAIRS)]
fn rewrite_json(bencher: Bencher, pairs: u128) {
    rewrite(bencher, &json_rows(PIECE_BYTES), &[Text, Text, Json], pairs);
}

#[divan::bench(args = PAIRS)]
fn rewrite_text_without_ids(bencher: Bencher, pairs: u128) {
    let rows = rows(PIECE_BYTES, |n| {
        format!("{n}\t2024-01-02 03:04:05+00\tno-ID-is-in-this-text, {}\n", "lorem ipsum ".repeat(20))
    });
    rewrite(bencher, &rows, &[Text, Text, Text], pairs);
}

#[divan::bench(args = [BinaryRule::Report, BinaryRule::Rewrite])]
fn rewrite_bytea(bencher: Bencher, rule: BinaryRule) {
    let rows = rows(PIECE_BYTES, |n| {
        format!("{n}\t\\\\x{}{}\n", hex(&format!("of {} ", id(0))), "00ff2d5c".repeat(60))
    });
    rewrite(bencher, &rows, &[Text, Bytea(rule)], 20);
}

#[divan::bench(args = PAIRS)]
fn rewrite_large_objects(bencher: Bencher, pairs: u128) {
    let piece = json_rows(PIECE_BYTES);
    let mut rewriter = LargeObjectRewriter::new(Arc::new(rules(pairs)));
    bencher
        .counter(BytesCount::of_slice(&piece))
        .with_inputs(|| piece.clone())
        .bench_local_values(|piece| rewriter.push(piece));
}

#[divan::bench(args = PAIRS)]
fn count_leftovers(bencher: Bencher, pairs: u128) {
    let piece = json_rows(PIECE_BYTES);
    let mut counter = LeftoverCounter::new(&rules(pairs), vec![Text, Text, Json]);
    bencher.counter(BytesCount::of_slice(&piece)).bench_local(|| counter.count(&piece));
}

fn rewrite(bencher: Bencher, piece: &[u8], columns: &[ColumnRule], pairs: u128) {
    let mut rewriter = RowRewriter::new(Arc::new(rules(pairs)), columns.to_vec());
    // Copied anew each time: what has been rewritten holds no mapped ID.
    bencher.counter(BytesCount::of_slice(piece)).with_inputs(|| piece.to_vec()).bench_local_refs(|rows| {
        rewriter.rewrite(rows);
    });
}

fn rules(pairs: u128) -> Rules {
    let id = |number: u128| InstanceId::from_digits(&number.to_string()).unwrap();
    Rules::new((0..pairs).map(|number| (id(1_570_184_978 + number), id(7_000_000_000 + number))))
}

/// At least so many bytes of rows.
fn rows(bytes: usize, row: impl Fn(usize) -> String) -> Vec<u8> {
    let mut rows = String::new();
    for number in 1.. {
        if rows.len() > bytes {
            break;
        }
        rows += &row(number);
    }
    rows.into_bytes()
}

/// Rows of a store: every one has an ID that is mapped.
fn json_rows(bytes: usize) -> Vec<u8> {
    rows(bytes, |n| {
        format!("{}\t{}\t{{\"tenant\": \"{}\", \"steps\": [{}]}}\n", id(n), id(0), id(0), steps(n))
    })
}

/// The first one is mapped, whatever the number of pairs; the others are not.
fn id(number: usize) -> String {
    match number {
        0 => "00000000-0000-0000-0000-001570184978".to_owned(),
        number => format!("{number:08x}-5c2b-4f7c-8e21-0b6a5d4c3b02"),
    }
}

fn steps(number: usize) -> String {
    let step =
        |at: usize| format!("{{\"step\": \"{}\", \"says\": \"Hello, how are you?\\\\n\"}}", id(number + at));
    (1..6).map(step).collect::<Vec<_>>().join(", ")
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn script(rows: &[u8]) -> Vec<u8> {
    let head = "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.18\n\
                -- Dumped by pg_dump version 15.18\n\nSET client_encoding = 'UTF8';\n\n--\n\
                -- Data for Name: workspace; Type: TABLE DATA; Schema: public; Owner: -\n--\n\n\
                COPY public.workspace (workspace_id, tenant_id, content) FROM stdin;\n";
    [head.as_bytes(), rows, b"\\.\n\n\n--\n-- PostgreSQL database dump complete\n--\n\n"].concat()
}

fn pack(plain: &[u8], codec: &str) -> Vec<u8> {
    match codec {
        "gzip" => {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            packer.write_all(plain).unwrap();
            packer.finish().unwrap()
        }
        "lz4" => {
            let mut packer = lz4::EncoderBuilder::new().build(Vec::new()).unwrap();
            packer.write_all(plain).unwrap();
            packer.finish().0
        }
        "zstd" => zstd::encode_all(plain, 3).unwrap(),
        _ => plain.to_vec(),
    }
}
