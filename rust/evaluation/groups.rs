//! What the descent passes: a stretch of keys, sorted, with its positives in groups of one key.

use super::sorted::key::Key;
use super::sorted::ranges::Stretch;
use super::sorted::runs::count_while;
use crate::error::Error;

/// Negatives and positives that follow each other.
pub type Stretches<'a, K> = (Stretch<'a, K, ()>, Stretch<'a, K, u32>);

/// Different keys of a stretch, ready for the descent.
#[derive(Default)]
pub struct Many<K> {
    /// Keys of pixels without defect.
    pub negatives: Vec<K>,
    /// Keys of pixels with defect.
    pub positives: Vec<K>,
    /// Their regions.
    pub tags: Vec<u32>,
    /// Positives that share a key.
    pub groups: Vec<Group>,
}

/// Positives with one key.
pub struct Group {
    /// Negatives of the stretch that come before.
    pub before: usize,
    /// Negatives with this key.
    pub tied: usize,
    /// Place after the last of the positives.
    pub end: usize,
    /// What they add to the covered shares.
    pub shares: u128,
}

impl<K: Key> Many<K> {
    /// Gathers a stretch; `pixels` is what a pixel of each region adds to the covered shares.
    ///
    /// # Errors
    /// If a file of scores cannot be read.
    pub fn new((negatives, positives): &Stretches<'_, K>, pixels: &[u128]) -> Result<Self, Error> {
        let (negatives, _) = negatives.gather()?;
        let (positives, tags) = positives.gather()?;
        let (mut groups, mut before, mut start) = (Vec::new(), 0, 0);
        for same in positives.chunk_by(|one, other| one == other) {
            let key = same[0];
            before += count_while(&negatives[before..], |&other| other < key);
            let tied = count_while(&negatives[before..], |&other| other == key);
            let end = start + same.len();
            groups.push(Group { before, tied, end, shares: sum_of(pixels, &tags[start..end]) });
            start = end;
        }
        Ok(Self { negatives, positives, tags, groups })
    }
}

/// Returns what pixels of some regions add to the covered shares.
pub fn sum_of(pixels: &[u128], regions: &[u32]) -> u128 {
    regions.iter().map(|&region| pixels[region as usize]).sum()
}
