//! The grid of patches over an image, and how patches are cut out.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::error::{Error, check_len};

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

impl Pixel for f64 {
    fn to_f32(self) -> f32 {
        self as f32
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
    /// Number of values, or the largest number there is where it would be larger: no slice is as long.
    pub fn len(self) -> usize {
        self.height.saturating_mul(self.width).saturating_mul(self.channels)
    }

    /// Whether there are no values.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Positions of the patches along one side: every `stride` pixels, and the last at the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Starts {
    last: usize,
    stride: usize,
    pub count: usize,
}

impl Starts {
    /// Takes numbers that [`check_grid`] has let pass.
    fn new(side: usize, patch_size: usize, stride: usize) -> Self {
        let last = side - patch_size;
        // A side of 2^64 - 1 in patches of one pixel has as many places as there are numbers, and not one more.
        Self { last, stride, count: last.div_ceil(stride) + 1 }
    }

    pub fn at(self, index: usize) -> usize {
        index.saturating_mul(self.stride).min(self.last)
    }
}

/// Patches over an image, row by row; the last row and column are shifted to the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Shape of the image.
    pub shape: ImageShape,
    /// Side of the square patches.
    pub patch_size: usize,
    pub(crate) rows: Starts,
    pub(crate) columns: Starts,
    count: usize,
}

impl Grid {
    /// Lays patches over an image.
    ///
    /// # Errors
    /// If the image has no channel, the patch is larger than a side of it, the stride is not in 1..=patch_size, or there
    /// are more patches than can be counted.
    pub fn new(shape: ImageShape, patch_size: usize, stride: usize) -> Result<Self, Error> {
        if shape.channels == 0 {
            return Err(Error::Value("image must have at least 1 channel, got 0".into()));
        }
        check_grid([shape.height, shape.width, patch_size, stride].map(|size| size as i128))?;
        let rows = Starts::new(shape.height, patch_size, stride);
        let columns = Starts::new(shape.width, patch_size, stride);
        let Some(count) = rows.count.checked_mul(columns.count) else {
            return Err(Error::Value(format!(
                "an image of {} x {} has more patches than can be counted",
                shape.height, shape.width
            )));
        };
        Ok(Self { shape, patch_size, rows, columns, count })
    }

    /// Lays patches over an image of one channel, from numbers that may be anything.
    ///
    /// # Errors
    /// As [`Grid::new`], or if a number is negative or too large to count with.
    pub fn of_sizes(height: i128, width: i128, patch_size: i128, stride: i128) -> Result<Self, Error> {
        check_grid([height, width, patch_size, stride])?;
        let size = |value: i128| {
            usize::try_from(value).map_err(|_| Error::Value(format!("a side of {value} cannot be counted")))
        };
        let shape = ImageShape { height: size(height)?, width: size(width)?, channels: 1 };
        Self::new(shape, size(patch_size)?, size(stride)?)
    }

    /// Number of patches; never 0.
    pub fn count(self) -> usize {
        self.count
    }

    /// First row and column of a patch.
    pub fn corner(self, index: usize) -> [usize; 2] {
        [self.rows.at(index / self.columns.count), self.columns.at(index % self.columns.count)]
    }

    /// Values of a patch, all channels.
    pub fn patch_len(self) -> usize {
        self.patch_size.saturating_mul(self.patch_size).saturating_mul(self.shape.channels)
    }

    /// Refuses patches past the end, and slices that do not hold just them.
    pub(crate) fn check(self, what: &'static str, patches: &Range<usize>, found: usize) -> Result<(), Error> {
        if patches.start > patches.end || patches.end > self.count {
            return Err(Error::Value(format!(
                "patches {}..{} do not lie on a grid of {}",
                patches.start, patches.end, self.count
            )));
        }
        check_len(what, patches.len().saturating_mul(self.patch_len()), found)
    }
}

/// Refuses height, width, patch size and stride of which no grid can be laid. They have a sign so that the message can
/// show any number that came.
fn check_grid([height, width, patch_size, stride]: [i128; 4]) -> Result<(), Error> {
    let side = height.min(width);
    if !(1..=side).contains(&patch_size) {
        return Err(Error::Value(format!(
            "`patch_size` must be in 1..{side} for an image of {width} x {height}, got {patch_size}"
        )));
    }
    if !(1..=patch_size).contains(&stride) {
        return Err(Error::Value(format!("`stride` must be in 1..patch_size ({patch_size}), got {stride}")));
    }
    Ok(())
}

/// Returns the top-left corners of all patches of a grid, row by row.
///
/// # Errors
/// If they do not fit into memory, or into 63 bits.
pub fn corners(grid: Grid) -> Result<Vec<[i64; 2]>, Error> {
    let ImageShape { height, width, .. } = grid.shape;
    let mut corners = Vec::new();
    let fits = i64::try_from(height.max(width)).is_ok() && corners.try_reserve_exact(grid.count).is_ok();
    if !fits {
        return Err(Error::Value(format!("a grid of {} patches does not fit into memory", grid.count)));
    }
    corners.extend((0..grid.count).map(|index| grid.corner(index).map(|start| start as i64)));
    Ok(corners)
}

/// Cuts the patches of a range of the grid out of one image into `out`, shape (P, C, h, w).
///
/// # Errors
/// If a slice does not have the length of its shape, or the range passes the end of the grid.
pub fn extract_patches<T: Pixel>(
    image: &[T],
    grid: Grid,
    patches: Range<usize>,
    out: &mut [f32],
) -> Result<(), Error> {
    check_len("image", grid.shape.len(), image.len())?;
    grid.check("out", &patches, out.len())?;
    out.par_chunks_mut(grid.patch_len()).zip(patches).for_each(|(patch, index)| {
        let corner = grid.corner(index);
        Arch::new().dispatch(PatchCopy { image, shape: grid.shape, corner, side: grid.patch_size, patch });
    });
    Ok(())
}

/// Copies the pixels of a square to a patch (C, h, w).
pub(crate) struct PatchCopy<'a, T> {
    pub image: &'a [T],
    pub shape: ImageShape,
    pub corner: [usize; 2],
    pub side: usize,
    pub patch: &'a mut [f32],
}

impl<T: Pixel> WithSimd for PatchCopy<'_, T> {
    type Output = ();

    // A method and not a closure, which pulp would compile without the instructions that it has found.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { image, shape, corner: [top, left], side, patch } = self;
        for (channel, plane) in patch.chunks_exact_mut(side * side).enumerate() {
            for (row, target) in plane.chunks_exact_mut(side).enumerate() {
                let start = ((top + row) * shape.width + left) * shape.channels;
                let line = &image[start..start + side * shape.channels];
                match shape.channels {
                    1 => copy_channel::<T, 1>(line, channel, target),
                    3 => copy_channel::<T, 3>(line, channel, target),
                    _ => {
                        for (value, pixel) in target.iter_mut().zip(line.chunks_exact(shape.channels)) {
                            *value = pixel[channel].to_f32();
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn copy_channel<T: Pixel, const C: usize>(line: &[T], channel: usize, target: &mut [f32]) {
    let (pixels, _) = line.as_chunks::<C>();
    for (value, pixel) in target.iter_mut().zip(pixels) {
        *value = pixel[channel].to_f32();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(height: usize, width: usize, patch_size: usize, stride: usize) -> Result<Vec<[i64; 2]>, Error> {
        corners(Grid::new(ImageShape { height, width, channels: 1 }, patch_size, stride)?)
    }

    fn corners_of(height: usize, width: usize, patch_size: usize, stride: usize) -> Vec<[i64; 2]> {
        laid(height, width, patch_size, stride).unwrap_or_default()
    }

    #[test]
    fn last_position_is_shifted_to_the_border() {
        assert_eq!(corners_of(10, 4, 4, 4), [[0, 0], [4, 0], [6, 0]]);
        assert_eq!(corners_of(4, 8, 4, 4), [[0, 0], [0, 4]]);
        assert_eq!(corners_of(4, 4, 4, 3), [[0, 0]]);
    }

    #[test]
    fn paper_image_has_651_patches() {
        assert_eq!(corners_of(700, 1024, 128, 30).len(), 651);
        assert_eq!(corners_of(696, 1024, 128, 30).len(), 620);
    }

    #[test]
    fn gaps_and_oversized_patches_are_refused() {
        for (side, patch_size, stride) in [(10, 4, 5), (10, 4, 0), (3, 4, 1), (3, 0, 0), (0, 0, 0), (0, 1, 1)]
        {
            assert!(laid(side, side, patch_size, stride).is_err());
        }
    }

    #[test]
    fn sides_as_long_as_can_be_counted_are_laid_or_refused() {
        let huge = usize::MAX;
        assert!(laid(huge, huge, 1, 1).is_err());
        assert!(laid(huge, 1, 1, 1).is_err());
        assert!(laid(huge, huge, huge, huge).is_err());
        let half = i64::MAX as usize;
        assert_eq!(corners_of(half, half, half, half), [[0, 0]]);
        assert_eq!(corners_of(half, half, half - 1, 7), [[0, 0], [0, 1], [1, 0], [1, 1]]);
        let shape = ImageShape { height: huge, width: huge, channels: 3 };
        let grid = Grid::new(shape, huge, huge);
        let mut out = [0.0; 4];
        assert!(grid.and_then(|grid| extract_patches(&[1.0f32; 4], grid, 0..1, &mut out)).is_err());
    }

    #[test]
    fn colour_is_deinterleaved() {
        let image: Vec<f32> = (0..18).map(|value| value as f32).collect();
        let shape = ImageShape { height: 2, width: 3, channels: 3 };
        let mut out = [f32::NAN; 12];
        let grid = Grid::new(shape, 2, 1);
        assert_eq!(grid.and_then(|grid| extract_patches(&image, grid, 1..2, &mut out)), Ok(()));
        assert_eq!(out, [3., 6., 12., 15., 4., 7., 13., 16., 5., 8., 14., 17.]);
    }

    #[test]
    fn patches_past_the_end_are_refused() {
        let shape = ImageShape { height: 4, width: 4, channels: 1 };
        for (range, length) in [(3..5, 8), (5..5, 0), (0..1, 8)] {
            let mut out = vec![0.0; length];
            assert!(
                Grid::new(shape, 2, 2)
                    .and_then(|grid| extract_patches(&[0u8; 16], grid, range, &mut out))
                    .is_err()
            );
        }
    }
}
