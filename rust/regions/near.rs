//! Regions whose fragments lie near each other, and the length of a region.

use super::labels::{Regions, RowRun, root_of, unite};

/// Joins regions of which two pixels' centres are at most a distance apart, and all that hang together so. They are numbered
/// in the order of their first pixel.
pub fn join_near(regions: Regions, distance: u32) -> Regions {
    let Regions { mut runs, count } = regions;
    let mut parent: Vec<u32> = (0..count as u32).collect();
    let rows: Vec<&[RowRun]> = runs.chunk_by(|one, other| one.row == other.row).collect();
    for (index, above) in rows.iter().enumerate() {
        for below in &rows[index..] {
            let down = below[0].row - above[0].row;
            if down > distance {
                break;
            }
            join_rows(above, below, across(distance, down), &mut parent);
        }
    }
    let mut number = vec![u32::MAX; count];
    let mut joined = 0;
    for run in &mut runs {
        let root = root_of(&mut parent, run.region) as usize;
        if number[root] == u32::MAX {
            number[root] = joined;
            joined += 1;
        }
        run.region = number[root];
    }
    Regions { runs, count: joined as usize }
}

/// Returns how many columns apart two pixels may be that many rows apart.
fn across(distance: u32, down: u32) -> u32 {
    let square = |side: u32| u64::from(side) * u64::from(side);
    (square(distance) - square(down)).isqrt() as u32
}

/// Joins the runs of two rows of which two pixels are at most so many columns apart.
fn join_rows(above: &[RowRun], below: &[RowRun], across: u32, parent: &mut [u32]) {
    let mut first = 0;
    for run in above {
        while first < below.len() && below[first].end + across <= run.start {
            first += 1;
        }
        for other in below[first..].iter().take_while(|other| other.start < run.end + across) {
            let (one, other) = (root_of(parent, run.region), root_of(parent, other.region));
            unite(parent, one, other);
        }
    }
}

/// Returns the length of each of so many regions in pixels: the largest distance between the centres of two of its pixels,
/// and one.
pub fn lengths(runs: &[RowRun], count: usize) -> Vec<f64> {
    // The ends of runs hold the corners of the convex hull, and two of those are farthest apart.
    let mut ends: Vec<Vec<(i64, i64)>> = vec![Vec::new(); count];
    for run in runs {
        let row = i64::from(run.row);
        let points = &mut ends[run.region as usize];
        points.push((row, i64::from(run.start)));
        points.push((row, i64::from(run.end) - 1));
    }
    ends.iter().map(|points| 1.0 + (widest(&hull(points)) as f64).sqrt()).collect()
}

/// Returns the corners of the convex hull of points in the order of their rows and columns (Andrew's monotone chain).
fn hull(points: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut corners = half_hull(points.iter());
    corners.extend(half_hull(points.iter().rev()));
    corners
}

fn half_hull<'a>(points: impl Iterator<Item = &'a (i64, i64)>) -> Vec<(i64, i64)> {
    let mut chain: Vec<(i64, i64)> = Vec::new();
    for &point in points {
        while let [.., before, last] = chain[..] {
            let turn =
                (last.0 - before.0) * (point.1 - before.1) - (last.1 - before.1) * (point.0 - before.0);
            if turn > 0 {
                break;
            }
            chain.pop();
        }
        chain.push(point);
    }
    chain
}

/// Returns the largest square of a distance between two points.
fn widest(points: &[(i64, i64)]) -> i64 {
    let mut most = 0;
    for (index, one) in points.iter().enumerate() {
        for other in &points[index + 1..] {
            most = most.max((one.0 - other.0).pow(2) + (one.1 - other.1).pow(2));
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::super::labels::{Connectivity, find};
    use super::*;

    /// Blots and single pixels.
    fn mask(height: usize, width: usize) -> Vec<u8> {
        let inside = |row: usize, column: usize| (row * 7 + column * column * 3 + row * column) % 23 < 3;
        (0..height * width).map(|place| u8::from(inside(place / width, place % width))).collect()
    }

    #[test]
    fn near_regions_are_joined_as_every_pair_of_pixels_says() {
        for (height, width) in [(1, 1), (1, 60), (31, 1), (23, 40)] {
            let mask = mask(height, width);
            let pixels: Vec<(i64, i64)> = (0..mask.len())
                .filter(|&place| mask[place] == 1)
                .map(|place| ((place / width) as i64, (place % width) as i64))
                .collect();
            let apart =
                |one: (i64, i64), other: (i64, i64)| (one.0 - other.0).pow(2) + (one.1 - other.1).pow(2);
            for distance in [0, 1, 2, 3, 5, 80] {
                let found = find(&mask, height, width, Connectivity::Eight).unwrap_or_default();
                let joined = join_near(found, distance);
                let reach = i64::from(distance).pow(2).max(2);
                let mut group: Vec<usize> = (0..pixels.len()).collect();
                let mut changed = true;
                while changed {
                    changed = false;
                    for one in 0..pixels.len() {
                        for other in 0..one {
                            if group[one] != group[other] && apart(pixels[one], pixels[other]) <= reach {
                                let low = group[one].min(group[other]);
                                (group[one], group[other], changed) = (low, low, true);
                            }
                        }
                    }
                }
                let mut wanted = group.clone();
                wanted.sort_unstable();
                wanted.dedup();
                assert_eq!(joined.count, wanted.len());
                let numbers =
                    joined.runs.iter().flat_map(|run| (run.start..run.end).map(|_| run.region as usize));
                for (number, root) in numbers.zip(group.iter().copied()) {
                    assert_eq!(wanted[number], root);
                }
                for (number, length) in lengths(&joined.runs, joined.count).into_iter().enumerate() {
                    let inside: Vec<(i64, i64)> = (pixels.iter().zip(&group))
                        .filter(|(_, root)| **root == wanted[number])
                        .map(|(pixel, _)| *pixel)
                        .collect();
                    let pairs = inside.iter().flat_map(|one| inside.iter().map(|other| apart(*one, *other)));
                    assert_eq!(length, 1.0 + (pairs.max().unwrap_or(0) as f64).sqrt());
                }
            }
        }
    }
}
