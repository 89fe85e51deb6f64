//! JSON with a value that no Rust type holds: that value must not cost the whole list of instances.

/// How deep values may lie in each other; `serde_json` refuses more than 127 levels.
const DEEPEST: usize = 64;

/// The escape of U+FFFD, the replacement character.
const NO_CHARACTER: &str = "\\ufffd";

/// The text with every such value replaced: numbers out of range and values that lie too deep by `null`, escapes and bytes
/// that are no characters by U+FFFD. A text that is not JSON stays so.
pub(super) fn holdable(body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let (mut rest, mut depth) = (body.as_ref(), 0_usize);
    let mut text = String::with_capacity(rest.len());
    while let Some(first) = rest.chars().next() {
        let (length, replacement) = match first {
            '"' => {
                let length = string_length(rest);
                (length, Some(characters(rest.get(..length).unwrap_or_default())))
            }
            '-' | '0'..='9' => {
                let length = rest.find(|c| !is_of_number(c)).unwrap_or(rest.len());
                let number = rest.get(..length).and_then(|number| number.parse::<f64>().ok());
                (length, number.filter(|number| number.is_infinite()).map(|_| "null".to_owned()))
            }
            '[' | '{' => {
                depth = depth.saturating_add(1);
                (1, (depth == DEEPEST.saturating_add(1)).then(|| "null".to_owned()))
            }
            _ => (first.len_utf8(), None),
        };
        let is_kept = depth <= DEEPEST || (replacement.is_some() && matches!(first, '[' | '{'));
        let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if is_kept {
            text.push_str(replacement.as_deref().unwrap_or(piece));
        }
        if matches!(first, ']' | '}') {
            depth = depth.saturating_sub(1);
        }
        rest = after;
    }
    text
}

fn is_of_number(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E')
}

/// The bytes of the string that `text` begins with, its quotes included; all, where it does not end.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end.saturating_add(2))
}

/// A string whose escapes all stand for characters.
fn characters(string: &str) -> String {
    let mut text = String::with_capacity(string.len());
    let mut rest = string;
    while let Some(c) = rest.chars().next() {
        let escape = rest.strip_prefix("\\u").and_then(hex);
        let (length, is_character) = match escape {
            Some(0xd800..=0xdbff) => {
                let low = rest.get(6..).and_then(|rest| rest.strip_prefix("\\u")).and_then(hex);
                if low.is_some_and(|low| (0xdc00..=0xdfff).contains(&low)) { (12, true) } else { (6, false) }
            }
            Some(0xdc00..=0xdfff) => (6, false),
            Some(_) => (6, true),
            None if c == '\\' => (rest.chars().take(2).map(char::len_utf8).sum(), true),
            None => (c.len_utf8(), c >= ' '),
        };
        let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        text.push_str(if is_character { piece } else { NO_CHARACTER });
        rest = after;
    }
    text
}

/// The number that `text` begins with, in four hexadecimal digits.
fn hex(text: &str) -> Option<u32> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(body: &[u8]) -> Value {
        serde_json::from_str(&holdable(body)).unwrap()
    }

    #[test]
    fn one_value_that_cannot_be_held_leaves_the_others() {
        for (value, expected) in [
            ("1e400", Value::Null),
            ("-1e400", Value::Null),
            (&"9".repeat(400), Value::Null),
            ("1.5e-400", json!(0.0)),
            (r#""a\ud800b""#, json!("a\u{fffd}b")),
            (r#""\udc00\ud83d\ude00\ud83d""#, json!("\u{fffd}\u{1f600}\u{fffd}")),
            (r#""a\\ud800""#, json!("a\\ud800")),
            ("\"a\nb\"", json!("a\u{fffd}b")),
            (r#""\"1e400\"[""#, json!("\"1e400\"[")),
        ] {
            let body = format!(r#"{{"id": 1, "x": {value}, "y": [{value}]}}"#);
            assert_eq!(read(body.as_bytes()), json!({"id": 1, "x": expected, "y": [expected]}), "{body}");
        }
        assert_eq!(read(b"{\"id\": 1, \"x\": \"a\xffb\"}"), json!({"id": 1, "x": "a\u{fffd}b"}));
        let deep = format!(r#"{{"id": 1, "x": {}"a"{}, "y": 2}}"#, "[".repeat(10_000), "]".repeat(10_000));
        let found = read(deep.as_bytes());
        assert_eq!((found.get("id"), found.get("y")), (Some(&json!(1)), Some(&json!(2))));
    }

    proptest! {
        #[test]
        fn what_can_be_held_stays(text in r#"[\[\]{}":,0-9a\\u"e.\-]{0,30}"#) {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(serde_json::from_str::<Value>(&holdable(text.as_bytes())).unwrap(), value);
            }
        }
    }
}
