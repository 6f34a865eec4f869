//! What ssimae computes on the CPU, on plain slices: no Python, no I/O, no policy.

pub mod error;
pub mod evaluation;
pub mod patches;
#[cfg(feature = "python")]
mod python;
pub mod regions;
pub mod ssim;

pub use error::Error;
