//! All keys of several sorted runs in order, one range at a time.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::key::{Key, Tag};
use super::radix::{Scratch, sort};
use super::runs::{BLOCK, KeyStore, RunWriter, SortedRun};
use crate::error::Error;

/// Keys that a range takes from each run on average, at least.
const KEYS_OF_EACH_RUN: usize = 1 << 10;

/// Returns keys, ascending, that divide the keys of all runs into ranges of about a block each.
///
/// Every run is searched for every range: where runs are many, ranges are long enough that this stays a small part
/// of the time. A key that comes often is among those returned, so only the ranges of these single keys may be of
/// any number.
pub fn choose_splitters<K: Key>(samples: impl Iterator<Item = (Vec<K>, usize)>) -> Vec<K> {
    let (mut weighted, mut size): (Vec<(K, usize)>, _) = (Vec::new(), 0);
    for (keys, weight) in samples {
        weighted.extend(keys.into_iter().map(|key| (key, weight)));
        size += KEYS_OF_EACH_RUN;
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

/// A range of keys: where it lies in each run.
#[derive(Debug)]
pub struct KeyRange<'a, K, T> {
    runs: &'a [SortedRun<K, T>],
    parts: Vec<Range<usize>>,
    /// The key that all have, or None if they may differ.
    pub key: Option<K>,
}

impl<K: Key, T: Tag> KeyRange<'_, K, T> {
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Range::len).sum()
    }

    /// Gathers and sorts keys and tags.
    ///
    /// # Errors
    /// If a file of runs cannot be read.
    pub fn read_sorted(&self) -> Result<(Vec<K>, Vec<T>), Error> {
        let (mut keys, mut tags) = (Vec::with_capacity(self.len()), Vec::with_capacity(self.len()));
        for (run, part) in self.runs.iter().zip(&self.parts) {
            run.read(part.clone(), &mut keys, &mut tags)?;
        }
        if self.runs.len() > 1 {
            sort(&mut keys, &mut tags, &mut Scratch::default());
        }
        Ok((keys, tags))
    }

    /// Calls with the tags, some at a time, in no order.
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

/// A position in each run, which moves on from range to range.
pub struct Cursor<'a, K, T> {
    runs: &'a [SortedRun<K, T>],
    at: Vec<usize>,
}

impl<'a, K: Key, T: Tag> Cursor<'a, K, T> {
    /// Starts before all keys.
    pub fn new(runs: &'a [SortedRun<K, T>]) -> Self {
        Self { runs, at: vec![0; runs.len()] }
    }

    /// Moves on behind the last of some keys, ascending; returns two ranges for each, that before it and its own.
    ///
    /// # Errors
    /// If a file of runs cannot be read.
    pub fn advance(&mut self, keys: &[K]) -> Result<Vec<KeyRange<'a, K, T>>, Error> {
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
                    .map(|(key, included)| next(key, included))
                    .collect()
            })
            .collect::<Result<_, Error>>()?;
        let range = |index: usize| KeyRange {
            runs: self.runs,
            parts: parts.iter().map(|run| run[index].clone()).collect(),
            key: (index % 2 == 1).then(|| keys[index / 2]),
        };
        Ok((0..2 * keys.len()).map(range).collect())
    }

    /// Returns all that is left.
    pub fn rest(self) -> KeyRange<'a, K, T> {
        let parts = self.runs.iter().zip(self.at).map(|(run, at)| at..run.len()).collect();
        KeyRange { runs: self.runs, parts, key: None }
    }
}

/// Calls `make` on every range in parallel, and `take` with the results in the order of the ranges.
///
/// # Errors
/// The first of `make` or `take`.
pub fn parallel_in_order<S: Send + Sync, P: Send>(
    ranges: &[S],
    make: impl Fn(&S) -> Result<P, Error> + Send + Sync,
    mut take: impl FnMut(&S, P) -> Result<(), Error>,
) -> Result<(), Error> {
    let made: Vec<Result<P, Error>> = ranges.par_iter().map(make).collect();
    ranges.iter().zip(made).try_for_each(|(range, part)| take(range, part?))
}

/// Number of splitters that one pass takes: enough to keep the threads busy.
pub fn splitters_at_a_time() -> usize {
    2 * rayon::current_num_threads()
}

/// Calls with all keys and tags of some runs, in order.
///
/// # Errors
/// If a file of runs cannot be read, or the first of `take`.
pub fn visit_sorted<K: Key, T: Tag>(
    runs: &[SortedRun<K, T>],
    mut take: impl FnMut(&[K], &[T]) -> Result<(), Error>,
) -> Result<(), Error> {
    let keys = choose_splitters(runs.iter().map(SortedRun::samples));
    let mut cursor = Cursor::new(runs);
    let mut pass = |ranges: &[KeyRange<'_, K, T>]| {
        parallel_in_order(
            ranges,
            |range| if range.key.is_some() { Ok(Default::default()) } else { range.read_sorted() },
            |range, (keys, tags)| match range.key {
                None => take(&keys, &tags),
                Some(key) => range.tags(|tags| take(&vec![key; tags.len()], tags)),
            },
        )
    };
    for some in keys.chunks(splitters_at_a_time()) {
        pass(&cursor.advance(some)?)?;
    }
    pass(&[cursor.rest()])
}

/// Moves all keys of a store that are in memory to a file, behind its first `end` bytes, as one run.
///
/// # Errors
/// If the file cannot be written; the keys then stay where they are.
pub fn spill_store<K: Key, T: Tag>(
    store: &mut KeyStore<K, T>,
    file: &Arc<File>,
    end: &mut u64,
) -> Result<(), Error> {
    store.sort_pending();
    let runs = store.runs_in_memory();
    let mut writer = RunWriter::new(file, *end, runs.iter().map(SortedRun::len).sum());
    visit_sorted(&runs, |keys, tags| writer.push(keys, tags))?;
    let (run, behind) = writer.finish()?;
    store.replace_runs_in_memory(run);
    *end = behind;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(keys: &[Vec<u32>]) -> KeyStore<u32, u32> {
        let mut store = KeyStore::default();
        for run in keys {
            store.extend(run.iter().copied(), 0);
            store.sort_pending();
        }
        store
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
            let taken = visit_sorted(store(&parts).runs(), |keys, tags| {
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
        let mut store = KeyStore::default();
        for (number, part) in parts.iter().enumerate() {
            store.extend(part.iter().copied(), number as u32);
            if number > 0 {
                assert_eq!(spill_store(&mut store, &file, &mut end), Ok(()));
                assert_eq!(store.bytes(), 0);
            }
        }
        let mut want: Vec<(u32, u32)> =
            (0..3).flat_map(|number| parts[number].iter().map(move |&key| (key, number as u32))).collect();
        want.sort_unstable();
        let mut got = Vec::new();
        let taken = visit_sorted(store.runs(), |keys, tags: &[u32]| {
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
                    store.runs().iter().map(|run| run.rank(key, included, 0)).sum();
                assert_eq!(count, Ok(want.iter().filter(before).count()));
            }
        }
    }

    #[test]
    fn stretches_are_of_bounded_size_unless_keys_are_equal() {
        let store = store(&[noise(2_000_000, 1 << 30), noise(500_000, 2)]);
        let keys = choose_splitters(store.runs().iter().map(SortedRun::samples));
        assert!(keys.len() > 3);
        let mut cursor = Cursor::new(store.runs());
        let Ok(mut ranges) = cursor.advance(&keys) else { panic!("refused") };
        ranges.push(cursor.rest());
        assert_eq!(ranges.iter().map(KeyRange::len).sum::<usize>(), store.len());
        for range in ranges {
            assert!(range.key.is_some() || range.len() < 2 * BLOCK, "{}", range.len());
        }
    }
}
