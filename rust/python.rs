//! The only file that knows Python: arrays to slices, core call without the GIL, errors to `ValueError`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::Error;

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        PyValueError::new_err(error.to_string())
    }
}

/// Numerical core of ssimae; `ssimae` itself is the public interface.
#[pymodule]
fn _rust(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
