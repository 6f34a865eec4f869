//! Connected regions of masks and maps.

mod labels;
mod large;

pub use labels::{Connectivity, Regions, RowRun, Statistics, find, label, measure};
pub use large::{RegionSearch, keep_large};
