//! Regions of at least so many pixels, found without an image of labels: what is held beside the mask grows with its runs
//! alone.

use super::labels::{Connectivity, Regions, RowRun, Statistics, find, for_each_run, root_of, unite};
use super::near::{join_near, lengths};
use crate::error::{Error, check_len};

/// The regions of at least so many pixels of a mask, measured from scores that come row by row.
pub struct LargeRegions {
    /// Runs of these regions alone.
    runs: Vec<RowRun>,
    measures: Vec<Statistics>,
    width: usize,
    /// Row whose scores come next, and its first run.
    next: (usize, usize),
}

impl LargeRegions {
    /// Finds the regions of a mask, joins those at most `distance` pixels apart, and clears those of fewer than `min_area`
    /// pixels from it. The others are numbered in the order of their first pixel.
    ///
    /// # Errors
    /// If the mask does not have height x width elements, or a side is longer than columns can be counted.
    pub fn keep(
        mask: &mut [u8],
        height: usize,
        width: usize,
        connectivity: Connectivity,
        distance: u32,
        min_area: u64,
    ) -> Result<Self, Error> {
        let mut found = find(mask, height, width, connectivity)?;
        if distance > 1 {
            found = join_near(found, distance);
        }
        let Regions { mut runs, count } = found;
        let mut areas = vec![0_u64; count];
        for run in &runs {
            areas[run.region as usize] += u64::from(run.end - run.start);
        }
        let kept: Vec<bool> = areas.into_iter().map(|area| area >= min_area).collect();
        clear_others(&mut runs, mask, width, &kept);
        let count = kept.into_iter().filter(|kept| *kept).count();
        Ok(Self { runs, measures: vec![Statistics::none(true); count], width, next: (0, 0) })
    }

    /// Adds the scores of the next rows to the measures.
    ///
    /// # Errors
    /// If they are no whole rows.
    pub fn add(&mut self, scores: &[f32]) -> Result<(), Error> {
        let (first, next) = self.next;
        if self.width == 0 || !scores.len().is_multiple_of(self.width) {
            return Err(Error::Value(format!("{} scores are no rows of {}", scores.len(), self.width)));
        }
        let end = first + scores.len() / self.width;
        let runs = self.runs[next..].iter().take_while(|run| (run.row as usize) < end);
        let mut count = 0;
        for run in runs {
            let (row, columns) = (run.row as usize, run.start as usize..run.end as usize);
            let line = &scores[(row - first) * self.width..][columns.clone()];
            self.measures[run.region as usize].add(row, columns, Some(line));
            count += 1;
        }
        self.next = (end, next + count);
        Ok(())
    }

    /// Returns the measures once all scores have come.
    pub fn measures(&self) -> Vec<Statistics> {
        let mut measures = self.measures.clone();
        measures.iter_mut().for_each(Statistics::finish);
        measures
    }

    /// Returns the length of each region: the largest distance between the centres of two of its pixels, and one.
    pub fn lengths(&self) -> Vec<f64> {
        lengths(&self.runs, self.measures.len())
    }

    /// Clears those regions from the mask that are not to be kept.
    ///
    /// # Errors
    /// If it is another mask, or there is not one answer for each region.
    pub fn keep_only(&mut self, mask: &mut [u8], kept: &[bool]) -> Result<(), Error> {
        check_len("kept", self.measures.len(), kept.len())?;
        let end = self.runs.last().map_or(0, |run| run.row as usize * self.width + run.end as usize);
        if mask.len() < end {
            return Err(Error::Value(format!("a mask of {} pixels is too small", mask.len())));
        }
        clear_others(&mut self.runs, mask, self.width, kept);
        let mut answers = kept.iter();
        self.measures.retain(|_| answers.next() == Some(&true));
        Ok(())
    }
}

/// Keeps the runs of some regions, numbers these anew in their order, and clears the others from the mask.
fn clear_others(runs: &mut Vec<RowRun>, mask: &mut [u8], width: usize, kept: &[bool]) {
    let mut count = 0;
    let numbers: Vec<Option<u32>> = kept
        .iter()
        .map(|&kept| {
            kept.then(|| {
                count += 1;
                count - 1
            })
        })
        .collect();
    runs.retain_mut(|run| match numbers[run.region as usize] {
        Some(number) => {
            run.region = number;
            true
        }
        None => {
            let row = run.row as usize * width;
            mask[row + run.start as usize..row + run.end as usize].fill(0);
            false
        }
    });
}

/// Looks for a region of `min_area` pixels in a mask that comes row by row; what is held grows with its regions alone.
pub struct RegionSearch {
    connectivity: Connectivity,
    min_area: u64,
    parent: Vec<u32>,
    areas: Vec<u64>,
    /// First column, column after the last, and region of each run of the last row.
    above: Vec<(u32, u32, u32)>,
    found: bool,
}

impl RegionSearch {
    /// Starts above the first row.
    pub fn new(connectivity: Connectivity, min_area: u64) -> Self {
        let (parent, areas, above) = (Vec::new(), Vec::new(), Vec::new());
        Self { connectivity, min_area, parent, areas, above, found: min_area == 0 }
    }

    /// Takes the next rows of a map, of which the pixels at or above a level are inside; returns whether the region is
    /// found. Then nothing more is looked at.
    ///
    /// # Errors
    /// If the scores are no multiple of the width, or it is longer than columns can be counted.
    pub fn add(&mut self, scores: &[f32], width: usize, level: f32) -> Result<bool, Error> {
        if width == 0 || !scores.len().is_multiple_of(width) || width >= i32::MAX as usize {
            return Err(Error::Value(format!("{} scores are no rows of {width}", scores.len())));
        }
        let mut mask = vec![0; width];
        for line in scores.chunks_exact(width) {
            if self.found {
                break;
            }
            mask.iter_mut().zip(line).for_each(|(inside, score)| *inside = u8::from(*score >= level));
            self.add_row(&mask);
        }
        Ok(self.found)
    }

    fn add_row(&mut self, mask: &[u8]) {
        let Self { connectivity, min_area, parent, areas, above, found } = self;
        let reach = u32::from(*connectivity == Connectivity::Eight);
        let (mut touching, mut runs) = (0, Vec::new());
        for_each_run(mask, |start, end| {
            while touching < above.len() && above[touching].1 + reach <= start {
                touching += 1;
            }
            let mut root = parent.len() as u32;
            parent.push(root);
            areas.push(u64::from(end - start));
            for &(_, _, other) in above[touching..].iter().take_while(|(first, ..)| *first < end + reach) {
                let other = root_of(parent, other);
                if other != root {
                    let area = areas[root as usize] + areas[other as usize];
                    root = unite(parent, root, other);
                    areas[root as usize] = area;
                }
            }
            *found |= areas[root as usize] >= *min_area;
            runs.push((start, end, root));
        });
        *above = runs;
    }
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

    #[test]
    fn a_region_is_found_where_the_largest_is_large_enough() {
        for (height, width) in [(1, 1), (1, 90), (90, 1), (23, 71), (40, 64)] {
            let scores = scores(height, width);
            for connectivity in [Connectivity::Four, Connectivity::Eight] {
                for level in -11..12 {
                    let mask: Vec<u8> = scores.iter().map(|score| u8::from(*score >= level as f32)).collect();
                    let found = find(&mask, height, width, connectivity).unwrap_or_default();
                    let mut areas = vec![0; found.count];
                    found
                        .runs
                        .iter()
                        .for_each(|run| areas[run.region as usize] += u64::from(run.end - run.start));
                    let largest = areas.into_iter().max().unwrap_or(0);
                    for min_area in [1, 2, 5, 40, 700, 5000] {
                        for rows in [1, 7, 90] {
                            let mut search = RegionSearch::new(connectivity, min_area);
                            let mut reached = Ok(false);
                            for part in scores.chunks(rows * width) {
                                reached = search.add(part, width, level as f32);
                            }
                            assert_eq!(reached, Ok(largest >= min_area));
                        }
                    }
                }
            }
        }
        assert!(RegionSearch::new(Connectivity::Four, 1).add(&[0.0; 5], 2, 0.0).is_err());
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
        let Ok(mut large) = LargeRegions::keep(&mut mask, height, width, Connectivity::Four, 0, 6) else {
            panic!("refused")
        };
        for rows in scores.chunks(7 * width) {
            assert_eq!(large.add(rows), Ok(()));
        }
        assert!(large.add(&[0.0; 5]).is_err());
        let kept = large.measures();
        assert!(kept.len() > 1 && kept.len() < count);
        assert_eq!(kept, all.iter().copied().filter(|region| region.area >= 6).collect::<Vec<_>>());
        for (inside, label) in mask.iter().zip(labels) {
            assert_eq!(*inside == 1, label > 0 && all[label as usize - 1].area >= 6);
        }
    }
}
