//! Patches, crops and stains.

use std::ops::Range;

use numpy::{
    IntoPyArray, PyArray2, PyArray3, PyArray4, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyReadonlyArray3, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use super::arrays::{BorrowedImage, ImageArray, image_shape, readable, writable};
use super::pool::detached;
use crate::error::{Error, check_len};
use crate::patches::crops::{self, CropBox};
use crate::patches::extract::{self, Grid, ImageShape};
use crate::patches::stains::{self, Stain};
use crate::patches::stitch;
use crate::patches::textures::{Source, Texture, Textures};

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

/// Corners of all patches of the grid as (P, 2) int64.
#[pyfunction]
pub fn patch_grid(
    py: Python<'_>,
    height: i128,
    width: i128,
    patch_size: i128,
    stride: i128,
) -> PyResult<Bound<'_, PyArray2<i64>>> {
    let corners = extract::corners(Grid::of_sizes(height, width, patch_size, stride)?)?;
    let count = corners.len();
    corners.into_flattened().into_pyarray(py).reshape([count, 2])
}

/// Number of patches of the grid.
#[pyfunction]
pub fn count_patches(height: i128, width: i128, patch_size: i128, stride: i128) -> PyResult<usize> {
    Ok(Grid::of_sizes(height, width, patch_size, stride)?.count())
}

/// Patches of an image (H, W, C), from number `first` of its grid on, into `out` (P, C, h, w).
#[pyfunction]
pub fn extract_patches(
    py: Python<'_>,
    image: ImageArray<'_>,
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
            let (grid, range) = laid(image_shape(image.shape()), &shape, stride, first)?;
            let pixels = image.as_slice()?;
            detached(py, || extract::extract_patches(pixels, grid, range, out))??
        }};
    }
    match image {
        ImageArray::U8(image) => extract!(image),
        ImageArray::U16(image) => extract!(image),
        ImageArray::F32(image) => extract!(image),
        ImageArray::F64(image) => extract!(image),
    }
    Ok(())
}

/// Crops at boxes (N, 5) of images (H, W, C) into `out` (N, C, h, w), turned by `turns` (N,).
#[pyfunction]
pub fn gather_crops(
    py: Python<'_>,
    images: Vec<ImageArray<'_>>,
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
    let (boxes, _) = boxes.as_slice()?.as_chunks();
    let crops: Vec<CropBox> = boxes
        .iter()
        // What is no image number, such as -1 or 0.5, would become one in a cast, so it is sent out of range.
        .map(|&[image, top, left, height, width]| CropBox {
            image: if image >= 0.0 && image.fract() == 0.0 { image as usize } else { usize::MAX },
            top,
            left,
            height,
            width,
        })
        .collect();
    let turns = turns.as_ref().map(|turns| turns.as_slice()).transpose()?;
    let out = out.as_slice_mut()?;
    detached(py, || crops::gather_crops(&sources, &crops, turns, channels, patch_size, out))??;
    Ok(())
}

/// Patches (P, C, h, w), from number `first` of the grid on, into `image` (H, W, C) as those before have left it.
#[pyfunction]
pub fn stitch_patches(
    py: Python<'_>,
    patches: &Bound<'_, PyArray4<f32>>,
    stride: usize,
    first: usize,
    image: &Bound<'_, PyArray3<f32>>,
) -> PyResult<()> {
    let (patches, mut image) = (readable(patches)?, writable(image)?);
    let (grid, range) = laid(image_shape(image.shape()), patches.shape(), stride, first)?;
    let (patches, image) = (patches.as_slice()?, image.as_slice_mut()?);
    detached(py, || stitch::stitch_patches(patches, grid, range, image))??;
    Ok(())
}

/// Textures of K stains on each of N patches, as arrays by name; a source of -1 is the noise.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct TextureArrays<'py> {
    /// (N, K).
    bends: PyReadonlyArray2<'py, f32>,
    /// (N, K, 6): cosine and sine of each of three.
    lobes: PyReadonlyArray3<'py, f32>,
    /// (N, K).
    sources: PyReadonlyArray2<'py, i64>,
    /// (N, K, 2).
    origins: PyReadonlyArray3<'py, f32>,
    /// (N, K, 4): row and column for one row down, then for one column to the right.
    steps: PyReadonlyArray3<'py, f32>,
    /// (N, K).
    contrasts: PyReadonlyArray2<'py, f32>,
    /// (M, C, h, h).
    patches: Bound<'py, PyArray4<f32>>,
    /// (h, h).
    noise: PyReadonlyArray2<'py, f32>,
}

impl TextureArrays<'_> {
    fn textures(&self) -> PyResult<Vec<Texture>> {
        let (bends, contrasts, sources) =
            (self.bends.as_slice()?, self.contrasts.as_slice()?, self.sources.as_slice()?);
        let lobes = rows_of::<6>("lobes", &self.lobes)?;
        let (origins, steps) = (rows_of("origins", &self.origins)?, rows_of::<4>("steps", &self.steps)?);
        let count = sources.len();
        for (what, found) in [
            ("bends", bends.len()),
            ("lobes", lobes.len()),
            ("origins", origins.len()),
            ("steps", steps.len()),
            ("contrasts", contrasts.len()),
        ] {
            check_len(what, count, found)?;
        }
        let texture = |index: usize| {
            let ([a, b, c, d, e, f], [down, right, below, beside]) = (lobes[index], steps[index]);
            Texture {
                bend: bends[index],
                lobes: [[a, b], [c, d], [e, f]],
                source: match sources[index] {
                    -1 => Source::Noise,
                    // What is no number of a patch is sent out of range.
                    number => Source::Patch(usize::try_from(number).unwrap_or(usize::MAX)),
                },
                origin: origins[index],
                steps: [[down, right], [below, beside]],
                contrast: contrasts[index],
            }
        };
        Ok((0..count).map(texture).collect())
    }
}

/// Paints K stains over each of `patches` (N, C, h, h): ellipses with `centres` and `semi_axes` (N, K, 2), `angles`,
/// `edges` and `opacities` (N, K), and `values` (N, K, C), which `textures` add to what they read. Writes how far each
/// pixel is covered to `cover` (N, h, h).
#[pyfunction]
#[pyo3(signature = (patches, values, *, centres, semi_axes, angles, edges, opacities, textures=None, cover=None))]
#[allow(clippy::too_many_arguments)]
pub fn paint_stains(
    py: Python<'_>,
    patches: &Bound<'_, PyArray4<f32>>,
    values: PyReadonlyArray3<'_, f32>,
    centres: PyReadonlyArray3<'_, f32>,
    semi_axes: PyReadonlyArray3<'_, f32>,
    angles: PyReadonlyArray2<'_, f32>,
    edges: PyReadonlyArray2<'_, f32>,
    opacities: PyReadonlyArray2<'_, f32>,
    textures: Option<TextureArrays<'_>>,
    cover: Option<&Bound<'_, PyArray3<f32>>>,
) -> PyResult<()> {
    let mut patches = writable(patches)?;
    let shape = patches.shape().to_vec();
    let [count, channels, side] = patches_of(&shape)?;
    let per_patch = values.shape()[1];
    if values.shape() != [count, per_patch, channels] {
        let found = values.shape();
        let message = format!("`values` must have shape ({count}, K, {channels}), got {found:?}");
        return Err(Error::Value(message).into());
    }
    let (centres, semi_axes) = (rows_of("centres", &centres)?, rows_of("semi_axes", &semi_axes)?);
    let (angles, edges, opacities) = (angles.as_slice()?, edges.as_slice()?, opacities.as_slice()?);
    for (what, found) in [
        ("centres", centres.len()),
        ("semi_axes", semi_axes.len()),
        ("angles", angles.len()),
        ("edges", edges.len()),
        ("opacities", opacities.len()),
    ] {
        check_len(what, count * per_patch, found)?;
    }
    let painted: Vec<Stain> = (0..count * per_patch)
        .map(|index| Stain {
            centre: centres[index],
            semi_axes: semi_axes[index],
            angle: angles[index],
            edge: edges[index],
            opacity: opacities[index],
        })
        .collect();
    let read = match &textures {
        None => None,
        Some(arrays) => {
            let (sources, noise) = (readable(&arrays.patches)?, &arrays.noise);
            if sources.shape()[1..] != shape[1..] || noise.shape() != [side, side] {
                let found = (sources.shape(), noise.shape());
                let message = format!(
                    "textures must read patches (M, {channels}, {side}, {side}) and noise ({side}, {side}), got {found:?}"
                );
                return Err(Error::Value(message).into());
            }
            Some((arrays.textures()?, sources, noise.as_slice()?))
        }
    };
    let textures = match &read {
        None => None,
        Some((each, sources, noise)) => Some(Textures { each, patches: sources.as_slice()?, noise }),
    };
    let mut cover = cover.map(writable).transpose()?;
    if let Some(cover) = cover.as_ref().filter(|cover| cover.shape() != [count, side, side]) {
        let found = cover.shape();
        let message = format!("`cover` must have shape ({count}, {side}, {side}), got {found:?}");
        return Err(Error::Value(message).into());
    }
    let cover = cover.as_mut().map(|cover| cover.as_slice_mut()).transpose()?;
    let (values, patches) = (values.as_slice()?, patches.as_slice_mut()?);
    detached(py, || stains::paint_stains(patches, channels, side, &painted, values, textures, cover))??;
    Ok(())
}

/// Rows of an array (N, K, W).
fn rows_of<'a, const W: usize>(what: &str, array: &'a PyReadonlyArray3<'_, f32>) -> PyResult<&'a [[f32; W]]> {
    match array.as_slice()?.as_chunks() {
        (rows, []) if array.shape()[2] == W => Ok(rows),
        _ => {
            Err(Error::Value(format!("`{what}` must have shape (N, K, {W}), got {:?}", array.shape())).into())
        }
    }
}
