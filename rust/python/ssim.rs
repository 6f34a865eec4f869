//! SSIM maps, sums and gradients.

use numpy::{
    Element, IntoPyArray, PyArray1, PyReadonlyArray3, PyReadonlyArrayDyn, PyReadwriteArray3,
    PyReadwriteArrayDyn, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use super::pool::detached;
use crate::error::Error;
use crate::ssim::{Border, Inputs, Place, PlaneShape, Real, Ssim};

/// Window and constants of SSIM, as `ssimae.ssim.Window` holds them.
#[derive(FromPyObject)]
pub struct WindowOptions {
    taps: Vec<f64>,
    c1: f64,
    c2: f64,
    shift: f64,
    border: String,
}

/// Weights of |x - y| and (x - y)^2, which are added to the map.
#[derive(Clone, Copy)]
struct ExtraWeights {
    l1: f64,
    l2: f64,
}

impl WindowOptions {
    fn ssim<T: Real>(&self, extra: ExtraWeights) -> Result<Ssim<T>, Error> {
        let border = match self.border.as_str() {
            "valid" => Border::Valid,
            "reflect" => Border::Reflect,
            "symmetric" => Border::Symmetric,
            "zero" => Border::Zero,
            other => return Err(Error::Value(format!("unknown border {other}"))),
        };
        let taps: Vec<T> = self.taps.iter().copied().map(T::from_f64).collect();
        let constants = [self.c1, self.c2, self.shift].map(T::from_f64);
        Ok(Ssim::new(&taps, constants, border)?.with_extra(T::from_f64(extra.l1), T::from_f64(extra.l2)))
    }
}

fn plane_shape(shape: &[usize]) -> Result<PlaneShape, Error> {
    match shape {
        [.., height, width] => Ok(PlaneShape { height: *height, width: *width }),
        _ => Err(Error::Value("planes must have at least two dimensions".into())),
    }
}

/// Writes the maps of 1 - SSIM, plus the extra terms, of planes (..., H, W), float32 or float64, to `out` (..., h, w).
/// `mask` is (H, W), or has one plane for each.
#[pyfunction]
#[pyo3(signature = (x, y, out, *, window, mask, l1, l2))]
pub fn ssim_loss_map(
    x: &Bound<'_, PyAny>,
    y: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    window: WindowOptions,
    mask: Option<Bound<'_, PyAny>>,
    l1: f64,
    l2: f64,
) -> PyResult<()> {
    fn map_of<'py, T: Real + Element>(
        x: PyReadonlyArrayDyn<'py, T>,
        y: &Bound<'py, PyAny>,
        out: &Bound<'py, PyAny>,
        ssim: &Ssim<T>,
        mask: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let shape = plane_shape(x.shape())?;
        let y: PyReadonlyArrayDyn<'py, T> = y.extract()?;
        let mask: Option<PyReadonlyArrayDyn<'py, T>> = optional(mask)?;
        let mut out: PyReadwriteArrayDyn<'py, T> = out.extract()?;
        let mask = mask.as_ref().map(|mask| mask.as_slice()).transpose()?;
        let (inputs, out) = (Inputs { x: x.as_slice()?, y: y.as_slice()?, mask, shape }, out.as_slice_mut()?);
        detached(x.py(), || ssim.map(inputs, out))??;
        Ok(())
    }
    let (extra, mask) = (ExtraWeights { l1, l2 }, mask.as_ref());
    match x.extract::<PyReadonlyArrayDyn<'_, f64>>() {
        Ok(x) => map_of(x, y, out, &window.ssim(extra)?, mask),
        Err(_) => map_of(x.extract::<PyReadonlyArrayDyn<'_, f32>>()?, y, out, &window.ssim(extra)?, mask),
    }
}

/// Writes rows of the maps of 1 - SSIM of planes of `height` rows, from row `first` on, to `out` (C, r, w) float32. Of the
/// planes, `x` and `y` (C, h, W) hold the rows from `top` on.
#[pyfunction]
#[pyo3(signature = (x, y, out, *, window, height, top, first))]
#[allow(clippy::too_many_arguments)]
pub fn ssim_loss_rows(
    py: Python<'_>,
    x: PyReadonlyArray3<'_, f32>,
    y: PyReadonlyArray3<'_, f32>,
    mut out: PyReadwriteArray3<'_, f32>,
    window: WindowOptions,
    height: usize,
    top: usize,
    first: usize,
) -> PyResult<()> {
    let ssim = window.ssim(ExtraWeights { l1: 0.0, l2: 0.0 })?;
    let rows = first..first.saturating_add(out.shape()[1]);
    let inputs = Inputs { x: x.as_slice()?, y: y.as_slice()?, mask: None, shape: plane_shape(x.shape())? };
    let out = out.as_slice_mut()?;
    detached(py, || ssim.map_rows(inputs, Place { height, top }, rows, out))??;
    Ok(())
}

/// Arrays that the sums are computed from, and arrays that receive their gradients.
struct SumArrays<'a, 'py> {
    y: &'a Bound<'py, PyAny>,
    mask: Option<&'a Bound<'py, PyAny>>,
    weights: Option<&'a Bound<'py, PyAny>>,
    grad_x: Option<&'a Bound<'py, PyAny>>,
    grad_y: Option<&'a Bound<'py, PyAny>>,
}

/// Returns the sums of the map times `scale` and `weights` (1 if None) over each plane; writes their gradients by x and y
/// to `grad_x` and `grad_y` where these are not None.
#[pyfunction]
#[pyo3(signature = (x, y, *, window, mask, weights, l1, l2, scale, grad_x, grad_y))]
#[allow(clippy::too_many_arguments)]
pub fn ssim_loss_sums<'py>(
    x: &Bound<'py, PyAny>,
    y: &Bound<'py, PyAny>,
    window: WindowOptions,
    mask: Option<Bound<'py, PyAny>>,
    weights: Option<Bound<'py, PyAny>>,
    l1: f64,
    l2: f64,
    scale: f64,
    grad_x: Option<Bound<'py, PyAny>>,
    grad_y: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    fn sums_of<'py, T: Real + Element>(
        x: PyReadonlyArrayDyn<'py, T>,
        arrays: &SumArrays<'_, 'py>,
        ssim: &Ssim<T>,
        scale: f64,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let py = x.py();
        let shape = plane_shape(x.shape())?;
        let y: PyReadonlyArrayDyn<'py, T> = arrays.y.extract()?;
        let mask: Option<PyReadonlyArrayDyn<'py, T>> = optional(arrays.mask)?;
        let weights: Option<PyReadonlyArrayDyn<'py, T>> = optional(arrays.weights)?;
        let mut grad_x: Option<PyReadwriteArrayDyn<'py, T>> = optional(arrays.grad_x)?;
        let mut grad_y: Option<PyReadwriteArrayDyn<'py, T>> = optional(arrays.grad_y)?;
        let mask = mask.as_ref().map(|mask| mask.as_slice()).transpose()?;
        let weights = weights.as_ref().map(|weights| weights.as_slice()).transpose()?;
        let inputs = Inputs { x: x.as_slice()?, y: y.as_slice()?, mask, shape };
        let grad_x = grad_x.as_mut().map(|grad| grad.as_slice_mut()).transpose()?;
        let grad_y = grad_y.as_mut().map(|grad| grad.as_slice_mut()).transpose()?;
        let sums = detached(py, || ssim.sums_and_gradients(inputs, weights, scale, [grad_x, grad_y]))??;
        Ok(sums.into_pyarray(py))
    }
    let arrays = SumArrays {
        y,
        mask: mask.as_ref(),
        weights: weights.as_ref(),
        grad_x: grad_x.as_ref(),
        grad_y: grad_y.as_ref(),
    };
    let extra = ExtraWeights { l1, l2 };
    match x.extract::<PyReadonlyArrayDyn<'py, f64>>() {
        Ok(x) => sums_of(x, &arrays, &window.ssim(extra)?, scale),
        Err(_) => sums_of(x.extract::<PyReadonlyArrayDyn<'py, f32>>()?, &arrays, &window.ssim(extra)?, scale),
    }
}

/// Extracts an array if there is one.
fn optional<'a, 'py, A: FromPyObject<'a, 'py>>(array: Option<&'a Bound<'py, PyAny>>) -> PyResult<Option<A>> {
    array.map(|value| value.extract().map_err(Into::into)).transpose()
}
