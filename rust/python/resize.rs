//! Resizing.

use numpy::{PyReadonlyArray3, PyReadwriteArray3, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::pool::detached;
use crate::resize;

/// Resizes the rows of an image (H, W, C) to the width of `out`, with antialiasing.
#[pyfunction]
pub fn shrink_columns(
    py: Python<'_>,
    image: PyReadonlyArray3<'_, f32>,
    mut out: PyReadwriteArray3<'_, f32>,
) -> PyResult<()> {
    let (shape, wanted) = (sides(image.shape()), out.shape()[1]);
    let (image, out) = (image.as_slice()?, out.as_slice_mut()?);
    Ok(detached(py, || resize::shrink_columns(image, shape, wanted, out))??)
}

/// Resizes the columns of an image (H, W, C) to the height of `out`, with antialiasing.
#[pyfunction]
pub fn shrink_rows(
    py: Python<'_>,
    image: PyReadonlyArray3<'_, f32>,
    mut out: PyReadwriteArray3<'_, f32>,
) -> PyResult<()> {
    let (shape, wanted) = (sides(image.shape()), out.shape()[0]);
    let (image, out) = (image.as_slice()?, out.as_slice_mut()?);
    Ok(detached(py, || resize::shrink_rows(image, shape, wanted, out))??)
}

/// Resizes an image (H, W, C) by steps down and across; `out` are the rows of the result from `first` on.
#[pyfunction]
#[pyo3(signature = (image, out, *, down, across, first))]
pub fn interpolate(
    py: Python<'_>,
    image: PyReadonlyArray3<'_, f32>,
    mut out: PyReadwriteArray3<'_, f32>,
    down: f32,
    across: f32,
    first: usize,
) -> PyResult<()> {
    let (shape, wanted) = (sides(image.shape()), out.shape()[1]);
    let (image, out) = (image.as_slice()?, out.as_slice_mut()?);
    Ok(detached(py, || resize::interpolate(image, shape, [down, across], first, wanted, out))??)
}

fn sides(shape: &[usize]) -> [usize; 3] {
    [shape[0], shape[1], shape[2]]
}
