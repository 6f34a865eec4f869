//! Regions of at least so many pixels, found without an image of labels: what is held beside the mask grows with its runs
//! alone.

use super::labels::{Connectivity, Statistics, find, for_each_run, root_of, unite};
use crate::error::{Error, check_len};

/// Clears the regions of fewer than `min_area` pixels from a mask; returns the measures of the others, in the order of
/// their first pixel.
///
/// # Errors
/// If a slice does not have height x width elements, or a side is longer than columns can be counted.
pub fn keep_large(
    mask: &mut [u8],
    height: usize,
    width: usize,
    connectivity: Connectivity,
    min_area: u64,
    scores: &[f32],
) -> Result<Vec<Statistics>, Error> {
    check_len("scores", mask.len(), scores.len())?;
    let found = find(mask, height, width, connectivity)?;
    let mut areas = vec![0_u64; found.count];
    for run in &found.runs {
        areas[run.region as usize] += u64::from(run.end - run.start);
    }
    let mut count = 0;
    let numbers: Vec<Option<usize>> = areas
        .iter()
        .map(|&area| {
            (area >= min_area).then(|| {
                count += 1;
                count - 1
            })
        })
        .collect();
    let mut measures = vec![Statistics::none(true); count];
    for run in &found.runs {
        let (row, columns) = (run.row as usize, run.start as usize..run.end as usize);
        let pixels = row * width + columns.start..row * width + columns.end;
        match numbers[run.region as usize] {
            Some(number) => measures[number].add(row, columns, Some(&scores[pixels])),
            None => mask[pixels].fill(0),
        }
    }
    measures.iter_mut().for_each(Statistics::finish);
    Ok(measures)
}

/// Returns the highest score such that the pixels at or above it hold a region of `min_area` pixels; of a map without
/// such a region the lowest.
///
/// # Errors
/// If the map is empty or no multiple of its width, a side is longer than columns can be counted, or a score is NaN.
pub fn highest_level(
    scores: &[f32],
    width: usize,
    connectivity: Connectivity,
    min_area: u64,
) -> Result<f32, Error> {
    if scores.is_empty() || !scores.len().is_multiple_of(width) || width >= i32::MAX as usize {
        return Err(Error::Value(format!(
            "a map of {} pixels in rows of {width} has no level",
            scores.len()
        )));
    }
    if scores.iter().any(|score| score.is_nan()) {
        return Err(Error::Value("a map with NaN has no level".into()));
    }
    let (low, high) = scores
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &score| (low.min(score), high.max(score)));
    // The region only shrinks as the level rises: bisection over all numbers, in the order of their bits.
    let (mut low, mut high) = (rank_of(low), rank_of(high));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if holds_region(scores, width, connectivity, level_of(middle), min_area) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(level_of(low))
}

/// Returns the place of a number among all, counted from the lowest.
fn rank_of(value: f32) -> u32 {
    let bits = value.to_bits();
    if value.is_sign_negative() { !bits } else { bits | 1 << 31 }
}

fn level_of(rank: u32) -> f32 {
    f32::from_bits(if rank >> 31 == 1 { rank ^ 1 << 31 } else { !rank })
}

/// Returns whether the pixels at or above a level hold a region of `min_area` pixels; rows below it are not looked at.
fn holds_region(scores: &[f32], width: usize, connectivity: Connectivity, level: f32, min_area: u64) -> bool {
    let reach = u32::from(connectivity == Connectivity::Eight);
    let (mut parent, mut areas) = (Vec::<u32>::new(), Vec::<u64>::new());
    // First column, column after the last, and region of each run of the row before and of this one.
    let (mut above, mut runs) = (Vec::<(u32, u32, u32)>::new(), Vec::new());
    let (mut mask, mut found) = (vec![0; width], min_area == 0);
    for line in scores.chunks_exact(width) {
        mask.iter_mut().zip(line).for_each(|(inside, score)| *inside = u8::from(*score >= level));
        runs.clear();
        let mut touching = 0;
        for_each_run(&mask, |start, end| {
            while touching < above.len() && above[touching].1 + reach <= start {
                touching += 1;
            }
            let region = parent.len() as u32;
            parent.push(region);
            areas.push(u64::from(end - start));
            let mut root = region;
            for &(_, _, other) in above[touching..].iter().take_while(|(first, ..)| *first < end + reach) {
                let other = root_of(&mut parent, other);
                if other != root {
                    let area = areas[root as usize] + areas[other as usize];
                    root = unite(&mut parent, root, other);
                    areas[root as usize] = area;
                }
            }
            found |= areas[root as usize] >= min_area;
            runs.push((start, end, root));
        });
        if found {
            return true;
        }
        (above, runs) = (runs, above);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores that are equal in places, in the shape of stripes, blots and single pixels.
    fn scores(height: usize, width: usize) -> Vec<f32> {
        (0..height * width)
            .map(|place| {
                let (row, column) = (place / width, place % width);
                ((row * 7 + column * column * 3 + row * column) % 23) as f32 - 11.0
            })
            .collect()
    }

    fn largest(scores: &[f32], width: usize, connectivity: Connectivity, level: f32) -> u64 {
        let mask: Vec<u8> = scores.iter().map(|score| u8::from(*score >= level)).collect();
        let found = find(&mask, mask.len() / width, width, connectivity).unwrap_or_default();
        let mut areas = vec![0; found.count];
        found.runs.iter().for_each(|run| areas[run.region as usize] += u64::from(run.end - run.start));
        areas.into_iter().max().unwrap_or(0)
    }

    #[test]
    fn the_highest_level_is_that_of_trying_every_score() {
        for (height, width) in [(1, 1), (1, 90), (90, 1), (23, 71), (40, 64)] {
            let scores = scores(height, width);
            for connectivity in [Connectivity::Four, Connectivity::Eight] {
                for min_area in [1, 2, 5, 40, 700, 5000] {
                    let reached = scores
                        .iter()
                        .filter(|&&level| largest(&scores, width, connectivity, level) >= min_area);
                    let lowest = scores.iter().copied().fold(f32::INFINITY, f32::min);
                    let want = reached.copied().fold(lowest, f32::max);
                    assert_eq!(highest_level(&scores, width, connectivity, min_area), Ok(want));
                }
            }
        }
        assert!(highest_level(&[], 0, Connectivity::Four, 1).is_err());
        assert!(highest_level(&[0.0, f32::NAN], 2, Connectivity::Four, 1).is_err());
    }

    #[test]
    fn large_regions_stay_and_are_measured_as_labels_are() {
        use super::super::labels::{label, measure};
        let (height, width) = (40, 71);
        let scores = scores(height, width);
        let mut mask: Vec<u8> = scores.iter().map(|score| u8::from(*score > 2.0)).collect();
        let mut labels = vec![0; mask.len()];
        let count = label(&mask, height, width, Connectivity::Four, &mut labels).unwrap_or(0);
        let all = measure(&labels, width, count, Some(&scores)).unwrap_or_default();
        let kept = keep_large(&mut mask, height, width, Connectivity::Four, 6, &scores).unwrap_or_default();
        assert!(kept.len() > 1 && kept.len() < count);
        assert_eq!(kept, all.iter().copied().filter(|region| region.area >= 6).collect::<Vec<_>>());
        for (inside, label) in mask.iter().zip(labels) {
            assert_eq!(*inside == 1, label > 0 && all[label as usize - 1].area >= 6);
        }
    }
}
