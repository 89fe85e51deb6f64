//! Defines an occurrence in slow and simple code, and compares the fast code with it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use crate::copy::{decode_field, encode_row, fields};
use crate::instance::InstanceId;
use crate::rewrite::{BinaryRule, ColumnRule, LeftoverCounter, RowRewriter, Rules, Shape, rewrite_insert};
use crate::sql::StandardStrings;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

/// IDs with common digits, so that they can overlap.
const IDS: [&str; 5] = [
    "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01",
    "9d3a7e54-5c2b-4f7c-8e21-0b6a5d4c3b02",
    "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb",
    "00000000-0000-0000-0000-001570184978",
    "e10001eb-6272-453a-bb43-3dcf0e765892",
];

type Pairs = Vec<(&'static str, &'static str)>;

fn rules(pairs: &Pairs) -> Rules {
    let id = |text: &str| text.parse::<InstanceId>().unwrap();
    Rules::new(pairs.iter().map(|(source, target)| (id(source), id(target))))
}

/// Any function from some of the IDs to the IDs: swaps, longer cycles, chains, merges, identities.
fn any_pairs() -> impl Strategy<Value = Pairs> {
    prop::collection::vec(prop::option::of(0..IDS.len()), IDS.len()).prop_map(|targets| {
        let pairs = IDS.iter().zip(targets);
        pairs.filter_map(|(source, target)| Some((*source, IDS[target?]))).collect()
    })
}

/// An ID in some case.
fn any_id() -> impl Strategy<Value = String> {
    (0..IDS.len(), 0..3).prop_map(|(id, case)| match case {
        0 => IDS[id].to_owned(),
        1 => IDS[id].to_uppercase(),
        _ => IDS[id].replacen(['b', 'e'], "E", 1),
    })
}

/// Replaces IDs in a decoded value, at each place from left to right.
fn replace(value: &str, pairs: &Pairs) -> (String, u64) {
    let targets: HashMap<&str, &str> =
        pairs.iter().copied().filter(|(source, target)| source != target).collect();
    let chars: Vec<char> = value.chars().collect();
    let is_inner =
        |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(char::is_ascii_alphanumeric);
    let (mut replaced, mut count, mut at) = (String::new(), 0, 0);
    while at < chars.len() {
        let text: String = chars.iter().skip(at).take(36).collect();
        match targets.get(text.to_ascii_lowercase().as_str()) {
            Some(target) if !is_inner(at.checked_sub(1)) && !is_inner(Some(at + 36)) => {
                let is_upper = text.chars().any(|char| char.is_ascii_uppercase());
                replaced += &if is_upper { target.to_uppercase() } else { (*target).to_owned() };
                count += 1;
                at += 36;
            }
            _ => {
                replaced.push(chars[at]);
                at += 1;
            }
        }
    }
    (replaced, count)
}

/// Values made of IDs and characters that may stand beside them.
fn any_value() -> impl Strategy<Value = String> {
    let beside = prop::sample::select(vec![
        "",
        "-",
        "_",
        " ",
        "0",
        "g",
        "Z",
        "\t",
        "\n",
        "\u{8}",
        "\\",
        "\\\\",
        "\\b",
        "\"",
        "/",
        "é",
        "😀",
        "\u{1}",
        "f",
        "bbbbbbbb-",
        "-bbbb",
        "{",
        "b",
        "\u{c}",
        "n",
        "u0041",
    ]);
    prop::collection::vec(prop_oneof![any_id(), beside.prop_map(str::to_owned)], 0..10)
        .prop_map(|parts| parts.concat())
}

fn rewrite(rules: &Rules, rule: ColumnRule, row: &[u8]) -> (Vec<u8>, u64) {
    let mut rewriter = RowRewriter::new(Arc::new(rules.clone()), vec![rule]);
    let mut rows = row.to_vec();
    rewriter.rewrite(&mut rows);
    (rows, rewriter.counts().iter().sum())
}

/// The characters for which COPY's escapes in `field` stand, each with the bytes that spell it.
fn copy_units(field: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut units = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        // As many bytes as the decoder reads for one byte. NULL is only a whole field; elsewhere it is a letter.
        let decode =
            |length: usize| decode_field(&rest[..length]).map_or(vec![b'N'], |value| value.into_owned());
        let length = (1..=rest.len().min(4)).rev().find(|&length| decode(length).len() == 1).unwrap();
        let value = decode(length);
        units.push((u32::from(value[0]), rest[..length].to_vec()));
        rest = &rest[length..];
    }
    units
}

/// The same for JSON with the characters `units`.
fn json_units(units: &[(u32, Vec<u8>)]) -> Vec<(u32, Vec<u8>)> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < units.len() {
        let next = &units[at..units.len().min(at + 6)];
        let letters: Vec<char> = next.iter().map(|(value, _)| char::from_u32(*value).unwrap()).collect();
        let (value, length) = match letters.as_slice() {
            ['\\', 'u', digits @ ..] if digits.len() == 4 && digits.iter().all(char::is_ascii_hexdigit) => {
                (u32::from_str_radix(&String::from_iter(digits), 16).unwrap(), 6)
            }
            ['\\', 'b' | 'f' | 'n' | 'r' | 't', ..] => (1, 2),
            ['\\', letter, ..] => (u32::from(*letter), 2),
            _ => (units[at].0, 1),
        };
        decoded.push((value, units[at..at + length].iter().flat_map(|(_, bytes)| bytes.clone()).collect()));
        at += length;
    }
    decoded
}

/// Replaces IDs in a field with any escapes, by its units. An ID's characters must stand for themselves.
fn replace_units(units: &[(u32, Vec<u8>)], pairs: &Pairs) -> (Vec<u8>, u64) {
    // A unit that is spelled by an escape becomes a character that is no digit of an ID, but an equivalent neighbour.
    let stand_in = |(value, bytes): &(u32, Vec<u8>)| match char::from_u32(*value).unwrap_or('\u{fffd}') {
        char if bytes.len() == 1 && char.is_ascii() => char,
        char if char.is_ascii_alphanumeric() => 'g',
        _ => '\u{fffd}',
    };
    let text: String = units.iter().map(stand_in).collect();
    let (replaced, count) = replace(&text, pairs);
    let bytes = units.iter().zip(replaced.chars()).flat_map(|((value, bytes), char)| {
        let unchanged = stand_in(&(*value, bytes.clone())) == char;
        if unchanged { bytes.clone() } else { vec![u8::try_from(char).unwrap()] }
    });
    (bytes.collect(), count)
}

/// Encoded fields, with escapes that the server never writes.
fn any_field() -> impl Strategy<Value = String> {
    let escape = prop::sample::select(vec![
        r"\",
        r"\\",
        r"\b",
        r"\t",
        r"\N",
        r"\q",
        r"\101",
        r"\0101",
        r"\011",
        r"\1",
        r"\x41",
        r"\x0a",
        r"\x4",
        r"\x",
        r"\\u0041",
        r"\\u000a",
        r"\\u00",
        r"\134",
        r"\\\\",
        r"\\ud83d",
        r"\\f",
        r"\\/",
        r"u0041",
        "f",
        "0",
        "-",
        " ",
        "é",
        r"\x5c",
        r"\\u003\061",
        "bbbbbbbb-bbbb-",
    ]);
    let part = prop_oneof![3 => any_id(), 4 => escape.prop_map(str::to_owned)];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// A bytea value in the server's form, in the hexadecimal or the escape format.
fn bytea_text(value: &[u8], is_hex: bool) -> String {
    if is_hex {
        return value.iter().fold(r"\x".to_owned(), |text, byte| text + &format!("{byte:02x}"));
    }
    let byte = |byte: &u8| match byte {
        b'\\' => r"\\".to_owned(),
        0x20..0x7f => char::from(*byte).to_string(),
        other => format!(r"\{other:03o}"),
    };
    value.iter().map(byte).collect()
}

/// A value in the quotes of an array or, with `double`, in those of a composite value.
fn quoted(value: &str, double: bool) -> String {
    let escape = |quote: char| if double { format!("{quote}{quote}") } else { format!("\\{quote}") };
    let char = |char: char| if matches!(char, '"' | '\\') { escape(char) } else { char.to_string() };
    format!("\"{}\"", value.chars().map(char).collect::<String>())
}

/// Checks that `text` becomes `expected` with this number of replacements, in COPY data and as a constant of an
/// INSERT statement. Also checks that the counter of leftovers agrees.
fn check_value(
    rules: &Rules,
    rule: &ColumnRule,
    text: &str,
    expected: (&str, u64),
) -> Result<(), TestCaseError> {
    let row = |text: &str| {
        let mut row = Vec::new();
        encode_row([Some(text.as_bytes()), Some(text.as_bytes())], &mut row);
        String::from_utf8(row).unwrap()
    };
    let mut rewriter = RowRewriter::new(Arc::new(rules.clone()), vec![rule.clone(), rule.clone()]);
    let mut rows = row(text).into_bytes();
    rewriter.rewrite(&mut rows);
    prop_assert_eq!(String::from_utf8(rows.clone()).unwrap(), row(expected.0));
    prop_assert_eq!(rewriter.counts(), [expected.1, expected.1]);
    let columns = [rule.clone(), rule.clone()];
    let mut leftovers = LeftoverCounter::new(rules, columns.to_vec());
    prop_assert_eq!(leftovers.count(&rows), 0);
    for strings in [StandardStrings::On, StandardStrings::Off] {
        let backslash = if strings == StandardStrings::On { r"\" } else { r"\\" };
        let literal = |text: &str| format!("'{}'", text.replace('\'', "''").replace('\\', backslash));
        let insert = |text: &str| format!("INSERT INTO t VALUES (NULL, {0}), ({0}, 1);", literal(text));
        let sql = insert(text);
        let rewritten = rewrite_insert(&sql, rules, &columns, strings).unwrap();
        prop_assert_eq!(&*rewritten.sql, insert(expected.0));
        prop_assert_eq!(rewritten.counts, [expected.1, expected.1]);
        prop_assert_eq!(leftovers.count_insert(&rewritten.sql, &columns, strings), 0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn values_of_rows(values in prop::collection::vec(any_value(), 1..4), pairs in any_pairs()) {
        let rules = rules(&pairs);
        let mut row = Vec::new();
        encode_row(values.iter().map(|value| Some(value.as_bytes())), &mut row);
        let expected: Vec<(String, u64)> = values.iter().map(|value| replace(value, &pairs)).collect();

        let (rewritten, count) = rewrite(&rules, ColumnRule::Text, &row);
        let decoded: Vec<String> = fields(&rewritten)
            .map(|field| String::from_utf8(decode_field(field).unwrap().into_owned()).unwrap())
            .collect();
        prop_assert_eq!(&decoded, &expected.iter().map(|(value, _)| value.clone()).collect::<Vec<_>>());
        prop_assert_eq!(count, expected.iter().map(|(_, count)| count).sum::<u64>());

        let mut leftover = LeftoverCounter::new(&rules, vec![]);
        prop_assert_eq!(leftover.count(&rewritten), 0);
        let gone: Pairs = pairs.iter().copied().filter(|(source, _)| pairs.iter().all(|(_, target)| source != target)).collect();
        let to_count = gone.iter().map(|(source, _)| (*source, "ffffffff-ffff-ffff-ffff-ffffffffffff")).collect();
        let present: u64 = values.iter().map(|value| replace(value, &to_count).1).sum();
        prop_assert_eq!(leftover.count(&row), present);
        prop_assert_eq!(leftover.total(), present);
    }

    #[test]
    fn values_of_json(value in any_value(), pairs in any_pairs()) {
        let rules = rules(&pairs);
        let mut row = Vec::new();
        encode_row([Some(serde_json::to_vec(&serde_json::json!({"k": [value]})).unwrap().as_slice())], &mut row);
        let (rewritten, count) = rewrite(&rules, ColumnRule::Json, &row);
        let json = decode_field(fields(&rewritten).next().unwrap()).unwrap().into_owned();
        let (expected, expected_count) = replace(&value, &pairs);
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&json).unwrap(), serde_json::json!({"k": [expected]}));
        prop_assert_eq!(count, expected_count);
        prop_assert_eq!(LeftoverCounter::new(&rules, vec![ColumnRule::Json]).count(&rewritten), 0);
    }

    #[test]
    fn fields_with_any_escapes(field in any_field(), pairs in any_pairs(), json in any::<bool>()) {
        let rules = rules(&pairs);
        let units = copy_units(field.as_bytes());
        let units = if json { json_units(&units) } else { units };
        let (expected, expected_count) = replace_units(&units, &pairs);
        let rule = if json { ColumnRule::Json } else { ColumnRule::Text };
        let (rewritten, count) = rewrite(&rules, rule.clone(), field.as_bytes());
        prop_assert_eq!(String::from_utf8_lossy(&rewritten), String::from_utf8_lossy(&expected));
        prop_assert_eq!(count, expected_count);
        prop_assert_eq!(LeftoverCounter::new(&rules, vec![rule]).count(&rewritten), 0);
    }

    #[test]
    fn values_of_bytea(value in any_value(), pairs in any_pairs(), is_hex in any::<bool>()) {
        let rules = rules(&pairs);
        let (replaced, count) = replace(&value, &pairs);
        let text = bytea_text(value.as_bytes(), is_hex);
        let replaced = bytea_text(replaced.as_bytes(), is_hex);
        check_value(&rules, &ColumnRule::Bytea(BinaryRule::Rewrite), &text, (&replaced, count))?;
        check_value(&rules, &ColumnRule::Bytea(BinaryRule::Report), &text, (&text, 0))?;
        let mut rewriter = RowRewriter::new(Arc::new(rules), vec![ColumnRule::Bytea(BinaryRule::Report)]);
        let mut row = Vec::new();
        encode_row([Some(text.as_bytes())], &mut row);
        rewriter.rewrite(&mut row);
        prop_assert_eq!(rewriter.left(), [count]);
    }

    #[test]
    fn values_in_containers(values in prop::collection::vec(any_value(), 3), pairs in any_pairs()) {
        let rules = rules(&pairs);
        let shape = Shape::Array(Box::new(Shape::Record(vec![Shape::Json, Shape::Text, Shape::Bytea])));
        let parts = |values: &[String]| {
            let json = serde_json::json!({"k": [values[0]]}).to_string();
            [json, values[1].clone(), bytea_text(values[2].as_bytes(), true)]
        };
        let container = |[json, text, bytea]: &[String; 3]| {
            let record = format!("({},{},{})", quoted(json, true), quoted(text, true), quoted(bytea, true));
            format!("{{{},NULL}}", quoted(&record, false))
        };
        let replaced: Vec<(String, u64)> = values.iter().map(|value| replace(value, &pairs)).collect();
        let count = replaced.iter().map(|(_, count)| count).sum::<u64>();
        let texts: Vec<String> = replaced.iter().map(|(value, _)| value.clone()).collect();
        let expected = container(&parts(&texts));
        let rule = |binary| ColumnRule::Nested(Arc::new(shape.clone()), binary);
        let text = container(&parts(&values));
        check_value(&rules, &rule(BinaryRule::Rewrite), &text, (&expected, count))?;
        let texts = [texts[0].clone(), texts[1].clone(), values[2].clone()];
        let expected = container(&parts(&texts));
        check_value(&rules, &rule(BinaryRule::Leave), &text, (&expected, count - replaced[2].1))?;
        check_value(&rules, &rule(BinaryRule::Report), &text, (&expected, count - replaced[2].1))?;
    }
}
