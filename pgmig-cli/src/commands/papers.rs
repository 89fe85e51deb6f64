//! `pgmig papers`: writes the man pages and the shells' completions, for `make dist`. Not shown in the help.

use crate::args::{Args, PapersArgs};
use anyhow::{Context as _, Result};
use clap::{Command, CommandFactory as _};
use clap_complete::{Shell, generate_to};
use std::fs;

/// The program's name in the files.
const NAME: &str = "pgmig";

/// Writes them to `man/` and `completions/` in a directory.
pub(crate) fn run(papers: &PapersArgs) -> Result<()> {
    let (man, completions) = (papers.directory.join("man"), papers.directory.join("completions"));
    for directory in [&man, &completions] {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let mut command = without_help(Args::command().version(env!("CARGO_PKG_VERSION")));
    command.build();
    clap_mangen::generate_to(command.clone(), &man).context("cannot write the man pages")?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, NAME, &completions)
            .with_context(|| format!("cannot write the completions of {shell}"))?;
    }
    Ok(())
}

/// The command without `help` below it, which would get a page for each command.
fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}
