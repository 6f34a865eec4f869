//! Computes 1 - SSIM from moments, and the rows from which its gradient is blurred, one row at a time.

use super::moments::MOMENTS;
use super::parameters::Constants;
use super::simd::lanes::{Lanes, Real, Simd, WithSimd};

/// Moments of one row, `stride` apart: four, or five with the mask's own blur.
pub struct LossRow<'a, T> {
    /// Constants.
    pub constants: Constants<T>,
    /// Blurred moments.
    pub moments: &'a [T],
    /// From one moment to the next.
    pub stride: usize,
    /// Row of 1 - SSIM.
    pub losses: &'a mut [T],
    /// Rows for the gradient, if it is wanted.
    pub slopes: Option<SlopeRows<'a, T>>,
}

/// Rows from which the gradient is blurred back, each as long as the row of the map.
pub struct SlopeRows<'a, T> {
    /// Gradient of the map.
    pub upstream: &'a [T],
    /// Factor of the gradient.
    pub scale: T,
    /// g e, g c, then the terms of the means for each input whose gradient is wanted.
    pub out: &'a mut [T],
    /// From one of these to the next.
    pub stride: usize,
    /// Whether the gradient by x is wanted.
    pub of_x: bool,
    /// Whether the gradient by y is wanted.
    pub of_y: bool,
}

impl<T: Real> WithSimd for LossRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let of = self.slopes.as_ref().map(|slopes| (slopes.of_x, slopes.of_y));
        match (self.moments.len() > MOMENTS * self.stride, of) {
            (false, None) => self.losses::<S, false>(simd),
            (true, None) => self.losses::<S, true>(simd),
            (false, Some((true, true))) => self.slopes::<S, false, true, true>(simd),
            (false, Some((true, false))) => self.slopes::<S, false, true, false>(simd),
            (false, Some((false, _))) => self.slopes::<S, false, false, true>(simd),
            (true, Some((true, true))) => self.slopes::<S, true, true, true>(simd),
            (true, Some((true, false))) => self.slopes::<S, true, true, false>(simd),
            (true, Some((false, _))) => self.slopes::<S, true, false, true>(simd),
        }
    }
}

/// Terms that the value and the slopes of a window share, in the letters of Wang et al. 2004.
struct WindowTerms<S: Simd, T: Real> {
    /// 1 over the window's weight: 0 where it holds no pixel, so that every moment is 0.
    share: Lanes<S, T>,
    /// Mean of x'.
    ux: Lanes<S, T>,
    /// Mean of x - y.
    du: Lanes<S, T>,
    a1: Lanes<S, T>,
    b1: Lanes<S, T>,
    a2: Lanes<S, T>,
    /// B2 - A2.
    dv: Lanes<S, T>,
    b2: Lanes<S, T>,
}

impl<T: Real> LossRow<'_, T> {
    /// Returns the rows of moments; the last one is the mask's, or any where there is none.
    #[inline(always)]
    fn rows<S: Simd, const MASKED: bool>(
        moments: &[T],
        stride: usize,
        length: usize,
    ) -> [&[T::Vector<S>]; MOMENTS + 1] {
        let mut rows: [&[T::Vector<S>]; MOMENTS + 1] = [&[]; MOMENTS + 1];
        for (index, row) in rows.iter_mut().enumerate() {
            let index = if index < MOMENTS || MASKED { index } else { 0 };
            *row = T::vectors::<S>(&moments[index * stride..][..length]);
        }
        rows
    }

    #[inline(always)]
    fn window_terms<S: Simd, const MASKED: bool>(
        simd: S,
        constants: Constants<T>,
        rows: &[&[T::Vector<S>]; MOMENTS + 1],
        place: usize,
    ) -> WindowTerms<S, T> {
        let splat = Lanes::<S, T>::splat;
        let (c1, c2, shift) =
            (splat(simd, constants.c1), splat(simd, constants.c2), splat(simd, constants.shift));
        let share = if MASKED {
            Lanes(simd, rows[MOMENTS][place]).inverse_or_zero()
        } else {
            splat(simd, T::from_f64(1.0))
        };
        let mut moments = [share; MOMENTS];
        for (moment, row) in moments.iter_mut().zip(rows) {
            *moment = if MASKED { *moment * Lanes(simd, row[place]) } else { Lanes(simd, row[place]) };
        }
        let [ux, du, square, product] = moments;
        let uy = ux - du;
        let luminance = (ux + shift) * (uy + shift);
        let covariance = product - ux * uy;
        let (a1, a2) = (luminance + luminance + c1, covariance + covariance + c2);
        let dv = square - du * du;
        WindowTerms { share, ux, du, a1, b1: a1 + du * du, a2, dv, b2: a2 + dv }
    }

    #[inline(always)]
    fn losses<S: Simd, const MASKED: bool>(self, simd: S) {
        let rows = Self::rows::<S, MASKED>(self.moments, self.stride, self.losses.len());
        let losses = T::vectors_mut::<S>(self.losses);
        for (place, loss) in losses.iter_mut().enumerate() {
            let WindowTerms { du, b1, dv, b2, .. } =
                Self::window_terms::<S, MASKED>(simd, self.constants, &rows, place);
            let (l, q) = (du * du / b1, dv / b2);
            *loss = (l + q - l * q).1;
        }
    }

    #[inline(always)]
    fn slopes<S: Simd, const MASKED: bool, const X: bool, const Y: bool>(self, simd: S) {
        let (constants, length) = (self.constants, self.losses.len());
        let Some(SlopeRows { upstream, scale, out, stride, .. }) = self.slopes else { return };
        let rows = Self::rows::<S, MASKED>(self.moments, self.stride, length);
        let losses = T::vectors_mut::<S>(self.losses);
        let upstream = &T::vectors::<S>(upstream)[..losses.len()];
        let (es, rest) = out.split_at_mut(stride);
        let (cs, rest) = rest.split_at_mut(stride);
        let (first, second) = rest.split_at_mut(stride.min(rest.len()));
        let es = &mut T::vectors_mut::<S>(es)[..losses.len()];
        let cs = &mut T::vectors_mut::<S>(cs)[..losses.len()];
        let first = &mut T::vectors_mut::<S>(first)[..losses.len()];
        let second = T::vectors_mut::<S>(second);
        let splat = Lanes::<S, T>::splat;
        let (zero, one) = (splat(simd, T::default()), splat(simd, T::from_f64(1.0)));
        let shift = splat(simd, constants.shift);
        // The gradient of 1 - SSIM is that of SSIM with the other sign; c and k below are half of what they are there.
        let scale = splat(simd, T::from_f64(-2.0) * scale);
        for (place, loss) in losses.iter_mut().enumerate() {
            let WindowTerms { share, ux, du, a1, b1, a2, dv, b2 } =
                Self::window_terms::<S, MASKED>(simd, constants, &rows, place);
            // Ratios one by one: b2 b1^2 would underflow for a small data range.
            let (r1, r2) = (one / b1, one / b2);
            let (l, q) = (du * du * r1, dv * r2);
            *loss = (l + q - l * q).1;
            let g = scale * Lanes(simd, upstream[place]);
            let g = if MASKED { g * share } else { g };
            // One pixel has no variance; the terms that would cancel leave their rounding otherwise.
            let c = if constants.one_pixel { zero } else { a1 * r1 * r2 };
            let e = c * q;
            let k = a2 * r2 * (du * r1);
            es[place] = (g * e).1;
            cs[place] = (g * c).1;
            if X {
                let ax = k * (((ux - du + shift) * du - a1) * r1);
                first[place] = (g * (ax - e * ux + c * du)).1;
            }
            if Y {
                let ay = k * (((ux + shift) * du + a1) * r1);
                let mean = if X { &mut second[place] } else { &mut first[place] };
                *mean = (g * (ay - e * (ux - du) - c * du)).1;
            }
        }
    }
}

/// Adds the weights of |x - y| and (x - y)^2 to a part of a row of the map.
pub fn add_extra<T: Real>([l1, l2]: [T; 2], x: &[T], y: &[T], losses: &mut [T]) {
    for ((loss, &x), &y) in losses.iter_mut().zip(x).zip(y) {
        let d = x - y;
        *loss += l1 * d.abs() + l2 * (d * d);
    }
}
