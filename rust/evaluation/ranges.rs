//! All keys in order, a stretch at a time, gathered from sorted runs.

use std::fs::File;
use std::sync::Arc;

use rayon::prelude::*;

use super::key::{Key, Tag};
use super::radix::{Spare, sort};
use super::runs::{BLOCK, Pile, Run, Writer};
use crate::Error;

/// Neighbouring keys: all equal ones lie in one range, whatever their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch<K> {
    /// Keys between two others, which are not among them.
    Between(Option<K>, Option<K>),
    /// One key, however often it comes.
    Equal(K),
}

/// Divides keys into stretches: those between two keys of about a block each, and single keys that may come often.
pub fn divide<K: Key>(samples: impl Iterator<Item = (Vec<K>, usize)>) -> Vec<Stretch<K>> {
    let mut weighted: Vec<(K, usize)> =
        samples.flat_map(|(keys, weight)| keys.into_iter().map(move |key| (key, weight))).collect();
    weighted.sort_unstable();
    let (mut stretches, mut last, mut weight) = (Vec::new(), None, 0);
    for (key, one) in weighted {
        weight += one;
        if weight >= BLOCK && last != Some(key) {
            stretches.extend([Stretch::Between(last, Some(key)), Stretch::Equal(key)]);
            (last, weight) = (Some(key), 0);
        }
    }
    stretches.push(Stretch::Between(last, None));
    stretches
}

impl<K: Key> Stretch<K> {
    /// Returns where a run has keys of this stretch.
    ///
    /// # Errors
    /// If a file of runs cannot be read.
    pub fn of_run<T: Tag>(self, run: &Run<K, T>) -> Result<std::ops::Range<usize>, Error> {
        let (start, end) = match self {
            Self::Between(after, before) => (
                after.map_or(Ok(0), |key| run.rank(key, true))?,
                before.map_or(Ok(run.len()), |key| run.rank(key, false))?,
            ),
            Self::Equal(key) => (run.rank(key, false)?, run.rank(key, true)?),
        };
        Ok(start..end.max(start))
    }

    /// Gathers and sorts the keys of this stretch.
    ///
    /// # Errors
    /// If a file of runs cannot be read.
    pub fn gather<T: Tag>(
        self,
        runs: &[Run<K, T>],
        spare: &mut Spare<K, T>,
    ) -> Result<(Vec<K>, Vec<T>), Error> {
        let (mut keys, mut tags) = (Vec::new(), Vec::new());
        for run in runs {
            run.read(self.of_run(run)?, &mut keys, &mut tags)?;
        }
        if !matches!(self, Self::Equal(_)) && runs.len() > 1 {
            sort(&mut keys, &mut tags, spare);
        }
        Ok((keys, tags))
    }

    /// Returns how many keys lie in this stretch.
    ///
    /// # Errors
    /// If a file of runs cannot be read.
    pub fn count<T: Tag>(self, runs: &[Run<K, T>]) -> Result<usize, Error> {
        runs.iter().map(|run| self.of_run(run).map(|part| part.len())).sum()
    }

    /// Hands out the tags of this stretch, some at a time.
    ///
    /// # Errors
    /// If a file of runs cannot be read.
    pub fn tags<T: Tag>(self, runs: &[Run<K, T>], mut take: impl FnMut(&[T])) -> Result<(), Error> {
        let mut tags = Vec::new();
        for run in runs {
            let part = self.of_run(run)?;
            for start in part.clone().step_by(BLOCK) {
                tags.clear();
                run.read_tags(start..(start + BLOCK).min(part.end), &mut tags)?;
                take(&tags);
            }
        }
        Ok(())
    }
}

/// Hands out what `make` makes of each stretch, in their order; as many at a time as keep the threads busy.
///
/// # Errors
/// The first of `make` or `take`.
pub fn in_order<K: Key, P: Send>(
    stretches: &[Stretch<K>],
    make: impl Fn(Stretch<K>) -> Result<P, Error> + Sync,
    mut take: impl FnMut(Stretch<K>, P) -> Result<(), Error>,
) -> Result<(), Error> {
    for batch in stretches.chunks(4 * rayon::current_num_threads()) {
        let made: Vec<Result<P, Error>> = batch.par_iter().map(|&stretch| make(stretch)).collect();
        for (&stretch, part) in batch.iter().zip(made) {
            take(stretch, part?)?;
        }
    }
    Ok(())
}

/// Hands out all keys and tags of some runs in order.
///
/// # Errors
/// If a file of runs cannot be read, or the first of `take`.
pub fn sorted<K: Key, T: Tag>(
    runs: &[Run<K, T>],
    mut take: impl FnMut(&[K], &[T]) -> Result<(), Error>,
) -> Result<(), Error> {
    let stretches = divide(runs.iter().map(Run::samples));
    in_order(
        &stretches,
        |stretch| match stretch {
            Stretch::Equal(_) => Ok(Default::default()),
            Stretch::Between(..) => stretch.gather(runs, &mut Spare::default()),
        },
        |stretch, (keys, tags)| match stretch {
            Stretch::Between(..) => take(&keys, &tags),
            Stretch::Equal(key) => {
                let mut result = Ok(());
                stretch.tags(runs, |tags| {
                    if result.is_ok() {
                        result = take(&vec![key; tags.len()], tags);
                    }
                })?;
                result
            }
        },
    )
}

/// Moves all keys of a pile that are in memory to a file, behind its first `end` bytes, as one run.
///
/// # Errors
/// If the file cannot be written; the keys then stay where they are.
pub fn spill<K: Key, T: Tag>(pile: &mut Pile<K, T>, file: &Arc<File>, end: &mut u64) -> Result<(), Error> {
    pile.settle();
    let runs = pile.in_memory();
    let mut writer = Writer::new(file, *end, runs.iter().map(Run::len).sum());
    sorted(&runs, |keys, tags| writer.push(keys, tags))?;
    let (run, behind) = writer.finish()?;
    pile.replace_in_memory(run);
    *end = behind;
    Ok(())
}

/// Returns the stretches that all keys of two piles are divided into.
pub fn divide_both<K: Key, S: Tag, T: Tag>(one: &Pile<K, S>, other: &Pile<K, T>) -> Vec<Stretch<K>> {
    divide(one.runs().iter().map(Run::samples).chain(other.runs().iter().map(Run::samples)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pile(keys: &[Vec<u32>]) -> Pile<u32, u32> {
        let mut pile = Pile::default();
        for run in keys {
            pile.extend(run.iter().copied(), 0);
            pile.settle();
        }
        pile
    }

    fn noise(count: u32, levels: u32) -> Vec<u32> {
        (0..count).map(|index| index.wrapping_mul(2_654_435_761) % levels).collect()
    }

    #[test]
    fn stretches_hold_every_key_once_and_in_order() {
        for levels in [3, 1000, 1 << 30] {
            let parts = [noise(700_000, levels), noise(90, levels), noise(300_000, 7)];
            let mut want = parts.concat();
            want.sort_unstable();
            let mut got = Vec::new();
            let taken = sorted(pile(&parts).runs(), |keys, tags| {
                assert_eq!(keys.len(), tags.len());
                got.extend_from_slice(keys);
                Ok(())
            });
            assert_eq!(taken, Ok(()));
            assert_eq!(got, want);
        }
    }

    #[test]
    fn keys_in_a_file_are_the_same_keys() {
        let Ok(file) = tempfile::tempfile() else { panic!("no temporary file") };
        let (file, mut end) = (Arc::new(file), 0);
        let parts = [noise(300_000, 1 << 30), noise(90, 5), noise(500_000, 1 << 20)];
        let mut pile = Pile::default();
        for (number, part) in parts.iter().enumerate() {
            pile.extend(part.iter().copied(), number as u32);
            if number > 0 {
                assert_eq!(spill(&mut pile, &file, &mut end), Ok(()));
                assert_eq!(pile.bytes(), 0);
            }
        }
        let mut want: Vec<(u32, u32)> =
            (0..3).flat_map(|number| parts[number].iter().map(move |&key| (key, number as u32))).collect();
        want.sort_unstable();
        let mut got = Vec::new();
        let taken = sorted(pile.runs(), |keys, tags: &[u32]| {
            got.extend(keys.iter().copied().zip(tags.iter().copied()));
            Ok(())
        });
        got.sort_unstable();
        assert_eq!((taken, got.len()), (Ok(()), want.len()));
        assert!(got == want);
        for key in [0, 1, want[400_000].0, u32::MAX] {
            for included in [false, true] {
                let before = |&&(other, _): &&(u32, u32)| other < key || (included && other == key);
                let count: Result<usize, Error> = pile.runs().iter().map(|run| run.rank(key, included)).sum();
                assert_eq!(count, Ok(want.iter().filter(before).count()));
            }
        }
    }

    #[test]
    fn stretches_are_of_bounded_size_unless_keys_are_equal() {
        let pile = pile(&[noise(2_000_000, 1 << 30), noise(500_000, 2)]);
        let stretches = divide(pile.runs().iter().map(Run::samples));
        assert!(stretches.len() > 10);
        for stretch in stretches {
            let count = stretch.count(pile.runs()).unwrap_or(usize::MAX);
            assert!(matches!(stretch, Stretch::Equal(_)) || count < 2 * BLOCK, "{count}");
        }
    }
}
