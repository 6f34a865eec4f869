//! Random crops of several images, straight into a batch: copied, or resampled from boxes of any size.

use rayon::prelude::*;

use crate::Error;
use crate::tiling::{ImageShape, check_len, copy_patch};

/// One image among several that crops are taken from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Pixels, float32.
    pub pixels: &'a [f32],
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
/// the middle; past the outermost middles the outermost value holds.
///
/// # Errors
/// If an image's slice does not fit its shape, channels differ, a box is empty or does not lie in its image, or `out`
/// has another length.
pub fn gather(
    sources: &[Source<'_>],
    boxes: &[CropBox],
    channels: usize,
    patch_size: usize,
    out: &mut [f32],
) -> Result<(), Error> {
    check_sources(sources, channels)?;
    for crop in boxes {
        check_box(sources, crop)?;
    }
    let patch_len = channels * patch_size * patch_size;
    check_len("out", boxes.len() * patch_len, out.len())?;
    if patch_len > 0 {
        out.par_chunks_mut(patch_len)
            .zip(boxes)
            .for_each(|(patch, crop)| fill(&sources[crop.image], crop, patch_size, patch));
    }
    Ok(())
}

fn fill(source: &Source<'_>, crop: &CropBox, side: usize, patch: &mut [f32]) {
    let copies = |start: f64, extent: f64| extent == side as f64 && start.fract() == 0.0;
    if copies(crop.top, crop.height) && copies(crop.left, crop.width) {
        copy_patch(source.pixels, source.shape, [crop.top as usize, crop.left as usize], side, patch);
    } else {
        resample(source, crop, side, patch);
    }
}

/// The two neighbours of each sample along one side, and the weight of the second.
fn taps(start: f64, extent: f64, length: usize, count: usize) -> Vec<(usize, usize, f32)> {
    let last = length - 1;
    (0..count)
        .map(|index| {
            let place = start + (index as f64 + 0.5) * extent / count as f64 - 0.5;
            let place = place.clamp(0.0, last as f64);
            let first = place as usize;
            (first, (first + 1).min(last), (place - first as f64) as f32)
        })
        .collect()
}

fn resample(source: &Source<'_>, crop: &CropBox, side: usize, patch: &mut [f32]) {
    let ImageShape { height, width, channels } = source.shape;
    let rows = taps(crop.top, crop.height, height, side);
    let columns = taps(crop.left, crop.width, width, side);
    for (channel, plane) in patch.chunks_exact_mut(side * side).enumerate() {
        for (line, &(above, below, down)) in plane.chunks_exact_mut(side).zip(&rows) {
            let above = &source.pixels[above * width * channels..][..width * channels];
            let below = &source.pixels[below * width * channels..][..width * channels];
            for (value, &(before, after, right)) in line.iter_mut().zip(&columns) {
                let (before, after) = (before * channels + channel, after * channels + channel);
                let upper = above[before] + right * (above[after] - above[before]);
                let lower = below[before] + right * (below[after] - below[before]);
                *value = upper + down * (lower - upper);
            }
        }
    }
}

fn check_sources(sources: &[Source<'_>], channels: usize) -> Result<(), Error> {
    for source in sources {
        check_len("images", source.shape.len(), source.pixels.len())?;
        if source.shape.channels != channels {
            return Err(Error::Value(format!(
                "images must have {channels} channels, got {}",
                source.shape.channels
            )));
        }
    }
    Ok(())
}

fn check_box(sources: &[Source<'_>], crop: &CropBox) -> Result<(), Error> {
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
        assert_eq!(gather(&[Source { pixels: &pixels, shape }], &[crop], 1, 3, &mut out), Ok(()));
        assert_eq!(out, [225., 256., 289., 441., 484., 529., 729., 784., 841.]);
        let mut resampled = [f32::NAN; 9];
        resample(&Source { pixels: &pixels, shape }, &crop, 3, &mut resampled);
        assert_eq!(out, resampled);
    }

    #[test]
    fn planes_stay_planes() {
        // Bilinear resampling leaves a linear function as it is, but at the border.
        let shape = ImageShape { height: 8, width: 9, channels: 1 };
        let pixels: Vec<f32> = (0..72).map(|place| (place / 9) as f32 * 2.0 + (place % 9) as f32).collect();
        let crop = CropBox { image: 0, top: 1.25, left: 1.5, height: 5.0, width: 6.0 };
        let mut out = [f32::NAN; 16];
        assert_eq!(gather(&[Source { pixels: &pixels, shape }], &[crop], 1, 4, &mut out), Ok(()));
        for (place, value) in out.iter().enumerate() {
            let row = 1.25 + ((place / 4) as f32 + 0.5) * 1.25 - 0.5;
            let column = 1.5 + ((place % 4) as f32 + 0.5) * 1.5 - 0.5;
            assert!((value - (row * 2.0 + column)).abs() < 1e-5, "{place}: {value}");
        }
    }

    #[test]
    fn boxes_outside_are_refused() {
        let pixels = [0.0; 16];
        let sources = [Source { pixels: &pixels, shape: ImageShape { height: 4, width: 4, channels: 1 } }];
        let mut out = [0.0; 4];
        let good = CropBox { image: 0, top: 0.0, left: 0.5, height: 4.0, width: 3.5 };
        assert!(gather(&sources, &[good], 1, 2, &mut out).is_ok());
        for bad in [
            CropBox { image: 1, ..good },
            CropBox { top: 0.1, ..good },
            CropBox { left: -0.1, ..good },
            CropBox { height: 0.0, ..good },
            CropBox { width: f64::NAN, ..good },
        ] {
            assert!(gather(&sources, &[bad], 1, 2, &mut out).is_err(), "{bad:?}");
        }
    }
}
