//! Arithmetic on whole registers of float32 or float64, with the instructions that pulp finds on the processor.

use std::cell::RefCell;
use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

pub use pulp::{Arch, Simd, WithSimd};

use super::buffer::Spare;

/// float32 or float64.
pub trait Real:
    Copy
    + Debug
    + 'static
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
{
    /// A register of these numbers.
    type Vector<S: Simd>: Copy;

    /// The nearest number of this type.
    fn from_f64(value: f64) -> Self;
    /// The same number as float64.
    fn to_f64(self) -> f64;
    /// Magnitude.
    fn abs(self) -> Self;
    /// A row as registers; its length is a multiple of [`LANES`](super::buffer::LANES).
    fn vectors<S: Simd>(row: &[Self]) -> &[Self::Vector<S>];
    /// A row as registers to write to.
    fn vectors_mut<S: Simd>(row: &mut [Self]) -> &mut [Self::Vector<S>];
    /// The same number in all lanes.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    /// a + b.
    fn add_lanes<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a - b.
    fn sub_lanes<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a b.
    fn mul_lanes<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a / b.
    fn div_lanes<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a b + c, rounded once where that is one instruction.
    fn mul_add_lanes<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// 1 / a, or 0 where a is not above 0.
    fn inverse_or_zero<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;
    /// Gives the calling thread's spare rows of these numbers to `use_them`.
    fn spare<R>(use_them: impl FnOnce(&Spare<Self>) -> R) -> R;
    /// Slides a symmetric window along a row in a way that these numbers and this processor have; returns whether there
    /// is one. `equal` are the side and the weight of a window of equal weights; `planes`, from one plane of the row to the
    /// next, and how many columns of each are wanted.
    fn slide(
        arch: Arch,
        weights: &[Self],
        equal: Option<(usize, Self)>,
        columns: &[Self],
        planes: [usize; 2],
        out: &mut [Self],
    ) -> bool;
}

macro_rules! real {
    ($type:ident, $vector:ident, $as:ident, $as_mut:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
     $mul_add:ident, $greater:ident, $select:ident, $slide:expr) => {
        impl Real for $type {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $type
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn abs(self) -> Self {
                <$type>::abs(self)
            }
            #[inline(always)]
            fn vectors<S: Simd>(row: &[Self]) -> &[S::$vector] {
                S::$as(row).0
            }
            #[inline(always)]
            fn vectors_mut<S: Simd>(row: &mut [Self]) -> &mut [S::$vector] {
                S::$as_mut(row).0
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }
            #[inline(always)]
            fn add_lanes<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn sub_lanes<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$sub(a, b)
            }
            #[inline(always)]
            fn mul_lanes<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$mul(a, b)
            }
            #[inline(always)]
            fn div_lanes<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$div(a, b)
            }
            #[inline(always)]
            fn mul_add_lanes<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn inverse_or_zero<S: Simd>(simd: S, a: S::$vector) -> S::$vector {
                let (zero, one) = (simd.$splat(0.0), simd.$splat(1.0));
                simd.$select(simd.$greater(a, zero), simd.$div(one, a), zero)
            }
            fn spare<R>(use_them: impl FnOnce(&Spare<Self>) -> R) -> R {
                thread_local! {
                    static SPARE: Spare<$type> = const { RefCell::new(Vec::new()) };
                }
                SPARE.with(use_them)
            }
            fn slide(
                arch: Arch,
                weights: &[Self],
                equal: Option<(usize, Self)>,
                columns: &[Self],
                planes: [usize; 2],
                out: &mut [Self],
            ) -> bool {
                $slide(arch, weights, equal, columns, planes, out)
            }
        }
    };
}

real!(
    f32,
    f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    add_f32s,
    sub_f32s,
    mul_f32s,
    div_f32s,
    mul_add_e_f32s,
    greater_than_f32s,
    select_f32s,
    slide_f32
);
real!(
    f64,
    f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    add_f64s,
    sub_f64s,
    mul_f64s,
    div_f64s,
    mul_add_e_f64s,
    greater_than_f64s,
    select_f64s,
    |_, _: &[f64], _, _: &[f64], _, _: &mut [f64]| false
);

#[cfg(target_arch = "x86_64")]
fn slide_f32(
    arch: Arch,
    weights: &[f32],
    equal: Option<(usize, f32)>,
    columns: &[f32],
    planes: [usize; 2],
    out: &mut [f32],
) -> bool {
    use super::{slide, slide_sum};
    // SAFETY: pulp has found AVX-512 on this processor.
    matches!(arch, Arch::V4(_))
        && unsafe {
            match equal {
                Some((side, weight)) => slide_sum::slide(side, weight, columns, planes, out),
                None => slide::slide(weights, columns, planes, out),
            }
        }
}

#[cfg(not(target_arch = "x86_64"))]
fn slide_f32(_: Arch, _: &[f32], _: Option<(usize, f32)>, _: &[f32], _: [usize; 2], _: &mut [f32]) -> bool {
    false
}

/// A register with the usual operators.
pub struct Lanes<S: Simd, T: Real>(pub S, pub T::Vector<S>);

impl<S: Simd, T: Real> Clone for Lanes<S, T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd, T: Real> Copy for Lanes<S, T> {}

impl<S: Simd, T: Real> Lanes<S, T> {
    /// The same number in all lanes.
    #[inline(always)]
    pub fn splat(simd: S, value: T) -> Self {
        Self(simd, T::splat(simd, value))
    }

    /// 1 / self, or 0 where that is not above 0.
    #[inline(always)]
    pub fn inverse_or_zero(self) -> Self {
        Self(self.0, T::inverse_or_zero(self.0, self.1))
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $lanes:ident) => {
        impl<S: Simd, T: Real> $trait for Lanes<S, T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(self.0, T::$lanes(self.0, self.1, other.1))
            }
        }
    };
}

operator!(Add, add, add_lanes);
operator!(Sub, sub, sub_lanes);
operator!(Mul, mul, mul_lanes);
operator!(Div, div, div_lanes);
