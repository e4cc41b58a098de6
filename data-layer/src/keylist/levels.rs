//! The scores of a list as a file has them, found before it is known where the list will be: two bytes a score are half of what
//! has to be kept, copied and written out until then. Not for reading.

use super::format::ScoreCodec;
use super::kernel;

/// Scores as they are stored: the same parameters for the whole list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stored<'a> {
    /// 0 where scores are exact.
    pub least: f32,
    /// 0 where scores are exact.
    pub step: f32,
    /// All scores, one after another.
    pub bytes: &'a [u8],
}

/// Makes [`Stored`] scores, in memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Levels {
    least: f32,
    step: f32,
    bytes: Vec<u8>,
}

impl Levels {
    /// Takes the scores of a list; gives the greatest error of one.
    ///
    /// # Errors
    /// Scores too far apart for sixteen bits; as a text for the place where the key is known.
    pub fn take(&mut self, codec: ScoreCodec, scores: &[f32]) -> Result<f32, String> {
        self.bytes.clear();
        (self.least, self.step) = (0.0, 0.0);
        if codec == ScoreCodec::Exact {
            scores.iter().for_each(|score| self.bytes.extend_from_slice(&score.to_le_bytes()));
            return Ok(0.0);
        }
        let (least, greatest) = kernel::span(scores);
        (self.least, self.step) = (least, kernel::step(least, greatest));
        let error = kernel::quantise(scores, self.least, self.step, &mut self.bytes);
        if error.is_finite() {
            Ok(error)
        } else {
            Err("scores are too far apart for 16 bits; store them exactly (--exact)".into())
        }
    }

    pub fn stored(&self) -> Stored<'_> {
        Stored { least: self.least, step: self.step, bytes: &self.bytes }
    }
}
