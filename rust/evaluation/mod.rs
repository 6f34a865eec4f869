//! Exact metrics of anomaly maps. Scores are gathered image by image and sorted in runs; one sweep over all of them,
//! from the highest to the lowest, yields every metric.

mod coverage;
mod curves;
pub mod encoding;
pub mod gathered;
mod groups;
pub mod levels;
pub mod scores;
pub mod sorted;
pub mod sweep;
