//! The system's allocator, which knows how many bytes are taken now and how many were at most: for tests that claim a bound.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Peak;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came; counting allocates nothing. What is not written here, such
// as growing, asks `alloc` for the new place and gives the old one back after.
unsafe impl GlobalAlloc for Peak {
    // SAFETY: the caller promises what the trait demands.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let taken = TAKEN.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(taken, Ordering::Relaxed);
        // SAFETY: the caller's promise about the layout is the one that the system asks for.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: the caller promises what the trait demands.
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the memory comes from `alloc` above, hence from the system, with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static PEAK: Peak = Peak;

/// What a run gives, and how many bytes were taken meanwhile, at most, beyond those before. For one thread at a time.
pub fn peak<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = TAKEN.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let given = run();
    (given, MOST.load(Ordering::Relaxed).saturating_sub(before))
}
