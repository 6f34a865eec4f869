//! The sum of the map of 1 - SSIM times weights, and its gradient, in one sweep.
//!
//! The gradient follows the map by the window's radius: rows of slopes go through a ring of their own, are blurred back
//! and combined with the inputs. Nothing of the size of a plane is kept.

use std::ops::Range;

use super::blur::{Line, Ring};
use super::moments::{Moments, Planes};
use super::simd::{Arch, Buffer, LANES, Lanes, Real, Simd, WithSimd, whole_lanes};
use super::terms::{Slopes, Terms, add_extra};
use super::{Border, Ssim, strips};

/// What the sum is taken of, on one plane, and where its gradient goes.
pub struct Sweep<'a, T> {
    /// Window and constants.
    pub ssim: &'a Ssim<T>,
    /// Inputs.
    pub planes: Planes<'a, T>,
    /// Weights of the map, or 1 everywhere.
    pub weights: Option<&'a [T]>,
    /// What the gradient is multiplied with besides.
    pub scale: T,
    /// Rows of the plane whose part of the sum and whose gradient are wanted.
    pub rows: Range<usize>,
    /// Those rows of dL/dx, if wanted.
    pub grad_x: Option<&'a mut [T]>,
    /// Those rows of dL/dy, if wanted.
    pub grad_y: Option<&'a mut [T]>,
}

impl<'a, T: Real> Sweep<'a, T> {
    /// Returns the sum over the rows, and writes their gradients.
    pub fn run(mut self) -> f64 {
        let (width, radius) = (self.planes.shape.width, self.ssim.window.radius());
        let wanted = self.grad_x.is_some() || self.grad_y.is_some();
        if self.rows.start == 0 {
            // These rows also gather what lies past the upper border, which comes first.
            for grad in [&mut self.grad_x, &mut self.grad_y].into_iter().flatten() {
                let end = grad.len().min((radius + 1) * width);
                grad[..end].fill(T::default());
            }
        }
        strips(0..width)
            .map(|strip| if wanted { self.sweep_strip(strip) } else { self.sum_strip(strip) })
            .sum()
    }

    /// Returns the rows of the map in a range of rows of the plane.
    fn map_rows(&self, rows: &Range<usize>) -> Range<usize> {
        clamp(rows.clone(), &self.ssim.inside(self.planes.shape.height))
    }

    /// Returns the weights of columns of a row of the map, all counted in the plane, if they are not all 1.
    fn weights_of(&self, row: usize, columns: &Range<usize>) -> Option<&'a [T]> {
        let lost = self.ssim.lost();
        let start = row.checked_sub(lost)? * (self.planes.shape.width - 2 * lost);
        Some(&self.weights?[start + columns.start - lost..start + columns.end - lost])
    }

    fn row_of<'b>(&self, plane: &'b [T], row: usize, columns: &Range<usize>) -> &'b [T] {
        let start = row * self.planes.shape.width;
        &plane[start + columns.start..start + columns.end]
    }

    fn add_extra(&self, row: usize, columns: &Range<usize>, losses: &mut [T]) {
        if self.ssim.has_extra() {
            let (x, y) = (self.row_of(self.planes.x, row, columns), self.row_of(self.planes.y, row, columns));
            add_extra([self.ssim.l1, self.ssim.l2], x, y, losses);
        }
    }

    fn sum_strip(&self, strip: Range<usize>) -> f64 {
        let (arch, ssim) = (Arch::new(), self.ssim);
        let columns = clamp(strip, &ssim.inside(self.planes.shape.width));
        let rows = self.map_rows(&self.rows);
        let mut moments = Moments::new(ssim, arch, self.planes, &columns, rows.start);
        let (stride, constants) = (moments.stride, ssim.constants);
        let [mut losses, mut weights] = [(); 2].map(|()| Buffer::<T>::new(whole_lanes(columns.len())));
        weights[..columns.len()].fill(T::from_f64(1.0));
        let mut sum = Total::default();
        for row in rows {
            let moments = moments.advance();
            arch.dispatch(Terms { constants, moments, stride, losses: &mut losses, slopes: None });
            self.add_extra(row, &columns, &mut losses[..columns.len()]);
            if let Some(row) = self.weights_of(row, &columns) {
                weights[..columns.len()].copy_from_slice(row);
            }
            arch.dispatch(AddTo { sum: &mut sum, losses: &losses, weights: &weights });
        }
        sum.value()
    }

    fn sweep_strip(&mut self, strip: Range<usize>) -> f64 {
        let (arch, ssim) = (Arch::new(), self.ssim);
        let (shape, radius) = (self.planes.shape, ssim.window.radius());
        let mirrored = matches!(ssim.border, Border::Reflect | Border::Symmetric);
        // Windows that read the strip, and which of them count in its sum.
        let columns = reach(&strip, radius, &ssim.inside(shape.width));
        let rows = reach(&self.rows, radius, &ssim.inside(shape.height));
        let own_columns = clamp(strip.clone(), &ssim.inside(shape.width));
        let own_rows = self.map_rows(&self.rows);
        // Gradients are also taken of what lies past the border and belongs to the pixels that it mirrors.
        let past = if mirrored { radius as isize } else { 0 };
        let first_row = self.rows.start as isize - if self.rows.start == 0 { past } else { 0 };
        let end_row = self.rows.end as isize + if self.rows.end == shape.height { past } else { 0 };
        let before = if strip.start == 0 { past as usize } else { 0 };
        let after = if strip.end == shape.width { past as usize } else { 0 };
        let spread = before + strip.len() + after;

        let mut moments = Moments::new(ssim, arch, self.planes, &columns, rows.start);
        let stride = moments.stride;
        let (of_x, of_y) = (self.grad_x.is_some(), self.grad_y.is_some());
        let planes = 2 + usize::from(of_x) + usize::from(of_y);
        // Past the strip's columns the gradient of the map is 0, and so are slopes up to whole lanes.
        let length = whole_lanes(columns.len());
        let [mut upstream, mut losses, mut counted] = [(); 3].map(|()| Buffer::<T>::new(length));
        let own = own_columns.start - columns.start..own_columns.end - columns.start;
        upstream[..columns.len()].fill(T::from_f64(1.0));
        counted[own.clone()].fill(T::from_f64(1.0));
        // Slopes begin with a whole register, windows over them with the first pixel to gather for.
        let place = columns.start + before + radius - strip.start;
        let start = whole_lanes(place);
        let slope_stride = whole_lanes((start + length).max(start - place + spread + 2 * radius));
        let mut ring = Ring::new(&ssim.window, planes * slope_stride);
        let mut line = Line::new(&ssim.window, 2 * planes * slope_stride);
        let mut blurred = Buffer::<T>::new(2 * planes * slope_stride);
        let mut sum = Total::default();
        for first in (first_row - radius as isize..end_row + radius as isize).step_by(2) {
            for row in [first, first + 1] {
                if row < rows.start as isize || row >= rows.end as isize {
                    ring.push(arch, |slopes| slopes.fill(T::default()));
                    continue;
                }
                let row = row as usize;
                if let Some(weights) = self.weights_of(row, &columns) {
                    upstream[..columns.len()].copy_from_slice(weights);
                    counted[own.clone()].copy_from_slice(&weights[own.clone()]);
                }
                let (constants, moments) = (ssim.constants, moments.advance());
                ring.push(arch, |out| {
                    let out = &mut out[start..];
                    let (upstream, scale) = (&upstream[..], self.scale);
                    let slopes = Some(Slopes { upstream, scale, out, stride: slope_stride, of_x, of_y });
                    arch.dispatch(Terms { constants, moments, stride, losses: &mut losses, slopes });
                });
                if own_rows.contains(&row) {
                    self.add_extra(row, &own_columns, &mut losses[own.clone()]);
                    arch.dispatch(AddTo { sum: &mut sum, losses: &losses, weights: &counted });
                }
            }
            let first = first - radius as isize;
            if first + 1 < first_row {
                continue;
            }
            ring.blur_two(arch, &ssim.window, line.columns());
            line.blur(arch, &ssim.window, start - place, &mut blurred);
            for (row, blurred) in (first..).zip(blurred.chunks_exact_mut(planes * slope_stride)) {
                if row < first_row || row >= end_row {
                    continue;
                }
                let Some(target) = ssim.border.source(row, shape.height) else { continue };
                for plane in blurred.chunks_exact_mut(slope_stride) {
                    fold(ssim.border, plane, before, strip.len(), after);
                }
                let gathers =
                    row != target as isize || (self.rows.start == 0 && target <= radius && past > 0);
                self.combine(arch, target, &strip, &blurred[before..], slope_stride, gathers);
                if row == target as isize && own_rows.contains(&target) && ssim.has_extra() {
                    self.add_extra_gradient(target, &own_columns);
                }
            }
        }
        sum.value()
    }

    /// Writes or adds one row of the gradients.
    fn combine(
        &mut self,
        arch: Arch,
        row: usize,
        strip: &Range<usize>,
        blurred: &[T],
        step: usize,
        gathers: bool,
    ) {
        let (x, y) = (self.row_of(self.planes.x, row, strip), self.row_of(self.planes.y, row, strip));
        let mask = self.planes.mask.map(|mask| self.row_of(mask, row, strip));
        let (width, shift) = (self.planes.shape.width, self.ssim.constants.shift);
        let start = (row - self.rows.start) * width;
        let mean_y = if self.grad_x.is_some() { 3 } else { 2 };
        let term = |plane: usize| &blurred[plane * step..][..strip.len()];
        let (e, c) = (term(0), term(1));
        if let Some(grad) = self.grad_x.as_deref_mut() {
            let grad = &mut grad[start + strip.start..start + strip.end];
            arch.dispatch(Combine {
                own: x,
                from: x,
                to: y,
                e,
                c,
                mean: term(2),
                mask,
                shift,
                grad,
                gathers,
            });
        }
        if let Some(grad) = self.grad_y.as_deref_mut() {
            let grad = &mut grad[start + strip.start..start + strip.end];
            arch.dispatch(Combine {
                own: y,
                from: y,
                to: x,
                e,
                c,
                mean: term(mean_y),
                mask,
                shift,
                grad,
                gathers,
            });
        }
    }

    /// Adds the gradient of the extra term, which touches only the pixel itself, to one row.
    fn add_extra_gradient(&mut self, row: usize, columns: &Range<usize>) {
        let (x, y) = (self.row_of(self.planes.x, row, columns), self.row_of(self.planes.y, row, columns));
        let mut slopes = vec![self.scale; columns.len()];
        for ((slope, &x), &y) in slopes.iter_mut().zip(x).zip(y) {
            *slope = *slope * self.ssim.extra_slope(x - y);
        }
        for (slope, &weight) in slopes.iter_mut().zip(self.weights_of(row, columns).unwrap_or_default()) {
            *slope = *slope * weight;
        }
        let start = (row - self.rows.start) * self.planes.shape.width;
        if let Some(grad) = self.grad_x.as_deref_mut() {
            for (grad, &slope) in grad[start + columns.start..].iter_mut().zip(&slopes) {
                *grad += slope;
            }
        }
        if let Some(grad) = self.grad_y.as_deref_mut() {
            for (grad, &slope) in grad[start + columns.start..].iter_mut().zip(&slopes) {
                *grad += -slope;
            }
        }
    }
}

fn clamp(range: Range<usize>, limits: &Range<usize>) -> Range<usize> {
    let start = range.start.clamp(limits.start, limits.end);
    start..range.end.clamp(start, limits.end)
}

/// Widens a range by a radius on both sides within limits.
fn reach(range: &Range<usize>, radius: usize, limits: &Range<usize>) -> Range<usize> {
    clamp(range.start.saturating_sub(radius)..range.end + radius, limits)
}

/// Adds what lies `before` and `after` the inner columns of a row to the columns that the border mirrors there.
fn fold<T: Real>(border: Border, row: &mut [T], before: usize, inner: usize, after: usize) {
    let skipped = usize::from(border == Border::Reflect);
    for step in 0..before {
        let value = row[before - 1 - step];
        row[before + skipped + step] += value;
    }
    let end = before + inner;
    for step in 0..after {
        let value = row[end + step];
        row[end - 1 - skipped - step] += value;
    }
}

/// A sum in several parts, each with what its additions rounded off (Knuth's two-sum): exact to the rounding of float64
/// however many numbers of float32 it holds.
#[derive(Default)]
struct Total<T> {
    high: [T; LANES],
    low: [T; LANES],
}

impl<T: Real> Total<T> {
    fn value(&self) -> f64 {
        self.high.iter().zip(&self.low).map(|(high, low)| high.to_f64() + low.to_f64()).sum()
    }
}

struct AddTo<'a, T> {
    sum: &'a mut Total<T>,
    losses: &'a [T],
    weights: &'a [T],
}

impl<T: Real> WithSimd for AddTo<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (losses, weights) = (T::vectors::<S>(self.losses), T::vectors::<S>(self.weights));
        let weights = &weights[..losses.len()];
        let (highs, lows) = (T::vectors_mut::<S>(&mut self.sum.high), T::vectors_mut::<S>(&mut self.sum.low));
        let registers = highs.len();
        for (first, (kept_high, kept_low)) in highs.iter_mut().zip(lows).enumerate() {
            let (mut high, mut low) = (Lanes::<S, T>(simd, *kept_high), Lanes::<S, T>(simd, *kept_low));
            for place in (first..losses.len()).step_by(registers) {
                let part = Lanes(simd, losses[place]) * Lanes(simd, weights[place]);
                let total = high + part;
                let added = total - high;
                low = low + ((high - (total - added)) + (part - added));
                high = total;
            }
            (*kept_high, *kept_low) = (high.1, low.1);
        }
    }
}

/// One row of the gradient by one input: own' e - (from - to) c + mean, times the mask.
struct Combine<'a, T> {
    own: &'a [T],
    from: &'a [T],
    to: &'a [T],
    e: &'a [T],
    c: &'a [T],
    mean: &'a [T],
    mask: Option<&'a [T]>,
    shift: T,
    grad: &'a mut [T],
    /// Whether the row is added to what is there.
    gathers: bool,
}

impl<T: Real> WithSimd for Combine<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (self.mask.is_some(), self.gathers) {
            (false, false) => self.combine::<S, false, false>(simd),
            (false, true) => self.combine::<S, false, true>(simd),
            (true, false) => self.combine::<S, true, false>(simd),
            (true, true) => self.combine::<S, true, true>(simd),
        }
    }
}

impl<T: Real> Combine<'_, T> {
    #[inline(always)]
    fn combine<S: Simd, const MASKED: bool, const GATHERS: bool>(self, simd: S) {
        // The inputs end where they end: what is past the last whole register is done number by number.
        let length = self.grad.len();
        let whole = length / LANES * LANES;
        let (own, from, to) = (&self.own[..length], &self.from[..length], &self.to[..length]);
        let (e, c, mean) = (&self.e[..length], &self.c[..length], &self.mean[..length]);
        let mask = &self.mask.unwrap_or(own)[..length];
        let shift = Lanes::<S, T>::splat(simd, self.shift);
        let mut rows: [&[T::Vector<S>]; 7] = [&[]; 7];
        for (vectors, row) in rows.iter_mut().zip([own, from, to, e, c, mean, mask]) {
            *vectors = T::vectors::<S>(&row[..whole]);
        }
        for (place, grad) in T::vectors_mut::<S>(&mut self.grad[..whole]).iter_mut().enumerate() {
            let mut at = [shift; 7];
            for (lanes, row) in at.iter_mut().zip(rows) {
                lanes.1 = row[place];
            }
            let [own, from, to, e, c, mean, mask] = at;
            let term = (own - shift) * e - (from - to) * c + mean;
            let term = if MASKED { mask * term } else { term };
            *grad = if GATHERS { (Lanes(simd, *grad) + term).1 } else { term.1 };
        }
        for column in whole..length {
            let term = (own[column] - self.shift) * e[column] - (from[column] - to[column]) * c[column]
                + mean[column];
            let term = if MASKED { mask[column] * term } else { term };
            self.grad[column] = if GATHERS { self.grad[column] + term } else { term };
        }
    }
}
