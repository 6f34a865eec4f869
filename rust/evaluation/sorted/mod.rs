//! Scores of any number as sorted keys, in memory or in a file.

pub mod key;
mod position;
mod radix;
pub(super) mod ranges;
pub(super) mod runs;
