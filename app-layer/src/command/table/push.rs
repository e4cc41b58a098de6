//! `weir table push`: uploads what a table's folder serves to an object store, for servers elsewhere to pull.

use std::path::{Path, PathBuf};

use data_layer::publish::Folder;
use data_layer::publish::remote::{Address, Options, Remote};

use super::super::{Format, bar};
use crate::error::{Error, Result};

/// What is pushed, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The table's folder; what was published there is pushed.
    folder: PathBuf,
    /// Where to: s3://bucket/prefix, file:///folder, or a path. The table gets a folder of its name below it.
    #[arg(long, value_name = "URL")]
    to: String,
    #[command(flatten)]
    store: StoreArgs,
    /// Upload what seems to be there, too: it mends a damaged object.
    #[arg(long)]
    again: bool,
}

/// How a store is spoken to. Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
#[derive(Debug, clap::Args)]
pub struct StoreArgs {
    /// Address of an S3-compatible store that is not Amazon's, such as https://minio.example:9000.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Region of the bucket.
    #[arg(long)]
    region: Option<String>,
    /// The endpoint may be without TLS.
    #[arg(long)]
    allow_http: bool,
    /// The bucket is part of the host name.
    #[arg(long)]
    virtual_hosted: bool,
}

/// Pushes.
///
/// # Errors
/// What the folder or the store says; what the store serves then stays.
pub fn run(args: &Args, format: Format) -> Result<()> {
    let folder = Folder::at(&args.folder)?;
    let remote = args.store.open(&args.to, folder.namespace())?;
    let bar = bar(0, "bytes");
    let pushed = remote.push(&folder, args.again, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let pushed = pushed?;
    match format {
        Format::Json => println!("{}", serde_json::to_string(&pushed).unwrap_or_default()),
        Format::Text => {
            let from = pushed.from.as_deref().filter(|from| *from != pushed.generation);
            let from = from.map_or_else(String::new, |from| format!(", before it {from}"));
            println!("{}/{}: serves {}{from}", pushed.to, pushed.table, pushed.generation);
            println!(
                "{} uploaded ({} bytes), {} there already",
                pushed.uploaded.len(),
                pushed.bytes,
                pushed.skipped.len()
            );
        }
    }
    Ok(())
}

impl StoreArgs {
    /// Opens the part of a store that belongs to a namespace.
    fn open(&self, url: &str, namespace: &str) -> Result<Remote> {
        let here = std::env::current_dir().map_err(Error::io("."))?;
        let address = Address::parse(url, Path::new(&here)).map_err(Error::Usage)?;
        let options = Options {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            allow_http: self.allow_http,
            virtual_hosted: self.virtual_hosted,
        };
        options.check().map_err(|(key, detail)| Error::Usage(format!("--{key}: {detail}")))?;
        Ok(Remote::open(&address, &options, namespace)?)
    }
}
