//! Sums of as many rows as a window of equal weights is high, at three additions a row whatever its height.
//!
//! Rows are divided into blocks as long as the window. A window covers the end of one block and the beginning of the next:
//! the sum of each end is taken once for the whole block, and that of the beginning grows by a row with each window.
//! Nothing is subtracted, so that nothing cancels and no rounding is carried beyond two blocks (van Herk 1992).

use super::super::simd::buffer::{Buffer, LANES};
use super::super::simd::lanes::{Arch, Lanes, Real, Simd, WithSimd};
use super::rows::SumRow;

/// Sums of the ends of one block and of the beginning of the next.
pub struct BlockSums<T: Real> {
    side: isize,
    length: usize,
    /// Number of the block whose ends are held. Blocks are counted from the plane's first row on, so that sums do not
    /// depend on where a task begins.
    block: Option<isize>,
    /// For each row of the block, the sum from it on; those before the first window are not filled.
    ends: Buffer<T>,
    /// Sum of the next block's rows before `next`.
    beginning: Buffer<T>,
    next: isize,
}

impl<T: Real> BlockSums<T> {
    /// Makes room for windows of a side and rows of a length.
    pub fn new(side: usize, length: usize) -> Self {
        Self {
            side: side as isize,
            length,
            block: None,
            ends: Buffer::new(side * (length + LANES)),
            beginning: Buffer::new(length),
            next: 0,
        }
    }

    /// Writes the scaled sum of the window whose first row is `first`. Windows must come in their order.
    pub fn window<'a>(
        &mut self,
        arch: Arch,
        first: isize,
        row: impl Fn(isize) -> &'a [T],
        scale: T,
        out: &mut [T],
    ) where
        T: 'a,
    {
        let (block, end) = (first.div_euclid(self.side), first + self.side);
        if self.block != Some(block) {
            self.start_block(arch, block, first, &row);
        }
        while self.next + 1 < end {
            self.beginning.iter_mut().zip(row(self.next)).for_each(|(sum, &value)| *sum += value);
            self.next += 1;
        }
        let ends = &self.ends[self.place(first - block * self.side)..][..self.length];
        if self.next < end {
            arch.dispatch(GrowSum { beginning: &mut self.beginning, row: row(self.next), ends, scale, out });
            self.next += 1;
        } else {
            arch.dispatch(SumRow { rows: &[ends], scale, out });
        }
    }

    fn place(&self, row: isize) -> usize {
        row as usize * (self.length + LANES)
    }

    fn start_block<'a>(&mut self, arch: Arch, block: isize, first: isize, row: &impl Fn(isize) -> &'a [T])
    where
        T: 'a,
    {
        let (start, end) = (block * self.side, (block + 1) * self.side);
        for step in (first..end).rev() {
            let (one, place) = (T::from_f64(1.0), self.place(step - start));
            let (own, after) = self.ends[place..].split_at_mut(self.length);
            let rows = [row(step), after.get(LANES..LANES + self.length).unwrap_or_default()];
            let rows = if step + 1 < end { &rows[..] } else { &rows[..1] };
            arch.dispatch(SumRow { rows, scale: one, out: own });
        }
        self.beginning.fill(T::default());
        (self.block, self.next) = (Some(block), end);
    }
}

/// Adds a row to the beginning of a block, and writes its scaled sum with the end of the block before.
struct GrowSum<'a, T> {
    beginning: &'a mut [T],
    row: &'a [T],
    ends: &'a [T],
    scale: T,
    out: &'a mut [T],
}

impl<T: Real> WithSimd for GrowSum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let beginning = T::vectors_mut::<S>(self.beginning);
        let row = &T::vectors::<S>(self.row)[..beginning.len()];
        let ends = &T::vectors::<S>(self.ends)[..beginning.len()];
        let out = &mut T::vectors_mut::<S>(self.out)[..beginning.len()];
        let scale = Lanes::<S, T>::splat(simd, self.scale);
        for (place, beginning) in beginning.iter_mut().enumerate() {
            let sum = Lanes(simd, *beginning) + Lanes(simd, row[place]);
            *beginning = sum.1;
            out[place] = ((sum + Lanes(simd, ends[place])) * scale).1;
        }
    }
}
