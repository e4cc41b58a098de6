//! Going back because what is published turned out to be damaged: what nobody asked for, but would. Not for what people take back
//! (`steps.rs`).

use super::folder::Folder;
use super::journal::{Entry, What};
use super::line::Line;
use super::pointer::{Lock, Pointer};
use crate::keylist::Verify;
use crate::{Error, Result};

impl Folder {
    /// Makes the newest line of `CURRENT`'s history that is whole the current one, because the file of `damaged` is not; the journal tells.
    /// `None` where `CURRENT` does not name that file (any more), or nothing before it is whole: then everything stays.
    ///
    /// # Errors
    /// What the system said.
    pub fn fall_back(&self, damaged: &str, detail: &str) -> Result<Option<Line>> {
        if !self.path().is_dir() {
            return Ok(None);
        }
        let _lock = Lock::take(self.path())?;
        let Some(now) = Pointer::read(self.path())? else { return Ok(None) };
        let from = now.line(self.path())?;
        if !from.names().any(|name| name == damaged) {
            return Ok(None);
        }
        for (at, text) in now.history.iter().enumerate() {
            let Ok(line) = Line::parse(text) else { continue };
            if line.names().any(|name| name == damaged || !self.is_whole(name)) {
                continue;
            }
            let detail = format!("{damaged} is damaged: {detail}");
            let entry = Entry {
                from: Some(now.current.clone()),
                detail: Some(detail),
                ..Entry::new(What::Rollback, line.to_string(), self.who())
            };
            self.write_down(entry);
            let history = now.history.iter().skip(at + 1).cloned().collect();
            Pointer { current: text.clone(), history }.write(self.path())?;
            return Ok(Some(line));
        }
        Ok(None)
    }

    /// Whether every byte of a generation checks. One that can't be read now is not.
    fn is_whole(&self, generation: &str) -> bool {
        match self.open(Some(generation), Verify::Full) {
            Ok(_) => true,
            Err(error) => {
                let gone = matches!(error, Error::NotFound { .. });
                if !gone {
                    tracing::warn!(table = self.name(), generation, %error, "not gone back to");
                }
                false
            }
        }
    }
}
