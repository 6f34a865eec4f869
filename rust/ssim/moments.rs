//! Blurred moments of two planes, row by row: x', d, d^2, x'y', and the mask if there is one.

use std::ops::Range;

use super::parameters::{PlaneShape, Ssim};
use super::simd::buffer::{Buffer, prefetch, whole_lanes};
use super::simd::lanes::{Arch, Lanes, Real, Simd, WithSimd};
use super::window::blur::{PaddedRow, RowRing};
use super::window::border::Border;

/// Moments without a mask; the mask's own blur comes after them.
pub const MOMENTS: usize = 4;

/// Rows that are asked for before they are read: one takes longer to compute than to come from memory.
const AHEAD: usize = 12;

/// One plane of both inputs, and the weights with which its pixels enter windows.
#[derive(Clone, Copy)]
pub struct PlanePair<'a, T> {
    /// First input.
    pub x: &'a [T],
    /// Second input.
    pub y: &'a [T],
    /// Weights of the pixels inside windows.
    pub mask: Option<&'a [T]>,
    /// Shape of the whole planes.
    pub shape: PlaneShape,
    /// Row that the slices begin with; they hold as many rows as are read.
    pub top: usize,
}

/// Streams the moments of windows round one column range, row after row.
pub struct Moments<'a, T: Real> {
    ssim: &'a Ssim<T>,
    arch: Arch,
    planes: PlanePair<'a, T>,
    /// Columns that the windows read, as far as they lie in the plane.
    read: Range<usize>,
    /// Start of the first window, counted from the window's radius before those columns.
    first: usize,
    /// Row whose windows come next.
    next: usize,
    /// One row of x, y and the mask, continued past the border.
    padded: Vec<Buffer<T>>,
    ring: RowRing<'a, T>,
    /// Two rows, one after the other.
    line: PaddedRow<T>,
    /// Moments of two rows, each moment [`Moments::stride`] columns.
    rows: Buffer<T>,
    /// Row of the two that is the current one.
    current: usize,
    /// Columns of each moment that have windows, in whole registers.
    used: usize,
    /// From one moment to the next.
    pub stride: usize,
}

impl<'a, T: Real> Moments<'a, T> {
    /// Starts so that the first row that [`Moments::advance`] gives is that of the windows round `first_row`; the windows
    /// of a row are those round `columns`.
    pub fn new(
        ssim: &'a Ssim<T>,
        arch: Arch,
        planes: PlanePair<'a, T>,
        columns: &Range<usize>,
        first_row: usize,
    ) -> Self {
        let radius = ssim.window.radius();
        let count = MOMENTS + usize::from(planes.mask.is_some());
        let read = columns.start.saturating_sub(radius)..(columns.end + radius).min(planes.shape.width);
        // Windows of the last whole register must not reach into the next plane: their moments stay those of an image.
        let first = columns.start - read.start;
        let stride =
            whole_lanes((read.len() + 2 * radius).max(first + whole_lanes(columns.len()) + 2 * radius));
        let mut outside = Buffer::new(count * stride);
        let shift = ssim.constants.shift;
        for (moment, value) in [(0, -shift), (3, shift * shift), (MOMENTS, T::from_f64(1.0))] {
            outside[(moment * stride).min(count * stride)..((moment + 1) * stride).min(count * stride)]
                .fill(value);
        }
        let existing = first_row.saturating_sub(radius)..planes.shape.height;
        Self {
            ssim,
            arch,
            planes,
            first,
            read,
            next: first_row,
            padded: (0..if planes.mask.is_some() { 3 } else { 2 }).map(|_| Buffer::new(stride)).collect(),
            ring: RowRing::new(&ssim.window, ssim.border, planes.shape.height, existing, outside),
            line: PaddedRow::new(&ssim.window, 2 * count * stride),
            rows: Buffer::new(2 * count * stride),
            current: 1,
            used: whole_lanes(columns.len()),
            stride,
        }
    }

    /// Moves on to the windows round the next row, and returns their moments.
    pub fn advance(&mut self) -> &[T] {
        self.current = 1 - self.current;
        if self.current == 0 {
            while let Some(row) = self.ring.wants(self.next) {
                self.push_row(row);
            }
            self.ring.blur_two(self.arch, self.next, self.line.columns());
            let planes = [self.stride, self.used];
            self.line.blur(self.arch, &self.ssim.window, self.first, planes, &mut self.rows);
            self.next += 2;
        }
        let length = self.rows.len() / 2;
        &self.rows[self.current * length..][..length]
    }

    fn push_row(&mut self, row: usize) {
        let (border, radius, width) = (self.ssim.border, self.ssim.window.radius(), self.planes.shape.width);
        let planes = [Some(self.planes.x), Some(self.planes.y), self.planes.mask];
        for (index, (padded, plane)) in self.padded.iter_mut().zip(planes.into_iter().flatten()).enumerate() {
            let (end, read) = (radius + self.read.len(), &self.read);
            let start = (row - self.planes.top) * width;
            let inside = &plane[start + read.start..start + read.end];
            prefetch::<_, false>(inside, AHEAD * width);
            padded[radius..end].copy_from_slice(inside);
            if border == Border::Zero {
                // Black pixels, which enter windows like any other.
                let outside = T::from_f64(if index == 2 { 1.0 } else { 0.0 });
                padded[..radius].fill(outside);
                padded[end..end + radius].fill(outside);
            }
            if read.start == 0 {
                let (before, inside) = padded.split_at_mut(radius);
                border.mirror(before.iter_mut().rev(), inside.iter());
            }
            if read.end == width {
                let (inside, after) = padded.split_at_mut(end);
                border.mirror(after[..radius].iter_mut(), inside.iter().rev());
            }
        }
        let (x, y, mask) = (&self.padded[0], &self.padded[1], self.padded.get(2).map(|mask| &mask[..]));
        let shift = self.ssim.constants.shift;
        self.ring.push(|out| self.arch.dispatch(Products { x, y, mask, shift, out }));
    }
}

/// Computes the products of one row that are blurred: x', d, d^2, x'y', times the mask, and the mask.
struct Products<'a, T> {
    x: &'a [T],
    y: &'a [T],
    mask: Option<&'a [T]>,
    shift: T,
    out: &'a mut [T],
}

impl<T: Real> WithSimd for Products<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.mask {
            None => self.products::<S, false>(simd),
            Some(_) => self.products::<S, true>(simd),
        }
    }
}

impl<T: Real> Products<'_, T> {
    #[inline(always)]
    fn products<S: Simd, const MASKED: bool>(self, simd: S) {
        let length = self.x.len();
        let (x, y) = (T::vectors::<S>(self.x), T::vectors::<S>(self.y));
        let (mask, y) = (&T::vectors::<S>(self.mask.unwrap_or(self.x))[..x.len()], &y[..x.len()]);
        let (shifted, rest) = self.out.split_at_mut(length);
        let (differences, rest) = rest.split_at_mut(length);
        let (squares, rest) = rest.split_at_mut(length);
        let (products, weights) = rest.split_at_mut(length);
        let shifted = &mut T::vectors_mut::<S>(shifted)[..x.len()];
        let differences = &mut T::vectors_mut::<S>(differences)[..x.len()];
        let squares = &mut T::vectors_mut::<S>(squares)[..x.len()];
        let products = &mut T::vectors_mut::<S>(products)[..x.len()];
        let weights = T::vectors_mut::<S>(weights);
        let shift = Lanes::<S, T>::splat(simd, self.shift);
        for place in 0..x.len() {
            let (x, y) = (Lanes::<S, T>(simd, x[place]), Lanes(simd, y[place]));
            let (d, x) = (x - y, x - shift);
            let (square, product) = (d * d, x * (x - d));
            if MASKED {
                let weight = Lanes(simd, mask[place]);
                shifted[place] = (weight * x).1;
                differences[place] = (weight * d).1;
                squares[place] = (weight * square).1;
                products[place] = (weight * product).1;
                weights[place] = weight.1;
            } else {
                shifted[place] = x.1;
                differences[place] = d.1;
                squares[place] = square.1;
                products[place] = product.1;
            }
        }
    }
}
