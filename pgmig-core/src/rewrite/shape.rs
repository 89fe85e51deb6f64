//! The shape of a column's values.

use super::border::Unit;

/// The shape of a column's values, as far as rewriting depends on it: which parts of the text are JSON or bytea, and
/// how they are quoted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Shape {
    /// Text without JSON or bytea, such as hstore, xml, tsvector. Every character stands for itself, or is quoted by
    /// characters that are borders of an ID anyway: `{"a\"b"}` of `text[]`.
    #[default]
    Text,
    /// json, jsonb, or a domain over them.
    Json,
    /// bytea, or a domain over it.
    Bytea,
    /// An array of values of this shape.
    Array(Box<Shape>),
    /// A composite type with these attributes.
    Record(Vec<Shape>),
    /// A range over values of this shape.
    Range(Box<Shape>),
    /// A multirange over values of this shape.
    Multirange(Box<Shape>),
}

impl Shape {
    /// The same shape, in which containers of text alone are replaced by text.
    #[must_use]
    pub fn simplified(self) -> Self {
        match self {
            Shape::Array(inner) => Self::around(inner.simplified(), Shape::Array),
            Shape::Range(inner) => Self::around(inner.simplified(), Shape::Range),
            Shape::Multirange(inner) => Self::around(inner.simplified(), Shape::Multirange),
            Shape::Record(attributes) => {
                let attributes: Vec<Shape> = attributes.into_iter().map(Shape::simplified).collect();
                let is_text = attributes.iter().all(|shape| *shape == Shape::Text);
                if is_text { Shape::Text } else { Shape::Record(attributes) }
            }
            leaf => leaf,
        }
    }

    /// Whether it contains bytea.
    pub fn has_bytea(&self) -> bool {
        match self {
            Shape::Text | Shape::Json => false,
            Shape::Bytea => true,
            Shape::Array(inner) | Shape::Range(inner) | Shape::Multirange(inner) => inner.has_bytea(),
            Shape::Record(attributes) => attributes.iter().any(Shape::has_bytea),
        }
    }

    fn around(inner: Shape, container: fn(Box<Shape>) -> Shape) -> Self {
        if inner == Shape::Text { Shape::Text } else { container(Box::new(inner)) }
    }
}

/// A part of a value that is not in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) kind: LeafKind,
    /// The characters, or bytes of characters, and the places in the value's text where they are spelled.
    pub(super) units: Vec<Unit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeafKind {
    Text,
    Json,
    Bytea,
}

/// The leaves of a value of this shape.
pub(super) fn leaves(value: &[Unit], shape: &Shape) -> Vec<Leaf> {
    let mut found = Vec::new();
    collect(value, shape, &mut found);
    found
}

/// Types cannot contain themselves, so the recursion ends.
fn collect(value: &[Unit], shape: &Shape, found: &mut Vec<Leaf>) {
    let mut leaf = |kind| found.push(Leaf { kind, units: value.to_vec() });
    match shape {
        Shape::Text => leaf(LeafKind::Text),
        Shape::Json => leaf(LeafKind::Json),
        Shape::Bytea => leaf(LeafKind::Bytea),
        Shape::Array(inner) => {
            elements(value).iter().for_each(|element| collect(element, inner, found));
        }
        Shape::Record(attributes) => {
            for (attribute, shape) in parts(inside(value)).iter().zip(attributes) {
                collect(attribute, shape, found);
            }
        }
        Shape::Range(inner) => {
            // `empty` has no bounds; the characters that are cut out of the word contain no ID.
            parts(inside(value)).iter().for_each(|bound| collect(bound, inner, found));
        }
        Shape::Multirange(inner) => {
            ranges(value).iter().for_each(|range| collect(range, inner, found));
        }
    }
}

fn byte(unit: &Unit) -> u8 {
    u8::try_from(unit.value).unwrap_or(0xff)
}

/// The value without its first and last character, which are brackets.
fn inside(value: &[Unit]) -> &[Unit] {
    value.get(1..value.len().saturating_sub(1)).unwrap_or_default()
}

/// The attributes of a composite value, or the bounds of a range, without quotes. Commas separate them. A doubled
/// quote inside quotes stands for a quote, and a character after a backslash for itself. See the manual, "Composite
/// Type Input and Output Syntax" and "Range Input/Output".
fn parts(value: &[Unit]) -> Vec<Vec<Unit>> {
    let mut parts = vec![Vec::new()];
    let mut push = |unit: Option<Unit>| match (unit, parts.last_mut()) {
        (Some(unit), Some(part)) => part.push(unit),
        _ => parts.push(Vec::new()),
    };
    let mut is_quoted = false;
    let mut units = value.iter().peekable();
    while let Some(unit) = units.next() {
        match byte(unit) {
            b'\\' => push(units.next().map(|escaped| Unit { start: unit.start, ..*escaped }).or(Some(*unit))),
            b'"' if is_quoted && units.peek().is_some_and(|next| byte(next) == b'"') => {
                push(units.next().map(|second| Unit { start: unit.start, ..*second }));
            }
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => push(None),
            _ => push(Some(*unit)),
        }
    }
    parts
}

/// The elements of an array with any number of dimensions, without quotes (the manual, "Array Input and Output
/// Syntax"). A NULL is read as the text NULL, which contains no ID.
fn elements(value: &[Unit]) -> Vec<Vec<Unit>> {
    // `[0:1]={...}` has bounds that do not begin with 1.
    let start = value.iter().position(|unit| byte(unit) == b'{').unwrap_or(value.len());
    let mut elements = Vec::new();
    let mut element = Vec::new();
    let mut is_quoted = false;
    let mut units = value.get(start..).unwrap_or_default().iter();
    while let Some(unit) = units.next() {
        match byte(unit) {
            b'\\' => {
                element.push(units.next().map_or(*unit, |escaped| Unit { start: unit.start, ..*escaped }));
            }
            b'"' => is_quoted = !is_quoted,
            b'{' | b'}' | b',' if !is_quoted => {
                if !element.is_empty() {
                    elements.push(std::mem::take(&mut element));
                }
            }
            _ => element.push(*unit),
        }
    }
    elements
}

/// The ranges of a multirange, with their brackets and quotes (the manual, "Range Input/Output").
fn ranges(value: &[Unit]) -> Vec<&[Unit]> {
    let mut ranges = Vec::new();
    let (mut is_quoted, mut is_escaped, mut start) = (false, false, None);
    for (at, unit) in value.iter().enumerate() {
        match byte(unit) {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'[' | b'(' if !is_quoted => start = Some(at),
            b']' | b')' if !is_quoted => {
                let range = start.take().and_then(|start| value.get(start..=at));
                ranges.extend(range);
            }
            _ => {}
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::super::border::{Encoding, units};
    use super::*;

    fn cut(text: &str, shape: &Shape) -> Vec<String> {
        let units = units(text.as_bytes(), Encoding::Verbatim);
        let text = |leaf: &Leaf| leaf.units.iter().map(|unit| char::from(byte(unit))).collect();
        leaves(&units, shape).iter().map(text).collect()
    }

    fn array(inner: Shape) -> Shape {
        Shape::Array(Box::new(inner))
    }

    #[test]
    fn cuts_containers() {
        let range = || Shape::Range(Box::new(Shape::Json));
        for (text, shape, expected) in [
            (r#"{a,"b \"c\" \\ {,}",NULL,""}"#, array(Shape::Json), vec!["a", r#"b "c" \ {,}"#, "NULL"]),
            (r"[2:3][0:0]={{a},{b}}", array(Shape::Json), vec!["a", "b"]),
            ("{}", array(Shape::Json), vec![]),
            (
                r#"(a,"b,""c"" \\",,\,)"#,
                Shape::Record(vec![Shape::Json; 4]),
                vec!["a", r#"b,"c" \"#, "", ","],
            ),
            (
                r#"("{""{\\""a\\"": 1}"",x}",\\x41)"#,
                Shape::Record(vec![array(Shape::Json), Shape::Bytea]),
                vec![r#"{"a": 1}"#, "x", r"\x41"],
            ),
            (r#"{"(\"x\"\"\",1)"}"#, array(Shape::Record(vec![Shape::Json, Shape::Text])), vec!["x\"", "1"]),
            (r#"["a,]",)"#, range(), vec!["a,]", ""]),
            ("empty", range(), vec!["mpt"]),
            (
                r#"{["a)\"",b),(c,"]""")}"#,
                Shape::Multirange(Box::new(range())),
                vec!["a)\"", "b", "c", "]\""],
            ),
        ] {
            assert_eq!(cut(text, &shape), expected, "{text}");
        }
    }

    #[test]
    fn keeps_where_characters_are_spelled() {
        let text = r#"{"\"a"}"#;
        let leaves = leaves(&units(text.as_bytes(), Encoding::Verbatim), &array(Shape::Json));
        let spans: Vec<_> =
            leaves.iter().flat_map(|leaf| &leaf.units).map(|unit| unit.start..unit.end).collect();
        assert_eq!(spans, [2..4, 4..5]);
    }

    #[test]
    fn containers_of_text_are_text() {
        let text = array(Shape::Record(vec![Shape::Text, array(Shape::Text)]));
        assert_eq!(text.simplified(), Shape::Text);
        let mixed = Shape::Record(vec![array(Shape::Text), Shape::Range(Box::new(Shape::Bytea))]);
        assert!(mixed.has_bytea());
        assert_eq!(
            mixed.simplified(),
            Shape::Record(vec![Shape::Text, Shape::Range(Box::new(Shape::Bytea))])
        );
    }
}
