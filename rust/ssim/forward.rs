//! Blurred moments row by row, and the map of 1 - SSIM.

use super::lanes::{LANES, Lanes, Work, accumulate, whole_lanes};
use super::real::Real;
use super::{Border, Extra, PlaneShape, Ssim};

/// Columns before the first one of a row that will be blurred sideways; at least the largest radius.
const MARGIN: usize = 16;

/// Blurred planes: x', d, d^2, x'y'.
pub const MOMENTS: usize = 4;

/// Streams the blurred moments of one plane, output row by output row.
pub struct Moments<'a, T> {
    ssim: &'a Ssim<T>,
    x: &'a [T],
    y: &'a [T],
    shape: PlaneShape,
    /// Padded input row that comes next into the ring.
    next: isize,
    stride: usize,
    ring: Vec<T>,
    /// Vertically blurred row with its margins, for each moment.
    columns: [Vec<T>; MOMENTS],
}

impl<'a, T: Real> Moments<'a, T> {
    /// Starts so that `first_row` of the map is the first row that can be asked for.
    #[inline(always)]
    pub fn new<const FMA: bool>(
        ssim: &'a Ssim<T>,
        x: &'a [T],
        y: &'a [T],
        shape: PlaneShape,
        first_row: usize,
    ) -> Self {
        let stride = whole_lanes(shape.width);
        let columns = std::array::from_fn(|_| vec![T::default(); MARGIN + stride + MARGIN + LANES]);
        let ring = vec![T::default(); ssim.taps.len() * MOMENTS * stride];
        let first =
            first_row as isize - if ssim.border == Border::Valid { 0 } else { ssim.radius() as isize };
        let mut moments = Self { ssim, x, y, shape, next: first, stride, ring, columns };
        for _ in 1..ssim.taps.len() {
            moments.load_row();
        }
        moments
    }

    /// Blurs the next row of the map; its moments are then read by [`Moments::at`].
    #[inline(always)]
    pub fn advance<const FMA: bool>(&mut self) {
        self.load_row();
        let side = self.ssim.taps.len();
        let oldest = (self.next - side as isize).rem_euclid(side as isize) as usize;
        for start in (0..self.stride).step_by(LANES) {
            let mut sums: [Lanes<T>; MOMENTS] = [[T::default(); LANES]; MOMENTS];
            for (tap, &weight) in self.ssim.taps.iter().enumerate() {
                let slot = if oldest + tap < side { oldest + tap } else { oldest + tap - side };
                for (moment, sum) in sums.iter_mut().enumerate() {
                    accumulate::<T, FMA>(
                        sum,
                        weight,
                        &self.ring,
                        (slot * MOMENTS + moment) * self.stride + start,
                    );
                }
            }
            for (column, sum) in self.columns.iter_mut().zip(&sums) {
                column[MARGIN + start..MARGIN + start + LANES].copy_from_slice(sum);
            }
        }
        self.pad();
    }

    /// Returns the moments of sixteen columns of the current row, from column `start`.
    #[inline(always)]
    pub fn at<const FMA: bool>(&self, start: usize) -> [Lanes<T>; MOMENTS] {
        let first = MARGIN + start - if self.ssim.border == Border::Valid { 0 } else { self.ssim.radius() };
        let mut sums = [[T::default(); LANES]; MOMENTS];
        for (tap, &weight) in self.ssim.taps.iter().enumerate() {
            for (sum, column) in sums.iter_mut().zip(&self.columns) {
                accumulate::<T, FMA>(sum, weight, column, first + tap);
            }
        }
        sums
    }

    /// Puts x', d, d^2 and x'y' of the next padded input row into the ring.
    #[inline(always)]
    fn load_row(&mut self) {
        let side = self.ssim.taps.len() as isize;
        let (stride, width, shift) = (self.stride, self.shape.width, self.ssim.shift);
        let slot = self.next.rem_euclid(side) as usize * MOMENTS * stride;
        let (first, rest) = self.ring[slot..slot + MOMENTS * stride].split_at_mut(stride);
        let (second, rest) = rest.split_at_mut(stride);
        let (third, fourth) = rest.split_at_mut(stride);
        match self.ssim.border.source(self.next, self.shape.height) {
            Some(row) => {
                let x = &self.x[row * width..(row + 1) * width];
                let y = &self.y[row * width..(row + 1) * width];
                let outputs = first.iter_mut().zip(second).zip(third.iter_mut().zip(fourth));
                for ((&x, &y), ((shifted, difference), (square, product))) in x.iter().zip(y).zip(outputs) {
                    let (d, x) = (x - y, x - shift);
                    (*shifted, *difference) = (x, d);
                    (*square, *product) = (d * d, x * (x - d));
                }
            }
            None => {
                first.fill(-shift);
                second.fill(T::default());
                third.fill(T::default());
                fourth.fill(shift * shift);
            }
        }
        self.next += 1;
    }

    /// Continues the vertically blurred rows past the left and right border.
    #[inline(always)]
    fn pad(&mut self) {
        let (border, shift, width) = (self.ssim.border, self.ssim.shift, self.shape.width);
        if border == Border::Valid {
            return;
        }
        let outside = [-shift, T::default(), T::default(), shift * shift];
        for (column, outside) in self.columns.iter_mut().zip(outside) {
            for step in 1..=self.ssim.radius() {
                let left =
                    border.source(-(step as isize), width).map_or(outside, |place| column[MARGIN + place]);
                let beyond = width - 1 + step;
                let right =
                    border.source(beyond as isize, width).map_or(outside, |place| column[MARGIN + place]);
                column[MARGIN - step] = left;
                column[MARGIN + beyond] = right;
            }
        }
    }
}

/// Rows of a map of 1 - SSIM.
pub struct Map<'a, T> {
    /// Window and constants.
    pub ssim: &'a Ssim<T>,
    /// Plane of the first input.
    pub x: &'a [T],
    /// Plane of the second input.
    pub y: &'a [T],
    /// Shape of both.
    pub shape: PlaneShape,
    /// Row of the map that `rows` starts with.
    pub first_row: usize,
    /// Whole rows of the map to fill.
    pub rows: &'a mut [T],
    /// What is added to each pixel.
    pub extra: Extra<T>,
}

impl<T: Real> Work for Map<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let lost = if self.ssim.border == Border::Valid { self.ssim.taps.len() - 1 } else { 0 };
        let mut moments = Moments::new::<FMA>(self.ssim, self.x, self.y, self.shape, self.first_row);
        for (row, line) in self.rows.chunks_exact_mut(self.shape.width - lost).enumerate() {
            moments.advance::<FMA>();
            let first = (self.first_row + row + lost / 2) * self.shape.width + lost / 2;
            for (index, part) in line.chunks_mut(LANES).enumerate() {
                let losses = loss_of(self.ssim, &moments.at::<FMA>(index * LANES));
                part.copy_from_slice(&losses[..part.len()]);
                self.extra.add(part, &self.x[first + index * LANES..], &self.y[first + index * LANES..]);
            }
        }
    }
}

/// Returns 1 - SSIM = l + q - l q, each factor's complement on its own, so that nothing near 1 is subtracted from 1.
#[inline(always)]
fn loss_of<T: Real>(ssim: &Ssim<T>, moments: &[Lanes<T>; MOMENTS]) -> Lanes<T> {
    let two = T::from_f64(2.0);
    let mut losses = [T::default(); LANES];
    for lane in 0..LANES {
        let [ux, du, square, product] = moments.map(|moment| moment[lane]);
        let uy = ux - du;
        let a1 = two * (ux + ssim.shift) * (uy + ssim.shift) + ssim.c1;
        let a2 = two * (product - ux * uy) + ssim.c2;
        let dv = square - du * du;
        let l = du * du / (a1 + du * du);
        let q = dv / (a2 + dv);
        losses[lane] = l + q - l * q;
    }
    losses
}
