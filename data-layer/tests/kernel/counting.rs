//! The system's allocator, which counts how often each thread asks it: for tests that claim that nothing is allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator as it came; counting allocates nothing. What is not written here, such
// as growing, asks `alloc`.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: the caller promises what the trait demands.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = TAKEN.try_with(|taken| taken.set(taken.get() + 1));
        // SAFETY: the caller's promise about the layout is the one that the system asks for.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: the caller promises what the trait demands.
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the memory comes from `alloc` above, hence from the system, with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often this thread asks for memory meanwhile.
pub fn allocations(run: impl FnOnce()) -> usize {
    let before = TAKEN.with(Cell::get);
    run();
    TAKEN.with(Cell::get) - before
}
