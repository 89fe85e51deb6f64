//! Restores a backup under its own instance IDs, shows each step, and stops on Ctrl-C:
//! `cargo run -p pgmig-core --example restore -- store.dump postgres.yaml`

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]

use pgmig_core::backup::{Backup, Source};
use pgmig_core::progress::{Event, Progress};
use pgmig_core::restore::{Instances, Restore, RestoreOptions};
use pgmig_core::server::{TargetConfig, TargetEnvironment};
use pgmig_core::{CancellationToken, Result};
use std::sync::Arc;

struct Steps;

impl Progress for Steps {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::StepEnded { step, took } => eprintln!("{step}: {took:.1?}"),
            Event::Notice(notice) => eprintln!("{}", notice.text),
            _ => {}
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let [archive, target] = [1, 2].map(|number| std::env::args().nth(number).unwrap_or_default());
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move { tokio::signal::ctrl_c().await.map(|()| stopped.cancel()) });
    let target = TargetConfig::from_file(target.as_ref(), &TargetEnvironment::default())?;
    let backup = Backup::open(Source::File(archive.into()), None).await?;
    let options = RestoreOptions::new(Instances::Keep);
    let restore =
        Restore::of(backup, target, options).progress(Arc::new(Steps)).cancel(stop).prepare().await?;
    println!("{} tables", restore.run().await?.tables.len());
    Ok(())
}
