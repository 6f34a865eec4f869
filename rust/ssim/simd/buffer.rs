//! Rows of memory that whole registers fit.

use std::ops::{Deref, DerefMut, Range};

/// Numbers that the widest register holds. Lengths of rows are rounded up to it, so that no loop has a remainder.
pub const LANES: usize = 16;

/// Bytes that a processor reads at once.
const CACHE_LINE: usize = 64;

/// Returns a length rounded up to whole registers.
pub fn whole_lanes(length: usize) -> usize {
    length.next_multiple_of(LANES)
}

/// Numbers that begin with a cache line, so that no register of a row of whole lanes lies across two.
pub struct Buffer<T> {
    numbers: Vec<T>,
    part: Range<usize>,
}

impl<T: Copy + Default> Buffer<T> {
    /// Makes room for `length` zeros.
    pub fn new(length: usize) -> Self {
        let numbers = vec![T::default(); length + CACHE_LINE / size_of::<T>()];
        let first = numbers.as_ptr().align_offset(CACHE_LINE);
        Self { numbers, part: first..first + length }
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.numbers[self.part.clone()]
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.numbers[self.part.clone()]
    }
}
