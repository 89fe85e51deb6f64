//! SPDX licence expressions: whether a set of allowed licences satisfies one.

use anyhow::{Result, bail, ensure};

/// An expression in SPDX's form: older crates separate alternatives by `/`.
pub(crate) fn in_spdx_form(expression: &str) -> String {
    expression.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

/// Whether the allowed licences are enough to use a crate with this expression.
///
/// # Errors
///
/// If the expression is not well-formed.
pub(crate) fn is_satisfied(expression: &str, is_allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let spaced = in_spdx_form(expression).replace('(', " ( ").replace(')', " ) ");
    let mut parser = Parser { words: spaced.split_whitespace().collect(), at: 0, is_allowed };
    let satisfied = parser.any()?;
    ensure!(parser.at == parser.words.len(), "licence expression {expression:?} has words after its end");
    Ok(satisfied)
}

struct Parser<'a> {
    words: Vec<&'a str>,
    at: usize,
    is_allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at).copied();
        self.at += usize::from(word.is_some());
        word
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let is_next = self.words.get(self.at) == Some(&wanted);
        self.at += usize::from(is_next);
        is_next
    }

    /// Alternatives. OR binds less than AND.
    fn any(&mut self) -> Result<bool> {
        let mut satisfied = self.all()?;
        while self.takes("OR") {
            satisfied |= self.all()?;
        }
        Ok(satisfied)
    }

    fn all(&mut self) -> Result<bool> {
        let mut satisfied = self.one()?;
        while self.takes("AND") {
            satisfied &= self.one()?;
        }
        Ok(satisfied)
    }

    fn one(&mut self) -> Result<bool> {
        if self.takes("(") {
            let satisfied = self.any()?;
            ensure!(self.takes(")"), "a parenthesis of a licence expression is not closed");
            return Ok(satisfied);
        }
        match self.next() {
            None | Some("OR" | "AND" | "WITH" | ")") => bail!("a licence is missing in an expression"),
            Some(licence) if self.takes("WITH") => {
                // An exception is part of the name: what it permits differs from the licence alone.
                let exception = self.next().unwrap_or_default();
                Ok((self.is_allowed)(&format!("{licence} WITH {exception}")))
            }
            Some(licence) => Ok((self.is_allowed)(licence)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn with(allowed: &[&str], expression: &str) -> bool {
        is_satisfied(expression, &|licence| allowed.contains(&licence)).unwrap()
    }

    #[test]
    fn one_alternative_is_enough() {
        assert!(with(&["MIT"], "MIT OR GPL-3.0-only"));
        assert!(with(&["MIT"], "GPL-3.0-only OR Apache-2.0 OR MIT"));
        assert!(with(&["MIT"], "Apache-2.0/MIT"));
        assert!(!with(&["MIT"], "GPL-3.0-only OR Apache-2.0"));
    }

    #[test]
    fn every_part_is_needed() {
        assert!(!with(&["MIT"], "(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(with(&["MIT", "Unicode-3.0"], "(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!with(&["MIT"], "MIT AND GPL-3.0-only"));
    }

    #[test]
    fn and_binds_more_than_or() {
        assert!(with(&["MIT"], "MIT OR Apache-2.0 AND Zlib"));
        assert!(!with(&["Apache-2.0"], "MIT OR Apache-2.0 AND Zlib"));
    }

    #[test]
    fn a_licence_with_an_exception_is_another_licence() {
        assert!(!with(&["Apache-2.0"], "Apache-2.0 WITH LLVM-exception"));
        assert!(with(&["Apache-2.0 WITH LLVM-exception"], "Apache-2.0 WITH LLVM-exception"));
    }

    #[test]
    fn damaged_expressions_are_errors() {
        for expression in ["", "MIT OR", "AND MIT", "(MIT", "MIT)", "MIT Apache-2.0", "MIT OR OR Zlib"] {
            assert!(is_satisfied(expression, &|_| true).is_err(), "{expression:?}");
        }
    }
}
