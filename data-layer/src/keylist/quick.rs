//! The usual list of the usual table, found, checked and read in one go: keys are numbers, the hash is perfect, scores are levels,
//! and the whole list stands in its record. A list of ten costs half of what [`List::columns`] costs, because nothing is put
//! together that is taken apart at once. Not for the rest: that goes by `lookup.rs`.
//!
//! [`List::columns`]: super::List::columns

use super::format::{IndexKind, KeyKind, ScoreCodec, u64_at};
use super::list::Room;
use super::lookup::Place;
use super::record::{self, HEAD, Layout};
use super::table::Table;
use super::{Key, hash, kernel};
use crate::Result;

/// Items and scores of a list, side by side.
pub type Columns<'r> = (&'r [u32], &'r [f32]);

impl Table {
    /// Whether lists can be read in one go.
    pub(super) fn is_quick(&self) -> bool {
        let Layout { keys, scores, vector, bits, .. } = self.layout;
        self.header.version > 1
            && self.header.index == IndexKind::Perfect
            && (keys, scores, vector) == (KeyKind::U64, ScoreCodec::Affine, 0)
            && kernel::reads_in_one_go(bits)
    }

    /// Items (as numbers of this file's dictionary) and scores of a key's list, in the order of the list, in a room that is used
    /// again and again: the fastest way to one list. A key that a delta deletes reads as an empty list; [`Table::get`] tells them
    /// apart.
    ///
    /// # Errors
    /// As [`Table::get`].
    #[inline]
    pub fn columns<'r, 'k>(
        &self,
        key: impl Into<Key<'k>>,
        room: &'r mut Room,
    ) -> Result<Option<Columns<'r>>> {
        let key = key.into();
        if let (Key::U64(number), true) = (key, self.quick) {
            let place = self.place(self.pilot(hash::number(number)));
            self.ask_for_record(place.slot);
            return self.columns_at(number, place, room);
        }
        Ok(self.get_key(key)?.map(|list| list.columns(room)))
    }

    /// [`Table::columns`] of many keys: `each` is called once per key, in order, with the key's place. The memory of several keys is
    /// on its way at once.
    pub fn multi_columns<'k, K: Into<Key<'k>> + Copy>(
        &self,
        keys: &[K],
        room: &mut Room,
        mut each: impl FnMut(usize, Result<Option<Columns<'_>>>),
    ) {
        if !self.quick {
            return self.multi_get_keys(keys, |at, list| each(at, list.map(|l| l.map(|l| l.columns(room)))));
        }
        let number = |key: K| match key.into() {
            Key::U64(number) => Some(number),
            Key::Str(_) => None,
        };
        self.in_turn(
            keys.len(),
            |at| number(keys[at]).map_or(0, hash::number),
            |at, place| match number(keys[at]) {
                Some(number) => each(at, self.columns_at(number, place, room)),
                None => each(at, Ok(None)),
            },
        );
    }

    #[inline(always)]
    fn columns_at<'r>(&self, key: u64, place: Place, room: &'r mut Room) -> Result<Option<Columns<'r>>> {
        let at = place.slot as usize * self.layout.stride;
        let bytes = self.records().get(at..).unwrap_or(&[]);
        match usual(&self.layout, bytes, record::inside(place.slot), key, room) {
            Some(count) => Ok(Some(room.first(count))),
            None => self.columns_otherwise(key, place, room),
        }
    }

    #[inline(never)]
    fn columns_otherwise<'r>(
        &self,
        key: u64,
        place: Place,
        room: &'r mut Room,
    ) -> Result<Option<Columns<'r>>> {
        Ok(self.otherwise(Key::U64(key), place)?.map(|list| list.columns(room)))
    }
}

/// Reads a record that is as most are into the room: how many places it has. `None` says only that it is not.
#[inline(always)]
fn usual(layout: &Layout, bytes: &[u8], place: u32, key: u64, room: &mut Room) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: tables are read here only where `is_quick` found that the processor has AVX2.
    return unsafe { usual_here(layout, bytes, place, key, room) };
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (layout, bytes, place, key, room);
        None
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn usual_here(layout: &Layout, bytes: &[u8], place: u32, key: u64, room: &mut Room) -> Option<usize> {
    let (head, rest) = bytes.split_first_chunk::<{ HEAD + 8 }>()?;
    let start = u64_at(head, 0);
    let count = record::plain((start >> 32) as u32)?;
    // The two numbers that make scores of levels, items, levels.
    let (items, levels) = (8, (count * layout.bits as usize).div_ceil(8));
    let size = if count > 0 { items + levels + count * 2 } else { 0 };
    if u64_at(head, HEAD) != key || HEAD + 8 + size > layout.stride || size > rest.len() {
        return None;
    }
    if kernel::sum_here(&bytes[4..HEAD + 8 + size]) as u32 ^ place != start as u32 {
        return None;
    }
    if count > 0 {
        let (scale, bytes) = rest.split_first_chunk::<8>()?;
        let scale = u64::from_le_bytes(*scale);
        let (least, step) = (f32::from_bits(scale as u32), f32::from_bits((scale >> 32) as u32));
        let packed = kernel::Packed { bytes, bits: layout.bits, levels, least, step };
        let (items, scores) = room.groups(count);
        kernel::places_here(&packed, items, scores);
    }
    Some(count)
}
