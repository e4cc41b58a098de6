//! Damaged and lying table files: refused, or the damage is reported when it is read. Never a wrong list, never a key that is
//! silently missing, never a crash. What decays is found by the cheap checks at open, or at the read; what lies with sums that fit
//! is found by the whole check that publishing does.

mod shapes;

use data_layer::Error;
use data_layer::keylist::{Table, Verify};
use shapes::{ABSENT, Said, Shape, all, large, next, open, said, shapes};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

const HEADER: usize = 4096;
const SECTIONS_AT: usize = 1024;
const BLOCK: usize = 64 << 10;
const FLIPS: usize = 10_000;

type All = Vec<(String, Said)>;

/// A shape with a place for its damaged copies, and what it says undamaged.
struct Bench {
    shape: Shape,
    folder: tempfile::TempDir,
    all: All,
}

impl Bench {
    fn new(shape: Shape) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let all = all(&open(&shape.bytes, &folder.path().join("x"), Verify::Full).unwrap());
        Self { shape, folder, all }
    }

    fn open(&self, bytes: &[u8], verify: Verify) -> data_layer::Result<Table> {
        open(bytes, &self.folder.path().join("x"), verify)
    }

    fn must_refuse(&self, bytes: &[u8], what: &str) {
        for verify in [Verify::Open, Verify::Full] {
            let opened = self.open(bytes, verify);
            assert!(opened.is_err(), "{}: {what}: opened with {verify:?}", self.shape.name);
            assert_described(&opened.unwrap_err());
        }
    }

    /// Refused by the whole check; opened without it, every answer is right or an error.
    fn must_notice(&self, bytes: &[u8], what: &str) {
        let opened = self.open(bytes, Verify::Full);
        assert!(opened.is_err(), "{}: {what}: passed the whole check", self.shape.name);
        assert_described(&opened.unwrap_err());
        if let Ok(table) = Table::open(self.folder.path().join("x"), Verify::Open) {
            self.must_be_right(&table, what);
        }
    }

    /// Every answer of a table is that of the undamaged one, or an error.
    fn must_be_right(&self, table: &Table, what: &str) {
        let name = self.shape.name;
        for (key, expected) in &self.all {
            match said(table, key) {
                Ok(found) => assert_eq!(found.as_ref(), Some(expected), "{name}: {what}: key {key}"),
                Err(error) => assert_described(&error),
            }
        }
        for key in ABSENT {
            match table.get(key) {
                Ok(found) => assert!(found.is_none(), "{name}: {what}: {key:?} is there"),
                Err(error) => assert_described(&error),
            }
        }
        let keys: Vec<&str> = self.all.iter().map(|(key, _)| key.as_str()).chain(ABSENT).collect();
        table.multi_get(&keys, &mut |at, found| match found {
            Ok(found) => {
                let found: Option<Vec<u32>> =
                    found.map(|list| list.iter().map(|(_, score)| score.to_bits()).collect());
                let expected = self.all.get(at).map(|(_, said)| said.list.iter().map(|(_, s)| *s).collect());
                assert_eq!(found, expected, "{name}: {what}: {:?} of many", keys[at]);
            }
            Err(error) => assert_described(&error),
        });
        let (mut lists, mut errors) = (0, 0);
        // A walk over version 1 can't go on behind damage, and says so once.
        for found in table.iter().take(self.all.len() * 2 + 100) {
            match found {
                Ok((key, list)) => {
                    let key = key.to_string();
                    let at = self.all.binary_search_by(|(other, _)| other.cmp(&key));
                    let (_, expected) =
                        &self.all[at.unwrap_or_else(|_| panic!("{name}: {what}: {key} is new"))];
                    assert!(
                        list.iter().map(|(_, score)| score.to_bits()).eq(expected.list.iter().map(|p| p.1))
                    );
                    lists += 1;
                }
                Err(_) => errors += 1,
            }
        }
        assert!(lists == self.all.len() || errors > 0, "{name}: {what}: {lists} lists, no error");
    }
}

/// An error that says which file and part, and where.
fn assert_described(error: &Error) {
    match error {
        Error::Corrupt { section, detail, .. } => assert!(!section.is_empty() && !detail.is_empty()),
        Error::Newer { .. } => {}
        other => panic!("not the error of a damaged file: {other}"),
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn version(bytes: &[u8]) -> u8 {
    bytes[8]
}

/// Offset and length of each section, as the header has them.
fn sections(bytes: &[u8]) -> Vec<(usize, usize)> {
    let count = if version(bytes) == 1 { 4 } else { 7 };
    let entry = |slot: usize| SECTIONS_AT + 32 * slot;
    let section = |at: usize| (u64_at(bytes, at) as usize, u64_at(bytes, at + 8) as usize);
    (0..count).map(|slot| section(entry(slot))).collect()
}

fn resum_header(bytes: &mut [u8]) {
    let sum = xxh3_64(&bytes[..4088]);
    put(bytes, 4088, &sum.to_le_bytes());
}

/// Makes every sum of the tree fit: blocks, sections, header; but not those of records, pilots and buckets.
fn resum(bytes: &mut [u8]) {
    let sections = sections(bytes);
    if version(bytes) == 1 {
        for (slot, (at, length)) in sections.into_iter().enumerate() {
            let sum = xxh3_64(&bytes[at..at + length]);
            put(bytes, SECTIONS_AT + 32 * slot + 16, &sum.to_le_bytes());
        }
        return resum_header(bytes);
    }
    let blocks_at = sections[6].0;
    let mut at_sum = blocks_at;
    for (slot, (at, length)) in sections.iter().take(6).enumerate() {
        let mut of_section = Xxh3::new();
        for start in (*at..at + length).step_by(BLOCK) {
            let sum = xxh3_64(&bytes[start..(start + BLOCK).min(at + length)]).to_le_bytes();
            put(bytes, at_sum, &sum);
            of_section.update(&sum);
            at_sum += 8;
        }
        put(bytes, SECTIONS_AT + 32 * slot + 16, &of_section.digest().to_le_bytes());
    }
    let sum = xxh3_64(&bytes[blocks_at..blocks_at + sections[6].1]);
    put(bytes, SECTIONS_AT + 32 * 6 + 16, &sum.to_le_bytes());
    resum_header(bytes);
}

#[test]
fn no_flipped_bit_gives_a_wrong_list_or_a_silent_miss() {
    let benches: Vec<Bench> = shapes().into_iter().map(Bench::new).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for bench in &benches {
        let mut bytes = bench.shape.bytes.clone();
        for _ in 0..FLIPS.div_ceil(benches.len()) {
            // Most of a header is zeros that nobody reads but its sum: one flip in ten is enough there.
            let within = if next(&mut state).is_multiple_of(10) { 0..HEADER } else { HEADER..bytes.len() };
            let at = within.start + next(&mut state) % (within.end - within.start);
            let bit = 1 << (next(&mut state) % 8);
            bytes[at] ^= bit;
            bench.must_notice(&bytes, &format!("byte {at}, bit mask {bit}"));
            bytes[at] ^= bit;
        }
    }
}

#[test]
fn no_flipped_bit_of_a_table_of_two_parts_goes_unnoticed() {
    let bench = Bench::new(large());
    let mut bytes = bench.shape.bytes.clone();
    let sections = sections(&bytes);
    let mut state = 0x2545_f491_4f6c_dd1d;
    for round in 0..24 {
        // The same number of flips in each section, for most bytes are records.
        let (start, length) = sections[round % sections.len()];
        if length == 0 {
            continue;
        }
        let (at, bit) = (start + next(&mut state) % length, 1 << (next(&mut state) % 8));
        bytes[at] ^= bit;
        bench.must_notice(&bytes, &format!("byte {at}, bit mask {bit}"));
        bytes[at] ^= bit;
    }
}

#[test]
fn a_file_cut_or_grown_is_refused() {
    for bench in shapes().into_iter().map(Bench::new) {
        let whole = &bench.shape.bytes;
        let ends = sections(whole).into_iter().flat_map(|(at, length)| [at, at + length]);
        for end in ends.chain([0, 1, 8, 1024, 2048, HEADER]) {
            for cut in [end.saturating_sub(1), end, end + 1] {
                if cut < whole.len() {
                    bench.must_refuse(&whole[..cut], &format!("cut to {cut}"));
                }
            }
        }
        for more in [1, 64, 70_000] {
            let grown: Vec<u8> = whole.iter().copied().chain(vec![0; more]).collect();
            bench.must_refuse(&grown, &format!("{more} bytes more"));
        }
    }
}

#[test]
fn sections_that_changed_places_are_noticed() {
    for bench in shapes().into_iter().map(Bench::new) {
        let whole = &bench.shape.bytes;
        let sections = sections(whole);
        for a in 0..sections.len() {
            for b in a + 1..sections.len() {
                let ((at_a, of_a), (at_b, of_b)) = (sections[a], sections[b]);
                let (bytes_a, bytes_b) = (&whole[at_a..at_a + of_a], &whole[at_b..at_b + of_b]);
                if bytes_a == bytes_b {
                    continue;
                }
                // The bytes change places; the section table does not know.
                let between = &whole[at_a + of_a..at_b];
                let swapped = [&whole[..at_a], bytes_b, between, bytes_a, &whole[at_b + of_b..]].concat();
                if swapped == *whole {
                    // One of them is empty.
                    continue;
                }
                bench.must_notice(&swapped, &format!("bytes of sections {a} and {b} swapped"));
                // The header's sum fits again, but not what it says.
                let mut table = whole.clone();
                let (row_a, row_b) = (SECTIONS_AT + 32 * a, SECTIONS_AT + 32 * b);
                for i in 0..32 {
                    table.swap(row_a + i, row_b + i);
                }
                resum_header(&mut table);
                bench.must_notice(&table, &format!("rows {a} and {b} of the section table swapped"));
                // Rows and bytes both: all sums fit, but sections have another order than the version has.
                let mut both = swapped;
                let new_b = at_a + of_b + between.len();
                for (row, at, from) in [(row_a, new_b, row_a), (row_b, at_a, row_b)] {
                    put(&mut both, row, &whole[from..from + 32]);
                    put(&mut both, row, &(at as u64).to_le_bytes());
                }
                resum_header(&mut both);
                bench.must_notice(&both, &format!("sections {a} and {b} swapped, bytes and rows"));
            }
        }
    }
}

#[test]
fn records_that_changed_places_are_found_by_the_whole_check() {
    for bench in
        shapes().into_iter().map(Bench::new).filter(|b| version(&b.shape.bytes) == 2 && b.all.len() > 9)
    {
        let mut bytes = bench.shape.bytes.clone();
        let (records, length) = sections(&bytes)[0];
        let stride = u32::from_le_bytes(bytes[92..96].try_into().unwrap()) as usize;
        for slot in 1..length / stride {
            let (first, other) = (records, records + slot * stride);
            if bytes[first..first + stride] != bytes[other..other + stride] {
                (0..stride).for_each(|i| bytes.swap(first + i, other + i));
            }
        }
        resum(&mut bytes);
        let opened = bench.open(&bytes, Verify::Full);
        assert_described(&opened.expect_err("records at the places of others"));
    }
}

#[test]
fn what_is_no_table_of_this_machine_is_refused() {
    for bench in shapes().into_iter().map(Bench::new) {
        let whole = &bench.shape.bytes;
        for zeros in [1, HEADER - 1, HEADER, HEADER + 64, whole.len()] {
            bench.must_refuse(&vec![0; zeros], &format!("{zeros} zeros"));
        }
        let mut other_order = whole.clone();
        other_order[12..16].reverse();
        bench.must_refuse(&other_order, "the other order of bytes");
        resum_header(&mut other_order);
        bench.must_refuse(&other_order, "the other order of bytes, with its sum");
        let mut other_magic = whole.clone();
        put(&mut other_magic, 6, b"\n\n");
        resum_header(&mut other_magic);
        bench.must_refuse(&other_magic, "line endings that were translated");
        for version in [0, 3, 255] {
            let mut other = whole.clone();
            other[8] = version;
            resum_header(&mut other);
            bench.must_refuse(&other, &format!("version {version}"));
        }
    }
}

#[test]
fn a_file_under_the_name_of_another_is_not_served() {
    use data_layer::keylist::{TableSpec, Writer};
    use data_layer::publish::{Folder, Gate};

    let root = tempfile::tempdir().unwrap();
    let made = |table: &str, watermark, score| {
        let folder = Folder::at(root.path().join(table)).unwrap();
        let mut writer = Writer::new(TableSpec::new(table, watermark)).unwrap();
        writer.push("k", &[("a", score)]).unwrap();
        folder.build(writer).unwrap()
    };
    let (one, two) = (made("hot", 1_000, 1.0), made("hot", 2_000, 2.0));
    let hot = Folder::at(root.path().join("hot")).unwrap();
    hot.publish(Some(&one.generation), Gate::Sound).unwrap();
    let refused = |what: &str| {
        for generation in [two.generation.as_str(), one.generation.as_str()] {
            if std::fs::metadata(hot.file(generation)).is_ok() {
                let opened = [Verify::Open, Verify::Full].map(|v| hot.open(Some(generation), v).is_err());
                assert_eq!(opened[0], generation == two.generation, "{what}: {generation}");
                assert_eq!(opened[0], opened[1]);
            }
        }
        let error = hot.publish(Some(&two.generation), Gate::Sound).unwrap_err().to_string();
        assert!(error.contains("keylist"), "{what}: {error}");
        assert_eq!(hot.current().unwrap(), Some(one.generation.clone()), "{what}");
        error
    };
    // Another generation of this table, then another table's file.
    std::fs::copy(&one.path, &two.path).unwrap();
    assert!(refused("a generation under another's name").contains(&one.generation));
    let other = made("cold", 2_000, 3.0);
    std::fs::copy(&other.path, &two.path).unwrap();
    assert!(refused("another table's file").contains("cold"));
    // The other table's file under its own name, in this table's folder.
    let stray = hot.file(&other.generation);
    std::fs::copy(&other.path, &stray).unwrap();
    assert!(hot.open(Some(&other.generation), Verify::Open).unwrap_err().to_string().contains("cold"));
    assert!(hot.publish(Some(&other.generation), Gate::Sound).is_err());
    assert_eq!(hot.current().unwrap(), Some(one.generation.clone()));
}

/// Largest address space this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}

/// Whatever the header says, with a sum that fits: refused, or what is read is right. Opened without the whole check, nothing crashes.
#[test]
fn a_header_that_lies_is_refused_and_costs_nothing() {
    // Name, place and bytes of all numbers of a header of version 2.
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
            let near = [
                now.wrapping_add(1),
                now.wrapping_sub(1),
                now.wrapping_mul(2),
                now.wrapping_add(64),
                now / 2,
                now ^ 8,
            ];
            let far = [
                0,
                1,
                2,
                3,
                7,
                33,
                64,
                255,
                1 << 16,
                1 << 31,
                u64::from(u32::MAX),
                1 << 40,
                1 << 63,
                u64::MAX,
            ];
            for value in near.into_iter().chain(far) {
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

#[test]
fn what_damages_a_file_can_also_mend_it() {
    for shape in shapes() {
        let mut again = shape.bytes.clone();
        resum(&mut again);
        assert!(again == shape.bytes, "{}: sums of a sound file changed", shape.name);
    }
}
