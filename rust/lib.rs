//! What ssimae computes on the CPU, on plain slices: no Python, no I/O, no policy.

pub mod crops;
pub mod error;
pub mod evaluation;
pub mod levels;
#[cfg(feature = "python")]
mod python;
pub mod regions;
pub mod ssim;
pub mod stains;
pub mod stitching;
pub mod tiling;

pub use error::Error;
