//! Lines of events in order of their times, in bounded memory: what does not fit is sorted and written as a run into a file without a name, and the
//! runs are merged (external merge sort; Knuth, The Art of Computer Programming 3, 5.4). For the past, which is loaded as it happened.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;

use data_layer::types::{Millis, time};
use serde::Deserialize;

use crate::error::{Error, Result};

/// Bytes of lines that are held before they are written as a run.
pub(super) const MEMORY: usize = 64 << 20;
/// What a line costs in memory beside its text, about.
const LINE: usize = 64;
/// Bytes before the text of a line in a run: time, file, number, length.
const HEAD: usize = 24;
/// Bytes that are read at once from a run, least and most.
const READ: (usize, usize) = (4 << 10, 256 << 10);

/// A line with where it stood. In order of time, then of place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    /// Event time; of a line without one, that of the line before it.
    pub time: Millis,
    /// Number of its file.
    pub file: u32,
    /// Its number in that.
    pub number: u64,
    /// Without its end.
    pub text: String,
}

/// Takes lines in any order.
#[derive(Debug)]
pub(super) struct Sorter {
    memory: usize,
    held: Vec<Line>,
    bytes: usize,
    /// With where each run begins.
    runs: Option<(File, Vec<u64>)>,
    /// Time of the line that was taken last.
    last: Millis,
}

impl Sorter {
    /// One that holds about so many bytes in memory.
    pub(super) fn new(memory: usize) -> Self {
        Self { memory, held: Vec::new(), bytes: 0, runs: None, last: Millis::MIN }
    }

    /// Takes a line.
    ///
    /// # Errors
    /// What the system said of the file for what does not fit.
    pub(super) fn push(&mut self, file: u32, number: u64, text: String) -> Result<()> {
        self.last = time_of(&text).unwrap_or(self.last);
        self.bytes += text.len() + LINE;
        self.held.push(Line { time: self.last, file, number, text });
        if self.bytes < self.memory { Ok(()) } else { self.spill() }
    }

    fn spill(&mut self) -> Result<()> {
        self.held.sort_unstable();
        let (file, ends) = match &mut self.runs {
            Some(runs) => runs,
            none => none.insert((tempfile::tempfile().map_err(said)?, vec![0])),
        };
        let mut end = ends.last().copied().unwrap_or_default();
        let mut out = BufWriter::with_capacity(READ.1, file);
        for Line { time, file, number, text } in self.held.drain(..) {
            let mut write = |bytes: &[u8]| out.write_all(bytes).map_err(said);
            write(&time.to_le_bytes())?;
            write(&file.to_le_bytes())?;
            write(&number.to_le_bytes())?;
            write(&(text.len() as u32).to_le_bytes())?;
            write(text.as_bytes())?;
            end += (HEAD + text.len()) as u64;
        }
        out.flush().map_err(said)?;
        drop(out);
        ends.push(end);
        self.bytes = 0;
        Ok(())
    }

    /// All lines in order.
    ///
    /// # Errors
    /// As [`Sorter::push`].
    pub(super) fn sorted(mut self) -> Result<Sorted> {
        let Some(_) = &self.runs else {
            self.held.sort_unstable_by(|a, b| b.cmp(a));
            return Ok(Sorted::Held(self.held));
        };
        self.spill()?;
        let Some((file, ends)) = self.runs else { return Ok(Sorted::Held(Vec::new())) };
        let block = (self.memory / ends.len()).clamp(READ.0, READ.1);
        let runs =
            ends.windows(2).map(|of| Run { at: of[0], end: of[1], block, buffer: Vec::new(), start: 0 });
        let mut merge = Merge { file, runs: runs.collect(), heads: BinaryHeap::new() };
        for run in 0..merge.runs.len() {
            merge.fill(run)?;
        }
        Ok(Sorted::Merged(merge))
    }
}

/// Lines in order of their times.
#[derive(Debug)]
pub(super) enum Sorted {
    /// All that there are, the first one last.
    Held(Vec<Line>),
    /// In runs on disk.
    Merged(Merge),
}

impl Sorted {
    /// The next line.
    ///
    /// # Errors
    /// As [`Sorter::push`].
    pub(super) fn next(&mut self) -> Result<Option<Line>> {
        match self {
            Self::Held(lines) => Ok(lines.pop()),
            Self::Merged(merge) => merge.next(),
        }
    }
}

/// Runs that are merged.
#[derive(Debug)]
pub(super) struct Merge {
    file: File,
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<(Line, usize)>>,
}

#[derive(Debug)]
struct Run {
    at: u64,
    end: u64,
    block: usize,
    buffer: Vec<u8>,
    start: usize,
}

impl Merge {
    fn next(&mut self) -> Result<Option<Line>> {
        let Some(Reverse((line, run))) = self.heads.pop() else { return Ok(None) };
        self.fill(run)?;
        Ok(Some(line))
    }

    /// Puts the next line of a run among the heads.
    fn fill(&mut self, run: usize) -> Result<()> {
        if let Some(line) = self.runs[run].next(&self.file)? {
            self.heads.push(Reverse((line, run)));
        }
        Ok(())
    }
}

impl Run {
    fn next(&mut self, file: &File) -> Result<Option<Line>> {
        if self.start == self.buffer.len() && self.at == self.end {
            return Ok(None);
        }
        let head = self.bytes(file, HEAD)?;
        let eight = |at: usize| head[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        let four = |at: usize| head[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
        let (time, of, number, len) = (eight(0) as Millis, four(8), eight(12), four(20) as usize);
        let text = String::from_utf8_lossy(self.bytes(file, len)?).into_owned();
        Ok(Some(Line { time, file: of, number, text }))
    }

    fn bytes(&mut self, file: &File, wanted: usize) -> Result<&[u8]> {
        let have = self.buffer.len() - self.start;
        if have < wanted {
            self.buffer.drain(..self.start);
            self.start = 0;
            let left = (self.end - self.at) as usize;
            let more = (wanted - have).max(self.block).min(left);
            self.buffer.resize(have + more, 0);
            file.read_exact_at(&mut self.buffer[have..], self.at).map_err(said)?;
            self.at += more as u64;
        }
        self.start += wanted;
        Ok(&self.buffer[self.start - wanted..self.start])
    }
}

fn said(error: std::io::Error) -> Error {
    Error::Io { place: "a file for sorting, in $TMPDIR".to_owned(), detail: error.to_string() }
}

/// The event time that a line says; `None` where it says none that can be read.
fn time_of(text: &str) -> Option<Millis> {
    #[derive(Deserialize)]
    struct Timed {
        time: Option<serde_json::Value>,
    }
    match serde_json::from_str::<Timed>(text).ok()?.time? {
        serde_json::Value::Number(n) => n.as_i64().or_else(|| n.as_f64().map(|time| time as Millis)),
        serde_json::Value::String(text) => time::parse_rfc3339(&text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(memory: usize, times: &[Option<u64>]) -> Vec<(u32, u64)> {
        let mut sorter = Sorter::new(memory);
        for (number, time) in (0..).zip(times) {
            let text = match time {
                Some(time) => {
                    format!(r#"{{"type":"interaction","time":{time},"pad":"{}"}}"#, "x".repeat(number % 50))
                }
                None => r#"{"type":"load"}"#.to_owned(),
            };
            sorter.push((number % 3) as u32, number as u64, text).unwrap();
        }
        let mut sorted = sorter.sorted().unwrap();
        let mut out = Vec::new();
        while let Some(line) = sorted.next().unwrap() {
            assert!(line.text.ends_with('}'));
            out.push((line.file, line.number));
        }
        out
    }

    #[test]
    fn what_does_not_fit_comes_out_as_what_does() {
        let times: Vec<_> = (0..5000u64).map(|n| (n % 7 != 3).then_some(n * 7919 % 977)).collect();
        let held = lines(usize::MAX, &times);
        assert_eq!((held.len(), &held), (5000, &lines(3000, &times)));
        let mut plain: Vec<(u64, u32, u64)> = Vec::new();
        let mut last = 0;
        for (number, time) in (0..).zip(&times) {
            last = time.unwrap_or(last);
            plain.push((last, (number % 3) as u32, number));
        }
        plain.sort_unstable();
        assert_eq!(held, plain.into_iter().map(|(_, file, number)| (file, number)).collect::<Vec<_>>());
    }

    #[test]
    fn times_are_read_as_the_server_reads_them() {
        assert_eq!(time_of(r#"{"time":1770000000000}"#), Some(1_770_000_000_000));
        assert_eq!(time_of(r#"{"a":{"time":3},"time":1.77e12}"#), Some(1_770_000_000_000));
        assert_eq!(time_of(r#"{"time":"2026-02-02T02:40:00Z"}"#), Some(1_770_000_000_000));
        assert_eq!((time_of(r#"{"time":null}"#), time_of("{"), time_of("{}")), (None, None, None));
    }
}
