//! Damaged and lying table files: refused, or the damage is reported when it is read. Never a wrong list, never a key that is
//! silently missing, never a crash. What decays is found by the cheap checks at open, or at the read; what lies with sums that fit
//! is found by the whole check that publishing does.

mod lies;
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

#[test]
fn what_damages_a_file_can_also_mend_it() {
    for shape in shapes() {
        let mut again = shape.bytes.clone();
        resum(&mut again);
        assert!(again == shape.bytes, "{}: sums of a sound file changed", shape.name);
    }
}
