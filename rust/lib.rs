//! What ssimae computes on the CPU, on plain slices: no Python, no I/O, no policy.

pub mod error;
#[cfg(feature = "python")]
mod python;

pub use error::Error;
