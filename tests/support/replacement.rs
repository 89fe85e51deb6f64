//! A second implementation of the replacement of IDs, as DESIGN defines it. It is slow, as simple as possible, and
//! works on decoded values. It shares no code with pgmig.

use std::collections::HashMap;

/// IDs, and numbers of alias columns, with their replacements.
#[derive(Debug, Default)]
pub(crate) struct Replacement {
    /// In lower case, with hyphens.
    ids: HashMap<String, String>,
    numbers: HashMap<String, String>,
}

/// An instance, as its row in the tenant table describes it.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) alias: String,
}

/// A character, and its spelling in the text.
struct Unit<'a> {
    decoded: char,
    text: &'a str,
}

const ID_LENGTH: usize = 36;

impl Replacement {
    /// The replacements of a mapping with these pairs in a store of these tenants. The alias of a mapped tenant is
    /// replaced, too, in the form that it has.
    pub(crate) fn new(mapping: &[(&str, &str)], tenants: &[Tenant]) -> Self {
        let mut new = Self::default();
        let keys: Vec<_> = mapping.iter().map(|(key, _)| key.to_lowercase()).collect();
        new.ids.extend(keys.iter().cloned().zip(mapping.iter().map(|(_, target)| target.to_lowercase())));
        for tenant in tenants {
            let named = [&tenant.id, &tenant.alias].into_iter().find_map(|name| new.ids.get(name));
            let Some(target) = named.cloned() else { continue };
            new.ids.entry(tenant.id.clone()).or_insert_with(|| target.clone());
            let is_free = tenants.iter().all(|other| other.id != tenant.alias);
            if is_id(&tenant.alias) && is_free {
                new.ids.entry(tenant.alias.clone()).or_insert(target);
            } else if tenant.alias.bytes().all(|byte| byte.is_ascii_digit()) {
                let digits = target.replace('-', "").trim_start_matches('0').to_owned();
                new.numbers.insert(tenant.alias.clone(), digits);
            }
        }
        new
    }

    /// The text after the replacement, and the number of replaced IDs.
    pub(crate) fn in_text(&self, text: &str) -> (String, u64) {
        let unit = |(at, decoded): (usize, char)| Unit { decoded, text: &text[at..at + decoded.len_utf8()] };
        self.in_units(&text.char_indices().map(unit).collect::<Vec<_>>())
    }

    /// Does the same. JSON's escapes count as the characters that they spell.
    pub(crate) fn in_json(&self, json: &str) -> (String, u64) {
        self.in_units(&json_units(json))
    }

    /// Does the same in bytes, each of which counts as a character.
    pub(crate) fn in_bytes(&self, bytes: &[u8]) -> (Vec<u8>, u64) {
        let (text, count) = self.in_text(&bytes.iter().copied().map(char::from).collect::<String>());
        (text.chars().map(|char| u8::try_from(char).expect("it was a byte")).collect(), count)
    }

    /// Does the same in a column of aliases: a number is replaced if it is the whole value.
    pub(crate) fn in_alias(&self, value: &str) -> (String, u64) {
        match self.numbers.get(value) {
            Some(number) if number != value => (number.clone(), 1),
            _ => self.in_text(value),
        }
    }

    fn in_units(&self, units: &[Unit<'_>]) -> (String, u64) {
        let (mut out, mut count, mut at) = (String::new(), 0, 0);
        let is_border =
            |unit: Option<&Unit<'_>>| unit.is_none_or(|unit| !unit.decoded.is_ascii_alphanumeric());
        while let Some(unit) = units.get(at) {
            let before = at.checked_sub(1).and_then(|before| units.get(before));
            match units.get(at..at + ID_LENGTH).and_then(|id| self.replaced(id)) {
                Some(id) if is_border(before) && is_border(units.get(at + ID_LENGTH)) => {
                    out += &id;
                    count += 1;
                    at += ID_LENGTH;
                }
                _ => {
                    out += unit.text;
                    at += 1;
                }
            }
        }
        (out, count)
    }

    /// The replacement of an ID, in the ID's case. A text with an escaped character is not an ID.
    fn replaced(&self, units: &[Unit<'_>]) -> Option<String> {
        if units[8].decoded != '-' || units.iter().any(|unit| unit.text.len() != 1) {
            return None;
        }
        let id: String = units.iter().map(|unit| unit.text).collect();
        let new = self.ids.get(&id.to_ascii_lowercase())?;
        let is_upper = id.bytes().any(|byte| byte.is_ascii_uppercase());
        let new = if is_upper { new.to_ascii_uppercase() } else { new.clone() };
        (!new.eq_ignore_ascii_case(&id)).then_some(new)
    }
}

/// `00000000-0000-0000-0000-001570184978`.
fn is_id(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn json_units(json: &str) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let mut after = rest.chars().skip(1);
        // In valid JSON, backslashes occur only in strings.
        let (decoded, length) = match (first, after.next()) {
            ('\\', Some('u')) => {
                let code = u32::from_str_radix(&rest[2..6], 16).expect("JSON from PostgreSQL is valid");
                // Half of a surrogate pair is neither an ASCII letter nor an ASCII digit.
                (char::from_u32(code).unwrap_or('\u{fffd}'), 6)
            }
            ('\\', Some('b' | 'f' | 'n' | 'r' | 't')) => (' ', 2),
            ('\\', Some(other)) => (other, 2),
            _ => (first, first.len_utf8()),
        };
        units.push(Unit { decoded, text: &rest[..length] });
        rest = &rest[length..];
    }
    units
}
