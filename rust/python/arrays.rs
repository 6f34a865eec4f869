//! Arrays of Python borrowed as maps and images; a borrow that is not possible is an error and no panic.

use numpy::ndarray::Dimension;
use numpy::{
    Element, PyArray, PyArray3, PyArrayMethods, PyReadonlyArray, PyReadonlyArray2, PyReadonlyArray3,
    PyReadwriteArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use crate::error::Error;
use crate::patches::crops::{CropSource, Pixels};
use crate::patches::extract::ImageShape;

/// Scores of a float32 or float64 map (H, W).
#[derive(FromPyObject)]
pub enum MapArray<'py> {
    Single(PyReadonlyArray2<'py, f32>),
    Double(PyReadonlyArray2<'py, f64>),
}

/// An image (H, W, C) of one of the pixel types that patches are cut from.
#[derive(FromPyObject)]
pub enum ImageArray<'py> {
    U8(Bound<'py, PyArray3<u8>>),
    U16(Bound<'py, PyArray3<u16>>),
    F32(Bound<'py, PyArray3<f32>>),
    F64(Bound<'py, PyArray3<f64>>),
}

/// An image (H, W, C) borrowed to read.
pub enum BorrowedImage<'py> {
    U8(PyReadonlyArray3<'py, u8>),
    U16(PyReadonlyArray3<'py, u16>),
    F32(PyReadonlyArray3<'py, f32>),
    F64(PyReadonlyArray3<'py, f64>),
}

impl<'py> BorrowedImage<'py> {
    pub fn new(image: &ImageArray<'py>) -> Result<Self, Error> {
        Ok(match image {
            ImageArray::U8(image) => Self::U8(readable(image)?),
            ImageArray::U16(image) => Self::U16(readable(image)?),
            ImageArray::F32(image) => Self::F32(readable(image)?),
            ImageArray::F64(image) => Self::F64(readable(image)?),
        })
    }

    pub fn source(&self) -> PyResult<CropSource<'_>> {
        let (pixels, shape) = match self {
            Self::U8(image) => (Pixels::U8(image.as_slice()?), image.shape()),
            Self::U16(image) => (Pixels::U16(image.as_slice()?), image.shape()),
            Self::F32(image) => (Pixels::F32(image.as_slice()?), image.shape()),
            Self::F64(image) => (Pixels::F64(image.as_slice()?), image.shape()),
        };
        Ok(CropSource { pixels, shape: image_shape(shape) })
    }
}

/// Height, width and channels of an array (H, W, C).
pub fn image_shape(shape: &[usize]) -> ImageShape {
    ImageShape { height: shape[0], width: shape[1], channels: shape[2] }
}

/// Borrows an array to read. If the array is being written, this is an error; taking it as an argument would panic.
pub fn readable<'py, T: Element, D: Dimension>(
    array: &Bound<'py, PyArray<T, D>>,
) -> Result<PyReadonlyArray<'py, T, D>, Error> {
    array.try_readonly().map_err(|_| Error::Value("an array that is read is being written".into()))
}

/// Borrows an array to write.
pub fn writable<'py, T: Element, D: Dimension>(
    array: &Bound<'py, PyArray<T, D>>,
) -> Result<PyReadwriteArray<'py, T, D>, Error> {
    array.try_readwrite().map_err(|_| Error::Value("`out` is read-only or shared with what is read".into()))
}
