//! The outline of a region as a polygon along the edges of its pixels.

use crate::error::{Error, check_len};

/// A corner between pixels: x to the right, y down; pixel (row, column) lies between `y = row` and `row + 1`, and between
/// `x = column` and `column + 1`.
pub type Corner = [i64; 2];

/// Returns the corners of the polygon round an 8-connected region of a mask: clockwise as one sees it, from its first pixel
/// in reading order on, where the direction changes. Holes are not cut out.
///
/// The region is the one that fills a box. There is one at most: of two that reach all four sides of a box, one would
/// cross the other.
///
/// # Errors
/// If the mask does not have height x width elements, or no region fills the box, which is top, left, bottom, right and
/// half-open.
pub fn outline(mask: &[u8], height: usize, width: usize, bounds: [usize; 4]) -> Result<Vec<Corner>, Error> {
    check_len("mask", height * width, mask.len())?;
    let [top, left, bottom, right] = bounds;
    let plane = Plane { mask, height: height as i64, width: width as i64 };
    if top < bottom && bottom <= height && left < right && right <= width {
        let row = top as i64;
        for column in left as i64..right as i64 {
            if plane.inside(column, row) && !plane.inside(column - 1, row) && !plane.inside(column, row - 1) {
                let corners = plane.follow(column, row);
                if box_of(&corners) == bounds.map(|side| side as i64) {
                    return Ok(corners);
                }
            }
        }
    }
    Err(Error::Value(format!("no region fills the box {bounds:?} of a mask of {height} x {width}")))
}

fn box_of(corners: &[Corner]) -> [i64; 4] {
    corners.iter().fold([i64::MAX, i64::MAX, 0, 0], |[top, left, bottom, right], &[x, y]| {
        [top.min(y), left.min(x), bottom.max(y), right.max(x)]
    })
}

struct Plane<'a> {
    mask: &'a [u8],
    height: i64,
    width: i64,
}

impl Plane<'_> {
    fn inside(&self, x: i64, y: i64) -> bool {
        (0..self.width).contains(&x)
            && (0..self.height).contains(&y)
            && self.mask[(y * self.width + x) as usize] != 0
    }

    /// Follows the edges from the upper left corner of a pixel that has nothing above it, the region on the right hand.
    ///
    /// Each edge between inside and outside is followed by one and follows one, so that the way leads back.
    fn follow(&self, x: i64, y: i64) -> Vec<Corner> {
        let start = ([x, y], [1, 0]);
        let ([mut x, mut y], [mut across, mut down]) = start;
        let mut corners = Vec::new();
        loop {
            (x, y) = (x + across, y + down);
            // Of the four pixels round a corner the two ahead, on the left hand and on the right hand.
            let (left, right) = if down == 0 {
                let ahead = if across > 0 { x } else { x - 1 };
                let (above, below) = (self.inside(ahead, y - 1), self.inside(ahead, y));
                if across > 0 { (above, below) } else { (below, above) }
            } else {
                let ahead = if down > 0 { y } else { y - 1 };
                let (before, after) = (self.inside(x - 1, ahead), self.inside(x, ahead));
                if down > 0 { (after, before) } else { (before, after) }
            };
            let turned = if left {
                [down, -across]
            } else if right {
                [across, down]
            } else {
                [-down, across]
            };
            if turned != [across, down] {
                corners.push([x, y]);
            }
            [across, down] = turned;
            if ([x, y], [across, down]) == start {
                // The start comes first.
                corners.rotate_right(1);
                return corners;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_that_touch_belong_to_one_outline() {
        // Two pixels that share a corner.
        let mask = [1, 0, 0, 1];
        let corners = outline(&mask, 2, 2, [0, 0, 2, 2]).unwrap_or_default();
        assert_eq!(corners, [[0, 0], [1, 0], [1, 1], [2, 1], [2, 2], [1, 2], [1, 1], [0, 1]]);
    }

    #[test]
    fn another_region_in_the_box_is_not_followed() {
        // A region inside the arms of another, which it does not touch.
        let mask = [1, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1];
        let arms = outline(&mask, 3, 5, [0, 0, 3, 5]).unwrap_or_default();
        assert_eq!(arms, [[0, 0], [1, 0], [1, 2], [4, 2], [4, 0], [5, 0], [5, 3], [0, 3]]);
        let inner = outline(&mask, 3, 5, [0, 2, 1, 3]).unwrap_or_default();
        assert_eq!(inner, [[2, 0], [3, 0], [3, 1], [2, 1]]);
    }

    #[test]
    fn a_box_that_no_region_fills_is_refused() {
        assert!(outline(&[1, 0, 0, 0], 2, 2, [0, 0, 2, 2]).is_err());
        assert!(outline(&[1, 0, 0, 0], 2, 2, [0, 0, 3, 1]).is_err());
        assert!(outline(&[1, 0, 0], 2, 2, [0, 0, 1, 1]).is_err());
    }
}
