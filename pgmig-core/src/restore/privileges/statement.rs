//! Parses statements that grant and revoke privileges, and writes such statements.

use crate::sql::{Lexer, Parser, SqlError, StandardStrings, TokenKind, quote_ident};

/// A group of objects whose names and privileges are looked up in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Tables, views and sequences.
    Relation,
    /// Functions, procedures and aggregates.
    Routine,
    Schema,
    Type,
    Language,
    Wrapper,
    Server,
    LargeObject,
    /// Not an object: the privileges of objects that a role will make.
    Default,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Relation,
        Self::Routine,
        Self::Schema,
        Self::Type,
        Self::Language,
        Self::Wrapper,
        Self::Server,
        Self::LargeObject,
        Self::Default,
    ];

    /// The words of GRANT for it.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Relation => "TABLE",
            Self::Routine => "ROUTINE",
            Self::Schema => "SCHEMA",
            Self::Type => "TYPE",
            Self::Language => "LANGUAGE",
            Self::Wrapper => "FOREIGN DATA WRAPPER",
            Self::Server => "FOREIGN SERVER",
            Self::LargeObject => "LARGE OBJECT",
            Self::Default => "DEFAULT PRIVILEGES",
        }
    }

    /// The kind with these [`words`](Self::words).
    pub(crate) fn from_words(words: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.words() == words)
    }

    const fn is_in_schema(self) -> bool {
        matches!(self, Self::Relation | Self::Routine | Self::Type)
    }
}

/// An object with privileges.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    /// "" if it has none. The schema of default privileges is "" if they apply to all schemas.
    pub(crate) schema: String,
    /// The name, or the role that default privileges belong to.
    pub(crate) name: String,
    /// The normalized arguments of a routine, or the type of objects of default privileges, as in `pg_default_acl`.
    pub(crate) arguments: String,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) grants: bool,
    /// Whether it revokes the grant option only.
    pub(crate) is_about_option: bool,
    /// Each in upper case, with its columns. `ALL` stands for every privilege.
    pub(crate) privileges: Vec<(String, Vec<String>)>,
    pub(crate) object: Object,
    /// "" is PUBLIC.
    pub(crate) grantees: Vec<String>,
    pub(crate) with_option: bool,
}

impl Statement {
    /// Parses one statement. An object without a schema is looked up in `schema`. `None` if it is a statement of
    /// another form.
    pub(crate) fn parse(sql: &str, schema: Option<&str>, strings: StandardStrings) -> Option<Self> {
        parse(&mut Parser::new(sql, "GRANT", strings), schema).ok()
    }
}

fn parse(parser: &mut Parser<'_>, schema: Option<&str>) -> Result<Statement, SqlError> {
    let defaults = if parser.eat_word("alter") { Some(default_privileges(parser)?) } else { None };
    let grants = parser.eat_word("grant");
    let mut is_about_option = false;
    if !grants {
        parser.expect_word("revoke")?;
        if parser.eat_word("grant") {
            parser.expect_word("option")?;
            parser.expect_word("for")?;
            is_about_option = true;
        }
    }
    let privileges = privileges(parser)?;
    parser.expect_word("on")?;
    let object = match defaults {
        Some((role, schema)) => {
            Object { kind: Kind::Default, schema, name: role, arguments: type_of_objects(parser)?.to_owned() }
        }
        None => object(parser, schema)?,
    };
    parser.expect_word(if grants { "to" } else { "from" })?;
    let mut grantees = vec![grantee(parser)?];
    while parser.eat_symbol(b',') {
        grantees.push(grantee(parser)?);
    }
    let with_option = grants && parser.eat_word("with");
    if with_option {
        parser.expect_word("grant")?;
        parser.expect_word("option")?;
    }
    let _ = parser.eat_word("cascade") || parser.eat_word("restrict");
    parser.expect_end_of_statement()?;
    Ok(Statement { grants, is_about_option, privileges, object, grantees, with_option })
}

/// The role and the schema of default privileges.
fn default_privileges(parser: &mut Parser<'_>) -> Result<(String, String), SqlError> {
    parser.expect_word("default")?;
    parser.expect_word("privileges")?;
    parser.expect_word("for")?;
    let _ = parser.eat_word("role") || parser.eat_word("user");
    let role = parser.ident()?;
    let mut schema = String::new();
    if parser.eat_word("in") {
        parser.expect_word("schema")?;
        schema = parser.ident()?;
    }
    Ok((role, schema))
}

fn privileges(parser: &mut Parser<'_>) -> Result<Vec<(String, Vec<String>)>, SqlError> {
    let mut privileges = Vec::new();
    loop {
        let name = parser.ident()?.to_ascii_uppercase();
        if name == "ALL" {
            parser.eat_word("privileges");
        }
        let has_columns = parser.peek().is_some_and(|token| token.kind == TokenKind::Symbol(b'('));
        privileges.push((name, if has_columns { parser.ident_list()? } else { Vec::new() }));
        if !parser.eat_symbol(b',') {
            return Ok(privileges);
        }
    }
}

const TYPES_OF_OBJECTS: [(&str, &str, &str); 7] = [
    ("tables", "r", "TABLES"),
    ("sequences", "S", "SEQUENCES"),
    ("functions", "f", "FUNCTIONS"),
    ("routines", "f", "FUNCTIONS"),
    ("types", "T", "TYPES"),
    ("schemas", "n", "SCHEMAS"),
    ("large", "L", "LARGE OBJECTS"),
];

fn type_of_objects(parser: &mut Parser<'_>) -> Result<&'static str, SqlError> {
    let found = TYPES_OF_OBJECTS.iter().find(|(word, ..)| parser.eat_word(word));
    let Some((word, letter, _)) = found else { return Err(parser.unexpected("a type of objects")) };
    if *word == "large" {
        parser.expect_word("objects")?;
    }
    Ok(letter)
}

fn object(parser: &mut Parser<'_>, schema: Option<&str>) -> Result<Object, SqlError> {
    let kind = kind(parser)?;
    let mut object = Object { kind, schema: String::new(), name: String::new(), arguments: String::new() };
    if kind == Kind::LargeObject {
        let token = parser.next_if(|token| token.kind == TokenKind::Number);
        let token = token.ok_or_else(|| parser.unexpected("the OID of a large object"))?;
        parser.text(&token).clone_into(&mut object.name);
        return Ok(object);
    }
    if !kind.is_in_schema() {
        object.name = parser.ident()?;
        return Ok(object);
    }
    let name = parser.qualified_name()?;
    object.schema = name.schema.or_else(|| schema.map(str::to_owned)).unwrap_or_default();
    object.name = name.name;
    if kind == Kind::Routine {
        object.arguments = arguments(parser)?;
    }
    Ok(object)
}

fn kind(parser: &mut Parser<'_>) -> Result<Kind, SqlError> {
    let words = [
        ("table", Kind::Relation),
        ("sequence", Kind::Relation),
        ("function", Kind::Routine),
        ("procedure", Kind::Routine),
        ("routine", Kind::Routine),
        ("schema", Kind::Schema),
        ("type", Kind::Type),
        ("domain", Kind::Type),
        ("language", Kind::Language),
    ];
    if let Some((_, kind)) = words.into_iter().find(|(word, _)| parser.eat_word(word)) {
        return Ok(kind);
    }
    if parser.eat_word("large") {
        parser.expect_word("object")?;
        return Ok(Kind::LargeObject);
    }
    parser.expect_word("foreign")?;
    if parser.eat_word("server") {
        return Ok(Kind::Server);
    }
    parser.expect_word("data")?;
    parser.expect_word("wrapper")?;
    Ok(Kind::Wrapper)
}

fn arguments(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    parser.expect_symbol(b'(', "an opening parenthesis")?;
    let mut text = String::new();
    let mut depth = 1_u32;
    while let Some(token) = parser.next() {
        match token.kind {
            TokenKind::Symbol(b'(') => depth += 1,
            TokenKind::Symbol(b')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok(normal_arguments(&text));
        }
        text.push_str(parser.text(&token));
        text.push(' ');
    }
    Err(parser.unexpected("a closing parenthesis"))
}

/// The arguments of a routine in one spelling, whatever server and options wrote them.
pub(crate) fn normal_arguments(text: &str) -> String {
    let mut normal = String::new();
    for token in Lexer::new(text.as_bytes(), StandardStrings::On).map_while(Result::ok) {
        if token.kind.is_blank() {
            continue;
        }
        let is_symbol = matches!(token.kind, TokenKind::Symbol(_));
        let follows_word = normal.ends_with(|last: char| !matches!(last, '.' | ',' | '(' | ' '));
        if !is_symbol && follows_word {
            normal.push(' ');
        }
        match token.kind {
            TokenKind::QuotedIdent { .. } => {
                normal.push_str(&token.name(text).map(|name| quote_ident(&name)).unwrap_or_default());
            }
            _ => normal.push_str(text.get(token.span.clone()).unwrap_or_default()),
        }
    }
    normal
}

fn grantee(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    parser.eat_word("group");
    if parser.eat_word("public") { Ok(String::new()) } else { parser.ident() }
}

/// A grantee as SQL.
pub(crate) fn grantee_sql(grantee: &str) -> String {
    if grantee.is_empty() { "PUBLIC".to_owned() } else { quote_ident(grantee) }
}

impl Object {
    /// The beginning and the middle of a statement about it: `ALTER DEFAULT PRIVILEGES ...` or nothing, and the words
    /// after ON. `written` is the name as SQL, from the server.
    pub(crate) fn frame(&self, written: &str) -> (String, String) {
        if self.kind != Kind::Default {
            return (String::new(), format!("{} {written}", self.kind.words()));
        }
        let schema = match self.schema.as_str() {
            "" => String::new(),
            schema => format!(" IN SCHEMA {}", quote_ident(schema)),
        };
        let begin = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {}{schema} ", quote_ident(&self.name));
        (begin, self.objects_made().to_owned())
    }

    /// The objects to which default privileges apply.
    pub(crate) fn objects_made(&self) -> &'static str {
        let found = TYPES_OF_OBJECTS.iter().find(|(_, letter, _)| *letter == self.arguments);
        found.map_or("TABLES", |(_, _, words)| words)
    }

    /// The object in messages.
    pub(crate) fn label(&self, written: &str) -> String {
        if self.kind != Kind::Default {
            return format!("{} {written}", self.kind.words());
        }
        let schema = match self.schema.as_str() {
            "" => String::new(),
            schema => format!(" in schema {}", quote_ident(schema)),
        };
        format!("{} that {} makes{schema}", self.objects_made(), quote_ident(&self.name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn statement(sql: &str) -> Option<Statement> {
        Statement::parse(sql, Some("s"), StandardStrings::On)
    }

    #[test]
    fn statements_of_archives_are_parsed() {
        let parsed =
            statement("GRANT SELECT(a, \"B\"),UPDATE ON TABLE t TO x, PUBLIC WITH GRANT OPTION").unwrap();
        assert_eq!(
            parsed.privileges,
            [("SELECT".to_owned(), vec!["a".to_owned(), "B".to_owned()]), ("UPDATE".to_owned(), vec![])]
        );
        assert_eq!((parsed.object.schema.as_str(), parsed.object.name.as_str()), ("s", "t"));
        assert_eq!(parsed.grantees, ["x", ""]);
        assert!(parsed.grants && parsed.with_option);
        let parsed =
            statement("REVOKE ALL ON FUNCTION p.f(a integer, OUT \"b\" p.\"T\"[]) FROM \"public\"").unwrap();
        assert_eq!(parsed.object.arguments, "a integer,OUT b p.\"T\"[]");
        assert_eq!(parsed.grantees, ["public"]);
        let parsed =
            statement("ALTER DEFAULT PRIVILEGES FOR ROLE x IN SCHEMA s REVOKE ALL ON LARGE OBJECTS FROM y")
                .unwrap();
        assert_eq!((parsed.object.name.as_str(), parsed.object.arguments.as_str()), ("x", "L"));
    }

    #[test]
    fn other_statements_are_not() {
        for sql in [
            "GRANT ALL ON DATABASE d TO x",
            "GRANT SELECT ON TABLE t TO x; DROP TABLE t",
            "GRANT pg_read_all_data TO x",
            "GRANT SET ON PARAMETER work_mem TO x",
            "SELECT f()",
        ] {
            assert_eq!(statement(sql), None, "{sql}");
        }
    }

    #[test]
    fn arguments_have_one_spelling() {
        assert_eq!(
            normal_arguments("\"a\" timestamp  with time zone, VARIADIC b pg_catalog.text[]"),
            "a timestamp with time zone,VARIADIC b pg_catalog.text[]"
        );
    }
}
