//! Entries that the options leave out: what is restored is what pg_restore makes with the same option, or what is left of
//! the whole database after DROP ... CASCADE.

mod list;
mod names;
mod plan;
mod sections;
mod unrestorable;

use crate::support::Database;
use crate::support::application;
use crate::support::restored::Restored;
use crate::support::way::{Source, WAYS, Way, restore, with_target};
use std::path::Path;
use std::process::Stdio;

/// Tables that depend on each other in every way that a selection has to follow.
const SOURCE: &str = "
    CREATE SCHEMA audit; COMMENT ON SCHEMA audit IS 'log of changes';
    CREATE SCHEMA store;
    CREATE EXTENSION hstore;
    CREATE TYPE public.mood AS ENUM ('sad', 'happy');
    CREATE TABLE public.customer (id serial PRIMARY KEY, name text NOT NULL, mood public.mood DEFAULT 'happy');
    COMMENT ON TABLE public.customer IS 'who buys'; COMMENT ON COLUMN public.customer.name IS 'as on the letter';
    CREATE INDEX customer_name ON public.customer (lower(name)); COMMENT ON INDEX public.customer_name IS 'for search';
    INSERT INTO public.customer (name) SELECT 'customer ' || i FROM generate_series(1, 20) AS i;
    CREATE TABLE store.item (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, price numeric CHECK (price > 0));
    INSERT INTO store.item (price) SELECT i FROM generate_series(1, 30) AS i;
    CREATE TABLE store.sale (id bigserial PRIMARY KEY, item int NOT NULL REFERENCES store.item,
                             customer int REFERENCES public.customer, note text);
    CREATE STATISTICS store.sale_items ON item, customer FROM store.sale;
    INSERT INTO store.sale (item, customer) SELECT i % 30 + 1, i % 20 + 1 FROM generate_series(1, 200) AS i;
    ALTER TABLE store.sale ENABLE ROW LEVEL SECURITY;
    CREATE POLICY everybody ON store.sale USING (true); COMMENT ON POLICY everybody ON store.sale IS 'no limit';
    CREATE VIEW store.per_item AS SELECT item, count(*) FROM store.sale GROUP BY item;
    CREATE MATERIALIZED VIEW store.best AS SELECT * FROM store.per_item ORDER BY 2 DESC LIMIT 3;
    CREATE UNIQUE INDEX best_item ON store.best (item);
    CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO audit.change (what) VALUES (TG_TABLE_NAME); RETURN NULL; END $$;
    CREATE SEQUENCE audit.numbers START 50;
    CREATE TABLE audit.change (id int DEFAULT nextval('audit.numbers') PRIMARY KEY, what text, at date DEFAULT '2024-01-01');
    INSERT INTO audit.change (what) VALUES ('start'), ('\"quoted\"');
    CREATE TRIGGER noted AFTER DELETE ON public.customer FOR EACH STATEMENT EXECUTE FUNCTION audit.note();
    CREATE TABLE store.reading (day date NOT NULL, value int) PARTITION BY RANGE (day);
    CREATE TABLE store.reading_2023 PARTITION OF store.reading FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
    CREATE TABLE store.reading_2024 PARTITION OF store.reading FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE INDEX reading_value ON store.reading (value);
    INSERT INTO store.reading SELECT '2023-06-01'::date + i * 20, i FROM generate_series(1, 20) AS i;
    CREATE TABLE public.\"Odd t*\" (id int PRIMARY KEY); INSERT INTO public.\"Odd t*\" VALUES (1);
    CREATE PUBLICATION changes FOR TABLE store.item, public.customer;
    ALTER DEFAULT PRIVILEGES IN SCHEMA store GRANT SELECT ON TABLES TO PUBLIC;
    SELECT lo_from_bytea(0, 'an object');";

/// A database with all of these objects.
#[track_caller]
fn whole() -> Source {
    Source::of(SOURCE)
}

/// What pg_restore makes of an archive with these options, after this SQL. Errors are its own affair.
#[track_caller]
fn by_pg_restore(archive: &Path, options: &[&str], before: &str) -> Restored {
    let oracle = Database::create("selection_oracle");
    oracle.psql(before);
    let mut pg_restore = oracle.server.program("pg_restore");
    pg_restore.args(["--no-owner", "-d", &oracle.name]).args(options).arg(archive);
    pg_restore.stdin(Stdio::null()).stderr(Stdio::null()).status().expect("pg_restore runs");
    Restored::of(&oracle)
}

/// What is left of a whole archive after this SQL.
#[track_caller]
fn after(archive: &Path, sql: &str) -> Restored {
    let oracle = Database::create("selection_oracle");
    oracle.restore_with_pg_restore(archive, &["--no-owner"]);
    oracle.psql(sql);
    Restored::of(&oracle)
}

/// Restores with these options, both ways; each result must be this one.
#[track_caller]
fn assert_restored(archive: &Path, options: &[&str], expected: &Restored) {
    for way in WAYS {
        let target = application::empty_database("selection");
        let outcome = restore(archive, &target, way).args(options).run();
        assert_eq!(outcome.status.code(), Some(0), "{options:?} {way:?}: {outcome}");
        assert_is(&target, expected, &format!("{options:?} {way:?} {}\n{outcome}", archive.display()));
    }
}

#[track_caller]
fn assert_is(target: &Database, expected: &Restored, what: &str) {
    let found = Restored::of(target).in_any_order();
    assert_eq!(expected.in_any_order().difference(&found), None, "{what}");
}
