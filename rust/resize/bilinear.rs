//! Bilinear resizing, with antialiasing and without.
//!
//! Both add as torch does on a processor that fuses multiplication and addition, so that what was trained on its images
//! sees the same ones. Products of two float32 are exact in float64: no such processor is needed.

use rayon::prelude::*;

use crate::error::{Error, check_len};

/// Weights of one pixel of a result: the first pixel that it is made from, and the weight of each from there on.
type Taps = (usize, Vec<f32>);

/// Products of so many pixels at a time are rounded before they are added.
const BLOCK: usize = 4;

/// Resizes the rows of an image (h, w, C) to another width, with antialiasing.
///
/// # Errors
/// If the slices are no images of these sizes.
pub fn shrink_columns(
    image: &[f32],
    [height, width, channels]: [usize; 3],
    wanted: usize,
    out: &mut [f32],
) -> Result<(), Error> {
    check(image, [height, width, channels], out, [height, wanted, channels])?;
    let taps = antialiased(width, wanted);
    out.par_chunks_exact_mut(wanted * channels).zip(image.par_chunks_exact(width * channels)).for_each(
        |(out, line)| {
            for (out, (first, weights)) in out.chunks_exact_mut(channels).zip(&taps) {
                for (channel, out) in out.iter_mut().enumerate() {
                    let mut pixels = line[first * channels + channel..].iter().step_by(channels).copied();
                    *out = weighted(&mut pixels, weights);
                }
            }
        },
    );
    Ok(())
}

/// Resizes the columns of an image (h, w, C) to another height, with antialiasing.
///
/// # Errors
/// If the slices are no images of these sizes.
pub fn shrink_rows(
    image: &[f32],
    [height, width, channels]: [usize; 3],
    wanted: usize,
    out: &mut [f32],
) -> Result<(), Error> {
    check(image, [height, width, channels], out, [wanted, width, channels])?;
    let row = width * channels;
    out.par_chunks_exact_mut(row).zip(antialiased(height, wanted)).for_each(|(out, (first, weights))| {
        for (column, out) in out.iter_mut().enumerate() {
            let mut pixels = image[first * row + column..].iter().step_by(row).copied();
            *out = weighted(&mut pixels, &weights);
        }
    });
    Ok(())
}

/// Returns the weighted sum of pixels.
fn weighted(pixels: &mut impl Iterator<Item = f32>, weights: &[f32]) -> f32 {
    let mut products = pixels.zip(weights.iter().copied());
    let Some((pixel, weight)) = products.next() else { return 0.0 };
    let mut sum = pixel * weight;
    let blocked = (weights.len() - 1) / BLOCK * BLOCK;
    for (index, (pixel, weight)) in products.enumerate() {
        sum = if index < blocked { sum + pixel * weight } else { fused(pixel, weight, sum) };
    }
    sum
}

/// Returns the weights of every pixel of a resized line: a triangle as wide as a pixel of the shorter line.
fn antialiased(length: usize, wanted: usize) -> Vec<Taps> {
    let scale = length as f32 / wanted as f32;
    let reach = scale.max(1.0);
    (0..wanted)
        .map(|index| {
            let centre = scale * (index as f32 + 0.5);
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let last = ((centre + reach + 0.5) as usize).min(length);
            let mut weights: Vec<f32> = (first..last)
                .map(|pixel| (1.0 - ((pixel as f32 - centre + 0.5) * (1.0 / reach)).abs()).max(0.0))
                .collect();
            let total: f32 = weights.iter().fold(0.0, |total, weight| total + weight);
            weights.iter_mut().for_each(|weight| *weight /= total);
            (first, weights)
        })
        .collect()
}

/// Resizes an image (h, w, C) by steps in its pixels from one row or column of the result to the next, without
/// antialiasing; `out` are the rows of the result, of `wanted` columns, from `first` on.
///
/// # Errors
/// If the slices are no images of these sizes.
pub fn interpolate(
    image: &[f32],
    [height, width, channels]: [usize; 3],
    [down, across]: [f32; 2],
    first: usize,
    wanted: usize,
    out: &mut [f32],
) -> Result<(), Error> {
    let rows = out.len() / (wanted * channels).max(1);
    check(image, [height, width, channels], out, [rows, wanted, channels])?;
    let columns: Vec<Between> = (0..wanted).map(|column| between(column, across, width)).collect();
    out.par_chunks_exact_mut(wanted * channels).enumerate().for_each(|(row, out)| {
        let row = between(first + row, down, height);
        let line = |index: usize| &image[index * width * channels..(index + 1) * width * channels];
        let (above, below) = (line(row.low), line(row.high));
        for (out, column) in out.chunks_exact_mut(channels).zip(&columns) {
            for (channel, out) in out.iter_mut().enumerate() {
                let (left, right) = (column.low * channels + channel, column.high * channels + channel);
                let mix = |line: &[f32]| fused(line[left], column.near, line[right] * column.far);
                *out = fused(mix(above), row.near, mix(below) * row.far);
            }
        }
    });
    Ok(())
}

/// Two pixels that one of the result lies between, and their weights.
struct Between {
    low: usize,
    high: usize,
    near: f32,
    far: f32,
}

fn between(index: usize, step: f32, length: usize) -> Between {
    let place = (step * (index as f32 + 0.5) - 0.5).max(0.0);
    let low = (place as usize).min(length - 1);
    let far = place - low as f32;
    Between { low, high: (low + 1).min(length - 1), near: 1.0 - far, far }
}

fn fused(factor: f32, other: f32, sum: f32) -> f32 {
    (f64::from(factor) * f64::from(other) + f64::from(sum)) as f32
}

fn check(image: &[f32], shape: [usize; 3], out: &[f32], wanted: [usize; 3]) -> Result<(), Error> {
    if shape.contains(&0) || wanted.contains(&0) {
        return Err(Error::Value(format!("an image of {shape:?} cannot become one of {wanted:?}")));
    }
    check_len("image", shape.iter().product(), image.len())?;
    check_len("out", wanted.iter().product(), out.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_size_weighs_one_three_three_one() {
        let mut out = [f32::NAN; 3];
        let line = [0.0, 8.0, 0.0, 0.0, 0.0, 8.0];
        assert_eq!(shrink_columns(&line, [1, 6, 1], 3, &mut out), Ok(()));
        assert_eq!(out[1], 1.0);
        let mut down = [f32::NAN; 3];
        assert_eq!(shrink_rows(&line, [6, 1, 1], 3, &mut down), Ok(()));
        assert_eq!(down, out);
    }

    #[test]
    fn twice_the_size_lies_between_the_pixels() {
        let mut out = [f32::NAN; 8];
        assert_eq!(interpolate(&[0.0, 4.0], [1, 2, 1], [0.5, 0.5], 0, 4, &mut out), Ok(()));
        assert_eq!(out, [0.0, 1.0, 3.0, 4.0, 0.0, 1.0, 3.0, 4.0]);
    }

    #[test]
    fn a_constant_stays_constant_in_each_channel() {
        let image: Vec<f32> = (0..7 * 5).flat_map(|_| [0.25, 0.75]).collect();
        let mut narrow = vec![f32::NAN; 7 * 3 * 2];
        assert_eq!(shrink_columns(&image, [7, 5, 2], 3, &mut narrow), Ok(()));
        assert!(narrow.chunks(2).all(|pair| (pair[0] - 0.25).abs() < 1e-6 && (pair[1] - 0.75).abs() < 1e-6));
        let mut large = vec![f32::NAN; 9 * 8 * 2];
        assert_eq!(interpolate(&image, [7, 5, 2], [7.0 / 9.0, 5.0 / 8.0], 0, 8, &mut large), Ok(()));
        assert!(large.chunks(2).all(|pair| (pair[0] - 0.25).abs() < 1e-6 && (pair[1] - 0.75).abs() < 1e-6));
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(shrink_columns(&[0.0; 6], [1, 6, 1], 0, &mut []).is_err());
        assert!(shrink_rows(&[0.0; 5], [6, 1, 1], 3, &mut [0.0; 3]).is_err());
        assert!(interpolate(&[], [0, 1, 1], [1.0, 1.0], 0, 1, &mut [0.0]).is_err());
    }
}
