//! Scores of many images, gathered for exact metrics. Defect-free pixels are kept apart from those of defects.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use super::sorted::key::Score;
use super::sorted::ranges::spill_store;
use super::sorted::runs::KeyStore;
use crate::error::{Error, check_len};
use crate::regions::{Connectivity, Regions, find};

/// One connected region of the ground truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TruthRegion {
    /// Number of its image.
    pub image: u32,
    /// Pixels.
    pub area: u32,
    /// Top, left, bottom, right; half-open.
    pub bounds: [u32; 4],
}

/// One image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageScore {
    /// Its score, or NaN if nothing of it is inspected.
    pub score: f64,
    /// Whether an inspected pixel of it is a defect.
    pub defective: bool,
}

/// One image to add; pixels where `ignore` is not 0 are left out of everything.
#[derive(Debug, Clone, Copy)]
pub struct AnomalyMap<'a, S> {
    /// Scores, row by row.
    pub scores: &'a [S],
    /// Not 0 is defect.
    pub mask: &'a [u8],
    /// Not 0 is left out.
    pub ignore: Option<&'a [u8]>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Scores of all images so far.
#[derive(Debug, Clone)]
pub struct Scores<S: Score> {
    /// Pixels without defect.
    pub negatives: KeyStore<S::Key, ()>,
    /// Pixels with defect, and the region each lies in.
    pub positives: KeyStore<S::Key, u32>,
    /// Regions, image by image, in the order of their first pixels.
    pub regions: Vec<TruthRegion>,
    /// Images.
    pub images: Vec<ImageScore>,
    /// Share of an image's pixels whose mean is its score; of 0 the highest pixel alone.
    pub top: f64,
}

impl<S: Score> Scores<S> {
    /// Starts without images; their score is the mean of the `top` share of their pixels, or the highest if that is 0.
    pub fn new(top: f64) -> Self {
        Self {
            negatives: KeyStore::default(),
            positives: KeyStore::default(),
            regions: Vec::new(),
            images: Vec::new(),
            top,
        }
    }

    /// Adds one image; regions are the 8-connected components of its mask.
    ///
    /// # Errors
    /// If slices differ in length, a score that is not left out is NaN or infinite, or there are too many images or
    /// regions; nothing is added then.
    pub fn add(&mut self, map: AnomalyMap<'_, S>) -> Result<(), Error> {
        let found = inspected_regions(map)?;
        let AnomalyMap { scores, width, .. } = map;
        let first = self.regions.len();
        check_count("regions", first + found.count)?;
        check_count("images", self.images.len() + 1)?;
        let region =
            TruthRegion { image: self.images.len() as u32, area: 0, bounds: [u32::MAX, u32::MAX, 0, 0] };
        self.regions.resize(first + found.count, region);
        found.for_each_span(width, scores.len(), |span, run| match run {
            None => self.add_negatives(map, span),
            Some(run) => {
                let keys = scores[span].iter().map(|score| score.key());
                self.positives.extend(keys, first as u32 + run.region);
                let region = &mut self.regions[first + run.region as usize];
                region.area += run.end - run.start;
                let [top, left, bottom, right] = region.bounds;
                region.bounds =
                    [top.min(run.row), left.min(run.start), bottom.max(run.row + 1), right.max(run.end)];
            }
        });
        self.images.push(ImageScore { score: self.image_score(map), defective: found.count > 0 });
        self.negatives.sort_full_blocks();
        self.positives.sort_full_blocks();
        Ok(())
    }

    /// Adds pixels that are no defects, unless they are left out.
    fn add_negatives(&mut self, map: AnomalyMap<'_, S>, pixels: Range<usize>) {
        let scores = map.scores[pixels.clone()].iter();
        match map.ignore {
            None => self.negatives.extend(scores.map(|score| score.key()), ()),
            Some(ignore) => {
                let inspected = scores.zip(&ignore[pixels]).filter(|&(_, &left_out)| left_out == 0);
                self.negatives.extend(inspected.map(|(score, _)| score.key()), ());
            }
        }
    }

    fn image_score(&self, map: AnomalyMap<'_, S>) -> f64 {
        let inspected = |(index, score): (usize, &S)| {
            map.ignore.is_none_or(|ignore| ignore[index] == 0).then(|| score.value())
        };
        if self.top == 0.0 && map.ignore.is_none() {
            // Without a branch, so that it runs at the speed of memory.
            let highest = map.scores.iter().map(|score| score.value()).fold(f64::NEG_INFINITY, highest);
            return if map.scores.is_empty() { f64::NAN } else { highest };
        }
        let mut values: Vec<f64> = map.scores.iter().enumerate().filter_map(inspected).collect();
        if values.is_empty() {
            return f64::NAN;
        }
        let count = ((self.top * values.len() as f64).round() as usize).clamp(1, values.len());
        values.select_nth_unstable_by(count - 1, |one, other| other.total_cmp(one));
        mean(&values[..count])
    }

    /// Adds all images of `other` behind these.
    ///
    /// # Errors
    /// If image scores are of different kinds, or there are too many images or regions; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.top != other.top {
            return Err(Error::Value(format!(
                "image scores are of the top {} of the pixels here, and {} there",
                self.top, other.top
            )));
        }
        check_count("regions", self.regions.len() + other.regions.len())?;
        check_count("images", self.images.len() + other.images.len())?;
        let (regions, images) = (self.regions.len() as u32, self.images.len() as u32);
        self.negatives.merge(&other.negatives, 0);
        self.positives.merge(&other.positives, regions);
        self.regions.extend(
            other.regions.iter().map(|region| TruthRegion { image: region.image + images, ..*region }),
        );
        self.images.extend_from_slice(&other.images);
        self.negatives.sort_full_blocks();
        self.positives.sort_full_blocks();
        Ok(())
    }

    /// Bytes of scores that are held in memory.
    pub fn bytes(&self) -> usize {
        self.negatives.bytes() + self.positives.bytes()
    }

    /// Moves all scores to a file, of which `end` bytes are written already.
    ///
    /// # Errors
    /// If the file cannot be written; what has not been moved stays in memory.
    pub fn spill(&mut self, file: &Arc<File>, end: &mut u64) -> Result<(), Error> {
        spill_store(&mut self.negatives, file, end)?;
        spill_store(&mut self.positives, file, end)
    }
}

/// Returns the 8-connected components of what is inspected of a mask.
///
/// # Errors
/// If slices differ in length, or a score that is not left out is NaN or infinite.
pub fn inspected_regions<S: Score>(map: AnomalyMap<'_, S>) -> Result<Regions, Error> {
    let AnomalyMap { scores, mask, ignore, height, width } = map;
    let len = height.saturating_mul(width);
    check_len("scores", len, scores.len())?;
    check_len("mask", len, mask.len())?;
    ignore.map_or(Ok(()), |ignore| check_len("ignore", len, ignore.len()))?;
    if u32::try_from(len).is_err() {
        return Err(Error::Value(format!("a map may have {} pixels, got {len}", u32::MAX)));
    }
    check_finite(map)?;
    let kept: Option<Vec<u8>> = ignore.map(|ignore| {
        mask.iter().zip(ignore).map(|(&value, &left_out)| if left_out == 0 { value } else { 0 }).collect()
    });
    find(kept.as_deref().unwrap_or(mask), height, width, Connectivity::Eight)
}

/// Mean of finite numbers, one at least; of equal ones that number, so that images that tie do so at any size.
fn mean(values: &[f64]) -> f64 {
    let (sum, count) = (values.iter().sum::<f64>(), values.len() as f64);
    let mean =
        if sum.is_finite() { sum / count } else { values.iter().map(|value| value / count).sum::<f64>() };
    let (low, high) =
        values.iter().fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)));
    mean.clamp(low, high)
}

/// The higher of two numbers neither of which is NaN.
fn highest(one: f64, other: f64) -> f64 {
    if other > one { other } else { one }
}

fn check_finite<S: Score>(map: AnomalyMap<'_, S>) -> Result<(), Error> {
    let all = |part: &[S]| part.iter().fold(true, |sound, score| sound & score.is_finite());
    // Whole rows first, without a branch a pixel.
    for (row, line) in map.scores.chunks(map.width.max(1)).enumerate() {
        if all(line) {
            continue;
        }
        let inspected = |column: usize| map.ignore.is_none_or(|ignore| ignore[row * map.width + column] == 0);
        let bad = line.iter().enumerate().position(|(column, score)| !score.is_finite() && inspected(column));
        if let Some(column) = bad {
            return Err(Error::Value(format!("NaN or infinite score at row {row}, column {column}")));
        }
    }
    Ok(())
}

fn check_count(what: &str, count: usize) -> Result<(), Error> {
    match u32::try_from(count) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Value(format!("more than {} {what}", u32::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map<'a>(
        scores: &'a [f32],
        mask: &'a [u8],
        ignore: Option<&'a [u8]>,
        width: usize,
    ) -> AnomalyMap<'a, f32> {
        AnomalyMap { scores, mask, ignore, height: scores.len() / width, width }
    }

    #[test]
    fn regions_are_counted_across_images() {
        let mut scores = Scores::new(0.0);
        assert_eq!(scores.add(map(&[0.0; 4], &[1, 0, 0, 0], None, 2)), Ok(()));
        assert_eq!(scores.add(map(&[0.5, 0.0, 9.0, 0.0], &[1, 0, 1, 1], Some(&[0, 1, 0, 0]), 2)), Ok(()));
        let areas: Vec<_> = scores.regions.iter().map(|region| (region.image, region.area)).collect();
        assert_eq!(areas, [(0, 1), (1, 3)]);
        assert_eq!(scores.regions[1].bounds, [0, 0, 2, 2]);
        assert_eq!((scores.negatives.len(), scores.positives.len()), (3, 4));
        assert_eq!(scores.images[1], ImageScore { score: 9.0, defective: true });
    }

    #[test]
    fn what_is_refused_adds_nothing() {
        let mut scores = Scores::new(0.0);
        assert!(scores.add(map(&[0.0, f32::NAN], &[0, 0], None, 2)).is_err());
        assert!(scores.add(map(&[0.0, 1.0], &[0], None, 2)).is_err());
        assert!(scores.images.is_empty() && scores.negatives.is_empty());
        assert_eq!(scores.add(map(&[0.0, f32::INFINITY], &[0, 0], Some(&[0, 7]), 2)), Ok(()));
        assert_eq!(scores.negatives.len(), 1);
    }

    #[test]
    fn an_image_has_the_mean_of_its_highest_pixels() {
        for (top, want) in [(0.0, 5.0), (0.25, 5.0), (0.5, 4.5), (1.0, 3.0)] {
            let mut scores = Scores::new(top);
            assert_eq!(scores.add(map(&[1.0, 5.0, 4.0, 2.0], &[0; 4], None, 4)), Ok(()));
            assert_eq!(scores.images[0].score, want);
        }
    }

    #[test]
    fn the_mean_of_equal_numbers_is_that_number() {
        for value in [0.1, -0.3, 1e308, -f64::MAX, 5e-324, 0.0] {
            (1..50).for_each(|count| assert_eq!(mean(&vec![value; count]), value));
        }
        assert_eq!(mean(&[f64::MAX, f64::MAX, f64::MIN, f64::MIN]), 0.0);
    }
}
