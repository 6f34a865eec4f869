//! Rows of memory that whole registers fit.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut, Range};

use super::lanes::Real;

/// Numbers that the widest register holds. Lengths of rows are rounded up to it, so that no loop has a remainder.
pub const LANES: usize = 16;

/// Bytes that a processor reads at once.
const CACHE_LINE: usize = 64;

/// Returns a length rounded up to whole registers.
pub fn whole_lanes(length: usize) -> usize {
    length.next_multiple_of(LANES)
}

/// Asks for a row of memory that is read or written later, `ahead` numbers past a part of it. The program reads nothing by
/// that, so that what lies past the end of a slice, such as the next plane of a stack, may be asked for too.
pub fn prefetch<T, const WRITE: bool>(part: &[T], ahead: usize) {
    #[cfg(target_arch = "x86_64")]
    for place in (0..part.len()).step_by(CACHE_LINE / size_of::<T>()) {
        use std::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch of any address, even one that is not mapped, has no effect that can be seen.
        unsafe {
            let address = part.as_ptr().wrapping_add(place + ahead).cast();
            if WRITE { _mm_prefetch::<_MM_HINT_ET0>(address) } else { _mm_prefetch::<_MM_HINT_T1>(address) }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (part, ahead);
}

/// Rows of memory that a thread keeps for its next task. Without them the allocator returns the memory of each task to the
/// system and fetches fresh pages for the next one, which can take as long as the task.
pub type Spare<T> = RefCell<Vec<Vec<T>>>;

/// Most rows that a thread keeps; more than one task has.
const KEPT: usize = 32;

/// Numbers that begin with a cache line, so that no register of a row of whole lanes lies across two.
pub struct Buffer<T: Real> {
    numbers: Vec<T>,
    part: Range<usize>,
}

impl<T: Real> Buffer<T> {
    /// Makes room for `length` zeros.
    pub fn new(length: usize) -> Self {
        let room = length + CACHE_LINE / size_of::<T>();
        let mut numbers = T::spare(|spare| {
            let mut spare = spare.borrow_mut();
            let large = spare.iter().enumerate().filter(|(_, numbers)| numbers.capacity() >= room);
            let found = large.min_by_key(|(_, numbers)| numbers.capacity()).map(|(place, _)| place);
            found.map_or_else(|| Vec::with_capacity(room), |place| spare.swap_remove(place))
        });
        numbers.clear();
        numbers.resize(room, T::default());
        let first = numbers.as_ptr().align_offset(CACHE_LINE);
        Self { numbers, part: first..first + length }
    }
}

impl<T: Real> Drop for Buffer<T> {
    fn drop(&mut self) {
        let numbers = std::mem::take(&mut self.numbers);
        T::spare(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() == KEPT {
                spare.remove(0);
            }
            spare.push(numbers);
        });
    }
}

impl<T: Real> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.numbers[self.part.clone()]
    }
}

impl<T: Real> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.numbers[self.part.clone()]
    }
}
