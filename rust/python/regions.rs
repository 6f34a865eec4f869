//! Labels and measures of regions.

use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2, PyReadwriteArray2,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use super::arrays::MapArray;
use crate::regions::{self, Connectivity};

/// Measures of R regions.
#[pyclass(frozen, get_all)]
pub struct RegionMeasures {
    /// (R,) int64, pixels.
    areas: Py<PyArray1<i64>>,
    /// (R, 4) int64: top, left, bottom, right; half-open.
    boxes: Py<PyArray2<i64>>,
    /// (R, 2) float64: mean row and column.
    centroids: Py<PyArray2<f64>>,
    /// (R,) float64, NaN without scores.
    max_scores: Py<PyArray1<f64>>,
    /// (R,) float64, NaN without scores.
    mean_scores: Py<PyArray1<f64>>,
}

/// Labels the regions of a mask (H, W) in `labels`, which holds zeros; returns their number.
#[pyfunction]
#[pyo3(signature = (mask, labels, *, eight_connected))]
pub fn label_regions(
    py: Python<'_>,
    mask: PyReadonlyArray2<'_, u8>,
    mut labels: PyReadwriteArray2<'_, i32>,
    eight_connected: bool,
) -> PyResult<usize> {
    let (height, width) = (mask.shape()[0], mask.shape()[1]);
    let connectivity = if eight_connected { Connectivity::Eight } else { Connectivity::Four };
    let (mask, labels) = (mask.as_slice()?, labels.as_slice_mut()?);
    Ok(py.detach(|| regions::label(mask, height, width, connectivity, labels))?)
}

/// Measures the regions 1..=`count` of labels (H, W).
#[pyfunction]
pub fn measure_regions<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray2<'py, i32>,
    count: usize,
    scores: Option<MapArray<'py>>,
) -> PyResult<RegionMeasures> {
    let width = labels.shape()[1];
    let labels = labels.as_slice()?;
    macro_rules! measure {
        ($scores:expr) => {{
            let scores = $scores;
            py.detach(|| regions::measure(labels, width, count, scores))?
        }};
    }
    let found = match &scores {
        None => measure!(None::<&[f32]>),
        Some(MapArray::Single(scores)) => measure!(Some(scores.as_slice()?)),
        Some(MapArray::Double(scores)) => measure!(Some(scores.as_slice()?)),
    };
    let areas: Vec<i64> = found.iter().map(|region| region.area).collect();
    let boxes: Vec<i64> = found.iter().flat_map(|region| region.bounds).collect();
    let centroids: Vec<f64> = found.iter().flat_map(|region| region.centroid).collect();
    let max_scores: Vec<f64> = found.iter().map(|region| region.max_score).collect();
    let mean_scores: Vec<f64> = found.iter().map(|region| region.mean_score).collect();
    Ok(RegionMeasures {
        areas: areas.into_pyarray(py).unbind(),
        boxes: boxes.into_pyarray(py).reshape([count, 4])?.unbind(),
        centroids: centroids.into_pyarray(py).reshape([count, 2])?.unbind(),
        max_scores: max_scores.into_pyarray(py).unbind(),
        mean_scores: mean_scores.into_pyarray(py).unbind(),
    })
}
