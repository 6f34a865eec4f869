//! Stitches patches into one image, the mean where they overlap.

use std::ops::{Range, RangeInclusive};

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::extract::Grid;
use crate::error::{Error, check_len};

/// Image rows of a task. Fewer rows read patches in shorter pieces; more let the last task run alone for longer.
const TASK_ROWS: RangeInclusive<usize> = 16..=128;

/// Lays patches (P, C, h, w) of a range of the grid into an image (H, W, C) that holds what all before them left there.
///
/// Rows that no patch before has reached are overwritten, and rows that none after reaches become means; between them
/// lie sums. Every pixel's sum takes the patches in the order of the grid, hence comes out the same in any batches and on
/// any number of threads.
///
/// # Errors
/// If a slice does not have the length of its shape, or the range passes the end of the grid.
pub fn stitch_patches(
    patches: &[f32],
    grid: Grid,
    range: Range<usize>,
    image: &mut [f32],
) -> Result<(), Error> {
    grid.check("patches", &range, patches.len())?;
    check_len("image", grid.shape.len(), image.len())?;
    if range.is_empty() {
        return Ok(());
    }
    let [top, _] = grid.corner(range.start);
    let bottom = |index: usize| grid.corner(index)[0] + grid.patch_size;
    let reached = range.start.checked_sub(1).map_or(0, bottom);
    let complete = if range.end == grid.count() {
        grid.shape.height
    } else {
        grid.rows.at(range.end / grid.columns.count)
    };
    let counts = PatchCounts::new(grid);
    let line = grid.shape.width * grid.shape.channels;
    each_band(grid, top..bottom(range.end - 1), image, |first, lines| {
        let part = |row: usize, lines: &[f32]| (row.saturating_sub(first) * line).min(lines.len());
        let fresh = part(reached, lines);
        lines[fresh..].fill(0.0);
        let arch = Arch::new();
        arch.dispatch(AddPatches { patches, grid, range: range.clone(), first, lines: &mut *lines });
        let done = part(complete, lines);
        arch.dispatch(DivideByCounts { counts: &counts, first, lines: &mut lines[..done] });
    });
    Ok(())
}

/// Calls `work` with the number of its first row and the values of each band of an image's rows.
fn each_band(grid: Grid, rows: Range<usize>, image: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync) {
    let line = grid.shape.width * grid.shape.channels;
    let threads = rayon::current_num_threads();
    let tasks = if threads == 1 { 1 } else { 2 * threads };
    let height = rows.len().div_ceil(tasks).clamp(*TASK_ROWS.start(), *TASK_ROWS.end());
    let bands = image[rows.start * line..rows.end * line].par_chunks_mut(height * line);
    bands.enumerate().for_each(|(band, lines)| work(rows.start + band * height, lines));
}

/// Adds the part that patches of a range have of the image's rows from `first` on.
struct AddPatches<'a> {
    patches: &'a [f32],
    grid: Grid,
    range: Range<usize>,
    first: usize,
    lines: &'a mut [f32],
}

impl WithSimd for AddPatches<'_> {
    type Output = ();

    // A method and not a closure, which pulp would compile without the instructions that it has found.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { patches, grid, range, first, lines } = self;
        let Grid { shape, patch_size, columns, .. } = grid;
        let end = first + lines.len() / (shape.width * shape.channels);
        for grid_row in range.start / columns.count..range.end.div_ceil(columns.count) {
            let top = grid.rows.at(grid_row);
            let rows = first.max(top)..end.min(top + patch_size);
            if rows.is_empty() {
                continue;
            }
            let of_row = grid_row * columns.count..(grid_row + 1) * columns.count;
            let mut index = of_row.start.max(range.start);
            let stop = of_row.end.min(range.end);
            let patch_at =
                |index: usize| &patches[(index - range.start) * grid.patch_len()..][..grid.patch_len()];
            while index < stop {
                let left = columns.at(index - of_row.start);
                let pair = shape.channels == 1 && index + 1 < stop;
                let shift = if pair { columns.at(index + 1 - of_row.start) - left } else { 0 };
                for row in rows.clone() {
                    let start = ((row - first) * shape.width + left) * shape.channels;
                    let line = &mut lines[start..start + (patch_size + shift) * shape.channels];
                    if pair {
                        let of_patch = (row - top) * patch_size..(row - top + 1) * patch_size;
                        let both = [&patch_at(index)[of_patch.clone()], &patch_at(index + 1)[of_patch]];
                        add_two_rows(both, shift, line);
                    } else {
                        add_row(patch_at(index), row - top, patch_size, shape.channels, line);
                    }
                }
                index += 1 + usize::from(pair);
            }
        }
    }
}

/// Adds rows of two gray patches, the second shifted to the right: where they overlap, sums are read and written once.
#[inline(always)]
fn add_two_rows([left, right]: [&[f32]; 2], shift: usize, line: &mut [f32]) {
    let (alone, shared) = left.split_at(shift);
    let (over, rest) = right.split_at(shared.len());
    let (before, line) = line.split_at_mut(shift);
    let (both, after) = line.split_at_mut(shared.len());
    before.iter_mut().zip(alone).for_each(|(sum, value)| *sum += value);
    for ((sum, first), second) in both.iter_mut().zip(shared).zip(over) {
        *sum = *sum + first + second;
    }
    after.iter_mut().zip(rest).for_each(|(sum, value)| *sum += value);
}

/// Adds one row of a patch (C, h, w) to values (w, C).
#[inline(always)]
fn add_row(patch: &[f32], row: usize, side: usize, channels: usize, line: &mut [f32]) {
    let plane = |channel: usize| &patch[(channel * side + row) * side..][..side];
    match channels {
        1 => line.iter_mut().zip(plane(0)).for_each(|(sum, value)| *sum += value),
        3 => {
            let planes = plane(0).iter().zip(plane(1)).zip(plane(2));
            for ([red, green, blue], ((r, g), b)) in line.as_chunks_mut::<3>().0.iter_mut().zip(planes) {
                *red += r;
                *green += g;
                *blue += b;
            }
        }
        _ => {
            for channel in 0..channels {
                let sums = line[channel..].iter_mut().step_by(channels);
                sums.zip(plane(channel)).for_each(|(sum, value)| *sum += value);
            }
        }
    }
}

/// Number of patches over each pixel: a product of a count by row and one by column, as the grid is.
struct PatchCounts {
    rows: Vec<f32>,
    columns: Vec<f32>,
    channels: usize,
}

impl PatchCounts {
    fn new(grid: Grid) -> Self {
        let side = |count: usize, at: &dyn Fn(usize) -> usize, length: usize| {
            let mut over = vec![0.0; length];
            for index in 0..count {
                over[at(index)..at(index) + grid.patch_size].iter_mut().for_each(|count| *count += 1.0);
            }
            over
        };
        Self {
            rows: side(grid.rows.count, &|index| grid.rows.at(index), grid.shape.height),
            columns: side(grid.columns.count, &|index| grid.columns.at(index), grid.shape.width),
            channels: grid.shape.channels,
        }
    }
}

/// Divides the sums of an image's rows from `first` on by the number of patches over them.
struct DivideByCounts<'a> {
    counts: &'a PatchCounts,
    first: usize,
    lines: &'a mut [f32],
}

impl WithSimd for DivideByCounts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let PatchCounts { rows, columns, channels } = self.counts;
        let lines = self.lines.chunks_exact_mut(columns.len() * channels);
        for (line, row) in lines.zip(&rows[self.first..]) {
            if *channels == 1 {
                line.iter_mut().zip(columns).for_each(|(sum, over)| *sum /= over * row);
            } else {
                for (pixel, over) in line.chunks_exact_mut(*channels).zip(columns) {
                    pixel.iter_mut().for_each(|sum| *sum /= over * row);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::extract::{ImageShape, extract_patches};
    use super::*;

    #[test]
    fn stitching_extracted_patches_gives_the_image_back() -> Result<(), Error> {
        for (height, width, channels, patch_size, stride) in
            [(5, 7, 1, 3, 2), (8, 8, 1, 8, 8), (9, 13, 3, 4, 3), (6, 6, 2, 2, 1), (70, 6, 1, 5, 4)]
        {
            let shape = ImageShape { height, width, channels };
            let image: Vec<f32> = (0..shape.len()).map(|index| (index * 37 % 101) as f32 / 100.0).collect();
            let grid = Grid::new(shape, patch_size, stride)?;
            let mut patches = vec![f32::NAN; grid.count() * grid.patch_len()];
            extract_patches(&image, grid, 0..grid.count(), &mut patches)?;
            let mut back = vec![f32::NAN; shape.len()];
            stitch_patches(&patches, grid, 0..grid.count(), &mut back)?;
            for (got, want) in back.iter().zip(&image) {
                assert!((got - want).abs() < 1e-6, "{got} {want}");
            }
            for batch in 1..=grid.count() {
                let mut laid = vec![f32::NAN; shape.len()];
                for start in (0..grid.count()).step_by(batch) {
                    let range = start..(start + batch).min(grid.count());
                    let part = &patches[start * grid.patch_len()..range.end * grid.patch_len()];
                    stitch_patches(part, grid, range, &mut laid)?;
                }
                assert_eq!(laid, back);
            }
        }
        Ok(())
    }

    #[test]
    fn slices_of_other_lengths_are_refused() -> Result<(), Error> {
        let grid = Grid::new(ImageShape { height: 4, width: 4, channels: 1 }, 2, 2)?;
        assert!(stitch_patches(&[0.0; 8], grid, 0..4, &mut [0.0; 16]).is_err());
        assert!(stitch_patches(&[0.0; 16], grid, 0..4, &mut [0.0; 15]).is_err());
        assert!(stitch_patches(&[0.0; 8], grid, 0..1, &mut [0.0; 16]).is_err());
        assert!(stitch_patches(&[0.0; 8], grid, 3..5, &mut [0.0; 16]).is_err());
        Ok(())
    }
}
