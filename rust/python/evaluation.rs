//! Gathered scores and their metrics.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read};
use std::path::PathBuf;
use std::sync::Arc;

use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::error::Error;
use crate::evaluation::encoding::{Decoded, decode, encode};
use crate::evaluation::levels;
use crate::evaluation::scores::{self as evaluation, Scores};
use crate::evaluation::sweep::{Request, metrics};

/// Scores of a float32 or float64 map (H, W).
#[derive(FromPyObject)]
pub enum Map<'py> {
    Single(PyReadonlyArray2<'py, f32>),
    Double(PyReadonlyArray2<'py, f64>),
}

enum AnyScores {
    Single(Scores<f32>),
    Double(Scores<f64>),
}

/// Does the same with scores of either type.
macro_rules! either {
    ($any:expr, $scores:ident => $body:expr) => {
        match $any {
            AnyScores::Single($scores) => $body,
            AnyScores::Double($scores) => $body,
        }
    };
}

/// Scores of many images, gathered for exact metrics; sorted ones go to a file once they take more than `limit` bytes.
#[pyclass]
pub struct GatheredScores {
    scores: AnyScores,
    limit: Option<usize>,
    file: Option<Storage>,
}

/// A temporary file, and what is written of it.
struct Storage {
    file: Arc<File>,
    end: u64,
    /// The one that writes there: a process forked from it reads what is there, and writes to a file of its own.
    process: u32,
}

impl GatheredScores {
    fn keep_limit(&mut self) -> Result<(), Error> {
        let held = either!(&self.scores, scores => scores.bytes());
        if self.limit.is_none_or(|limit| held <= limit) {
            return Ok(());
        }
        let process = std::process::id();
        let Storage { file, end, .. } = match &mut self.file {
            Some(storage) if storage.process == process => storage,
            other => {
                let file = tempfile::tempfile()
                    .map_err(|error| Error::File(format!("no temporary file can be made: {error}")))?;
                other.insert(Storage { file: Arc::new(file), end: 0, process })
            }
        };
        either!(&mut self.scores, scores => scores.spill(file, end))
    }
}

#[pymethods]
impl GatheredScores {
    #[new]
    fn new(double: bool, top: f64, limit: Option<usize>) -> Self {
        let scores =
            if double { AnyScores::Double(Scores::new(top)) } else { AnyScores::Single(Scores::new(top)) };
        Self { scores, limit, file: None }
    }

    /// Adds a map and its mask; float32 or float64 as this was made for.
    fn add(
        &mut self,
        py: Python<'_>,
        map: Map<'_>,
        mask: PyReadonlyArray2<'_, u8>,
        ignore: Option<PyReadonlyArray2<'_, u8>>,
    ) -> PyResult<()> {
        let (height, width) = (mask.shape()[0], mask.shape()[1]);
        let mask = mask.as_slice()?;
        let ignore = ignore.as_ref().map(|ignore| ignore.as_slice()).transpose()?;
        macro_rules! add {
            ($scores:expr, $map:expr) => {{
                let scores = $map.as_slice()?;
                py.detach(|| $scores.add(evaluation::Map { scores, mask, ignore, height, width }))?
            }};
        }
        match (&mut self.scores, &map) {
            (AnyScores::Single(scores), Map::Single(map)) => add!(scores, map),
            (AnyScores::Double(scores), Map::Double(map)) => add!(scores, map),
            _ => return Err(Error::Value("maps must all be float64, or all of smaller types".into()).into()),
        }
        py.detach(|| self.keep_limit())?;
        Ok(())
    }

    /// Adds all images of others behind these.
    fn merge(&mut self, py: Python<'_>, other: PyRef<'_, Self>) -> PyResult<()> {
        match (&mut self.scores, &other.scores) {
            (AnyScores::Single(scores), AnyScores::Single(other)) => scores.merge(other)?,
            (AnyScores::Double(scores), AnyScores::Double(other)) => scores.merge(other)?,
            _ => return Err(Error::Value("maps must all be float64, or all of smaller types".into()).into()),
        }
        py.detach(|| self.keep_limit())?;
        Ok(())
    }

    /// Whether the scores are float64.
    fn double(&self) -> bool {
        matches!(self.scores, AnyScores::Double(_))
    }

    /// Share of an image's pixels whose mean is its score.
    fn image_top(&self) -> f64 {
        either!(&self.scores, scores => scores.top)
    }

    /// Pixels without defect, pixels with defect, regions, images, bytes of scores in memory.
    fn counts(&self) -> [usize; 5] {
        either!(&self.scores, scores => [
            scores.negatives.len(), scores.positives.len(), scores.regions.len(), scores.images.len(), scores.bytes(),
        ])
    }

    /// Score (I,) and whether it is defective (I,) of each image.
    #[allow(clippy::type_complexity)]
    fn images<'py>(&self, py: Python<'py>) -> (Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<bool>>) {
        let (scores, defective): (Vec<f64>, Vec<bool>) = either!(&self.scores, scores => {
            scores.images.iter().map(|image| (image.score, image.defective)).unzip()
        });
        (scores.into_pyarray(py), defective.into_pyarray(py))
    }

    /// Image, area, top, left, bottom and right of each region, (R, 6).
    fn regions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i64>>> {
        let numbers: Vec<i64> = either!(&self.scores, scores => {
            let regions = scores.regions.iter();
            regions.flat_map(|region| {
                let [top, left, bottom, right] = region.bounds;
                [region.image, region.area, top, left, bottom, right].map(i64::from)
            }).collect()
        });
        let rows = numbers.len() / 6;
        numbers.into_pyarray(py).reshape([rows, 6])
    }

    /// All metrics by name; limits and rates (with whether every region's overlap is wanted) ascending.
    fn metrics<'py>(
        &mut self,
        py: Python<'py>,
        fpr_limits: Vec<f64>,
        quantiles: Vec<f64>,
        overlap_fprs: Vec<(f64, bool)>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let request = Request { fpr_limits, quantiles, overlap_fprs };
        let found = py.detach(|| either!(&mut self.scores, scores => metrics(scores, &request)))?;
        let names = PyDict::new(py);
        names.set_item("auroc", found.auroc)?;
        names.set_item("average_precision", found.average_precision)?;
        names.set_item("aupros", found.aupros)?;
        names.set_item("best_f1", found.best_f1)?;
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
        py.detach(|| either!(&mut self.scores, scores => encode(scores, &mut bytes)))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Writes the scores to a file and makes it durable.
    fn save(&mut self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let file = File::create(path)?;
        let mut file = BufWriter::new(file);
        py.detach(|| either!(&mut self.scores, scores => encode(scores, &mut file)))?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        Ok(())
    }

    /// Reads scores from bytes.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: &[u8], limit: Option<usize>) -> PyResult<Self> {
        py.detach(|| Self::read(&mut &bytes[..], limit)).map_err(Into::into)
    }

    /// Reads scores from a file.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf, limit: Option<usize>) -> PyResult<Self> {
        let mut file = BufReader::new(File::open(path)?);
        py.detach(|| Self::read(&mut file, limit)).map_err(Into::into)
    }
}

impl GatheredScores {
    fn read(input: &mut impl Read, limit: Option<usize>) -> Result<Self, Error> {
        let scores = match decode(input)? {
            Decoded::Single(scores) => AnyScores::Single(scores),
            Decoded::Double(scores) => AnyScores::Double(scores),
        };
        let mut gathered = Self { scores, limit, file: None };
        gathered.keep_limit()?;
        Ok(gathered)
    }
}

/// Pixels without and with defect, and sum of the covered shares, (T,) each, at or above thresholds, ascending.
#[pyfunction]
#[allow(clippy::type_complexity)]
pub fn count_levels<'py>(
    py: Python<'py>,
    map: Map<'py>,
    mask: PyReadonlyArray2<'py, u8>,
    ignore: Option<PyReadonlyArray2<'py, u8>>,
    thresholds: PyReadonlyArray1<'py, f64>,
) -> PyResult<(Bound<'py, PyArray1<u64>>, Bound<'py, PyArray1<u64>>, Bound<'py, PyArray1<f64>>)> {
    let (height, width) = (mask.shape()[0], mask.shape()[1]);
    let (mask, thresholds) = (mask.as_slice()?, thresholds.as_slice()?);
    let ignore = ignore.as_ref().map(|ignore| ignore.as_slice()).transpose()?;
    macro_rules! count {
        ($map:expr) => {{
            let scores = $map.as_slice()?;
            py.detach(|| levels::count(evaluation::Map { scores, mask, ignore, height, width }, thresholds))?
        }};
    }
    let found = match &map {
        Map::Single(map) => count!(map),
        Map::Double(map) => count!(map),
    };
    Ok((
        found.false_positives.into_pyarray(py),
        found.true_positives.into_pyarray(py),
        found.overlap.into_pyarray(py),
    ))
}
