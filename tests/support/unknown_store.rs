//! A store that is not part of this repository's profiles, in the manner of the pagila sample: a film rental.

use super::database::Database;
use super::fixture::repository;
use super::pgmig::{Pgmig, TargetFile};
use super::server::Server;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The instances of its backup and their new IDs.
pub(crate) const MAPPING: [(&str, &str); 2] = [
    ("6f9619ff-8b86-4011-b42d-00c04fc964ff", "00000000-0000-0000-0000-000000000001"),
    ("7c9e6679-7425-40de-944b-e07fc1f90ae7", "00000000-0000-0000-0000-000000000002"),
];

/// The statements that made its first release.
const FIRST: &str = r#"
CREATE DOMAIN year AS integer CHECK (VALUE BETWEEN 1901 AND 2155);
CREATE TYPE mpaa_rating AS ENUM ('G', 'PG', 'PG-13', 'R', 'NC-17');
CREATE FUNCTION last_updated() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN NEW.last_update = now(); RETURN NEW; END $$;
CREATE TABLE store (store_id uuid PRIMARY KEY, name text NOT NULL, url text);
CREATE TABLE setting (name text PRIMARY KEY, value text);
CREATE TABLE language (language_id serial PRIMARY KEY, name character(20) NOT NULL);
CREATE TABLE film (
    film_id serial PRIMARY KEY, title text NOT NULL, release_year year,
    language_id integer NOT NULL REFERENCES language, rental_rate numeric(4,2) DEFAULT 4.99 NOT NULL, length smallint,
    rating mpaa_rating DEFAULT 'G', special_features text[], fulltext tsvector,
    last_update timestamptz DEFAULT now() NOT NULL
);
CREATE TRIGGER film_fulltext BEFORE INSERT OR UPDATE ON film FOR EACH ROW
    EXECUTE PROCEDURE tsvector_update_trigger('fulltext', 'pg_catalog.english', 'title');
CREATE INDEX film_fulltext_idx ON film USING gist (fulltext);
CREATE TABLE customer (
    customer_id serial PRIMARY KEY, store_id uuid NOT NULL REFERENCES store, email text,
    active boolean DEFAULT true NOT NULL, last_update timestamptz DEFAULT now()
);
CREATE TRIGGER last_updated BEFORE UPDATE ON customer FOR EACH ROW EXECUTE PROCEDURE last_updated();
CREATE TABLE inventory (
    inventory_id serial PRIMARY KEY, film_id integer NOT NULL REFERENCES film ON UPDATE CASCADE,
    store_id uuid NOT NULL REFERENCES store
);
CREATE TABLE payment (
    payment_id serial, customer_id integer NOT NULL REFERENCES customer, amount numeric(5,2) NOT NULL,
    payment_date timestamptz NOT NULL, detail json, PRIMARY KEY (payment_date, payment_id)
) PARTITION BY RANGE (payment_date);
CREATE TABLE payment_p2022_01 PARTITION OF payment FOR VALUES FROM ('2022-01-01+00') TO ('2022-02-01+00');
CREATE TABLE payment_p2022_02 PARTITION OF payment FOR VALUES FROM ('2022-02-01+00') TO ('2022-03-01+00');
CREATE VIEW film_list AS SELECT film_id AS fid, title, rating FROM film;
CREATE MATERIALIZED VIEW rental_by_store AS
    SELECT store_id, count(*) AS films FROM inventory GROUP BY store_id;
CREATE UNIQUE INDEX rental_by_store_id ON rental_by_store (store_id);
CREATE FUNCTION inventory_in_stock(integer) RETURNS boolean LANGUAGE sql
    AS $$ SELECT EXISTS (SELECT FROM public.inventory WHERE inventory_id = $1) $$;
CREATE AGGREGATE group_concat(text) (SFUNC = array_append, STYPE = text[], INITCOND = '{}');
"#;

/// The rows of its backup. A new installation has others.
const ROWS: &str = r#"
INSERT INTO store VALUES
    ('6f9619ff-8b86-4011-b42d-00c04fc964ff', 'Lethbridge', 'https://rental.example.com/6f9619ff-8b86-4011-b42d-00c04fc964ff'),
    ('7c9e6679-7425-40de-944b-e07fc1f90ae7', 'Woodridge', NULL);
INSERT INTO setting VALUES ('version', '1');
INSERT INTO language (name) VALUES ('English'), ('Deutsch');
INSERT INTO film (title, release_year, language_id, rental_rate, length, rating, special_features)
    SELECT 'ACADEMY ' || n, 1990 + n % 30, 1 + n % 2, n % 5 + 0.99, nullif(n % 180, 0), 'PG-13', ARRAY['Trailers', 'n''' || n]
    FROM generate_series(1, 500) AS n;
INSERT INTO customer (store_id, email, active)
    SELECT store_id, lower(name) || n || '@example.com', n % 3 > 0 FROM store, generate_series(1, 20) AS n;
INSERT INTO inventory (film_id, store_id) SELECT film_id, store_id FROM film, store WHERE film_id % 3 = 0;
INSERT INTO payment (customer_id, amount, payment_date, detail)
    SELECT customer_id, 2.99, '2022-01-15 12:00+00'::timestamptz + customer_id * interval '1 day',
           json_build_object('store', store_id) FROM customer;
REFRESH MATERIALIZED VIEW rental_by_store;
SELECT lo_from_bytea(5001, 'a poster');
"#;

const NEW_ROWS: &str = r#"
INSERT INTO store VALUES ('00000000-0000-0000-0000-000000000001', 'provisioned', NULL);
INSERT INTO setting VALUES ('version', '2'), ('theme', 'dark');
INSERT INTO language (name) VALUES ('Français');
SELECT lo_from_bytea(7001, 'to be erased');
"#;

/// The directory that docs/schema.md describes, with all files that its commands need.
#[derive(Debug)]
pub(crate) struct UnknownStore {
    server: Server,
    /// The document's files, and the migration that it does not show.
    directory: TempDir,
    pub(crate) source: Database,
}

impl UnknownStore {
    /// A filled store of release 1.0.0.
    #[track_caller]
    pub(crate) fn new() -> Self {
        let server = Server::of_this_run();
        let directory = TempDir::new().expect("a temporary directory can be made");
        for (name, content) in readme_files() {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is in a directory")).expect("one can be made");
            std::fs::write(path, content).expect("a file can be written");
        }
        std::fs::write(directory.path().join("rental/0001_first.sql"), FIRST).expect("a file can be written");
        let source = Database::create_on(&server, "rental");
        let store = Self { server, directory, source };
        store.migrate(&store.source, "1.0.0");
        store.source.psql(&format!("SET search_path = public; {ROWS}"));
        store
    }

    /// A target whose product has installed release 2.0.0, with its own rows.
    #[track_caller]
    pub(crate) fn installed(&self) -> Database {
        let target = Database::create_on(&self.server, "installed");
        self.migrate(&target, "2.0.0");
        target.psql(&format!("SET search_path = public; {NEW_ROWS}"));
        target
    }

    #[track_caller]
    fn migrate(&self, database: &Database, release: &str) {
        let Server { socket, port, superuser, bindir, .. } = &self.server;
        let status = Command::new(repository().join("tests/apply-migrations"))
            .args([&database.name, release, superuser])
            .env("PGMIG_TEST_MIGRATIONS", self.rental())
            .env("PGMIG_TEST_SOCKET", socket)
            .env("PGMIG_TEST_PORT", port.to_string())
            .env("PGMIG_TEST_SUPERUSER", superuser)
            .env("PGMIG_TEST_BINDIR", bindir)
            .status();
        assert!(status.expect("bash runs").success(), "tests/apply-migrations {release}");
    }

    /// The directory `rental`.
    pub(crate) fn rental(&self) -> std::path::PathBuf {
        self.directory.path().join("rental")
    }

    /// A command line of the document, as words, with this target and this archive.
    pub(crate) fn command(&self, line: &str, target: &Database, archive: &Path) -> Pgmig {
        let pgmig = Pgmig::new().file("postgres.yaml", &TargetFile::of(target).to_yaml());
        let directory = pgmig.directory().to_owned();
        std::os::unix::fs::symlink(self.rental(), directory.join("rental")).expect("a link can be made");
        std::fs::copy(archive, directory.join("rental.dump")).expect("an archive can be copied");
        let mut mapping = "instance-mappings:\n".to_owned();
        for (from, to) in MAPPING {
            mapping += &format!("  {from}: {to}\n");
        }
        let words = line.trim().strip_prefix("pgmig ").expect("it is a command of pgmig");
        pgmig.file("enteredMapping.yaml", &mapping).args(words.split_whitespace())
    }
}

/// The section of the documents about a user's own store.
fn section() -> String {
    let readme = std::fs::read_to_string(repository().join("docs/schema.md")).expect("it exists");
    let (_, rest) = readme.split_once("## A store of your own\n").expect("it has the section");
    rest.split("\n## ").next().unwrap_or(rest).to_owned()
}

/// Its commands, in order.
pub(crate) fn readme_commands() -> Vec<String> {
    section().lines().filter(|line| line.starts_with("    pgmig ")).map(str::to_owned).collect()
}

/// Its files. The comment in the first line of each contains its name.
fn readme_files() -> Vec<(String, String)> {
    let section = section();
    let blocks = section.split("```").skip(1).step_by(2);
    let file = |block: &str| {
        let (_, content) = block.split_once('\n').expect("a block has lines");
        let comment = content.lines().find(|line| line.contains(" rental/")).expect("a block names its file");
        let name = comment.trim_start_matches(['#', '-', ' ']).to_owned();
        (name, content.to_owned())
    };
    blocks.map(file).collect()
}
