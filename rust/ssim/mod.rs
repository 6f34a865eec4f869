//! Windowed 1 - SSIM and its gradient on planes of float32 or float64, in the form without cancellation.
//!
//! With d = x - y, x' = x - s, y' = y - s and G the window, four planes are blurred: x', d, d^2, x'y'. The gradient blurs
//! three more (four for both inputs) with the adjoint of G. Rows stream through rings of K + 1 rows, so that a plane is
//! read once and the rings stay in cache.

mod gradient;
mod map;
mod moments;
mod parameters;
mod parts;
mod simd;
mod stack;
mod terms;
mod window;

pub use parameters::{PlaneShape, Ssim};
pub use simd::lanes::Real;
pub use stack::{Inputs, Place};
pub use window::blur::MAX_TAPS;
pub use window::border::Border;

#[cfg(test)]
mod tests;
