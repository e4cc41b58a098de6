//! `weir-eval audience make`: a simulated public as files; `act`: it acts on a running server.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Format, print, progress};
use crate::audience::{Laws, Recipe, act, files, make};
use crate::error::{Error, Result};

/// Make a simulated public, or let it act.
#[derive(Debug, Args)]
pub struct Audience {
    #[command(subcommand)]
    command: AudienceCommand,
}

#[derive(Debug, Subcommand)]
enum AudienceCommand {
    /// Write audience.inter, .item and .user, and apart from them truth/, which nothing that serves or trains may read.
    Make(Make),
    /// Ask a running server for recommendations, look, click, and send what was seen, through the public API.
    Act(Act),
}

const MAKE_EXAMPLES: &str = "\
Examples:
  weir-eval audience make --seed 1 --users 5000 --items 2000 --days 30 --out world
  weir-eval audience make --seed 1 --users 1000 --items 500 --days 30 --out null --null

The same arguments write the same bytes. The past ends at 2026-11-01T00:00:00Z.";

#[derive(Debug, Args)]
#[command(after_help = MAKE_EXAMPLES)]
struct Make {
    /// Seed of all chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// People, 1 to 100000.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    users: u32,
    /// Items, 1 to 100000.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    items: u32,
    /// Length of the past in days, 1 to 365.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=365))]
    days: u32,
    /// Folder to write to; made if absent.
    #[arg(long)]
    out: PathBuf,
    /// A world without taste: the same list is best for everybody, at any time.
    #[arg(long)]
    null: bool,
    /// Form of the summary.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const ACT_EXAMPLES: &str = "\
Examples:
  weir-eval audience act --url http://127.0.0.1:8080 --world world --rate 5 --seed 1
  weir-eval audience act --url http://127.0.0.1:8080 --world world --rate 20 --seed 7 --for 60 --scene home";

#[derive(Debug, Args)]
#[command(after_help = ACT_EXAMPLES)]
struct Act {
    /// Address of the server.
    #[arg(long)]
    url: String,
    /// Folder that `audience make` wrote.
    #[arg(long)]
    world: PathBuf,
    /// Pages asked for a second, up to 1000; waits between them are even.
    #[arg(long, default_value_t = 5.0)]
    rate: f64,
    /// Seed of all chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop after so many seconds; absent: until interrupted.
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Scene to ask for.
    #[arg(long, default_value = "home")]
    scene: String,
    /// Items on a page, 1 to 100.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    size: u32,
    /// Chance that a page is asked for by somebody who was never there before.
    #[arg(long, default_value_t = 0.05)]
    new: f64,
    /// Form of the summary.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Audience {
    /// Runs the command.
    ///
    /// # Errors
    /// As the command.
    pub fn run(self) -> Result<()> {
        match self.command {
            AudienceCommand::Make(make) => make.run(),
            AudienceCommand::Act(act) => act.run(),
        }
    }
}

impl Make {
    fn run(self) -> Result<()> {
        let recipe = Recipe {
            seed: self.seed,
            users: self.users as usize,
            items: self.items as usize,
            days: self.days as usize,
            laws: if self.null { Laws::null() } else { Laws::default() },
        };
        let bar = progress(u64::from(self.days), "days");
        let past = make(&recipe, || bar.inc(1));
        bar.finish_and_clear();
        files::write(&past, &self.out)?;
        let (users, items, rows) = (recipe.users, recipe.items, past.rows.len());
        print(&match self.format {
            Format::Text => format!(
                "{}: {users} people, {items} items, {rows} interactions in {} days; truth/ is for weir-eval only",
                self.out.display(),
                recipe.days
            ),
            Format::Json => serde_json::json!({
                "out": self.out, "seed": recipe.seed, "users": users, "items": items, "days": recipe.days,
                "interactions": rows, "null": self.null,
            })
            .to_string(),
        })
    }
}

impl Act {
    fn run(self) -> Result<()> {
        if !(self.rate > 0.0 && self.rate <= 1000.0) {
            return Err(Error::Usage(format!(
                "--rate must be above 0 and at most 1000, found {}",
                self.rate
            )));
        }
        if !(0.0..=1.0).contains(&self.new) {
            return Err(Error::Usage(format!("--new must be a chance from 0 to 1, found {}", self.new)));
        }
        if self.seconds.is_some_and(|s| !(0.0..1e9).contains(&s)) {
            return Err(Error::Usage("--for must be a number of seconds, 0 or more".to_owned()));
        }
        let world = files::read_truth(&self.world)?;
        let plan = act::Plan {
            url: self.url,
            scene: self.scene,
            rate: self.rate,
            seed: self.seed,
            seconds: self.seconds,
            size: self.size as usize,
            new: self.new,
        };
        let done = act::act(&world, &plan)?;
        print(&match self.format {
            Format::Text => done.to_string(),
            Format::Json => serde_json::to_string(&done).unwrap_or_default(),
        })
    }
}
