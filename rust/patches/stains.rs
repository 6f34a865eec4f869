//! Stains painted over patches: ellipses of one value for each channel, or shapes that hold a texture.

use std::ops::Range;

use rayon::prelude::*;

use super::textures::{Texture, Textures};
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

/// One patch that is painted over.
struct Canvas<'a> {
    /// Its planes, one for each channel.
    planes: &'a mut [f32],
    /// How far each pixel is covered by now, where that is asked for.
    cover: Option<&'a mut [f32]>,
    side: usize,
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
    fn reach(&self, axis: usize, side: usize) -> Range<usize> {
        let radius = self.semi_axes[0].max(self.semi_axes[1]) + self.edge;
        pixels_between(self.centre[axis] - radius, self.centre[axis] + radius, side)
    }

    /// Paints an ellipse of one value for each channel.
    fn paint(&self, values: &[f32], canvas: &mut Canvas<'_>, shares: &mut [f32]) {
        let (sine, cosine) = self.angle.sin_cos();
        let [long, wide] = self.semi_axes;
        // About how far inside the ellipse a pixel lies, in edges; half covered on the ellipse itself.
        let softness = (long * wide).sqrt() / self.edge;
        let columns = self.reach(1, canvas.side);
        for row in self.reach(0, canvas.side) {
            let down = row as f32 - self.centre[0];
            let shares = &mut shares[..columns.len()];
            for (column, share) in columns.clone().zip(shares.iter_mut()) {
                let across = column as f32 - self.centre[1];
                let along = across * (cosine / long) + down * (sine / long);
                let off = down * (cosine / wide) - across * (sine / wide);
                let radius = (along * along + off * off).sqrt();
                *share = (softness + 0.5 - radius * softness).clamp(0.0, 1.0) * self.opacity;
            }
            for (channel, value) in values.iter().enumerate() {
                for (pixel, share) in canvas.line(channel, row, columns.clone()).iter_mut().zip(&*shares) {
                    *pixel += share * (value - *pixel);
                }
            }
            canvas.add_cover(row, columns.start, shares);
        }
    }

    /// Paints the outline that the texture makes of the ellipse, and what it reads inside.
    fn paint_texture(
        &self,
        values: &[f32],
        texture: &Texture,
        textures: &Textures<'_>,
        canvas: &mut Canvas<'_>,
        shares: &mut [f32],
    ) {
        let outline = texture.outline(self);
        let reader = textures.reader(texture, values.len(), canvas.side);
        for row in outline.rows(canvas.side) {
            let columns = outline.columns(row, canvas.side);
            let shares = &mut shares[..columns.len()];
            outline.cover(row, columns.start, shares);
            let down = row as f32 - self.centre[0];
            for (column, &share) in columns.clone().zip(&*shares) {
                if share > 0.0 {
                    let taps = reader.taps(down, column as f32 - self.centre[1]);
                    for (channel, base) in values.iter().enumerate() {
                        let value = (base + texture.contrast * reader.read(channel, &taps)).clamp(0.0, 1.0);
                        let pixel = &mut canvas.planes[(channel * canvas.side + row) * canvas.side + column];
                        *pixel += share * (value - *pixel);
                    }
                }
            }
            canvas.add_cover(row, columns.start, shares);
        }
    }
}

impl Canvas<'_> {
    fn line(&mut self, channel: usize, row: usize, columns: Range<usize>) -> &mut [f32] {
        &mut self.planes[(channel * self.side + row) * self.side..][columns]
    }

    /// Notes that a stain covers shares of the pixels of a row, from a column on.
    fn add_cover(&mut self, row: usize, first: usize, shares: &[f32]) {
        if let Some(cover) = &mut self.cover {
            for (covered, share) in cover[row * self.side + first..].iter_mut().zip(shares) {
                *covered += share * (1.0 - *covered);
            }
        }
    }
}

/// Pixels of a side from before `first` to after `last`, in pixels.
pub(super) fn pixels_between(first: f32, last: f32, side: usize) -> Range<usize> {
    let first = (first.floor().max(0.0) as usize).min(side);
    let end = last.ceil().max(-1.0) + 1.0;
    first..(end as usize).clamp(first, side)
}

/// Paints stains over patches (N, C, side, side), the same number on each, one after the other.
///
/// `values` holds those of each stain by channel. With `textures`, one for each stain, `values` are added to what is
/// read from them. `cover`, (N, side, side), receives how far each pixel is covered: 1 minus the product of what each
/// stain leaves uncovered.
///
/// # Errors
/// If lengths do not fit together, a number is not finite, a semi-axis or an edge is not positive, or a texture is
/// refused as [`Texture`] says.
pub fn paint_stains(
    patches: &mut [f32],
    channels: usize,
    side: usize,
    stains: &[Stain],
    values: &[f32],
    textures: Option<Textures<'_>>,
    cover: Option<&mut [f32]>,
) -> Result<(), Error> {
    let patch_len = channels.saturating_mul(side).saturating_mul(side).max(1);
    let count = patches.len() / patch_len;
    check_len("patches", count * patch_len, patches.len())?;
    check_len("values", stains.len().saturating_mul(channels), values.len())?;
    let per_patch = stains.len() / count.max(1);
    check_len("stains", count * per_patch, stains.len())?;
    stains.iter().try_for_each(Stain::check)?;
    if let Some(textures) = &textures {
        textures.check(stains.len(), channels, side)?;
    }
    let mut covers: Vec<Option<&mut [f32]>> = (0..count).map(|_| None).collect();
    if let Some(cover) = cover {
        check_len("cover", count * side * side, cover.len())?;
        cover.fill(0.0);
        covers = cover.chunks_exact_mut((side * side).max(1)).map(Some).collect();
    }
    if per_patch == 0 {
        return Ok(());
    }
    patches.par_chunks_mut(patch_len).zip(covers).enumerate().for_each(|(index, (planes, cover))| {
        let mut canvas = Canvas { planes, cover, side };
        let mut shares = vec![0.0; side];
        for stain in index * per_patch..(index + 1) * per_patch {
            let values = &values[stain * channels..][..channels];
            match &textures {
                None => stains[stain].paint(values, &mut canvas, &mut shares),
                Some(textures) => {
                    let texture = &textures.each[stain];
                    stains[stain].paint_texture(values, texture, textures, &mut canvas, &mut shares);
                }
            }
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
        assert!(paint_stains(&mut patch, 2, 16, &[long], &[1.0, 0.5], None, None).is_ok());
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
            paint_stains(
                &mut patches,
                1,
                16,
                &[ROUND, half, outside, outside],
                &[1.0, 0.0, 1.0, 1.0],
                None,
                None
            )
            .is_ok()
        );
        assert_eq!(patches[8 * 16 + 8], 0.5);
        assert!(patches[256..].iter().all(|&pixel| pixel == 0.25));
    }

    #[test]
    fn what_does_not_fit_or_is_no_ellipse_is_refused() {
        let mut patch = vec![0.0; 256];
        assert!(paint_stains(&mut patch, 1, 16, &[ROUND], &[], None, None).is_err());
        assert!(paint_stains(&mut patch, 1, 15, &[ROUND], &[1.0], None, None).is_err());
        assert!(
            paint_stains(&mut patch, 1, 16, &[Stain { edge: 0.0, ..ROUND }], &[1.0], None, None).is_err()
        );
        assert!(
            paint_stains(&mut patch, 1, 16, &[Stain { angle: f32::NAN, ..ROUND }], &[1.0], None, None)
                .is_err()
        );
        assert!(paint_stains(&mut [0.0; 512], 1, 16, &[ROUND; 3], &[1.0; 3], None, None).is_err());
        assert!(paint_stains(&mut patch, 1, 16, &[], &[], None, None).is_ok());
        assert!(patch.iter().all(|&pixel| pixel == 0.0));
    }

    #[test]
    fn cover_is_what_the_stains_do_not_leave() {
        let mut patches = vec![0.0; 2 * 2 * 256];
        let half = Stain { opacity: 0.5, ..ROUND };
        let small = Stain { semi_axes: [2.0, 2.0], opacity: 0.75, ..ROUND };
        let outside = Stain { centre: [-40.0, 90.0], ..ROUND };
        let stains = [half, small, outside, outside];
        let mut cover = vec![f32::NAN; 2 * 256];
        assert!(paint_stains(&mut patches, 2, 16, &stains, &[1.0; 8], None, Some(&mut cover)).is_ok());
        assert_eq!((cover[8 * 16 + 8], cover[8 * 16 + 11], cover[0]), (0.875, 0.5, 0.0));
        assert!(cover[256..].iter().all(|&share| share == 0.0));
        // White on black shows the cover itself.
        assert!(patches[..256].iter().zip(&cover).all(|(pixel, share)| (pixel - share).abs() < 1e-6));
        assert!(paint_stains(&mut patches, 2, 16, &stains, &[1.0; 8], None, Some(&mut cover[1..])).is_err());
        assert!(paint_stains(&mut patches, 2, 16, &[], &[], None, Some(&mut cover)).is_ok());
        assert!(cover.iter().all(|&share| share == 0.0));
    }
}
