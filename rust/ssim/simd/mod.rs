//! Whole registers of numbers, and rows of memory that fit them.

pub mod buffer;
pub mod lanes;
#[cfg(target_arch = "x86_64")]
mod slide;
#[cfg(target_arch = "x86_64")]
mod slide_sum;
