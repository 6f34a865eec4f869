//! What sets the places of an image apart: how near the border is, and what the surface looks like there.

use rayon::prelude::*;

use super::gaussian::{Gaussian, Line, Rows, check_rows, gaussian};
use crate::error::{Error, check_len};

/// Side in pixels of the cells that places are described on: what is described changes slowly.
pub const CELL: usize = 4;

/// Features that tell how far the border is; they come first.
pub const BORDER_FEATURES: usize = BORDER_WIDTHS.len() + 2;

/// Number of all features.
pub const FEATURES: usize = BORDER_FEATURES + 7;

/// Distances in pixels over which the nearness of the nearest border falls to 1/e.
const BORDER_WIDTHS: [f32; 3] = [4.0, 16.0, 48.0];

/// The same, of the borders to the left and right, and of those above and below.
const SIDE_WIDTH: f32 = 16.0;

/// Standard deviations in pixels at which gray level and contrast are taken.
const FINE: f64 = 2.0;
const MIDDLE: f64 = 4.0;

/// Standard deviation in cells of the coarse gray level.
const COARSE: f64 = 4.0;

/// Standard deviation in pixels of what the steepness is of, and in cells of the steepness.
const STEEP: f64 = 1.0;

/// Added to spreads before their logarithm: about one gray level of 8 bits.
const LEAST_SPREAD: f32 = 1.0 / 300.0;

/// Rows of cells that are worked on together.
const CELL_ROWS: usize = 16;

/// Maps of cells before the last step: fine and middle gray, mean gray and its square, fine and middle spread, steepness.
const PARTS: usize = 7;

/// Rows of an image that are seen.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// Gray levels, rows of the width.
    pub gray: &'a [f32],
    /// Width of the image.
    pub width: usize,
    /// Height of the surface, with the rows of it that lie beyond the image.
    pub height: usize,
    /// Row of the surface that the first one is.
    pub top: usize,
    /// Distance of each pixel that is seen from what is not inspected, if there is such.
    pub from_ignored: Option<&'a [f32]>,
}

/// Writes the features of the cells of the rows that are seen, [`FEATURES`] for each; those of the surface are wrong near
/// where rows are cut off.
///
/// # Errors
/// If the slices do not fit together.
pub fn place_features(seen: Seen<'_>, out: &mut [f32]) -> Result<(), Error> {
    let height = check_rows(seen.gray, seen.width)?;
    if let Some(distances) = seen.from_ignored {
        check_len("from_ignored", seen.gray.len(), distances.len())?;
    }
    if seen.top + height > seen.height {
        return Err(Error::Value(format!("{height} rows from {} are not of {}", seen.top, seen.height)));
    }
    let (tall, wide) = (height.div_ceil(CELL), seen.width.div_ceil(CELL));
    check_len("out", tall * wide * FEATURES, out.len())?;
    border_features(seen, out);
    let mut parts = vec![0.0; tall * wide * PARTS];
    surface_parts(seen, height, &mut parts)?;
    let plane = |number: usize| -> Vec<f32> { parts.iter().skip(number).step_by(PARTS).copied().collect() };
    let blurred = |number: usize, sigma: f64| {
        let mut found = vec![0.0; tall * wide];
        gaussian(&plane(number), wide, sigma, &mut found).map(|()| found)
    };
    let (coarse, squares, steepness) = (blurred(2, COARSE)?, blurred(3, COARSE)?, blurred(6, STEEP)?);
    for (cell, (out, parts)) in out.chunks_exact_mut(FEATURES).zip(parts.chunks_exact(PARTS)).enumerate() {
        let coarse_spread = (squares[cell] - coarse[cell] * coarse[cell]).max(0.0).sqrt();
        out[BORDER_FEATURES..BORDER_FEATURES + 3].copy_from_slice(&[parts[0], parts[1], coarse[cell]]);
        let spreads = [parts[4], parts[5], coarse_spread, steepness[cell]];
        for (out, spread) in out[BORDER_FEATURES + 3..].iter_mut().zip(spreads) {
            *out = (spread + LEAST_SPREAD).ln();
        }
    }
    Ok(())
}

/// Writes how near the border is: on three scales, then to the left or right, then above or below.
fn border_features(seen: Seen<'_>, out: &mut [f32]) {
    let height = seen.gray.len() / seen.width;
    let nearness =
        |place: usize, length: usize, width: f32| (-(place.min(length - 1 - place) as f32) / width).exp();
    let table = |places: std::ops::Range<usize>, length: usize, width: f32| -> Vec<f32> {
        places.map(|place| nearness(place, length, width)).collect()
    };
    let rows = seen.top..seen.top + height;
    let down = BORDER_WIDTHS.map(|width| table(rows.clone(), seen.height, width));
    let across = BORDER_WIDTHS.map(|width| table(0..seen.width, seen.width, width));
    let (down_side, across_side) =
        (table(rows, seen.height, SIDE_WIDTH), table(0..seen.width, seen.width, SIDE_WIDTH));
    let down_means = cell_means(&down_side);
    let across_means = cell_means(&across_side);
    let wide = seen.width.div_ceil(CELL);
    out.par_chunks_mut(wide * FEATURES).enumerate().for_each(|(cell_row, out)| {
        let (mut sums, mut near) = (vec![0.0_f64; wide], vec![0.0_f32; seen.width]);
        for (number, &width) in BORDER_WIDTHS.iter().enumerate() {
            sums.fill(0.0);
            for step in 0..CELL {
                let row = (cell_row * CELL + step).min(height - 1);
                let of_row = down[number][row];
                for (near, &of_column) in near.iter_mut().zip(&across[number]) {
                    *near = if of_column > of_row { of_column } else { of_row };
                }
                if let Some(distances) = seen.from_ignored {
                    for (near, distance) in near.iter_mut().zip(&distances[row * seen.width..]) {
                        *near = near.max((-distance / width).exp());
                    }
                }
                add_cells(&near, &mut sums);
            }
            for (out, sum) in out.chunks_exact_mut(FEATURES).zip(&sums) {
                out[number] = mean(*sum);
            }
        }
        for (out, across) in out.chunks_exact_mut(FEATURES).zip(&across_means) {
            out[BORDER_WIDTHS.len()] = *across;
            out[BORDER_WIDTHS.len() + 1] = down_means[cell_row];
        }
    });
}

/// Returns the means of the cells of one line.
fn cell_means(line: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0; line.len().div_ceil(CELL)];
    add_cells(line, &mut sums);
    sums.iter().map(|sum| mean(sum * CELL as f64)).collect()
}

/// Adds the pixels of a row to the cells that they lie in; the last is repeated where it cuts one.
fn add_cells(row: &[f32], sums: &mut [f64]) {
    let (whole, rest) = row.as_chunks::<CELL>();
    for (sum, pixels) in sums.iter_mut().zip(whole) {
        let [one, two, three, four] = pixels.map(f64::from);
        *sum += (one + two) + (three + four);
    }
    if let (Some(sum), Some(&last)) = (sums.get_mut(whole.len()), rest.last()) {
        *sum +=
            rest.iter().copied().map(f64::from).sum::<f64>() + f64::from(last) * (CELL - rest.len()) as f64;
    }
}

/// Returns the mean of a cell whose pixels have a sum.
fn mean(sum: f64) -> f32 {
    (sum / (CELL * CELL) as f64) as f32
}

/// Writes the parts that the surface features are made of, cell by cell.
fn surface_parts(seen: Seen<'_>, height: usize, out: &mut [f32]) -> Result<(), Error> {
    let windows = [Gaussian::new(FINE)?, Gaussian::new(MIDDLE)?, Gaussian::new(STEEP)?];
    let (width, wide) = (seen.width, seen.width.div_ceil(CELL));
    // The steepness looks one row further than its own window.
    let reach = windows.iter().map(Gaussian::radius).max().unwrap_or(0).max(windows[2].radius() + 1) as i64;
    out.par_chunks_mut(CELL_ROWS * wide * PARTS).enumerate().for_each(|(block, out)| {
        let top = (block * CELL_ROWS * CELL) as i64;
        let bottom = (top + (out.len() / (wide * PARTS) * CELL) as i64).min(height as i64);
        let row = |row: usize| &seen.gray[row * width..][..width];
        let (first, last) = (top - reach, bottom + reach);
        let gray = Rows::new(height, width, first, last, row, |value| value);
        let squares = Rows::new(height, width, first, last, row, |value| value * value);
        let mut room = Room::new(width, wide);
        for (out, cell_row) in out.chunks_exact_mut(wide * PARTS).zip(0..) {
            room.sums.fill(0.0);
            for step in 0..CELL as i64 {
                // Past the border the last row is repeated.
                let number = (top + cell_row * CELL as i64 + step).min(height as i64 - 1);
                let own = row(number as usize);
                add_cells(own, &mut room.sums[2 * wide..][..wide]);
                for (square, value) in room.one.iter_mut().zip(own) {
                    *square = value * value;
                }
                add_cells(&room.one, &mut room.sums[3 * wide..][..wide]);
                for (place, window) in windows[..2].iter().enumerate() {
                    gray.blur(window, number, &mut room.line, &mut room.one);
                    squares.blur(window, number, &mut room.line, &mut room.other);
                    for (spread, &mean) in room.other.iter_mut().zip(&room.one) {
                        *spread = (*spread - mean * mean).max(0.0).sqrt();
                    }
                    add_cells(&room.one, &mut room.sums[place * wide..][..wide]);
                    add_cells(&room.other, &mut room.sums[(4 + place) * wide..][..wide]);
                }
                room.steepness(&gray, &windows[2], number, height as i64);
                add_cells(&room.one, &mut room.sums[6 * wide..][..wide]);
            }
            for (cell, out) in out.chunks_exact_mut(PARTS).enumerate() {
                for (part, out) in out.iter_mut().enumerate() {
                    *out = mean(room.sums[part * wide + cell]);
                }
            }
        }
    });
    Ok(())
}

/// Room for the rows that a row of cells is made of.
struct Room {
    line: Line,
    one: Vec<f32>,
    other: Vec<f32>,
    /// Smoothed rows above, at and below the one whose steepness is asked for, and their numbers.
    smooth: [Vec<f32>; 3],
    numbers: [i64; 3],
    /// Sums of the cells, one part after the other.
    sums: Vec<f64>,
}

impl Room {
    fn new(width: usize, wide: usize) -> Self {
        Self {
            line: Line::default(),
            one: vec![0.0; width],
            other: vec![0.0; width],
            smooth: [vec![0.0; width], vec![0.0; width], vec![0.0; width]],
            numbers: [-1; 3],
            sums: vec![0.0; wide * PARTS],
        }
    }

    /// Writes the length of the gradient of a row of the smoothed image into `one`: half the difference of its neighbours,
    /// or the difference from the only one; 0 in an image of one row or column.
    fn steepness(&mut self, gray: &Rows, window: &Gaussian, row: i64, height: i64) {
        let width = self.one.len();
        if height == 1 || width == 1 {
            self.one.fill(0.0);
            return;
        }
        let (above, below) = ((row - 1).max(0), (row + 1).min(height - 1));
        for number in above..=below {
            let slot = (number % 3) as usize;
            if self.numbers[slot] != number {
                gray.blur(window, number, &mut self.line, &mut self.smooth[slot]);
                self.numbers[slot] = number;
            }
        }
        let [above_row, own, below_row] =
            [above, row, below].map(|number| &self.smooth[(number % 3) as usize][..width]);
        let share = if below - above == 2 { 0.5 } else { 1.0 };
        let right = |column: usize| {
            let (before, after) = (column.max(1) - 1, (column + 1).min(width - 1));
            (own[after] - own[before]) * if after - before == 2 { 0.5 } else { 1.0 }
        };
        let length = |down: f32, right: f32| (down * down + right * right).sqrt();
        let down = |column: usize| (below_row[column] - above_row[column]) * share;
        for column in [0, width - 1] {
            self.one[column] = length(down(column), right(column));
        }
        for column in 1..width - 1 {
            self.one[column] = length(down(column), (own[column + 1] - own[column - 1]) * 0.5);
        }
    }
}
