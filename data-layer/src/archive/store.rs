//! Where an archive lies: a folder, or a bucket of object storage. Small whole objects in and out. Not for tables: `publish/remote`
//! keeps those.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path as Place;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart, local::LocalFileSystem};
use tokio::sync::watch;

use crate::publish::remote::{Address, Options, cause, s3};
use crate::types::DEFAULT_NAMESPACE;
use crate::{Error, Result};

/// Bytes of one part of a file: a slow line must take one within the time that a store may be silent.
const PART: usize = 8 << 20;
/// Parts of one file under way at once.
const PARTS: usize = 2;

/// An archive's place, opened for one namespace. Used by one thread at a time; waits are bounded as those of tables are.
#[derive(Debug)]
pub struct Store {
    address: Address,
    store: Arc<dyn ObjectStore>,
    root: Place,
    /// `None` only while it is dropped.
    runtime: Option<tokio::runtime::Runtime>,
    stop: Arc<watch::Sender<bool>>,
}

impl Store {
    /// Opens the part of an archive that belongs to a namespace: all of it for `main`, `ns=<namespace>` for others. A folder that
    /// does not exist is made.
    ///
    /// # Errors
    /// Options that make no sense, or what the system said.
    pub fn open(address: &Address, options: &Options, namespace: &str) -> Result<Self> {
        let wrong = |detail: String| Error::invalid(address.to_string(), detail);
        options.check().map_err(|(key, detail)| wrong(format!("{key}: {detail}")))?;
        let (store, mut root): (Arc<dyn ObjectStore>, Place) = match address {
            Address::Folder(path) => {
                std::fs::create_dir_all(path).map_err(Error::io(path))?;
                let store = LocalFileSystem::new_with_prefix(path);
                let store = store.map_err(|said| cause::error(address.to_string(), &said))?;
                (Arc::new(store.with_fsync(true)), Place::default())
            }
            Address::S3 { bucket, prefix } => {
                let store = s3(bucket, options).map_err(|said| cause::error(address.to_string(), &said))?;
                (store, Place::from_iter(prefix.iter().map(String::as_str)))
            }
        };
        if namespace != DEFAULT_NAMESPACE {
            root = root.join(format!("ns={namespace}").as_str());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = Some(runtime.map_err(Error::io("the runtime of the archive"))?);
        let stop = Arc::new(watch::Sender::new(false));
        Ok(Self { address: address.clone(), store, root, runtime, stop })
    }

    /// What, once it says so, makes what is under way and all that comes end at once with an error. For a server that ends.
    pub(crate) fn stop(&self) -> Arc<watch::Sender<bool>> {
        Arc::clone(&self.stop)
    }

    /// A name below this archive as people write it.
    #[must_use]
    pub fn shown(&self, name: &str) -> String {
        match &self.address {
            Address::Folder(_) => format!("{}/{}", self.address, self.place(name)),
            Address::S3 { bucket, .. } => format!("s3://{bucket}/{}", self.place(name)),
        }
    }

    /// Puts an object there, whole or not at all, over one of the same name.
    ///
    /// # Errors
    /// What the store said.
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let place = self.place(name);
        let put = self.wait(async { self.store.put(&place, PutPayload::from(bytes)).await })?;
        put.map(drop).map_err(|said| cause::error(self.shown(name), &said))
    }

    /// Puts a file there, as [`Store::put`] puts bytes; a long one in parts, of which a few are in memory.
    ///
    /// # Errors
    /// What the store said, or the system of the file.
    pub fn put_file(&self, name: &str, path: &Path) -> Result<()> {
        let mut file = File::open(path).map_err(Error::io(path))?;
        if file.metadata().map_err(Error::io(path))?.len() <= PART as u64 {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(Error::io(path))?;
            return self.put(name, bytes);
        }
        let said = |said| cause::error(self.shown(name), &said);
        self.wait(async {
            let upload = self.store.put_multipart(&self.place(name)).await.map_err(said)?;
            let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
            match self.put_parts(&mut upload, &mut file, name, path).await {
                Ok(()) => upload.finish().await.map(drop).map_err(said),
                Err(error) => {
                    // Parts that can't be taken back are never read; a rule of the bucket for unfinished uploads removes them.
                    let _ = upload.abort().await;
                    Err(error)
                }
            }
        })?
    }

    async fn put_parts(
        &self,
        upload: &mut WriteMultipart,
        file: &mut File,
        name: &str,
        path: &Path,
    ) -> Result<()> {
        loop {
            let mut part = Vec::with_capacity(PART);
            Read::take(&mut *file, PART as u64).read_to_end(&mut part).map_err(Error::io(path))?;
            if part.is_empty() {
                return Ok(());
            }
            let room = upload.wait_for_capacity(PARTS).await;
            room.map_err(|said| cause::error(self.shown(name), &said))?;
            upload.put(part.into());
        }
    }

    /// Brings an object into a new file, in parts; `false` where there is none.
    ///
    /// # Errors
    /// What the store said, or the system of the file.
    pub fn get_file(&self, name: &str, path: &Path) -> Result<bool> {
        let place = self.place(name);
        let mut file = File::create(path).map_err(Error::io(path))?;
        let said = self.wait(async {
            let mut parts = match self.store.get(&place).await {
                Ok(got) => got.into_stream(),
                Err(object_store::Error::NotFound { .. }) => return Ok(Ok(false)),
                Err(said) => return Err(said),
            };
            while let Some(part) = parts.try_next().await? {
                if let Err(error) = file.write_all(&part) {
                    return Ok(Err(error));
                }
            }
            Ok(file.sync_all().map(|()| true))
        })?;
        said.map_err(|said| cause::error(self.shown(name), &said))?.map_err(Error::io(path))
    }

    /// An object; `None` where there is none.
    ///
    /// # Errors
    /// What the store said.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let place = self.place(name);
        let got = self.wait(async {
            match self.store.get(&place).await {
                Ok(got) => got.bytes().await.map(|bytes| Some(bytes.to_vec())),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(said) => Err(said),
            }
        })?;
        got.map_err(|said| cause::error(self.shown(name), &said))
    }

    /// Names of the objects in a folder, sorted; none where there is no folder.
    ///
    /// # Errors
    /// What the store said.
    pub fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.found(folder, |place| place.filename().map(str::to_owned))
    }

    /// Names of the objects below a folder, from this archive on, sorted.
    ///
    /// # Errors
    /// What the store said.
    pub fn below(&self, folder: &str) -> Result<Vec<String>> {
        let skip = self.root.parts().count();
        self.found(folder, |place| {
            let parts = place.parts().skip(skip);
            Some(parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"))
        })
    }

    fn found(&self, folder: &str, name: impl Fn(&Place) -> Option<String>) -> Result<Vec<String>> {
        let place = self.place(folder);
        let found = self.wait(async { self.store.list(Some(&place)).try_collect::<Vec<_>>().await })?;
        let found = match found {
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            other => other.map_err(|said| cause::error(self.shown(folder), &said))?,
        };
        let mut names: Vec<String> = found.iter().filter_map(|object| name(&object.location)).collect();
        names.sort();
        Ok(names)
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// What the store said.
    pub fn remove(&self, name: &str) -> Result<()> {
        let place = self.place(name);
        match self.wait(async { self.store.delete(&place).await })? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(said) => Err(cause::error(self.shown(name), &said)),
        }
    }

    fn place(&self, name: &str) -> Place {
        name.split('/').fold(self.root.clone(), |place, part| place.join(part))
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let stopped = || Error::Store { place: self.address.to_string(), detail: "stopped".to_owned() };
        let Some(runtime) = &self.runtime else { return Err(stopped()) };
        let mut stop = self.stop.subscribe();
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => Err(stopped()),
                done = work => Ok(done),
            }
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // A runtime must not wait where it may be dropped by another runtime's thread.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
