//! Exact metrics of anomaly maps: scores gathered image by image, sorted in runs, and one descent over all of them.

pub mod key;
mod quantiles;
mod radix;
mod ranges;
mod runs;
pub mod scores;
pub mod state;
pub mod sweep;
mod thinned;
