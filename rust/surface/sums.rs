//! Sums over the rows of an image: of its gray level, of its fine structure, and of their squares.

use rayon::prelude::*;

use super::gaussian::{Gaussian, Line, ROWS, Rows, check_rows};
use crate::error::{Error, check_len};

/// Sums of each row: its inspected pixels, gray, fine, and the squares of both.
pub const SUMS: usize = 5;

/// Standard deviation in pixels of what is taken off to leave the fine structure.
const FINE: f64 = 1.0;

/// Writes the sums of some rows of an image. `seen` are rows of a width, of which those from `first` on are summed, as many
/// as `out` has room for; `ignored` are those pixels of them that do not count.
///
/// # Errors
/// If the slices do not fit together.
pub fn row_sums(
    seen: &[f32],
    width: usize,
    first: usize,
    ignored: Option<&[u8]>,
    out: &mut [f64],
) -> Result<(), Error> {
    let height = check_rows(seen, width)?;
    let count = out.len() / SUMS;
    if first + count > height || !out.len().is_multiple_of(SUMS) {
        return Err(Error::Value(format!("rows {first}..{} of {height} cannot be summed", first + count)));
    }
    if let Some(ignored) = ignored {
        check_len("ignored", count * width, ignored.len())?;
    }
    let window = Gaussian::new(FINE)?;
    let radius = window.radius() as i64;
    out.par_chunks_mut(ROWS * SUMS).enumerate().for_each(|(block, out)| {
        let top = (first + block * ROWS) as i64;
        let bottom = top + (out.len() / SUMS) as i64;
        let row = |row: usize| &seen[row * width..][..width];
        let rows = Rows::new(height, width, top - radius, bottom + radius, row, |value| value);
        let (mut line, mut coarse) = (Line::default(), vec![0.0; width]);
        for (sums, number) in out.chunks_exact_mut(SUMS).zip(top..) {
            rows.blur(&window, number, &mut line, &mut coarse);
            let counted = ignored.map(|ignored| &ignored[(number as usize - first) * width..][..width]);
            sums.copy_from_slice(&sums_of(row(number as usize), &coarse, counted));
        }
    });
    Ok(())
}

fn sums_of(gray: &[f32], coarse: &[f32], ignored: Option<&[u8]>) -> [f64; SUMS] {
    const LANES: usize = 16;
    let mut lanes = [[0.0_f64; LANES]; SUMS];
    let mut add = |lane: usize, gray: f32, coarse: f32, weight: f64| {
        let (gray, fine) = (f64::from(gray), f64::from(gray - coarse));
        lanes[0][lane] += weight;
        lanes[1][lane] += weight * gray;
        lanes[2][lane] += weight * fine;
        lanes[3][lane] += weight * gray * gray;
        lanes[4][lane] += weight * fine * fine;
    };
    match ignored {
        None => {
            for (gray, coarse) in gray.chunks(LANES).zip(coarse.chunks(LANES)) {
                for (lane, (&gray, &coarse)) in gray.iter().zip(coarse).enumerate() {
                    add(lane, gray, coarse, 1.0);
                }
            }
        }
        Some(ignored) => {
            for (place, ((&gray, &coarse), &ignored)) in gray.iter().zip(coarse).zip(ignored).enumerate() {
                add(place % LANES, gray, coarse, if ignored == 0 { 1.0 } else { 0.0 });
            }
        }
    }
    lanes.map(|lanes| lanes.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_summed_as_they_are_one_by_one() {
        let (height, width) = (70, 37);
        let seen: Vec<f32> = (0..height * width).map(|place| (place * 31 % 97) as f32 / 97.0).collect();
        let ignored: Vec<u8> = (0..66 * width).map(|place| u8::from(place % 7 == 0)).collect();
        let mut coarse = vec![0.0; seen.len()];
        assert_eq!(super::super::gaussian::gaussian(&seen, width, 1.0, &mut coarse), Ok(()));
        for mask in [None, Some(&ignored[..])] {
            let mut found = vec![f64::NAN; 66 * SUMS];
            assert_eq!(row_sums(&seen, width, 3, mask, &mut found), Ok(()));
            for (row, found) in found.chunks_exact(SUMS).enumerate() {
                let mut wanted = [0.0; SUMS];
                for column in 0..width {
                    let place = (row + 3) * width + column;
                    let weight = mask.map_or(1.0, |mask| f64::from(1 - mask[row * width + column]));
                    let (gray, fine) = (f64::from(seen[place]), f64::from(seen[place] - coarse[place]));
                    for (sum, value) in wanted.iter_mut().zip([1.0, gray, fine, gray * gray, fine * fine]) {
                        *sum += weight * value;
                    }
                }
                for (found, wanted) in found.iter().zip(wanted) {
                    assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
                }
            }
        }
        assert!(row_sums(&seen, width, 5, None, &mut [0.0; 66 * SUMS]).is_err());
    }
}
