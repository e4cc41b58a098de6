//! Object storage as a place to publish to and a source to pull from: a folder that is mounted everywhere, S3, and what speaks like it.
//! The layout there is that of a tables folder. Not for serving: what is served lies on this machine, verified, and stays when the store is
//! away.
//!
//! **Invariant:** keys come from the environment, and appear in no address, log or error.

mod address;
pub(crate) mod cause;
mod pull;
mod push;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Place;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig,
    local::LocalFileSystem,
};

use super::Pointer;
use super::pointer::FILE as CURRENT;
use crate::keylist::EXTENSION;
use crate::types::DEFAULT_NAMESPACE;
use crate::{Error, Result};

pub use address::{Address, Options};
pub use pull::{Looked, Source, Standing};
pub use push::{Progress, Pushed};

/// Bytes of one request for a part of a generation.
const PART: u64 = 8 << 20;
/// Parts that are under way at once; so fetching needs `PART × PARTS` bytes of memory, whatever the size of the generation.
const PARTS: usize = 4;
/// Longest `CURRENT` that is read: 64 lines of 9 names are 18 KiB.
const LONGEST_POINTER: u64 = 64 << 10;

/// A store, opened. Waits are bounded: 5 s to connect, 20 s without a byte, a few retries.
#[derive(Debug)]
pub struct Remote {
    address: Address,
    store: Store,
    /// What stands before the names of tables.
    root: Place,
    namespace: String,
    /// `None` only while it is dropped.
    runtime: Option<tokio::runtime::Runtime>,
    stop: tokio::sync::watch::Sender<bool>,
}

#[derive(Debug)]
enum Store {
    /// Opened at each use: a folder that is not mounted now may be later.
    Folder(PathBuf),
    S3(Arc<dyn ObjectStore>),
}

/// What `CURRENT` of a table says, and the version of it that says so.
#[derive(Debug, Clone)]
struct Found {
    pointer: Pointer,
    version: object_store::UpdateVersion,
}

impl Remote {
    /// Opens the part of a store that belongs to a namespace: all of it for `main`, `ns=<namespace>` for others. Asks the store nothing yet.
    ///
    /// # Errors
    /// Options that make no sense, or what the system said.
    pub fn open(address: &Address, options: &Options, namespace: &str) -> Result<Self> {
        let wrong = |detail: String| Error::invalid(address.to_string(), detail);
        options.check().map_err(|(key, detail)| wrong(format!("{key}: {detail}")))?;
        let (store, mut root) = match address {
            Address::Folder(path) => (Store::Folder(path.clone()), Place::default()),
            Address::S3 { bucket, prefix } => {
                let store = s3(bucket, options).map_err(|said| cause::error(address.to_string(), &said))?;
                (Store::S3(store), Place::from_iter(prefix.iter().map(String::as_str)))
            }
        };
        if namespace != DEFAULT_NAMESPACE {
            root = root.join(format!("ns={namespace}").as_str());
        }
        // One thread: whoever calls waits, and is never a request.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = Some(runtime.map_err(Error::io("the runtime of the object store"))?);
        let (stop, namespace) = (tokio::sync::watch::Sender::new(false), namespace.to_owned());
        Ok(Self { address: address.clone(), store, root, namespace, runtime, stop })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Makes what is under way, and all that comes, end at once with an error. For a server that ends.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Names of the tables that have a folder there, sorted.
    ///
    /// # Errors
    /// What the store said.
    pub fn tables(&self) -> Result<Vec<String>> {
        self.wait(self.list())
    }

    /// What `CURRENT` of a table names there; `None` where nothing was ever pushed.
    ///
    /// # Errors
    /// What the store said, or a pointer that names nothing.
    pub fn current(&self, table: &str) -> Result<Option<Pointer>> {
        Ok(self.wait(self.pointer(table))?.map(|found| found.pointer))
    }

    /// Runs to its end, or until [`Remote::stop`].
    fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(runtime) = &self.runtime else { return Err(self.stopped()) };
        let mut stop = self.stop.subscribe();
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => Err(self.stopped()),
                done = work => done,
            }
        })
    }

    fn stopped(&self) -> Error {
        Error::Store { place: self.address.to_string(), detail: "stopped".to_owned() }
    }

    fn store(&self) -> Result<Arc<dyn ObjectStore>> {
        match &self.store {
            Store::S3(store) => Ok(Arc::clone(store)),
            Store::Folder(path) => {
                // The library's own message says nothing of why.
                std::fs::read_dir(path).map_err(Error::io(path))?;
                let store = LocalFileSystem::new_with_prefix(path).map_err(|said| self.said("", &said))?;
                Ok(Arc::new(store.with_fsync(true)))
            }
        }
    }

    async fn list(&self) -> Result<Vec<String>> {
        let store = self.store()?;
        if let Store::Folder(path) = &self.store
            && !path.join(self.root.as_ref()).is_dir()
        {
            return Ok(Vec::new());
        }
        let found = store.list_with_delimiter(Some(&self.root)).await.map_err(|said| self.said("", &said))?;
        let names = found.common_prefixes.iter().filter_map(|place| place.filename());
        let mut names: Vec<String> =
            names.filter(|name| crate::config::check_name(name).is_ok()).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    async fn pointer(&self, table: &str) -> Result<Option<Found>> {
        let place = self.root.clone().join(table).join(CURRENT);
        let shown = self.shown(&place);
        let got = match self.store()?.get(&place).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(said) => return Err(cause::error(shown, &said)),
        };
        if got.meta.size > LONGEST_POINTER {
            let detail = format!("expected at most {LONGEST_POINTER} bytes, found {}", got.meta.size);
            return Err(Error::invalid(shown, detail));
        }
        let version =
            object_store::UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
        let bytes = got.bytes().await.map_err(|said| cause::error(shown.as_str(), &said))?;
        let pointer = Pointer::parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| {
            Error::invalid(format!("{shown}:1"), "expected the name of a generation; push one to mend it")
        })?;
        Ok(Some(Found { pointer, version }))
    }

    /// What is known of a generation's file there, without reading it; `None` where there is none.
    async fn head(&self, table: &str, generation: &str) -> Result<Option<ObjectMeta>> {
        let place = self.file(table, generation);
        match self.store()?.head(&place).await {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(said) => Err(self.said(place.as_ref(), &said)),
        }
    }

    /// Writes a generation's file, as `found` describes it, into `to`; in parts, so that memory is bounded.
    async fn fetch(&self, found: &ObjectMeta, mut to: &File) -> Result<()> {
        let store = self.store()?;
        let parts = (0..found.size.div_ceil(PART)).map(|n| n * PART..((n + 1) * PART).min(found.size));
        let parts = futures::stream::iter(parts).map(|range| self.part(&store, found, range));
        let mut parts = parts.buffered(PARTS);
        while let Some(bytes) = parts.try_next().await? {
            to.write_all(bytes.as_ref()).map_err(Error::io("the fetched file"))?;
        }
        Ok(())
    }

    /// One range of the very object that `found` describes: another one put in its place meanwhile is an error.
    async fn part(
        &self,
        store: &Arc<dyn ObjectStore>,
        found: &ObjectMeta,
        range: Range<u64>,
    ) -> Result<impl AsRef<[u8]>> {
        let wanted = range.end - range.start;
        let options =
            GetOptions { range: Some(range.into()), if_match: found.e_tag.clone(), ..GetOptions::default() };
        let said = |said| self.said(found.location.as_ref(), &said);
        let bytes =
            store.get_opts(&found.location, options).await.map_err(said)?.bytes().await.map_err(said)?;
        if bytes.len() as u64 != wanted {
            let detail = format!("expected {wanted} bytes, got {}", bytes.len());
            return Err(Error::Store { place: self.shown(&found.location), detail });
        }
        Ok(bytes)
    }

    fn file(&self, table: &str, generation: &str) -> Place {
        self.root.clone().join(table).join(format!("{generation}.{EXTENSION}").as_str())
    }

    /// A place as people write it.
    fn shown(&self, place: &Place) -> String {
        // The prefix is part of the address and of the place.
        let bare = match &self.address {
            Address::Folder(_) => return format!("{}/{place}", self.address),
            Address::S3 { bucket, .. } => bucket,
        };
        format!("s3://{bare}/{place}")
    }

    fn said(&self, place: &str, said: &object_store::Error) -> Error {
        let place = if place.is_empty() { self.address.to_string() } else { self.shown(&Place::from(place)) };
        cause::error(place, said)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // A runtime must not wait where it may be dropped by another runtime's thread.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Whether the environment allows what `allow_http` does.
fn allowed() -> bool {
    std::env::var("AWS_ALLOW_HTTP")
        .is_ok_and(|value| ["1", "true"].contains(&value.to_ascii_lowercase().as_str()))
}

/// Opens a bucket.
pub(crate) fn s3(bucket: &str, options: &Options) -> object_store::Result<Arc<dyn ObjectStore>> {
    // The first one stays, whoever chose it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(5))
        .with_read_timeout(Duration::from_secs(20))
        .with_timeout(Duration::from_secs(180))
        .with_pool_idle_timeout(Duration::from_secs(5))
        .with_allow_http(options.allow_http || allowed());
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(2),
        base: 2.0,
    };
    let retry = RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(30) };
    let mut builder =
        AmazonS3Builder::from_env().with_bucket_name(bucket).with_client_options(client).with_retry(retry);
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    if options.virtual_hosted {
        builder = builder.with_virtual_hosted_style_request(true);
    }
    Ok(Arc::new(builder.build()?))
}
