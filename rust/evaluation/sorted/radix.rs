//! Radix sort, the lowest digit first. Its time grows with the number of keys only.

use super::key::{Key, Tag};

/// Memory that sorting needs beside its input, kept for the next call.
#[derive(Debug, Default)]
pub struct Scratch<K, T> {
    keys: Vec<K>,
    tags: Vec<T>,
    counts: Vec<usize>,
}

/// Sorts keys, smallest first, and their tags with them; equal keys stay in their order.
pub fn sort<K: Key, T: Tag>(keys: &mut Vec<K>, tags: &mut Vec<T>, scratch: &mut Scratch<K, T>) {
    let Some(&any) = keys.first() else { return };
    let buckets = 1 << K::DIGIT_BITS;
    scratch.counts.clear();
    scratch.counts.resize(K::DIGITS * buckets, 0);
    for key in &*keys {
        for index in 0..K::DIGITS {
            scratch.counts[index * buckets + key.digit(index)] += 1;
        }
    }
    scratch.keys.resize(keys.len(), K::default());
    scratch.tags.resize(keys.len(), T::default());
    for (index, counts) in scratch.counts.chunks_exact_mut(buckets).enumerate() {
        if counts[any.digit(index)] == keys.len() {
            continue; // all share this digit
        }
        let mut start = 0;
        for count in &mut *counts {
            start += std::mem::replace(count, start);
        }
        for (&key, &tag) in keys.iter().zip(&*tags) {
            let next = &mut counts[key.digit(index)];
            scratch.keys[*next] = key;
            scratch.tags[*next] = tag;
            *next += 1;
        }
        std::mem::swap(keys, &mut scratch.keys);
        std::mem::swap(tags, &mut scratch.tags);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern, some of them equal.
    fn noise(count: usize, keep: u64) -> Vec<u64> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state & keep
        })
        .take(count)
        .collect()
    }

    #[test]
    fn keys_come_out_sorted_with_their_tags() {
        for keep in [0, 0xff, 0xffff_0000_ffff, u64::MAX] {
            for count in [0, 1, 2, 1000] {
                let mut keys = noise(count, keep);
                let mut tags: Vec<u32> = (0..count as u32).collect();
                let mut want: Vec<(u64, u32)> = keys.iter().copied().zip(tags.iter().copied()).collect();
                want.sort_unstable();
                sort(&mut keys, &mut tags, &mut Scratch::default());
                assert_eq!(keys.into_iter().zip(tags).collect::<Vec<_>>(), want);
            }
        }
    }

    #[test]
    fn room_of_an_earlier_sort_does_no_harm() {
        let mut scratch = Scratch::default();
        for count in [500, 20, 700] {
            let mut keys: Vec<u32> = noise(count, u64::MAX).into_iter().map(|key| key as u32).collect();
            let mut want = keys.clone();
            want.sort_unstable();
            sort(&mut keys, &mut vec![(); count], &mut scratch);
            assert_eq!(keys, want);
        }
    }
}
