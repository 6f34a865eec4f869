//! Scores as unsigned integers that sort like them, the highest first.

use std::fmt::Debug;

/// A value that files hold, little-endian.
pub trait LittleEndian: Copy + Send + Sync + Default + Debug {
    /// Size there.
    const BYTES: usize;
    /// Appends the value to the bytes of a file.
    fn write(self, bytes: &mut Vec<u8>);
    /// Returns the value of `Self::BYTES` bytes.
    fn read(bytes: &[u8]) -> Self;
}

impl LittleEndian for () {
    const BYTES: usize = 0;
    fn write(self, _: &mut Vec<u8>) {}
    fn read(_: &[u8]) {}
}

macro_rules! impl_little_endian {
    ($($number:ty),*) => {$(
        impl LittleEndian for $number {
            const BYTES: usize = size_of::<$number>();
            fn write(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            fn read(bytes: &[u8]) -> Self {
                let mut bytes_of_value = [0; Self::BYTES];
                bytes_of_value.copy_from_slice(bytes);
                Self::from_le_bytes(bytes_of_value)
            }
        }
    )*};
}

impl_little_endian!(u32, u64);

/// An integer image of a score: the smaller the key, the higher the score; equal scores have equal keys.
pub trait Key: LittleEndian + Ord {
    /// Digits of [`Key::DIGIT_BITS`] bits.
    const DIGITS: usize;
    /// Bits of one digit: as many as leave the counts of a digit in the first-level cache.
    const DIGIT_BITS: usize = 11;
    /// Returns a digit, the lowest first.
    fn digit(self, index: usize) -> usize;
    /// Returns the score.
    fn score(self) -> f64;
}

/// A type of scores.
pub trait Score: Copy + Send + Sync {
    /// Integer by which the scores are sorted.
    type Key: Key;
    /// Returns the key of a finite score.
    fn key(self) -> Self::Key;
    /// Returns whether the score is neither NaN nor infinite.
    fn is_finite(self) -> bool;
    /// Returns the score as float64.
    fn value(self) -> f64;
}

macro_rules! impl_score {
    ($float:ty, $key:ty, $signed:ty) => {
        impl Score for $float {
            type Key = $key;
            fn key(self) -> $key {
                // Adding zero turns -0 into +0: they are equal scores. Negative numbers sort as their bits already,
                // behind all others, whose bits below the sign are turned round.
                let bits = (self + 0.0).to_bits();
                bits ^ (!((bits as $signed) >> (<$key>::BITS - 1)) as $key & (<$key>::MAX >> 1))
            }
            fn is_finite(self) -> bool {
                self.is_finite()
            }
            fn value(self) -> f64 {
                f64::from(self)
            }
        }

        impl Key for $key {
            const DIGITS: usize = (<$key>::BITS as usize).div_ceil(Self::DIGIT_BITS);
            fn digit(self, index: usize) -> usize {
                (self >> (index * Self::DIGIT_BITS)) as usize & ((1 << Self::DIGIT_BITS) - 1)
            }
            fn score(self) -> f64 {
                let sign = 1 << (<$key>::BITS - 1);
                f64::from(<$float>::from_bits(if self & sign == 0 {
                    self ^ (<$key>::MAX >> 1)
                } else {
                    self
                }))
            }
        }
    };
}

impl_score!(f32, u32, i32);
impl_score!(f64, u64, i64);

/// A value that stays with its key through sorting and files: nothing, or the number of a region.
pub trait Tag: LittleEndian {
    /// Returns the tag in a list that `by` regions were put in front of.
    fn shifted(self, by: u32) -> Self;
}

impl Tag for () {
    fn shifted(self, _: u32) {}
}

impl Tag for u32 {
    fn shifted(self, by: u32) -> u32 {
        self.wrapping_add(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_like_scores_the_highest_first() {
        let scores = [7.0_f32, 0.25, 1e-40, 0.0, -0.0, -1e-40, -3.5];
        let keys: Vec<u32> = scores.iter().map(|score| score.key()).collect();
        assert!(keys.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(keys[3], keys[4]);
        for (score, key) in scores.iter().zip(keys) {
            assert_eq!(key.score(), f64::from(*score));
            assert_eq!(f64::from(*score).key().score(), f64::from(*score));
            let mut bytes = Vec::new();
            key.write(&mut bytes);
            assert_eq!(u32::read(&bytes), key);
        }
    }

    #[test]
    fn digits_make_up_the_key() {
        let key = 0x1234_5678_9abc_def0_u64;
        let whole: u64 =
            (0..u64::DIGITS).map(|index| (key.digit(index) as u64) << (index * u64::DIGIT_BITS)).sum();
        assert_eq!(key, whole);
        assert_eq!((u32::DIGITS, u64::DIGITS), (3, 6));
    }
}
