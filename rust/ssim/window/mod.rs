//! The window along one side of a plane, and what lies past the border.

mod blocks;
pub mod blur;
pub mod border;
mod rows;
