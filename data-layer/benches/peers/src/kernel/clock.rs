//! Processor time, which does not run while others have the processor: on a shared machine the fairer clock.

use std::time::Duration;

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place is valid; should the call fail, it stays zero.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Processor time of the calling thread so far, in user code and in the kernel.
#[must_use]
pub fn thread() -> Duration {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Processor time of all threads of this process so far.
#[must_use]
pub fn process() -> Duration {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}
