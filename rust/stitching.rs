//! Patches back into one image: the mean where they overlap.

use rayon::prelude::*;

use crate::Error;
use crate::tiling::{ImageShape, check_len, positions};

/// Averages patches (P, C, h, w) on the grid of [`crate::tiling::patch_grid`] into an image (H, W, C).
///
/// Each image row is summed over its patches in their order, so the result does not depend on the number of threads.
///
/// # Errors
/// If the grid cannot be laid, or a slice does not have the length of its shape.
pub fn stitch(
    patches: &[f32],
    shape: ImageShape,
    patch_size: usize,
    stride: usize,
    out: &mut [f32],
) -> Result<(), Error> {
    let rows = positions(shape.height, patch_size, stride)?;
    let columns = positions(shape.width, patch_size, stride)?;
    let plane_len = patch_size * patch_size;
    let patch_len = shape.channels * plane_len;
    check_len("patches", rows.len() * columns.len() * patch_len, patches.len())?;
    check_len("out", shape.len(), out.len())?;
    // The grid is a product of rows and columns, and so is the number of patches over a pixel.
    let columns_over = coverage(&columns, shape.width, patch_size);
    let rows_over = coverage(&rows, shape.height, patch_size);
    out.par_chunks_mut((shape.width * shape.channels).max(1)).enumerate().for_each(|(y, line)| {
        line.fill(0.0);
        for (grid_row, &top) in rows.iter().enumerate() {
            if !(top..top + patch_size).contains(&y) {
                continue;
            }
            for (grid_column, &left) in columns.iter().enumerate() {
                let patch = (grid_row * columns.len() + grid_column) * patch_len;
                for channel in 0..shape.channels {
                    let start = patch + channel * plane_len + (y - top) * patch_size;
                    let values = &patches[start..start + patch_size];
                    let target = &mut line[left * shape.channels + channel..];
                    if shape.channels == 1 {
                        for (sum, value) in target.iter_mut().zip(values) {
                            *sum += value;
                        }
                    } else {
                        for (sum, value) in target.iter_mut().step_by(shape.channels).zip(values) {
                            *sum += value;
                        }
                    }
                }
            }
        }
        for (pixel, over) in line.chunks_exact_mut(shape.channels.max(1)).zip(&columns_over) {
            let count = (over * rows_over[y]) as f32;
            pixel.iter_mut().for_each(|value| *value /= count);
        }
    });
    Ok(())
}

fn coverage(starts: &[usize], side: usize, patch_size: usize) -> Vec<usize> {
    let mut over = vec![0; side];
    for &start in starts {
        over[start..start + patch_size].iter_mut().for_each(|count| *count += 1);
    }
    over
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiling::{extract, patch_grid};

    #[test]
    fn stitching_extracted_patches_gives_the_image_back() {
        for (height, width, channels, patch_size, stride) in
            [(5, 7, 1, 3, 2), (8, 8, 1, 8, 8), (9, 13, 3, 4, 3), (6, 6, 2, 2, 1)]
        {
            let shape = ImageShape { height, width, channels };
            let image: Vec<f32> = (0..shape.len()).map(|index| (index * 37 % 101) as f32 / 100.0).collect();
            let grid = patch_grid(height, width, patch_size, stride).unwrap_or_default();
            let mut patches = vec![f32::NAN; grid.len() * channels * patch_size * patch_size];
            assert_eq!(extract(&image, shape, &grid, patch_size, &mut patches), Ok(()));
            let mut back = vec![f32::NAN; shape.len()];
            assert_eq!(stitch(&patches, shape, patch_size, stride, &mut back), Ok(()));
            for (got, want) in back.iter().zip(&image) {
                assert!((got - want).abs() < 1e-6, "{got} {want}");
            }
        }
    }

    #[test]
    fn wrong_number_of_patches_is_refused() {
        let shape = ImageShape { height: 4, width: 4, channels: 1 };
        assert!(stitch(&[0.0; 8], shape, 2, 2, &mut [0.0; 16]).is_err());
    }
}
