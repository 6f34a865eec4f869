//! Connected regions of a mask, with their labels, areas, boxes, centroids and scores.

use std::ops::Range;

use crate::error::{Error, check_len};

/// Neighbours that belong to the same region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// Edges only.
    Four,
    /// Edges and corners.
    Eight,
}

/// One horizontal run of a region: columns `start..end` of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRun {
    /// Row.
    pub row: u32,
    /// First column.
    pub start: u32,
    /// Column after the last.
    pub end: u32,
    /// Region, from 0, in the order of their first pixels.
    pub region: u32,
}

/// The connected regions of a mask as runs, in reading order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Regions {
    /// All runs, row by row.
    pub runs: Vec<RowRun>,
    /// Number of regions.
    pub count: usize,
}

impl Regions {
    /// Calls with the pixels of each run and, without a run, with those before, between and behind the runs. They come
    /// in reading order; the image has `len` pixels in rows of `width`.
    pub fn for_each_span(
        &self,
        width: usize,
        len: usize,
        mut call: impl FnMut(Range<usize>, Option<&RowRun>),
    ) {
        let mut end = 0;
        for run in &self.runs {
            let row = run.row as usize * width;
            let (start, stop) = (row + run.start as usize, row + run.end as usize);
            call(end..start, None);
            call(start..stop, Some(run));
            end = stop;
        }
        call(end..len, None);
    }
}

/// Labels the connected regions of a mask 1, 2, ... in the order of their first pixel; returns their number.
///
/// Only pixels of regions are written: `labels` must hold zeros, which fresh memory does for nothing.
///
/// # Errors
/// If a slice does not have height x width elements, or there are more regions than labels.
pub fn label(
    mask: &[u8],
    height: usize,
    width: usize,
    connectivity: Connectivity,
    labels: &mut [i32],
) -> Result<usize, Error> {
    check_len("labels", height * width, labels.len())?;
    let found = find(mask, height, width, connectivity)?;
    if i32::try_from(found.count).is_err() {
        return Err(Error::Value(format!("more than {} regions", i32::MAX)));
    }
    for run in &found.runs {
        let row = run.row as usize * width;
        labels[row + run.start as usize..row + run.end as usize].fill(run.region as i32 + 1);
    }
    Ok(found.count)
}

/// Finds the connected regions of a mask; any value but 0 is inside.
///
/// Rows are read as runs, and runs that touch those of the row before are joined by union-find, so sparse masks cost
/// little more than reading them.
///
/// # Errors
/// If the mask does not have height x width elements, or a side is longer than columns can be counted.
pub fn find(mask: &[u8], height: usize, width: usize, connectivity: Connectivity) -> Result<Regions, Error> {
    check_len("mask", height.saturating_mul(width), mask.len())?;
    if height.max(width) >= i32::MAX as usize || mask.len() >= u32::MAX as usize * 2 {
        // At most every second pixel begins a region, and their numbers have 32 bits.
        return Err(Error::Value(format!("a mask of {height} x {width} is too large")));
    }
    if mask.is_empty() {
        return Ok(Regions::default());
    }
    let reach = u32::from(connectivity == Connectivity::Eight);
    let mut parent: Vec<u32> = Vec::new();
    let mut runs: Vec<RowRun> = Vec::new();
    let mut above = 0..0;
    for (row, line) in mask.chunks_exact(width).enumerate() {
        let first = runs.len();
        let mut touching = above.start;
        for_each_run(line, |start, end| {
            while touching < above.end && runs[touching].end + reach <= start {
                touching += 1;
            }
            let mut label = None;
            let mut other = touching;
            while other < above.end && runs[other].start < end + reach {
                let root = root_of(&mut parent, runs[other].region);
                label = Some(match label {
                    None => root,
                    Some(mine) => unite(&mut parent, mine, root),
                });
                other += 1;
            }
            let region = label.unwrap_or_else(|| {
                let fresh = parent.len() as u32;
                parent.push(fresh);
                fresh
            });
            runs.push(RowRun { row: row as u32, start, end, region });
        });
        above = first..runs.len();
    }
    // Roots are numbered by their first run, which is the first pixel in reading order.
    let mut number = vec![u32::MAX; parent.len()];
    let mut count = 0;
    for run in &mut runs {
        let root = root_of(&mut parent, run.region) as usize;
        if number[root] == u32::MAX {
            number[root] = count;
            count += 1;
        }
        run.region = number[root];
    }
    Ok(Regions { runs, count: count as usize })
}

/// Calls with the first column of each run of a row and the column after its last.
pub(super) fn for_each_run(line: &[u8], mut call: impl FnMut(u32, u32)) {
    const WORD: usize = u64::BITS as usize;
    let (mut start, mut inside) = (0, 0_u64);
    let mut visit = |offset: usize, bits: u64| {
        // A bit for each pixel that differs from the one before.
        let mut changes = bits ^ (bits << 1 | inside);
        while changes != 0 {
            let column = offset as u32 + changes.trailing_zeros();
            if inside == 0 {
                start = column;
            } else {
                call(start, column);
            }
            inside ^= 1;
            changes &= changes - 1;
        }
    };
    let (words, rest) = line.as_chunks::<WORD>();
    for (index, word) in words.iter().enumerate() {
        visit(index * WORD, bits_of(word));
    }
    // What is missing of the last word is outside, which ends a run at the end of the row.
    let mut last = [0; WORD];
    last[..rest.len()].copy_from_slice(rest);
    visit(words.len() * WORD, bits_of(&last));
    if inside == 1 {
        call(start, line.len() as u32);
    }
}

/// Returns a bit for each byte that is not 0, the first lowest.
fn bits_of(bytes: &[u8; 64]) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // Masks are empty in most places.
    if bytes.iter().fold(0, |all, byte| all | byte) == 0 {
        return 0;
    }
    let (eights, _) = bytes.as_chunks::<8>();
    eights.iter().enumerate().fold(0, |bits, (index, eight)| {
        let word = u64::from_le_bytes(*eight);
        // The highest bit of each byte that is not 0; a product moves them together.
        let high = (((word & LOW) + LOW) | word) & !LOW;
        bits | ((high >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * index)
    })
}

pub(super) fn root_of(parent: &mut [u32], mut node: u32) -> u32 {
    while parent[node as usize] != node {
        parent[node as usize] = parent[parent[node as usize] as usize];
        node = parent[node as usize];
    }
    node
}

pub(super) fn unite(parent: &mut [u32], one: u32, other: u32) -> u32 {
    let (low, high) = (one.min(other), one.max(other));
    parent[high as usize] = low;
    low
}

/// Measures of one region; the box is half-open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// Pixels.
    pub area: i64,
    /// Top, left, bottom, right.
    pub bounds: [i64; 4],
    /// Mean row and column.
    pub centroid: [f64; 2],
    /// Highest score.
    pub max_score: f64,
    /// Mean score.
    pub mean_score: f64,
}

/// Labels that are looked at together, to pass over those that are 0.
const CHUNK: usize = 32;

impl Statistics {
    /// Those of a region without pixels, with scores or without.
    pub(super) fn none(scored: bool) -> Self {
        let [max_score, mean_score] = if scored { [f64::NEG_INFINITY, 0.0] } else { [f64::NAN; 2] };
        Self { area: 0, bounds: [i64::MAX, i64::MAX, 0, 0], centroid: [0.0; 2], max_score, mean_score }
    }

    /// Turns the sums of all pixels into means.
    pub(super) fn finish(&mut self) {
        let area = self.area as f64;
        self.centroid.iter_mut().for_each(|sum| *sum /= area);
        self.mean_score /= area;
    }

    /// Adds some columns of a row, and their scores; centroid and mean score are sums until all are added.
    pub(super) fn add<S: Copy + Into<f64>>(
        &mut self,
        row: usize,
        columns: Range<usize>,
        scores: Option<&[S]>,
    ) {
        let [top, left, bottom, right] = self.bounds;
        let (row, start, end) = (row as i64, columns.start as i64, columns.end as i64);
        self.bounds = [top.min(row), left.min(start), bottom.max(row + 1), right.max(end)];
        self.area += end - start;
        self.centroid[0] += (row * (end - start)) as f64;
        self.centroid[1] += ((start + end - 1) * (end - start)) as f64 / 2.0;
        for &score in scores.unwrap_or_default() {
            let score = score.into();
            self.max_score = self.max_score.max(score);
            self.mean_score += score;
        }
    }
}

/// Measures the regions 1..=count of a label image; scores may be absent (their statistics are then NaN).
///
/// # Errors
/// If a slice does not have the length of the image, or a label exceeds `count`.
pub fn measure<S: Copy + Into<f64>>(
    labels: &[i32],
    width: usize,
    count: usize,
    scores: Option<&[S]>,
) -> Result<Vec<Statistics>, Error> {
    if let Some(scores) = scores {
        check_len("scores", labels.len(), scores.len())?;
    }
    let mut found = vec![Statistics::none(scores.is_some()); count];
    for (row, line) in labels.chunks_exact(width.max(1)).enumerate() {
        for (index, chunk) in line.chunks(CHUNK).enumerate() {
            // Labels are 0 in most places.
            if chunk.iter().fold(0, |all, label| all | label) == 0 {
                continue;
            }
            let mut column = index * CHUNK;
            for same in chunk.chunk_by(|one, other| one == other) {
                let columns = column..column + same.len();
                column = columns.end;
                if same[0] == 0 {
                    continue;
                }
                let Some(region) = usize::try_from(same[0] - 1).ok().and_then(|index| found.get_mut(index))
                else {
                    return Err(Error::Value(format!(
                        "label {} at row {row}, column {} is not in 0..={count}",
                        same[0], columns.start
                    )));
                };
                region.add(row, columns.clone(), scores.map(|scores| &scores[row * width..][columns]));
            }
        }
    }
    found.iter_mut().for_each(Statistics::finish);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(mask: &[u8], width: usize, connectivity: Connectivity) -> (usize, Vec<i32>) {
        let mut labels = vec![0; mask.len()];
        let found = label(mask, mask.len() / width, width, connectivity, &mut labels);
        (found.unwrap_or(usize::MAX), labels)
    }

    #[test]
    fn corners_join_under_eight_only() {
        let mask = [1, 0, 0, 0, 1, 0, 0, 0, 1];
        assert_eq!(count(&mask, 3, Connectivity::Eight).0, 1);
        assert_eq!(count(&mask, 3, Connectivity::Four).0, 3);
    }

    #[test]
    fn arms_that_meet_below_are_one_region() {
        let mask = [1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1];
        let (found, labels) = count(&mask, 5, Connectivity::Four);
        assert_eq!(found, 1);
        assert_eq!(labels.iter().filter(|&&label| label == 1).count(), 11);
    }

    #[test]
    fn regions_are_numbered_in_reading_order() {
        let mask = [0, 0, 1, 1, 0, 0, 0, 0, 1];
        assert_eq!(count(&mask, 3, Connectivity::Four).1, [0, 0, 1, 2, 0, 0, 0, 0, 3]);
    }

    #[test]
    fn measures_are_those_of_the_region() {
        let labels = [1, 1, 0, 0, 1, 2];
        let scores = [1.0_f32, 2.0, 9.0, 9.0, 6.0, 4.0];
        let Ok(found) = measure(&labels, 3, 2, Some(&scores)) else { panic!("refused") };
        assert_eq!(found[0].area, 3);
        assert_eq!(found[0].bounds, [0, 0, 2, 2]);
        assert_eq!(found[0].centroid, [1.0 / 3.0, 2.0 / 3.0]);
        assert_eq!((found[0].max_score, found[0].mean_score), (6.0, 3.0));
        assert_eq!(found[1].bounds, [1, 2, 2, 3]);
        assert!(measure::<f32>(&labels, 3, 1, None).is_err());
    }
}
