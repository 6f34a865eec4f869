//! The window along one side: weighted sums of rows of columns, vertically from a ring of rows, sideways in one row.

use std::ops::Range;

use super::MAX_TAPS;
use super::simd::{Arch, Buffer, LANES, Real, Simd, WithSimd};

/// Rows that a window of equal weights adds at once; its sums are taken of such quads first.
const QUAD: usize = 4;

/// Longest side of equal weights whose rows are summed one by one: two sums at once share all but one of them.
const DIRECT: usize = 11;

/// Most pairs of weights that one pass over the columns takes.
const PAIRS: usize = 8;

/// Columns past the end of a row that windows read.
const SLACK: usize = 4 * LANES;

/// A window along one side, as it is computed.
#[derive(Debug, Clone, PartialEq)]
pub enum Window<T> {
    /// Symmetric weights from the outermost to the middle one: rows of equal weight are added before they are weighted.
    Symmetric(Vec<T>),
    /// As many equal weights: sums of quads and of what is left, so that the cost hardly grows with the side.
    Equal(usize),
}

impl<T: Real> Window<T> {
    /// Takes an odd number of symmetric weights.
    pub fn new(taps: &[T]) -> Self {
        if taps.len() > 1 && taps.iter().all(|tap| *tap == taps[0]) {
            Self::Equal(taps.len())
        } else {
            Self::Symmetric(taps[..=taps.len() / 2].to_vec())
        }
    }

    /// Pixels along the side.
    pub fn side(&self) -> usize {
        match self {
            Self::Symmetric(weights) => 2 * weights.len() - 1,
            Self::Equal(side) => *side,
        }
    }

    /// Pixels on either side of the middle.
    pub fn radius(&self) -> usize {
        self.side() / 2
    }

    fn is_equal_beyond(&self, side: usize) -> bool {
        matches!(self, Self::Equal(found) if *found > side)
    }

    /// What a sum of rows is multiplied with.
    fn scale(&self) -> T {
        T::from_f64(1.0 / self.side() as f64)
    }

    /// Writes the window over rows, given by their steps along the side from the oldest or leftmost one on. Quads are
    /// given by their first step.
    fn blur<'a>(
        &self,
        arch: Arch,
        row: impl Fn(usize) -> &'a [T],
        quad: impl Fn(usize) -> &'a [T],
        out: &mut [T],
    ) where
        T: 'a,
    {
        let mut rows: [&[T]; MAX_TAPS + 1] = [&[]; MAX_TAPS + 1];
        match self {
            Self::Symmetric(weights) => {
                let count = fill(&mut rows, (0..self.side()).map(row));
                arch.dispatch(Blur { weights, rows: &rows[..count], out });
            }
            Self::Equal(side) => {
                let quads = if self.is_equal_beyond(QUAD) { side / QUAD } else { 0 };
                let steps = (0..quads).map(|step| quad(step * QUAD)).chain((quads * QUAD..*side).map(row));
                let count = fill(&mut rows, steps);
                arch.dispatch(Sum { rows: &rows[..count], scale: self.scale(), out });
            }
        }
    }
}

fn fill<'a, T>(rows: &mut [&'a [T]], steps: impl Iterator<Item = &'a [T]>) -> usize {
    rows.iter_mut().zip(steps).map(|(row, step)| *row = step).count()
}

/// The last rows, one more than the window is high.
pub struct Ring<T> {
    rows: Buffer<T>,
    quads: Option<Buffer<T>>,
    side: usize,
    length: usize,
    pushed: usize,
}

impl<T: Real> Ring<T> {
    /// Makes room for rows of a length, a multiple of [`LANES`]; all are zero to begin with.
    pub fn new(window: &Window<T>, length: usize) -> Self {
        let room = (window.side() + 1) * (length + LANES);
        let quads = window.is_equal_beyond(DIRECT).then(|| Buffer::new(room));
        Self { rows: Buffer::new(room), quads, side: window.side(), length, pushed: 0 }
    }

    /// Where a row lies. Between two is one register more, so that the rows of a window are in different sets of the
    /// cache.
    fn place(&self, row: usize) -> Range<usize> {
        let start = row % (self.side + 1) * (self.length + LANES);
        start..start + self.length
    }

    /// Lets `fill` write the next row.
    pub fn push(&mut self, arch: Arch, fill: impl FnOnce(&mut [T])) {
        let place = self.place(self.pushed);
        fill(&mut self.rows[place.clone()]);
        if self.quads.is_some() && self.pushed + 1 >= QUAD {
            let rows = [0, 1, 2, 3].map(|step| self.place(self.pushed - step));
            let rows = rows.map(|place| &self.rows[place]);
            if let Some(quads) = &mut self.quads {
                arch.dispatch(Sum { rows: &rows, scale: T::from_f64(1.0), out: &mut quads[place] });
            }
        }
        self.pushed += 1;
    }

    /// Writes the window over the rows before the last one, and after it that over the last rows: both at once read each
    /// row once.
    pub fn blur_two(&self, arch: Arch, window: &Window<T>, out: &mut [T]) {
        let outs = out.split_at_mut(self.length).into();
        let oldest = self.pushed - 1 - self.side;
        let row = |step: usize| &self.rows[self.place(oldest + step)];
        if let Window::Symmetric(weights) = window {
            let mut rows: [&[T]; MAX_TAPS + 1] = [&[]; MAX_TAPS + 1];
            let count = fill(&mut rows, (0..=self.side).map(row));
            return arch.dispatch(BlurTwo { weights, rows: &rows[..count], outs });
        }
        // All rows but the first and the last one are shared.
        let mut rows: [&[T]; MAX_TAPS + 1] = [&[]; MAX_TAPS + 1];
        let quads = self.quads.as_ref().map_or(0, |_| (self.side - 1) / QUAD);
        let mut count = 0;
        if let Some(sums) = &self.quads {
            count = fill(&mut rows, (0..quads).map(|quad| &sums[self.place(oldest + (quad + 1) * QUAD)]));
        }
        count += fill(&mut rows[count..], (1 + quads * QUAD..self.side).map(row));
        let (rows, ends, scale) = (&rows[..count], [row(0), row(self.side)], window.scale());
        arch.dispatch(SumTwo { rows, ends, scale, outs });
    }
}

/// One row over which a window slides sideways: what the columns of several planes, laid one after the other, have on
/// both sides of them must be there, too.
pub struct Line<T> {
    columns: Buffer<T>,
    quads: Option<Buffer<T>>,
    length: usize,
}

impl<T: Real> Line<T> {
    /// Makes room for columns, all zero.
    pub fn new(window: &Window<T>, length: usize) -> Self {
        let room = || Buffer::new(length + SLACK);
        Self { columns: room(), quads: window.is_equal_beyond(QUAD).then(room), length }
    }

    /// The columns, to be written.
    pub fn columns(&mut self) -> &mut [T] {
        &mut self.columns[..self.length]
    }

    /// Writes the window over all columns, the first one reaching from column `first` on.
    pub fn blur(&mut self, arch: Arch, window: &Window<T>, first: usize, out: &mut [T]) {
        let (columns, length) = (&self.columns, self.length);
        if let Some(quads) = &mut self.quads {
            let rows = [0, 1, 2, 3].map(|step| &columns[step..][..length + 2 * LANES]);
            arch.dispatch(Sum {
                rows: &rows,
                scale: T::from_f64(1.0),
                out: &mut quads[..length + 2 * LANES],
            });
        }
        let quads = self.quads.as_deref().unwrap_or_default();
        window.blur(
            arch,
            |step| &columns[first + step..][..length],
            |step| &quads[first + step..][..length],
            out,
        );
    }
}

/// Weighted sum of rows: weights from the outermost pair to the middle row.
struct Blur<'a, T> {
    weights: &'a [T],
    rows: &'a [&'a [T]],
    out: &'a mut [T],
}

/// The same of all rows but the last, and of all but the first.
struct BlurTwo<'a, T> {
    weights: &'a [T],
    rows: &'a [&'a [T]],
    outs: [&'a mut [T]; 2],
}

macro_rules! with_count {
    ($found:expr, $call:ident, $first:literal, $arguments:tt, $($count:literal)*) => {
        match $found {
            $($count => $call::<S, T, $count, $first> $arguments,)*
            _ => unreachable!(),
        }
    };
}

impl<T: Real> WithSimd for Blur<'_, T> {
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

impl<T: Real> WithSimd for BlurTwo<'_, T> {
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
    for place in 0..one.len() {
        let mut sums = if FIRST {
            [T::mul_lanes(simd, weight, middles[0][place]), T::mul_lanes(simd, weight, middles[1][place])]
        } else {
            [one[place], two[place]]
        };
        for pair in 0..COUNT {
            let next_left = if pair + 1 < COUNT { left[pair + 1][place] } else { inner[place] };
            let next_right = if pair + 1 < COUNT { right[pair + 1][place] } else { outer[place] };
            let first = T::add_lanes(simd, left[pair][place], next_right);
            let second = T::add_lanes(simd, next_left, right[pair][place]);
            sums[0] = T::mul_add_lanes(simd, splats[pair], first, sums[0]);
            sums[1] = T::mul_add_lanes(simd, splats[pair], second, sums[1]);
        }
        [one[place], two[place]] = sums;
    }
}

/// Scaled sums of the same rows and one more each.
struct SumTwo<'a, T> {
    rows: &'a [&'a [T]],
    ends: [&'a [T]; 2],
    scale: T,
    outs: [&'a mut [T]; 2],
}

impl<T: Real> WithSimd for SumTwo<'_, T> {
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
struct Sum<'a, T> {
    rows: &'a [&'a [T]],
    scale: T,
    out: &'a mut [T],
}

impl<T: Real> WithSimd for Sum<'_, T> {
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
