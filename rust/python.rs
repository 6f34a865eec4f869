//! The only file that knows Python: arrays to slices, core call without the GIL, errors to `ValueError`.

use numpy::{
    Element, IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2, PyReadonlyArray3,
    PyReadonlyArray4, PyReadonlyArrayDyn, PyReadwriteArray2, PyReadwriteArray3, PyReadwriteArray4,
    PyReadwriteArrayDyn, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::Error;
use crate::crops::{self, CropBox, Source};
use crate::curves::{self, Request};
use crate::overlap::Scores;
use crate::regions::{self, Connectivity};
use crate::ssim::{Border, Inputs, PlaneShape, Real, Ssim};
use crate::stitching;
use crate::tiling::{self, ImageShape};

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        PyValueError::new_err(error.to_string())
    }
}

/// An image (H, W, C) of one of the pixel types that patches are cut from.
#[derive(FromPyObject)]
enum Image<'py> {
    U8(PyReadonlyArray3<'py, u8>),
    U16(PyReadonlyArray3<'py, u16>),
    F32(PyReadonlyArray3<'py, f32>),
}

fn shape_of(shape: &[usize]) -> ImageShape {
    ImageShape { height: shape[0], width: shape[1], channels: shape[2] }
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
    let flat: Vec<i64> = grid.iter().flatten().map(|&place| place as i64).collect();
    flat.into_pyarray(py).reshape([grid.len(), 2])
}

/// Patches of an image (H, W, C) into `out` (P, C, h, w).
#[pyfunction]
fn extract_patches(
    py: Python<'_>,
    image: Image<'_>,
    stride: usize,
    mut out: PyReadwriteArray4<'_, f32>,
) -> PyResult<()> {
    let patch_size = out.shape()[3];
    let out = out.as_slice_mut()?;
    macro_rules! extract {
        ($image:expr) => {{
            let shape = shape_of($image.shape());
            let pixels = $image.as_slice()?;
            let grid = tiling::patch_grid(shape.height, shape.width, patch_size, stride)?;
            py.detach(|| tiling::extract(pixels, shape, &grid, patch_size, out))?
        }};
    }
    match image {
        Image::U8(image) => extract!(image),
        Image::U16(image) => extract!(image),
        Image::F32(image) => extract!(image),
    }
    Ok(())
}

/// Crops at boxes (N, 5) of images (H, W, C) into `out` (N, C, h, w).
#[pyfunction]
fn gather_crops(
    py: Python<'_>,
    images: Vec<PyReadonlyArray3<'_, f32>>,
    boxes: PyReadonlyArray2<'_, f64>,
    mut out: PyReadwriteArray4<'_, f32>,
) -> PyResult<()> {
    let sources = images
        .iter()
        .map(|image| Ok(Source { pixels: image.as_slice()?, shape: shape_of(image.shape()) }))
        .collect::<PyResult<Vec<_>>>()?;
    let crops: Vec<CropBox> = boxes
        .as_slice()?
        .chunks_exact(5)
        // A negative image number becomes 0 in a cast, so it is sent out of range.
        .map(|place| CropBox {
            image: if place[0] >= 0.0 { place[0] as usize } else { usize::MAX },
            top: place[1],
            left: place[2],
            height: place[3],
            width: place[4],
        })
        .collect();
    let (channels, patch_size) = (out.shape()[1], out.shape()[3]);
    let out = out.as_slice_mut()?;
    py.detach(|| crops::gather(&sources, &crops, channels, patch_size, out))?;
    Ok(())
}

/// Mean of patches (P, C, h, w) into `out` (H, W, C).
#[pyfunction]
fn stitch_patches(
    py: Python<'_>,
    patches: PyReadonlyArray4<'_, f32>,
    stride: usize,
    mut out: PyReadwriteArray3<'_, f32>,
) -> PyResult<()> {
    let (shape, patch_size) = (shape_of(out.shape()), patches.shape()[3]);
    let (patches, out) = (patches.as_slice()?, out.as_slice_mut()?);
    py.detach(|| stitching::stitch(patches, shape, patch_size, stride, out))?;
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

enum AnyScores {
    Single(Scores<f32>),
    Double(Scores<f64>),
}

/// Scores of a float32 or float64 map.
#[derive(FromPyObject)]
enum Map<'py> {
    Single(PyReadonlyArray2<'py, f32>),
    Double(PyReadonlyArray2<'py, f64>),
}

/// Scores of many images, gathered for exact curves.
#[pyclass]
struct ScoreAccumulator(AnyScores);

#[pymethods]
impl ScoreAccumulator {
    #[new]
    fn new(double: bool) -> Self {
        Self(if double { AnyScores::Double(Scores::new()) } else { AnyScores::Single(Scores::new()) })
    }

    /// Adds a map (H, W) and its mask; float32 or float64 as the accumulator was made for.
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
        match (&mut self.0, map) {
            (AnyScores::Single(scores), Map::Single(map)) => {
                let map = map.as_slice()?;
                py.detach(|| scores.add(map, mask, ignore, height, width))?;
            }
            (AnyScores::Double(scores), Map::Double(map)) => {
                let map = map.as_slice()?;
                py.detach(|| scores.add(map, mask, ignore, height, width))?;
            }
            _ => return Err(Error::Value("maps must all be float32 or all float64".into()).into()),
        }
        Ok(())
    }

    /// Pixels without defect, pixels with defect, regions.
    fn counts(&self) -> (usize, usize, usize) {
        match &self.0 {
            AnyScores::Single(scores) => (scores.negatives.len(), scores.positives.len(), scores.areas.len()),
            AnyScores::Double(scores) => (scores.negatives.len(), scores.positives.len(), scores.areas.len()),
        }
    }

    /// AUROC, average precision, AU-PROs, overlap quantiles (F, Q), thresholds, ROC (n, 2) and PRO (n, 2).
    #[allow(clippy::type_complexity)]
    fn curves<'py>(
        &mut self,
        py: Python<'py>,
        fpr_limits: Vec<f64>,
        quantiles: Vec<f64>,
        overlap_fprs: Vec<f64>,
    ) -> PyResult<(f64, f64, Vec<f64>, Matrix<'py>, Vec<f64>, Matrix<'py>, Matrix<'py>)> {
        let columns = quantiles.len();
        let request = Request { fpr_limits, quantiles, overlap_fprs };
        let found = py.detach(|| match &mut self.0 {
            AnyScores::Single(scores) => curves::curves(scores, &request),
            AnyScores::Double(scores) => curves::curves(scores, &request),
        })?;
        Ok((
            found.auroc,
            found.average_precision,
            found.aupros,
            matrix(py, found.overlap.concat(), columns)?,
            found.thresholds,
            matrix(py, found.roc.concat(), 2)?,
            matrix(py, found.pro.concat(), 2)?,
        ))
    }
}

type Matrix<'py> = Bound<'py, PyArray2<f64>>;

fn matrix(py: Python<'_>, values: Vec<f64>, columns: usize) -> PyResult<Matrix<'_>> {
    let rows = values.len() / columns.max(1);
    values.into_pyarray(py).reshape([rows, columns])
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
    module.add_class::<ScoreAccumulator>()?;
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
