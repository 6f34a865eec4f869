//! Images to patches and back, random crops, and stains painted over them.

pub mod crops;
pub mod extract;
pub mod stains;
pub mod stitch;
pub mod textures;
