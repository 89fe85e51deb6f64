//! Rows that the server refuses: the message contains the row's place and none of its values.

use crate::support::damage::patch;
use crate::support::pgmig::TargetFile;
use crate::support::store::{ROW_VALUE, SPARE};
use crate::support::untouched::Before;
use crate::support::{Database, Outcome, Pgmig};
use std::path::PathBuf;
use tempfile::TempDir;

/// An uncompressed archive of one or several tables, and a target.
struct Case {
    target: Database,
    archive: PathBuf,
    _directory: TempDir,
}

impl Case {
    /// Dumps what this SQL makes.
    #[track_caller]
    fn of(sql: &str, options: &[&str]) -> Self {
        let source = Database::create("rows_source");
        source.psql(sql);
        let directory = TempDir::new().unwrap();
        let archive = directory.path().join("rows.dump");
        source.dump_through_pipe(&[&["--compress=0"], options].concat(), &archive);
        let target = Database::create("rows");
        target.psql(&format!("CREATE TABLE own (note text); INSERT INTO own VALUES ('{ROW_VALUE}')"));
        Self { target, archive, _directory: directory }
    }

    /// The table `t` of 1000 rows: a number, and a text that must not appear in any message.
    #[track_caller]
    fn of_thousand_rows(options: &[&str]) -> Self {
        Self::of(
            &format!(
                "CREATE TABLE t (id int NOT NULL, note text NOT NULL, CONSTRAINT not_negative CHECK (id >= 0));
                 INSERT INTO t SELECT n, '{ROW_VALUE} of ' || n FROM generate_series(1, 1000) n;
                 ALTER TABLE t ADD CONSTRAINT t_id_key UNIQUE (id)"
            ),
            options,
        )
    }

    #[track_caller]
    fn fails(&self, texts: &[&str]) -> Outcome {
        self.fails_with(|pgmig| pgmig.arg("--keep-ids"), texts)
    }

    /// Restores it by either strategy.
    #[track_caller]
    fn fails_with(&self, more: impl Fn(Pgmig) -> Pgmig, texts: &[&str]) -> Outcome {
        let [_, in_place] = ["swap", "in-place"].map(|strategy| {
            let pgmig = Pgmig::new().target(&TargetFile::of(&self.target)).source(&self.archive);
            self.run_fails(
                more(pgmig.args(["--force", "--schema", "archive", "--strategy", strategy])),
                texts,
            )
        });
        in_place
    }

    #[track_caller]
    fn run_fails(&self, pgmig: Pgmig, texts: &[&str]) -> Outcome {
        let before = Before::of(&self.target);
        let outcome = pgmig.args(["--log-level", "trace"]).run().expect_status(1).stderr_has("error: ");
        for text in texts {
            outcome.assert_stderr_has(text);
        }
        before.is_now(outcome)
    }
}

#[test]
fn a_value_of_another_type() {
    let case = Case::of_thousand_rows(&[]);
    patch(&case.archive, &format!("500\t{ROW_VALUE} of 500\n"), &format!("5@0\t{ROW_VALUE} of 500\n"));
    case.fails(&["row 500 of table public.t", "column id", "22P02"]).keeps_secret("5@0");
}

#[test]
fn a_null_where_none_may_be() {
    let case = Case::of_thousand_rows(&[]);
    patch(&case.archive, &format!("50\t{ROW_VALUE} of 50\n"), &format!("\\N\t{ROW_VALUE} of 50\n"));
    case.fails(&["table public.t", "column id", "NOT NULL", "23502", "row 50 "]);
}

#[test]
fn a_row_with_too_few_columns() {
    let case = Case::of(
        &format!(
            "CREATE TABLE t (note text, n int);
             INSERT INTO t SELECT '{ROW_VALUE} of ' || n, n FROM generate_series(1, 1000) n"
        ),
        &[],
    );
    patch(&case.archive, &format!("{ROW_VALUE} of 500\t500\n"), &format!("{ROW_VALUE} of 500 500\n"));
    case.fails(&["row 500 of table public.t", "not as many fields", "22P04"]);
}

#[test]
fn a_row_that_violates_a_check() {
    let case = Case::of_thousand_rows(&[]);
    patch(&case.archive, &format!("500\t{ROW_VALUE} of 500\n"), &format!("-50\t{ROW_VALUE} of 500\n"));
    case.fails(&["row 500 of table public.t", "constraint not_negative", "23514"]);
}

#[test]
fn a_check_that_tells_values() {
    let case = Case::of(TALKATIVE, &[]);
    patch(&case.archive, "100000500\n", &format!("{ROW_VALUE}\n"));
    case.fails(&["row 500 of table public.talkative", "P0001"]);
}

/// A function whose messages contain its argument. The server calls it for each row.
const TALKATIVE: &str = "
    CREATE FUNCTION is_number(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
      IF $1 !~ '^[0-9]+$' THEN RAISE EXCEPTION 'not a number: %', $1 USING DETAIL = $1, HINT = $1; END IF;
      RETURN true;
    END $$;
    CREATE TABLE talkative (note text CHECK (public.is_number(note)));
    INSERT INTO talkative SELECT 100000000 + n FROM generate_series(1, 1000) n";

#[test]
fn a_row_far_behind() {
    // pgmig asks the server for its progress every 16 MiB. This row is in the third part.
    let case = Case::of(
        "CREATE TABLE wide (id int, note text);
         INSERT INTO wide SELECT n, repeat('x', 40000) FROM generate_series(1, 1000) n",
        &[],
    );
    patch(&case.archive, "900\tx", "9@0\tx");
    case.fails(&["row 900 of table public.wide", "column id", "22P02"])
        .keeps_secret("9@0")
        .keeps_secret("xxxx");
}

#[test]
fn a_row_as_an_insert_statement() {
    let sql = TALKATIVE
        .replace("100000000 + n", &format!("'{ROW_VALUE} of ' || n"))
        .replace("'^[0-9]+$'", "' of '");
    let case = Case::of(&sql, &["--inserts"]);
    patch(&case.archive, &format!("{ROW_VALUE} of 500"), &format!("{ROW_VALUE}?of?500"));
    case.fails(&["table public.talkative", "P0001"]);
}

#[test]
fn a_key_that_is_there_twice() {
    let case = Case::of_thousand_rows(&[]);
    patch(&case.archive, &format!("500\t{ROW_VALUE} of 500\n"), &format!("499\t{ROW_VALUE} of 500\n"));
    case.fails(&["t_id_key", "could not create unique index", "23505", "the archive's entry"])
        .keeps_secret("499");
}

#[test]
fn a_row_without_the_one_that_it_refers_to() {
    let case = Case::of(
        &format!(
            "CREATE TABLE parent (note text PRIMARY KEY);
             CREATE TABLE child (note text REFERENCES parent);
             ALTER TABLE child DISABLE TRIGGER ALL;
             INSERT INTO child VALUES ('{ROW_VALUE}');
             ALTER TABLE child ENABLE TRIGGER ALL"
        ),
        &[],
    );
    case.fails(&["child_note_fkey", "23503"]);
}

#[test]
fn an_index_on_an_expression_that_fails() {
    let case = Case::of(
        "CREATE TABLE e (note text); CREATE INDEX e_number ON e ((note::int));
         INSERT INTO e SELECT 100000000 + n FROM generate_series(1, 1000) n",
        &[],
    );
    patch(&case.archive, "100000500\n", &format!("{ROW_VALUE}\n"));
    case.fails(&["INDEX public.e_number", "22P02"]);
}

#[test]
fn an_index_on_a_function_that_tells_values() {
    let sql = TALKATIVE.replace("CHECK (public.is_number(note))", "");
    let case = Case::of(&format!("{sql}; CREATE INDEX talk ON talkative (public.is_number(note))"), &[]);
    patch(&case.archive, "100000500\n", &format!("{ROW_VALUE}\n"));
    case.fails(&["INDEX public.talk", "P0001"]);
}

#[test]
fn a_materialized_view_that_cannot_be_filled() {
    let case = Case::of(
        "CREATE TABLE e (note text); INSERT INTO e VALUES ('100000500');
         CREATE MATERIALIZED VIEW v AS SELECT note::int FROM e",
        &[],
    );
    patch(&case.archive, "100000500\n", &format!("{ROW_VALUE}\n"));
    case.fails(&["MATERIALIZED VIEW", "public.v", "22P02"]);
}

#[test]
fn a_row_that_fits_no_partition_under_its_new_id() {
    let source = "00000000-0000-0000-0000-000000000001";
    let case = Case::of(
        &format!(
            "CREATE TABLE tenant (tenant_id uuid, instance_id text, name text, region text, deleted boolean);
             INSERT INTO tenant VALUES ('{source}', '1', 'one', 'us-south', false);
             CREATE TABLE log (tenant_id uuid, note text) PARTITION BY RANGE (tenant_id);
             CREATE TABLE log_low PARTITION OF log
               FOR VALUES FROM (MINVALUE) TO ('00000000-0000-0000-0000-000000001000');
             INSERT INTO log SELECT '00000000-0000-0000-0000-000000000777', '{ROW_VALUE}' FROM generate_series(1, 7);
             INSERT INTO log VALUES ('{source}', '{ROW_VALUE}')"
        ),
        &[],
    );
    let texts = [
        "row 8 of table public.log_low",
        "23514",
        "it fits none of the partitions",
        "log_low FOR VALUES FROM (MINVALUE) TO ('00000000-0000-0000-0000-000000001000')",
    ];
    case.fails_with(|pgmig| pgmig.mapping(&[(source, SPARE)]), &texts);
}
