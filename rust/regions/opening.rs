//! The area opening of a map of levels: what is left of it above each level once regions of few pixels are taken away.

use crate::error::{Error, check_len};

/// Marks a pixel that no level has reached yet.
const OUTSIDE: u32 = u32::MAX;

/// Lowers each pixel to the highest level at which it lies in an 8-connected region of at least `min_area` pixels.
///
/// Level 0 stays 0. At or above any other level, `out` has just those pixels of `levels` that lie in regions of so many:
/// every threshold's segmentation at once (union-find after Meijster and Wilkinson 2002).
///
/// # Errors
/// If a slice does not have height x width elements, or these are more than can be numbered.
pub fn open(levels: &[u8], height: usize, width: usize, min_area: u64, out: &mut [u8]) -> Result<(), Error> {
    check_len("levels", height * width, levels.len())?;
    check_len("out", levels.len(), out.len())?;
    if levels.len() >= OUTSIDE as usize {
        return Err(Error::Value(format!("{height} x {width} pixels are more than can be opened")));
    }
    let order = highest_first(levels);
    let mut parents = vec![OUTSIDE; levels.len()];
    // Of a root: the pixels of its region, or `min_area` once it has so many and is kept at its own level.
    let mut areas = vec![0_u64; levels.len()];
    for &pixel in &order {
        let here = pixel as usize;
        (parents[here], areas[here]) = (pixel, 1);
        let (row, column) = (here / width, here % width);
        for r in row.saturating_sub(1)..(row + 2).min(height) {
            for c in column.saturating_sub(1)..(column + 2).min(width) {
                let near = r * width + c;
                if parents[near] == OUTSIDE {
                    continue;
                }
                let root = root_of(&mut parents, near);
                if root == here {
                    continue;
                }
                if levels[root] == levels[here] || areas[root] < min_area {
                    areas[here] += areas[root];
                    parents[root] = pixel;
                } else {
                    areas[here] = areas[here].max(min_area);
                }
            }
        }
    }
    out.fill(0);
    // A root comes after all that hang on it, so backwards each finds its parent done. A root of few pixels is lowered to
    // nothing: not even the lowest level joins so many.
    for &pixel in order.iter().rev() {
        let here = pixel as usize;
        let parent = parents[here] as usize;
        out[here] = if parent != here {
            out[parent]
        } else if areas[here] >= min_area {
            levels[here]
        } else {
            0
        };
    }
    Ok(())
}

/// Returns the pixels above 0, the highest first.
fn highest_first(levels: &[u8]) -> Vec<u32> {
    let mut counts = [0_usize; 256];
    for &level in levels {
        counts[usize::from(level)] += 1;
    }
    let mut next = [0_usize; 256];
    for level in (1..255).rev() {
        next[level] = next[level + 1] + counts[level + 1];
    }
    let mut order = vec![0; levels.len() - counts[0]];
    for (pixel, &level) in levels.iter().enumerate().filter(|&(_, &level)| level > 0) {
        let place = &mut next[usize::from(level)];
        order[*place] = u32::try_from(pixel).unwrap_or(OUTSIDE);
        *place += 1;
    }
    order
}

fn root_of(parents: &mut [u32], mut pixel: usize) -> usize {
    let mut root = pixel;
    while parents[root] as usize != root {
        root = parents[root] as usize;
    }
    while parents[pixel] as usize != root {
        (pixel, parents[pixel]) = (parents[pixel] as usize, root as u32);
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(levels: &[u8], width: usize, min_area: u64) -> Vec<u8> {
        let mut out = vec![9; levels.len()];
        assert!(open(levels, levels.len() / width, width, min_area, &mut out).is_ok());
        out
    }

    #[test]
    fn a_peak_is_lowered_until_its_region_is_large() {
        #[rustfmt::skip]
        let levels = [
            0, 3, 0, 0, 5,
            0, 2, 0, 0, 0,
            2, 0, 0, 1, 1,
        ];
        assert_eq!(opened(&levels, 5, 1), levels);
        #[rustfmt::skip]
        assert_eq!(opened(&levels, 5, 2), [
            0, 2, 0, 0, 0,
            0, 2, 0, 0, 0,
            2, 0, 0, 1, 1,
        ]);
        assert_eq!(opened(&levels, 5, 4), [0; 15]);
    }

    #[test]
    fn a_large_region_stays_beside_a_small_peak_on_the_same_ground() {
        assert_eq!(opened(&[4, 4, 1, 9, 1], 5, 2), [4, 4, 1, 1, 1]);
    }

    #[test]
    fn slices_of_other_lengths_are_refused() {
        assert!(open(&[1; 6], 2, 3, 1, &mut [0; 5]).is_err());
        assert!(open(&[1; 6], 2, 2, 1, &mut [0; 6]).is_err());
    }
}
