//! What makes a stain of an ellipse: a warped and bent outline, and the surface or noise that is read inside it.

use std::ops::Range;

use super::stains::{Stain, pixels_between};
use crate::error::{Error, check_len};

/// Outline and filling of one stain, beside its ellipse.
///
/// Its numbers must be finite, its source one of the patches that are read, and the sizes of its lobes less than 1 in
/// sum, so that the outline keeps a distance from the middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Texture {
    /// Pixels by which both ends of the first axis are moved along the second; the axis becomes a parabola.
    pub bend: f32,
    /// Factors of cosine and sine of 2, 3 and 4 times the angle, by which the outline's radius differs from 1.
    pub lobes: [[f32; 2]; 3],
    /// Where the filling comes from.
    pub source: Source,
    /// Row and column of the source that are read in the middle of the stain.
    pub origin: [f32; 2],
    /// Rows and columns of the source for one row down, and then for one column to the right.
    pub steps: [[f32; 2]; 2],
    /// What is read is multiplied by this, and then the stain's value is added.
    pub contrast: f32,
}

/// Where the filling of a stain is read; past its border, it goes on mirrored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Source {
    /// A patch of this number, each channel from the same; bilinear.
    Patch(usize),
    /// The plane of noise, for all channels alike; interpolated without creases.
    Noise,
}

/// Textures of stains, and what they read.
#[derive(Debug, Clone, Copy)]
pub struct Textures<'a> {
    /// One for each stain.
    pub each: &'a [Texture],
    /// Patches as they are without stains, of the shape of those that are painted.
    pub patches: &'a [f32],
    /// One random value for each pixel of a plane of that side.
    pub noise: &'a [f32],
}

impl Texture {
    fn check(&self, sources: usize) -> Result<(), Error> {
        let numbers = [self.bend, self.contrast].into_iter().chain(self.origin);
        let pairs = self.lobes.iter().chain(&self.steps).flatten().copied();
        let known = match self.source {
            Source::Patch(number) => number < sources,
            Source::Noise => true,
        };
        if !numbers.chain(pairs).all(f32::is_finite) || !known || self.lobe_sizes() >= 1.0 {
            return Err(Error::Value(format!(
                "textures must be finite, of lobes less than 1 in sum and a source below {sources}, got {self:?}"
            )));
        }
        Ok(())
    }

    /// Most by which the lobes can move the outline, as a share of its radius.
    fn lobe_sizes(&self) -> f32 {
        self.lobes.iter().map(|[cosine, sine]| cosine.hypot(*sine)).sum()
    }

    /// The outline that the texture makes of an ellipse.
    pub(super) fn outline(&self, stain: &Stain) -> Outline {
        let (sine, cosine) = stain.angle.sin_cos();
        let largest = 1.0 + self.lobe_sizes();
        let slabs = stain.semi_axes.map(|length| length * largest);
        let along = slabs[0] + stain.edge / 2.0;
        let bent = self.bend.abs() * (along / stain.semi_axes[0]).powi(2);
        Outline {
            stain: *stain,
            sine,
            cosine,
            bend: self.bend,
            lobes: self.lobes,
            slabs,
            limits: [along, slabs[1] + stain.edge / 2.0 + bent],
        }
    }
}

/// The outline of a stain: a warped ellipse in pixels along and off its first axis, which may be bent.
pub(super) struct Outline {
    stain: Stain,
    sine: f32,
    cosine: f32,
    bend: f32,
    lobes: [[f32; 2]; 3],
    /// Pixels from the axes beyond which the outline does not lie.
    slabs: [f32; 2],
    /// Pixels along and off the straight axis beyond which nothing is covered.
    limits: [f32; 2],
}

impl Outline {
    pub(super) fn rows(&self, side: usize) -> Range<usize> {
        let reach = self.limits[0] * self.sine.abs() + self.limits[1] * self.cosine.abs();
        pixels_between(self.stain.centre[0] - reach, self.stain.centre[0] + reach, side)
    }

    /// Columns of a row that may be covered: few of a thin stain that lies aslant, however long it is.
    pub(super) fn columns(&self, row: usize, side: usize) -> Range<usize> {
        let down = row as f32 - self.stain.centre[0];
        let along = within(self.cosine, down * self.sine, self.limits[0]);
        let off = within(-self.sine, down * self.cosine, self.limits[1]);
        let (first, last) = (along[0].max(off[0]), along[1].min(off[1]));
        pixels_between(self.stain.centre[1] + first, self.stain.centre[1] + last, side)
    }

    /// Shares to which the pixels of a row are covered, from column `first` on.
    pub(super) fn cover(&self, row: usize, first: usize, shares: &mut [f32]) {
        let down = row as f32 - self.stain.centre[0];
        let [long, wide] = self.stain.semi_axes;
        let [[cosine_2, sine_2], [cosine_3, sine_3], [cosine_4, sine_4]] = self.lobes;
        // Keeps what is divided by away from 0 in the very middle.
        let tiny = 1e-12;
        for (index, share) in shares.iter_mut().enumerate() {
            let across = (first + index) as f32 - self.stain.centre[1];
            let along = across * self.cosine + down * self.sine;
            let straight = along / long;
            let off = down * self.cosine - across * self.sine - self.bend * straight * straight;
            let (x, y) = (straight, off / wide);
            let radius = (x * x + y * y + tiny).sqrt();
            let slope = ((x / long) * (x / long) + (y / wide) * (y / wide) + tiny / (wide * wide)).sqrt();
            // Cosine and sine of the angle, and of its multiples as powers of a complex number.
            let (c, s) = (x / radius, y / radius);
            let (c2, s2) = (c * c - s * s, 2.0 * c * s);
            let (c3, s3) = (c2 * c - s2 * s, c2 * s + s2 * c);
            let (c4, s4) = (c2 * c2 - s2 * s2, 2.0 * c2 * s2);
            let lobes =
                cosine_2 * c2 + sine_2 * s2 + cosine_3 * c3 + sine_3 * s3 + cosine_4 * c4 + sine_4 * s4;
            // Pixels to the outline along the gradient. Beyond the ends of a thin stain that is too little; there the
            // distances from the lines that it lies between count.
            let inside = (1.0 + lobes - radius) * radius / slope;
            let inside = inside.min(self.slabs[0] - along.abs()).min(self.slabs[1] - off.abs());
            *share = (0.5 + inside / self.stain.edge).clamp(0.0, 1.0) * self.stain.opacity;
        }
    }
}

/// Where `factor` x + `offset` lies within `limit` of 0.
fn within(factor: f32, offset: f32, limit: f32) -> [f32; 2] {
    if factor.abs() < 1e-6 {
        return [f32::NEG_INFINITY, f32::INFINITY];
    }
    let (one, other) = ((-limit - offset) / factor, (limit - offset) / factor);
    [one.min(other), one.max(other)]
}

/// Four pixels of a plane round a position, and the weights of the lower and of the right ones.
pub(super) struct Taps {
    pixels: [usize; 4],
    weights: [f32; 2],
}

/// Reads the source of one texture.
pub(super) struct Reader<'a> {
    planes: &'a [f32],
    side: usize,
    /// Pixels from the plane of one channel to that of the next; 0 where all read the same.
    plane_len: usize,
    smooth: bool,
    origin: [f32; 2],
    steps: [[f32; 2]; 2],
}

impl<'a> Textures<'a> {
    pub(super) fn check(&self, stains: usize, channels: usize, side: usize) -> Result<(), Error> {
        let patch_len = channels.saturating_mul(side).saturating_mul(side).max(1);
        let sources = self.patches.len() / patch_len;
        check_len("textures", stains, self.each.len())?;
        check_len("patches that textures read", sources * patch_len, self.patches.len())?;
        check_len("noise", side * side, self.noise.len())?;
        self.each.iter().try_for_each(|texture| texture.check(sources))
    }

    pub(super) fn reader(&self, texture: &Texture, channels: usize, side: usize) -> Reader<'a> {
        let plane_len = side * side;
        let (planes, plane_len, smooth) = match texture.source {
            Source::Patch(number) => {
                (&self.patches[number * channels * plane_len..][..channels * plane_len], plane_len, false)
            }
            Source::Noise => (self.noise, 0, true),
        };
        Reader { planes, side, plane_len, smooth, origin: texture.origin, steps: texture.steps }
    }
}

impl Reader<'_> {
    /// What is read so many pixels below and to the right of the middle of the stain.
    pub(super) fn taps(&self, down: f32, across: f32) -> Taps {
        let position =
            |axis: usize| self.origin[axis] + self.steps[0][axis] * down + self.steps[1][axis] * across;
        let (top, bottom, lower) = self.neighbours(position(0));
        let (left, right, righter) = self.neighbours(position(1));
        let (top, bottom) = (top * self.side, bottom * self.side);
        Taps { pixels: [top + left, top + right, bottom + left, bottom + right], weights: [lower, righter] }
    }

    /// The two pixels round a position on one side, and the weight of the second.
    ///
    /// Mirrored once at either border, no value jumps; what lies still farther out is that of the border.
    fn neighbours(&self, position: f32) -> (usize, usize, f32) {
        let last = self.side - 1;
        let mirrored = last as f32 - (last as f32 - position.abs()).abs();
        let mirrored = mirrored.clamp(0.0, last as f32);
        let first = mirrored as usize;
        let weight = mirrored - first as f32;
        let weight = if self.smooth { weight * weight * (3.0 - 2.0 * weight) } else { weight };
        (first, (first + 1).min(last), weight)
    }

    pub(super) fn read(&self, channel: usize, taps: &Taps) -> f32 {
        let plane = &self.planes[channel * self.plane_len..];
        let [top_left, top_right, bottom_left, bottom_right] = taps.pixels.map(|pixel| plane[pixel]);
        let [lower, righter] = taps.weights;
        let top = top_left + righter * (top_right - top_left);
        let bottom = bottom_left + righter * (bottom_right - bottom_left);
        top + lower * (bottom - top)
    }
}

#[cfg(test)]
mod tests {
    use super::super::stains::paint_stains;
    use super::*;

    const SIDE: usize = 32;
    const ROUND: Stain =
        Stain { centre: [16.0, 16.0], semi_axes: [8.0, 8.0], angle: 0.0, edge: 1.0, opacity: 1.0 };
    const COPY: Texture = Texture {
        bend: 0.0,
        lobes: [[0.0; 2]; 3],
        source: Source::Patch(0),
        origin: [16.0, 16.0],
        steps: [[1.0, 0.0], [0.0, 1.0]],
        contrast: 1.0,
    };

    /// Different numbers on every pixel of every patch and channel, all exact in float32.
    fn numbered(count: usize) -> Vec<f32> {
        (0..count * SIDE * SIDE).map(|index| (index % 4093) as f32 / 4096.0).collect()
    }

    /// One patch of one gray value with one stain, and its cover.
    fn painted(stain: Stain, texture: Texture, base: f32, sources: &[f32], noise: &[f32]) -> [Vec<f32>; 2] {
        let (mut patch, mut cover) = (vec![0.5; SIDE * SIDE], vec![f32::NAN; SIDE * SIDE]);
        let textures = Textures { each: &[texture], patches: sources, noise };
        let done = paint_stains(&mut patch, 1, SIDE, &[stain], &[base], Some(textures), Some(&mut cover));
        assert_eq!(done, Ok(()));
        [patch, cover]
    }

    #[test]
    fn a_stain_holds_the_pixels_of_its_source_turned_and_moved_as_told() {
        let sources = numbered(3);
        // Mirrored at the diagonal and moved: row r, column c shows row c - 3, column r + 2 of the second patch.
        let texture = Texture {
            source: Source::Patch(1),
            origin: [13.0, 18.0],
            steps: [[0.0, 1.0], [1.0, 0.0]],
            ..COPY
        };
        let [patch, cover] = painted(ROUND, texture, 0.0, &sources, &[0.0; SIDE * SIDE]);
        let mut whole = 0;
        for (index, (&pixel, &share)) in patch.iter().zip(&cover).enumerate() {
            let (row, column) = (index / SIDE, index % SIDE);
            if share == 1.0 {
                let read = sources[SIDE * SIDE + (column - 3) * SIDE + row + 2];
                assert!((pixel - read).abs() < 1e-6);
                whole += 1;
            } else if share == 0.0 {
                assert_eq!(pixel, 0.5);
            }
        }
        assert!((150..201).contains(&whole), "{whole}"); // 64 pi within the ellipse
    }

    #[test]
    fn contrast_and_value_invert_round_a_mean_and_stay_in_range() {
        let sources = numbered(1);
        let [plain, _] = painted(ROUND, COPY, 0.0, &sources, &[0.0; SIDE * SIDE]);
        let [inverted, cover] =
            painted(ROUND, Texture { contrast: -1.0, ..COPY }, 0.25, &sources, &[0.0; SIDE * SIDE]);
        for ((plain, inverted), cover) in plain.iter().zip(&inverted).zip(&cover) {
            if *cover == 1.0 {
                assert!((inverted - (0.25 - plain).max(0.0)).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn reading_goes_on_mirrored_without_a_jump() {
        let plane: Vec<f32> = (0..SIDE * SIDE).map(|index| (index / SIDE) as f32 / 32.0).collect();
        let textures = Textures { each: &[COPY], patches: &plane, noise: &plane };
        let reader = textures.reader(&Texture { origin: [0.0; 2], ..COPY }, 1, SIDE);
        for (row, value) in [(-3.0, 3.0), (-0.25, 0.25), (5.5, 5.5), (31.0, 31.0), (33.5, 28.5), (90.0, 0.0)]
        {
            assert!((reader.read(0, &reader.taps(row, 7.0)) - value / 32.0).abs() < 1e-6, "{row}");
        }
    }

    #[test]
    fn noise_is_read_by_all_channels_and_has_no_creases() {
        let noise = numbered(1);
        let texture = Texture { source: Source::Noise, steps: [[0.25, 0.0], [0.0, 0.25]], ..COPY };
        let textures = Textures { each: &[texture], patches: &[], noise: &noise };
        let reader = textures.reader(&texture, 3, SIDE);
        let value = |down: f32| reader.read(2, &reader.taps(down, 0.0));
        assert_eq!(value(4.0), noise[17 * SIDE + 16]);
        // On a point of the noise the slope is none, from either side.
        assert!((value(4.0) - value(3.9)).abs() < 0.01 * (value(4.0) - value(0.0)).abs());
    }

    #[test]
    fn rims_are_as_wide_as_told_along_both_axes_of_a_long_stain() {
        let long = Stain { semi_axes: [10.0, 3.0], edge: 4.0, ..ROUND };
        let [_, cover] = painted(long, COPY, 0.0, &numbered(1), &[0.0; SIDE * SIDE]);
        for (distance, share) in [(-2.0, 1.0), (-1.0, 0.75), (0.0, 0.5), (1.0, 0.25), (2.0, 0.0)] {
            let (along, off) = ((16.0 + 10.0 + distance) as usize, (16.0 + 3.0 + distance) as usize);
            assert!((cover[16 * SIDE + along] - share).abs() < 1e-5, "{distance}");
            assert!((cover[off * SIDE + 16] - share).abs() < 1e-5, "{distance}");
        }
        assert_eq!(cover[16 * SIDE + 16], 1.0);
    }

    #[test]
    fn nothing_is_cut_off_by_the_box_that_is_computed() {
        for (index, angle) in [0.0, 0.4, 1.1, 1.5707964, 2.5].into_iter().enumerate() {
            let stain = Stain { semi_axes: [9.0, 1.0], angle, edge: 2.0, ..ROUND };
            let lobes = [[0.1, -0.1], [0.0, 0.2], [-0.15, 0.1 * index as f32 / 4.0]];
            let texture = Texture { bend: 2.0, lobes, ..COPY };
            let outline = texture.outline(&stain);
            for row in 0..SIDE {
                let mut whole = [0.0; SIDE];
                outline.cover(row, 0, &mut whole);
                let columns =
                    if outline.rows(SIDE).contains(&row) { outline.columns(row, SIDE) } else { 0..0 };
                for (column, share) in whole.into_iter().enumerate() {
                    assert!(columns.contains(&column) || share < 1e-4, "{angle} {row} {column} {share}");
                }
            }
        }
    }

    #[test]
    fn lobes_and_bends_move_the_outline_as_told() {
        let at = |cover: &[f32], row: usize, column: usize| cover[row * SIDE + column];
        let lobed = Texture { lobes: [[0.25, 0.0], [0.0; 2], [0.0; 2]], ..COPY };
        let [_, cover] = painted(ROUND, lobed, 0.0, &numbered(1), &[0.0; SIDE * SIDE]);
        // The radius is 8 times 1.25 along the first axis, and 8 times 0.75 off it.
        assert!((at(&cover, 16, 26) - 0.5).abs() < 1e-5 && (at(&cover, 22, 16) - 0.5).abs() < 1e-5);
        let streak = Stain { semi_axes: [12.0, 1.5], ..ROUND };
        let bent = Texture { bend: 4.0, ..COPY };
        let [_, cover] = painted(streak, bent, 0.0, &numbered(1), &[0.0; SIDE * SIDE]);
        assert_eq!([at(&cover, 16, 16), at(&cover, 17, 22), at(&cover, 17, 10)], [1.0; 3]);
        assert_eq!([at(&cover, 19, 16), at(&cover, 15, 22)], [0.0; 2]);
    }

    #[test]
    fn textures_that_do_not_fit_are_refused() {
        let (sources, noise) = (numbered(2), numbered(1));
        let refused = |texture: Texture, sources: &[f32], noise: &[f32]| {
            let textures = Textures { each: &[texture], patches: sources, noise };
            let mut patch = vec![0.5; SIDE * SIDE];
            let done = paint_stains(&mut patch, 1, SIDE, &[ROUND], &[0.0], Some(textures), None);
            assert!(patch.iter().all(|&pixel| pixel == 0.5) || done.is_ok());
            done.is_err()
        };
        assert!(!refused(COPY, &sources, &noise));
        assert!(refused(Texture { source: Source::Patch(2), ..COPY }, &sources, &noise));
        assert!(refused(Texture { lobes: [[0.8, 0.0], [0.0, 0.3], [0.0; 2]], ..COPY }, &sources, &noise));
        assert!(refused(Texture { origin: [f32::NAN, 0.0], ..COPY }, &sources, &noise));
        assert!(refused(COPY, &sources[1..], &noise));
        assert!(refused(COPY, &sources, &noise[1..]));
        let none = Textures { each: &[], patches: &sources, noise: &noise };
        assert!(paint_stains(&mut [0.5; SIDE * SIDE], 1, SIDE, &[ROUND], &[0.0], Some(none), None).is_err());
    }
}
