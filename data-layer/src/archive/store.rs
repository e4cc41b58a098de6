//! Where an archive lies: a folder, or a bucket of object storage. Small whole objects in and out. Not for tables: `publish/remote`
//! keeps those.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path as Place;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart, local::LocalFileSystem};

use crate::publish::remote::{Address, Options, cause, s3};
use crate::types::DEFAULT_NAMESPACE;
use crate::{Error, Result};

/// Bytes of one part of a file.
const PART: usize = 8 << 20;

/// An archive's place, opened for one namespace. Used by one thread at a time; waits are bounded as those of tables are.
#[derive(Debug)]
pub struct Store {
    address: Address,
    store: Arc<dyn ObjectStore>,
    root: Place,
    /// `None` only while it is dropped.
    runtime: Option<tokio::runtime::Runtime>,
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
        Ok(Self { address: address.clone(), store, root, runtime })
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

    /// Puts a file there in parts, as [`Store::put`] puts bytes.
    ///
    /// # Errors
    /// What the store said, or the system of the file.
    pub fn put_file(&self, name: &str, path: &Path) -> Result<()> {
        let place = self.place(name);
        let mut file = File::open(path).map_err(Error::io(path))?;
        let said = self.wait(async {
            let mut upload = WriteMultipart::new(self.store.put_multipart(&place).await?);
            let mut part = vec![0; PART];
            loop {
                let read = file.read(&mut part).map_err(|source| object_store::Error::Generic {
                    store: "file",
                    source: Box::new(source),
                })?;
                if read == 0 {
                    return upload.finish().await.map(drop);
                }
                upload.write(&part[..read]);
                upload.wait_for_capacity(1).await?;
            }
        })?;
        said.map_err(|said| cause::error(self.shown(name), &said))
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

    /// Removes an object, if it is there.
    ///
    /// # Errors
    /// What the store said.
    pub fn delete(&self, name: &str) -> Result<()> {
        let place = self.place(name);
        match self.wait(async { self.store.delete(&place).await })? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(said) => Err(cause::error(self.shown(name), &said)),
        }
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
        let place = self.place(folder);
        let found = self.wait(async { self.store.list(Some(&place)).try_collect::<Vec<_>>().await })?;
        let found = match found {
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            other => other.map_err(|said| cause::error(self.shown(folder), &said))?,
        };
        let names = found.iter().filter_map(|object| object.location.filename().map(str::to_owned));
        let mut names: Vec<String> = names.collect();
        names.sort();
        Ok(names)
    }

    /// Names of the objects below a folder, from this archive on, sorted.
    ///
    /// # Errors
    /// What the store said.
    pub fn below(&self, folder: &str) -> Result<Vec<String>> {
        let place = self.place(folder);
        let found = self.wait(async { self.store.list(Some(&place)).try_collect::<Vec<_>>().await })?;
        let found = match found {
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            other => other.map_err(|said| cause::error(self.shown(folder), &said))?,
        };
        let skip = self.root.parts().count();
        let name = |object: &object_store::ObjectMeta| {
            let parts = object.location.parts().skip(skip);
            parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/")
        };
        let mut names: Vec<String> = found.iter().map(name).collect();
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
        match &self.runtime {
            Some(runtime) => Ok(runtime.block_on(work)),
            None => Err(Error::Store { place: self.address.to_string(), detail: "stopped".to_owned() }),
        }
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
