//! Sorted runs of keys, in memory or in a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::key::{Key, Tag};
use super::position;
use super::radix::{Scratch, sort};
use crate::error::Error;

/// Keys sorted at a time: more are slower for the caches, and fewer leave more runs to search.
pub const BLOCK: usize = 1 << 19;

/// Distance between the sampled keys of a run; for a file, also the number of keys that are read at a time.
const MEMORY_SPACING: usize = 1 << 10;
const FILE_SPACING: usize = 1 << 13;

/// Sorted keys and their tags.
#[derive(Debug, Clone)]
pub struct SortedRun<K, T> {
    data: RunData<K, T>,
    shift: u32,
}

#[derive(Debug, Clone)]
enum RunData<K, T> {
    Memory { keys: Arc<[K]>, tags: Arc<[T]> },
    File(Arc<RunFile<K>>),
}

#[derive(Debug)]
struct RunFile<K> {
    file: Arc<File>,
    /// Start of the keys, and of the tags.
    offsets: [u64; 2],
    len: usize,
    /// Every `FILE_SPACING`th key, the first among them.
    samples: Vec<K>,
}

impl<K: Key, T: Tag> SortedRun<K, T> {
    /// Number of keys.
    pub fn len(&self) -> usize {
        match &self.data {
            RunData::Memory { keys, .. } => keys.len(),
            RunData::File(stored) => stored.len,
        }
    }

    /// Some of the keys, and how many each stands for.
    pub fn samples(&self) -> (Vec<K>, usize) {
        match &self.data {
            RunData::Memory { keys, .. } => {
                (keys.iter().copied().step_by(MEMORY_SPACING).collect(), MEMORY_SPACING)
            }
            RunData::File(stored) => (stored.samples.clone(), FILE_SPACING),
        }
    }

    /// Returns how many keys are below a key, or not above it if it is `included`; the first `from` are known to be.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn rank(&self, key: K, included: bool, from: usize) -> Result<usize, Error> {
        let before = |other: &K| *other < key || (included && *other == key);
        match &self.data {
            RunData::Memory { keys, .. } => Ok(from + count_while(&keys[from..], before)),
            RunData::File(stored) => {
                // The last sample before the key begins the only part that has to be read.
                let start = stored.samples.partition_point(before).saturating_sub(1) * FILE_SPACING;
                let mut keys = Vec::new();
                stored.read_keys(start..(start + FILE_SPACING).min(stored.len), &mut keys)?;
                Ok(start + keys.partition_point(before))
            }
        }
    }

    /// Appends a part of the run to keys and tags.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(
        &self,
        part: Range<usize>,
        into_keys: &mut Vec<K>,
        into_tags: &mut Vec<T>,
    ) -> Result<(), Error> {
        match &self.data {
            RunData::Memory { keys, .. } => into_keys.extend_from_slice(&keys[part.clone()]),
            RunData::File(stored) => stored.read_keys(part.clone(), into_keys)?,
        }
        self.read_tags(part, into_tags)
    }

    /// Appends the tags of a part of the run.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read_tags(&self, part: Range<usize>, into: &mut Vec<T>) -> Result<(), Error> {
        match &self.data {
            RunData::Memory { tags, .. } => into.extend(tags[part].iter().map(|tag| tag.shifted(self.shift))),
            RunData::File(stored) => {
                let bytes = stored.bytes(1, T::BYTES, part.clone())?;
                if T::BYTES == 0 {
                    into.resize(into.len() + part.len(), T::default());
                } else {
                    into.extend(bytes.chunks_exact(T::BYTES).map(|tag| T::read(tag).shifted(self.shift)));
                }
            }
        }
        Ok(())
    }

    fn is_in_memory(&self) -> bool {
        matches!(self.data, RunData::Memory { .. })
    }

    /// Returns the run as one of a list that `by` regions are put in front of.
    pub fn shifted(&self, by: u32) -> Self {
        Self { data: self.data.clone(), shift: self.shift.wrapping_add(by) }
    }
}

impl<K: Key> RunFile<K> {
    fn read_keys(&self, part: Range<usize>, into: &mut Vec<K>) -> Result<(), Error> {
        let bytes = self.bytes(0, K::BYTES, part)?;
        into.extend(bytes.chunks_exact(K::BYTES).map(K::read));
        Ok(())
    }

    fn bytes(&self, which: usize, size: usize, part: Range<usize>) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; part.len() * size];
        let start = self.offsets[which] + (part.start * size) as u64;
        position::read_exact_at(&self.file, &mut bytes, start).map_err(|error| file_error(&error))?;
        Ok(bytes)
    }
}

fn file_error(error: &std::io::Error) -> Error {
    let folder = std::env::temp_dir();
    Error::File(format!(
        "the temporary file of sorted scores in {} failed (`TMPDIR` names another folder): {error}",
        folder.display()
    ))
}

/// Returns how many first elements meet a condition that none behind them meets, looking ever further ahead.
pub fn count_while<K>(keys: &[K], condition: impl Fn(&K) -> bool) -> usize {
    let mut reach = 1;
    while reach < keys.len() && condition(&keys[reach]) {
        reach *= 2;
    }
    let start = reach / 2;
    start + keys[start..keys.len().min(reach + 1)].partition_point(condition)
}

/// All keys of one kind: sorted runs, and pending keys, which came last and are not sorted yet.
#[derive(Debug, Clone)]
pub struct KeyStore<K, T> {
    runs: Vec<SortedRun<K, T>>,
    pending_keys: Vec<K>,
    pending_tags: Vec<T>,
}

impl<K: Key, T: Tag> Default for KeyStore<K, T> {
    fn default() -> Self {
        Self { runs: Vec::new(), pending_keys: Vec::new(), pending_tags: Vec::new() }
    }
}

impl<K: Key, T: Tag> KeyStore<K, T> {
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.pending_keys.len() + self.runs.iter().map(SortedRun::len).sum::<usize>()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that are held in memory.
    pub fn bytes(&self) -> usize {
        let held = self
            .runs
            .iter()
            .filter(|run| matches!(run.data, RunData::Memory { .. }))
            .map(SortedRun::len)
            .sum::<usize>();
        (held + self.pending_keys.len()) * (K::BYTES + T::BYTES)
    }

    /// Sorted runs; all keys once [`KeyStore::sort_pending`] has been called.
    pub fn runs(&self) -> &[SortedRun<K, T>] {
        &self.runs
    }

    /// Adds keys with one tag.
    pub fn extend(&mut self, keys: impl Iterator<Item = K>, tag: T) {
        self.pending_keys.extend(keys);
        self.pending_tags.resize(self.pending_keys.len(), tag);
    }

    /// Adds a run that is sorted already.
    pub fn push_run(&mut self, keys: Vec<K>, tags: Vec<T>) {
        self.runs
            .push(SortedRun { data: RunData::Memory { keys: keys.into(), tags: tags.into() }, shift: 0 });
    }

    /// Adds all of another store, whose tags count from `shift`.
    pub fn merge(&mut self, other: &Self, shift: u32) {
        self.runs.extend(other.runs.iter().map(|run| run.shifted(shift)));
        self.pending_keys.extend_from_slice(&other.pending_keys);
        self.pending_tags.extend(other.pending_tags.iter().map(|tag| tag.shifted(shift)));
    }

    /// Sorts what came last into runs once it is enough to keep all threads busy.
    pub fn sort_full_blocks(&mut self) {
        if self.pending_keys.len() >= BLOCK * rayon::current_num_threads() {
            self.sort_pending();
        }
    }

    /// Sorts what came last into runs.
    pub fn sort_pending(&mut self) {
        let blocks: Vec<_> =
            self.pending_keys.chunks(BLOCK).zip(self.pending_tags.chunks(BLOCK.max(1))).collect();
        let runs: Vec<_> = blocks
            .into_par_iter()
            .map_init(
                || (Vec::new(), Vec::new(), Scratch::default()),
                |(block_keys, block_tags, scratch), (keys, tags)| {
                    block_keys.clear();
                    block_tags.clear();
                    block_keys.extend_from_slice(keys);
                    block_tags.extend_from_slice(tags);
                    sort(block_keys, block_tags, scratch);
                    RunData::Memory { keys: block_keys.as_slice().into(), tags: block_tags.as_slice().into() }
                },
            )
            .collect();
        self.runs.extend(runs.into_iter().map(|data| SortedRun { data, shift: 0 }));
        self.pending_keys.clear();
        self.pending_tags.clear();
    }

    /// Runs that are in memory.
    pub fn runs_in_memory(&self) -> Vec<SortedRun<K, T>> {
        self.runs.iter().filter(|run| run.is_in_memory()).cloned().collect()
    }

    /// Replaces all runs that are in memory with one.
    pub fn replace_runs_in_memory(&mut self, by: SortedRun<K, T>) {
        self.runs.retain(|run| !run.is_in_memory());
        self.runs.push(by);
    }
}

/// Writes one run to a file, part by part.
pub struct RunWriter<'a, K> {
    keys: BufWriter<FilePosition<'a>>,
    tags: BufWriter<FilePosition<'a>>,
    stored: RunFile<K>,
    written: usize,
    bytes: Vec<u8>,
}

impl<'a, K: Key> RunWriter<'a, K> {
    /// Starts a run of `len` keys at a position in the file.
    pub fn new(file: &'a Arc<File>, start: u64, len: usize) -> Self {
        let offsets = [start, start + (len * K::BYTES) as u64];
        let [keys, tags] = offsets.map(|offset| BufWriter::new(FilePosition { file, offset }));
        let stored = RunFile { file: Arc::clone(file), offsets, len, samples: Vec::new() };
        Self { keys, tags, stored, written: 0, bytes: Vec::new() }
    }

    /// Writes the next keys and tags.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn push<T: Tag>(&mut self, keys: &[K], tags: &[T]) -> Result<(), Error> {
        let first = self.written.next_multiple_of(FILE_SPACING) - self.written;
        self.stored.samples.extend(keys.iter().skip(first).step_by(FILE_SPACING));
        self.written += keys.len();
        self.bytes.clear();
        keys.iter().for_each(|key| key.write(&mut self.bytes));
        self.keys.write_all(&self.bytes).map_err(|error| file_error(&error))?;
        self.bytes.clear();
        tags.iter().for_each(|tag| tag.write(&mut self.bytes));
        self.tags.write_all(&self.bytes).map_err(|error| file_error(&error))
    }

    /// Returns the run, and the position behind it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish<T: Tag>(mut self) -> Result<(SortedRun<K, T>, u64), Error> {
        self.keys.flush().and_then(|()| self.tags.flush()).map_err(|error| file_error(&error))?;
        let end = self.stored.offsets[1] + (self.stored.len * T::BYTES) as u64;
        Ok((SortedRun { data: RunData::File(Arc::new(self.stored)), shift: 0 }, end))
    }
}

/// A position in a file that moves on with each write.
struct FilePosition<'a> {
    file: &'a File,
    offset: u64,
}

impl Write for FilePosition<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = position::write_at(self.file, bytes, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_ahead_finds_the_last_that_meets_a_condition() {
        for length in 0..20 {
            let keys: Vec<usize> = (0..length).collect();
            for end in 0..=length {
                assert_eq!(count_while(&keys, |&key| key < end), end);
            }
        }
    }
}
