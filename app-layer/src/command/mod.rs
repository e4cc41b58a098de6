//! The command line of `weir`. One file per command; what they do is the engine's.

pub mod backup;
pub mod check;
pub mod erasures;
pub mod events;
pub mod lobby;
pub mod recommend;
pub mod serve;
pub mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use data_layer::Config;

use crate::error::{Error, Result};

/// Weir: a layered recommendation platform. Events in, recommendations out.
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_help = EXAMPLES)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  weir check --config weir.toml
  weir serve --config weir.toml
  weir recommend --config weir.toml --scene home --user u1 --size 10 --explain
  weir table list tables/popular
  weir events load events.ndjson --config weir.toml";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves recommendations and takes events, until Ctrl-C.
    Serve(serve::Args),
    /// Checks everything that can be wrong, at once, before serving; prints what each scene reads.
    Check(check::Args),
    /// Recommends without a server: for one person, or for many into a file.
    Recommend(recommend::Args),
    /// Builds, looks into, checks, publishes and rolls back tables.
    Table(table::Args),
    /// Sends, loads or shows events.
    Events(events::Args),
    /// Copies the newest snapshot and the log to a folder or a store, beside a server or without one.
    Backup(backup::BackupArgs),
    /// Puts a backup back.
    Restore(backup::RestoreArgs),
    /// Shows for which servers erasures wait, and ends that for one that is gone.
    Erasures(erasures::Args),
    /// Writes completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Where the configuration is.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigFile {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "weir.toml", env = "WEIR_CONFIG")]
    pub config: PathBuf,
}

impl ConfigFile {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong, with the line.
    pub fn load(&self) -> Result<Config> {
        Ok(Config::load(&self.config)?)
    }
}

/// Runs the program: exit code 0 done, 1 failed, 2 wrong usage.
#[must_use]
pub fn run() -> ExitCode {
    let line = match Line::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and version are no errors; clap knows which stream they belong to.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let outcome = match line.command {
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Recommend(args) => recommend::run(&args),
        Command::Table(args) => table::run(&args),
        Command::Events(args) => events::run(&args),
        Command::Backup(args) => backup::run_backup(&args),
        Command::Restore(args) => backup::run_restore(&args),
        Command::Erasures(args) => erasures::run(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Line::command(), "weir", &mut std::io::stdout());
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(if matches!(error, Error::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// A progress bar; `of` 0 where the end is not known. Drawn on a terminal only.
fn bar(of: u64, what: &str) -> indicatif::ProgressBar {
    let bar = if of == 0 { indicatif::ProgressBar::new_spinner() } else { indicatif::ProgressBar::new(of) };
    let form =
        if of == 0 { "{spinner} {human_pos} {msg}" } else { "{bar:40} {human_pos}/{human_len} {msg} {eta}" };
    if let Ok(style) = indicatif::ProgressStyle::with_template(form) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

/// Messages of the program go to standard error; `RUST_LOG` chooses which, `info` and worse by default.
fn log_to_stderr() {
    use tracing_subscriber::EnvFilter;
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,object_store=warn"));
    // A second logger in one process (tests) keeps the first.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
