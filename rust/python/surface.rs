//! Gaussians, openings and features of surfaces.

use numpy::{PyReadonlyArray2, PyReadwriteArray2, PyReadwriteArray3, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::pool::detached;
use crate::surface::features::{self, Seen};
use crate::surface::{gaussian as core, opening, sums};

/// Writes the Gaussian of an image (H, W) with mirrored borders to `out` (H, W).
#[pyfunction]
#[pyo3(signature = (values, out, *, sigma))]
pub fn gaussian(
    py: Python<'_>,
    values: PyReadonlyArray2<'_, f32>,
    mut out: PyReadwriteArray2<'_, f32>,
    sigma: f64,
) -> PyResult<()> {
    let width = values.shape()[1];
    let (values, out) = (values.as_slice()?, out.as_slice_mut()?);
    Ok(detached(py, || core::gaussian(values, width, sigma, out))??)
}

/// Writes the opening of a map (H, W) with a disk, given by the first column of each of its rows and that after its last,
/// to `out` (H, W).
#[pyfunction]
#[pyo3(signature = (values, out, *, disk))]
pub fn open_disk(
    py: Python<'_>,
    values: PyReadonlyArray2<'_, f32>,
    mut out: PyReadwriteArray2<'_, f32>,
    disk: Vec<(usize, usize)>,
) -> PyResult<()> {
    let width = values.shape()[1];
    let (values, out) = (values.as_slice()?, out.as_slice_mut()?);
    Ok(detached(py, || opening::open_disk(values, width, &disk, out))??)
}

/// Writes number of pixels, sums of gray and fine structure, and of their squares, of rows from `first` on to `out` (r, 5).
/// `seen` (H, W) are these rows and some beyond; `ignored` (r, W) are pixels that do not count.
#[pyfunction]
#[pyo3(signature = (seen, out, *, first, ignored))]
pub fn row_sums(
    py: Python<'_>,
    seen: PyReadonlyArray2<'_, f32>,
    mut out: PyReadwriteArray2<'_, f64>,
    first: usize,
    ignored: Option<PyReadonlyArray2<'_, u8>>,
) -> PyResult<()> {
    let width = seen.shape()[1];
    let ignored = ignored.as_ref().map(|ignored| ignored.as_slice()).transpose()?;
    let (seen, out) = (seen.as_slice()?, out.as_slice_mut()?);
    Ok(detached(py, || sums::row_sums(seen, width, first, ignored, out))??)
}

/// Writes the features of the cells of rows (r, W) of an image of a height, from its row `top` on, to `out` (rows, columns,
/// 12). `from_ignored` (r, W) are the distances of pixels from what is not inspected.
#[pyfunction]
#[pyo3(signature = (gray, out, *, height, top, from_ignored))]
pub fn place_features(
    py: Python<'_>,
    gray: PyReadonlyArray2<'_, f32>,
    mut out: PyReadwriteArray3<'_, f32>,
    height: usize,
    top: usize,
    from_ignored: Option<PyReadonlyArray2<'_, f32>>,
) -> PyResult<()> {
    let from_ignored = from_ignored.as_ref().map(|distances| distances.as_slice()).transpose()?;
    let seen = Seen { gray: gray.as_slice()?, width: gray.shape()[1], height, top, from_ignored };
    let out = out.as_slice_mut()?;
    Ok(detached(py, || features::place_features(seen, out))??)
}
