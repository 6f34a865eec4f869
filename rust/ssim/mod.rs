//! Windowed 1 - SSIM and its gradient on planes of float32 or float64, in the form without cancellation.
//!
//! With d = x - y, x' = x - s, y' = y - s and G the window, four planes are blurred: x', d, d^2, x'y'. The gradient blurs
//! three more (four for both inputs) with the adjoint of G. Rows stream through rings of K + 1 rows, so that a plane is
//! read once and the rings stay in cache.

mod blur;
mod gradient;
mod map;
mod moments;
mod rows;
mod simd;
#[cfg(target_arch = "x86_64")]
mod slide;
mod terms;

use std::ops::Range;

use rayon::prelude::*;

use crate::error::{Error, check_len};
use blur::Window;
use moments::Planes;
pub use simd::Real;
use terms::Constants;

/// Largest window side.
pub const MAX_TAPS: usize = 31;

/// Rows of one task when a map is computed; short enough for threads to share one image.
const MAP_ROWS: usize = 64;

/// Rows of one task when gradients are: each computes the map twice the window's radius further.
const GRADIENT_ROWS: usize = 128;

/// Columns that one task streams at a time.
const STRIP_COLUMNS: usize = 512;

/// How a window goes on past the border of a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// Not at all: the map is smaller by K - 1.
    Valid,
    /// Mirrored, the edge not repeated.
    Reflect,
    /// Mirrored, the edge repeated.
    Symmetric,
    /// Zeros.
    Zero,
}

impl Border {
    /// Returns the pixel that stands for position `index` of a side, or None where a zero does.
    fn source(self, index: isize, side: usize) -> Option<usize> {
        let side = side as isize;
        let mirrored = match self {
            _ if (0..side).contains(&index) => index,
            Self::Reflect if index < 0 => -index,
            Self::Reflect => 2 * (side - 1) - index,
            Self::Symmetric if index < 0 => -1 - index,
            Self::Symmetric => 2 * side - 1 - index,
            Self::Zero | Self::Valid => return None,
        };
        Some(mirrored as usize)
    }

    /// Fills the pixels past a border that mirrors, from the nearest one on, from those inside, nearest first.
    fn mirror<'a, T: Real + 'a>(
        self,
        past: impl Iterator<Item = &'a mut T>,
        inside: impl Iterator<Item = &'a T>,
    ) {
        match self {
            Self::Valid | Self::Zero => {}
            Self::Reflect => past.zip(inside.skip(1)).for_each(|(pixel, source)| *pixel = *source),
            Self::Symmetric => past.zip(inside).for_each(|(pixel, source)| *pixel = *source),
        }
    }
}

/// Window, constants, and what is added to the map.
#[derive(Debug, Clone, PartialEq)]
pub struct Ssim<T> {
    window: Window<T>,
    constants: Constants<T>,
    border: Border,
    /// Weight of |x - y|.
    l1: T,
    /// Weight of (x - y)^2.
    l2: T,
}

/// Height and width of each plane of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaneShape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl PlaneShape {
    fn len(self) -> usize {
        self.height * self.width
    }
}

/// Stacked planes of both inputs.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a, T> {
    /// Planes of the first input, one after the other.
    pub x: &'a [T],
    /// Planes of the second input.
    pub y: &'a [T],
    /// Weights of the pixels inside windows: pixels of weight 0 enter none. One plane for all, or one each.
    pub mask: Option<&'a [T]>,
    /// Shape of each plane.
    pub shape: PlaneShape,
}

impl<T: Real> Ssim<T> {
    /// Takes the taps of a window along one side (odd in number, symmetric, summing to 1), C1, C2 and the constant that is
    /// subtracted from both inputs first, such as half the data range.
    ///
    /// # Errors
    /// If the number of taps is even or too large.
    pub fn new(taps: &[T], [c1, c2, shift]: [T; 3], border: Border) -> Result<Self, Error> {
        let side = taps.len();
        if side.is_multiple_of(2) || side > MAX_TAPS {
            return Err(Error::Value(format!("window must be odd and at most {MAX_TAPS}, got {side}")));
        }
        let constants = Constants { c1, c2, shift, one_pixel: side == 1 };
        Ok(Self { window: Window::new(taps), constants, border, l1: T::default(), l2: T::default() })
    }

    /// Adds l1 |x - y| + l2 (x - y)^2 to each pixel of the map.
    #[must_use]
    pub fn with_extra(self, l1: T, l2: T) -> Self {
        Self { l1, l2, ..self }
    }

    fn has_extra(&self) -> bool {
        (self.l1, self.l2) != (T::default(), T::default())
    }

    /// Returns the derivative of the extra term by x, for d = x - y; 0 where d is.
    fn extra_slope(&self, d: T) -> T {
        let zero = T::default();
        let sign = if d > zero {
            self.l1
        } else if d < zero {
            -self.l1
        } else {
            zero
        };
        sign + T::from_f64(2.0) * self.l2 * d
    }

    /// Pixels that the map loses on each side of the plane.
    fn lost(&self) -> usize {
        if self.border == Border::Valid { self.window.radius() } else { 0 }
    }

    /// Rows or columns of a plane that its map has.
    fn inside(&self, side: usize) -> Range<usize> {
        self.lost()..side - self.lost()
    }

    /// Returns the shape of the map of planes of a shape.
    ///
    /// # Errors
    /// If the window is larger than the plane.
    pub fn map_shape(&self, shape: PlaneShape) -> Result<PlaneShape, Error> {
        let side = self.window.side();
        if side > shape.height.min(shape.width) {
            return Err(Error::Value(format!(
                "window of {side} is larger than the image of {} x {}",
                shape.width, shape.height
            )));
        }
        let lost = 2 * self.lost();
        Ok(PlaneShape { height: shape.height - lost, width: shape.width - lost })
    }

    /// Computes the maps of 1 - SSIM, plus the extra term, of stacked planes.
    ///
    /// # Errors
    /// If the window does not fit, or a slice does not have the length of its shape.
    pub fn map(&self, inputs: Inputs<'_, T>, map: &mut [T]) -> Result<(), Error> {
        let shape = inputs.shape;
        let map_shape = self.map_shape(shape)?;
        let planes = inputs.count()?;
        check_len("map", planes * map_shape.len(), map.len())?;
        let (rows, blocks) = (self.inside(shape.height), parts(shape.height, MAP_ROWS));
        let tasks = blocks.map(|block| block.start.max(rows.start)..block.end.min(rows.end));
        let tasks: Vec<_> = tasks.filter(|rows| !rows.is_empty()).collect();
        let mut rest = map;
        let mut outs = Vec::with_capacity(planes * tasks.len());
        for index in 0..planes {
            for rows in &tasks {
                let (out, after) = rest.split_at_mut(rows.len() * map_shape.width);
                rest = after;
                outs.push((inputs.plane(index), rows.clone(), out));
            }
        }
        outs.into_par_iter().for_each(|(planes, rows, out)| map::write_rows(self, planes, rows, out));
        Ok(())
    }

    /// Computes, for each plane, the sum of the map times `scale` and `weights` (one plane for all, one each, or 1
    /// everywhere), and the gradients asked for of that sum, by x and by y, in one sweep.
    ///
    /// # Errors
    /// If the window does not fit, or a slice does not have the length of its shape.
    pub fn sums_and_gradients(
        &self,
        inputs: Inputs<'_, T>,
        weights: Option<&[T]>,
        scale: f64,
        gradients: [Option<&mut [T]>; 2],
    ) -> Result<Vec<f64>, Error> {
        let shape = inputs.shape;
        let map_len = self.map_shape(shape)?.len();
        let planes = inputs.count()?;
        check_stack("weights", weights, planes, map_len)?;
        let blocks: Vec<_> = parts(shape.height, GRADIENT_ROWS).collect();
        let [grad_x, grad_y] = gradients;
        let grads_x = split(grad_x, "gradient of x", planes, shape, &blocks)?;
        let grads_y = split(grad_y, "gradient of y", planes, shape, &blocks)?;
        let sums: Vec<f64> = grads_x
            .into_par_iter()
            .zip(grads_y)
            .enumerate()
            .map(|(task, (grad_x, grad_y))| {
                let (index, rows) = (task / blocks.len(), blocks[task % blocks.len()].clone());
                let weights = weights.map(|weights| one_of(weights, index, map_len));
                let (planes, scale) = (inputs.plane(index), T::from_f64(scale));
                gradient::Sweep { ssim: self, planes, weights, scale, rows, grad_x, grad_y }.run()
            })
            .collect();
        Ok(sums.chunks(blocks.len()).map(|sums| scale * sums.iter().sum::<f64>()).collect())
    }
}

impl<'a, T: Real> Inputs<'a, T> {
    fn count(&self) -> Result<usize, Error> {
        check_len("y", self.x.len(), self.y.len())?;
        let planes = self.x.len() / self.shape.len().max(1);
        check_len("x", planes * self.shape.len(), self.x.len())?;
        check_stack("mask", self.mask, planes, self.shape.len())?;
        Ok(planes)
    }

    fn plane(&self, index: usize) -> Planes<'a, T> {
        let len = self.shape.len();
        let plane = index * len..(index + 1) * len;
        Planes {
            x: &self.x[plane.clone()],
            y: &self.y[plane],
            mask: self.mask.map(|mask| one_of(mask, index, len)),
            shape: self.shape,
        }
    }
}

/// Returns the plane of a stack that holds one for all or one each.
fn one_of<T>(stack: &[T], index: usize, len: usize) -> &[T] {
    if stack.len() == len { stack } else { &stack[index * len..(index + 1) * len] }
}

fn check_stack<T>(what: &'static str, stack: Option<&[T]>, planes: usize, len: usize) -> Result<(), Error> {
    match stack {
        Some(stack) if stack.len() != len => check_len(what, planes * len, stack.len()),
        _ => Ok(()),
    }
}

/// Divides a side into nearly equal parts of about a length, never fewer pixels than half of it unless the side is short.
fn parts(side: usize, about: usize) -> impl Iterator<Item = Range<usize>> {
    let count = ((side + about / 2) / about).max(1);
    (0..count).map(move |part| part * side / count..(part + 1) * side / count)
}

/// Column ranges whose rows stay in the cache while the window moves down.
fn strips(columns: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    parts(columns.len(), STRIP_COLUMNS).map(move |part| columns.start + part.start..columns.start + part.end)
}

/// Returns, for each plane and block of rows, its part of a gradient, or None where that is not wanted.
fn split<'a, T>(
    gradient: Option<&'a mut [T]>,
    what: &'static str,
    planes: usize,
    shape: PlaneShape,
    blocks: &[Range<usize>],
) -> Result<Vec<Option<&'a mut [T]>>, Error> {
    let mut out = Vec::with_capacity(planes * blocks.len());
    let Some(mut rest) = gradient else {
        out.resize_with(planes * blocks.len(), || None);
        return Ok(out);
    };
    check_len(what, planes * shape.len(), rest.len())?;
    for _ in 0..planes {
        for rows in blocks {
            let (part, after) = rest.split_at_mut(rows.len() * shape.width);
            rest = after;
            out.push(Some(part));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
