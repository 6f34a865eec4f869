//! Divides the sides of a plane into parts.

use std::ops::Range;

/// Columns that one task streams at a time.
const STRIP_COLUMNS: usize = 512;

/// Divides a side into nearly equal parts of about a length, never fewer pixels than half of it unless the side is short.
pub fn equal_parts(side: usize, about: usize) -> impl Iterator<Item = Range<usize>> {
    let count = ((side + about / 2) / about).max(1);
    (0..count).map(move |part| part * side / count..(part + 1) * side / count)
}

/// Returns column ranges whose rows stay in the cache while the window moves down.
pub fn strips(columns: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    equal_parts(columns.len(), STRIP_COLUMNS)
        .map(move |part| columns.start + part.start..columns.start + part.end)
}
