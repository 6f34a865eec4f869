//! Labels and measures of regions.

use numpy::{
    IntoPyArray, PyArray2, PyArrayMethods, PyReadonlyArray2, PyReadwriteArray2, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use super::evaluation::Map;
use crate::regions::{self, Connectivity};

/// Labels of a mask (H, W) into `labels`, which holds zeros; returns their number.
#[pyfunction]
pub fn label_regions(
    py: Python<'_>,
    mask: PyReadonlyArray2<'_, u8>,
    eight: bool,
    mut labels: PyReadwriteArray2<'_, i32>,
) -> PyResult<usize> {
    let (height, width) = (mask.shape()[0], mask.shape()[1]);
    let connectivity = if eight { Connectivity::Eight } else { Connectivity::Four };
    let (mask, labels) = (mask.as_slice()?, labels.as_slice_mut()?);
    Ok(py.detach(|| regions::label(mask, height, width, connectivity, labels))?)
}

/// Integer measures (R, 5: area, top, left, bottom, right) and real ones (R, 4: row, column, max, mean) of regions.
#[pyfunction]
#[allow(clippy::type_complexity)]
pub fn measure_regions<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray2<'py, i32>,
    count: usize,
    scores: Option<Map<'py>>,
) -> PyResult<(Bound<'py, PyArray2<i64>>, Bound<'py, PyArray2<f64>>)> {
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
        Some(Map::Single(scores)) => measure!(Some(scores.as_slice()?)),
        Some(Map::Double(scores)) => measure!(Some(scores.as_slice()?)),
    };
    let whole: Vec<i64> =
        found.iter().flat_map(|region| [[region.area].as_slice(), &region.bounds].concat()).collect();
    let real: Vec<f64> = found
        .iter()
        .flat_map(|region| [region.centroid.as_slice(), &[region.max_score, region.mean_score]].concat())
        .collect();
    Ok((whole.into_pyarray(py).reshape([count, 5])?, real.into_pyarray(py).reshape([count, 4])?))
}
