//! Exact metrics of anomaly maps: scores gathered image by image, sorted in runs, and one descent over all of them.

mod coverage;
mod curves;
pub mod encoding;
pub mod gathered;
mod groups;
pub mod levels;
pub mod scores;
pub mod sorted;
pub mod sweep;
