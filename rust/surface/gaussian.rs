//! Gaussian of an image: that of SciPy's `gaussian_filter` with mirrored borders, sum by sum.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::error::{Error, check_len};

/// Columns that are summed at once: their sums stay in registers.
pub const COLUMNS: usize = 32;

/// Rows of an image that are worked on together.
pub const ROWS: usize = 64;

/// Standard deviations at which the window ends.
const TRUNCATE: f64 = 4.0;

/// A symmetric window along one side.
pub struct Gaussian {
    /// Weights from the outermost to the middle one.
    weights: Vec<f64>,
    arch: Arch,
}

impl Gaussian {
    /// The window of a standard deviation in pixels.
    ///
    /// # Errors
    /// If that is not above 0 and below 10,000.
    pub fn new(sigma: f64) -> Result<Self, Error> {
        if !(sigma > 0.0 && sigma < 1e4) {
            return Err(Error::Value(format!(
                "a standard deviation must be above 0 and below 10000, got {sigma}"
            )));
        }
        let radius = (TRUNCATE * sigma + 0.5) as i64;
        let taps: Vec<f64> =
            (-radius..=0).map(|step| (-0.5 / (sigma * sigma) * (step * step) as f64).exp()).collect();
        let total: f64 = 2.0 * taps[..taps.len() - 1].iter().sum::<f64>() + 1.0;
        Ok(Self { weights: taps.iter().map(|tap| tap / total).collect(), arch: Arch::new() })
    }

    /// Pixels on either side of the middle.
    pub fn radius(&self) -> usize {
        self.weights.len() - 1
    }

    /// Writes the windows that begin with each number of `source`, whose steps lie `step` numbers apart; `out` is a
    /// multiple of [`COLUMNS`] long. Sums are rounded to float32, as those of each side are.
    fn slide(&self, source: &[f64], step: usize, out: &mut [f64]) {
        self.arch.dispatch(Slide { weights: &self.weights, source, step, out });
    }
}

struct Slide<'a> {
    weights: &'a [f64],
    source: &'a [f64],
    step: usize,
    out: &'a mut [f64],
}

impl WithSimd for Slide<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let radius = self.weights.len() - 1;
        for (block, out) in self.out.chunks_exact_mut(COLUMNS).enumerate() {
            let at = |tap: usize| &self.source[block * COLUMNS + tap * self.step..][..COLUMNS];
            let mut sums = [0.0; COLUMNS];
            let middle = at(radius);
            for lane in 0..COLUMNS {
                sums[lane] = middle[lane] * self.weights[radius];
            }
            for (tap, &weight) in self.weights[..radius].iter().enumerate() {
                let (before, after) = (at(tap), at(2 * radius - tap));
                for lane in 0..COLUMNS {
                    sums[lane] += (before[lane] + after[lane]) * weight;
                }
            }
            for lane in 0..COLUMNS {
                out[lane] = f64::from(sums[lane] as f32);
            }
        }
    }
}

/// Rows of an image as float64, continued past its border by mirror images that repeat the edge.
pub struct Rows {
    values: Vec<f64>,
    width: usize,
    stride: usize,
    /// Row of the image that the first one is; negative above it.
    top: i64,
}

impl Rows {
    /// Takes the rows `top..bottom` of what `row` gives for each row of an image of a height, and `of` makes of each pixel.
    pub fn new<'a>(
        height: usize,
        width: usize,
        top: i64,
        bottom: i64,
        row: impl Fn(usize) -> &'a [f32],
        of: impl Fn(f32) -> f32,
    ) -> Self {
        let stride = width.next_multiple_of(COLUMNS);
        let mut values = vec![0.0; (bottom - top) as usize * stride];
        for (line, number) in values.chunks_exact_mut(stride).zip(top..) {
            for (out, &value) in line.iter_mut().zip(row(mirrored(number, height))) {
                *out = f64::from(of(value));
            }
        }
        Self { values, width, stride, top }
    }

    /// Writes one row of the image, blurred; the rows of the window round it must be there. `line` is room.
    pub fn blur(&self, gaussian: &Gaussian, row: i64, line: &mut Line, out: &mut [f32]) {
        let radius = gaussian.radius();
        let first = (row - self.top) as usize - radius;
        line.room(self.stride, radius);
        gaussian.slide(&self.values[first * self.stride..], self.stride, &mut line.down);
        line.padded[radius..radius + self.width].copy_from_slice(&line.down[..self.width]);
        for step in 0..radius {
            let (left, right) = (-1 - step as i64, (self.width + step) as i64);
            line.padded[radius - 1 - step] = line.down[mirrored(left, self.width)];
            line.padded[radius + self.width + step] = line.down[mirrored(right, self.width)];
        }
        gaussian.slide(&line.padded, 1, &mut line.down);
        for (out, &value) in out.iter_mut().zip(&line.down) {
            *out = value as f32;
        }
    }
}

/// Room for one row while it is blurred.
#[derive(Default)]
pub struct Line {
    down: Vec<f64>,
    padded: Vec<f64>,
}

impl Line {
    fn room(&mut self, stride: usize, radius: usize) {
        self.down.resize(stride, 0.0);
        self.padded.resize(stride + 2 * radius, 0.0);
    }
}

/// The row or column that mirror images at both borders show at a place.
fn mirrored(place: i64, length: usize) -> usize {
    let length = length as i64;
    let place = place.rem_euclid(2 * length);
    (if place < length { place } else { 2 * length - 1 - place }) as usize
}

/// Writes the Gaussian of an image of rows of a width.
///
/// # Errors
/// If the slices differ in length or are no rows of that width, or the standard deviation is out of its range.
pub fn gaussian(values: &[f32], width: usize, sigma: f64, out: &mut [f32]) -> Result<(), Error> {
    check_len("out", values.len(), out.len())?;
    let height = check_rows(values, width)?;
    let window = Gaussian::new(sigma)?;
    let radius = window.radius() as i64;
    out.par_chunks_mut(ROWS * width).enumerate().for_each(|(block, out)| {
        let top = (block * ROWS) as i64;
        let bottom = top + (out.len() / width) as i64;
        let row = |row: usize| &values[row * width..][..width];
        let rows = Rows::new(height, width, top - radius, bottom + radius, row, |value| value);
        let mut line = Line::default();
        for (out, row) in out.chunks_exact_mut(width).zip(top..) {
            rows.blur(&window, row, &mut line, out);
        }
    });
    Ok(())
}

/// Returns the number of rows of a width.
///
/// # Errors
/// If there is none, or a part of one is left.
pub fn check_rows(values: &[f32], width: usize) -> Result<usize, Error> {
    if width == 0 || values.is_empty() || !values.len().is_multiple_of(width) {
        return Err(Error::Value(format!("{} values are no rows of {width}", values.len())));
    }
    Ok(values.len() / width)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: every pixel of the window, mirrored, in float64 and rounded after each side.
    fn slow(values: &[f32], width: usize, sigma: f64) -> Vec<f32> {
        let height = values.len() / width;
        let radius = (4.0 * sigma + 0.5) as i64;
        let taps: Vec<f64> =
            (-radius..=radius).map(|step| (-0.5 / (sigma * sigma) * (step * step) as f64).exp()).collect();
        let total: f64 = taps.iter().sum();
        let side = |source: &[f32], length: usize, at: &dyn Fn(usize) -> usize, place: usize| {
            let products = taps.iter().zip(-radius..).map(|(tap, step)| {
                f64::from(source[at(mirrored(place as i64 + step, length))]) * tap / total
            });
            products.sum::<f64>() as f32
        };
        let down: Vec<f32> = (0..values.len())
            .map(|place| side(values, height, &|row| row * width + place % width, place / width))
            .collect();
        (0..values.len())
            .map(|place| side(&down, width, &|column| place / width * width + column, place % width))
            .collect()
    }

    #[test]
    fn gaussians_are_those_of_the_definition() {
        for (height, width) in [(1, 1), (1, 9), (7, 1), (5, 3), (67, 33), (130, 70)] {
            let values: Vec<f32> =
                (0..height * width).map(|place| ((place * 37 % 101) as f32) / 101.0).collect();
            for sigma in [0.1, 1.0, 2.0, 4.0] {
                let mut found = vec![f32::NAN; values.len()];
                assert_eq!(gaussian(&values, width, sigma, &mut found), Ok(()));
                for (found, wanted) in found.iter().zip(slow(&values, width, sigma)) {
                    assert!((found - wanted).abs() <= 1.2e-7, "{found} {wanted}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(gaussian(&[0.0; 6], 4, 1.0, &mut [0.0; 6]).is_err());
        assert!(gaussian(&[0.0; 6], 3, 1.0, &mut [0.0; 5]).is_err());
        assert!(gaussian(&[0.0; 6], 3, 0.0, &mut [0.0; 6]).is_err());
    }
}
