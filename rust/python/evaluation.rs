//! Gathered scores, their metrics, and the counts of one image.

use std::path::PathBuf;

use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::arrays::MapArray;
use super::pool::detached;
use crate::evaluation::gathered::{AnyMap, Gathered};
use crate::evaluation::levels;
use crate::evaluation::scores::AnomalyMap;
use crate::evaluation::sweep::{OverlapRate, Request};

/// Scores of many images, gathered for exact metrics.
#[pyclass]
pub struct GatheredScores(Gathered);

/// Score and ground truth of each image.
#[pyclass(frozen, get_all)]
pub struct GatheredImages {
    /// (I,) float64, NaN where nothing is inspected.
    scores: Py<PyArray1<f64>>,
    /// (I,) bool.
    is_defective: Py<PyArray1<bool>>,
}

/// Image, area and box of each ground-truth region.
#[pyclass(frozen, get_all)]
pub struct GatheredRegions {
    /// (R,) int64.
    images: Py<PyArray1<i64>>,
    /// (R,) int64, pixels.
    areas: Py<PyArray1<i64>>,
    /// (R, 4) int64: top, left, bottom, right; half-open.
    boxes: Py<PyArray2<i64>>,
}

/// Counts of one image at or above each threshold, (T,) each.
#[pyclass(frozen, get_all)]
pub struct LevelCounts {
    /// Pixels without defect, uint64.
    false_positives: Py<PyArray1<u64>>,
    /// Pixels with defect, uint64.
    true_positives: Py<PyArray1<u64>>,
    /// Sum of the regions' covered shares, float64.
    overlap: Py<PyArray1<f64>>,
}

#[pymethods]
impl GatheredScores {
    #[new]
    #[pyo3(signature = (*, double, image_top, memory_limit))]
    fn new(double: bool, image_top: f64, memory_limit: Option<usize>) -> Self {
        Self(Gathered::new(double, image_top, memory_limit))
    }

    /// Adds a map and its mask; the map has the type that this object was made for.
    fn add(
        &mut self,
        py: Python<'_>,
        map: MapArray<'_>,
        mask: PyReadonlyArray2<'_, u8>,
        ignore: Option<PyReadonlyArray2<'_, u8>>,
    ) -> PyResult<()> {
        let map = any_map(&map, &mask, ignore.as_ref())?;
        Ok(detached(py, || self.0.add(map))??)
    }

    /// Adds all images of others behind these.
    fn merge(&mut self, py: Python<'_>, other: PyRef<'_, Self>) -> PyResult<()> {
        self.0.merge(&other.0)?;
        Ok(detached(py, || self.0.keep_limit())??)
    }

    /// Whether the scores are float64.
    #[getter]
    fn double(&self) -> bool {
        self.0.is_double()
    }

    /// Share of an image's pixels whose mean is its score.
    #[getter]
    fn image_top(&self) -> f64 {
        self.0.image_top()
    }

    /// Images.
    #[getter]
    fn n_images(&self) -> usize {
        self.0.images().len()
    }

    /// Ground-truth regions.
    #[getter]
    fn n_regions(&self) -> usize {
        self.0.regions().len()
    }

    /// Inspected pixels without defect.
    #[getter]
    fn n_negatives(&self) -> usize {
        self.0.negative_count()
    }

    /// Inspected pixels with defect.
    #[getter]
    fn n_positives(&self) -> usize {
        self.0.positive_count()
    }

    /// Bytes of scores in memory.
    #[getter]
    fn nbytes(&self) -> usize {
        self.0.bytes_in_memory()
    }

    /// Score and ground truth of each image.
    fn images(&self, py: Python<'_>) -> GatheredImages {
        let (scores, defective): (Vec<f64>, Vec<bool>) =
            self.0.images().iter().map(|image| (image.score, image.defective)).unzip();
        GatheredImages {
            scores: scores.into_pyarray(py).unbind(),
            is_defective: defective.into_pyarray(py).unbind(),
        }
    }

    /// Image, area and box of each region.
    fn regions(&self, py: Python<'_>) -> PyResult<GatheredRegions> {
        let regions = self.0.regions();
        let images: Vec<i64> = regions.iter().map(|region| region.image.into()).collect();
        let areas: Vec<i64> = regions.iter().map(|region| region.area.into()).collect();
        let boxes: Vec<i64> = regions.iter().flat_map(|region| region.bounds.map(i64::from)).collect();
        Ok(GatheredRegions {
            images: images.into_pyarray(py).unbind(),
            areas: areas.into_pyarray(py).unbind(),
            boxes: boxes.into_pyarray(py).reshape([regions.len(), 4])?.unbind(),
        })
    }

    /// All metrics by name. Limits and rates ascend; the overlap of every single region is given at those rates that
    /// are among `region_overlap_fprs`, too.
    #[pyo3(signature = (*, fpr_limits, quantiles, overlap_fprs, region_overlap_fprs))]
    fn metrics<'py>(
        &mut self,
        py: Python<'py>,
        fpr_limits: Vec<f64>,
        quantiles: Vec<f64>,
        overlap_fprs: Vec<f64>,
        region_overlap_fprs: Vec<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let rates = overlap_fprs.into_iter();
        let overlap_rates =
            rates.map(|fpr| OverlapRate { fpr, each_region: region_overlap_fprs.contains(&fpr) }).collect();
        let request = Request { fpr_limits, quantiles, overlap_rates };
        let found = detached(py, || self.0.metrics(&request))??;
        let names = PyDict::new(py);
        names.set_item("auroc", found.auroc)?;
        names.set_item("average_precision", found.average_precision)?;
        names.set_item("aupros", found.aupros)?;
        names.set_item("best_f1", found.best_f1)?;
        names.set_item("best_f1_threshold", found.best_f1_threshold)?;
        names.set_item("overlap", PyArray2::from_vec2(py, &found.overlap)?)?;
        names.set_item("thresholds", found.thresholds)?;
        names.set_item("region_aurocs", found.region_aurocs.into_pyarray(py))?;
        names.set_item("region_aupros", PyArray2::from_vec2(py, &found.region_aupros)?)?;
        names.set_item("region_overlap", PyArray2::from_vec2(py, &found.region_overlap)?)?;
        for (name, points) in
            [("roc", found.roc), ("pro", found.pro), ("precision_recall", found.precision_recall)]
        {
            let rows = points.len();
            names.set_item(name, points.concat().into_pyarray(py).reshape([rows, 2])?)?;
        }
        Ok(names)
    }

    /// The scores as bytes.
    fn encoded<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut bytes = Vec::new();
        detached(py, || self.0.write(&mut bytes))??;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Writes the scores to a file and makes it durable.
    fn save(&mut self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        Ok(detached(py, || self.0.save(&path))??)
    }

    /// Reads scores from bytes.
    #[staticmethod]
    #[pyo3(signature = (bytes, *, memory_limit))]
    fn from_bytes(py: Python<'_>, bytes: &[u8], memory_limit: Option<usize>) -> PyResult<Self> {
        Ok(Self(detached(py, || Gathered::read(&mut &bytes[..], memory_limit))??))
    }

    /// Reads scores from a file.
    #[staticmethod]
    #[pyo3(signature = (path, *, memory_limit))]
    fn load(py: Python<'_>, path: PathBuf, memory_limit: Option<usize>) -> PyResult<Self> {
        Ok(Self(detached(py, || Gathered::load(&path, memory_limit))??))
    }
}

/// Counts of one image at or above thresholds, ascending.
#[pyfunction]
pub fn count_levels<'py>(
    py: Python<'py>,
    map: MapArray<'py>,
    mask: PyReadonlyArray2<'py, u8>,
    ignore: Option<PyReadonlyArray2<'py, u8>>,
    thresholds: PyReadonlyArray1<'py, f64>,
) -> PyResult<LevelCounts> {
    let (map, thresholds) = (any_map(&map, &mask, ignore.as_ref())?, thresholds.as_slice()?);
    let found = py.detach(|| match map {
        AnyMap::Single(map) => levels::count(map, thresholds),
        AnyMap::Double(map) => levels::count(map, thresholds),
    })?;
    Ok(LevelCounts {
        false_positives: found.false_positives.into_pyarray(py).unbind(),
        true_positives: found.true_positives.into_pyarray(py).unbind(),
        overlap: found.overlap.into_pyarray(py).unbind(),
    })
}

/// Borrows a map with its mask and, if there are any, the pixels left out.
fn any_map<'a>(
    map: &'a MapArray<'_>,
    mask: &'a PyReadonlyArray2<'_, u8>,
    ignore: Option<&'a PyReadonlyArray2<'_, u8>>,
) -> PyResult<AnyMap<'a>> {
    let (height, width) = (mask.shape()[0], mask.shape()[1]);
    let (mask, ignore) = (mask.as_slice()?, ignore.map(|ignore| ignore.as_slice()).transpose()?);
    Ok(match map {
        MapArray::Single(map) => {
            AnyMap::Single(AnomalyMap { scores: map.as_slice()?, mask, ignore, height, width })
        }
        MapArray::Double(map) => {
            AnyMap::Double(AnomalyMap { scores: map.as_slice()?, mask, ignore, height, width })
        }
    })
}
