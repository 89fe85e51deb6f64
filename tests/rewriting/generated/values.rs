//! Values of each type, made of IDs and of their possible neighbours.

use super::types::Type;
use crate::support::random::Random;

/// Neighbours of IDs in text: characters that COPY and JSON escape, texts that resemble an escape, letters of one or
/// more bytes, parts of IDs.
const BESIDE: &[&str] = &[
    "",
    "",
    "-",
    "_",
    " ",
    "0",
    "a",
    "f",
    "g",
    "Z",
    "9",
    "x-",
    "\t",
    "\n",
    "\r",
    "\u{8}",
    "\u{b}",
    "\u{c}",
    "\\",
    "\\\\",
    "\\b",
    "\\n",
    "\\t",
    "\\x41",
    "\\101",
    "\\u0041",
    "\\u000a",
    "\\N",
    "\\.",
    "\"",
    "'",
    "''",
    "/",
    "=",
    ".",
    ",",
    ":",
    ";",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "é",
    "ß",
    "漢",
    "😀",
    "\u{1}",
    "bbbbbbbb-",
    "-bbbb",
    "bbbb-bbbb-",
    "00000000-0000-",
    "%",
    "$1",
];

/// The same inside a JSON string, as JSON spells it.
const BESIDE_IN_JSON: &[&str] = &[
    "",
    "",
    "-",
    "_",
    " ",
    "0",
    "a",
    "f",
    "g",
    "Z",
    "9",
    "x-",
    "\\t",
    "\\n",
    "\\r",
    "\\b",
    "\\f",
    "\\\\",
    "\\\\b",
    "\\\\n",
    "\\\\\\n",
    "\\\\u0041",
    "\\u0041",
    "\\u0030",
    "\\u000a",
    "\\u00e9",
    "\\u005a",
    "\\ud83d\\ude00",
    "\\\"",
    "\\/",
    "'",
    "/",
    "{",
    "}",
    ":",
    ",",
    "é",
    "漢",
    "😀",
    "bbbbbbbb-",
    "-bbbb",
    "u0041",
    "n",
];

/// The same in XML: no control characters, markup spelled as entities.
const BESIDE_IN_XML: &[&str] = &[
    "", "-", "_", " ", "0", "f", "g", "Z", "\t", "\n", "\\", "\\b", "\"", "'", "é", "😀", "&amp;", "&#65;",
    "&lt;", "/", "{",
];

/// Makes values from these IDs.
pub(super) struct Values<'a> {
    pub(super) random: Random,
    /// Mapped IDs, their aliases, and IDs that are not mapped, in lower case.
    pub(super) ids: &'a [String],
    /// The labels of enums.
    pub(super) labels: &'a [String],
    /// Numbers, some of which are aliases.
    pub(super) numbers: &'a [String],
}

impl Values<'_> {
    /// A value as the server reads it; `None` for NULL.
    pub(super) fn of(&mut self, kind: &Type) -> Option<String> {
        if self.random.once_in(25) {
            return None;
        }
        Some(match kind {
            Type::Uuid => self.any_id(),
            Type::Text | Type::Varchar => self.long_text(),
            Type::Char => self.text(BESIDE),
            Type::Alias => self.random.pick(self.numbers).clone(),
            Type::Json | Type::Jsonb => self.json(),
            Type::Xml => self.xml(),
            Type::Hstore => self.hstore(),
            Type::Bytea => format!("\\x{}", hex(self.text(BESIDE).as_bytes())),
            Type::Enum => self.random.pick(self.labels).clone(),
            Type::Domain(base) => return self.of(base),
            Type::Array(element) => self.array(element),
            Type::Record(attributes) => {
                let values: Vec<_> = attributes.iter().map(|kind| self.of(kind)).collect();
                let quoted = values.iter().map(|value| value.as_deref().map(quoted).unwrap_or_default());
                format!("({})", quoted.collect::<Vec<_>>().join(","))
            }
            Type::Range(bound) => self.range(bound),
            Type::Multirange(bound) => format!("{{{}}}", self.range(bound)),
        })
    }

    /// An ID, or a text that resembles one.
    fn any_id(&mut self) -> String {
        let id = if self.random.once_in(6) { self.random.uuid() } else { self.random.pick(self.ids).clone() };
        match self.random.below(5) {
            0 => id.to_uppercase(),
            1 => {
                let letter = char::from(*self.random.pick(b"abcdef"));
                id.replacen(letter, &letter.to_uppercase().to_string(), 1)
            }
            _ => id,
        }
    }

    fn text(&mut self, beside: &[&str]) -> String {
        let mut text = String::new();
        for _ in 0..1 + usize::from(self.random.once_in(3)) {
            let part = match self.random.below(12) {
                0 => self.any_id().replace('-', ""),
                1 => self.any_id().chars().take(35).collect(),
                2 => format!("{{{}}}", self.any_id()),
                _ => self.any_id(),
            };
            text.push_str(self.random.pick::<&str>(beside));
            text += &part;
            text.push_str(self.random.pick::<&str>(beside));
        }
        text
    }

    /// Text. It is sometimes longer than the part of an archive that pgmig reads at once.
    fn long_text(&mut self) -> String {
        let text = self.text(BESIDE);
        if self.random.once_in(20_000) { text.repeat(2_000) } else { text }
    }

    fn json(&mut self) -> String {
        let one = self.text(BESIDE_IN_JSON);
        match self.random.below(5) {
            0 => format!("\"{one}\""),
            1 => format!("{{\"{one}\": 17}}"),
            2 => format!("[\"{one}\", {{\"k\": null}}, true]"),
            3 => format!("{{\"{one}\":\"x\",\"b\" : [\"{}\"]}}", self.text(BESIDE_IN_JSON)),
            _ => format!("{{\"a\": \"x\", \"b\": {{\"{one}\": \"{}\"}}}}", self.text(BESIDE_IN_JSON)),
        }
    }

    fn xml(&mut self) -> String {
        let (attribute, text) = (self.any_id(), self.text(BESIDE_IN_XML));
        format!("<a id=\"x-{attribute}\">{text}</a>")
    }

    fn hstore(&mut self) -> String {
        let pair = |key: &str, value: &str| format!("{}=>{}", quoted(key), quoted(value));
        let [key, value] = [0; 2].map(|_| self.text(BESIDE));
        format!("{}, {}", pair(&key, "x"), pair("k", &value))
    }

    /// An array of one or two dimensions.
    fn array(&mut self, element: &Type) -> String {
        let form = self.random.below(8);
        let mut row = |length: usize| {
            let values: Vec<_> = (0..length).map(|_| self.of(element)).collect();
            let text = |value: &Option<String>| value.as_deref().map_or_else(|| "NULL".to_owned(), quoted);
            format!("{{{}}}", values.iter().map(text).collect::<Vec<_>>().join(","))
        };
        let one = row(2);
        match form {
            0 => "{}".to_owned(),
            1 => format!("{{{one},{}}}", row(2)),
            2 => format!("[0:1]={one}"),
            _ => one,
        }
    }

    /// A range whose bounds stay in order after the replacement.
    fn range(&mut self, bound: &Type) -> String {
        let value = self.of(bound).unwrap_or_default();
        let value = if value.is_empty() { String::new() } else { quoted(&value) };
        match self.random.below(4) {
            0 if !value.is_empty() => format!("[{value},{value}]"),
            1 => format!("[{value},)"),
            2 => format!("(,{value}]"),
            _ => "empty".to_owned(),
        }
    }
}

/// In the quotes of arrays, composite values, ranges and hstore. All of them escape by a backslash.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A row in the form that `COPY FROM` reads.
pub(super) fn copy_row(values: &[Option<String>]) -> String {
    let field = |value: &Option<String>| match value {
        None => "\\N".to_owned(),
        Some(value) => {
            value.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
        }
    };
    values.iter().map(field).collect::<Vec<_>>().join("\t") + "\n"
}
