//! `pgmig previous`: lists the previous databases of a target, puts one back, and drops them.

use crate::args::{Args, OutputFormat};
use crate::confirm::{self, Question};
use crate::environment::Environment;
use crate::failure::{Failure, Interrupted};
use crate::hints;
use crate::output::{self, Text};
use crate::previous::{DropArgs, ListArgs, PreviousCommand, RollbackArgs, rollback_command};
use crate::progress::Display;
use crate::target::TargetArgs;
use anyhow::Result;
use pgmig_core::progress::Notice;
use pgmig_core::restore::{PreviousDatabase, PreviousDatabases, Removal, Rollback};
use serde::Serialize;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A previous database, and the command that puts it back.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    #[serde(flatten)]
    pub(crate) previous: PreviousDatabase,
    pub(crate) rollback_command: String,
}

/// The previous databases of a target.
#[derive(Debug, Serialize)]
pub(crate) struct List {
    pub(crate) database: String,
    pub(crate) previous: Vec<Listed>,
    pub(crate) notices: Vec<Notice>,
}

/// A rollback, or the plan of one.
#[derive(Debug, Serialize)]
pub(crate) struct RolledBack {
    pub(crate) dry_run: bool,
    pub(crate) database: String,
    pub(crate) restored: PreviousDatabase,
    pub(crate) previous_database: Option<String>,
    pub(crate) rollback_command: Option<String>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) took_seconds: Option<f64>,
}

/// A removal, or the plan of one.
#[derive(Debug, Serialize)]
pub(crate) struct Dropped {
    pub(crate) dry_run: bool,
    pub(crate) database: String,
    pub(crate) dropped: Vec<PreviousDatabase>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) took_seconds: Option<f64>,
}

/// Runs the command.
pub(crate) async fn run(
    args: &Args,
    command: &PreviousCommand,
    environment: &Environment,
    cancel: &CancellationToken,
) -> Result<()> {
    match command {
        PreviousCommand::List(listing) => list(args, listing, environment, cancel).await,
        PreviousCommand::Rollback(rollback) => {
            let display = Arc::new(Display::new(args)?);
            let done = roll_back(rollback, environment, &display, cancel).await;
            display.finish();
            print(args, "previous_rollback", &done?, output::rolled_back)
        }
        PreviousCommand::Drop(removal) => {
            let display = Arc::new(Display::new(args)?);
            let done = drop_previous(removal, environment, &display, cancel).await;
            display.finish();
            print(args, "previous_drop", &done?, output::dropped)
        }
    }
}

/// Prints the result. The notices have been shown.
fn print<T: Serialize>(args: &Args, kind: &str, done: &T, text: fn(&T, bool) -> Text) -> Result<()> {
    match args.output {
        OutputFormat::Json => output::print_document(kind, done),
        OutputFormat::Text => output::print(&text(done, args.quiet)),
    }
}

async fn list(
    args: &Args,
    listing: &ListArgs,
    environment: &Environment,
    cancel: &CancellationToken,
) -> Result<()> {
    let config = environment.target_config(listing.target.file()?)?;
    let list = tokio::select! {
        list = PreviousDatabases::of(config).list() => list?,
        () = cancel.cancelled() => return Err(Interrupted.into()),
    };
    let listed = |previous: PreviousDatabase| Listed {
        rollback_command: rollback_command(&previous.name, &listing.target),
        previous,
    };
    let previous = list.previous.into_iter().map(listed).collect();
    let list = List { database: list.database, previous, notices: list.notices };
    if args.output == OutputFormat::Text {
        list.notices.iter().for_each(|notice| output::tell("warning", &notice.text));
    }
    print(args, "previous_list", &list, output::previous_list)
}

async fn roll_back(
    args: &RollbackArgs,
    environment: &Environment,
    display: &Arc<Display>,
    cancel: &CancellationToken,
) -> Result<RolledBack> {
    let mut options = args.options();
    options.failpoint = environment.failpoint;
    let databases = previous_databases(&args.target, environment, display, cancel)?;
    let rollback = databases.rollback(args.name.as_deref(), options).await?;
    if args.dry_run {
        let planned = RolledBack {
            dry_run: true,
            database: rollback.database().to_owned(),
            restored: rollback.previous().clone(),
            previous_database: None,
            rollback_command: None,
            notices: in_flags(rollback.notices()),
            took_seconds: None,
        };
        rollback.close().await;
        return Ok(planned);
    }
    if !args.force
        && let Err(refusal) = ask(&rollback_question(&rollback), display, cancel).await
    {
        rollback.close().await;
        return Err(refusal);
    }
    let report = rollback.run().await.map_err(Failure::of)?;
    Ok(RolledBack {
        dry_run: false,
        rollback_command: Some(rollback_command(&report.previous, &args.target)),
        database: report.database,
        restored: report.restored,
        previous_database: Some(report.previous),
        notices: in_flags(&report.notices),
        took_seconds: Some(report.took.as_secs_f64()),
    })
}

async fn drop_previous(
    args: &DropArgs,
    environment: &Environment,
    display: &Arc<Display>,
    cancel: &CancellationToken,
) -> Result<Dropped> {
    let databases = previous_databases(&args.target, environment, display, cancel)?;
    let removal = databases.removal(args.which()?, args.options()).await?;
    if args.dry_run || removal.previous().len() == 0 {
        let planned = Dropped {
            dry_run: args.dry_run,
            database: removal.database().to_owned(),
            dropped: removal.previous().cloned().collect(),
            notices: in_flags(removal.notices()),
            took_seconds: None,
        };
        removal.close().await;
        return Ok(planned);
    }
    if !args.force
        && let Err(refusal) = ask(&drop_question(&removal), display, cancel).await
    {
        removal.close().await;
        return Err(refusal);
    }
    let report = removal.run().await?;
    Ok(Dropped {
        dry_run: false,
        database: report.database,
        dropped: report.dropped,
        notices: in_flags(&report.notices),
        took_seconds: Some(report.took.as_secs_f64()),
    })
}

fn previous_databases(
    target: &TargetArgs,
    environment: &Environment,
    display: &Arc<Display>,
    cancel: &CancellationToken,
) -> Result<PreviousDatabases> {
    let config = environment.target_config(target.file()?)?;
    Ok(PreviousDatabases::of(config).progress(Arc::clone(display) as _).cancel(cancel.clone()))
}

fn in_flags(notices: &[Notice]) -> Vec<Notice> {
    let mut notices = notices.to_vec();
    hints::notices(&mut notices);
    notices
}

async fn ask(question: &Question<'_>, display: &Display, cancel: &CancellationToken) -> Result<()> {
    display.suspend();
    confirm::by_name(question, cancel).await?;
    display.resume();
    Ok(())
}

fn rollback_question(rollback: &Rollback) -> Question<'_> {
    let (database, previous) = (rollback.database(), rollback.previous());
    let bytes = output::bytes(rollback.database_bytes());
    let mut text =
        Text::of(format!("The target {database:?} ({bytes}) is to be replaced by its previous database:"));
    text.append(&output::previous_table([previous]));
    text.line("Its present data are kept as a previous database.");
    Question {
        text,
        ask: "Type the database's name to put the previous one back, anything else to stop: ",
        name: database,
        refused: format!(
            "the target {database:?} holds data that the previous database {:?} would replace, and there is no terminal to ask \
             at; --force replaces them",
            previous.name
        ),
    }
}

fn drop_question(removal: &Removal) -> Question<'_> {
    let database = removal.database();
    let mut text =
        Text::of(format!("These previous databases of {database:?} are to be dropped, with all their data:"));
    text.append(&output::previous_table(removal.previous()));
    let names: Vec<&str> = removal.previous().map(|previous| previous.name.as_str()).collect();
    Question {
        text,
        ask: "Type the target database's name to drop them, anything else to stop: ",
        name: database,
        refused: format!(
            "previous databases would be dropped, and there is no terminal to ask at; --force drops them: {}",
            names.join(", ")
        ),
    }
}
