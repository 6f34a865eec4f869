//! Sixteen columns at a time, compiled for what the processor has.

use super::real::Real;

/// Columns that are computed together: in float32 one AVX-512 register, two of AVX2; in float64 twice as many.
pub const LANES: usize = 16;

/// Sixteen neighbouring values.
pub type Lanes<T> = [T; LANES];

/// Returns a length rounded up to whole lanes.
pub fn whole_lanes(length: usize) -> usize {
    length.next_multiple_of(LANES)
}

/// Work that is the same on every processor but for the instructions it is compiled to.
pub trait Work {
    /// What comes back.
    type Output;
    /// Does the work; `FMA` says whether a fused multiply-add is one instruction.
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// Does the work with the widest instructions of this processor.
pub fn dispatch<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
        fn avx512<W: Work>(work: W) -> W::Output {
            work.run::<true>()
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<W: Work>(work: W) -> W::Output {
            work.run::<true>()
        }
        let fma = is_x86_feature_detected!("fma");
        if fma
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
        {
            // SAFETY: the processor has just been asked for these features.
            return unsafe { avx512(work) };
        }
        if fma && is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has just been asked for these features.
            return unsafe { avx2(work) };
        }
        work.run::<false>()
    }
    #[cfg(target_arch = "aarch64")]
    {
        // NEON and its fused multiply-add belong to every 64-bit Arm processor.
        work.run::<true>()
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        work.run::<false>()
    }
}

/// Returns a * b + c, fused where that is one instruction.
#[inline(always)]
pub fn multiply_add<T: Real, const FMA: bool>(a: T, b: T, c: T) -> T {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Adds `weight * values[start..start + 16]` to an accumulator.
#[inline(always)]
pub fn accumulate<T: Real, const FMA: bool>(sum: &mut Lanes<T>, weight: T, values: &[T], start: usize) {
    let values = &values[start..start + LANES];
    for lane in 0..LANES {
        sum[lane] = multiply_add::<T, FMA>(weight, values[lane], sum[lane]);
    }
}
