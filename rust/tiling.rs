//! Where patches lie, and how they are cut out of images.

use rayon::prelude::*;

use crate::Error;

/// A pixel type and how it becomes a float in [0, 1].
pub trait Pixel: Copy + Send + Sync {
    /// The value as float32: integers are divided by the largest of their type.
    fn to_f32(self) -> f32;
}

impl Pixel for u8 {
    fn to_f32(self) -> f32 {
        f32::from(self) / 255.0
    }
}

impl Pixel for u16 {
    fn to_f32(self) -> f32 {
        f32::from(self) / 65535.0
    }
}

impl Pixel for f32 {
    fn to_f32(self) -> f32 {
        self
    }
}

/// Height, width and channels of an image stored row by row with its channels interleaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Interleaved channels.
    pub channels: usize,
}

impl ImageShape {
    /// Number of values.
    pub fn len(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether there are no values.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Returns the first positions of patches along one side; the last is shifted to the border.
///
/// # Errors
/// If the patch is larger than the side, or the stride is not in 1..=patch_size.
pub fn positions(side: usize, patch_size: usize, stride: usize) -> Result<Vec<usize>, Error> {
    if patch_size == 0 || patch_size > side {
        return Err(Error::Value(format!(
            "`patch_size` must be in 1..side of the image ({side}), got {patch_size}"
        )));
    }
    if stride == 0 || stride > patch_size {
        return Err(Error::Value(format!("`stride` must be in 1..patch_size ({patch_size}), got {stride}")));
    }
    let last = side - patch_size;
    let mut found: Vec<usize> = (0..=last).step_by(stride).collect();
    if !last.is_multiple_of(stride) {
        found.push(last);
    }
    Ok(found)
}

/// Returns the top-left corners of all patches, row by row.
///
/// # Errors
/// As [`positions`].
pub fn patch_grid(
    height: usize,
    width: usize,
    patch_size: usize,
    stride: usize,
) -> Result<Vec<[usize; 2]>, Error> {
    let rows = positions(height, patch_size, stride)?;
    let columns = positions(width, patch_size, stride)?;
    Ok(rows.iter().flat_map(|&row| columns.iter().map(move |&column| [row, column])).collect())
}

/// Cuts patches at `corners` out of one image into `out`, shape (P, C, h, w).
///
/// # Errors
/// If a slice does not have the length of its shape, or a corner lies outside.
pub fn extract<T: Pixel>(
    image: &[T],
    shape: ImageShape,
    corners: &[[usize; 2]],
    patch_size: usize,
    out: &mut [f32],
) -> Result<(), Error> {
    let patch_len = shape.channels * patch_size * patch_size;
    check_len("image", shape.len(), image.len())?;
    check_len("out", corners.len() * patch_len, out.len())?;
    for corner in corners {
        check_corner(shape, *corner, patch_size)?;
    }
    if patch_len > 0 {
        out.par_chunks_mut(patch_len)
            .zip(corners)
            .for_each(|(patch, corner)| copy_patch(image, shape, *corner, patch_size, patch));
    }
    Ok(())
}

pub(crate) fn copy_patch<T: Pixel>(
    image: &[T],
    shape: ImageShape,
    corner: [usize; 2],
    side: usize,
    patch: &mut [f32],
) {
    let [top, left] = corner;
    for (channel, plane) in patch.chunks_exact_mut(side * side).enumerate() {
        for (row, target) in plane.chunks_exact_mut(side).enumerate() {
            let start = ((top + row) * shape.width + left) * shape.channels + channel;
            let line = &image[start..];
            if shape.channels == 1 {
                for (value, &pixel) in target.iter_mut().zip(line) {
                    *value = pixel.to_f32();
                }
            } else {
                for (value, &pixel) in target.iter_mut().zip(line.iter().step_by(shape.channels)) {
                    *value = pixel.to_f32();
                }
            }
        }
    }
}

pub(crate) fn check_len(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::Length { what, expected, found }) }
}

fn check_corner(shape: ImageShape, [row, column]: [usize; 2], side: usize) -> Result<(), Error> {
    let fits = |start: usize, length: usize| start.checked_add(side).is_some_and(|end| end <= length);
    if fits(row, shape.height) && fits(column, shape.width) {
        return Ok(());
    }
    Err(Error::Value(format!(
        "patch of {side} at row {row}, column {column} does not lie in an image of {} x {}",
        shape.height, shape.width
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_position_is_shifted_to_the_border() {
        assert_eq!(positions(10, 4, 4), Ok(vec![0, 4, 6]));
        assert_eq!(positions(8, 4, 4), Ok(vec![0, 4]));
        assert_eq!(positions(4, 4, 3), Ok(vec![0]));
    }

    #[test]
    fn paper_image_has_651_patches() {
        assert_eq!(patch_grid(700, 1024, 128, 30).map(|grid| grid.len()), Ok(651));
        assert_eq!(patch_grid(696, 1024, 128, 30).map(|grid| grid.len()), Ok(620));
    }

    #[test]
    fn gaps_and_oversized_patches_are_refused() {
        assert!(positions(10, 4, 5).is_err());
        assert!(positions(10, 4, 0).is_err());
        assert!(positions(3, 4, 1).is_err());
    }

    #[test]
    fn colour_is_deinterleaved() {
        let image: Vec<f32> = (0..18).map(|value| value as f32).collect();
        let shape = ImageShape { height: 2, width: 3, channels: 3 };
        let mut out = [f32::NAN; 12];
        assert_eq!(extract(&image, shape, &[[0, 1]], 2, &mut out), Ok(()));
        assert_eq!(out, [3., 6., 12., 15., 4., 7., 13., 16., 5., 8., 14., 17.]);
    }
}
