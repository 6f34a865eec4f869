//! Ranges of sorted keys, prepared for the sweep: positives with equal keys form groups.

use super::sorted::key::Key;
use super::sorted::ranges::KeyRange;
use super::sorted::runs::count_while;
use crate::error::Error;

/// Negatives and positives between the same two keys.
pub type RangePair<'a, K> = (KeyRange<'a, K, ()>, KeyRange<'a, K, u32>);

/// The keys of a range in which keys differ, sorted and grouped for the sweep.
#[derive(Default)]
pub struct DistinctKeys<K> {
    /// Keys of pixels without defect.
    pub negatives: Vec<K>,
    /// Keys of pixels with defect.
    pub positives: Vec<K>,
    /// Their regions.
    pub tags: Vec<u32>,
    /// Positives that share a key.
    pub groups: Vec<TiedGroup>,
}

/// Positives with one key.
pub struct TiedGroup {
    /// Negatives of the range that come before.
    pub before: usize,
    /// Negatives with this key.
    pub tied: usize,
    /// Index after the last of the positives.
    pub end: usize,
    /// Sum of the shares that they add to the covered shares.
    pub shares: u128,
}

impl<K: Key> DistinctKeys<K> {
    /// Reads a range; `pixel_shares` is what a pixel of each region adds to the covered shares.
    ///
    /// # Errors
    /// If a file of scores cannot be read.
    pub fn new((negatives, positives): &RangePair<'_, K>, pixel_shares: &[u128]) -> Result<Self, Error> {
        let (negatives, _) = negatives.read_sorted()?;
        let (positives, tags) = positives.read_sorted()?;
        let (mut groups, mut before, mut start) = (Vec::new(), 0, 0);
        for same in positives.chunk_by(|one, other| one == other) {
            let key = same[0];
            before += count_while(&negatives[before..], |&other| other < key);
            let tied = count_while(&negatives[before..], |&other| other == key);
            let end = start + same.len();
            groups.push(TiedGroup { before, tied, end, shares: sum_shares(pixel_shares, &tags[start..end]) });
            start = end;
        }
        Ok(Self { negatives, positives, tags, groups })
    }
}

/// Returns what pixels of some regions add to the covered shares.
pub fn sum_shares(pixel_shares: &[u128], regions: &[u32]) -> u128 {
    regions.iter().map(|&region| pixel_shares[region as usize]).sum()
}
