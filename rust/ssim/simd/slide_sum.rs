//! A window of equal weights along one row of float32 with AVX-512: sums of 2, 4, 8 and 16 columns, each of two of half the
//! length, of which a window is put together. A row is read once and all else stays in registers, so that the cost hardly
//! depends on the side.

use std::arch::x86_64::{
    __m512, _mm512_add_epi32, _mm512_add_ps, _mm512_loadu_ps, _mm512_mul_ps, _mm512_permutex2var_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setr_epi32, _mm512_storeu_ps,
};

use super::buffer::LANES;

/// Registers of columns that are read past that of a window's first one.
const AHEAD: usize = 4;

/// Writes the sums of `side` columns times a weight that begin with each of the first `used` columns of every `stride`, if
/// the side is one of those that this serves, and returns whether it is. `columns` go on for [`AHEAD`] registers.
///
/// # Safety
/// The processor must have AVX-512F.
pub unsafe fn slide(
    side: usize,
    weight: f32,
    columns: &[f32],
    [stride, used]: [usize; 2],
    out: &mut [f32],
) -> bool {
    if !out.len().is_multiple_of(stride)
        || !used.is_multiple_of(LANES)
        || used > stride
        || columns.len() < out.len() + AHEAD * LANES
    {
        return false;
    }
    macro_rules! with_side {
        ($($side:literal)*) => {
            match side {
                // SAFETY: the caller answers for the processor; the lengths have just been looked at.
                $($side => unsafe { sum_columns::<$side>(weight, columns, [stride, used], out) },)*
                _ => return false,
            }
        };
    }
    with_side!(13 15 17 19 21 23 25 27 29 31);
    true
}

#[target_feature(enable = "avx512f")]
unsafe fn sum_columns<const SIDE: usize>(
    weight: f32,
    columns: &[f32],
    [stride, used]: [usize; 2],
    out: &mut [f32],
) {
    let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    // Two registers as one row, from a column of the first one on.
    let shifted = |pair: [__m512; 2], step: usize| -> __m512 {
        if step == 0 {
            pair[0]
        } else {
            _mm512_permutex2var_ps(pair[0], _mm512_add_epi32(lanes, _mm512_set1_epi32(step as i32)), pair[1])
        }
    };
    let doubled = |low: __m512, high: __m512, step: usize| _mm512_add_ps(low, shifted([low, high], step));
    let weight = _mm512_set1_ps(weight);
    for plane in (0..out.len()).step_by(stride) {
        // SAFETY: there are `AHEAD` registers of columns more than `out` has.
        unsafe {
            let start = columns.as_ptr().add(plane);
            let mut ones = [0, 1, 2, 3].map(|place| _mm512_loadu_ps(start.add(place * LANES)));
            let mut twos = [0, 1, 2].map(|place| doubled(ones[place], ones[place + 1], 1));
            let mut fours = [0, 1].map(|place| doubled(twos[place], twos[place + 1], 2));
            let mut eight = doubled(fours[0], fours[1], 4);
            for place in (0..used).step_by(LANES) {
                let one = _mm512_loadu_ps(start.add(place + AHEAD * LANES));
                let two = doubled(ones[3], one, 1);
                let four = doubled(twos[2], two, 2);
                let next_eight = doubled(fours[1], four, 4);
                // The part of 16 or 8 columns comes first; what follows 16 begins in the next register.
                let wide = SIDE >= LANES;
                let mut sum = if wide { doubled(eight, next_eight, 8) } else { eight };
                let (pair_of_ones, pair_of_twos, pair_of_fours) = if wide {
                    ([ones[1], ones[2]], [twos[1], twos[2]], [fours[1], four])
                } else {
                    ([ones[0], ones[1]], [twos[0], twos[1]], [fours[0], fours[1]])
                };
                let rest = SIDE % LANES;
                if wide && rest & 8 != 0 {
                    sum = _mm512_add_ps(sum, next_eight);
                }
                if rest & 4 != 0 {
                    sum = _mm512_add_ps(sum, shifted(pair_of_fours, rest & 8));
                }
                if rest & 2 != 0 {
                    sum = _mm512_add_ps(sum, shifted(pair_of_twos, rest & 12));
                }
                sum = _mm512_add_ps(sum, shifted(pair_of_ones, rest & 14));
                _mm512_storeu_ps(out.as_mut_ptr().add(plane + place), _mm512_mul_ps(sum, weight));
                ones = [ones[1], ones[2], ones[3], one];
                twos = [twos[1], twos[2], two];
                fours = [fours[1], four];
                eight = next_eight;
            }
        }
    }
}
