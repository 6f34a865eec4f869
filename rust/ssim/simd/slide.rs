//! A symmetric window along one row of float32 with AVX-512, where loads that lie across two cache lines are the limit.
//!
//! All shifted copies of a row but one lie across two lines. Every second of them is assembled from two registers instead,
//! which another part of the processor does.

use std::arch::x86_64::{
    __m512, _mm512_add_epi32, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mul_ps,
    _mm512_permutex2var_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setr_epi32, _mm512_storeu_ps,
};

use super::buffer::LANES;

/// Most pairs of weights whose shifts fit the registers.
const PAIRS: usize = 7;

/// Writes the windows that begin with each of the first `used` columns of every `stride`, if they are of those that this
/// serves, and returns whether they are. `weights` are those from the outermost to the middle one; `columns` go on for two
/// registers.
///
/// # Safety
/// The processor must have AVX-512F and FMA.
pub unsafe fn slide(weights: &[f32], columns: &[f32], [stride, used]: [usize; 2], out: &mut [f32]) -> bool {
    if !out.len().is_multiple_of(stride)
        || !used.is_multiple_of(LANES)
        || used > stride
        || columns.len() < out.len() + 2 * LANES
    {
        return false;
    }
    macro_rules! with_count {
        ($($count:literal)*) => {
            match weights.len() - 1 {
                // SAFETY: the caller answers for the processor; the lengths have just been looked at.
                $($count => unsafe { slide_pairs::<$count>(weights, columns, [stride, used], out) },)*
                _ => return false,
            }
        };
    }
    with_count!(1 2 3 4 5 6 7);
    true
}

#[target_feature(enable = "avx512f,fma")]
unsafe fn slide_pairs<const COUNT: usize>(
    weights: &[f32],
    columns: &[f32],
    [stride, used]: [usize; 2],
    out: &mut [f32],
) {
    let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let mut shifts = [lanes; 2 * PAIRS + 1];
    for (step, shift) in shifts.iter_mut().enumerate() {
        *shift = _mm512_add_epi32(lanes, _mm512_set1_epi32(step as i32));
    }
    let mut splats = [_mm512_set1_ps(0.0); PAIRS + 1];
    for (splat, &weight) in splats.iter_mut().zip(weights) {
        *splat = _mm512_set1_ps(weight);
    }
    for plane in (0..out.len()).step_by(stride) {
        // SAFETY: there are two registers of columns more than `out` has, and a window ends in the second of its own.
        unsafe {
            let start = columns.as_ptr().add(plane);
            let mut low = _mm512_loadu_ps(start);
            for place in (0..used).step_by(LANES) {
                let high = _mm512_loadu_ps(start.add(place + LANES));
                let shifted = |step: usize| -> __m512 {
                    if step.is_multiple_of(2) {
                        _mm512_permutex2var_ps(low, shifts[step], high)
                    } else {
                        _mm512_loadu_ps(start.add(place + step))
                    }
                };
                let mut sum = _mm512_mul_ps(splats[COUNT], shifted(COUNT));
                for (pair, &splat) in splats[..COUNT].iter().enumerate() {
                    let both = _mm512_add_ps(shifted(pair), shifted(2 * COUNT - pair));
                    sum = _mm512_fmadd_ps(splat, both, sum);
                }
                _mm512_storeu_ps(out.as_mut_ptr().add(plane + place), sum);
                low = high;
            }
        }
    }
}
