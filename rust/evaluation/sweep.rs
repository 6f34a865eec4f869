//! All metrics in one sweep over the thresholds, from the highest score to the lowest.

use super::coverage::{Coverage, RegionCoverage, pixel_shares};
use super::curves::{StepCurve, ThinnedCurve};
use super::groups::{DistinctKeys, RangePair, sum_shares};
use super::scores::Scores;
use super::sorted::key::{Key, Score, Tag};
use super::sorted::ranges::{Cursor, choose_splitters, parallel_in_order, splitters_at_a_time};
use super::sorted::runs::{KeyStore, SortedRun};
use crate::error::Error;

/// The limits, quantiles and rates that metrics are computed for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Limits of the false positive rate for AU-PRO, ascending, each in (0, 1].
    pub fpr_limits: Vec<f64>,
    /// Quantiles over regions, each in [0, 1].
    pub quantiles: Vec<f64>,
    /// Rates at which the regions' overlap is taken, ascending.
    pub overlap_rates: Vec<OverlapRate>,
}

/// A rate at which the regions' overlap is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverlapRate {
    /// False positive rate in [0, 1].
    pub fpr: f64,
    /// Whether the overlap of each region is wanted besides its quantiles over the regions.
    pub each_region: bool,
}

/// The metrics of all images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// Area under the ROC curve of the pixels.
    pub auroc: f64,
    /// Average precision of the pixels.
    pub average_precision: f64,
    /// Area under PRO, divided by its limit, for each limit.
    pub aupros: Vec<f64>,
    /// Highest F1 of the pixels.
    pub best_f1: f64,
    /// Score from which on a pixel counts as detected where F1 is highest.
    pub best_f1_threshold: f64,
    /// Quantiles of the regions' covered share: one row for each rate.
    pub overlap: Vec<Vec<f64>>,
    /// Lowest score whose false positive rate is at most each rate; infinite where even the highest exceeds it.
    pub thresholds: Vec<f64>,
    /// Area under the ROC curve of each region against all pixels without defect.
    pub region_aurocs: Vec<f64>,
    /// Share of AU-PRO of each region, their mean is AU-PRO: one row for each limit.
    pub region_aupros: Vec<Vec<f64>>,
    /// Covered share of each region: one row for each rate that wants it.
    pub region_overlap: Vec<Vec<f64>>,
    /// ROC, thinned: false and true positive rate.
    pub roc: Vec<[f64; 2]>,
    /// PRO, thinned: false positive rate and mean overlap.
    pub pro: Vec<[f64; 2]>,
    /// Recall and precision, thinned.
    pub precision_recall: Vec<[f64; 2]>,
}

/// Computes all metrics; what came last is sorted, nothing else changes.
///
/// # Errors
/// If there is no pixel with, or none without, a defect, or a file of scores cannot be read.
pub fn metrics<S: Score>(scores: &mut Scores<S>, request: &Request) -> Result<Metrics, Error> {
    if scores.positives.is_empty() {
        return Err(Error::Value("no defect pixel in any mask: the metrics are undefined".into()));
    }
    if scores.negatives.is_empty() {
        return Err(Error::Value("no defect-free pixel in any mask: the metrics are undefined".into()));
    }
    scores.negatives.sort_pending();
    scores.positives.sort_pending();
    let (negatives, positives) = (&scores.negatives, &scores.positives);
    let areas = || scores.regions.iter().map(|region| region.area);
    let shares = pixel_shares(areas());
    let mut sweep = Sweep::new(Coverage::new(areas()), &shares, [negatives.len(), positives.len()], request);
    let keys = choose_splitters(samples_of(negatives).chain(samples_of(positives)));
    let mut cursors = (Cursor::new(negatives.runs()), Cursor::new(positives.runs()));
    for some in keys.chunks(splitters_at_a_time()) {
        sweep.process(
            &cursors.0.advance(some)?.into_iter().zip(cursors.1.advance(some)?).collect::<Vec<_>>(),
        )?;
    }
    sweep.process(&[(cursors.0.rest(), cursors.1.rest())])?;
    Ok(sweep.finish())
}

fn samples_of<K: Key, T: Tag>(store: &KeyStore<K, T>) -> impl Iterator<Item = (Vec<K>, usize)> {
    store.runs().iter().map(SortedRun::samples)
}

struct Sweep<'a, K> {
    request: &'a Request,
    /// Share that one pixel of each region adds to the covered shares.
    pixel_shares: &'a [u128],
    negatives: usize,
    positives: usize,
    /// Negatives that each rate of the overlap allows.
    allowed: Vec<usize>,
    /// Negatives and positives passed, and the lowest of each.
    fp: usize,
    tp: usize,
    last: [Option<K>; 2],
    coverage: Coverage,
    /// Numerator and denominator of the best F1 so far, and where it is reached.
    best: (u128, u128, Option<K>),
    roc: ThinnedCurve,
    pro: ThinnedCurve,
    precision_recall: StepCurve,
    found: Metrics,
}

/// Positives with one key, between the start and the end of their group.
struct OpenGroup<K> {
    key: K,
    /// Negatives before them, and with those of their key.
    fp: [usize; 2],
    /// The mean overlap before them.
    overlap: f64,
    /// The regions before them, if a limit of the false positive rate lies between.
    before: Option<Vec<RegionCoverage>>,
}

impl<'a, K: Key> Sweep<'a, K> {
    fn new(
        coverage: Coverage,
        pixel_shares: &'a [u128],
        [negatives, positives]: [usize; 2],
        request: &'a Request,
    ) -> Self {
        Self {
            request,
            pixel_shares,
            negatives,
            positives,
            allowed: request.overlap_rates.iter().map(|rate| allowed(rate.fpr, negatives)).collect(),
            fp: 0,
            tp: 0,
            last: [None; 2],
            coverage,
            best: (0, 1, None),
            roc: ThinnedCurve::new(&[]),
            pro: ThinnedCurve::new(&request.fpr_limits),
            precision_recall: StepCurve::default(),
            found: Metrics::default(),
        }
    }

    fn process(&mut self, ranges: &[RangePair<'_, K>]) -> Result<(), Error> {
        let pixel_shares = self.pixel_shares;
        parallel_in_order(
            ranges,
            |both| {
                if both.0.key.is_some() {
                    Ok(DistinctKeys::default())
                } else {
                    DistinctKeys::new(both, pixel_shares)
                }
            },
            |both, distinct| match both.0.key {
                Some(key) => self.process_tied(key, both),
                None => {
                    self.process_distinct(&distinct);
                    Ok(())
                }
            },
        )
    }

    fn process_distinct(&mut self, distinct: &DistinctKeys<K>) {
        self.find_thresholds(&distinct.negatives, &distinct.positives);
        let mut start = 0;
        for part in &distinct.groups {
            let group = self.open_group(distinct.positives[start], self.fp + part.before, part.tied);
            self.cover(&group, &distinct.tags[start..part.end], part.shares);
            self.close_group(&group, part.end - start);
            start = part.end;
        }
        self.advance(
            distinct.negatives.len(),
            [distinct.negatives.last().copied(), distinct.positives.last().copied()],
        );
    }

    fn process_tied(&mut self, key: K, (negatives, positives): &RangePair<'_, K>) -> Result<(), Error> {
        let counts = [negatives.len(), positives.len()];
        self.find_thresholds_in_tie(counts[0]);
        if counts[1] > 0 {
            let group = self.open_group(key, self.fp, counts[0]);
            positives.tags(|tags| {
                self.cover(&group, tags, sum_shares(self.pixel_shares, tags));
                Ok(())
            })?;
            self.close_group(&group, counts[1]);
        }
        self.advance(counts[0], counts.map(|count| (count > 0).then_some(key)));
        Ok(())
    }

    /// Moves on behind negatives, whose positives have been closed, and the lowest keys of both.
    fn advance(&mut self, negatives: usize, last: [Option<K>; 2]) {
        self.fp += negatives;
        self.last = [last[0].or(self.last[0]), last[1].or(self.last[1])];
    }

    /// Finds the thresholds of rates that allow some of the negatives that come next, but not all.
    fn find_thresholds(&mut self, negatives: &[K], positives: &[K]) {
        while let Some(&allowed) = self.allowed.get(self.found.thresholds.len()) {
            let Some(&excluded) = negatives.get(allowed - self.fp) else { return };
            // What scores higher than the first that is not allowed is detected.
            let higher = |keys: &[K], last: Option<K>| {
                let count = keys.partition_point(|&key| key < excluded);
                if count > 0 { Some(keys[count - 1]) } else { last }
            };
            let lowest = higher(negatives, self.last[0]).max(higher(positives, self.last[1]));
            self.found.thresholds.push(lowest.map_or(f64::INFINITY, K::score));
        }
    }

    /// As [`Sweep::find_thresholds`], for negatives of one key.
    fn find_thresholds_in_tie(&mut self, count: usize) {
        while self.allowed.get(self.found.thresholds.len()).is_some_and(|&allowed| allowed < self.fp + count)
        {
            let lowest = self.last[0].max(self.last[1]);
            self.found.thresholds.push(lowest.map_or(f64::INFINITY, K::score));
        }
    }

    fn open_group(&mut self, key: K, before: usize, tied: usize) -> OpenGroup<K> {
        let fp = [before, before + tied];
        while self.allowed.get(self.found.overlap.len()).is_some_and(|&allowed| allowed < fp[1]) {
            self.take_overlap();
        }
        let crossed = self.next_limit().is_some_and(|limit| self.fpr(fp[1]) > limit);
        let before = crossed.then(|| self.coverage.regions().to_vec());
        OpenGroup { key, fp, overlap: self.coverage.mean(), before }
    }

    fn cover(&mut self, group: &OpenGroup<K>, regions: &[u32], shares: u128) {
        self.coverage.add(regions, (group.fp[0] + group.fp[1]) as u64);
        self.coverage.add_shares(shares);
    }

    /// Draws the curves past positives that have been covered.
    fn close_group(&mut self, group: &OpenGroup<K>, count: usize) {
        let fprs = group.fp.map(|fp| self.fpr(fp));
        if let Some(before) = &group.before {
            while self.next_limit().is_some_and(|limit| fprs[1] > limit) {
                self.take_limit(before, fprs);
            }
        }
        let positives = self.positives as f64;
        let recalls = [self.tp as f64 / positives, (self.tp + count) as f64 / positives];
        self.tp += count;
        self.roc.add([fprs[0], recalls[0]]);
        self.roc.add([fprs[1], recalls[1]]);
        self.pro.add([fprs[0], group.overlap]);
        self.pro.add([fprs[1], self.coverage.mean()]);
        let detected = self.tp + group.fp[1];
        self.precision_recall.add(count as f64 / positives, recalls[1], self.tp as f64 / detected as f64);
        let f1 = (2 * self.tp as u128, (detected + self.positives) as u128);
        if f1.0 * self.best.1 > self.best.0 * f1.1 {
            self.best = (f1.0, f1.1, Some(group.key));
        }
    }

    fn finish(mut self) -> Metrics {
        while self.found.overlap.len() < self.allowed.len() {
            self.take_overlap();
        }
        let lowest = self.last[0].max(self.last[1]).map_or(f64::INFINITY, K::score);
        self.found.thresholds.resize(self.allowed.len(), lowest);
        while self.next_limit().is_some() {
            let all = self.coverage.regions().to_vec();
            self.take_limit(&all, [1.0; 2]);
        }
        let (auroc, region_aurocs) = self.coverage.aurocs(self.negatives);
        Metrics {
            auroc,
            region_aurocs,
            average_precision: self.precision_recall.area(),
            best_f1: self.best.0 as f64 / self.best.1 as f64,
            best_f1_threshold: self.best.2.map_or(f64::INFINITY, K::score),
            roc: self.roc.finish(),
            pro: self.pro.finish(),
            precision_recall: self.precision_recall.finish(),
            ..self.found
        }
    }

    fn fpr(&self, fp: usize) -> f64 {
        fp as f64 / self.negatives as f64
    }

    fn next_limit(&self) -> Option<f64> {
        self.request.fpr_limits.get(self.found.aupros.len()).copied()
    }

    fn take_overlap(&mut self) {
        if self.request.overlap_rates[self.found.overlap.len()].each_region {
            self.found.region_overlap.push(self.coverage.shares());
        }
        self.found.overlap.push(self.coverage.quantiles(&self.request.quantiles));
    }

    /// Takes the next limit, with the regions before the pixels over which the rate passes it (see `areas_up_to`).
    fn take_limit(&mut self, before: &[RegionCoverage], fprs: [f64; 2]) {
        let Some(limit) = self.next_limit() else { return };
        let (mean, areas) = self.coverage.areas_up_to(limit, before, fprs, self.negatives);
        self.found.aupros.push(mean);
        self.found.region_aupros.push(areas);
    }
}

/// Returns how distinct of the negatives a rate allows.
fn allowed(rate: f64, negatives: usize) -> usize {
    let share = |count: usize| count as f64 / negatives as f64;
    let mut count = ((rate * negatives as f64) as usize).min(negatives);
    while count > 0 && share(count) > rate {
        count -= 1;
    }
    while count < negatives && share(count + 1) <= rate {
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::super::scores::AnomalyMap;
    use super::*;

    fn request(limit: f64) -> Request {
        let overlap_rates = [0.0, 0.5, 1.0].map(|fpr| OverlapRate { fpr, each_region: true }).to_vec();
        Request { fpr_limits: vec![limit], quantiles: vec![0.5], overlap_rates }
    }

    fn found(map: &[f32], mask: &[u8], width: usize, limit: f64) -> Result<Metrics, Error> {
        let mut scores = Scores::new(0.0);
        scores.add(AnomalyMap { scores: map, mask, ignore: None, height: map.len() / width, width })?;
        metrics(&mut scores, &request(limit))
    }

    #[test]
    fn ties_are_one_point_of_the_curve() {
        let (mut map, mut mask) = ([0.0; 16], [0; 16]);
        map[0] = 0.875;
        (mask[0], mask[5]) = (1, 1);
        let Ok(found) = found(&map, &mask, 4, 0.3) else { panic!("refused") };
        assert!((found.aupros[0] - 0.575).abs() < 1e-15);
        assert_eq!(found.overlap, [[0.5], [0.5], [1.0]]);
        assert_eq!(found.region_overlap, found.overlap);
        assert_eq!(found.thresholds, [0.875, 0.875, 0.0]);
        assert_eq!(found.auroc, 0.75);
        assert_eq!(found.region_aurocs, [0.75]);
        assert_eq!((found.best_f1, found.best_f1_threshold), (2.0 / 3.0, 0.875));
        assert_eq!(found.roc, [[0.0, 0.0], [0.0, 0.5], [1.0, 1.0]]);
    }

    #[test]
    fn a_constant_map_is_the_diagonal() {
        let Ok(found) = found(&[1.0; 8], &[1, 0, 0, 0, 0, 0, 0, 1], 4, 0.3) else { panic!("refused") };
        assert!((found.aupros[0] - 0.15).abs() < 1e-15);
        assert_eq!(found.thresholds, [f64::INFINITY, f64::INFINITY, 1.0]);
    }

    #[test]
    fn one_class_alone_is_refused() {
        assert!(found(&[1.0; 2], &[0, 0], 2, 0.3).is_err());
        assert!(found(&[1.0; 2], &[1, 1], 2, 0.3).is_err());
    }

    #[test]
    fn allowed_negatives_are_those_whose_share_is_not_above_the_rate() {
        for negatives in [1, 3, 7, 10, 49, 1000] {
            for count in 0..=negatives {
                assert_eq!(allowed(count as f64 / negatives as f64, negatives), count);
            }
        }
    }
}
