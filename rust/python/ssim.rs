//! SSIM maps, sums and gradients.

use numpy::{Element, IntoPyArray, PyArray1, PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::error::Error;
use crate::ssim::{Border, Inputs, PlaneShape, Real, Ssim};

/// Window and constants of SSIM: taps, C1, C2, shift, border, and the weights of the l1 and l2 terms.
#[derive(FromPyObject)]
pub struct Window(Vec<f64>, f64, f64, f64, String, f64, f64);

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
pub fn ssim_loss_map(
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
pub fn ssim_loss_sums<'py>(
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
