//! The sum of the map of 1 - SSIM times weights, and its gradient, in one sweep.
//!
//! The gradient follows the map by the window's radius: rows of slopes go through a ring of their own, are blurred back
//! and combined with the inputs. Nothing of the size of a plane is kept.

use std::ops::Range;

use super::moments::{Moments, PlanePair};
use super::parameters::Ssim;
use super::parts::strips;
use super::simd::buffer::{Buffer, LANES, prefetch, whole_lanes};
use super::simd::lanes::{Arch, Lanes, Real, Simd, WithSimd};
use super::terms::{LossRow, SlopeRows, add_extra};
use super::window::blur::{PaddedRow, RowRing};
use super::window::border::Border;

/// Rows of the gradient that are asked for before they are written.
const AHEAD: usize = 4;

/// One task: rows of a plane whose sum is taken, and where their gradients go.
pub struct GradientTask<'a, T> {
    /// Window and constants.
    pub ssim: &'a Ssim<T>,
    /// Inputs.
    pub planes: PlanePair<'a, T>,
    /// Weights of the map, or 1 everywhere.
    pub weights: Option<&'a [T]>,
    /// Factor of the gradient.
    pub scale: T,
    /// Rows of the plane whose part of the sum and whose gradient are wanted.
    pub rows: Range<usize>,
    /// Those rows of dL/dx, if wanted.
    pub grad_x: Option<&'a mut [T]>,
    /// Those rows of dL/dy, if wanted.
    pub grad_y: Option<&'a mut [T]>,
}

impl<'a, T: Real> GradientTask<'a, T> {
    /// Returns the sum over the rows, and writes their gradients.
    pub fn run(mut self) -> f64 {
        let wanted = self.grad_x.is_some() || self.grad_y.is_some();
        let width = self.planes.shape.width;
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
        let mut sum = CompensatedLanes::default();
        for row in rows {
            let moments = moments.advance();
            arch.dispatch(LossRow { constants, moments, stride, losses: &mut losses, slopes: None });
            self.add_extra(row, &columns, &mut losses[..columns.len()]);
            if let Some(row) = self.weights_of(row, &columns) {
                weights[..columns.len()].copy_from_slice(row);
            }
            arch.dispatch(AddWeightedRow { sum: &mut sum, losses: &losses, weights: &weights });
        }
        sum.value()
    }

    /// The adjoint of a window that zeros surround is the window itself, and so it is of one that the border `symmetric`
    /// surrounds. That of `reflect`, whose rim has one image less than the pixels next to it, is the window between a
    /// doubling of the rim and a halving of it.
    fn sweep_strip(&mut self, strip: Range<usize>) -> f64 {
        let (arch, ssim) = (Arch::new(), self.ssim);
        let (shape, radius) = (self.planes.shape, ssim.window.radius());
        // Windows that read the strip, and which of them count in its sum.
        let columns = reach(&strip, radius, &ssim.inside(shape.width));
        let rows = reach(&self.rows, radius, &ssim.inside(shape.height));
        let counted_columns = clamp(strip.clone(), &ssim.inside(shape.width));
        let counted_rows = self.map_rows(&self.rows);
        let reflects = ssim.border == Border::Reflect && radius > 0;
        let rim = |place: usize, side: usize| reflects && (place == 0 || place + 1 == side);
        let two = T::from_f64(2.0);

        let mut moments = Moments::new(ssim, arch, self.planes, &columns, rows.start);
        let stride = moments.stride;
        let (of_x, of_y) = (self.grad_x.is_some(), self.grad_y.is_some());
        let planes = 2 + usize::from(of_x) + usize::from(of_y);
        // Past the strip's columns the gradient of the map is 0, and so are slopes up to whole lanes.
        let length = whole_lanes(columns.len());
        let [mut upstream, mut losses, mut counted] = [(); 3].map(|()| Buffer::<T>::new(length));
        let counted_part = counted_columns.start - columns.start..counted_columns.end - columns.start;
        upstream[..columns.len()].fill(T::from_f64(1.0));
        counted[counted_part.clone()].fill(T::from_f64(1.0));
        // Windows over slopes begin with that of the strip's first pixel, a radius before it; slopes with a register.
        let place = columns.start + radius - strip.start;
        let start = whole_lanes(place);
        let slope_stride = whole_lanes((start + length).max(start - place + strip.len() + 2 * radius));
        let outside = Buffer::new(planes * slope_stride);
        let mut ring = RowRing::new(&ssim.window, ssim.border, shape.height, rows, outside);
        let mut line = PaddedRow::new(&ssim.window, 2 * planes * slope_stride);
        let mut blurred = Buffer::<T>::new(2 * planes * slope_stride);
        let mut sum = CompensatedLanes::default();
        for first in self.rows.clone().step_by(2) {
            while let Some(row) = ring.wants(first) {
                if let Some(weights) = self.weights_of(row, &columns) {
                    upstream[..columns.len()].copy_from_slice(weights);
                    counted[counted_part.clone()].copy_from_slice(&weights[counted_part.clone()]);
                }
                let scale = if rim(row, shape.height) { two * self.scale } else { self.scale };
                let (constants, moments) = (ssim.constants, moments.advance());
                ring.push(|out| {
                    let (upstream, out) = (&upstream[..], &mut out[start..]);
                    let slopes = Some(SlopeRows { upstream, scale, out, stride: slope_stride, of_x, of_y });
                    arch.dispatch(LossRow { constants, moments, stride, losses: &mut losses, slopes });
                    for column in [columns.start, columns.end - 1] {
                        if rim(column, shape.width) {
                            for plane in out.chunks_mut(slope_stride) {
                                plane[column - columns.start] += plane[column - columns.start];
                            }
                        }
                    }
                });
                if counted_rows.contains(&row) {
                    self.add_extra(row, &counted_columns, &mut losses[counted_part.clone()]);
                    arch.dispatch(AddWeightedRow { sum: &mut sum, losses: &losses, weights: &counted });
                }
            }
            ring.blur_two(arch, first, line.columns());
            line.pad(
                ssim.border,
                slope_stride,
                start..start + columns.len(),
                radius,
                [columns.start == 0, columns.end == shape.width],
            );
            let wanted = [slope_stride, whole_lanes(strip.len())];
            line.blur(arch, &ssim.window, start - place, wanted, &mut blurred);
            for (row, blurred) in (first..self.rows.end).zip(blurred.chunks_exact_mut(planes * slope_stride))
            {
                for plane in blurred.chunks_exact_mut(slope_stride) {
                    let plane = &mut plane[..strip.len()];
                    if rim(row, shape.height) {
                        plane.iter_mut().for_each(|value| *value = halved(*value));
                    }
                    for column in [strip.start, strip.end - 1] {
                        if rim(column, shape.width) {
                            plane[column - strip.start] = halved(plane[column - strip.start]);
                        }
                    }
                }
                self.combine(arch, row, &strip, blurred, slope_stride);
                if counted_rows.contains(&row) && ssim.has_extra() {
                    self.add_extra_gradient(row, &counted_columns);
                }
            }
        }
        sum.value()
    }

    /// Writes one row of the gradients.
    fn combine(&mut self, arch: Arch, row: usize, strip: &Range<usize>, blurred: &[T], step: usize) {
        let (x, y) = (self.row_of(self.planes.x, row, strip), self.row_of(self.planes.y, row, strip));
        let mask = self.planes.mask.map(|mask| self.row_of(mask, row, strip));
        let (width, shift) = (self.planes.shape.width, self.ssim.constants.shift);
        let start = (row - self.rows.start) * width;
        let mean_y = if self.grad_x.is_some() { 3 } else { 2 };
        let term = |plane: usize| &blurred[plane * step..][..strip.len()];
        let (e, c) = (term(0), term(1));
        if let Some(grad) = self.grad_x.as_deref_mut() {
            let grad = &mut grad[start + strip.start..start + strip.end];
            prefetch::<_, true>(grad, AHEAD * width);
            arch.dispatch(CombineRow { input: x, from: x, to: y, e, c, mean: term(2), mask, shift, grad });
        }
        if let Some(grad) = self.grad_y.as_deref_mut() {
            let grad = &mut grad[start + strip.start..start + strip.end];
            prefetch::<_, true>(grad, AHEAD * width);
            arch.dispatch(CombineRow {
                input: y,
                from: y,
                to: x,
                e,
                c,
                mean: term(mean_y),
                mask,
                shift,
                grad,
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

fn halved<T: Real>(value: T) -> T {
    value * T::from_f64(0.5)
}

/// A sum in several lanes, each with the rounding errors of its additions (Knuth's two-sum). It is exact to the rounding
/// of float64 for any number of float32 values.
#[derive(Default)]
struct CompensatedLanes<T> {
    high: [T; LANES],
    low: [T; LANES],
}

impl<T: Real> CompensatedLanes<T> {
    fn value(&self) -> f64 {
        self.high.iter().zip(&self.low).map(|(high, low)| high.to_f64() + low.to_f64()).sum()
    }
}

struct AddWeightedRow<'a, T> {
    sum: &'a mut CompensatedLanes<T>,
    losses: &'a [T],
    weights: &'a [T],
}

impl<T: Real> WithSimd for AddWeightedRow<'_, T> {
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

/// One row of the gradient by `input`: (input - shift) e - (from - to) c + mean, times the mask.
struct CombineRow<'a, T> {
    input: &'a [T],
    from: &'a [T],
    to: &'a [T],
    e: &'a [T],
    c: &'a [T],
    mean: &'a [T],
    mask: Option<&'a [T]>,
    shift: T,
    grad: &'a mut [T],
}

impl<T: Real> WithSimd for CombineRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.mask {
            None => self.combine::<S, false>(simd),
            Some(_) => self.combine::<S, true>(simd),
        }
    }
}

impl<T: Real> CombineRow<'_, T> {
    #[inline(always)]
    fn combine<S: Simd, const MASKED: bool>(self, simd: S) {
        // The inputs end where they end: what is past the last whole register is done number by number.
        let length = self.grad.len();
        let whole = length / LANES * LANES;
        let (input, from, to) = (&self.input[..length], &self.from[..length], &self.to[..length]);
        let (e, c, mean) = (&self.e[..length], &self.c[..length], &self.mean[..length]);
        let mask = &self.mask.unwrap_or(input)[..length];
        let shift = Lanes::<S, T>::splat(simd, self.shift);
        let mut rows: [&[T::Vector<S>]; 7] = [&[]; 7];
        for (vectors, row) in rows.iter_mut().zip([input, from, to, e, c, mean, mask]) {
            *vectors = T::vectors::<S>(&row[..whole]);
        }
        for (place, grad) in T::vectors_mut::<S>(&mut self.grad[..whole]).iter_mut().enumerate() {
            let mut at = [shift; 7];
            for (lanes, row) in at.iter_mut().zip(rows) {
                lanes.1 = row[place];
            }
            let [input, from, to, e, c, mean, mask] = at;
            let term = (input - shift) * e - (from - to) * c + mean;
            *grad = if MASKED { mask * term } else { term }.1;
        }
        for column in whole..length {
            let term = (input[column] - self.shift) * e[column] - (from[column] - to[column]) * c[column]
                + mean[column];
            self.grad[column] = if MASKED { mask[column] * term } else { term };
        }
    }
}
