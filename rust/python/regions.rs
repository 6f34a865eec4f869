//! Labels and measures of regions.

use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2, PyReadwriteArray2,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use super::arrays::MapArray;
use crate::regions::{self, Connectivity, Statistics};

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
    let connectivity = connectivity(eight_connected);
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
    RegionMeasures::new(py, &found)
}

/// The regions of at least `min_area` pixels of a mask (H, W) of 0 and 1, those at most `distance` pixels apart joined, from
/// which the others are cleared; measured from scores that come band by band.
#[pyclass]
pub struct LargeRegions(regions::LargeRegions);

#[pymethods]
impl LargeRegions {
    #[new]
    #[pyo3(signature = (mask, *, distance, min_area, eight_connected))]
    fn new(
        py: Python<'_>,
        mut mask: PyReadwriteArray2<'_, u8>,
        distance: u32,
        min_area: u64,
        eight_connected: bool,
    ) -> PyResult<Self> {
        let (height, width) = (mask.shape()[0], mask.shape()[1]);
        let (mask, connectivity) = (mask.as_slice_mut()?, connectivity(eight_connected));
        Ok(Self(
            py.detach(|| regions::LargeRegions::keep(mask, height, width, connectivity, distance, min_area))?,
        ))
    }

    /// Adds the scores of the next rows (r, W).
    fn add(&mut self, py: Python<'_>, scores: PyReadonlyArray2<'_, f32>) -> PyResult<()> {
        let scores = scores.as_slice()?;
        Ok(py.detach(|| self.0.add(scores))?)
    }

    /// The measures, once all scores have come.
    fn measures(&self, py: Python<'_>) -> PyResult<RegionMeasures> {
        RegionMeasures::new(py, &self.0.measures())
    }

    /// The length of each region (R,) float64: the largest distance between the centres of two of its pixels, and one.
    fn lengths<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.0.lengths().into_pyarray(py)
    }

    /// Clears those regions from the mask that are not to be kept.
    fn keep_only(
        &mut self,
        py: Python<'_>,
        mut mask: PyReadwriteArray2<'_, u8>,
        kept: Vec<bool>,
    ) -> PyResult<()> {
        let mask = mask.as_slice_mut()?;
        Ok(py.detach(|| self.0.keep_only(mask, &kept))?)
    }
}

/// Looks for a region of `min_area` pixels at or above a level in a map that comes band by band.
#[pyclass]
pub struct RegionSearch {
    search: regions::RegionSearch,
    level: f32,
}

#[pymethods]
impl RegionSearch {
    #[new]
    #[pyo3(signature = (*, level, min_area, eight_connected))]
    fn new(level: f32, min_area: u64, eight_connected: bool) -> Self {
        Self { search: regions::RegionSearch::new(connectivity(eight_connected), min_area), level }
    }

    /// Takes the next rows (r, W) of the map; returns whether the region is found.
    fn add(&mut self, py: Python<'_>, rows: PyReadonlyArray2<'_, f32>) -> PyResult<bool> {
        let (width, rows) = (rows.shape()[1], rows.as_slice()?);
        Ok(py.detach(|| self.search.add(rows, width, self.level))?)
    }
}

/// Turns distances (r, W) from the nearest marked pixel of each column into those from the nearest of all.
#[pyfunction]
pub fn distances(
    py: Python<'_>,
    columns: PyReadonlyArray2<'_, f32>,
    mut out: PyReadwriteArray2<'_, f32>,
) -> PyResult<()> {
    let (width, columns, out) = (columns.shape()[1], columns.as_slice()?, out.as_slice_mut()?);
    py.detach(|| regions::distances(columns, width, out))?;
    Ok(())
}

/// Lowers each pixel of levels (H, W) to the highest at which it lies in a region of `min_area` pixels.
#[pyfunction]
#[pyo3(signature = (levels, out, *, min_area))]
pub fn open_levels(
    py: Python<'_>,
    levels: PyReadonlyArray2<'_, u8>,
    mut out: PyReadwriteArray2<'_, u8>,
    min_area: u64,
) -> PyResult<()> {
    let (height, width) = (levels.shape()[0], levels.shape()[1]);
    let (levels, out) = (levels.as_slice()?, out.as_slice_mut()?);
    Ok(py.detach(|| regions::open(levels, height, width, min_area, out))?)
}

/// Returns the corners (n, 2) of the polygon round the 8-connected region of a mask (H, W) that fills a box: x and y.
#[pyfunction]
pub fn outline_region<'py>(
    py: Python<'py>,
    mask: PyReadonlyArray2<'py, u8>,
    bounds: [usize; 4],
) -> PyResult<Bound<'py, PyArray2<i64>>> {
    let (height, width) = (mask.shape()[0], mask.shape()[1]);
    let mask = mask.as_slice()?;
    let corners = py.detach(|| regions::outline(mask, height, width, bounds))?;
    let count = corners.len();
    corners.into_iter().flatten().collect::<Vec<_>>().into_pyarray(py).reshape([count, 2])
}

fn connectivity(eight_connected: bool) -> Connectivity {
    if eight_connected { Connectivity::Eight } else { Connectivity::Four }
}

impl RegionMeasures {
    fn new(py: Python<'_>, found: &[Statistics]) -> PyResult<Self> {
        let areas: Vec<i64> = found.iter().map(|region| region.area).collect();
        let boxes: Vec<i64> = found.iter().flat_map(|region| region.bounds).collect();
        let centroids: Vec<f64> = found.iter().flat_map(|region| region.centroid).collect();
        let max_scores: Vec<f64> = found.iter().map(|region| region.max_score).collect();
        let mean_scores: Vec<f64> = found.iter().map(|region| region.mean_score).collect();
        Ok(Self {
            areas: areas.into_pyarray(py).unbind(),
            boxes: boxes.into_pyarray(py).reshape([found.len(), 4])?.unbind(),
            centroids: centroids.into_pyarray(py).reshape([found.len(), 2])?.unbind(),
            max_scores: max_scores.into_pyarray(py).unbind(),
            mean_scores: mean_scores.into_pyarray(py).unbind(),
        })
    }
}
