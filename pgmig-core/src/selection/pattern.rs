//! Patterns for names, as pg_dump and psql read them.

use super::SelectionError;
use std::collections::BTreeSet;
use std::fmt;
use std::iter::Peekable;
use std::str::{Chars, FromStr};

/// A pattern for one name. `*` stands for any characters and `?` for one; other letters are folded to lower case. Of regular
/// expressions, `[a-z]`, `(a|b)` and `+` are read. In double quotes every character stands for itself, and two quotes for one.
///
/// ```
/// use pgmig_core::selection::Pattern;
/// let pattern: Pattern = "Audit_*".parse()?;
/// assert!(pattern.matches("audit_2024") && !pattern.matches("Audit_2024"));
/// # Ok::<(), pgmig_core::selection::SelectionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Char(char),
    AnyChar,
    AnyChars,
    /// One of these ranges of characters, or none of them.
    Class {
        is_negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// One of these alternatives.
    Group(Vec<Vec<Part>>),
    /// The part, once or more.
    Repeated(Box<Part>),
}

/// A pattern for a table's name: `name`, in whatever schema, or `schema.name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePattern {
    schema: Option<Pattern>,
    name: Pattern,
}

impl Pattern {
    /// Whether the pattern matches the whole name.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        ends(&self.parts, &name, BTreeSet::from([0])).contains(&name.len())
    }

    /// Whether the pattern matches one name only.
    pub fn is_exact(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Char(_)))
    }

    /// Parses the parts of a name that dots separate.
    fn split(text: &str) -> Result<Vec<Self>, SelectionError> {
        let refuse = |problem| SelectionError::Pattern { pattern: text.to_owned(), problem };
        let mut parser = Parser { chars: text.chars().peekable(), text: String::new() };
        let mut names = Vec::new();
        loop {
            let parts = parser.alternatives(0).map_err(refuse)?;
            let end = parser.chars.next();
            names.push(Self { text: std::mem::take(&mut parser.text), parts });
            match end {
                None => break,
                Some('.') => {}
                Some(_) => return Err(refuse("a parenthesis is not opened")),
            }
        }
        if names.iter().any(|name| name.parts.is_empty()) {
            return Err(refuse("a name is empty"));
        }
        Ok(names)
    }
}

/// The places in a name at which a match of these parts can end, if it begins at one of these places.
fn ends(parts: &[Part], name: &[char], starts: BTreeSet<usize>) -> BTreeSet<usize> {
    parts.iter().fold(starts, |starts, part| ends_of(part, name, &starts))
}

fn ends_of(part: &Part, name: &[char], starts: &BTreeSet<usize>) -> BTreeSet<usize> {
    let one = |accepts: &dyn Fn(char) -> bool| -> BTreeSet<usize> {
        let is_accepted = |at: &&usize| name.get(**at).is_some_and(|char| accepts(*char));
        starts.iter().filter(is_accepted).map(|at| at + 1).collect()
    };
    match part {
        Part::Char(wanted) => one(&|char| char == *wanted),
        Part::AnyChar => one(&|_| true),
        Part::AnyChars => starts.first().map(|first| (*first..=name.len()).collect()).unwrap_or_default(),
        Part::Class { is_negated, ranges } => {
            one(&|char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&char)) != *is_negated)
        }
        Part::Group(alternatives) => {
            alternatives.iter().flat_map(|parts| ends(parts, name, starts.clone())).collect()
        }
        Part::Repeated(part) => {
            let mut all = ends_of(part, name, starts);
            loop {
                let before = all.len();
                let more = ends_of(part, name, &all);
                all.extend(more);
                if all.len() == before {
                    return all;
                }
            }
        }
    }
}

/// Reads one name of a pattern.
struct Parser<'t> {
    chars: Peekable<Chars<'t>>,
    /// The characters that were read.
    text: String,
}

impl Parser<'_> {
    /// Groups may not be nested deeper.
    const DEEPEST: usize = 20;

    fn next(&mut self) -> Option<char> {
        let char = self.chars.next()?;
        self.text.push(char);
        Some(char)
    }

    /// Alternatives that `|` separates, up to a dot or a closing parenthesis.
    fn alternatives(&mut self, depth: usize) -> Result<Vec<Part>, &'static str> {
        let mut first = self.sequence(depth)?;
        let mut others = Vec::new();
        while self.chars.peek() == Some(&'|') {
            self.next();
            others.push(self.sequence(depth)?);
        }
        if others.is_empty() {
            return Ok(first);
        }
        others.insert(0, std::mem::take(&mut first));
        match others.iter().any(Vec::is_empty) {
            true => Err("an alternative is empty"),
            false => Ok(vec![Part::Group(others)]),
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Part>, &'static str> {
        let mut parts = Vec::new();
        while let Some(char) = self.chars.peek().copied() {
            if matches!(char, '.' | '|' | ')') {
                break;
            }
            self.next();
            match char {
                '"' => self.quoted(&mut parts)?,
                '*' => parts.push(Part::AnyChars),
                '?' => parts.push(Part::AnyChar),
                '[' => parts.push(self.class()?),
                '(' if depth < Self::DEEPEST => {
                    let group = self.alternatives(depth + 1)?;
                    if self.next() != Some(')') {
                        return Err("a parenthesis is not closed");
                    }
                    parts.push(Part::Group(vec![group]));
                }
                '+' => match parts.pop() {
                    Some(part) => parts.push(Part::Repeated(Box::new(part))),
                    None => return Err("nothing comes before +"),
                },
                '(' | ']' | '{' | '}' | '^' | '\\' => {
                    return Err(
                        "of regular expressions only * ? + | ( ) and [...] are read; put the name in double quotes",
                    );
                }
                _ => parts.push(Part::Char(char.to_ascii_lowercase())),
            }
        }
        Ok(parts)
    }

    /// The rest of a name in double quotes.
    fn quoted(&mut self, parts: &mut Vec<Part>) -> Result<(), &'static str> {
        loop {
            match self.next() {
                Some('"') if self.chars.peek() == Some(&'"') => {
                    self.next();
                    parts.push(Part::Char('"'));
                }
                Some('"') => return Ok(()),
                Some(char) => parts.push(Part::Char(char)),
                None => return Err("a double quote is not closed"),
            }
        }
    }

    /// The rest of `[...]`.
    fn class(&mut self) -> Result<Part, &'static str> {
        const NOT_CLOSED: &str = "a bracket is not closed";
        let is_negated = self.chars.peek() == Some(&'^');
        if is_negated {
            self.next();
        }
        let mut ranges = Vec::new();
        loop {
            let from = self.next().ok_or(NOT_CLOSED)?.to_ascii_lowercase();
            if from == ']' && !ranges.is_empty() {
                return Ok(Part::Class { is_negated, ranges });
            }
            let mut to = from;
            if self.chars.peek() == Some(&'-') {
                self.next();
                match self.chars.peek() {
                    Some(']') | None => ranges.push(('-', '-')),
                    Some(_) => to = self.next().ok_or(NOT_CLOSED)?.to_ascii_lowercase(),
                }
            }
            ranges.push((from, to));
        }
    }
}

impl TablePattern {
    /// Whether the pattern matches a table of this name in this schema.
    pub fn matches(&self, schema: &str, name: &str) -> bool {
        self.name.matches(name) && self.schema.as_ref().is_none_or(|pattern| pattern.matches(schema))
    }

    /// Whether the pattern has no wildcards.
    pub fn is_exact(&self) -> bool {
        self.name.is_exact() && self.schema.as_ref().is_none_or(Pattern::is_exact)
    }
}

impl FromStr for Pattern {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let mut names = Self::split(text)?;
        match (names.pop(), names.is_empty()) {
            (Some(name), true) => Ok(name),
            _ => Err(SelectionError::Pattern {
                pattern: text.to_owned(),
                problem: "it has a dot; put the name in double quotes",
            }),
        }
    }
}

impl FromStr for TablePattern {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let mut names = Pattern::split(text)?;
        let (name, schema) = (names.pop(), names.pop());
        match name {
            Some(name) if names.is_empty() => Ok(Self { schema, name }),
            _ => Err(SelectionError::Pattern {
                pattern: text.to_owned(),
                problem: "expected schema.name, or a name",
            }),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for TablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        self.name.fmt(f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_pg_dump() {
        for (pattern, matching, others) in [
            ("tenant", &["tenant"][..], &["Tenant", "tenants", ""][..]),
            ("TENANT", &["tenant"], &["TENANT"]),
            ("\"Tenant\"", &["Tenant"], &["tenant"]),
            ("a*", &["a", "ab", "a.b", "a*"], &["ba", ""]),
            ("*", &["", "x"], &[]),
            ("*a*b", &["ab", "xaxb", "abab"], &["aba", "b"]),
            ("a?c", &["abc", "äc".replace('ä', "aä").as_str(), "a?c"], &["ac", "abbc"]),
            ("\"a*\"", &["a*"], &["ab"]),
            ("\"a\"*", &["a", "ab"], &["A"]),
            ("\"a\"\"b\"", &["a\"b"], &["ab"]),
            ("FOO\"FOO\"", &["fooFOO"], &["foofoo", "FOOFOO"]),
            ("Ärger", &["Ärger"], &["ärger"]),
            ("pg$temp", &["pg$temp"], &["pg"]),
            ("(east|west)*gsm", &["eastgsm", "west_1_gsm"], &["gsm", "east", "northgsm"]),
            ("a|b*", &["a", "b", "bc"], &["ab", "ac"]),
            ("T[0-9]+", &["t1", "t123"], &["t", "ta", "t1a", "T1"]),
            ("[^A-C]x", &["dx", "Cx"], &["ax", "x"]),
            ("[]\"]+", &["]", "\"]"], &["", "x"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("(ab)+c", &["abc", "ababc"], &["c", "abac"]),
            ("(a|(b|c)x)?", &["a1", "bxz"], &["a", "b1"]),
        ] {
            let read: Pattern = pattern.parse().unwrap();
            assert!(matching.iter().all(|name| read.matches(name)), "{pattern}");
            assert!(!others.iter().any(|name| read.matches(name)), "{pattern}");
            assert_eq!(read.to_string(), pattern);
        }
    }

    #[test]
    fn tables_have_a_schema_or_none() {
        let matches =
            |pattern: &str, schema, name| pattern.parse::<TablePattern>().unwrap().matches(schema, name);
        assert!(matches("t", "public", "t") && matches("t", "store", "t"));
        assert!(matches("store.t", "store", "t") && !matches("store.t", "public", "t"));
        assert!(matches("s*.\"T.x\"", "store", "T.x") && !matches("s*.\"T.x\"", "tore", "T.x"));
        assert!(!"store.t*".parse::<TablePattern>().unwrap().is_exact());
        assert!("store.\"t*\"".parse::<TablePattern>().unwrap().is_exact());
        assert!(matches("(a|b).t[12]", "b", "t2") && !matches("(a|b).t[12]", "c", "t2"));
    }

    #[test]
    fn other_forms_are_refused() {
        for pattern in
            ["", ".t", "t.", "a.b.c", "\"t", "t[0-9", "(a|b", "a)", "a\\d", "a{2}", "+", "|a", "^a"]
        {
            assert!(pattern.parse::<TablePattern>().is_err(), "{pattern}");
        }
        assert!("a.b".parse::<Pattern>().is_err() && "\"a.b\"".parse::<Pattern>().is_ok());
    }
}
