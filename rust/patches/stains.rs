//! Stains painted over patches: ellipses with soft edges and one value for each channel.

use rayon::prelude::*;

use crate::error::{Error, check_len};

/// An ellipse, in pixels; its values lie apart, one for each channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stain {
    /// Row and column of the middle; it need not lie in the patch.
    pub centre: [f32; 2],
    /// Lengths of the semi-axes; both positive.
    pub semi_axes: [f32; 2],
    /// Angle of the first axis, from the columns towards the rows, in radians.
    pub angle: f32,
    /// Width over which cover falls from whole to none; positive.
    pub edge: f32,
    /// Cover inside, in [0, 1].
    pub opacity: f32,
}

impl Stain {
    fn check(&self) -> Result<(), Error> {
        let numbers = [
            self.centre[0],
            self.centre[1],
            self.semi_axes[0],
            self.semi_axes[1],
            self.angle,
            self.edge,
            self.opacity,
        ];
        if numbers.iter().any(|number| !number.is_finite())
            || self.edge <= 0.0
            || self.semi_axes.iter().any(|&a| a <= 0.0)
        {
            return Err(Error::Value(format!(
                "stains must be finite, with positive semi-axes and edge, got {self:?}"
            )));
        }
        Ok(())
    }

    /// Pixels from first to last along an axis that the stain reaches: most are small, so only these are computed.
    fn reach(&self, axis: usize, side: usize) -> std::ops::Range<usize> {
        let radius = self.semi_axes[0].max(self.semi_axes[1]) + self.edge;
        let first = (self.centre[axis] - radius).floor().max(0.0) as usize;
        let last = (self.centre[axis] + radius).ceil().max(-1.0) + 1.0;
        first.min(side)..(last as usize).clamp(first.min(side), side)
    }

    fn paint(&self, planes: &mut [f32], side: usize, values: &[f32]) {
        let (sine, cosine) = self.angle.sin_cos();
        let [long, wide] = self.semi_axes;
        // About how far inside the ellipse a pixel lies, in edges; half covered on the ellipse itself.
        let softness = (long * wide).sqrt() / self.edge;
        let columns = self.reach(1, side);
        for row in self.reach(0, side) {
            let down = row as f32 - self.centre[0];
            for (plane, value) in planes.chunks_exact_mut(side * side).zip(values) {
                let line = &mut plane[row * side..][columns.clone()];
                for (column, pixel) in columns.clone().zip(line) {
                    let across = column as f32 - self.centre[1];
                    let along = across * (cosine / long) + down * (sine / long);
                    let off = down * (cosine / wide) - across * (sine / wide);
                    let radius = (along * along + off * off).sqrt();
                    let cover = (softness + 0.5 - radius * softness).clamp(0.0, 1.0) * self.opacity;
                    *pixel += cover * (value - *pixel);
                }
            }
        }
    }
}

/// Paints stains over patches (N, C, side, side), the same number on each, one after the other.
///
/// `values` holds those of each stain by channel.
///
/// # Errors
/// If lengths do not fit together, a number is not finite, or a semi-axis or an edge is not positive.
pub fn paint_stains(
    patches: &mut [f32],
    channels: usize,
    side: usize,
    stains: &[Stain],
    values: &[f32],
) -> Result<(), Error> {
    let patch_len = channels.saturating_mul(side).saturating_mul(side).max(1);
    let count = patches.len() / patch_len;
    check_len("patches", count * patch_len, patches.len())?;
    check_len("values", stains.len().saturating_mul(channels), values.len())?;
    let per_patch = stains.len() / count.max(1);
    check_len("stains", count * per_patch, stains.len())?;
    stains.iter().try_for_each(Stain::check)?;
    if per_patch == 0 {
        return Ok(());
    }
    patches
        .par_chunks_mut(patch_len)
        .zip(stains.par_chunks(per_patch))
        .zip(values.par_chunks(per_patch * channels))
        .for_each(|((patch, stains), values)| {
            for (stain, values) in stains.iter().zip(values.chunks_exact(channels)) {
                stain.paint(patch, side, values);
            }
        });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: Stain =
        Stain { centre: [8.0, 8.0], semi_axes: [4.0, 4.0], angle: 0.0, edge: 1.0, opacity: 1.0 };

    #[test]
    fn a_stain_covers_its_ellipse_and_no_more() {
        let mut patch = vec![0.0; 2 * 16 * 16];
        let long = Stain { semi_axes: [6.0, 2.0], angle: std::f32::consts::FRAC_PI_2, ..ROUND };
        assert!(paint_stains(&mut patch, 2, 16, &[long], &[1.0, 0.5]).is_ok());
        let at = |row: usize, column: usize| patch[row * 16 + column];
        // Turned by a quarter, the long axis lies along the rows.
        assert_eq!((at(8, 8), at(12, 8), at(8, 12), at(0, 0)), (1.0, 1.0, 0.0, 0.0));
        assert!((at(14, 8) - 0.5).abs() < 1e-5);
        assert_eq!(patch[256 + 8 * 16 + 8], 0.5);
    }

    #[test]
    fn later_stains_lie_on_earlier_ones_and_each_patch_has_its_own() {
        let mut patches = vec![0.25; 2 * 256];
        let half = Stain { opacity: 0.5, ..ROUND };
        let outside = Stain { centre: [-40.0, 90.0], ..ROUND };
        assert!(
            paint_stains(&mut patches, 1, 16, &[ROUND, half, outside, outside], &[1.0, 0.0, 1.0, 1.0])
                .is_ok()
        );
        assert_eq!(patches[8 * 16 + 8], 0.5);
        assert!(patches[256..].iter().all(|&pixel| pixel == 0.25));
    }

    #[test]
    fn what_does_not_fit_or_is_no_ellipse_is_refused() {
        let mut patch = vec![0.0; 256];
        assert!(paint_stains(&mut patch, 1, 16, &[ROUND], &[]).is_err());
        assert!(paint_stains(&mut patch, 1, 15, &[ROUND], &[1.0]).is_err());
        assert!(paint_stains(&mut patch, 1, 16, &[Stain { edge: 0.0, ..ROUND }], &[1.0]).is_err());
        assert!(paint_stains(&mut patch, 1, 16, &[Stain { angle: f32::NAN, ..ROUND }], &[1.0]).is_err());
        assert!(paint_stains(&mut [0.0; 512], 1, 16, &[ROUND; 3], &[1.0; 3]).is_err());
        assert!(paint_stains(&mut patch, 1, 16, &[], &[]).is_ok());
        assert!(patch.iter().all(|&pixel| pixel == 0.0));
    }
}
