//! Images made smaller or larger.

pub mod bilinear;

pub use bilinear::{interpolate, shrink_columns, shrink_rows};
