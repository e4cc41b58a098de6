//! A file that shrinks under its map: the read gets zeros, and a sum that fails, instead of ending the process by SIGBUS. Not a
//! licence to truncate: what is lost is reported, not mended.
//!
//! A read of a mapped page that its file no longer has raises SIGBUS. The handler looks the address up among the maps of this
//! store. Where it is one of theirs, zero pages take the place of the lost ones, and the read goes on: a record of zeros fails
//! its sum. Any other SIGBUS goes to whatever handler was there before, or ends the process as it would have.
//!
//! A signal handler may neither allocate nor lock, so the maps stand in a fixed array of atomics. It has room for [`CAPACITY`]
//! maps; those beyond keep the system's default. Linux only; elsewhere nothing is installed.
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use libc::{c_int, c_void, sigaction, siginfo_t};

/// Most maps that are guarded at a time.
pub(super) const CAPACITY: usize = 4096;

/// `si_code`: the page lies beyond the end of its file, or could not be read from the disk.
const ADDRESS: c_int = 2;
/// `si_code`: the memory of the page is broken.
const BROKEN_MEMORY: c_int = 4;
/// Marks a slot that is being filled. No map starts there.
const TAKEN: usize = 1;

/// One guarded map: bytes `start..end` of this process.
///
/// **Invariant:** `end` is 0 whenever `start` changes, so that a reader who sees the same `start` before and after `end` has a
/// range that is, or was just now, a map of this store.
struct Slot {
    start: AtomicUsize,
    end: AtomicUsize,
    /// From here to `end` there are zeros already; `end` where nothing was lost.
    whole: AtomicUsize,
    /// Whether anything was lost.
    lost: AtomicBool,
}

static SLOTS: [Slot; CAPACITY] = [const { Slot::FREE }; CAPACITY];
/// Size of a page; 0 before the handler stands.
static PAGE: AtomicUsize = AtomicUsize::new(0);
static INSTALLED: Once = Once::new();
static BEFORE: Before = Before(UnsafeCell::new(MaybeUninit::uninit()));

/// What SIGBUS did before.
struct Before(UnsafeCell<MaybeUninit<sigaction>>);

// SAFETY: written once, under `INSTALLED`, before the handler is installed that reads it; only read from then on.
unsafe impl Sync for Before {}

/// A map stands in the registry as long as this lives. To be dropped before the map is.
#[derive(Debug)]
pub(super) struct Guard(&'static Slot);

impl Slot {
    #[allow(clippy::declare_interior_mutable_const)]
    const FREE: Self = Self {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        whole: AtomicUsize::new(0),
        lost: AtomicBool::new(false),
    };
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start.load(SeqCst), self.end.load(SeqCst))
    }
}

impl Guard {
    /// Guards a map, given as the bytes it shows. `None` where [`CAPACITY`] maps are guarded, or where the system takes no handler:
    /// what becomes of a truncated file is then the system's.
    pub(super) fn over(bytes: &[u8]) -> Option<Self> {
        INSTALLED.call_once(install);
        let page = PAGE.load(SeqCst);
        let start = bytes.as_ptr().addr();
        if page == 0 || start <= TAKEN || !start.is_multiple_of(page) {
            return None;
        }
        let free = |slot: &&Slot| slot.start.compare_exchange(0, TAKEN, SeqCst, SeqCst).is_ok();
        let slot = SLOTS.iter().find(free)?;
        // The last page counts whole: it is mapped whole.
        let end = start + bytes.len().next_multiple_of(page);
        slot.whole.store(end, SeqCst);
        slot.lost.store(false, SeqCst);
        slot.start.store(start, SeqCst);
        slot.end.store(end, SeqCst);
        Some(Self(slot))
    }

    /// Whether bytes of this map were lost since. Bytes that were checked before and used before this said "no" were whole.
    pub(super) fn lost(&self) -> bool {
        self.0.lost.load(SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.end.store(0, SeqCst);
        self.0.start.store(0, SeqCst);
    }
}

/// Puts the handler in front of the one that is there.
fn install() {
    // SAFETY: `sysconf` reads a constant of the system.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(0);
    if !page.is_power_of_two() {
        return;
    }
    // SAFETY: `sigaction` with a null action only writes the present one to the place given, which nobody else touches before the
    // handler stands. The new action is whole: zeros are valid for all its fields, and the handler has the signature that
    // SA_SIGINFO asks for. Only on success does `PAGE` say that the handler stands.
    unsafe {
        let before = BEFORE.0.get().cast::<sigaction>();
        if sigaction(libc::SIGBUS, std::ptr::null(), before) != 0 {
            return;
        }
        let mut ours: sigaction = std::mem::zeroed();
        ours.sa_sigaction = on_bus as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | ((*before).sa_flags & libc::SA_RESTART);
        ours.sa_mask = (*before).sa_mask;
        if sigaction(libc::SIGBUS, &raw const ours, std::ptr::null_mut()) == 0 {
            PAGE.store(page, SeqCst);
        }
    }
}

/// The handler. Uses atomics and system calls only: no allocation, no lock, no panic.
extern "C" fn on_bus(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes a valid `info`; `si_addr` is there for the codes that are looked at, which only a fault has. `errno`
    // is this thread's own, and is put back for the code that was interrupted.
    unsafe {
        let errno = *libc::__errno_location();
        let fault = matches!((*info).si_code, ADDRESS | BROKEN_MEMORY);
        if !(fault && replace((*info).si_addr().addr(), (*info).si_code == ADDRESS)) {
            pass_on(signal, info, context);
        }
        *libc::__errno_location() = errno;
    }
}

/// Puts zeros in the place of what was lost at an address of a guarded map. `false` where it is in none, or where the system
/// refused.
fn replace(address: usize, truncated: bool) -> bool {
    let page = PAGE.load(SeqCst);
    if page == 0 {
        return false;
    }
    let at = address & !(page - 1);
    for slot in &SLOTS {
        let (start, end) = (slot.start.load(SeqCst), slot.end.load(SeqCst));
        if start <= TAKEN || !(start..end).contains(&at) || slot.start.load(SeqCst) != start {
            continue;
        }
        // A file that was cut has lost everything from here on. One page at a time would make as many maps as there are
        // pages, and a process may have 65,530; so the rest goes in one piece where its last page is lost too.
        let whole = slot.whole.load(SeqCst).min(end);
        let to =
            if truncated && whole > at + page && !readable(whole - page, page) { whole } else { at + page };
        if to == whole {
            slot.whole.fetch_min(at, SeqCst);
        }
        // Before anyone can read a zero.
        slot.lost.store(true, SeqCst);
        return zeros(at, to - at);
    }
    false
}

/// Whether a page can be read; asks without reading, so that no second signal comes. "Yes" where the system can't say.
fn readable(at: usize, page: usize) -> bool {
    // SAFETY: MADV_POPULATE_READ fills the page table for a page of a live map and changes no content.
    let said = unsafe { libc::madvise(std::ptr::without_provenance_mut(at), page, libc::MADV_POPULATE_READ) };
    // SAFETY: this thread's own `errno`.
    said == 0 || unsafe { *libc::__errno_location() } != libc::EFAULT
}

/// Maps zeros over pages.
fn zeros(at: usize, length: usize) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the range lies within a guarded map, which lives at least as long as the read that faulted in it. `mmap` is a bare
    // system call on Linux. Those bytes could not be read before, or are read as any `u8` and checked by a sum.
    unsafe {
        let place = std::ptr::without_provenance_mut(at);
        libc::mmap(place, length, libc::PROT_READ, flags, -1, 0) != libc::MAP_FAILED
    }
}

/// What would have happened without this handler.
///
/// # Safety
/// To be called by the handler, with what the system gave it.
unsafe fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: `BEFORE` was written before the handler was installed. A handler that stood there has the signature that its
    // flags say, and gets what the system gave.
    unsafe {
        let before = &*BEFORE.0.get().cast::<sigaction>();
        let sent = (*info).si_code <= 0;
        match before.sa_sigaction {
            libc::SIG_IGN if sent => {}
            // A fault can't be ignored: the system ends the process.
            libc::SIG_DFL | libc::SIG_IGN => {
                let mut default: sigaction = std::mem::zeroed();
                default.sa_sigaction = libc::SIG_DFL;
                sigaction(signal, &raw const default, std::ptr::null_mut());
                // A fault comes again by itself, with its address in the core dump; a signal that was sent does not.
                if sent {
                    libc::raise(signal);
                }
            }
            handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
                let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = std::mem::transmute(handler);
                handler(signal, info, context);
            }
            handler => {
                let handler: extern "C" fn(c_int) = std::mem::transmute(handler);
                handler(signal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::process::ExitStatusExt;
    use std::path::{Path, PathBuf};
    use std::process::{Command, ExitStatus};

    use super::*;
    use crate::keylist::map::map;
    use crate::keylist::{ScoreCodec, Table, TableSpec, Verify, Writer};

    const ROLE: &str = "WEIR_TEST_SIGBUS";
    type Lists = Vec<(String, Vec<(u32, f32)>)>;

    /// A table of some hundred KiB, and what it says.
    fn table(folder: &Path) -> (PathBuf, Table, Lists) {
        let spec = TableSpec { scores: ScoreCodec::Exact, ..TableSpec::new("cut", 0) };
        let mut writer = Writer::new(spec).unwrap();
        let items: Vec<String> = (0..500).map(|i| format!("item-{i}")).collect();
        for key in 0..3_000usize {
            let list: Vec<(&str, f32)> =
                (0..20).map(|i| (items[(key * 7 + i * 13) % 500].as_str(), (key + i) as f32)).collect();
            writer.push(format!("key-{key}").as_str(), &list).unwrap();
        }
        let path = writer.finish(folder).unwrap().path;
        let table = Table::open(&path, Verify::Full).unwrap();
        let lists = table.iter().map(|found| found.unwrap());
        let lists = lists.map(|(key, list)| (key.to_string(), list.iter().collect())).collect();
        (path, table, lists)
    }

    fn cut(path: &Path, length: u64) {
        File::options().write(true).open(path).unwrap().set_len(length).unwrap();
    }

    #[test]
    fn a_truncated_table_gives_right_lists_or_says_that_it_is_corrupt() {
        for part in [0.9, 0.5, 0.0] {
            let folder = tempfile::tempdir().unwrap();
            let (path, table, lists) = table(folder.path());
            assert!(!table.lost_bytes());
            let length = table.header().file_length;
            cut(&path, ((length as f64 * part) as u64).max(4096));
            let (mut right, mut corrupt) = (0, 0);
            let mut count =
                |found: crate::Result<Option<Vec<(u32, f32)>>>, expected: &Vec<(u32, f32)>| match found {
                    Ok(found) => {
                        assert_eq!(found.as_ref(), Some(expected));
                        right += 1;
                    }
                    Err(crate::Error::Corrupt { section, offset, .. }) => {
                        assert!(!section.is_empty() && offset < length);
                        corrupt += 1;
                    }
                    Err(other) => panic!("not the error of a damaged file: {other}"),
                };
            for (key, list) in &lists {
                count(table.get(key).map(|found| found.map(|l| l.iter().collect())), list);
            }
            let keys: Vec<&str> = lists.iter().map(|(key, _)| key.as_str()).collect();
            table.multi_get(&keys, &mut |at, found| {
                count(found.map(|found| found.map(|l| l.iter().collect())), &lists[at].1);
            });
            let whole = table.iter().take_while(Result::is_ok).count();
            assert!(corrupt > 0, "{right} of {} lists can't be right", lists.len() * 2);
            assert!(table.lost_bytes());
            // The records come first, so that those before the cut are read in order.
            assert!(if part == 0.0 { whole == 0 } else { whole > 100 }, "{whole} records left of {part}");
        }
    }

    #[test]
    fn a_table_that_is_truncated_while_it_is_read_gives_no_wrong_list_unnoticed() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let (path, table, lists) = table(folder.path());
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (table, lists) = (&table, &lists);
                    scope.spawn(move || {
                        for (key, list) in lists.iter().cycle().skip(thread * 700).take(lists.len() * 3) {
                            let Ok(found) = table.get(key) else { continue };
                            let right = found.is_some_and(|found| found.iter().eq(list.iter().copied()));
                            assert!(right || table.lost_bytes(), "a wrong list for {key}");
                        }
                    });
                }
                cut(&path, 4096);
            });
        }
    }

    #[test]
    fn losing_very_many_pages_takes_few_maps() {
        const PAGES: usize = 150_000;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        let page = 4096;
        File::create(&path).unwrap().set_len((PAGES * page) as u64).unwrap();
        let map = map(&path).unwrap();
        cut(&path, page as u64);
        // A prime step visits all pages in no order.
        let sum: u64 = (0..PAGES).map(|i| u64::from(map[(i * 7_919 % PAGES) * page])).sum();
        assert_eq!((sum, map.lost()), (0, true));
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
        assert!(maps < 10_000, "{maps} maps");
    }

    #[test]
    fn a_fault_leaves_no_trace_in_errno() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, vec![7; 8192]).unwrap();
        let map = map(&path).unwrap();
        cut(&path, 0);
        // SAFETY: this thread's own `errno`; nothing between the two lines but the read.
        let (byte, errno) = unsafe {
            *libc::__errno_location() = 77;
            (std::ptr::read_volatile(&raw const map[5000]), *libc::__errno_location())
        };
        assert_eq!((byte, errno), (0, 77));
    }

    /// Runs one part of [`a_process_with_a_role`] as a process of its own.
    fn run(role: &str) -> ExitStatus {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "keylist::sigbus::tests::a_process_with_a_role"])
            .env(ROLE, role)
            .output()
            .unwrap()
            .status
    }

    /// Reads beyond the end of a file through a map that is not the store's.
    fn fault_elsewhere(folder: &Path) -> u8 {
        let path = folder.join("other");
        std::fs::write(&path, vec![7; 8192]).unwrap();
        let file = File::open(&path).unwrap();
        // SAFETY: nobody relies on what is read; the fault is the point.
        unsafe {
            let map = memmap2::Mmap::map(&file).unwrap();
            cut(&path, 0);
            std::ptr::read_volatile(&raw const map[5000])
        }
    }

    fn set_handler(action: usize, flags: c_int) {
        // SAFETY: a whole action; the handlers below call `_exit` only.
        unsafe {
            let mut new: sigaction = std::mem::zeroed();
            (new.sa_sigaction, new.sa_flags) = (action, flags);
            assert_eq!(sigaction(libc::SIGBUS, &raw const new, std::ptr::null_mut()), 0);
        }
    }

    extern "C" fn exit_42(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
        // SAFETY: the system's `info`; `_exit` may be called anywhere.
        unsafe { libc::_exit(if (*info).si_code == ADDRESS { 42 } else { 1 }) }
    }

    extern "C" fn exit_43(_: c_int) {
        // SAFETY: may be called anywhere.
        unsafe { libc::_exit(43) }
    }

    /// What the processes run; does nothing where it has no role.
    #[test]
    fn a_process_with_a_role() {
        let Ok(role) = std::env::var(ROLE) else { return };
        let folder = tempfile::tempdir().unwrap();
        match role.as_str() {
            "with information" => set_handler(exit_42 as *const () as usize, libc::SA_SIGINFO),
            "without information" => set_handler(exit_43 as *const () as usize, 0),
            "ignored" | "ignored, sent" => set_handler(libc::SIG_IGN, 0),
            "default" | "default, sent" => set_handler(libc::SIG_DFL, 0),
            _ => {}
        }
        let path = folder.path().join("ours");
        std::fs::write(&path, vec![7; 8192]).unwrap();
        let many = if role == "many" { CAPACITY + 3 } else { 1 };
        let mut maps: Vec<_> = (0..many).map(|_| map(&path).unwrap()).collect();
        if role == "many" {
            assert!(Guard::over(&maps[0]).is_none(), "there is room for {CAPACITY} only");
            assert!(maps.iter().all(|map| map[5000] == 7));
            maps.truncate(1);
            assert!((0..CAPACITY - 1).map(|_| Guard::over(&maps[0]).unwrap()).collect::<Vec<_>>().len() > 1);
        }
        cut(&path, 0);
        assert_eq!((maps[0][0], maps[0][5000]), (0, 0), "our own fault is taken, whoever was there before");
        if role.ends_with("sent") {
            // SAFETY: sends a signal to this thread.
            unsafe { libc::raise(libc::SIGBUS) };
        } else if role != "many" {
            fault_elsewhere(folder.path());
        }
        std::process::exit(7);
    }

    #[test]
    fn other_faults_go_to_who_was_there_before() {
        assert_eq!(run("with information").code(), Some(42));
        assert_eq!(run("without information").code(), Some(43));
        assert_eq!(run("ignored, sent").code(), Some(7));
        // Rust's own handler, none, and a fault that nobody may ignore.
        for role in ["rust", "default", "default, sent", "ignored"] {
            assert_eq!(run(role).signal(), Some(libc::SIGBUS), "{role}");
        }
    }

    #[test]
    fn more_maps_than_there_is_room_for_are_read_all_the_same() {
        assert_eq!(run("many").code(), Some(7));
    }
}
