//! Reads one statement: the object that it makes or is about, under the tag that pg_dump gives it.

use super::Meaning;
use super::object::{Named, PARTS, Place, place, tag_of};
use crate::plain::header::EntryHeader;
use crate::sql::{Parser, QualifiedName, SqlError, StandardStrings, quote_ident};

/// The meaning of a statement. `None` if it is none that pg_dump writes.
pub(super) fn meaning_of(sql: &str, strings: StandardStrings) -> Option<Meaning> {
    let mut parser = Parser::new(sql, "statement of a script", strings);
    Statement { sql, parser: &mut parser }.meaning().ok().flatten()
}

/// A statement that is being read.
pub(super) struct Statement<'p, 'a> {
    pub(super) sql: &'a str,
    pub(super) parser: &'p mut Parser<'a>,
}

impl Statement<'_, '_> {
    fn meaning(&mut self) -> Result<Option<Meaning>, SqlError> {
        if self.eat("create") {
            return self.create();
        }
        if self.eat("alter") {
            return self.alter();
        }
        if self.eat("comment") {
            self.parser.expect_word("on")?;
            return Ok(self.described()?.map(|place| begins("COMMENT", place)));
        }
        if self.eat("grant") || self.eat("revoke") {
            return self.privileges();
        }
        if self.eat("security") {
            self.parser.expect_word("label")?;
            self.skip_to("on")?;
            return Ok(self.described()?.map(|place| begins("SECURITY LABEL", place)));
        }
        // Around the grants of another role than the owner.
        if self.eat("set") || self.eat("reset") {
            let is_authorization = self.eat("session") && self.eat("authorization");
            return Ok(is_authorization.then_some(Meaning::Continues));
        }
        if self.eat("copy") {
            return self.rows();
        }
        if self.eat("insert") {
            self.parser.expect_word("into")?;
            return self.rows();
        }
        if self.eat("refresh") {
            self.parser.expect_word("materialized")?;
            self.parser.expect_word("view")?;
            let view = place(self.parser.qualified_name()?);
            return Ok(Some(begins("MATERIALIZED VIEW DATA", view)));
        }
        if self.eat("begin") {
            return Ok(Some(data("BLOBS", (None, "BLOBS".to_owned()))));
        }
        if self.eat("select") { self.call() } else { Ok(None) }
    }

    /// `setval` of a sequence, or `lo_create`.
    fn call(&mut self) -> Result<Option<Meaning>, SqlError> {
        let function = self.parser.qualified_name()?;
        self.parser.expect_symbol(b'(', "an opening parenthesis")?;
        let argument = self.parser.next().and_then(|token| self.parser.string(&token));
        let Some(argument) = argument else { return Err(self.parser.unexpected("a string")) };
        Ok(match function.name.as_str() {
            "setval" => QualifiedName::parse(&argument).ok().map(|name| begins("SEQUENCE SET", place(name))),
            "lo_create" => Some(begins("BLOB", (None, argument))),
            _ => None,
        })
    }

    fn rows(&mut self) -> Result<Option<Meaning>, SqlError> {
        Ok(Some(data("TABLE DATA", place(self.parser.qualified_name()?))))
    }

    fn create(&mut self) -> Result<Option<Meaning>, SqlError> {
        if self.eat("or") {
            self.parser.expect_word("replace")?;
        }
        for word in ["unlogged", "unique", "recursive", "default"] {
            self.eat(word);
        }
        if self.eat("constraint") {
            self.parser.expect_word("trigger")?;
            return self.part_of_table("TRIGGER", "on");
        }
        for (word, desc, before) in
            [("trigger", "TRIGGER", "on"), ("policy", "POLICY", "on"), ("rule", "RULE", "to")]
        {
            if self.eat(word) {
                return self.part_of_table(desc, before);
            }
        }
        if self.eat("cast") {
            return Ok(self
                .parenthesised()
                .map(|types| begins("CAST", (None, format!("CAST {}", cast(types))))));
        }
        if self.eat("user") {
            self.parser.expect_word("mapping")?;
            self.parser.expect_word("for")?;
            let role = self.parser.ident()?;
            self.parser.expect_word("server")?;
            let tag = format!("USER MAPPING {role} SERVER {}", self.parser.ident()?);
            return Ok(Some(begins("USER MAPPING", (None, tag))));
        }
        if self.eat("transform") {
            self.parser.expect_word("for")?;
            let of = self.parser.qualified_name()?;
            self.parser.expect_word("language")?;
            let tag = format!("TRANSFORM FOR {of} LANGUAGE {}", self.parser.ident()?);
            return Ok(Some(begins("TRANSFORM", (None, tag))));
        }
        let Some((desc, named)) = self.object() else { return Ok(None) };
        self.eat("concurrently");
        self.if_not_exists()?;
        let object = self.named(named)?;
        // An index has the schema of its table.
        if desc == "INDEX" {
            self.parser.expect_word("on")?;
            self.eat("only");
            let table = self.parser.qualified_name()?;
            return Ok(Some(begins(desc, (table.schema, object.1))));
        }
        Ok(Some(begins(desc, object)))
    }

    /// A trigger, a policy or a rule: its table comes after the word `before`.
    fn part_of_table(&mut self, desc: &str, before: &'static str) -> Result<Option<Meaning>, SqlError> {
        let name = self.parser.ident()?;
        self.skip_to(before)?;
        let table = self.parser.qualified_name()?;
        Ok(Some(begins(desc, (table.schema, format!("{} {name}", table.name)))))
    }

    fn alter(&mut self) -> Result<Option<Meaning>, SqlError> {
        if self.eat("table") {
            self.eat("only");
            let table = self.parser.qualified_name()?;
            return self.alter_table(table);
        }
        if self.eat("index") {
            self.parser.qualified_name()?;
            return self.attached("INDEX ATTACH");
        }
        if self.eat("domain") {
            let domain = self.parser.qualified_name()?;
            if !(self.eat("add") && self.eat("constraint")) {
                return Ok(Some(Meaning::Continues));
            }
            let tag = format!("{} {}", domain.name, self.parser.ident()?);
            return Ok(Some(begins("CHECK CONSTRAINT", (domain.schema, tag))));
        }
        if self.eat("sequence") {
            let sequence = place(self.parser.qualified_name()?);
            let is_owned = self.eat("owned") && self.eat("by");
            return Ok(Some(if is_owned {
                begins("SEQUENCE OWNED BY", sequence)
            } else {
                Meaning::Continues
            }));
        }
        if self.eat("default") {
            return self.default_privileges();
        }
        if self.eat("publication") {
            let publication = self.parser.ident()?;
            if !self.eat("add") {
                return Ok(Some(Meaning::Continues));
            }
            if self.eat("table") {
                self.eat("only");
                let table = self.parser.qualified_name()?;
                let tag = format!("{publication} {}", table.name);
                return Ok(Some(begins("PUBLICATION TABLE", (table.schema, tag))));
            }
            self.skip_to("schema")?;
            let tag = format!("{publication} {}", self.parser.ident()?);
            return Ok(Some(begins("PUBLICATION TABLES IN SCHEMA", (None, tag))));
        }
        let is_object = self.eat("large") || self.object().is_some();
        Ok(is_object.then_some(Meaning::Continues))
    }

    fn alter_table(&mut self, table: QualifiedName) -> Result<Option<Meaning>, SqlError> {
        let part = |name: String| (table.schema.clone(), format!("{} {name}", table.name));
        if self.eat("attach") {
            return self.attached_to("TABLE ATTACH");
        }
        if self.eat("enable") && self.eat("row") {
            return Ok(Some(begins("ROW SECURITY", (table.schema, table.name))));
        }
        if self.eat("add") && self.eat("constraint") {
            let name = self.parser.ident()?;
            let is_foreign_key = self.eat("foreign");
            let desc = match self.eat("check") {
                _ if is_foreign_key => "FK CONSTRAINT",
                true => "CHECK CONSTRAINT",
                false => "CONSTRAINT",
            };
            return Ok(Some(begins(desc, part(name))));
        }
        if self.eat("alter") {
            self.eat("column");
            let column = self.parser.ident()?;
            if self.eat("set") && self.eat("default") {
                return Ok(Some(begins("DEFAULT", part(column))));
            }
            if self.eat("add") && self.eat("generated") {
                return Ok(Some(self.identity(table)?));
            }
        }
        Ok(Some(Meaning::Continues))
    }

    /// The sequence of an identity column: `SEQUENCE NAME schema.name`.
    fn identity(&mut self, table: QualifiedName) -> Result<Meaning, SqlError> {
        self.skip_to("identity")?;
        self.parser.expect_symbol(b'(', "an opening parenthesis")?;
        self.parser.expect_word("sequence")?;
        self.parser.expect_word("name")?;
        let sequence = self.parser.qualified_name()?;
        Ok(begins("SEQUENCE", (sequence.schema.or(table.schema), sequence.name)))
    }

    fn attached(&mut self, desc: &str) -> Result<Option<Meaning>, SqlError> {
        if self.eat("attach") { self.attached_to(desc) } else { Ok(Some(Meaning::Continues)) }
    }

    fn attached_to(&mut self, desc: &str) -> Result<Option<Meaning>, SqlError> {
        self.parser.expect_word("partition")?;
        Ok(Some(begins(desc, place(self.parser.qualified_name()?))))
    }

    /// `DEFAULT PRIVILEGES FOR ROLE role IN SCHEMA schema GRANT ... ON TABLES TO ...`.
    fn default_privileges(&mut self) -> Result<Option<Meaning>, SqlError> {
        self.parser.expect_word("privileges")?;
        let owner = match self.eat("for") {
            true => {
                self.parser.next();
                Some(self.parser.ident()?)
            }
            false => None,
        };
        let schema = match self.eat("in") {
            true => {
                self.parser.expect_word("schema")?;
                Some(self.parser.ident()?)
            }
            false => None,
        };
        self.skip_to("on")?;
        let mut objects = self.parser.ident()?.to_ascii_uppercase();
        if objects == "LARGE" {
            objects = "LARGE OBJECTS".to_owned();
        }
        let mut header = header("DEFAULT ACL", (schema, format!("DEFAULT PRIVILEGES FOR {objects}")));
        header.owner = owner.map(Into::into);
        Ok(Some(Meaning::Begins(header)))
    }

    /// `GRANT ... ON object TO ...`. Without `ON` it is about membership in a role, which pg_dump never writes.
    fn privileges(&mut self) -> Result<Option<Meaning>, SqlError> {
        self.skip_to("on")?;
        let is_large_object = self.eat("large") && self.eat("object");
        if is_large_object {
            return Ok(self.number().map(|oid| begins("ACL", (None, format!("LARGE OBJECT {oid}")))));
        }
        match self.object() {
            Some((desc, named)) => {
                let (schema, name) = self.named(named)?;
                Ok(Some(begins("ACL", (schema, tag_of(desc, named, &name)))))
            }
            None => {
                let (schema, name) = place(self.parser.qualified_name()?);
                Ok(Some(begins("ACL", (schema, tag_of("TABLE", Named::InSchema, &name)))))
            }
        }
    }

    /// The object of a comment.
    fn described(&mut self) -> Result<Option<Place>, SqlError> {
        if self.eat("database") {
            return Ok(Some((None, format!("DATABASE {}", quote_ident(&self.parser.ident()?)))));
        }
        if self.eat("column") {
            let first = self.parser.ident()?;
            self.parser.expect_symbol(b'.', "a dot")?;
            let second = self.parser.ident()?;
            let (schema, table, column) = match self.parser.eat_symbol(b'.') {
                true => (Some(first), second, self.parser.ident()?),
                false => (None, first, second),
            };
            return Ok(Some((schema, format!("COLUMN {}.{}", quote_ident(&table), quote_ident(&column)))));
        }
        for part in PARTS {
            if self.eat(part) {
                let name = self.parser.ident()?;
                self.parser.expect_word("on")?;
                let domain = if self.eat("domain") { "DOMAIN " } else { "" };
                let whole = self.parser.qualified_name()?;
                let tag = format!(
                    "{} {} ON {domain}{}",
                    part.to_ascii_uppercase(),
                    quote_ident(&name),
                    quote_ident(&whole.name)
                );
                return Ok(Some((whole.schema, tag)));
            }
        }
        if self.eat("large") {
            self.parser.expect_word("object")?;
            return Ok(self.number().map(|oid| (None, format!("LARGE OBJECT {oid}"))));
        }
        let Some((desc, named)) = self.object() else { return Ok(None) };
        let (schema, name) = self.named(named)?;
        Ok(Some((schema, tag_of(desc, named, &name))))
    }
}

/// The types of a cast without further blanks.
fn cast(types: &str) -> String {
    types.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn header(desc: &str, (schema, tag): Place) -> EntryHeader {
    EntryHeader {
        tag: tag.into(),
        desc: desc.into(),
        namespace: schema.map(Into::into),
        owner: None,
        tablespace: None,
        is_data: false,
    }
}

fn begins(desc: &str, place: Place) -> Meaning {
    Meaning::Begins(header(desc, place))
}

fn data(desc: &str, place: Place) -> Meaning {
    Meaning::Begins(EntryHeader { is_data: true, ..header(desc, place) })
}
