//! A sealed segment that is written anew: beside the old one, synced, and put in its place by rename. Cut off anywhere, one of the two is there
//! whole; where it is given up, nothing of it stays. Not for what is in it: `erase/` and `compact/` know that.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::format::SEGMENT_HEADER;
use crate::{Error, Result};

/// Bytes that are gathered before they are written.
const BLOCK: usize = 1 << 18;

/// A segment on its way; dropped before [`Anew::put_in_place`], the old one stays.
#[derive(Debug)]
pub struct Anew {
    path: PathBuf,
    draft: Draft,
    out: BufWriter<File>,
}

/// The file beside the old one; removed when this is dropped, unless it has the other's name by then.
#[derive(Debug)]
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "half a segment could not be removed");
        }
    }
}

impl Anew {
    /// Begins beside the segment `path`, with its header; `ending` is that of the file until it is in its place.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin(path: &Path, ending: &str) -> Result<Self> {
        let mut head = [0; SEGMENT_HEADER];
        File::open(path).and_then(|mut file| file.read_exact(&mut head)).map_err(Error::io(path))?;
        let draft = Draft(path.with_extension(ending));
        let out = BufWriter::with_capacity(BLOCK, File::create(&draft.0).map_err(Error::io(&draft.0))?);
        let mut anew = Self { path: path.to_owned(), draft, out };
        anew.put(&head)?;
        Ok(anew)
    }

    /// Appends records as bytes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(Error::io(&self.draft.0))
    }

    /// Syncs it and puts it in the place of the old one; its length in bytes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn put_in_place(self) -> Result<u64> {
        let Self { path, draft, out } = self;
        let file = out.into_inner().map_err(|error| Error::io(&draft.0)(error.into_error()))?;
        let len = file.sync_all().and_then(|()| file.metadata()).map_err(Error::io(&draft.0))?.len();
        std::fs::rename(&draft.0, &path).map_err(Error::io(&path))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io(folder))?;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_that_is_given_up_leaves_nothing_and_the_old_one_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000000000000000001.seg");
        std::fs::write(&path, [7; SEGMENT_HEADER + 9]).unwrap();
        let mut anew = Anew::begin(&path, "new").unwrap();
        anew.put(&[1; 3]).unwrap();
        assert!(path.with_extension("new").exists());
        drop(anew);
        assert_eq!(std::fs::read(&path).unwrap(), [7; SEGMENT_HEADER + 9]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let mut anew = Anew::begin(&path, "new").unwrap();
        anew.put(&[1; 3]).unwrap();
        assert_eq!(anew.put_in_place().unwrap(), SEGMENT_HEADER as u64 + 3);
        assert_eq!(std::fs::read(&path).unwrap(), [&[7; SEGMENT_HEADER][..], &[1; 3]].concat());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
