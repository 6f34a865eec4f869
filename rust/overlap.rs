//! Scores of many images gathered for exact curves: negatives apart from the pixels of each region.

use crate::Error;
use crate::regions::{Connectivity, label};
use crate::tiling::check_len;

/// A score and the unsigned integer that sorts like it.
pub trait Score: Copy + Send + Sync {
    /// Integer image; larger scores have larger keys, and equal scores equal keys.
    type Key: Copy + Ord + Send + Sync + Default;
    /// Returns the key, or None for NaN and infinities.
    fn key(self) -> Option<Self::Key>;
    /// Returns the score of a key as float64.
    fn value(key: Self::Key) -> f64;
}

macro_rules! impl_score {
    ($float:ty, $key:ty) => {
        impl Score for $float {
            type Key = $key;
            fn key(self) -> Option<$key> {
                const SIGN: $key = 1 << (<$key>::BITS - 1);
                // Adding zero turns -0 into +0: they are equal scores.
                let bits = (self + 0.0).to_bits();
                self.is_finite().then(|| if bits & SIGN == 0 { bits | SIGN } else { !bits })
            }
            fn value(key: $key) -> f64 {
                const SIGN: $key = 1 << (<$key>::BITS - 1);
                f64::from(<$float>::from_bits(if key & SIGN == 0 { !key } else { key & !SIGN }))
            }
        }
    };
}

impl_score!(f32, u32);
impl_score!(f64, u64);

/// Scores of all images so far.
#[derive(Debug, Default)]
pub struct Scores<S: Score> {
    /// Keys of pixels without defect.
    pub negatives: Vec<S::Key>,
    /// Keys of pixels with defect, and the region each lies in.
    pub positives: Vec<(S::Key, u32)>,
    /// Pixels of each region.
    pub areas: Vec<u64>,
}

impl<S: Score> Scores<S> {
    /// Starts without images.
    pub fn new() -> Self {
        Self { negatives: Vec::new(), positives: Vec::new(), areas: Vec::new() }
    }

    /// Adds one image; regions are the 8-connected components of its mask. Pixels where `ignore` is not 0 are left out.
    ///
    /// # Errors
    /// If slices differ in length, or a score that is not left out is NaN or infinite; nothing is added then.
    pub fn add(
        &mut self,
        scores: &[S],
        mask: &[u8],
        ignore: Option<&[u8]>,
        height: usize,
        width: usize,
    ) -> Result<(), Error> {
        check_len("scores", height * width, scores.len())?;
        check_len("mask", height * width, mask.len())?;
        if let Some(ignore) = ignore {
            check_len("ignore", height * width, ignore.len())?;
        }
        let ignored = |index: usize| ignore.is_some_and(|ignore| ignore[index] != 0);
        let unusable = |(index, score): (usize, &S)| score.key().is_none() && !ignored(index);
        if let Some(index) = scores.iter().enumerate().position(unusable) {
            return Err(Error::Value(format!(
                "NaN or infinite score at row {}, column {}",
                index / width,
                index % width
            )));
        }
        let first = self.areas.len();
        if mask.iter().all(|&value| value == 0) {
            self.negatives.extend(
                scores
                    .iter()
                    .enumerate()
                    .filter(|&(index, _)| !ignored(index))
                    .filter_map(|(_, score)| score.key()),
            );
            return Ok(());
        }
        let kept: Vec<u8> =
            mask.iter().enumerate().map(|(index, &value)| u8::from(value != 0 && !ignored(index))).collect();
        let mut labels = vec![0; mask.len()];
        let count = label(&kept, height, width, Connectivity::Eight, &mut labels)?;
        if u32::try_from(first + count).is_err() {
            return Err(Error::Value(format!("more than {} regions", u32::MAX)));
        }
        self.areas.resize(first + count, 0);
        for (index, (score, &label)) in scores.iter().zip(&labels).enumerate() {
            let Some(key) = score.key() else { continue };
            if label > 0 {
                let region = first + label as usize - 1;
                self.areas[region] += 1;
                self.positives.push((key, region as u32));
            } else if !ignored(index) {
                self.negatives.push(key);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_like_scores() {
        let scores = [-3.5_f32, -1e-40, -0.0, 0.0, 1e-40, 0.25, 7.0];
        let keys: Vec<_> = scores.iter().filter_map(|score| score.key()).collect();
        assert!(keys.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(keys[2], keys[3]);
        for (score, key) in scores.iter().zip(keys) {
            assert_eq!(<f32 as Score>::value(key), f64::from(*score));
        }
        assert_eq!(f32::NAN.key(), None);
        assert_eq!(f64::INFINITY.key(), None);
    }

    #[test]
    fn regions_are_counted_across_images() {
        let mut scores = Scores::<f32>::new();
        assert_eq!(scores.add(&[0.0; 4], &[1, 0, 0, 0], None, 2, 2), Ok(()));
        assert_eq!(scores.add(&[0.0; 4], &[1, 0, 1, 1], Some(&[0, 1, 0, 0]), 2, 2), Ok(()));
        assert_eq!(scores.areas, [1, 3]);
        assert_eq!(scores.negatives.len(), 3);
        assert!(scores.add(&[0.0, f32::NAN], &[0, 0], None, 1, 2).is_err());
    }
}
