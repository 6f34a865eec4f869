//! Windowed 1 - SSIM and its gradient on planes of float32 or float64, in the form without cancellation.
//!
//! With d = x - y, x' = x - s, y' = y - s and G the window, four planes are blurred: x', d, d^2, x'y'. The gradient blurs
//! three more (four for both inputs) with the adjoint of G. Rows stream through a ring of K rows, so that a plane is
//! read once and the ring stays in cache.

mod backward;
mod forward;
mod lanes;
mod real;

use rayon::prelude::*;

use crate::Error;
use crate::tiling::check_len;
use backward::Adjoint;
pub use real::Real;

/// Largest window side.
pub const MAX_TAPS: usize = 31;

/// Rows of one task when a map is computed; short enough for threads to share one image.
const BLOCK_ROWS: usize = 64;

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
}

/// Window and constants.
#[derive(Debug, Clone, PartialEq)]
pub struct Ssim<T> {
    /// Window along one side: odd, symmetric, summing to 1.
    pub taps: Vec<T>,
    /// C1 of Wang et al. 2004.
    pub c1: T,
    /// C2 of Wang et al. 2004.
    pub c2: T,
    /// Constant subtracted from both inputs before moments are taken, such as half the data range.
    pub shift: T,
    /// What lies past the border.
    pub border: Border,
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

/// What is summed, and what a gradient is taken of.
#[derive(Debug, Clone, Copy)]
pub enum Upstream<'a, T> {
    /// The sum of the map times a constant.
    Constant(T),
    /// The sum of the map times these weights, one plane after the other.
    Map(&'a [T]),
}

/// What is added to each pixel of the map besides 1 - SSIM: weights of |x - y| and (x - y)^2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extra<T> {
    /// Weight of |x - y|.
    pub l1: T,
    /// Weight of (x - y)^2.
    pub l2: T,
}

impl<T: Real> Extra<T> {
    /// Nothing.
    pub fn none() -> Self {
        Self { l1: T::default(), l2: T::default() }
    }

    fn is_none(self) -> bool {
        self == Self::none()
    }

    /// Adds the term to a part of the map; `x` and `y` start at its first pixel.
    #[inline(always)]
    fn add(self, losses: &mut [T], x: &[T], y: &[T]) {
        if !self.is_none() {
            for ((loss, &x), &y) in losses.iter_mut().zip(x).zip(y) {
                let d = x - y;
                *loss += self.l1 * d.abs() + self.l2 * (d * d);
            }
        }
    }

    /// Returns the derivative of the term by x, for d = x - y; 0 where d is.
    #[inline(always)]
    fn slope(self, d: T) -> T {
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
}

impl<T: Real> Ssim<T> {
    fn radius(&self) -> usize {
        self.taps.len() / 2
    }

    /// Returns the shape of the map of planes of a shape.
    ///
    /// # Errors
    /// If the window is even or too large, or larger than the plane.
    pub fn map_shape(&self, shape: PlaneShape) -> Result<PlaneShape, Error> {
        let side = self.taps.len();
        if side.is_multiple_of(2) || side > MAX_TAPS {
            return Err(Error::Value(format!("window must be odd and at most {MAX_TAPS}, got {side}")));
        }
        if side > shape.height.min(shape.width) {
            return Err(Error::Value(format!(
                "window of {side} is larger than the image of {} x {}",
                shape.width, shape.height
            )));
        }
        let lost = if self.border == Border::Valid { side - 1 } else { 0 };
        Ok(PlaneShape { height: shape.height - lost, width: shape.width - lost })
    }

    /// Computes the maps of 1 - SSIM, plus an extra term, of stacked planes.
    ///
    /// # Errors
    /// If the window does not fit, or a slice does not have the length of its shape.
    pub fn map(
        &self,
        x: &[T],
        y: &[T],
        shape: PlaneShape,
        extra: Extra<T>,
        map: &mut [T],
    ) -> Result<(), Error> {
        let map_shape = self.map_shape(shape)?;
        let planes = count_planes(x, y, shape)?;
        check_len("map", planes * map_shape.len(), map.len())?;
        let plane_of = |index: usize| index * shape.len()..(index + 1) * shape.len();
        map.par_chunks_mut(map_shape.len()).enumerate().for_each(|(index, map)| {
            let (x, y) = (&x[plane_of(index)], &y[plane_of(index)]);
            map.par_chunks_mut(BLOCK_ROWS * map_shape.width).enumerate().for_each(|(block, rows)| {
                lanes::dispatch(forward::Map {
                    ssim: self,
                    x,
                    y,
                    shape,
                    first_row: block * BLOCK_ROWS,
                    rows,
                    extra,
                });
            });
        });
        Ok(())
    }

    /// Computes, for each plane, the sum of the map times the upstream gradient, and the gradients asked for of that sum,
    /// by x and by y, in one sweep.
    ///
    /// # Errors
    /// If the window does not fit, or a slice does not have the length of its shape.
    pub fn sums_and_gradients(
        &self,
        x: &[T],
        y: &[T],
        shape: PlaneShape,
        extra: Extra<T>,
        upstream: Upstream<'_, T>,
        gradients: [Option<&mut [T]>; 2],
    ) -> Result<Vec<f64>, Error> {
        let map_shape = self.map_shape(shape)?;
        let planes = count_planes(x, y, shape)?;
        if let Upstream::Map(weights) = upstream {
            check_len("upstream gradient", planes * map_shape.len(), weights.len())?;
        }
        let adjoint = Adjoint::new(self, shape, map_shape);
        let [grad_x, grad_y] = gradients;
        let grad_x = split(grad_x, "gradient of x", planes, shape)?;
        let grad_y = split(grad_y, "gradient of y", planes, shape)?;
        Ok(grad_x
            .into_par_iter()
            .zip(grad_y)
            .enumerate()
            .map_init(Vec::new, |scratch, (index, (grad_x, grad_y))| {
                let plane = index * shape.len()..(index + 1) * shape.len();
                let upstream = match upstream {
                    Upstream::Constant(value) => Upstream::Constant(value),
                    Upstream::Map(map) => {
                        Upstream::Map(&map[index * map_shape.len()..(index + 1) * map_shape.len()])
                    }
                };
                lanes::dispatch(backward::Plane {
                    ssim: self,
                    adjoint: &adjoint,
                    x: &x[plane.clone()],
                    y: &y[plane],
                    upstream,
                    extra,
                    grad_x,
                    grad_y,
                    scratch,
                })
            })
            .collect())
    }
}

fn count_planes<T>(x: &[T], y: &[T], shape: PlaneShape) -> Result<usize, Error> {
    check_len("y", x.len(), y.len())?;
    let planes = x.len() / shape.len().max(1);
    check_len("x", planes * shape.len(), x.len())?;
    Ok(planes)
}

/// Returns one part of a gradient for each plane, or None for each where it is not wanted.
fn split<'a, T>(
    gradient: Option<&'a mut [T]>,
    what: &'static str,
    planes: usize,
    shape: PlaneShape,
) -> Result<Vec<Option<&'a mut [T]>>, Error> {
    let Some(gradient) = gradient else { return Ok((0..planes).map(|_| None).collect()) };
    check_len(what, planes * shape.len(), gradient.len())?;
    Ok(gradient.chunks_mut(shape.len().max(1)).map(Some).collect())
}

#[cfg(test)]
mod tests;
