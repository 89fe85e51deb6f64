//! The types of generated columns: how to make each, and how PostgreSQL takes its values apart.

use proptest::prelude::*;

/// A column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    Uuid,
    Text,
    Varchar,
    Char,
    /// Text that contains only the number of an instance, as a rule.
    Alias,
    Json,
    Jsonb,
    Xml,
    Hstore,
    Bytea,
    /// Its labels are IDs.
    Enum,
    Domain(Box<Type>),
    Array(Box<Type>),
    Record(Vec<Type>),
    Range(Box<Type>),
    Multirange(Box<Type>),
}

/// How the test reads a part of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Text,
    Alias,
    Json,
    /// JSON whose keys PostgreSQL reorders.
    OrderedJson,
    /// Bytes in hexadecimal digits; several values are separated by commas.
    Bytes,
}

/// A part of a value, as an expression on its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) sql: String,
    pub(super) reading: Reading,
}

/// The features of the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features {
    pub(super) hstore: bool,
    pub(super) xml: bool,
    pub(super) multiranges: bool,
}

/// Any type that the server has.
pub(super) fn any_type(features: Features) -> impl Strategy<Value = Type> {
    let mut scalars = vec![
        Type::Uuid,
        Type::Text,
        Type::Varchar,
        Type::Char,
        Type::Json,
        Type::Jsonb,
        Type::Bytea,
        Type::Enum,
    ];
    scalars.extend(features.xml.then_some(Type::Xml));
    scalars.extend(features.hstore.then_some(Type::Hstore));
    let bound = prop::sample::select(vec![Type::Text, Type::Uuid, Type::Jsonb]);
    let in_array = prop::sample::select(vec![
        Type::Text,
        Type::Uuid,
        Type::Json,
        Type::Jsonb,
        Type::Bytea,
        Type::Record(vec![Type::Text, Type::Jsonb, Type::Bytea]),
        Type::Domain(Box::new(Type::Json)),
    ]);
    let in_record = prop::sample::select(vec![
        Type::Text,
        Type::Uuid,
        Type::Json,
        Type::Jsonb,
        Type::Bytea,
        Type::Enum,
        Type::Array(Box::new(Type::Text)),
        Type::Array(Box::new(Type::Json)),
        Type::Domain(Box::new(Type::Text)),
    ]);
    let in_domain = prop::sample::select(vec![
        Type::Text,
        Type::Uuid,
        Type::Json,
        Type::Jsonb,
        Type::Bytea,
        Type::Array(Box::new(Type::Json)),
    ]);
    let multirange = if features.multiranges { Type::Multirange } else { Type::Range };
    prop_oneof![
        8 => prop::sample::select(scalars),
        3 => in_array.prop_map(|inner| Type::Array(Box::new(inner))),
        2 => prop::collection::vec(in_record, 2..4).prop_map(Type::Record),
        1 => bound.clone().prop_map(|inner| Type::Range(Box::new(inner))),
        1 => bound.prop_map(move |inner| multirange(Box::new(inner))),
        1 => in_domain.prop_map(|inner| Type::Domain(Box::new(inner))),
    ]
}

impl Type {
    /// Its name, and the statements that make it where it is not built in; `label` tells it from others.
    pub(super) fn make(&self, label: &str, ids: &[String], sql: &mut String) -> String {
        let inner = |kind: &Type, sql: &mut String| kind.make(&format!("{label}_of"), ids, sql);
        match self {
            Type::Uuid => "uuid".to_owned(),
            Type::Text | Type::Alias => "text".to_owned(),
            Type::Varchar => "varchar".to_owned(),
            Type::Char => "char(700)".to_owned(),
            Type::Json => "json".to_owned(),
            Type::Jsonb => "jsonb".to_owned(),
            Type::Xml => "xml".to_owned(),
            Type::Hstore => "public.hstore".to_owned(),
            Type::Bytea => "bytea".to_owned(),
            Type::Enum => {
                let labels: Vec<_> = ids.iter().map(|id| format!("'{id}'")).collect();
                *sql += &format!("CREATE TYPE gen.{label} AS ENUM ({});\n", labels.join(", "));
                format!("gen.{label}")
            }
            Type::Domain(base) => {
                let base = inner(base, sql);
                *sql += &format!("CREATE DOMAIN gen.{label} AS {base};\n");
                format!("gen.{label}")
            }
            Type::Array(element) => inner(element, sql) + "[]",
            Type::Record(attributes) => {
                let attribute = |(at, kind): (usize, &Type)| {
                    format!("a{at} {}", kind.make(&format!("{label}_{at}"), ids, sql))
                };
                let attributes: Vec<_> = attributes.iter().enumerate().map(attribute).collect();
                *sql += &format!("CREATE TYPE gen.{label} AS ({});\n", attributes.join(", "));
                format!("gen.{label}")
            }
            Type::Range(bound) | Type::Multirange(bound) => {
                let subtype = inner(bound, sql);
                *sql += &format!("CREATE TYPE gen.{label}_range AS RANGE (subtype = {subtype});\n");
                let kind = if matches!(self, Type::Range(_)) { "range" } else { "multirange" };
                format!("gen.{label}_{kind}")
            }
        }
    }

    /// The parts of `value`, an expression of this type. PostgreSQL takes it apart.
    pub(super) fn parts(&self, value: &str) -> Vec<Part> {
        let part = |sql: String, reading| vec![Part { sql, reading }];
        match self {
            Type::Uuid | Type::Text | Type::Varchar | Type::Char | Type::Xml | Type::Enum => {
                part(format!("{value}::text"), Reading::Text)
            }
            Type::Alias => part(format!("{value}::text"), Reading::Alias),
            Type::Json => part(format!("{value}::text"), Reading::Json),
            Type::Jsonb => part(format!("{value}::text"), Reading::OrderedJson),
            Type::Hstore => part(format!("to_json({value})::text"), Reading::OrderedJson),
            Type::Bytea => part(format!("encode({value}, 'hex')"), Reading::Bytes),
            Type::Domain(base) => base.parts(&format!("({value})")),
            Type::Record(attributes) => {
                let attributes = attributes.iter().enumerate();
                attributes.flat_map(|(at, kind)| kind.parts(&format!("({value}).a{at}"))).collect()
            }
            Type::Range(bound) => {
                let mut parts = bound.parts(&format!("lower({value})"));
                parts.extend(bound.parts(&format!("upper({value})")));
                parts
            }
            Type::Multirange(bound) => ["lower", "upper"]
                .into_iter()
                .flat_map(|end| bound.parts(&format!("(SELECT {end}(r) FROM unnest({value}) r)")))
                .collect(),
            Type::Array(element) => Self::parts_of_elements(element, value),
        }
    }

    fn parts_of_elements(element: &Type, array: &str) -> Vec<Part> {
        match element {
            Type::Domain(base) => Self::parts_of_elements(base, array),
            Type::Record(attributes) => {
                let attributes = attributes.iter().enumerate();
                let each = |at: usize| format!("ARRAY(SELECT (e).a{at} FROM unnest({array}) e)");
                attributes.flat_map(|(at, kind)| Self::parts_of_elements(kind, &each(at))).collect()
            }
            Type::Bytea => {
                let sql = format!("(SELECT string_agg(encode(e, 'hex'), ',') FROM unnest({array}) e)");
                vec![Part { sql, reading: Reading::Bytes }]
            }
            // Text becomes a JSON string and JSON stays JSON, so the test reads both as JSON.
            Type::Jsonb => {
                vec![Part { sql: format!("to_json({array})::text"), reading: Reading::OrderedJson }]
            }
            _ => vec![Part { sql: format!("to_json({array})::text"), reading: Reading::Json }],
        }
    }

    /// Whether the type contains an enum.
    pub(super) fn has_enum(&self) -> bool {
        match self {
            Type::Enum => true,
            Type::Domain(inner) | Type::Array(inner) | Type::Range(inner) | Type::Multirange(inner) => {
                inner.has_enum()
            }
            Type::Record(attributes) => attributes.iter().any(Type::has_enum),
            _ => false,
        }
    }
}
