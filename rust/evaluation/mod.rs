//! Exact metrics of anomaly maps: scores gathered image by image, sorted in runs, and one descent over all of them.

mod coverage;
mod groups;
pub mod key;
mod radix;
mod ranges;
mod runs;
pub mod scores;
pub mod state;
pub mod sweep;
mod thinned;
