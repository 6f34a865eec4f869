//! Exact curves and their integrals from gathered scores, in one descent over the thresholds.

use rayon::prelude::*;

use crate::Error;
use crate::overlap::{Score, Scores};

/// Steps of the false (or true) positive rate below which points of a curve for drawing are left out.
const DRAWN_STEP: f64 = 1.0 / 2000.0;

/// What a caller asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Limits of the false positive rate for AU-PRO, each in (0, 1].
    pub fpr_limits: Vec<f64>,
    /// Quantiles over regions, each in [0, 1].
    pub quantiles: Vec<f64>,
    /// False positive rates at which regions' overlap is taken, ascending, each in [0, 1].
    pub overlap_fprs: Vec<f64>,
}

/// What comes back.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// Area under the ROC curve of the pixels.
    pub auroc: f64,
    /// Average precision of the pixels.
    pub average_precision: f64,
    /// Area under PRO, divided by its limit, for each limit.
    pub aupros: Vec<f64>,
    /// Quantiles of the regions' covered share: one row for each rate.
    pub overlap: Vec<Vec<f64>>,
    /// Lowest score whose false positive rate is at most each rate; infinite where even the highest exceeds it.
    pub thresholds: Vec<f64>,
    /// ROC for drawing: pairs of false and true positive rate.
    pub roc: Vec<[f64; 2]>,
    /// PRO for drawing: pairs of false positive rate and mean overlap.
    pub pro: Vec<[f64; 2]>,
}

/// Sum with Neumaier's correction: millions of small shares add up without drift.
#[derive(Default)]
struct Sum {
    total: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let total = self.total + value;
        self.lost += if self.total.abs() >= value.abs() {
            (self.total - total) + value
        } else {
            (value - total) + self.total
        };
        self.total = total;
    }

    fn get(&self) -> f64 {
        self.total + self.lost
    }
}

/// Computes all curves; the scores are sorted in place.
///
/// # Errors
/// If there is no pixel with, or none without, a defect.
pub fn curves<S: Score>(scores: &mut Scores<S>, request: &Request) -> Result<Curves, Error> {
    if scores.positives.is_empty() {
        return Err(Error::Value("no defect pixel in any mask: the metrics are undefined".into()));
    }
    if scores.negatives.is_empty() {
        return Err(Error::Value("no defect-free pixel in any mask: the metrics are undefined".into()));
    }
    scores.negatives.par_sort_unstable_by(|one, other| other.cmp(one));
    scores.positives.par_sort_unstable_by_key(|&(key, _)| std::cmp::Reverse(key));
    let (negatives, positives) = (&scores.negatives, &scores.positives);
    let (all_negatives, all_positives) = (negatives.len() as f64, positives.len() as f64);
    let weights: Vec<f64> =
        scores.areas.iter().map(|&area| 1.0 / area as f64 / scores.areas.len() as f64).collect();
    let mut covered = vec![0_u64; scores.areas.len()];

    let (mut fp, mut tp) = (0, 0);
    let mut twice_above = 0_u128; // twice the pairs (positive, negative) ranked wrongly, ties counting half
    let (mut precision, mut mean_overlap) = (Sum::default(), Sum::default());
    let mut areas: Vec<Sum> = request.fpr_limits.iter().map(|_| Sum::default()).collect();
    let (mut roc, mut pro) = (Drawn::new(), Drawn::new());
    let (mut overlap, mut thresholds) = (Vec::new(), Vec::new());
    let mut last_score = f64::INFINITY;
    while fp < negatives.len() || tp < positives.len() {
        let key = match (negatives.get(fp), positives.get(tp)) {
            (Some(&negative), Some(&(positive, _))) => negative.max(positive),
            (Some(&negative), None) => negative,
            (None, Some(&(positive, _))) => positive,
            (None, None) => break,
        };
        let tied_negatives = negatives[fp..].iter().take_while(|&&other| other == key).count();
        let tied = positives[tp..].iter().take_while(|(other, _)| *other == key);
        let (fpr_before, overlap_before) = (fp as f64 / all_negatives, mean_overlap.get());
        let fpr = (fp + tied_negatives) as f64 / all_negatives;
        while request.overlap_fprs.get(thresholds.len()).is_some_and(|&rate| fpr > rate) {
            overlap.push(overlap_quantiles(&covered, &scores.areas, &request.quantiles));
            thresholds.push(last_score);
        }
        let mut tied_positives = 0;
        for &(_, region) in tied {
            tied_positives += 1;
            covered[region as usize] += 1;
            mean_overlap.add(weights[region as usize]);
        }
        // Every positive of this group has `fp` negatives above it and half of the tied ones beside it.
        twice_above += tied_positives as u128 * (2 * fp + tied_negatives) as u128;
        fp += tied_negatives;
        tp += tied_positives;
        precision.add(tied_positives as f64 / all_positives * (tp as f64 / (tp + fp) as f64));
        let overlap_now = mean_overlap.get().min(1.0);
        for (area, &limit) in areas.iter_mut().zip(&request.fpr_limits) {
            area.add(trapezoid_up_to(limit, [fpr_before, overlap_before.min(1.0)], [fpr, overlap_now]));
        }
        last_score = S::value(key);
        roc.add([fpr, tp as f64 / all_positives]);
        pro.add([fpr, overlap_now]);
    }
    while thresholds.len() < request.overlap_fprs.len() {
        overlap.push(overlap_quantiles(&covered, &scores.areas, &request.quantiles));
        thresholds.push(last_score);
    }
    Ok(Curves {
        auroc: 1.0 - twice_above as f64 / 2.0 / (all_negatives * all_positives),
        average_precision: precision.get(),
        aupros: areas.iter().zip(&request.fpr_limits).map(|(area, limit)| area.get() / limit).collect(),
        overlap,
        thresholds,
        roc: roc.finish(),
        pro: pro.finish(),
    })
}

/// Area under the segment from `start` to `end`, as far as it lies left of `limit`.
fn trapezoid_up_to(limit: f64, start: [f64; 2], end: [f64; 2]) -> f64 {
    if start[0] >= limit || start[0] == end[0] {
        return 0.0;
    }
    let (right, height) = if end[0] <= limit {
        (end[0], end[1])
    } else {
        (limit, start[1] + (end[1] - start[1]) * (limit - start[0]) / (end[0] - start[0]))
    };
    (right - start[0]) * (start[1] + height) / 2.0
}

/// Quantiles of covered / area over regions, linear between order statistics.
fn overlap_quantiles(covered: &[u64], areas: &[u64], quantiles: &[f64]) -> Vec<f64> {
    let mut shares: Vec<f64> =
        covered.iter().zip(areas).map(|(&part, &area)| part as f64 / area as f64).collect();
    shares.sort_unstable_by(f64::total_cmp);
    quantiles
        .iter()
        .map(|quantile| {
            let place = quantile * (shares.len() - 1) as f64;
            let below = place.floor() as usize;
            let above = (below + 1).min(shares.len() - 1);
            shares[below] + (shares[above] - shares[below]) * (place - below as f64)
        })
        .collect()
}

/// Points of a curve, thinned so that a drawing looks the same.
struct Drawn {
    points: Vec<[f64; 2]>,
    last: [f64; 2],
}

impl Drawn {
    fn new() -> Self {
        Self { points: vec![[0.0; 2]], last: [0.0; 2] }
    }

    fn add(&mut self, point: [f64; 2]) {
        let drawn = self.points[self.points.len() - 1];
        if point[0] - drawn[0] >= DRAWN_STEP || point[1] - drawn[1] >= DRAWN_STEP {
            // The corner before a long segment belongs to the curve's shape.
            if self.last != drawn && (point[0] - self.last[0]).max(point[1] - self.last[1]) >= DRAWN_STEP {
                self.points.push(self.last);
            }
            self.points.push(point);
        }
        self.last = point;
    }

    fn finish(mut self) -> Vec<[f64; 2]> {
        self.add([1.0, 1.0]);
        if self.points[self.points.len() - 1] != [1.0, 1.0] {
            self.points.push([1.0, 1.0]);
        }
        self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(limit: f64) -> Request {
        Request { fpr_limits: vec![limit], quantiles: vec![0.5], overlap_fprs: vec![0.0, 0.5, 1.0] }
    }

    #[test]
    fn ties_are_one_point_of_the_curve() {
        let mut scores = Scores::<f64>::new();
        let mut map = [0.0; 16];
        map[0] = 0.9;
        let mut mask = [0; 16];
        (mask[0], mask[5]) = (1, 1);
        assert_eq!(scores.add(&map, &mask, None, 4, 4), Ok(()));
        let Ok(found) = curves(&mut scores, &request(0.3)) else { panic!("refused") };
        assert!((found.aupros[0] - 0.575).abs() < 1e-15);
        assert_eq!(found.overlap, [[0.5], [0.5], [1.0]]);
        assert_eq!(found.thresholds, [0.9, 0.9, 0.0]);
        assert!((found.auroc - 0.75).abs() < 1e-15);
    }

    #[test]
    fn a_constant_map_is_the_diagonal() {
        let mut scores = Scores::<f32>::new();
        assert_eq!(scores.add(&[1.0; 8], &[1, 0, 0, 0, 0, 0, 0, 1], None, 2, 4), Ok(()));
        let Ok(found) = curves(&mut scores, &request(0.3)) else { panic!("refused") };
        assert!((found.aupros[0] - 0.15).abs() < 1e-15);
        assert_eq!(found.thresholds[0], f64::INFINITY);
    }

    #[test]
    fn one_class_alone_is_refused() {
        let mut scores = Scores::<f32>::new();
        assert_eq!(scores.add(&[1.0; 2], &[0, 0], None, 1, 2), Ok(()));
        assert!(curves(&mut scores, &request(0.3)).is_err());
    }
}
