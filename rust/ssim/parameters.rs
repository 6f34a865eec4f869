//! The parameters of SSIM: window, constants, border, and the weights of the terms added to the map.

use std::ops::Range;

use super::simd::lanes::Real;
use super::window::blur::{MAX_TAPS, Window};
use super::window::border::Border;
use crate::error::Error;

/// Constants of the formula, and the shift of both inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constants<T> {
    /// C1 of Wang et al. 2004.
    pub c1: T,
    /// C2 of Wang et al. 2004.
    pub c2: T,
    /// Constant subtracted from both inputs before moments are taken, such as half the data range.
    pub shift: T,
    /// Whether the window is a single pixel.
    pub one_pixel: bool,
}

/// SSIM with all its parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Ssim<T> {
    pub(super) window: Window<T>,
    pub(super) constants: Constants<T>,
    pub(super) border: Border,
    /// Weight of |x - y|.
    pub(super) l1: T,
    /// Weight of (x - y)^2.
    pub(super) l2: T,
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
    pub(super) fn len(self) -> usize {
        self.height * self.width
    }
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

    pub(super) fn has_extra(&self) -> bool {
        (self.l1, self.l2) != (T::default(), T::default())
    }

    /// Returns the derivative of the extra term by x, for d = x - y; 0 where d is.
    pub(super) fn extra_slope(&self, d: T) -> T {
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
    pub(super) fn lost(&self) -> usize {
        if self.border == Border::Valid { self.window.radius() } else { 0 }
    }

    /// Rows or columns of a plane that its map has.
    pub(super) fn inside(&self, side: usize) -> Range<usize> {
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
}
