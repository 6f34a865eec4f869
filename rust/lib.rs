//! The numerical core of ssimae on the CPU: it works on plain slices and knows nothing of Python (but for `python`).
//!
//! Only [`evaluation`] touches files: it saves gathered scores, and moves those that take too much memory to a temporary
//! file.

pub mod error;
pub mod evaluation;
pub mod patches;
#[cfg(feature = "python")]
mod python;
pub mod regions;
pub mod resize;
pub mod ssim;
pub mod surface;

pub use error::Error;
