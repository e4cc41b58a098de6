//! Places where a test may stop a process that writes, and kill it: after each step that leaves something on the disk. Not for users,
//! and not in what they run.
//!
//! Only builds with debug assertions have them; in a release build a point is no code at all. That is simpler than a cargo feature:
//! no second build of the crate, nothing to switch on, and the programs that end-to-end tests start have the points, too. A stopped
//! process waits, so that a test can look at the folder as others see it before it sends the kill.

/// Every point. A test goes through all of them, and fails for one that is never reached.
pub const POINTS: [&str; 19] = [
    "write: created",
    "write: filled",
    "write: flushed",
    "write: synced",
    "rename: renamed",
    "rename: synced",
    "folder: created",
    "sweep: removed",
    "build: renamed",
    "journal: written",
    "publish: checked",
    "publish: done",
    "rollback: checked",
    "keep: removed",
    "pull: fetched",
    "pull: followed",
    "push: uploaded",
    "push: checked",
    "push: done",
];

/// Variable that says what to do at points: `list` writes each to standard error as `reached NAME`; a number n stops at the n-th for
/// ever, after writing `stopped NAME`.
pub const VARIABLE: &str = "WEIR_FAULT";

/// A step was taken.
#[inline]
pub(crate) fn point(name: &'static str) {
    #[cfg(debug_assertions)]
    reached::point(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod reached {
    use std::io::Write;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    enum Wish {
        List,
        StopAt(usize),
    }

    static WISH: LazyLock<Option<Wish>> = LazyLock::new(|| {
        let text = std::env::var(super::VARIABLE).ok()?;
        if text == "list" { Some(Wish::List) } else { text.parse().ok().map(Wish::StopAt) }
    });
    static REACHED: AtomicUsize = AtomicUsize::new(0);

    pub fn point(name: &'static str) {
        debug_assert!(super::POINTS.contains(&name), "{name} is missing in POINTS");
        let Some(wish) = &*WISH else { return };
        let number = REACHED.fetch_add(1, SeqCst) + 1;
        match wish {
            Wish::List => say("reached", name),
            Wish::StopAt(at) if *at == number => {
                say("stopped", name);
                loop {
                    std::thread::park();
                }
            }
            Wish::StopAt(_) => {}
        }
    }

    fn say(what: &str, name: &str) {
        // Who does not listen misses nothing that matters.
        let _ = writeln!(std::io::stderr().lock(), "{what} {name}");
    }
}
