//! The map of 1 - SSIM.

use std::ops::Range;

use super::moments::{Moments, PlanePair};
use super::parameters::Ssim;
use super::parts::strips;
use super::simd::buffer::{Buffer, whole_lanes};
use super::simd::lanes::{Arch, Real};
use super::terms::{LossRow, add_extra};

/// Writes `rows` of the map (counted as rows of the plane) into `out`, which holds those rows whole. Rows are computed by
/// twos; `odd` says that the first one is the second of two.
pub fn write_rows<T: Real>(
    ssim: &Ssim<T>,
    planes: PlanePair<'_, T>,
    rows: Range<usize>,
    odd: bool,
    out: &mut [T],
) {
    let arch = Arch::new();
    let columns = ssim.inside(planes.shape.width);
    for strip in strips(columns.clone()) {
        let mut moments = Moments::new(ssim, arch, planes, &strip, rows.start - usize::from(odd));
        if odd {
            moments.advance();
        }
        let (stride, mut losses) = (moments.stride, Buffer::<T>::new(whole_lanes(strip.len())));
        for (row, line) in rows.clone().zip(out.chunks_exact_mut(columns.len())) {
            let (constants, moments) = (ssim.constants, moments.advance());
            arch.dispatch(LossRow { constants, moments, stride, losses: &mut losses, slopes: None });
            let losses = &mut losses[..strip.len()];
            if ssim.has_extra() {
                let start = (row - planes.top) * planes.shape.width;
                let part = start + strip.start..start + strip.end;
                let (x, y) = (&planes.x[part.clone()], &planes.y[part]);
                add_extra([ssim.l1, ssim.l2], x, y, losses);
            }
            line[strip.start - columns.start..strip.end - columns.start].copy_from_slice(losses);
        }
    }
}
