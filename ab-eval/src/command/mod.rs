//! The command line: one file per command, listed in [`Command`]. Parsing and printing only.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::{Error, Result};

pub mod ab;
pub mod audience;
pub mod ctr;
pub mod ranking;

/// Says how good recommendations are, and makes a simulated public to try them on.
#[derive(Debug, Parser)]
#[command(name = "weir-eval", version, about, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  weir-eval ranking --recs recs.parquet --truth test.inter --k 10,20 --baseline popular.parquet
  weir-eval ctr --scored scored.parquet
  weir-eval ab --log log --experiment rank
  weir-eval audience make --seed 1 --users 5000 --items 2000 --days 30 --out world
  weir-eval audience act --url http://127.0.0.1:8080 --world world --rate 5 --seed 1

Exit codes: 0 done, 1 failed, 2 wrong usage.";

/// The visible list of commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare ranked lists with what people took: recall, NDCG, MAP, MRR, AUC and more, with intervals.
    Ranking(ranking::Ranking),
    /// Judge scored rows: AUC, GAUC, log loss, NE, ECE, NDCG per slate, with intervals.
    Ctr(ctr::Ctr),
    /// Click-through by bucket of an experiment, from a server's log.
    Ab(ab::Ab),
    /// Make a simulated public, or let it act on a running server.
    Audience(audience::Audience),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Form of a result on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Parses the arguments of the process, runs the command, and gives the exit code.
#[must_use]
pub fn run() -> ExitCode {
    match dispatch(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-eval: {error}");
            ExitCode::from(if matches!(error, Error::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Ranking(ranking) => ranking.run(),
        Command::Ctr(ctr) => ctr.run(),
        Command::Ab(ab) => ab.run(),
        Command::Audience(audience) => audience.run(),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "weir-eval", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// A progress bar on standard error where that is a terminal, else nothing.
fn progress(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}

/// Prints a line to standard output. A reader that has gone away (`| head`) is not an error.
fn print(text: &str) -> Result<()> {
    use std::io::Write;
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("standard output")(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
