//! Wakes somebody when files below a folder change, by what the system tells (inotify on Linux). For speed only: whoever is woken also
//! looks by the clock, because some file systems tell nothing, and some changes are lost. Not for what changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::journal;

/// Watches one folder and all below it.
pub struct Watch {
    root: PathBuf,
    wake: Arc<dyn Fn() + Send + Sync>,
    watching: Option<(RecommendedWatcher, SystemTime)>,
    refused: Option<String>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("root", &self.root).field("on", &self.watching.is_some()).finish()
    }
}

impl Watch {
    /// Will wake with `wake`, from another thread, as soon as [`Watch::keep`] was called and the folder is there.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { root: root.into(), wake: Arc::new(wake), watching: None, refused: None }
    }

    /// Starts watching where that is not so yet, or where the folder is another one than before. Says so once where the system refuses. To
    /// be called now and then; gives back whether it watches.
    pub fn keep(&mut self) -> bool {
        let born = std::fs::metadata(&self.root).and_then(|data| data.created()).ok();
        let Some(born) = born.or_else(|| self.root.is_dir().then_some(SystemTime::UNIX_EPOCH)) else {
            self.watching = None;
            return false;
        };
        if self.watching.as_ref().is_none_or(|(_, since)| *since != born) {
            self.watching = match self.start() {
                Ok(watcher) => Some((watcher, born)),
                Err(error) => {
                    let said = error.to_string();
                    if self.refused.as_ref() != Some(&said) {
                        let folder = self.root.display();
                        tracing::warn!(%folder, %error, "changes are looked for each second, because the system does not tell of them");
                        self.refused = Some(said);
                    }
                    None
                }
            };
        }
        self.watching.is_some()
    }

    fn start(&self) -> notify::Result<RecommendedWatcher> {
        let wake = Arc::clone(&self.wake);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error may stand for changes that were lost.
            if event.as_ref().map_or(true, matters) {
                wake();
            }
        })?;
        watcher.watch(&self.root, RecursiveMode::Recursive)?;
        Ok(watcher)
    }
}

/// Whether an event may mean something new to read: not what is still being written, not what we do ourselves by looking.
fn matters(event: &Event) -> bool {
    let kind = matches!(
        event.kind,
        EventKind::Create(_)
            | EventKind::Remove(_)
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Access(AccessKind::Close(AccessMode::Write))
    );
    event.need_rescan() || (kind && event.paths.iter().any(|path| seen(path)))
}

/// Whether readers look at a file of this name.
fn seen(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    !name.starts_with('.') && name != journal::FILE
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;

    fn woken(woken: &Receiver<()>) -> bool {
        woken.recv_timeout(Duration::from_secs(20)).is_ok()
    }

    #[test]
    fn it_wakes_for_files_and_folders_and_finds_a_root_that_comes_later() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("tables");
        let (wake, wakes) = channel();
        let wake = parking_lot::Mutex::new(wake);
        let mut watch = Watch::new(&root, move || {
            let _ = wake.lock().send(());
        });
        assert!(!watch.keep(), "there is nothing to watch");
        std::fs::create_dir_all(root.join("hot")).unwrap();
        assert!(watch.keep());
        std::fs::write(root.join("hot/CURRENT"), "x").unwrap();
        assert!(woken(&wakes), "a file");
        std::fs::create_dir(root.join("cold")).unwrap();
        assert!(woken(&wakes), "a folder");
        assert!(watch.keep());
    }

    #[test]
    fn what_nobody_reads_matters_not() {
        let event = |kind, path: &str| Event::new(kind).add_path(PathBuf::from(path));
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert!(matters(&event(closed, "tables/hot/CURRENT")));
        assert!(!matters(&event(closed, "tables/hot/.CURRENT.17.tmp")));
        assert!(!matters(&event(closed, "tables/hot/.lock")));
        assert!(!matters(&event(closed, "tables/hot/journal.ndjson")));
        assert!(!matters(&event(
            EventKind::Access(AccessKind::Open(AccessMode::Read)),
            "tables/hot/CURRENT"
        )));
        assert!(matters(&Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan)));
    }
}
