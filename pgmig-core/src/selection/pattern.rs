//! Patterns for names, as pg_dump and psql read them.

use super::SelectionError;
use std::fmt;
use std::str::FromStr;

/// A pattern for one name. `*` stands for any characters and `?` for one; other letters are folded to lower case. In double
/// quotes every character stands for itself, and two quotes for one.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Char(char),
    AnyChar,
    AnyChars,
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
        // After a mismatch the last `*` takes one more character.
        let (mut part, mut at) = (0_usize, 0_usize);
        let mut star: Option<(usize, usize)> = None;
        while let Some(&char) = name.get(at) {
            match self.parts.get(part) {
                Some(Part::AnyChars) => {
                    star = Some((part, at));
                    part += 1;
                }
                Some(Part::AnyChar) => (part, at) = (part + 1, at + 1),
                Some(Part::Char(wanted)) if *wanted == char => (part, at) = (part + 1, at + 1),
                _ => match star {
                    Some((after, taken)) => {
                        star = Some((after, taken + 1));
                        (part, at) = (after + 1, taken + 1);
                    }
                    None => return false,
                },
            }
        }
        self.parts.iter().skip(part).all(|part| *part == Part::AnyChars)
    }

    /// Whether the pattern matches one name only.
    pub fn is_exact(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Char(_)))
    }

    /// Parses the parts of a name that dots separate.
    fn split(text: &str) -> Result<Vec<Self>, SelectionError> {
        let refuse = |problem| SelectionError::Pattern { pattern: text.to_owned(), problem };
        let mut names = Vec::new();
        let (mut own, mut parts) = (String::new(), Vec::new());
        let mut chars = text.chars().peekable();
        let mut is_quoted = false;
        while let Some(char) = chars.next() {
            if char == '.' && !is_quoted {
                names.push(Self { text: std::mem::take(&mut own), parts: std::mem::take(&mut parts) });
                continue;
            }
            own.push(char);
            match char {
                '"' if is_quoted && chars.next_if_eq(&'"').is_some() => {
                    own.push('"');
                    parts.push(Part::Char('"'));
                }
                '"' => is_quoted = !is_quoted,
                _ if is_quoted => parts.push(Part::Char(char)),
                '*' => parts.push(Part::AnyChars),
                '?' => parts.push(Part::AnyChar),
                '[' | ']' | '(' | ')' | '{' | '}' | '|' | '+' | '^' | '\\' => {
                    return Err(refuse(
                        "of regular expressions only * and ? are read; put the name in double quotes",
                    ));
                }
                _ => parts.push(Part::Char(char.to_ascii_lowercase())),
            }
        }
        names.push(Self { text: own, parts });
        match () {
            () if is_quoted => Err(refuse("a double quote is not closed")),
            () if names.iter().any(|name| name.parts.is_empty()) => Err(refuse("a name is empty")),
            () => Ok(names),
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
    }

    #[test]
    fn other_forms_are_refused() {
        for pattern in ["", ".t", "t.", "a.b.c", "\"t", "t[0-9]", "(a|b)", "a\\d"] {
            assert!(pattern.parse::<TablePattern>().is_err(), "{pattern}");
        }
        assert!("a.b".parse::<Pattern>().is_err() && "\"a.b\"".parse::<Pattern>().is_ok());
    }
}
