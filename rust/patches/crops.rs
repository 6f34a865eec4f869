//! Crops of several images, gathered into a batch. They are copied, or resampled from boxes of any size.

use pulp::Arch;
use rayon::prelude::*;

use super::extract::{ImageShape, PatchCopy, Pixel};
use crate::error::{Error, check_len};

/// Pixels of one of the types that crops are taken from.
#[derive(Debug, Clone, Copy)]
pub enum Pixels<'a> {
    /// Scaled to [0, 1].
    U8(&'a [u8]),
    /// Scaled to [0, 1].
    U16(&'a [u16]),
    /// Taken as they are.
    F32(&'a [f32]),
    /// Rounded to float32.
    F64(&'a [f64]),
}

/// One image among several that crops are taken from.
#[derive(Debug, Clone, Copy)]
pub struct CropSource<'a> {
    /// Pixels.
    pub pixels: Pixels<'a>,
    /// Their shape.
    pub shape: ImageShape,
}

/// A rectangle of one image, in pixels; its border need not fall between pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CropBox {
    /// Number of the image.
    pub image: usize,
    /// First row.
    pub top: f64,
    /// First column.
    pub left: f64,
    /// Rows.
    pub height: f64,
    /// Columns.
    pub width: f64,
}

/// Brings `boxes` of several images to squares in `out`, shape (N, C, h, w), bilinear.
///
/// A box of `patch_size` by `patch_size` at whole pixels is copied as it is. Pixels are squares, their values lie in
/// the middle; past the outermost middles the outermost value holds. Of turn t, the crop is mirrored left to right if
/// t >= 4, and then turned counter-clockwise by t mod 4 quarters.
///
/// # Errors
/// If an image's slice does not fit its shape, channels differ, a box is empty or does not lie in its image, a turn is
/// not in 0..8, or `out` or `turns` has another length.
pub fn gather_crops(
    sources: &[CropSource<'_>],
    boxes: &[CropBox],
    turns: Option<&[u8]>,
    channels: usize,
    patch_size: usize,
    out: &mut [f32],
) -> Result<(), Error> {
    check_sources(sources, channels)?;
    for crop in boxes {
        check_box(sources, crop)?;
    }
    if let Some(turns) = turns {
        check_len("turns", boxes.len(), turns.len())?;
        if let Some(turn) = turns.iter().find(|&&turn| turn > 7) {
            return Err(Error::Value(format!("`turns` must be in 0..7, got {turn}")));
        }
    }
    let patch_len = patch_size.saturating_mul(patch_size).saturating_mul(channels);
    check_len("out", boxes.len().saturating_mul(patch_len), out.len())?;
    out.par_chunks_mut(patch_len.max(1)).zip(boxes).enumerate().for_each(|(index, (patch, crop))| {
        fill(&sources[crop.image], crop, patch_size, patch);
        // The patch is turned at once, while it lies in the cache.
        turn(patch, patch_size, turns.map_or(0, |turns| turns[index]));
    });
    Ok(())
}

fn fill(source: &CropSource<'_>, crop: &CropBox, side: usize, patch: &mut [f32]) {
    match source.pixels {
        Pixels::U8(pixels) => fill_from(pixels, source.shape, crop, side, patch),
        Pixels::U16(pixels) => fill_from(pixels, source.shape, crop, side, patch),
        Pixels::F32(pixels) => fill_from(pixels, source.shape, crop, side, patch),
        Pixels::F64(pixels) => fill_from(pixels, source.shape, crop, side, patch),
    }
}

fn fill_from<T: Pixel>(pixels: &[T], shape: ImageShape, crop: &CropBox, side: usize, patch: &mut [f32]) {
    let copies = |start: f64, extent: f64| extent == side as f64 && start.fract() == 0.0;
    if copies(crop.top, crop.height) && copies(crop.left, crop.width) {
        let corner = [crop.top as usize, crop.left as usize];
        Arch::new().dispatch(PatchCopy { image: pixels, shape, corner, side, patch });
    } else {
        resample(pixels, shape, crop, side, patch);
    }
}

/// Mirrors and turns every plane of a patch in place.
fn turn(patch: &mut [f32], side: usize, turn: u8) {
    // Transposing swaps rows and columns; the mirrors that are left are those of the rows and of the columns.
    let (transposed, rows_reversed, columns_reversed) = match turn {
        0 => return,
        1 => (true, true, false),
        2 => (false, true, true),
        3 => (true, false, true),
        4 => (false, false, true),
        5 => (true, false, false),
        6 => (false, true, false),
        _ => (true, true, true),
    };
    for plane in patch.chunks_exact_mut(side * side) {
        if transposed {
            transpose(plane, side);
        }
        if rows_reversed {
            let (upper, lower) = plane.split_at_mut(side / 2 * side);
            for (above, below) in upper.chunks_exact_mut(side).zip(lower.chunks_exact_mut(side).rev()) {
                above.swap_with_slice(below);
            }
        }
        if columns_reversed {
            plane.chunks_exact_mut(side).for_each(<[f32]>::reverse);
        }
    }
}

fn transpose(plane: &mut [f32], side: usize) {
    for row in 1..side {
        for column in 0..row {
            plane.swap(row * side + column, column * side + row);
        }
    }
}

/// The two neighbours of each sample along one side, and the weight of the second.
fn interpolation_points(start: f64, extent: f64, length: usize, count: usize) -> Vec<(usize, usize, f32)> {
    let last = length - 1;
    (0..count)
        .map(|index| {
            let position = start + (index as f64 + 0.5) * extent / count as f64 - 0.5;
            let position = position.clamp(0.0, last as f64);
            let first = position as usize;
            (first, (first + 1).min(last), (position - first as f64) as f32)
        })
        .collect()
}

fn resample<T: Pixel>(pixels: &[T], shape: ImageShape, crop: &CropBox, side: usize, patch: &mut [f32]) {
    let ImageShape { height, width, channels } = shape;
    let rows = interpolation_points(crop.top, crop.height, height, side);
    let columns = interpolation_points(crop.left, crop.width, width, side);
    for (channel, plane) in patch.chunks_exact_mut(side * side).enumerate() {
        for (line, &(above, below, down)) in plane.chunks_exact_mut(side).zip(&rows) {
            let above = &pixels[above * width * channels..][..width * channels];
            let below = &pixels[below * width * channels..][..width * channels];
            for (value, &(before, after, right)) in line.iter_mut().zip(&columns) {
                let (before, after) = (before * channels + channel, after * channels + channel);
                let between = |line: &[T]| {
                    let (before, after) = (line[before].to_f32(), line[after].to_f32());
                    before + right * (after - before)
                };
                let (upper, lower) = (between(above), between(below));
                *value = upper + down * (lower - upper);
            }
        }
    }
}

fn check_sources(sources: &[CropSource<'_>], channels: usize) -> Result<(), Error> {
    for source in sources {
        let found = match source.pixels {
            Pixels::U8(pixels) => pixels.len(),
            Pixels::U16(pixels) => pixels.len(),
            Pixels::F32(pixels) => pixels.len(),
            Pixels::F64(pixels) => pixels.len(),
        };
        check_len("images", source.shape.len(), found)?;
        if source.shape.channels != channels {
            return Err(Error::Value(format!(
                "images must have {channels} channels, got {}",
                source.shape.channels
            )));
        }
    }
    Ok(())
}

fn check_box(sources: &[CropSource<'_>], crop: &CropBox) -> Result<(), Error> {
    let Some(source) = sources.get(crop.image) else {
        return Err(Error::Value(format!("box names image {} of {}", crop.image, sources.len())));
    };
    // NaN fits nowhere.
    let fits = |start: f64, extent: f64, length: usize| {
        start >= 0.0 && extent > 0.0 && start + extent <= length as f64
    };
    if fits(crop.top, crop.height, source.shape.height) && fits(crop.left, crop.width, source.shape.width) {
        return Ok(());
    }
    Err(Error::Value(format!(
        "box of {} x {} at row {}, column {} does not lie in an image of {} x {}",
        crop.height, crop.width, crop.top, crop.left, source.shape.height, source.shape.width
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_at_whole_pixels_are_copied() {
        let pixels: Vec<f32> = (0..30).map(|value| (value * value) as f32).collect();
        let shape = ImageShape { height: 5, width: 6, channels: 1 };
        let mut out = [f32::NAN; 9];
        let crop = CropBox { image: 0, top: 2.0, left: 3.0, height: 3.0, width: 3.0 };
        assert_eq!(
            gather_crops(
                &[CropSource { pixels: Pixels::F32(&pixels), shape }],
                &[crop],
                None,
                1,
                3,
                &mut out
            ),
            Ok(())
        );
        assert_eq!(out, [225., 256., 289., 441., 484., 529., 729., 784., 841.]);
        let mut resampled = [f32::NAN; 9];
        resample(&pixels, shape, &crop, 3, &mut resampled);
        assert_eq!(out, resampled);
    }

    #[test]
    fn planes_stay_planes() {
        // Bilinear resampling leaves a linear function as it is, but at the border.
        let shape = ImageShape { height: 8, width: 9, channels: 1 };
        let pixels: Vec<f32> = (0..72).map(|place| (place / 9) as f32 * 2.0 + (place % 9) as f32).collect();
        let crop = CropBox { image: 0, top: 1.25, left: 1.5, height: 5.0, width: 6.0 };
        let mut out = [f32::NAN; 16];
        assert_eq!(
            gather_crops(
                &[CropSource { pixels: Pixels::F32(&pixels), shape }],
                &[crop],
                None,
                1,
                4,
                &mut out
            ),
            Ok(())
        );
        for (place, value) in out.iter().enumerate() {
            let row = 1.25 + ((place / 4) as f32 + 0.5) * 1.25 - 0.5;
            let column = 1.5 + ((place % 4) as f32 + 0.5) * 1.5 - 0.5;
            assert!((value - (row * 2.0 + column)).abs() < 1e-5, "{place}: {value}");
        }
    }

    #[test]
    fn boxes_outside_are_refused() {
        let pixels = [0.0; 16];
        let sources = [CropSource {
            pixels: Pixels::F32(&pixels),
            shape: ImageShape { height: 4, width: 4, channels: 1 },
        }];
        let mut out = [0.0; 4];
        let good = CropBox { image: 0, top: 0.0, left: 0.5, height: 4.0, width: 3.5 };
        assert!(gather_crops(&sources, &[good], None, 1, 2, &mut out).is_ok());
        for bad in [
            CropBox { image: 1, ..good },
            CropBox { top: 0.1, ..good },
            CropBox { left: -0.1, ..good },
            CropBox { height: 0.0, ..good },
            CropBox { width: f64::NAN, ..good },
        ] {
            assert!(gather_crops(&sources, &[bad], None, 1, 2, &mut out).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn turns_are_quarters_counter_clockwise_of_the_crop_or_its_mirror_image() {
        let pixels = [0u8, 51, 102, 153];
        let shape = ImageShape { height: 2, width: 2, channels: 1 };
        let crop = CropBox { image: 0, top: 0.0, left: 0.0, height: 2.0, width: 2.0 };
        let turns = [0, 1, 2, 3, 4, 5, 6, 7];
        let mut out = [f32::NAN; 32];
        let sources = [CropSource { pixels: Pixels::U8(&pixels), shape }];
        assert_eq!(gather_crops(&sources, &[crop; 8], Some(&turns), 1, 2, &mut out), Ok(()));
        let tenths: Vec<u8> = out.iter().map(|value| (value * 5.0).round() as u8).collect();
        let want = [
            [0, 1, 2, 3],
            [1, 3, 0, 2],
            [3, 2, 1, 0],
            [2, 0, 3, 1],
            [1, 0, 3, 2],
            [0, 2, 1, 3],
            [2, 3, 0, 1],
            [3, 1, 2, 0],
        ];
        assert_eq!(tenths, want.concat());
        assert!(gather_crops(&sources, &[crop], Some(&[8]), 1, 2, &mut out[..4]).is_err());
        assert!(gather_crops(&sources, &[crop], Some(&[]), 1, 2, &mut out[..4]).is_err());
    }
}
