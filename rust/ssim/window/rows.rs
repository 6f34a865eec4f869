//! Weighted and plain sums of rows, one or two at a time, in whole registers.

use super::super::simd::lanes::{Real, Simd, WithSimd};

/// Most pairs of weights that one pass over the columns takes.
const PAIRS: usize = 8;

/// Weighted sum of rows: weights from the outermost pair to the middle row.
pub struct BlurRow<'a, T> {
    /// From the outermost pair to the middle row.
    pub weights: &'a [T],
    /// One row for each tap of the window.
    pub rows: &'a [&'a [T]],
    /// Receives the sum.
    pub out: &'a mut [T],
}

/// Two weighted sums: of all rows but the last, and of all but the first.
pub struct BlurTwoRows<'a, T> {
    /// From the outermost pair to the middle row.
    pub weights: &'a [T],
    /// One more than the window has taps.
    pub rows: &'a [&'a [T]],
    /// Receive the sums.
    pub outs: [&'a mut [T]; 2],
}

macro_rules! with_count {
    ($found:expr, $call:ident, $first:literal, $arguments:tt, $($count:literal)*) => {
        match $found {
            $($count => $call::<S, T, $count, $first> $arguments,)*
            _ => unreachable!(),
        }
    };
}

impl<T: Real> WithSimd for BlurRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weights, rows, out } = self;
        let radius = weights.len() - 1;
        with_count!(PAIRS.min(radius), add_pairs, true, (simd, weights, rows, out), 0 1 2 3 4 5 6 7 8);
        if radius > PAIRS {
            let (weights, rows) = (&weights[PAIRS..], &rows[PAIRS..rows.len() - PAIRS]);
            with_count!(radius - PAIRS, add_pairs, false, (simd, weights, rows, out), 1 2 3 4 5 6 7);
        }
    }
}

impl<T: Real> WithSimd for BlurTwoRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weights, rows, outs: [one, two] } = self;
        let radius = weights.len() - 1;
        with_count!(PAIRS.min(radius), add_pairs_two, true, (simd, weights, rows, one, two), 0 1 2 3 4 5 6 7 8);
        if radius > PAIRS {
            let (weights, rows) = (&weights[PAIRS..], &rows[PAIRS..rows.len() - PAIRS]);
            with_count!(radius - PAIRS, add_pairs_two, false, (simd, weights, rows, one, two), 1 2 3 4 5 6 7);
        }
    }
}

/// Adds the outermost `COUNT` weighted pairs of rows to `out`; `FIRST` begins with the middle row instead of adding.
#[inline(always)]
fn add_pairs<S: Simd, T: Real, const COUNT: usize, const FIRST: bool>(
    simd: S,
    weights: &[T],
    rows: &[&[T]],
    out: &mut [T],
) {
    let out = T::vectors_mut::<S>(out);
    let mut left: [&[T::Vector<S>]; COUNT] = [&[]; COUNT];
    let mut right = left;
    let mut splats = [T::splat(simd, T::default()); COUNT];
    for pair in 0..COUNT {
        left[pair] = &T::vectors::<S>(rows[pair])[..out.len()];
        right[pair] = &T::vectors::<S>(rows[rows.len() - 1 - pair])[..out.len()];
        splats[pair] = T::splat(simd, weights[pair]);
    }
    let middle = &T::vectors::<S>(rows[rows.len() / 2])[..out.len()];
    let weight = T::splat(simd, weights[weights.len() - 1]);
    for (place, out) in out.iter_mut().enumerate() {
        let mut sum = if FIRST { T::mul_lanes(simd, weight, middle[place]) } else { *out };
        for pair in 0..COUNT {
            sum = T::mul_add_lanes(
                simd,
                splats[pair],
                T::add_lanes(simd, left[pair][place], right[pair][place]),
                sum,
            );
        }
        *out = sum;
    }
}

/// Does what [`add_pairs`] does for two neighbouring outputs; `rows` has one more.
#[inline(always)]
fn add_pairs_two<S: Simd, T: Real, const COUNT: usize, const FIRST: bool>(
    simd: S,
    weights: &[T],
    rows: &[&[T]],
    one: &mut [T],
    two: &mut [T],
) {
    let (one, two) = (T::vectors_mut::<S>(one), T::vectors_mut::<S>(two));
    let two = &mut two[..one.len()];
    let mut left: [&[T::Vector<S>]; COUNT] = [&[]; COUNT];
    let mut right = left;
    let mut splats = [T::splat(simd, T::default()); COUNT];
    for pair in 0..COUNT {
        left[pair] = &T::vectors::<S>(rows[pair])[..one.len()];
        right[pair] = &T::vectors::<S>(rows[rows.len() - 1 - pair])[..one.len()];
        splats[pair] = T::splat(simd, weights[pair]);
    }
    // The pairs of the second output begin a row later, those of the first end a row earlier: the inner ends are shared.
    let inner = &T::vectors::<S>(rows[COUNT])[..one.len()];
    let outer = &T::vectors::<S>(rows[rows.len() - 1 - COUNT])[..one.len()];
    let middle = rows.len() / 2 - 1;
    let middles =
        [&T::vectors::<S>(rows[middle])[..one.len()], &T::vectors::<S>(rows[middle + 1])[..one.len()]];
    let weight = T::splat(simd, weights[weights.len() - 1]);
    // The innermost ends of all pairs are the middle rows, which are read once then.
    let whole = FIRST && COUNT == middle;
    for place in 0..one.len() {
        let middles = if FIRST { [middles[0][place], middles[1][place]] } else { [one[place], two[place]] };
        let ends = if whole { middles } else { [inner[place], outer[place]] };
        let mut sums = if FIRST {
            [T::mul_lanes(simd, weight, middles[0]), T::mul_lanes(simd, weight, middles[1])]
        } else {
            middles
        };
        for pair in 0..COUNT {
            let next_left = if pair + 1 < COUNT { left[pair + 1][place] } else { ends[0] };
            let next_right = if pair + 1 < COUNT { right[pair + 1][place] } else { ends[1] };
            let first = T::add_lanes(simd, left[pair][place], next_right);
            let second = T::add_lanes(simd, next_left, right[pair][place]);
            sums[0] = T::mul_add_lanes(simd, splats[pair], first, sums[0]);
            sums[1] = T::mul_add_lanes(simd, splats[pair], second, sums[1]);
        }
        [one[place], two[place]] = sums;
    }
}

/// Scaled sums of the same rows and one more each.
pub struct SumTwoRows<'a, T> {
    /// Rows of both sums.
    pub rows: &'a [&'a [T]],
    /// Row of the first sum alone, and of the second.
    pub ends: [&'a [T]; 2],
    /// Factor of the sums.
    pub scale: T,
    /// Receive the sums.
    pub outs: [&'a mut [T]; 2],
}

impl<T: Real> WithSimd for SumTwoRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, ends, scale, outs } = self;
        with_count!(rows.len(), add_rows_two, true, (simd, rows, ends, scale, outs), 2 3 4 5 6 7 8 9 10);
    }
}

#[inline(always)]
fn add_rows_two<S: Simd, T: Real, const COUNT: usize, const FIRST: bool>(
    simd: S,
    rows: &[&[T]],
    ends: [&[T]; 2],
    scale: T,
    [one, two]: [&mut [T]; 2],
) {
    let (one, two) = (T::vectors_mut::<S>(one), T::vectors_mut::<S>(two));
    let two = &mut two[..one.len()];
    let mut vectors: [&[T::Vector<S>]; COUNT] = [&[]; COUNT];
    for (vectors, row) in vectors.iter_mut().zip(rows) {
        *vectors = &T::vectors::<S>(row)[..one.len()];
    }
    let (first, last) = (&T::vectors::<S>(ends[0])[..one.len()], &T::vectors::<S>(ends[1])[..one.len()]);
    let scale = T::splat(simd, scale);
    for place in 0..one.len() {
        let mut sum = vectors[0][place];
        for row in &vectors[1..] {
            sum = T::add_lanes(simd, sum, row[place]);
        }
        one[place] = T::mul_lanes(simd, T::add_lanes(simd, sum, first[place]), scale);
        two[place] = T::mul_lanes(simd, T::add_lanes(simd, sum, last[place]), scale);
    }
}

/// Scaled sum of rows.
pub struct SumRow<'a, T> {
    /// Up to ten.
    pub rows: &'a [&'a [T]],
    /// Factor of the sum.
    pub scale: T,
    /// Receives the sum.
    pub out: &'a mut [T],
}

impl<T: Real> WithSimd for SumRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, scale, out } = self;
        with_count!(rows.len(), add_rows, true, (simd, rows, scale, out), 1 2 3 4 5 6 7 8 9 10);
    }
}

#[inline(always)]
fn add_rows<S: Simd, T: Real, const COUNT: usize, const FIRST: bool>(
    simd: S,
    rows: &[&[T]],
    scale: T,
    out: &mut [T],
) {
    let out = T::vectors_mut::<S>(out);
    let mut vectors: [&[T::Vector<S>]; COUNT] = [&[]; COUNT];
    for (vectors, row) in vectors.iter_mut().zip(rows) {
        *vectors = &T::vectors::<S>(row)[..out.len()];
    }
    let scale = T::splat(simd, scale);
    for (place, out) in out.iter_mut().enumerate() {
        let mut sum = vectors[0][place];
        for row in &vectors[1..] {
            sum = T::add_lanes(simd, sum, row[place]);
        }
        *out = T::mul_lanes(simd, sum, scale);
    }
}
