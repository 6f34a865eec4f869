//! All keys in order, a stretch at a time, gathered from sorted runs.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::key::{Key, Tag};
use super::radix::{Spare, sort};
use super::runs::{BLOCK, Pile, Run, Writer};
use crate::error::Error;

/// Keys that a stretch has of each run on average, at least.
const FROM_EACH_RUN: usize = 1 << 10;

/// Returns keys, ascending, that divide all keys of some runs into stretches of about a block each.
///
/// Every run is searched for every stretch: where runs are many, stretches are long enough that this stays a small part
/// of the time. A key that comes often is among those returned, so only the stretches of these single keys may be of
/// any number.
pub fn divide<K: Key>(samples: impl Iterator<Item = (Vec<K>, usize)>) -> Vec<K> {
    let (mut weighted, mut size): (Vec<(K, usize)>, _) = (Vec::new(), 0);
    for (keys, weight) in samples {
        weighted.extend(keys.into_iter().map(|key| (key, weight)));
        size += FROM_EACH_RUN;
    }
    let size = size.max(BLOCK);
    weighted.sort_unstable();
    let (mut found, mut weight) = (Vec::new(), 0);
    for (key, one) in weighted {
        weight += one;
        if weight >= size && found.last() != Some(&key) {
            found.push(key);
            weight = 0;
        }
    }
    found
}

/// Keys that follow each other: where they lie in each of some runs.
#[derive(Debug)]
pub struct Stretch<'a, K, T> {
    runs: &'a [Run<K, T>],
    parts: Vec<Range<usize>>,
    /// What all the keys are, or None if they may differ.
    pub key: Option<K>,
}

impl<K: Key, T: Tag> Stretch<'_, K, T> {
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Range::len).sum()
    }

    /// Gathers and sorts keys and tags.
    ///
    /// # Errors
    /// If a file of runs cannot be read.
    pub fn gather(&self) -> Result<(Vec<K>, Vec<T>), Error> {
        let (mut keys, mut tags) = (Vec::with_capacity(self.len()), Vec::with_capacity(self.len()));
        for (run, part) in self.runs.iter().zip(&self.parts) {
            run.read(part.clone(), &mut keys, &mut tags)?;
        }
        if self.runs.len() > 1 {
            sort(&mut keys, &mut tags, &mut Spare::default());
        }
        Ok((keys, tags))
    }

    /// Hands out the tags, some at a time, in no order.
    ///
    /// # Errors
    /// If a file of runs cannot be read, or the first of `take`.
    pub fn tags(&self, mut take: impl FnMut(&[T]) -> Result<(), Error>) -> Result<(), Error> {
        let mut tags = Vec::new();
        for (run, part) in self.runs.iter().zip(&self.parts) {
            for start in part.clone().step_by(BLOCK) {
                tags.clear();
                run.read_tags(start..(start + BLOCK).min(part.end), &mut tags)?;
                take(&tags)?;
            }
        }
        Ok(())
    }
}

/// A place between the keys of some runs that moves on from stretch to stretch.
pub struct Cursor<'a, K, T> {
    runs: &'a [Run<K, T>],
    at: Vec<usize>,
}

impl<'a, K: Key, T: Tag> Cursor<'a, K, T> {
    /// Starts before all keys.
    pub fn new(runs: &'a [Run<K, T>]) -> Self {
        Self { runs, at: vec![0; runs.len()] }
    }

    /// Moves on behind the last of some keys, ascending; returns two stretches for each, that before it and its own.
    ///
    /// # Errors
    /// If a file of runs cannot be read.
    pub fn advance(&mut self, keys: &[K]) -> Result<Vec<Stretch<'a, K, T>>, Error> {
        let parts: Vec<Vec<Range<usize>>> = self
            .runs
            .par_iter()
            .zip(&mut self.at)
            .map(|(run, at)| {
                let mut next = |key, included| {
                    let start = std::mem::replace(at, run.rank(key, included, *at)?);
                    Ok(start..*at)
                };
                keys.iter()
                    .flat_map(|&key| [(key, false), (key, true)])
                    .map(|(key, own)| next(key, own))
                    .collect()
            })
            .collect::<Result<_, Error>>()?;
        let stretch = |place: usize| Stretch {
            runs: self.runs,
            parts: parts.iter().map(|run| run[place].clone()).collect(),
            key: (place % 2 == 1).then(|| keys[place / 2]),
        };
        Ok((0..2 * keys.len()).map(stretch).collect())
    }

    /// Returns all that is left.
    pub fn rest(self) -> Stretch<'a, K, T> {
        let parts = self.runs.iter().zip(self.at).map(|(run, at)| at..run.len()).collect();
        Stretch { runs: self.runs, parts, key: None }
    }
}

/// Makes something of each of some stretches, in parallel, and hands it out in their order.
///
/// # Errors
/// The first of `make` or `take`.
pub fn in_order<S: Send + Sync, P: Send>(
    stretches: &[S],
    make: impl Fn(&S) -> Result<P, Error> + Send + Sync,
    mut take: impl FnMut(&S, P) -> Result<(), Error>,
) -> Result<(), Error> {
    let made: Vec<Result<P, Error>> = stretches.par_iter().map(make).collect();
    stretches.iter().zip(made).try_for_each(|(stretch, part)| take(stretch, part?))
}

/// Number of dividing keys taken at a time: enough to keep the threads busy.
pub fn at_a_time() -> usize {
    2 * rayon::current_num_threads()
}

/// Hands out all keys and tags of some runs in order.
///
/// # Errors
/// If a file of runs cannot be read, or the first of `take`.
pub fn sorted<K: Key, T: Tag>(
    runs: &[Run<K, T>],
    mut take: impl FnMut(&[K], &[T]) -> Result<(), Error>,
) -> Result<(), Error> {
    let keys = divide(runs.iter().map(Run::samples));
    let mut cursor = Cursor::new(runs);
    let mut pass = |stretches: &[Stretch<'_, K, T>]| {
        in_order(
            stretches,
            |stretch| if stretch.key.is_some() { Ok(Default::default()) } else { stretch.gather() },
            |stretch, (keys, tags)| match stretch.key {
                None => take(&keys, &tags),
                Some(key) => stretch.tags(|tags| take(&vec![key; tags.len()], tags)),
            },
        )
    };
    for some in keys.chunks(at_a_time()) {
        pass(&cursor.advance(some)?)?;
    }
    pass(&[cursor.rest()])
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
                let count: Result<usize, Error> =
                    pile.runs().iter().map(|run| run.rank(key, included, 0)).sum();
                assert_eq!(count, Ok(want.iter().filter(before).count()));
            }
        }
    }

    #[test]
    fn stretches_are_of_bounded_size_unless_keys_are_equal() {
        let pile = pile(&[noise(2_000_000, 1 << 30), noise(500_000, 2)]);
        let keys = divide(pile.runs().iter().map(Run::samples));
        assert!(keys.len() > 3);
        let mut cursor = Cursor::new(pile.runs());
        let Ok(mut stretches) = cursor.advance(&keys) else { panic!("refused") };
        stretches.push(cursor.rest());
        assert_eq!(stretches.iter().map(Stretch::len).sum::<usize>(), pile.len());
        for stretch in stretches {
            assert!(stretch.key.is_some() || stretch.len() < 2 * BLOCK, "{}", stretch.len());
        }
    }
}
