//! Connected regions of a mask: labels, areas, boxes, centroids, scores.

use crate::Error;
use crate::tiling::check_len;

/// Which neighbours join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// Edges only.
    Four,
    /// Edges and corners.
    Eight,
}

/// One horizontal run of a region: columns `start..end` of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
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
    pub runs: Vec<Run>,
    /// Number of regions.
    pub count: usize,
}

/// Labels the connected regions of a mask 1, 2, ... in the order of their first pixel; returns their number.
///
/// # Errors
/// If a slice does not have height x width elements.
pub fn label(
    mask: &[u8],
    height: usize,
    width: usize,
    connectivity: Connectivity,
    labels: &mut [i32],
) -> Result<usize, Error> {
    check_len("labels", height * width, labels.len())?;
    let found = find(mask, height, width, connectivity)?;
    labels.fill(0);
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
/// If the mask does not have height x width elements.
pub fn find(mask: &[u8], height: usize, width: usize, connectivity: Connectivity) -> Result<Regions, Error> {
    check_len("mask", height * width, mask.len())?;
    if mask.is_empty() {
        return Ok(Regions::default());
    }
    let reach = u32::from(connectivity == Connectivity::Eight);
    let mut parent: Vec<u32> = Vec::new();
    let mut runs: Vec<Run> = Vec::new();
    let mut above = 0..0;
    for (row, line) in mask.chunks_exact(width).enumerate() {
        let first = runs.len();
        let mut touching = above.start;
        let mut column = 0;
        while let Some((start, end)) = next_run(line, column) {
            column = end;
            let (start, end) = (start as u32, end as u32);
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
            runs.push(Run { row: row as u32, start, end, region });
        }
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

fn next_run(line: &[u8], from: usize) -> Option<(usize, usize)> {
    let start = from + line.get(from..)?.iter().position(|&value| value != 0)?;
    let end = line[start..].iter().position(|&value| value == 0).map_or(line.len(), |length| start + length);
    Some((start, end))
}

fn root_of(parent: &mut [u32], mut node: u32) -> u32 {
    while parent[node as usize] != node {
        parent[node as usize] = parent[parent[node as usize] as usize];
        node = parent[node as usize];
    }
    node
}

fn unite(parent: &mut [u32], one: u32, other: u32) -> u32 {
    let (low, high) = (one.min(other), one.max(other));
    parent[high as usize] = low;
    low
}

/// What is measured of one region; the box is half-open.
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

/// Measures the regions 1..=count of a label image; scores may be absent (their statistics are then NaN).
///
/// # Errors
/// If a slice does not have the length of the image, or a label exceeds `count`.
pub fn measure(
    labels: &[i32],
    width: usize,
    count: usize,
    scores: Option<&[f32]>,
) -> Result<Vec<Statistics>, Error> {
    if let Some(scores) = scores {
        check_len("scores", labels.len(), scores.len())?;
    }
    let start = if scores.is_some() { (f64::NEG_INFINITY, 0.0) } else { (f64::NAN, f64::NAN) };
    let empty = Statistics {
        area: 0,
        bounds: [i64::MAX, i64::MAX, 0, 0],
        centroid: [0.0; 2],
        max_score: start.0,
        mean_score: start.1,
    };
    let mut found = vec![empty; count];
    for (row, line) in labels.chunks_exact(width.max(1)).enumerate() {
        for (column, &label) in line.iter().enumerate() {
            if label == 0 {
                continue;
            }
            let Some(region) = usize::try_from(label - 1).ok().and_then(|index| found.get_mut(index)) else {
                return Err(Error::Value(format!(
                    "label {label} at row {row}, column {column} is not in 0..={count}"
                )));
            };
            let (y, x) = (row as i64, column as i64);
            region.area += 1;
            let [top, left, bottom, right] = region.bounds;
            region.bounds = [top.min(y), left.min(x), bottom.max(y + 1), right.max(x + 1)];
            region.centroid[0] += row as f64;
            region.centroid[1] += column as f64;
            if let Some(scores) = scores {
                let score = f64::from(scores[row * width + column]);
                region.max_score = region.max_score.max(score);
                region.mean_score += score;
            }
        }
    }
    for region in &mut found {
        let area = region.area as f64;
        region.centroid.iter_mut().for_each(|sum| *sum /= area);
        region.mean_score /= area;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(mask: &[u8], width: usize, connectivity: Connectivity) -> (usize, Vec<i32>) {
        let mut labels = vec![-1; mask.len()];
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
        let scores = [1.0, 2.0, 9.0, 9.0, 6.0, 4.0];
        let Ok(found) = measure(&labels, 3, 2, Some(&scores)) else { panic!("refused") };
        assert_eq!(found[0].area, 3);
        assert_eq!(found[0].bounds, [0, 0, 2, 2]);
        assert_eq!(found[0].centroid, [1.0 / 3.0, 2.0 / 3.0]);
        assert_eq!((found[0].max_score, found[0].mean_score), (6.0, 3.0));
        assert_eq!(found[1].bounds, [1, 2, 2, 3]);
        assert!(measure(&labels, 3, 1, None).is_err());
    }
}
