//! Covered share of every region, updated pixel by pixel, and its means, quantiles and areas.

/// Bits behind the point of shares that are added up: whole numbers add up to the same in any order.
const SHARE_BITS: u32 = 90;

/// Buckets of shares; the first holds exactly 0, the last exactly 1.
const BUCKETS: usize = 1 << 16;
const COARSE: usize = 1 << 8;

/// Pixels that are collected before their regions are updated, so that the waits for distant regions overlap.
const PENDING: usize = 1 << 16;

/// Coverage of one region. It fits one cache line, because pixels come in no order of regions.
#[derive(Debug, Clone, Copy)]
pub struct RegionCoverage {
    /// Twice the pairs of a covered pixel and a negative that are ranked wrongly, ties counting half.
    wrong: u128,
    area: u32,
    covered: u32,
}

/// Returns what one pixel of each region adds to the sum of the covered shares.
pub fn pixel_shares(areas: impl Iterator<Item = u32>) -> Vec<u128> {
    areas.map(|area| (1_u128 << SHARE_BITS) / u128::from(area)).collect()
}

/// All regions, and their number by covered share.
///
/// Sorting all shares at each of some hundred thresholds would cost more than all the rest where regions are many.
#[derive(Debug)]
pub struct Coverage {
    regions: Vec<RegionCoverage>,
    sum: u128,
    pending: Vec<(u32, u64)>,
    bucket_of: Vec<u16>,
    counts: Vec<u32>,
    coarse: Vec<u32>,
    /// The share that all regions of a bucket have, or NaN if they differ: small regions have few shares.
    share_of: Vec<f64>,
}

impl Coverage {
    /// Starts with nothing covered; `areas` are the regions' pixels, none of them 0.
    pub fn new(areas: impl Iterator<Item = u32>) -> Self {
        let regions: Vec<RegionCoverage> =
            areas.map(|area| RegionCoverage { wrong: 0, area, covered: 0 }).collect();
        let (mut counts, mut coarse) = (vec![0; BUCKETS], vec![0; COARSE]);
        (counts[0], coarse[0]) = (regions.len() as u32, regions.len() as u32);
        Self {
            bucket_of: vec![0; regions.len()],
            regions,
            sum: 0,
            pending: Vec::new(),
            counts,
            coarse,
            share_of: vec![0.0; BUCKETS],
        }
    }

    /// Covers one more pixel of each of some regions, adding `wrong` to twice the wrong pairs of each. Their pixel shares
    /// are to be added by [`Coverage::add_shares`].
    pub fn add(&mut self, regions: &[u32], wrong: u64) {
        self.pending.extend(regions.iter().map(|&region| (region, wrong)));
        if self.pending.len() >= PENDING {
            self.apply_pending();
        }
    }

    /// Adds pixel shares to the sum of the covered shares.
    pub fn add_shares(&mut self, sum: u128) {
        self.sum += sum;
    }

    /// Covers the pixels that are pending.
    fn apply_pending(&mut self) {
        for &(index, wrong) in &self.pending {
            let index = index as usize;
            let region = &mut self.regions[index];
            region.covered += 1;
            region.wrong += u128::from(wrong);
            let (before, now) = (usize::from(self.bucket_of[index]), bucket(*region));
            if before != now {
                let share = share(*region);
                if self.counts[now] == 0 {
                    self.share_of[now] = share;
                } else if self.share_of[now] != share {
                    self.share_of[now] = f64::NAN;
                }
                self.bucket_of[index] = now as u16;
                self.counts[before] -= 1;
                self.counts[now] += 1;
                self.coarse[before / COARSE] -= 1;
                self.coarse[now / COARSE] += 1;
            } else if now > 0 {
                self.share_of[now] = f64::NAN;
            }
        }
        self.pending.clear();
    }

    /// The regions as they are now.
    pub fn regions(&mut self) -> &[RegionCoverage] {
        self.apply_pending();
        &self.regions
    }

    /// Mean of the covered shares.
    pub fn mean(&self) -> f64 {
        mean(self.sum, SHARE_BITS, self.regions.len()).min(1.0)
    }

    /// Covered share of each region.
    pub fn shares(&mut self) -> Vec<f64> {
        self.regions().iter().map(|&region| share(region)).collect()
    }

    /// Areas under the ROC curves of all regions together, and of each, against so many negatives.
    pub fn aurocs(&mut self, negatives: usize) -> (f64, Vec<f64>) {
        self.apply_pending();
        let auroc = |wrong: u128, area: u64| 1.0 - wrong as f64 / 2.0 / (negatives as f64 * area as f64);
        let wrong = self.regions.iter().map(|region| region.wrong).sum();
        let area = self.regions.iter().map(|region| u64::from(region.area)).sum();
        (
            auroc(wrong, area),
            self.regions.iter().map(|region| auroc(region.wrong, region.area.into())).collect(),
        )
    }

    /// Areas under the covered shares over the false positive rate up to `limit`, divided by it: the mean of all
    /// regions, and each. Over the pixels covered since `before`, the rate passes the limit, from the first of `fprs` to
    /// the second.
    pub fn areas_up_to(
        &mut self,
        limit: f64,
        before: &[RegionCoverage],
        fprs: [f64; 2],
        negatives: usize,
    ) -> (f64, Vec<f64>) {
        const BITS: u32 = 95;
        // A pixel of a region covers it from its own false positive rate on; over ties, its share rises evenly.
        let tied =
            if fprs[0] < limit { (limit - fprs[0]).powi(2) / (2.0 * (fprs[1] - fprs[0])) } else { 0.0 };
        let area = |(now, before): (&RegionCoverage, &RegionCoverage)| {
            let passed = f64::from(before.covered) * limit - before.wrong as f64 / 2.0 / negatives as f64;
            (passed + f64::from(now.covered - before.covered) * tied) / f64::from(now.area) / limit
        };
        let areas: Vec<f64> = self.regions().iter().zip(before).map(area).collect();
        let sum = areas.iter().map(|&area| (area * 2_f64.powi(BITS as i32)) as u128).sum();
        (mean(sum, BITS, areas.len()), areas)
    }

    /// Returns quantiles of the shares, linear between order statistics.
    pub fn quantiles(&mut self, quantiles: &[f64]) -> Vec<f64> {
        self.apply_pending();
        let mut looked_up = (usize::MAX, Vec::new());
        quantiles
            .iter()
            .map(|quantile| {
                let rank = quantile * (self.regions.len() - 1) as f64;
                let below = rank.floor() as usize;
                let above = (below + 1).min(self.regions.len() - 1);
                let (low, high) =
                    (self.smallest(below, &mut looked_up), self.smallest(above, &mut looked_up));
                low + (high - low) * (rank - below as f64)
            })
            .collect()
    }

    /// Returns the share that `rank` others come before; `looked_up` keeps the bucket that was sorted last.
    fn smallest(&self, rank: usize, looked_up: &mut (usize, Vec<f64>)) -> f64 {
        let mut rest = rank as u32;
        let coarse = locate_rank(&self.coarse, &mut rest);
        let fine = locate_rank(&self.counts[coarse * COARSE..][..COARSE], &mut rest);
        let bucket = coarse * COARSE + fine;
        if !self.share_of[bucket].is_nan() {
            return self.share_of[bucket];
        }
        if looked_up.0 != bucket {
            *looked_up = (bucket, self.sorted(bucket as u16));
        }
        looked_up.1[rest as usize]
    }

    fn sorted(&self, bucket: u16) -> Vec<f64> {
        const CHUNK: usize = 64;
        let mut found = Vec::with_capacity(self.counts[usize::from(bucket)] as usize);
        for (index, chunk) in self.bucket_of.chunks(CHUNK).enumerate() {
            // Counting without a branch runs through chunks that hold none at the speed of memory.
            if chunk.iter().map(|&other| u16::from(other == bucket)).sum::<u16>() == 0 {
                continue;
            }
            let regions = chunk.iter().enumerate().filter(|&(_, &other)| other == bucket);
            found.extend(regions.map(|(offset, _)| share(self.regions[index * CHUNK + offset])));
        }
        found.sort_unstable_by(f64::total_cmp);
        found
    }
}

fn mean(sum: u128, bits: u32, count: usize) -> f64 {
    sum as f64 / 2_f64.powi(bits as i32) / count as f64
}

fn share(region: RegionCoverage) -> f64 {
    f64::from(region.covered) / f64::from(region.area)
}

fn bucket(region: RegionCoverage) -> usize {
    let (covered, area) = (u64::from(region.covered), u64::from(region.area));
    if covered == 0 {
        0
    } else if covered >= area {
        BUCKETS - 1
    } else {
        1 + (covered * (BUCKETS as u64 - 2) / area) as usize
    }
}

/// Returns the first bucket up to which more than `rest` are counted; `rest` becomes the rank inside it.
fn locate_rank(counts: &[u32], rest: &mut u32) -> usize {
    let mut bucket = 0;
    while bucket + 1 < counts.len() && counts[bucket] <= *rest {
        *rest -= counts[bucket];
        bucket += 1;
    }
    bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(shares: &[f64], quantile: f64) -> f64 {
        let mut shares = shares.to_vec();
        shares.sort_unstable_by(f64::total_cmp);
        let rank = quantile * (shares.len() - 1) as f64;
        let below = rank.floor() as usize;
        let above = (below + 1).min(shares.len() - 1);
        shares[below] + (shares[above] - shares[below]) * (rank - below as f64)
    }

    #[test]
    fn quantiles_are_those_of_sorted_shares() {
        let areas: Vec<u32> =
            (0..300).map(|index| 1 + index * index % 97 * (1 + index % 2 * 100_000)).collect();
        let pixels = pixel_shares(areas.iter().copied());
        let mut coverage = Coverage::new(areas.iter().copied());
        let quantiles = [0.0, 0.1, 0.25, 0.5, 0.99, 1.0];
        for step in 0..40_000_u32 {
            let region = step * (step % 10_007) * 7 % 299;
            if coverage.regions()[region as usize].covered < areas[region as usize] {
                coverage.add(&[region], 0);
                coverage.add_shares(pixels[region as usize]);
            }
            if step % 1000 == 0 {
                let shares = coverage.shares();
                assert_eq!(coverage.quantiles(&quantiles), quantiles.map(|quantile| slow(&shares, quantile)));
                assert!((coverage.mean() - shares.iter().sum::<f64>() / 300.0).abs() < 1e-14);
            }
        }
        assert!(coverage.shares().contains(&1.0) && coverage.shares().contains(&0.0));
    }

    #[test]
    fn pending_pixels_count() {
        let areas = [4, PENDING as u32 * 2];
        let (mut coverage, mut slowly) = (Coverage::new(areas.into_iter()), Coverage::new(areas.into_iter()));
        let tags: Vec<u32> =
            (0..PENDING as u32 + 5).map(|index| u32::from(index % 1000 != 0 || index > 3000)).collect();
        coverage.add(&tags, 3);
        for &tag in &tags {
            slowly.add(&[tag], 3);
            slowly.apply_pending();
        }
        assert_eq!(coverage.shares(), slowly.shares());
        assert_eq!(coverage.aurocs(7), slowly.aurocs(7));
        assert_eq!(coverage.quantiles(&[0.0, 0.3, 1.0]), slowly.quantiles(&[0.0, 0.3, 1.0]));
    }
}
