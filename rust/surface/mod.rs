//! What the surface of an image looks like, place by place, and how maps of it are smoothed, opened and measured.

pub mod features;
pub mod gaussian;
pub mod opening;
pub mod sums;
