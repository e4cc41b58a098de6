//! Puts a file together from the lists of a writer: what has to be known first, then part by part, from memory or from disk. The
//! bytes are `encode.rs`'s.

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use super::build::{OnLists, TWICE, Target, USED, Writer};
use super::dictionary::Dictionary;
use super::encode::{Encoder, Perfect, Plan, part_count};
use super::format::{Header, IndexKind};
use super::pending::{Form, Lists, Place, hash};
use super::perfect::{PART_KEYS, part_of};
use super::record::Layout;
use super::spec::TableSpec;
use super::spill::{Cursor, Spill};
use super::statistics::{Statistics, Tally};
use super::stride::{Sizes, choose_stride};
use crate::{Error, Result};

/// Of lists that come from disk, as much of the budget is in memory at once, in parts: one half.
const PIECE: usize = 2;
/// What was read ahead of them may take one quarter.
const CURSORS: usize = 4;

/// Writes the whole file into `out`; `path` is for errors only.
///
/// # Errors
/// A key twice, a table too large for the format, or what the system said.
pub(super) fn assemble<T: Target>(
    writer: Writer,
    out: &mut T,
    path: &Path,
    on_lists: &mut OnLists<'_>,
) -> Result<(Header, Statistics)> {
    let (ids, renumber) = sorted_dictionary(&writer);
    let layout = layout(&writer, ids.len());
    let Writer { spec, mut lists, mut spill, pushed, dictionary, tally, .. } = writer;
    let count = part_count(pushed);
    if !spill.is_empty() && !lists.places().is_empty() {
        spill.write(&mut lists)?;
        lists.clear();
        lists.shrink(spec.memory / PIECE);
    }
    let mut parts = if spill.is_empty() {
        Parts::of_memory(lists, count)
    } else {
        Parts::of_disk(lists, spill, count, &spec)?
    };
    let book = Book {
        spec: &spec,
        layout,
        dictionary: &dictionary,
        tally: &tally,
        ids: &ids,
        renumber: &renumber,
        lists: pushed,
        path,
    };
    // Hashes that are as they should be never fill a part twice over.
    let sound = parts.sizes.iter().all(|size| u64::from(size.lists) <= 2 * PART_KEYS);
    if spec.index == IndexKind::Perfect
        && sound
        && let Some(made) = book.write(IndexKind::Perfect, &mut parts, out, on_lists)?
    {
        return Ok(made);
    }
    let made = book.write(IndexKind::Open, &mut parts, out, on_lists)?;
    made.ok_or_else(|| Error::invalid("table", "open addressing takes any keys"))
}

/// The numbers of the ids that lists name, in the order of their texts, and the new number of each old one.
fn sorted_dictionary(writer: &Writer) -> (Vec<u32>, Vec<u32>) {
    // An item that no list names, or only one that was refused, was never seen.
    let seen = |old: &u32| writer.seen[*old as usize] & USED != 0;
    let mut ids: Vec<u32> = (0..writer.seen.len() as u32).filter(seen).collect();
    ids.sort_unstable_by(|a, b| writer.dictionary.text(*a).cmp(writer.dictionary.text(*b)));
    let mut renumber = vec![0u32; writer.seen.len()];
    for (old, new) in ids.iter().zip(0u32..) {
        renumber[*old as usize] = new;
    }
    (ids, renumber)
}

fn layout(writer: &Writer, ids: usize) -> Layout {
    let mut layout = Layout {
        keys: writer.spec.keys,
        scores: writer.spec.scores,
        bits: (u32::BITS - (ids as u32).saturating_sub(1).leading_zeros()).max(1),
        vector: writer.spec.vector,
        stride: 0,
    };
    let mut sizes = Sizes::new();
    for ((base, count), lists) in writer.shapes.iter().chain([(&writer.shape.0, &writer.shape.1)]) {
        sizes.count(layout.sized(*base as usize, *count as usize), *lists);
    }
    layout.stride = choose_stride(&sizes, writer.pushed + writer.pushed / 49);
    layout
}

/// What all parts of a file have in common.
struct Book<'a> {
    spec: &'a TableSpec,
    layout: Layout,
    dictionary: &'a Dictionary,
    tally: &'a Tally,
    ids: &'a [u32],
    renumber: &'a [u32],
    lists: u64,
    path: &'a Path,
}

impl Book<'_> {
    /// `None`: there is no perfect hash.
    fn write<T: Target>(
        &self,
        index: IndexKind,
        parts: &mut Parts,
        out: &mut T,
        on_lists: &mut OnLists<'_>,
    ) -> Result<Option<(Header, Statistics)>> {
        out.restart().map_err(Error::io(self.path))?;
        parts.restart();
        let sizes = parts.sizes.iter().map(|size| size.lists).collect();
        let plan = Plan { layout: self.layout, index, parts: sizes };
        let mut encoder = Encoder::new(&mut *out, plan, self.path, self.spec)?;
        let mut done = 0;
        for part in 0..parts.sizes.len() as u32 {
            on_lists(done, self.lists);
            match index {
                IndexKind::Open => self.open_part(part, parts, &mut encoder)?,
                // A key stands twice, which open addressing will tell, or two keys have one hash.
                IndexKind::Perfect if !self.perfect_part(part, parts, &mut encoder)? => return Ok(None),
                IndexKind::Perfect => {}
            }
            done += u64::from(parts.sizes[part as usize].lists);
        }
        let ids = self.ids.iter().map(|id| self.dictionary.text(*id));
        let (head, header, statistics) = encoder.finish(self.spec, self.tally, ids)?;
        out.head(&head).map_err(Error::io(self.path))?;
        on_lists(done, self.lists);
        Ok(Some((header, statistics)))
    }

    /// `false`: there is no perfect hash.
    fn perfect_part<W: Write>(
        &self,
        part: u32,
        parts: &mut Parts,
        encoder: &mut Encoder<'_, W>,
    ) -> Result<bool> {
        let Some(perfect) = Perfect::of(&parts.hashes(part)?) else { return Ok(false) };
        encoder.start_part(&perfect);
        let (slots, passes) = (u64::from(perfect.shape.slots), u64::from(parts.passes(part)));
        for pass in 0..passes {
            let range = (slots * pass / passes) as u32..(slots * (pass + 1) / passes) as u32;
            let (lists, places) = parts.of_slots(part, &|hash| range.contains(&perfect.slot(hash)))?;
            let mut order = vec![0; range.len()];
            for (number, place) in (1u32..).zip(places) {
                order[(perfect.slot(place.hash) - range.start) as usize] = number;
            }
            encoder.records(lists, places, &order, self.renumber)?;
        }
        Ok(true)
    }

    fn open_part<W: Write>(&self, part: u32, parts: &mut Parts, encoder: &mut Encoder<'_, W>) -> Result<()> {
        let passes = parts.passes(part);
        for pass in 0..passes {
            let (lists, places) = parts.of_hashes(part, pass, passes)?;
            sort(lists, places)?;
            encoder.sorted(lists, places, self.renumber)?;
        }
        Ok(())
    }
}

/// By hash, then by key; a key may stand once.
fn sort(lists: &Lists, places: &mut [Place]) -> Result<()> {
    places.sort_unstable_by(|a, b| a.hash.cmp(&b.hash).then_with(|| lists.key(a).cmp(&lists.key(b))));
    let twice =
        places.windows(2).find(|two| two[0].hash == two[1].hash && lists.key(&two[0]) == lists.key(&two[1]));
    twice.map_or(Ok(()), |two| Err(Error::invalid(format!("key {}", lists.key(&two[0])), TWICE)))
}

/// Lists part by part.
struct Parts {
    sizes: Vec<Size>,
    lists: Lists,
    /// Of memory: all places by part. Of disk: those of the lists at hand.
    places: Vec<Place>,
    /// Of memory: where the part at hand is in `places`.
    range: Range<usize>,
    disk: Option<Disk>,
}

/// Size of a part.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    lists: u32,
    /// 32-bit words of its lists on disk; 0 in memory.
    words: u64,
}

/// Lists on disk.
struct Disk {
    spill: Spill,
    cursors: Vec<Cursor>,
    /// Where the lists of the part at hand start in each run.
    part_at: Vec<u64>,
    memory: usize,
    form: Form,
}

impl Parts {
    fn of_memory(mut lists: Lists, count: u32) -> Self {
        let all = lists.take_places();
        let mut sizes = vec![Size::default(); count as usize];
        all.iter().for_each(|place| sizes[part_of(place.hash, count) as usize].lists += 1);
        let mut next: Vec<usize> = Vec::with_capacity(sizes.len());
        let mut at = 0;
        for size in &sizes {
            next.push(at);
            at += size.lists as usize;
        }
        let mut places = all.clone();
        for place in all {
            let at = &mut next[part_of(place.hash, count) as usize];
            places[*at] = place;
            *at += 1;
        }
        Self { sizes, lists, places, range: 0..0, disk: None }
    }

    fn of_disk(lists: Lists, spill: Spill, count: u32, spec: &TableSpec) -> Result<Self> {
        let mut sizes = vec![Size::default(); count as usize];
        spill.hashes(&mut |hash, words| {
            let size = &mut sizes[part_of(hash, count) as usize];
            size.lists += 1;
            size.words += u64::from(words);
        })?;
        let form = Form::of(spec);
        let (cursors, part_at, memory) = (Vec::new(), Vec::new(), spec.memory);
        let disk = Some(Disk { spill, cursors, part_at, memory, form });
        Ok(Self { sizes, lists, places: Vec::new(), range: 0..0, disk })
    }

    fn restart(&mut self) {
        self.range = 0..0;
        if let Some(disk) = &mut self.disk {
            disk.cursors = disk.spill.cursors(disk.memory / CURSORS);
        }
    }

    /// In how many pieces a part is to be read, so that one of them fits into memory.
    fn passes(&self, part: u32) -> u32 {
        let size = &self.sizes[part as usize];
        let Some(disk) = &self.disk else { return 1 };
        let pieces = (size.words * 4).div_ceil((disk.memory / PIECE) as u64);
        pieces.clamp(1, u64::from(size.lists).max(1)) as u32
    }

    /// The hashes of the next part, which is `part`; of a perfect hash.
    fn hashes(&mut self, part: u32) -> Result<Vec<u64>> {
        if self.passes(part) == 1 {
            let (_, places) = self.of_hashes(part, 0, 1)?;
            return Ok(places.iter().map(|place| place.hash).collect());
        }
        let mut hashes = Vec::with_capacity(self.sizes[part as usize].lists as usize);
        let count = self.sizes.len() as u32;
        if let Some(disk) = &mut self.disk {
            disk.part_at = disk.cursors.iter().map(Cursor::mark).collect();
            disk.read(&|hash| part_of(hash, count) == part, &mut |list| hashes.push(hash(list)))?;
        }
        Ok(hashes)
    }

    /// The lists, of the part whose hashes were asked for last, that are in slots of interest.
    fn of_slots(&mut self, part: u32, wanted: &dyn Fn(u64) -> bool) -> Result<(&Lists, &[Place])> {
        let (count, passes) = (self.sizes.len() as u32, self.passes(part));
        match &mut self.disk {
            Some(disk) if passes > 1 => {
                let lists = &mut self.lists;
                lists.clear();
                disk.cursors.iter_mut().zip(&disk.part_at).for_each(|(cursor, at)| cursor.go_back(*at));
                disk.read(&|hash| part_of(hash, count) == part, &mut |list| {
                    if wanted(hash(list)) {
                        lists.push_words(list);
                    }
                })?;
                self.places = lists.take_places();
                self.range = 0..self.places.len();
            }
            _ => {}
        }
        Ok((&self.lists, &self.places[self.range.clone()]))
    }

    /// The lists of the next piece of the next part, by hash: `piece` of `pieces`.
    fn of_hashes(&mut self, part: u32, piece: u32, pieces: u32) -> Result<(&Lists, &mut [Place])> {
        let count = self.sizes.len() as u32;
        match &mut self.disk {
            Some(disk) => {
                let lists = &mut self.lists;
                lists.clear();
                let within = |hash| part_of(hash, count) == part && piece_of(hash, count, pieces) == piece;
                disk.read(&within, &mut |list| lists.push_words(list))?;
                self.places = lists.take_places();
                self.range = 0..self.places.len();
            }
            None => {
                let start = self.range.end;
                self.range = start..start + self.sizes[part as usize].lists as usize;
            }
        }
        Ok((&self.lists, &mut self.places[self.range.clone()]))
    }
}

impl Disk {
    fn read(&mut self, within: &dyn Fn(u64) -> bool, each: &mut dyn FnMut(&[u32])) -> Result<()> {
        self.spill.read(&mut self.cursors, self.form, within, each)
    }
}

/// The piece of a hash within its part; below `pieces`, and growing with the hash.
fn piece_of(hash: u64, parts: u32, pieces: u32) -> u32 {
    part_of(hash.wrapping_mul(u64::from(parts)), pieces)
}
