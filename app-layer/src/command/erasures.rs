//! `weir erasures`: for which of the servers that share a Redis erasures wait, and which is gone for good. Not for asking for one:
//! that is `DELETE /v1/users/{id}`.

use clap::Subcommand;
use data_layer::erase;
use data_layer::types::time;

use super::{ConfigFile, Format};
use crate::error::Result;

/// Shows for which servers erasures wait, and ends that for one that is gone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir erasures servers --config weir.toml
  weir erasures forget-server 00c0ffee00c0ffee --config weir.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the servers for which erasures wait.
    Servers {
        #[command(flatten)]
        config: ConfigFile,
        /// How the result is written.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Waits no longer for a server that is gone for good, with its files.
    ForgetServer {
        #[command(flatten)]
        config: ConfigFile,
        /// Identity of its log, as `weir erasures servers` prints it.
        log: String,
    },
}

/// Runs one of them.
///
/// # Errors
/// What the configuration or Redis says; a server that is not gone.
pub fn run(args: &Args) -> Result<()> {
    match &args.command {
        Command::Servers { config, format } => {
            let servers = erase::servers(&config.load()?)?;
            match format {
                Format::Json => println!("{}", serde_json::to_string(&servers).unwrap_or_default()),
                Format::Text => servers.iter().for_each(|server| {
                    let (log, said, open) = (&server.log, time::format_rfc3339(server.said), server.open);
                    println!("{log}  last there {said}  open {open}");
                }),
            }
        }
        Command::ForgetServer { config, log } => {
            erase::forget_server(&config.load()?, log, time::now())?;
            println!(
                "{log} is waited for no longer; its files, if there are any, keep what they have of erased people"
            );
        }
    }
    Ok(())
}
