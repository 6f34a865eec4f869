//! The window along one side: it moves down over a ring of rows, and sideways along one row.

use std::ops::Range;

use super::super::simd::buffer::{Buffer, LANES};
use super::super::simd::lanes::{Arch, Real};
use super::blocks::BlockSums;
use super::border::Border;
use super::rows::{BlurRow, BlurTwoRows, SumRow, SumTwoRows};

/// Largest window side.
pub const MAX_TAPS: usize = 31;

/// Columns that a window of equal weights adds at once; its sums are taken of such quads first.
const QUAD: usize = 4;

/// Longest side of equal weights whose rows are summed one by one: two sums at once share all but one of them. Sums of the
/// paper's 11 rows in blocks would be a tenth faster, but not the same to the bit.
const DIRECT: usize = 11;

/// Columns past the end of a row that windows read.
const SLACK: usize = 6 * LANES;

/// A window along one side.
#[derive(Debug, Clone, PartialEq)]
pub struct Window<T> {
    /// Weights from the outermost to the middle one: rows of equal weight are added before they are weighted.
    weights: Vec<T>,
    /// Whether all weights are the same. Then sums of parts are shared, so that the cost hardly grows with the side.
    equal: bool,
}

impl<T: Real> Window<T> {
    /// Takes an odd number of symmetric weights.
    pub fn new(taps: &[T]) -> Self {
        let equal = taps.len() > 1 && taps.iter().all(|tap| *tap == taps[0]);
        Self { weights: taps[..=taps.len() / 2].to_vec(), equal }
    }

    /// Pixels along the side.
    pub fn side(&self) -> usize {
        2 * self.weights.len() - 1
    }

    /// Pixels on either side of the middle.
    pub fn radius(&self) -> usize {
        self.weights.len() - 1
    }

    fn is_equal_beyond(&self, side: usize) -> bool {
        self.equal && self.side() > side
    }

    /// Factor of a sum of rows with equal weights.
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
        if self.equal {
            let quads = if self.is_equal_beyond(QUAD) { self.side() / QUAD } else { 0 };
            let steps = (0..quads).map(|step| quad(step * QUAD)).chain((quads * QUAD..self.side()).map(row));
            let count = fill(&mut rows, steps);
            arch.dispatch(SumRow { rows: &rows[..count], scale: self.scale(), out });
        } else {
            let count = fill(&mut rows, (0..self.side()).map(row));
            arch.dispatch(BlurRow { weights: &self.weights, rows: &rows[..count], out });
        }
    }
}

fn fill<'a, T>(rows: &mut [&'a [T]], steps: impl Iterator<Item = &'a [T]>) -> usize {
    rows.iter_mut().zip(steps).map(|(row, step)| *row = step).count()
}

/// The last rows of a plane that came, one more than the window is high.
pub struct RowRing<'a, T: Real> {
    window: &'a Window<T>,
    border: Border,
    height: usize,
    /// Rows that come.
    existing: Range<usize>,
    /// Values past a border that does not mirror.
    outside: Buffer<T>,
    rows: Buffer<T>,
    blocks: Option<BlockSums<T>>,
    length: usize,
    /// Row to come, and its slot.
    next: usize,
    slot: usize,
}

impl<'a, T: Real> RowRing<'a, T> {
    /// Makes room for rows of a length, a multiple of [`LANES`], of a plane of a height. `existing` are the rows that come;
    /// `outside` is what lies beyond them, unless they are mirrored at the plane's border.
    pub fn new(
        window: &'a Window<T>,
        border: Border,
        height: usize,
        existing: Range<usize>,
        outside: Buffer<T>,
    ) -> Self {
        let length = outside.len();
        let room = (window.side() + 1) * (length + LANES);
        let blocks = window.is_equal_beyond(DIRECT).then(|| BlockSums::new(window.side(), length));
        let next = existing.start;
        Self {
            window,
            border,
            height,
            existing,
            outside,
            rows: Buffer::new(room),
            blocks,
            length,
            next,
            slot: 0,
        }
    }

    /// Returns the position of a row that has come or comes next. Between two rows is one register more, so that the rows of a window are in
    /// different sets of the cache.
    fn place(&self, row: usize) -> Range<usize> {
        let slots = self.window.side() + 1;
        let slot = self.slot + slots - (self.next - row);
        let start = if slot < slots { slot } else { slot - slots } * (self.length + LANES);
        start..start + self.length
    }

    /// Returns the row that must come next for windows round `row` and the one after it, if they do not have all yet.
    pub fn wants(&self, row: usize) -> Option<usize> {
        (self.next < self.existing.end.min(row + 2 + self.window.radius())).then_some(self.next)
    }

    /// Lets `fill` write the next row.
    pub fn push(&mut self, fill: impl FnOnce(&mut [T])) {
        let place = self.place(self.next);
        fill(&mut self.rows[place]);
        self.next += 1;
        self.slot = if self.slot == self.window.side() { 0 } else { self.slot + 1 };
    }

    /// Returns what windows find at a row.
    fn row(&self, row: isize) -> &[T] {
        let exists = |row: &usize| self.existing.contains(row);
        match self.border.source(row, self.height).filter(exists) {
            Some(row) => &self.rows[self.place(row)],
            None => &self.outside,
        }
    }

    /// Writes the windows round a row, and after it those round the next one: both at once read each row once. Rows must
    /// come in their order.
    pub fn blur_two(&mut self, arch: Arch, row: usize, out: &mut [T]) {
        let (one, two) = out.split_at_mut(self.length);
        let (side, scale) = (self.window.side(), self.window.scale());
        let first = row as isize - self.window.radius() as isize;
        if let Some(mut blocks) = self.blocks.take() {
            blocks.window(arch, first, |row| self.row(row), scale, one);
            blocks.window(arch, first + 1, |row| self.row(row), scale, two);
            self.blocks = Some(blocks);
            return;
        }
        let (outs, row) = ([one, two], |step: usize| self.row(first + step as isize));
        let mut rows: [&[T]; MAX_TAPS + 1] = [&[]; MAX_TAPS + 1];
        if !self.window.equal {
            let (weights, count) = (&self.window.weights, fill(&mut rows, (0..=side).map(row)));
            return arch.dispatch(BlurTwoRows { weights, rows: &rows[..count], outs });
        }
        // All rows but the first and the last one are shared.
        let count = fill(&mut rows, (1..side).map(row));
        arch.dispatch(SumTwoRows { rows: &rows[..count], ends: [row(0), row(side)], scale, outs });
    }
}

/// One row along which a window slides. It holds the columns of several planes, one after the other, each continued on
/// both sides.
pub struct PaddedRow<T: Real> {
    columns: Buffer<T>,
    quads: Option<Buffer<T>>,
    length: usize,
}

impl<T: Real> PaddedRow<T> {
    /// Makes room for columns, all zero.
    pub fn new(window: &Window<T>, length: usize) -> Self {
        let room = || Buffer::new(length + SLACK);
        Self { columns: room(), quads: window.is_equal_beyond(QUAD).then(room), length }
    }

    /// The columns, to be written.
    pub fn columns(&mut self) -> &mut [T] {
        &mut self.columns[..self.length]
    }

    /// Continues the columns `inside` each plane past the left and right border, as far as windows of a radius reach.
    pub fn pad(
        &mut self,
        border: Border,
        step: usize,
        inside: Range<usize>,
        radius: usize,
        sides: [bool; 2],
    ) {
        for plane in self.columns().chunks_exact_mut(step) {
            if sides[0] {
                let (before, inside) = plane.split_at_mut(inside.start);
                border.mirror(before.iter_mut().rev().take(radius), inside.iter());
            }
            if sides[1] {
                let (inside, after) = plane.split_at_mut(inside.end);
                border.mirror(after.iter_mut().take(radius), inside.iter().rev());
            }
        }
    }

    /// Writes the window over the first columns of each plane, the first one reaching from column `first` on. `planes` are
    /// the steps from one plane to the next, and how many columns of it are wanted, both in whole registers; what is written
    /// past them has no meaning.
    pub fn blur(&mut self, arch: Arch, window: &Window<T>, first: usize, planes: [usize; 2], out: &mut [T]) {
        let (columns, length) = (&self.columns, self.length);
        let whole = window.is_equal_beyond(DIRECT).then(|| (window.side(), window.scale()));
        if T::slide(arch, &window.weights, whole, &columns[first..], planes, out) {
            return;
        }
        if let Some(quads) = &mut self.quads {
            let rows = [0, 1, 2, 3].map(|step| &columns[step..][..length + 2 * LANES]);
            arch.dispatch(SumRow {
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
