//! Maps, and sums with their gradients, of stacks of planes, which are divided into tasks.

use std::ops::Range;

use rayon::prelude::*;

use super::gradient;
use super::map;
use super::moments::PlanePair;
use super::parameters::{PlaneShape, Ssim};
use super::parts::equal_parts;
use super::simd::lanes::Real;
use crate::error::{Error, check_len};

/// Rows of one task when a map is computed; short enough for threads to share one image.
const MAP_ROWS: usize = 64;

/// Rows of one task when gradients are computed, which needs the map for twice the window's radius more rows.
const GRADIENT_ROWS: usize = 128;

/// Stacked planes of both inputs.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a, T> {
    /// PlanePair of the first input, one after the other.
    pub x: &'a [T],
    /// PlanePair of the second input.
    pub y: &'a [T],
    /// Weights of the pixels inside windows: pixels of weight 0 enter none. One plane for all, or one each.
    pub mask: Option<&'a [T]>,
    /// Shape of each plane.
    pub shape: PlaneShape,
}

impl<T: Real> Ssim<T> {
    /// Computes the maps of 1 - SSIM, plus the extra term, of stacked planes.
    ///
    /// # Errors
    /// If the window does not fit, or a slice does not have the length of its shape.
    pub fn map(&self, inputs: Inputs<'_, T>, map: &mut [T]) -> Result<(), Error> {
        self.map_shape(inputs.shape)?;
        let rows = self.inside(inputs.shape.height);
        self.map_rows(inputs, Place { height: inputs.shape.height, top: 0 }, rows, map)
    }

    /// Computes some rows of the maps of taller planes, of which `inputs` are a part: the same as [`Ssim::map`], to the
    /// last bit. Rows are counted in the whole planes.
    ///
    /// # Errors
    /// As there, or if the map does not have the rows, or the part lacks a row that their windows read, or of the radius
    /// and one more on either side.
    pub fn map_rows(
        &self,
        inputs: Inputs<'_, T>,
        part: Place,
        rows: Range<usize>,
        map: &mut [T],
    ) -> Result<(), Error> {
        let Place { height, top } = part;
        let shape = PlaneShape { height, width: inputs.shape.width };
        let map_shape = self.map_shape(shape)?;
        let (inside, reach) = (self.inside(height), self.window.radius() + 1);
        let read = rows.start.saturating_sub(reach)..rows.end.saturating_add(reach).min(height);
        let held = top..top.saturating_add(inputs.shape.height);
        if rows.start < inside.start || rows.end > inside.end || rows.is_empty() {
            return Err(Error::Value(format!("the map has rows {inside:?}, got {rows:?}")));
        }
        if read.start < held.start || read.end > held.end || held.end > height {
            return Err(Error::Value(format!("rows {read:?} of {height} are read, the part holds {held:?}")));
        }
        let planes = inputs.count()?;
        check_len("map", planes.saturating_mul(rows.len() * map_shape.width), map.len())?;
        let blocks = equal_parts(height, MAP_ROWS).map(|block| {
            let first = block.start.max(inside.start);
            let start = first.max(rows.start);
            (start..block.end.min(rows.end), (start - first) % 2 == 1)
        });
        let tasks: Vec<_> = blocks.filter(|(rows, _)| !rows.is_empty()).collect();
        let mut rest = map;
        let mut outs = Vec::with_capacity(planes * tasks.len());
        for index in 0..planes {
            for (rows, odd) in &tasks {
                let (out, after) = rest.split_at_mut(rows.len() * map_shape.width);
                rest = after;
                outs.push((PlanePair { shape, top, ..inputs.plane(index) }, rows.clone(), *odd, out));
            }
        }
        outs.into_par_iter()
            .for_each(|(planes, rows, odd, out)| map::write_rows(self, planes, rows, odd, out));
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
        let blocks: Vec<_> = equal_parts(shape.height, GRADIENT_ROWS).collect();
        let [grad_x, grad_y] = gradients;
        let grads_x = split_gradient(grad_x, "gradient of x", planes, shape, &blocks)?;
        let grads_y = split_gradient(grad_y, "gradient of y", planes, shape, &blocks)?;
        let sums: Vec<f64> = grads_x
            .into_par_iter()
            .zip(grads_y)
            .enumerate()
            .map(|(task, (grad_x, grad_y))| {
                let (index, rows) = (task / blocks.len(), blocks[task % blocks.len()].clone());
                let weights = weights.map(|weights| one_of(weights, index, map_len));
                let (planes, scale) = (inputs.plane(index), T::from_f64(scale));
                gradient::GradientTask { ssim: self, planes, weights, scale, rows, grad_x, grad_y }.run()
            })
            .collect();
        Ok(sums.chunks(blocks.len()).map(|sums| scale * sums.iter().sum::<f64>()).collect())
    }
}

/// Where a part of planes lies in the whole ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Rows of the whole planes.
    pub height: usize,
    /// Row of them that the part begins with.
    pub top: usize,
}

impl<'a, T: Real> Inputs<'a, T> {
    fn count(&self) -> Result<usize, Error> {
        check_len("y", self.x.len(), self.y.len())?;
        let planes = self.x.len() / self.shape.len().max(1);
        check_len("x", planes * self.shape.len(), self.x.len())?;
        check_stack("mask", self.mask, planes, self.shape.len())?;
        Ok(planes)
    }

    fn plane(&self, index: usize) -> PlanePair<'a, T> {
        let len = self.shape.len();
        let plane = index * len..(index + 1) * len;
        PlanePair {
            x: &self.x[plane.clone()],
            y: &self.y[plane],
            mask: self.mask.map(|mask| one_of(mask, index, len)),
            shape: self.shape,
            top: 0,
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

/// Returns, for each plane and block of rows, its part of a gradient, or None where that is not wanted.
fn split_gradient<'a, T>(
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
