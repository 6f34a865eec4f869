//! Scores of many images, of either type, moved to a temporary file where they would take too much memory.

use std::fs::File;
use std::io::{BufReader, BufWriter, IntoInnerError, Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::encoding::{AnyScores, decode, encode};
use super::scores::{AnomalyMap, ImageScore, Scores, TruthRegion};
use super::sweep::{Metrics, Request, metrics};
use crate::error::Error;

/// An anomaly map of either type.
#[derive(Debug, Clone, Copy)]
pub enum AnyMap<'a> {
    /// float32.
    Single(AnomalyMap<'a, f32>),
    /// float64.
    Double(AnomalyMap<'a, f64>),
}

/// Runs the same code on scores of either type.
macro_rules! either {
    ($any:expr, $scores:ident => $body:expr) => {
        match $any {
            AnyScores::Single($scores) => $body,
            AnyScores::Double($scores) => $body,
        }
    };
}

/// Scores of many images; once they take more than `memory_limit` bytes, they are sorted and moved to a file.
#[derive(Debug)]
pub struct Gathered {
    scores: AnyScores,
    memory_limit: Option<usize>,
    file: Option<SpillFile>,
}

/// A temporary file, and how much of it is written.
#[derive(Debug)]
struct SpillFile {
    file: Arc<File>,
    end: u64,
    /// The process that writes to it: a process forked from it reads the file, and writes to a file of its own.
    process: u32,
}

impl Gathered {
    /// Starts without images, for scores of float64 or of float32; `image_top` is that of [`Scores::new`].
    pub fn new(double: bool, image_top: f64, memory_limit: Option<usize>) -> Self {
        let scores = if double {
            AnyScores::Double(Scores::new(image_top))
        } else {
            AnyScores::Single(Scores::new(image_top))
        };
        Self { scores, memory_limit, file: None }
    }

    /// Adds one image.
    ///
    /// # Errors
    /// As [`Scores::add`], or if the map is of the other type; nothing is added then. If the temporary file cannot be
    /// written; the image is added then, and stays in memory.
    pub fn add(&mut self, map: AnyMap<'_>) -> Result<(), Error> {
        match (&mut self.scores, map) {
            (AnyScores::Single(scores), AnyMap::Single(map)) => scores.add(map)?,
            (AnyScores::Double(scores), AnyMap::Double(map)) => scores.add(map)?,
            _ => return Err(mixed_types()),
        }
        self.keep_limit()
    }

    /// Adds all images of `other` behind these. [`Gathered::keep_limit`] is left to the caller, who can do it while
    /// others use `other`.
    ///
    /// # Errors
    /// As [`Scores::merge`], or if the scores are of the other type; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        match (&mut self.scores, &other.scores) {
            (AnyScores::Single(scores), AnyScores::Single(other)) => scores.merge(other),
            (AnyScores::Double(scores), AnyScores::Double(other)) => scores.merge(other),
            _ => Err(mixed_types()),
        }
    }

    /// Moves the scores to the temporary file if they take more memory than they may.
    ///
    /// # Errors
    /// If the file cannot be made or written; what has not been moved stays in memory.
    pub fn keep_limit(&mut self) -> Result<(), Error> {
        if self.memory_limit.is_none_or(|limit| self.bytes_in_memory() <= limit) {
            return Ok(());
        }
        let process = std::process::id();
        let SpillFile { file, end, .. } = match &mut self.file {
            Some(spilled) if spilled.process == process => spilled,
            other => {
                let file = tempfile::tempfile()
                    .map_err(|error| Error::File(format!("no temporary file can be made: {error}")))?;
                other.insert(SpillFile { file: Arc::new(file), end: 0, process })
            }
        };
        either!(&mut self.scores, scores => scores.spill(file, end))
    }

    /// Whether the scores are float64.
    pub fn is_double(&self) -> bool {
        matches!(self.scores, AnyScores::Double(_))
    }

    /// Share of an image's pixels whose mean score is the score of the image.
    pub fn image_top(&self) -> f64 {
        either!(&self.scores, scores => scores.top)
    }

    /// Inspected pixels without defect.
    pub fn negative_count(&self) -> usize {
        either!(&self.scores, scores => scores.negatives.len())
    }

    /// Inspected pixels with defect.
    pub fn positive_count(&self) -> usize {
        either!(&self.scores, scores => scores.positives.len())
    }

    /// Bytes of scores in memory.
    pub fn bytes_in_memory(&self) -> usize {
        either!(&self.scores, scores => scores.bytes())
    }

    /// Images in the order in which they were added.
    pub fn images(&self) -> &[ImageScore] {
        either!(&self.scores, scores => &scores.images)
    }

    /// Ground-truth regions, image by image.
    pub fn regions(&self) -> &[TruthRegion] {
        either!(&self.scores, scores => &scores.regions)
    }

    /// Computes all metrics.
    ///
    /// # Errors
    /// As [`metrics`].
    pub fn metrics(&mut self, request: &Request) -> Result<Metrics, Error> {
        either!(&mut self.scores, scores => metrics(scores, request))
    }

    /// Writes the scores as bytes.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write(&mut self, out: &mut impl Write) -> Result<(), Error> {
        either!(&mut self.scores, scores => encode(scores, out))
    }

    /// Writes the scores to a file and makes it durable.
    ///
    /// # Errors
    /// If the file cannot be made or written.
    pub fn save(&mut self, path: &Path) -> Result<(), Error> {
        let mut file = BufWriter::new(File::create(path).map_err(Error::from_io)?);
        self.write(&mut file)?;
        let file = file.into_inner().map_err(IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).map_err(Error::from_io)
    }

    /// Reads the scores that [`Gathered::write`] wrote.
    ///
    /// # Errors
    /// As [`decode`], or if the temporary file cannot be written.
    pub fn read(input: &mut impl Read, memory_limit: Option<usize>) -> Result<Self, Error> {
        let mut gathered = Self { scores: decode(input)?, memory_limit, file: None };
        gathered.keep_limit()?;
        Ok(gathered)
    }

    /// Reads the scores that [`Gathered::save`] wrote.
    ///
    /// # Errors
    /// As [`Gathered::read`], or if the file cannot be opened.
    pub fn load(path: &Path, memory_limit: Option<usize>) -> Result<Self, Error> {
        Self::read(&mut BufReader::new(File::open(path).map_err(Error::from_io)?), memory_limit)
    }
}

fn mixed_types() -> Error {
    Error::Value("maps must all be float64, or all of smaller types".into())
}
