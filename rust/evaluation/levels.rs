//! Count one image's pixels above each threshold, for the bootstrap over images.

use super::scores::{AnomalyMap, inspected_regions};
use super::sorted::key::Score;
use crate::error::Error;

/// Counts of one image at or above each threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels {
    /// Pixels without defect.
    pub false_positives: Vec<u64>,
    /// Pixels with defect.
    pub true_positives: Vec<u64>,
    /// Sum of the regions' covered shares.
    pub overlap: Vec<f64>,
}

/// Counts an image at thresholds, ascending; regions are the 8-connected components of its mask.
///
/// # Errors
/// If slices differ in length, or a score that is not left out is NaN or infinite.
pub fn count<S: Score>(map: AnomalyMap<'_, S>, thresholds: &[f64]) -> Result<Levels, Error> {
    let found = inspected_regions(map)?;
    let mut areas = vec![0_u32; found.count];
    found.runs.iter().for_each(|run| areas[run.region as usize] += run.end - run.start);
    // A pixel counts at the thresholds up to its score: those before its level.
    let level =
        |index: usize| thresholds.partition_point(|&threshold| threshold <= map.scores[index].value());
    let inspected = |&index: &usize| map.ignore.is_none_or(|ignore| ignore[index] == 0);
    let mut false_positives = vec![0; thresholds.len() + 1];
    let mut true_positives = false_positives.clone();
    let mut overlap = vec![0.0; thresholds.len() + 1];
    found.for_each_span(map.width, map.scores.len(), |span, run| match run {
        None => span.filter(inspected).for_each(|index| false_positives[level(index)] += 1),
        Some(run) => {
            for index in span {
                true_positives[level(index)] += 1;
                overlap[level(index)] += 1.0 / f64::from(areas[run.region as usize]);
            }
        }
    });
    Ok(Levels {
        false_positives: above(&false_positives, 0),
        true_positives: above(&true_positives, 0),
        overlap: above(&overlap, 0.0),
    })
}

/// Returns, for each level, the sum of the counts behind it.
fn above<T: Copy + std::ops::Add<Output = T>>(counts: &[T], zero: T) -> Vec<T> {
    let mut sums: Vec<T> = counts[1..]
        .iter()
        .rev()
        .scan(zero, |sum, &count| {
            *sum = *sum + count;
            Some(*sum)
        })
        .collect();
    sums.reverse();
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_count_up_to_their_score() {
        let scores = [0.5_f32, 1.0, 2.0, 3.0, 2.0, 9.0];
        let map = AnomalyMap {
            scores: &scores,
            mask: &[0, 1, 1, 0, 1, 0],
            ignore: Some(&[0, 0, 0, 0, 0, 1]),
            height: 2,
            width: 3,
        };
        let want = Levels {
            false_positives: vec![2, 1, 1, 0],
            true_positives: vec![3, 3, 2, 0],
            overlap: vec![1.0, 1.0, 2.0 / 3.0, 0.0],
        };
        assert_eq!(count(map, &[0.0, 1.0, 1.5, 3.5]), Ok(want));
    }
}
