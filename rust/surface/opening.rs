//! Gray opening of a map with a flat disk, of which parts may lie outside the map.

use pulp::Arch;
use rayon::prelude::*;

use super::gaussian::{ROWS, check_rows};
use crate::error::{Error, check_len};

/// Writes the opening of a map, rows of a width, with the disk whose rows cover these columns, each as long as the disk is
/// high: for each pixel the highest of the lowest values of all disks that cover it. What lies outside takes no part.
///
/// # Errors
/// If the slices differ in length or are no rows of that width, or the disk is none: a row that is empty or longer than
/// the disk is high, or not the mirror image of the one opposite.
pub fn open_disk(
    values: &[f32],
    width: usize,
    disk: &[(usize, usize)],
    out: &mut [f32],
) -> Result<(), Error> {
    check_len("out", values.len(), out.len())?;
    let height = check_rows(values, width)?;
    let side = disk.len();
    let symmetric = disk.iter().zip(disk.iter().rev()).all(|(row, opposite)| {
        row.0 < row.1 && row.1 <= side && (row.0, row.1) == (side - opposite.1, side - opposite.0)
    });
    if disk.is_empty() || !symmetric {
        return Err(Error::Value("a disk must have rows that are symmetric to its middle".into()));
    }
    let (arch, reach) = (Arch::new(), side - 1);
    out.par_chunks_mut(ROWS * width).enumerate().for_each(|(block, out)| {
        arch.dispatch(|| {
            let (top, count) = (block * ROWS, out.len() / width);
            let wide = width + 2 * reach;
            let mut padded = vec![f32::INFINITY; (count + 2 * reach) * wide];
            for (line, row) in padded.chunks_exact_mut(wide).zip(top..) {
                if (reach..height + reach).contains(&row) {
                    line[reach..reach + width].copy_from_slice(&values[(row - reach) * width..][..width]);
                }
            }
            let lowest = over_disk(&padded, wide, disk, |one, other| if other < one { other } else { one });
            let highest =
                over_disk(&lowest, width + reach, disk, |one, other| if other > one { other } else { one });
            out.copy_from_slice(&highest);
        });
    });
    Ok(())
}

/// Returns what `pick` takes of the pixels of each disk that lies within rows of a width: fewer rows, and shorter ones.
#[inline(always)]
fn over_disk(
    values: &[f32],
    width: usize,
    disk: &[(usize, usize)],
    pick: impl Fn(f32, f32) -> f32,
) -> Vec<f32> {
    let (height, shorter) = (values.len() / width - (disk.len() - 1), width - (disk.len() - 1));
    let mut out = vec![0.0; height * shorter];
    let mut started = false;
    // All rows of one length together: each is what is picked along a row, of which longer ones come from shorter ones.
    let mut lengths: Vec<usize> = disk.iter().map(|row| row.1 - row.0).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let (mut along, mut length) = (values.to_vec(), 1);
    let mut before = vec![0.0; width];
    for next in lengths {
        while length < next {
            let step = length.min(next - length);
            for line in along.chunks_exact_mut(width) {
                before.copy_from_slice(line);
                for ((out, &one), &other) in line.iter_mut().zip(&before).zip(&before[step..]) {
                    *out = pick(one, other);
                }
            }
            length += step;
        }
        for (row, &(first, _)) in disk.iter().enumerate().filter(|(_, row)| row.1 - row.0 == length) {
            let lines = along.chunks_exact(width).skip(row);
            for (out, line) in out.chunks_exact_mut(shorter).zip(lines) {
                let line = &line[first..first + shorter];
                if started {
                    for (out, &value) in out.iter_mut().zip(line) {
                        *out = pick(*out, value);
                    }
                } else {
                    out.copy_from_slice(line);
                }
            }
            started = true;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(diameter: usize) -> Vec<(usize, usize)> {
        let square = |place: usize| (place as f64 - (diameter as f64 - 1.0) / 2.0).powi(2);
        let inside =
            |row: usize, column: usize| square(row) + square(column) <= (diameter * diameter) as f64 / 4.0;
        (0..diameter)
            .map(|row| {
                let columns: Vec<usize> = (0..diameter).filter(|&column| inside(row, column)).collect();
                (columns[0], columns[columns.len() - 1] + 1)
            })
            .collect()
    }

    #[test]
    fn openings_are_the_highest_of_the_lowest_values_of_disks() {
        for (height, width) in [(1, 1), (3, 8), (9, 2), (70, 21)] {
            let values: Vec<f32> =
                (0..height * width).map(|place| (place * place * 7 % 103) as f32).collect();
            let value = |row: i64, column: i64| {
                let inside = (0..height as i64).contains(&row) && (0..width as i64).contains(&column);
                if inside { values[row as usize * width + column as usize] } else { f32::INFINITY }
            };
            for diameter in 1..12 {
                let rows = disk(diameter);
                let pixels: Vec<(i64, i64)> = (0..)
                    .zip(&rows)
                    .flat_map(|(row, &(first, last))| {
                        (first as i64..last as i64).map(move |column| (row, column))
                    })
                    .collect();
                let mut found = vec![f32::NAN; values.len()];
                assert_eq!(open_disk(&values, width, &rows, &mut found), Ok(()));
                for (place, found) in found.iter().enumerate() {
                    let (row, column) = ((place / width) as i64, (place % width) as i64);
                    let lowest = |&(down, right): &(i64, i64)| {
                        let of = |(y, x): &(i64, i64)| value(row - down + y, column - right + x);
                        pixels.iter().map(of).fold(f32::INFINITY, f32::min)
                    };
                    let wanted = pixels.iter().map(lowest).fold(f32::NEG_INFINITY, f32::max);
                    assert_eq!(*found, wanted, "{height} x {width}, {diameter}");
                }
            }
        }
        assert!(open_disk(&[0.0; 4], 2, &[(0, 1), (0, 2)], &mut [0.0; 4]).is_err());
        assert!(open_disk(&[0.0; 4], 2, &[], &mut [0.0; 4]).is_err());
    }
}
