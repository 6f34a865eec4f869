//! The only file that knows Python: arrays to slices, core call without the GIL, errors to `ValueError`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use numpy::ndarray::Dimension;
use numpy::{
    Element, IntoPyArray, PyArray, PyArray1, PyArray2, PyArray3, PyArray4, PyArrayMethods, PyReadonlyArray,
    PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3, PyReadonlyArrayDyn, PyReadwriteArray,
    PyReadwriteArray2, PyReadwriteArrayDyn, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::Error;
use crate::crops::{self, CropBox, Pixels, Source};
use crate::evaluation::scores::{self as evaluation, Scores};
use crate::evaluation::state::{Decoded, decode, encode};
use crate::evaluation::sweep::{Request, metrics};
use crate::levels;
use crate::regions::{self, Connectivity};
use crate::ssim::{Border, Inputs, PlaneShape, Real, Ssim};
use crate::stitching;
use crate::tiling::{self, Grid, ImageShape};

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        PyValueError::new_err(error.to_string())
    }
}

/// An image (H, W, C) of one of the pixel types that patches are cut from.
#[derive(FromPyObject)]
enum Image<'py> {
    U8(Bound<'py, PyArray3<u8>>),
    U16(Bound<'py, PyArray3<u16>>),
    F32(Bound<'py, PyArray3<f32>>),
    F64(Bound<'py, PyArray3<f64>>),
}

/// Borrows an array to read; of an array that is being written this is an error, where taking it as argument panics.
fn readable<'py, T: Element, D: Dimension>(
    array: &Bound<'py, PyArray<T, D>>,
) -> Result<PyReadonlyArray<'py, T, D>, Error> {
    array.try_readonly().map_err(|_| Error::Value("an array that is read is being written".into()))
}

/// Borrows an array to write.
fn writable<'py, T: Element, D: Dimension>(
    array: &Bound<'py, PyArray<T, D>>,
) -> Result<PyReadwriteArray<'py, T, D>, Error> {
    array.try_readwrite().map_err(|_| Error::Value("`out` is read-only or shared with what is read".into()))
}

fn shape_of(shape: &[usize]) -> ImageShape {
    ImageShape { height: shape[0], width: shape[1], channels: shape[2] }
}

/// Number, channels and side of patches (P, C, h, h).
fn patches_of(shape: &[usize]) -> Result<[usize; 3], Error> {
    match *shape {
        [count, channels, height, width] if height == width => Ok([count, channels, height]),
        _ => Err(Error::Value(format!("patches must have shape (P, C, h, h), got {shape:?}"))),
    }
}

/// The grid of patches of a shape over an image, and the range that begins at `first`.
fn laid(
    image: ImageShape,
    patches: &[usize],
    stride: usize,
    first: usize,
) -> Result<(Grid, Range<usize>), Error> {
    let [count, channels, patch_size] = patches_of(patches)?;
    if channels != image.channels {
        return Err(Error::Value(format!("image has {} channels, patches {channels}", image.channels)));
    }
    Ok((Grid::new(image, patch_size, stride)?, first..first.saturating_add(count)))
}

/// Corners as (P, 2) int64.
#[pyfunction]
fn patch_grid(
    py: Python<'_>,
    height: usize,
    width: usize,
    patch_size: usize,
    stride: usize,
) -> PyResult<Bound<'_, PyArray2<i64>>> {
    let grid = tiling::patch_grid(height, width, patch_size, stride)?;
    let count = grid.len();
    grid.into_flattened().into_pyarray(py).reshape([count, 2])
}

/// Number of patches of the grid.
#[pyfunction]
fn count_patches(height: usize, width: usize, patch_size: usize, stride: usize) -> PyResult<usize> {
    Ok(Grid::new(ImageShape { height, width, channels: 1 }, patch_size, stride)?.count())
}

/// Patches of an image (H, W, C), from number `first` of its grid on, into `out` (P, C, h, w).
#[pyfunction]
fn extract_patches(
    py: Python<'_>,
    image: Image<'_>,
    stride: usize,
    first: usize,
    out: &Bound<'_, PyArray4<f32>>,
) -> PyResult<()> {
    let mut out = writable(out)?;
    let shape = out.shape().to_vec();
    let out = out.as_slice_mut()?;
    macro_rules! extract {
        ($image:expr) => {{
            let image = readable(&$image)?;
            let (grid, range) = laid(shape_of(image.shape()), &shape, stride, first)?;
            let pixels = image.as_slice()?;
            py.detach(|| tiling::extract(pixels, grid, range, out))?
        }};
    }
    match image {
        Image::U8(image) => extract!(image),
        Image::U16(image) => extract!(image),
        Image::F32(image) => extract!(image),
        Image::F64(image) => extract!(image),
    }
    Ok(())
}

/// An image (H, W, C) borrowed to read.
enum BorrowedImage<'py> {
    U8(PyReadonlyArray3<'py, u8>),
    U16(PyReadonlyArray3<'py, u16>),
    F32(PyReadonlyArray3<'py, f32>),
    F64(PyReadonlyArray3<'py, f64>),
}

impl<'py> BorrowedImage<'py> {
    fn new(image: &Image<'py>) -> Result<Self, Error> {
        Ok(match image {
            Image::U8(image) => Self::U8(readable(image)?),
            Image::U16(image) => Self::U16(readable(image)?),
            Image::F32(image) => Self::F32(readable(image)?),
            Image::F64(image) => Self::F64(readable(image)?),
        })
    }

    fn source(&self) -> PyResult<Source<'_>> {
        let (pixels, shape) = match self {
            Self::U8(image) => (Pixels::U8(image.as_slice()?), image.shape()),
            Self::U16(image) => (Pixels::U16(image.as_slice()?), image.shape()),
            Self::F32(image) => (Pixels::F32(image.as_slice()?), image.shape()),
            Self::F64(image) => (Pixels::F64(image.as_slice()?), image.shape()),
        };
        Ok(Source { pixels, shape: shape_of(shape) })
    }
}

/// Crops at boxes (N, 5) of images (H, W, C) into `out` (N, C, h, w), turned by `turns` (N,).
#[pyfunction]
fn gather_crops(
    py: Python<'_>,
    images: Vec<Image<'_>>,
    boxes: PyReadonlyArray2<'_, f64>,
    turns: Option<PyReadonlyArray1<'_, u8>>,
    out: &Bound<'_, PyArray4<f32>>,
) -> PyResult<()> {
    let mut out = writable(out)?;
    let [_, channels, patch_size] = patches_of(out.shape())?;
    if boxes.shape()[1] != 5 {
        return Err(Error::Value(format!("`boxes` must have shape (N, 5), got {:?}", boxes.shape())).into());
    }
    let images = images.iter().map(BorrowedImage::new).collect::<Result<Vec<_>, _>>()?;
    let sources = images.iter().map(BorrowedImage::source).collect::<PyResult<Vec<_>>>()?;
    let crops: Vec<CropBox> = boxes
        .as_slice()?
        .chunks_exact(5)
        // What is no image number, such as -1 or 0.5, would become one in a cast, so it is sent out of range.
        .map(|place| CropBox {
            image: if place[0] >= 0.0 && place[0].fract() == 0.0 { place[0] as usize } else { usize::MAX },
            top: place[1],
            left: place[2],
            height: place[3],
            width: place[4],
        })
        .collect();
    let turns = turns.as_ref().map(|turns| turns.as_slice()).transpose()?;
    let out = out.as_slice_mut()?;
    py.detach(|| crops::gather(&sources, &crops, turns, channels, patch_size, out))?;
    Ok(())
}

/// Patches (P, C, h, w), from number `first` of the grid on, into `image` (H, W, C) as those before have left it.
#[pyfunction]
fn stitch_patches(
    py: Python<'_>,
    patches: &Bound<'_, PyArray4<f32>>,
    stride: usize,
    first: usize,
    image: &Bound<'_, PyArray3<f32>>,
) -> PyResult<()> {
    let (patches, mut image) = (readable(patches)?, writable(image)?);
    let (grid, range) = laid(shape_of(image.shape()), patches.shape(), stride, first)?;
    let (patches, image) = (patches.as_slice()?, image.as_slice_mut()?);
    py.detach(|| stitching::stitch(patches, grid, range, image))?;
    Ok(())
}

/// Labels of a mask (H, W) into `labels`; returns their number.
#[pyfunction]
fn label_regions(
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
fn measure_regions<'py>(
    py: Python<'py>,
    labels: PyReadonlyArray2<'py, i32>,
    count: usize,
    scores: Option<PyReadonlyArray2<'py, f32>>,
) -> PyResult<(Bound<'py, PyArray2<i64>>, Bound<'py, PyArray2<f64>>)> {
    let width = labels.shape()[1];
    let labels = labels.as_slice()?;
    let scores = scores.as_ref().map(|scores| scores.as_slice()).transpose()?;
    let found = py.detach(|| regions::measure(labels, width, count, scores))?;
    let whole: Vec<i64> =
        found.iter().flat_map(|region| [[region.area].as_slice(), &region.bounds].concat()).collect();
    let real: Vec<f64> = found
        .iter()
        .flat_map(|region| [region.centroid.as_slice(), &[region.max_score, region.mean_score]].concat())
        .collect();
    Ok((whole.into_pyarray(py).reshape([count, 5])?, real.into_pyarray(py).reshape([count, 4])?))
}

/// Scores of a float32 or float64 map (H, W).
#[derive(FromPyObject)]
enum Map<'py> {
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
struct GatheredScores {
    scores: AnyScores,
    limit: Option<usize>,
    file: Option<(Arc<File>, u64)>,
}

impl GatheredScores {
    fn keep_limit(&mut self) -> Result<(), Error> {
        let held = either!(&self.scores, scores => scores.bytes());
        if self.limit.is_none_or(|limit| held <= limit) {
            return Ok(());
        }
        let (file, end) = match &mut self.file {
            Some(file) => file,
            None => {
                let file = tempfile::tempfile()
                    .map_err(|error| Error::Value(format!("no temporary file can be made: {error}")))?;
                self.file.insert((Arc::new(file), 0))
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
fn count_levels<'py>(
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

/// Window and constants of SSIM: taps, C1, C2, shift, border, and the weights of the l1 and l2 terms.
#[derive(FromPyObject)]
struct Window(Vec<f64>, f64, f64, f64, String, f64, f64);

impl Window {
    fn ssim<T: Real>(self) -> Result<Ssim<T>, Error> {
        let border = match self.4.as_str() {
            "valid" => Border::Valid,
            "reflect" => Border::Reflect,
            "symmetric" => Border::Symmetric,
            "zero" => Border::Zero,
            other => return Err(Error::Value(format!("unknown border {other}"))),
        };
        let taps: Vec<T> = self.0.into_iter().map(T::from_f64).collect();
        let constants = [self.1, self.2, self.3].map(T::from_f64);
        Ok(Ssim::new(&taps, constants, border)?.with_extra(T::from_f64(self.5), T::from_f64(self.6)))
    }
}

fn plane_shape(shape: &[usize]) -> Result<PlaneShape, Error> {
    match shape {
        [.., height, width] => Ok(PlaneShape { height: *height, width: *width }),
        _ => Err(Error::Value("planes must have at least two dimensions".into())),
    }
}

/// Maps of 1 - SSIM of planes (..., H, W), float32 or float64, into `out` (..., h, w); `mask` (H, W) or one for each.
#[pyfunction]
fn ssim_loss_map(
    x: &Bound<'_, PyAny>,
    y: &Bound<'_, PyAny>,
    window: Window,
    mask: Option<Bound<'_, PyAny>>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    fn map_of<'py, T: Real + Element>(
        x: PyReadonlyArrayDyn<'py, T>,
        [y, out]: [&Bound<'py, PyAny>; 2],
        window: Window,
        mask: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let (ssim, shape) = (window.ssim::<T>()?, plane_shape(x.shape())?);
        let y: PyReadonlyArrayDyn<'py, T> = y.extract()?;
        let mask: Option<PyReadonlyArrayDyn<'py, T>> = optional(&mask)?;
        let mut out: PyReadwriteArrayDyn<'py, T> = out.extract()?;
        let mask = mask.as_ref().map(|mask| mask.as_slice()).transpose()?;
        let (inputs, out) = (Inputs { x: x.as_slice()?, y: y.as_slice()?, mask, shape }, out.as_slice_mut()?);
        x.py().detach(|| ssim.map(inputs, out))?;
        Ok(())
    }
    match x.extract::<PyReadonlyArrayDyn<'_, f64>>() {
        Ok(x) => map_of(x, [y, out], window, mask),
        Err(_) => map_of(x.extract::<PyReadonlyArrayDyn<'_, f32>>()?, [y, out], window, mask),
    }
}

/// Sums of the map times `scale` and `weights` (1 if None) over each plane, and their gradients by x and y if asked for.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn ssim_loss_sums<'py>(
    x: &Bound<'py, PyAny>,
    y: &Bound<'py, PyAny>,
    window: Window,
    mask: Option<Bound<'py, PyAny>>,
    weights: Option<Bound<'py, PyAny>>,
    scale: f64,
    grad_x: Option<Bound<'py, PyAny>>,
    grad_y: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    fn sums_of<'py, T: Real + Element>(
        x: PyReadonlyArrayDyn<'py, T>,
        y: &Bound<'py, PyAny>,
        window: Window,
        scale: f64,
        [mask, weights, grad_x, grad_y]: &[Option<Bound<'py, PyAny>>; 4],
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let py = x.py();
        let (ssim, shape) = (window.ssim::<T>()?, plane_shape(x.shape())?);
        let y: PyReadonlyArrayDyn<'py, T> = y.extract()?;
        let mask: Option<PyReadonlyArrayDyn<'py, T>> = optional(mask)?;
        let weights: Option<PyReadonlyArrayDyn<'py, T>> = optional(weights)?;
        let mut grad_x: Option<PyReadwriteArrayDyn<'py, T>> = optional(grad_x)?;
        let mut grad_y: Option<PyReadwriteArrayDyn<'py, T>> = optional(grad_y)?;
        let mask = mask.as_ref().map(|mask| mask.as_slice()).transpose()?;
        let weights = weights.as_ref().map(|weights| weights.as_slice()).transpose()?;
        let inputs = Inputs { x: x.as_slice()?, y: y.as_slice()?, mask, shape };
        let grad_x = grad_x.as_mut().map(|grad| grad.as_slice_mut()).transpose()?;
        let grad_y = grad_y.as_mut().map(|grad| grad.as_slice_mut()).transpose()?;
        let sums = py.detach(|| ssim.sums_and_gradients(inputs, weights, scale, [grad_x, grad_y]))?;
        Ok(sums.into_pyarray(py))
    }
    let options = [mask, weights, grad_x, grad_y];
    match x.extract::<PyReadonlyArrayDyn<'py, f64>>() {
        Ok(x) => sums_of(x, y, window, scale, &options),
        Err(_) => sums_of(x.extract::<PyReadonlyArrayDyn<'py, f32>>()?, y, window, scale, &options),
    }
}

/// Extracts what is not None.
fn optional<'a, 'py, A: FromPyObject<'a, 'py>>(given: &'a Option<Bound<'py, PyAny>>) -> PyResult<Option<A>> {
    given.as_ref().map(|value| value.extract().map_err(Into::into)).transpose()
}

/// Numerical core of ssimae; `ssimae` itself is the public interface.
#[pymodule]
fn _rust(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<GatheredScores>()?;
    module.add_function(wrap_pyfunction!(count_levels, module)?)?;
    module.add_function(wrap_pyfunction!(count_patches, module)?)?;
    module.add_function(wrap_pyfunction!(extract_patches, module)?)?;
    module.add_function(wrap_pyfunction!(gather_crops, module)?)?;
    module.add_function(wrap_pyfunction!(label_regions, module)?)?;
    module.add_function(wrap_pyfunction!(measure_regions, module)?)?;
    module.add_function(wrap_pyfunction!(patch_grid, module)?)?;
    module.add_function(wrap_pyfunction!(ssim_loss_map, module)?)?;
    module.add_function(wrap_pyfunction!(ssim_loss_sums, module)?)?;
    module.add_function(wrap_pyfunction!(stitch_patches, module)?)?;
    Ok(())
}
