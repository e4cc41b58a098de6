//! Files whose sums fit and which lie all the same: refused, or what is read is right or an error; nothing crashes, and no lie makes the
//! program ask for memory that is not there.

use super::*;

/// Largest address space this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}

/// Name, place and bytes of all numbers of a header of version 2.
const FIELDS: [(&str, usize, usize); 25] = [
    ("length", 16, 8),
    ("lists", 48, 8),
    ("entries", 56, 8),
    ("slots", 64, 8),
    ("items", 72, 4),
    ("shard", 76, 4),
    ("shards", 80, 4),
    ("keys", 88, 1),
    ("scores", 89, 1),
    ("index", 90, 1),
    ("item bits", 91, 1),
    ("stride", 92, 4),
    ("parts", 96, 4),
    ("vector", 100, 4),
    ("delta", 104, 1),
    ("buckets", 120, 8),
    ("overflowing", 128, 8),
    ("length of a name", 512, 1),
    ("length of a name", 640, 1),
    ("zeros", 200, 8),
    ("zeros", 1016, 8),
    ("zeros of a row", SECTIONS_AT + 24, 8),
    ("zeros behind the rows", SECTIONS_AT + 7 * 32, 8),
    ("zeros", 4080, 8),
    ("version", 8, 4),
];

/// What a field may say instead: numbers near the one it says, and those at which a width or a sign ends.
fn values(now: u64) -> impl Iterator<Item = u64> {
    const FAR: [u64; 14] =
        [0, 1, 2, 3, 7, 33, 64, 255, 1 << 16, 1 << 31, u32::MAX as u64, 1 << 40, 1 << 63, u64::MAX];
    let up = [now.wrapping_add(1), now.wrapping_mul(2), now.wrapping_add(64)];
    up.into_iter().chain([now.wrapping_sub(1), now / 2, now ^ 8]).chain(FAR)
}

/// Whatever the header says, with a sum that fits: refused, or what is read is right. Opened without the whole check, nothing crashes.
#[test]
fn a_header_that_lies_is_refused_and_costs_nothing() {
    let before = peak();
    for bench in shapes().into_iter().map(Bench::new) {
        let whole = &bench.shape.bytes;
        let rows = (0..7).flat_map(|row| {
            [
                ("offset", SECTIONS_AT + row * 32, 8),
                ("length", SECTIONS_AT + row * 32 + 8, 8),
                ("sum", SECTIONS_AT + row * 32 + 16, 8),
            ]
        });
        for (name, at, width) in FIELDS.into_iter().chain(rows) {
            let mut now = [0; 8];
            now[..width].copy_from_slice(&whole[at..at + width]);
            let now = u64::from_le_bytes(now);
            for value in values(now) {
                let mut lying = whole.clone();
                put(&mut lying, at, &value.to_le_bytes()[..width]);
                if lying == *whole {
                    continue;
                }
                resum_header(&mut lying);
                let what = format!("{name} at {at}: {value} instead of {now}");
                match bench.open(&lying, Verify::Full) {
                    Ok(table) => bench.must_be_right(&table, &what),
                    Err(error) => assert_described(&error),
                }
                if let Ok(table) = Table::open(bench.folder.path().join("x"), Verify::Open) {
                    read_all(&table, &bench.all);
                }
            }
        }
    }
    let grown = peak() - before;
    assert!(grown < 4 << 30, "the lies made this process ask for {grown} bytes");
}

/// Reads whatever is there, without believing it.
fn read_all(table: &Table, keys: &All) {
    for (key, _) in keys {
        let _ = said(table, key);
    }
    let keys: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).chain(ABSENT).collect();
    table.multi_get(&keys, &mut |_, found| {
        let _ = found.map(|list| list.map(|list| list.iter().count()));
    });
    for found in table.iter().take(10_000).flatten() {
        assert!(found.1.iter().all(|(item, _)| table.dictionary(item).len() <= 256));
    }
    let _ = table.scrub(&mut |_, _| true);
}

/// Everything but the header lies, with sums that fit, those of records, pilots and buckets included.
#[test]
fn sections_that_lie_with_sums_that_fit_crash_nothing() {
    let mut state = 0x0123_4567_89ab_cdef;
    for bench in shapes().into_iter().map(Bench::new).filter(|bench| version(&bench.shape.bytes) == 2) {
        let whole = &bench.shape.bytes;
        let stride = u32::from_le_bytes(whole[92..96].try_into().unwrap()) as usize;
        for round in 0..400 {
            let mut lying = whole.clone();
            for _ in 0..1 + next(&mut state) % 4 {
                let at = HEADER + next(&mut state) % (whole.len() - HEADER);
                lying[at] = [0, 1, 0x7f, 0x80, 0xff, next(&mut state) as u8][next(&mut state) % 6];
            }
            let (records, length) = sections(whole)[0];
            if length >= stride {
                let slot = next(&mut state) % (length / stride);
                let record = &mut lying[records + slot * stride..][..stride];
                lie_in_record(record, slot as u32, &mut state);
            }
            let (index, length) = sections(whole)[2];
            for (number, line) in (0u64..).zip(lying[index..index + length].chunks_exact_mut(64)) {
                if whole[90] == 0 {
                    let sum = (xxh3_64(&line[..60]) ^ number) as u32;
                    put(line, 60, &sum.to_le_bytes());
                } else {
                    if next(&mut state).is_multiple_of(8) {
                        line[8 * (next(&mut state) % 7)..][..5].fill(0);
                    }
                    let sum = xxh3_64(&line[..56]) ^ number;
                    put(line, 56, &sum.to_le_bytes());
                }
            }
            resum(&mut lying);
            for verify in [Verify::Open, Verify::Full] {
                match bench.open(&lying, verify) {
                    Ok(table) => read_all(&table, &bench.all),
                    Err(error) => assert!(!error.to_string().is_empty(), "round {round}"),
                }
            }
        }
    }
}

/// Makes a record point somewhere in the overflow, with a sum that fits.
fn lie_in_record(record: &mut [u8], slot: u32, state: &mut u64) {
    const OCCUPIED: u32 = 1 << 24;
    const TAIL: u32 = 1 << 25;
    const ELSEWHERE: u32 = 1 << 26;
    let place = [0, 1, 2, 1 << 20, (1 << 40) - 1, next(state) as u64 % 4_096][next(state) % 6];
    let head = [0, 0, 1, (1 << 24) - 1][next(state) % 4];
    let pointer: u64 = place | head << 40;
    let count = [0, 1, 300, (1 << 21) - 1][next(state) % 4];
    let used = if next(state).is_multiple_of(2) {
        put(record, 4, &(count | OCCUPIED | ELSEWHERE).to_le_bytes());
        put(record, 8, &pointer.to_le_bytes());
        16
    } else {
        // Fits where keys are numbers, and where they are one byte and 5 more.
        put(record, 4, &(count | OCCUPIED | TAIL).to_le_bytes());
        if record.len() >= 24 {
            put(record, 16, &pointer.to_le_bytes());
        }
        record.len().min(24)
    };
    let sum = xxh3_64(&record[4..used]) as u32 ^ slot;
    put(record, 0, &sum.to_le_bytes());
}
