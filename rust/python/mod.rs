//! The bindings, which are all that knows Python. They borrow arrays as slices, call the core without the GIL, and turn
//! errors into those of Python.

mod arrays;
mod evaluation;
mod patches;
mod pool;
mod regions;
mod resize;
mod ssim;
mod surface;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::error::Error;

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        match error {
            Error::File(message) => PyOSError::new_err(message),
            Error::Length { .. } | Error::Value(_) => PyValueError::new_err(error.to_string()),
        }
    }
}

/// Numerical core of ssimae; `ssimae` itself is the public interface.
#[pymodule]
fn _rust(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<evaluation::GatheredImages>()?;
    module.add_class::<evaluation::GatheredRegions>()?;
    module.add_class::<evaluation::GatheredScores>()?;
    module.add_class::<evaluation::LevelCounts>()?;
    module.add_class::<regions::LargeRegions>()?;
    module.add_class::<regions::RegionMeasures>()?;
    module.add_class::<regions::RegionSearch>()?;
    module.add_function(wrap_pyfunction!(evaluation::count_levels, module)?)?;
    module.add_function(wrap_pyfunction!(patches::count_patches, module)?)?;
    module.add_function(wrap_pyfunction!(regions::distances, module)?)?;
    module.add_function(wrap_pyfunction!(patches::extract_patches, module)?)?;
    module.add_function(wrap_pyfunction!(patches::gather_crops, module)?)?;
    module.add_function(wrap_pyfunction!(resize::interpolate, module)?)?;
    module.add_function(wrap_pyfunction!(regions::label_regions, module)?)?;
    module.add_function(wrap_pyfunction!(regions::measure_regions, module)?)?;
    module.add_function(wrap_pyfunction!(regions::open_levels, module)?)?;
    module.add_function(wrap_pyfunction!(regions::outline_region, module)?)?;
    module.add_function(wrap_pyfunction!(patches::paint_stains, module)?)?;
    module.add_function(wrap_pyfunction!(patches::patch_grid, module)?)?;
    module.add_function(wrap_pyfunction!(resize::shrink_columns, module)?)?;
    module.add_function(wrap_pyfunction!(resize::shrink_rows, module)?)?;
    module.add_function(wrap_pyfunction!(ssim::ssim_loss_map, module)?)?;
    module.add_function(wrap_pyfunction!(ssim::ssim_loss_rows, module)?)?;
    module.add_function(wrap_pyfunction!(ssim::ssim_loss_sums, module)?)?;
    module.add_function(wrap_pyfunction!(patches::stitch_patches, module)?)?;
    module.add_function(wrap_pyfunction!(surface::gaussian, module)?)?;
    module.add_function(wrap_pyfunction!(surface::open_disk, module)?)?;
    module.add_function(wrap_pyfunction!(surface::place_features, module)?)?;
    module.add_function(wrap_pyfunction!(surface::row_sums, module)?)?;
    Ok(())
}
