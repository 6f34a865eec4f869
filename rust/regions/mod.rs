//! Connected regions of masks and maps, their outlines, and distances from marked pixels.

mod distance;
mod labels;
mod large;
mod near;
mod opening;
mod outline;

pub use distance::distances;
pub use labels::{Connectivity, Regions, RowRun, Statistics, find, label, measure};
pub use large::{LargeRegions, RegionSearch};
pub use near::{join_near, lengths};
pub use opening::open;
pub use outline::{Corner, outline};
