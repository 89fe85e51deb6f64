//! How fast rows and large objects are rewritten:  cargo bench -p pgmig-core --bench rewrite
//!
//! Prints MB of COPY text per second, on one thread, with one pair, with 10,000 and with 20,000. Every row has an ID
//! that is mapped, as in a store.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use pgmig_core::instance::InstanceId;
use pgmig_core::rewrite::ColumnRule::{Bytea, Json, Text};
use pgmig_core::rewrite::{BinaryRule, ColumnRule, LargeObjectRewriter, LeftoverCounter, RowRewriter, Rules};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As much as is rewritten at once in a restore.
const PIECE_BYTES: usize = 128 * 1024;

/// How long each figure is measured.
const TIME: Duration = Duration::from_secs(1);

fn main() {
    println!("{:<28} {:>12} {:>14} {:>14}", "MB/s", "1 pair", "10,000 pairs", "20,000 pairs");
    let json =
        rows(|n| format!("{}\t{}\t{{\"tenant\": \"{}\", \"steps\": [{}]}}\n", id(n), id(0), id(0), steps(n)));
    let text = rows(|n| {
        format!("{n}\t2024-01-02 03:04:05+00\tno-ID-is-in-this-text, {}\n", "lorem ipsum ".repeat(20))
    });
    let bytea = rows(|n| format!("{n}\t\\\\x{}{}\n", hex(&format!("of {} ", id(0))), "00ff2d5c".repeat(60)));
    measure_rows("uuid and jsonb", &json, &[Text, Text, Json]);
    measure_rows("text without IDs", &text, &[Text, Text, Text]);
    measure_rows("bytea, reported", &bytea, &[Text, Bytea(BinaryRule::Report)]);
    measure_rows("bytea, rewritten", &bytea, &[Text, Bytea(BinaryRule::Rewrite)]);
    measure("leftover check", &json, |rules, piece| {
        let mut counter = LeftoverCounter::new(&rules, vec![Text, Text, Json]);
        move || {
            black_box(counter.count(&piece));
        }
    });
    measure("large objects, reported", &json, |rules, piece| {
        let mut rewriter = LargeObjectRewriter::new(rules);
        move || {
            black_box(rewriter.push(piece.clone()));
        }
    });
}

fn measure_rows(what: &str, piece: &[u8], columns: &[ColumnRule]) {
    measure(what, piece, |rules, piece| {
        let mut rewriter = RowRewriter::new(rules, columns.to_vec());
        // Copied anew each time, as rows are when they are cut: what has been rewritten holds no mapped ID.
        let mut rows = Vec::with_capacity(piece.len());
        move || {
            rows.clear();
            rows.extend_from_slice(&piece);
            rewriter.rewrite(&mut rows);
            black_box(&rows);
        }
    });
}

/// Measures what `prepare` makes for each number of pairs.
fn measure<W: FnMut()>(what: &str, piece: &[u8], prepare: impl Fn(Arc<Rules>, Vec<u8>) -> W) {
    let speeds = [1, 10_000, 20_000].map(|pairs| {
        let mut work = prepare(Arc::new(rules(pairs)), piece.to_vec());
        let start = Instant::now();
        let mut bytes = 0;
        while start.elapsed() < TIME {
            work();
            bytes += piece.len();
        }
        u128::try_from(bytes).unwrap() / start.elapsed().as_micros()
    });
    println!("{what:<28} {:>12} {:>14} {:>14}", speeds[0], speeds[1], speeds[2]);
}

fn rules(pairs: u128) -> Rules {
    let id = |number: u128| InstanceId::from_digits(&number.to_string()).unwrap();
    Rules::new((0..pairs).map(|number| (id(1_570_184_978 + number), id(7_000_000_000 + number))))
}

fn rows(row: impl Fn(usize) -> String) -> Vec<u8> {
    let mut rows = String::new();
    for number in 1.. {
        if rows.len() > PIECE_BYTES {
            break;
        }
        rows += &row(number);
    }
    rows.into_bytes()
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
