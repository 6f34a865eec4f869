//! Continues windows past the border of a plane.

use super::super::simd::lanes::Real;

/// Continuation of a plane past its border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// Not at all: the map is smaller by K - 1.
    Valid,
    /// Mirrored, the edge not repeated.
    Reflect,
    /// Mirrored, the edge repeated.
    Symmetric,
    /// Zeros.
    Zero,
}

impl Border {
    /// Returns the pixel that stands for position `index` of a side, or None where a zero does.
    pub fn source(self, index: isize, side: usize) -> Option<usize> {
        let side = side as isize;
        let mirrored = match self {
            _ if (0..side).contains(&index) => index,
            Self::Reflect if index < 0 => -index,
            Self::Reflect => 2 * (side - 1) - index,
            Self::Symmetric if index < 0 => -1 - index,
            Self::Symmetric => 2 * side - 1 - index,
            Self::Zero | Self::Valid => return None,
        };
        Some(mirrored as usize)
    }

    /// Fills the pixels past a border that mirrors, from the nearest one on, from those inside, nearest first.
    pub fn mirror<'a, T: Real + 'a>(
        self,
        past: impl Iterator<Item = &'a mut T>,
        inside: impl Iterator<Item = &'a T>,
    ) {
        match self {
            Self::Valid | Self::Zero => {}
            Self::Reflect => past.zip(inside.skip(1)).for_each(|(pixel, source)| *pixel = *source),
            Self::Symmetric => past.zip(inside).for_each(|(pixel, source)| *pixel = *source),
        }
    }
}
