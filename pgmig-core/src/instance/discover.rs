//! Reads the instances in an archive from the rows of its table of instances.

use super::{DiscoverError, IdError, InstanceId};
use crate::copy::{decode_field, fields};
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::fmt;

/// Another name of an instance: a value in one of the profile's alias columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Alias {
    /// A UUID.
    Uuid(InstanceId),
    /// A number: its decimal digits as stored.
    Number(String),
    /// Any other value. No mapping can name it.
    Other(String),
}

impl Alias {
    /// Parses a value of an alias column.
    pub fn parse(text: &str) -> Self {
        if let Ok(id) = text.parse() {
            return Alias::Uuid(id);
        }
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Alias::Number(text.to_owned()) } else { Alias::Other(text.to_owned()) }
    }

    /// The ID by which a mapping can name it: the UUID itself, or the ID of the number.
    pub fn id(&self) -> Option<InstanceId> {
        match self {
            Alias::Uuid(id) => Some(*id),
            Alias::Number(digits) => InstanceId::from_digits(digits),
            Alias::Other(_) => None,
        }
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alias::Uuid(id) => id.fmt(f),
            Alias::Number(text) | Alias::Other(text) => f.write_str(text),
        }
    }
}

impl Serialize for Alias {
    /// Serializes the alias as a string, in the form of its display.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A service instance of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// Its ID.
    pub id: InstanceId,
    /// Its aliases, without NULLs.
    pub aliases: Vec<Alias>,
    /// Its name, unless that is NULL.
    pub name: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Whether it is marked as deleted.
    pub deleted: bool,
}

impl Instance {
    /// Whether it may stay unmapped: it is deleted, or in one of these regions.
    pub fn may_stay(&self, system_regions: &[String]) -> bool {
        self.deleted || self.region.as_ref().is_some_and(|region| system_regions.contains(region))
    }

    /// Its name and ID, for messages.
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{name:?}, {}", self.id),
            None => format!("unnamed, {}", self.id),
        }
    }
}

/// The columns of the table of instances, by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceColumns {
    /// The ID.
    pub id: String,
    /// The columns of aliases; those that the table does not have are ignored.
    pub aliases: Vec<String>,
    /// The name.
    pub name: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The boolean column that marks deleted instances; NULL means not deleted.
    pub deleted: Option<String>,
}

/// The position of each role's column in a row, from 0.
#[derive(Debug, Clone)]
struct Positions {
    id: usize,
    aliases: Vec<usize>,
    name: Option<usize>,
    region: Option<usize>,
    deleted: Option<usize>,
}

/// Collects instances from the rows of the table of instances.
#[derive(Debug)]
#[must_use]
pub struct InstanceCollector {
    columns: Vec<String>,
    positions: Positions,
    row: u64,
    instances: Vec<Instance>,
    /// Row numbers, by instance ID.
    seen: HashMap<InstanceId, u64>,
}

impl InstanceCollector {
    /// Makes a collector for rows with these columns, in the order of the rows' fields.
    ///
    /// # Errors
    ///
    /// [`DiscoverError::NoColumn`] if the column of the ID, name, region or deletion mark is not among them.
    pub fn new(columns: &[String], roles: &InstanceColumns) -> Result<Self, DiscoverError> {
        let position = |name: &String| columns.iter().position(|column| column == name);
        let require =
            |name: &String| position(name).ok_or_else(|| DiscoverError::NoColumn { column: name.clone() });
        let positions = Positions {
            id: require(&roles.id)?,
            aliases: roles.aliases.iter().filter_map(position).collect(),
            name: roles.name.as_ref().map(require).transpose()?,
            region: roles.region.as_ref().map(require).transpose()?,
            deleted: roles.deleted.as_ref().map(require).transpose()?,
        };
        Ok(Self { columns: columns.to_vec(), positions, row: 0, instances: Vec::new(), seen: HashMap::new() })
    }

    /// Adds one row of COPY data, with or without its line end.
    ///
    /// # Errors
    ///
    /// Any [`DiscoverError`] that names a row.
    pub fn push_row(&mut self, row: &[u8]) -> Result<(), DiscoverError> {
        let values: Vec<Option<String>> = fields(row)
            .map(|field| decode_field(field).map(|value| String::from_utf8_lossy(&value).into_owned()))
            .collect();
        self.push_values(&values)
    }

    /// Adds the values of one row, `None` for NULL.
    ///
    /// # Errors
    ///
    /// Any [`DiscoverError`] that names a row.
    pub fn push_values(&mut self, values: &[Option<String>]) -> Result<(), DiscoverError> {
        self.row = self.row.saturating_add(1);
        let row = self.row;
        if values.len() != self.columns.len() {
            return Err(DiscoverError::FieldCount { row, fields: values.len(), columns: self.columns.len() });
        }
        let value = |position: usize| values.get(position).cloned().flatten();
        let id = value(self.positions.id).ok_or(IdError).and_then(|text| text.parse());
        let id = id.map_err(|source| DiscoverError::BadId {
            row,
            column: self.column(self.positions.id),
            source,
        })?;
        let deleted = match self.positions.deleted {
            Some(position) => parse_boolean(value(position).as_deref())
                .ok_or_else(|| DiscoverError::BadBoolean { row, column: self.column(position) })?,
            None => false,
        };
        if let Some(first_row) = self.seen.insert(id, row) {
            return Err(DiscoverError::DuplicateId { row, id, first_row });
        }
        self.instances.push(Instance {
            id,
            aliases: self
                .positions
                .aliases
                .iter()
                .filter_map(|&at| value(at))
                .map(|text| Alias::parse(&text))
                .collect(),
            name: self.positions.name.and_then(value),
            region: self.positions.region.and_then(value),
            deleted,
        });
        Ok(())
    }

    /// The instances, in the order of their rows.
    pub fn finish(self) -> Vec<Instance> {
        self.instances
    }

    fn column(&self, position: usize) -> String {
        self.columns.get(position).cloned().unwrap_or_default()
    }
}

/// Parses a boolean as COPY and INSERT write it; NULL is false.
fn parse_boolean(value: Option<&str>) -> Option<bool> {
    match value {
        Some("t" | "true") => Some(true),
        Some("f" | "false") | None => Some(false),
        Some(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn collector() -> InstanceCollector {
        let columns = ["tenant_id", "instance_id", "name", "region", "deleted", "created"].map(str::to_owned);
        let roles = InstanceColumns {
            id: "tenant_id".to_owned(),
            aliases: vec!["instance_id".to_owned(), "crn".to_owned()],
            name: Some("name".to_owned()),
            region: Some("region".to_owned()),
            deleted: Some("deleted".to_owned()),
        };
        InstanceCollector::new(&columns, &roles).unwrap()
    }

    const ID: &str = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";

    #[test]
    fn collects_rows() {
        let mut collector = collector();
        collector
            .push_row(format!("{ID}\t1764035503433645\tZweig\\tund \"S\\\\N\tjp-tok\tf\tnow\n").as_bytes())
            .unwrap();
        let other = "e10001eb-6272-453a-bb43-3dcf0e765892";
        collector.push_row(format!("{other}\t{ID}\t\\N\t\\N\tt\tnow").as_bytes()).unwrap();
        collector.push_row("00000000-0000-0000-0000-001570190213\t\\N\t\t\\N\t\\N\t\\N".as_bytes()).unwrap();
        let instances = collector.finish();
        assert_eq!(instances[0].name.as_deref(), Some("Zweig\tund \"S\\N"));
        assert_eq!(instances[0].aliases, [Alias::Number("1764035503433645".to_owned())]);
        assert_eq!(instances[1].aliases, [Alias::Uuid(ID.parse().unwrap())]);
        assert!(instances[1].deleted && !instances[0].deleted && !instances[2].deleted);
        assert_eq!((instances[2].name.as_deref(), instances[2].aliases.len()), (Some(""), 0));
        assert!(instances[1].may_stay(&[]) && !instances[0].may_stay(&[]));
        assert!(instances[0].may_stay(&["jp-tok".to_owned()]));
    }

    #[test]
    fn reports_bad_rows_by_number() {
        let mut collector = collector();
        collector.push_row(format!("{ID}\t\\N\t\\N\t\\N\tf\t\\N").as_bytes()).unwrap();
        let mut fails = |row: String| collector.push_row(row.as_bytes()).unwrap_err();
        assert_eq!(fails(ID.to_owned()), DiscoverError::FieldCount { row: 2, fields: 1, columns: 6 });
        let bad_id = |row| DiscoverError::BadId { row, column: "tenant_id".to_owned(), source: IdError };
        assert_eq!(fails("\\N\t\t\t\tf\t".to_owned()), bad_id(3));
        assert_eq!(fails("x\t\t\t\tf\t".to_owned()), bad_id(4));
        assert!(matches!(
            fails(format!("{other}\t\t\t\tmaybe\t", other = ID.replace('1', "2"))),
            DiscoverError::BadBoolean { row: 5, .. }
        ));
        assert!(matches!(
            fails(format!("{ID}\t\t\t\tf\t")),
            DiscoverError::DuplicateId { row: 6, first_row: 1, .. }
        ));
    }

    #[test]
    fn needs_the_columns_of_the_roles() {
        let roles =
            InstanceColumns { id: "id".to_owned(), aliases: vec![], name: None, region: None, deleted: None };
        let error = InstanceCollector::new(&["tenant_id".to_owned()], &roles).unwrap_err();
        assert_eq!(error, DiscoverError::NoColumn { column: "id".to_owned() });
    }
}
