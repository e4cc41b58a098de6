//! The command line of `weir-trainer`: what it understands, how it answers, and its exit codes. One file a command.

mod candidates;
mod import;
mod runs;
mod sample;
mod split;
mod train;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::{Error, Result};

/// Imports data, builds candidate tables, samples and models, and publishes them.
#[derive(Debug, Parser)]
#[command(name = "weir-trainer", version, max_term_width = 110, after_help = EXAMPLES)]
struct Cli {
    /// How to print results.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  weir-trainer import --dir movielens --out data
  weir-trainer split --data data --by time --test 0.2 --out split
  weir-trainer candidates --data split/train --method item_cf --publish item_cf --config weir.toml
  weir-trainer sample --data split/train --from 0.875 --scene scenes/home.toml --config weir.toml --out samples
  weir-trainer train --samples samples --spec model.toml --out runs/1
  weir-trainer publish runs/1 --model ctr --config weir.toml --gate

Exit codes: 0 done, 1 failed, 2 wrong usage.";

/// How to print results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads RecBole, CSV, TSV, Parquet, MovieLens or event files into DATA.
    Import(import::Args),
    /// Splits DATA into train and test without a leak.
    Split(split::Args),
    /// Builds a table of candidates, and publishes it.
    Candidates(candidates::Args),
    /// Makes samples to train from: out of a server's log, or by replaying DATA.
    Sample(sample::Args),
    /// Trains a model from samples.
    Train(train::Args),
    /// What was trained, from what, how good.
    #[command(subcommand)]
    Runs(runs::Args),
    /// Publishes a run as the next version of a model.
    Publish(runs::Publish),
    /// Goes back to the version of a model that was served before.
    Rollback(runs::Rollback),
    /// Prints a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("weir-trainer: {e}");
            ExitCode::from(e.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let format = cli.format;
    match cli.command {
        Command::Import(args) => args.run(format),
        Command::Split(args) => args.run(format),
        Command::Candidates(args) => args.run(format),
        Command::Sample(args) => args.run(format),
        Command::Train(args) => args.run(format),
        Command::Runs(args) => args.run(format),
        Command::Publish(args) => args.run(format),
        Command::Rollback(args) => args.run(format),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "weir-trainer", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// Prints a result as JSON, or as the text that `text` makes of it. A reader that has gone away (`| head`) is no error.
fn print<T: serde::Serialize>(format: Format, value: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
    use std::io::Write;
    let line = match format {
        Format::Json => serde_json::to_string(value)
            .map_err(|e| Error::invalid("result", format!("cannot be written as JSON: {e}")))?,
        Format::Text => text(value),
    };
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("standard output")(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
