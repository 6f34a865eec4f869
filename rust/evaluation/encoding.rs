//! Gathered scores as bytes and back, for files and other processes. Reading checks everything.

use std::io::{Read, Write};

use super::scores::{ImageScore, Scores, TruthRegion};
use super::sorted::key::{Key, LittleEndian, Score, Tag};
use super::sorted::runs::{BLOCK, KeyStore};
use crate::error::Error;

const MAGIC: &[u8; 16] = b"ssimae-scores-1\n";

/// Scores of the type they were gathered as.
#[derive(Debug)]
pub enum AnyScores {
    /// float32.
    Single(Scores<f32>),
    /// float64.
    Double(Scores<f64>),
}

/// Writes gathered scores; what came last is sorted.
///
/// # Errors
/// If writing fails.
pub fn encode<S: Score>(scores: &mut Scores<S>, out: &mut impl Write) -> Result<(), Error> {
    scores.negatives.sort_pending();
    scores.positives.sort_pending();
    let mut bytes = MAGIC.to_vec();
    (S::Key::BYTES as u64).write(&mut bytes);
    scores.top.to_bits().write(&mut bytes);
    (scores.images.len() as u64).write(&mut bytes);
    (scores.regions.len() as u64).write(&mut bytes);
    for image in &scores.images {
        image.score.to_bits().write(&mut bytes);
    }
    for region in &scores.regions {
        [region.image, region.area].iter().chain(&region.bounds).for_each(|number| number.write(&mut bytes));
    }
    put(out, &bytes)?;
    encode_store(&scores.negatives, out)?;
    encode_store(&scores.positives, out)
}

fn encode_store<K: Key, T: Tag>(store: &KeyStore<K, T>, out: &mut impl Write) -> Result<(), Error> {
    let (mut bytes, mut keys, mut tags) = (Vec::new(), Vec::new(), Vec::new());
    (store.runs().len() as u64).write(&mut bytes);
    for run in store.runs() {
        (run.len() as u64).write(&mut bytes);
        for start in (0..run.len()).step_by(BLOCK) {
            keys.clear();
            tags.clear();
            run.read(start..(start + BLOCK).min(run.len()), &mut keys, &mut tags)?;
            keys.iter().for_each(|key: &K| key.write(&mut bytes));
            tags.iter().for_each(|tag: &T| tag.write(&mut bytes));
            put(out, &bytes)?;
            bytes.clear();
        }
    }
    put(out, &bytes)
}

fn put(out: &mut impl Write, bytes: &[u8]) -> Result<(), Error> {
    out.write_all(bytes).map_err(|error| Error::File(format!("gathered scores cannot be written: {error}")))
}

/// Reads gathered scores back.
///
/// # Errors
/// If they are cut short, of another version, or contradict themselves.
pub fn decode(input: &mut impl Read) -> Result<AnyScores, Error> {
    let magic = take(input, MAGIC.len())?;
    if magic != MAGIC {
        return Err(Error::Value("not gathered scores of this version".into()));
    }
    match number(input)? {
        4 => decode_as(input).map(AnyScores::Single),
        8 => decode_as(input).map(AnyScores::Double),
        other => Err(damaged(&format!("keys have {other} bytes"))),
    }
}

fn decode_as<S: Score>(input: &mut impl Read) -> Result<Scores<S>, Error> {
    let top = f64::from_bits(number(input)?);
    if !(0.0..=1.0).contains(&top) {
        return Err(damaged("a share is not in [0, 1]"));
    }
    let (images, regions) = (small(number(input)?)?, small(number(input)?)?);
    let mut scores = Scores::new(top);
    for start in (0..images).step_by(BLOCK) {
        let bytes = take(input, (images - start).min(BLOCK) * 8)?;
        let image = |bits: &[u8]| ImageScore { score: f64::from_bits(u64::read(bits)), defective: false };
        scores.images.extend(bytes.chunks_exact(8).map(image));
    }
    if scores.images.iter().any(|image| image.score.is_infinite()) {
        return Err(damaged("the score of an image is infinite"));
    }
    for _ in 0..regions {
        let bytes = take(input, 24)?;
        let [image, area, top, left, bottom, right] =
            [0, 1, 2, 3, 4, 5].map(|index| u32::read(&bytes[4 * index..][..4]));
        let region = TruthRegion { image, area, bounds: [top, left, bottom, right] };
        check_region(region, scores.regions.last(), &mut scores.images)?;
        scores.regions.push(region);
    }
    let mut rest: Vec<u32> = scores.regions.iter().map(|region| region.area).collect();
    scores.negatives = decode_store(input, |()| Ok(()))?;
    scores.positives = decode_store(input, |region: u32| match rest.get_mut(region as usize) {
        Some(left) if *left > 0 => {
            *left -= 1;
            Ok(())
        }
        _ => Err(damaged("a region has more pixels than its area")),
    })?;
    if rest.iter().any(|&left| left > 0) {
        return Err(damaged("a region has fewer pixels than its area"));
    }
    match input.read(&mut [0]) {
        Ok(0) => Ok(scores),
        _ => Err(damaged("something follows them")),
    }
}

fn check_region(
    region: TruthRegion,
    before: Option<&TruthRegion>,
    images: &mut [ImageScore],
) -> Result<(), Error> {
    let [top, left, bottom, right] = region.bounds;
    let (height, width) = (bottom.checked_sub(top), right.checked_sub(left));
    let room = height.zip(width).map_or(0, |(height, width)| u64::from(height) * u64::from(width));
    if region.area == 0 || u64::from(region.area) > room {
        return Err(damaged("a region does not fit its box"));
    }
    if before.is_some_and(|other| other.image > region.image) {
        return Err(damaged("regions are not in the order of the images"));
    }
    match images.get_mut(region.image as usize) {
        Some(image) if !image.score.is_nan() => {
            image.defective = true;
            Ok(())
        }
        _ => Err(damaged("a region lies in no image")),
    }
}

fn decode_store<K: Key, T: Tag>(
    input: &mut impl Read,
    mut check: impl FnMut(T) -> Result<(), Error>,
) -> Result<KeyStore<K, T>, Error> {
    let mut store = KeyStore::default();
    for _ in 0..number(input)? {
        let mut rest = usize::try_from(number(input)?).map_err(|_| damaged("a run is too long"))?;
        // A run of any claimed length is read in parts, so that memory is only taken for what is there.
        while rest > 0 {
            let count = rest.min(BLOCK);
            let keys: Vec<K> = take(input, count * K::BYTES)?.chunks_exact(K::BYTES).map(K::read).collect();
            let tags: Vec<T> = if T::BYTES == 0 {
                vec![T::default(); count]
            } else {
                take(input, count * T::BYTES)?.chunks_exact(T::BYTES).map(T::read).collect()
            };
            if !keys.is_sorted() {
                return Err(damaged("a run is not sorted"));
            }
            if !(keys[0].score().is_finite() && keys[count - 1].score().is_finite()) {
                return Err(damaged("a score is NaN or infinite"));
            }
            tags.iter().try_for_each(|&tag| check(tag))?;
            store.push_run(keys, tags);
            rest -= count;
        }
    }
    Ok(store)
}

fn number(input: &mut impl Read) -> Result<u64, Error> {
    Ok(u64::read(&take(input, 8)?))
}

fn take(input: &mut impl Read, count: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; count];
    input.read_exact(&mut bytes).map_err(|error| damaged(&error.to_string()))?;
    Ok(bytes)
}

fn small(number: u64) -> Result<usize, Error> {
    u32::try_from(number)
        .map(|number| number as usize)
        .map_err(|_| damaged("there are too many images or regions"))
}

fn damaged(why: &str) -> Error {
    Error::Value(format!("gathered scores are damaged: {why}"))
}

#[cfg(test)]
mod tests {
    use super::super::scores::AnomalyMap;
    use super::super::sweep::{OverlapRate, Request, metrics};
    use super::*;

    fn gathered() -> Scores<f32> {
        let mut scores = Scores::new(0.0);
        let map: Vec<f32> = (0..60).map(|index| (index * 37 % 61) as f32 / 7.0).collect();
        let mask: Vec<u8> = (0..60).map(|index| u8::from(index % 7 == 0 || index % 11 < 2)).collect();
        for (height, width) in [(6, 10), (10, 6)] {
            assert_eq!(
                scores.add(AnomalyMap { scores: &map, mask: &mask, ignore: None, height, width }),
                Ok(())
            );
        }
        scores
    }

    fn encoded(scores: &mut Scores<f32>) -> Vec<u8> {
        let mut bytes = Vec::new();
        assert_eq!(encode(scores, &mut bytes), Ok(()));
        bytes
    }

    #[test]
    fn decoded_scores_have_the_same_metrics() {
        let mut scores = gathered();
        let bytes = encoded(&mut scores);
        let Ok(AnyScores::Single(mut back)) = decode(&mut bytes.as_slice()) else { panic!("refused") };
        assert_eq!((&back.images, &back.regions), (&scores.images, &scores.regions));
        let request = Request {
            fpr_limits: vec![0.3],
            quantiles: vec![0.5],
            overlap_rates: vec![OverlapRate { fpr: 0.1, each_region: true }],
        };
        assert_eq!(metrics(&mut back, &request), metrics(&mut scores, &request));
        assert_eq!(encoded(&mut back), bytes);
    }

    #[test]
    fn scores_cut_short_are_refused() {
        let bytes = encoded(&mut gathered());
        for end in 0..bytes.len() {
            assert!(decode(&mut &bytes[..end]).is_err(), "{end}");
        }
        assert!(decode(&mut [bytes.as_slice(), &[0]].concat().as_slice()).is_err());
    }

    #[test]
    fn changed_bytes_are_refused_or_decode_to_sound_scores() {
        let bytes = encoded(&mut gathered());
        let request = Request {
            fpr_limits: vec![0.3],
            quantiles: vec![0.5],
            overlap_rates: vec![OverlapRate { fpr: 0.1, each_region: false }],
        };
        for place in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff, bytes[place] ^ 1, bytes[place] ^ 0x80] {
                let mut changed = bytes.clone();
                changed[place] = value;
                if let Ok(AnyScores::Single(mut scores)) = decode(&mut changed.as_slice()) {
                    let Ok(found) = metrics(&mut scores, &request) else { continue };
                    assert!((0.0..=1.0).contains(&found.auroc));
                }
            }
        }
    }
}
