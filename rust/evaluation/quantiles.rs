//! Quantiles over regions of their covered share, kept up while pixel after pixel is covered.

/// Buckets of shares; the first holds exactly 0, the last exactly 1.
const BUCKETS: usize = 1 << 16;
const COARSE: usize = 1 << 8;

/// Covered pixels of every region, and the regions counted by their share.
///
/// Sorting all shares at each of some hundred thresholds would cost more than all the rest where regions are many.
#[derive(Debug)]
pub struct Coverage<'a> {
    areas: &'a [u32],
    covered: Vec<u32>,
    bucket_of: Vec<u16>,
    counts: Vec<u32>,
    coarse: Vec<u32>,
}

impl<'a> Coverage<'a> {
    /// Starts with nothing covered; `areas` are the regions' pixels, none of them 0.
    pub fn new(areas: &'a [u32]) -> Self {
        let (mut counts, mut coarse) = (vec![0; BUCKETS], vec![0; COARSE]);
        (counts[0], coarse[0]) = (areas.len() as u32, areas.len() as u32);
        let zeros = vec![0; areas.len()];
        Self { areas, covered: zeros, bucket_of: vec![0; areas.len()], counts, coarse }
    }

    /// Covers one more pixel of a region.
    pub fn add(&mut self, region: usize) {
        self.covered[region] += 1;
        let (before, now) = (usize::from(self.bucket_of[region]), self.bucket(region));
        if before != now {
            self.bucket_of[region] = now as u16;
            self.counts[before] -= 1;
            self.counts[now] += 1;
            self.coarse[before / COARSE] -= 1;
            self.coarse[now / COARSE] += 1;
        }
    }

    /// Covered pixels of each region.
    pub fn covered(&self) -> &[u32] {
        &self.covered
    }

    /// Covered share of each region.
    pub fn shares(&self) -> Vec<f64> {
        (0..self.areas.len()).map(|region| self.share(region)).collect()
    }

    /// Returns quantiles of the shares, linear between order statistics.
    pub fn quantiles(&self, quantiles: &[f64]) -> Vec<f64> {
        let mut opened = (usize::MAX, Vec::new());
        quantiles
            .iter()
            .map(|quantile| {
                let place = quantile * (self.areas.len() - 1) as f64;
                let below = place.floor() as usize;
                let above = (below + 1).min(self.areas.len() - 1);
                let (low, high) = (self.smallest(below, &mut opened), self.smallest(above, &mut opened));
                low + (high - low) * (place - below as f64)
            })
            .collect()
    }

    /// Returns the share that `rank` others come before; the sorted bucket last looked into is kept in `opened`.
    fn smallest(&self, rank: usize, opened: &mut (usize, Vec<f64>)) -> f64 {
        let mut rest = rank as u32;
        let coarse = descend(&self.coarse, &mut rest);
        let fine = descend(&self.counts[coarse * COARSE..][..COARSE], &mut rest);
        match coarse * COARSE + fine {
            0 => 0.0,
            bucket if bucket == BUCKETS - 1 => 1.0,
            bucket => {
                if opened.0 != bucket {
                    *opened = (bucket, self.sorted(bucket as u16));
                }
                opened.1[rest as usize]
            }
        }
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
            found.extend(regions.map(|(place, _)| self.share(index * CHUNK + place)));
        }
        found.sort_unstable_by(f64::total_cmp);
        found
    }

    fn bucket(&self, region: usize) -> usize {
        let (covered, area) = (u64::from(self.covered[region]), u64::from(self.areas[region]));
        if covered == 0 {
            0
        } else if covered >= area {
            BUCKETS - 1
        } else {
            1 + (covered * (BUCKETS as u64 - 2) / area) as usize
        }
    }

    fn share(&self, region: usize) -> f64 {
        f64::from(self.covered[region]) / f64::from(self.areas[region])
    }
}

/// Returns the first place up to which more than `rest` are counted; `rest` is then the rank inside it.
fn descend(counts: &[u32], rest: &mut u32) -> usize {
    let mut place = 0;
    while place + 1 < counts.len() && counts[place] <= *rest {
        *rest -= counts[place];
        place += 1;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(covered: &[u32], areas: &[u32], quantile: f64) -> f64 {
        let mut shares: Vec<f64> =
            covered.iter().zip(areas).map(|(&part, &area)| f64::from(part) / f64::from(area)).collect();
        shares.sort_unstable_by(f64::total_cmp);
        let place = quantile * (shares.len() - 1) as f64;
        let below = place.floor() as usize;
        let above = (below + 1).min(shares.len() - 1);
        shares[below] + (shares[above] - shares[below]) * (place - below as f64)
    }

    #[test]
    fn quantiles_are_those_of_sorted_shares() {
        let areas: Vec<u32> =
            (0..300).map(|index| 1 + index * index % 97 * (1 + index % 2 * 100_000)).collect();
        let mut coverage = Coverage::new(&areas);
        let quantiles = [0.0, 0.1, 0.25, 0.5, 0.99, 1.0];
        for step in 0..40_000_usize {
            let region = step * step * 7 % 299;
            if coverage.covered()[region] < areas[region] {
                coverage.add(region);
            }
            if step % 1000 == 0 {
                let want = quantiles.map(|quantile| slow(coverage.covered(), &areas, quantile));
                assert_eq!(coverage.quantiles(&quantiles), want);
            }
        }
        assert!(coverage.shares().contains(&1.0) && coverage.shares().contains(&0.0));
    }

    #[test]
    fn one_region_is_its_own_quantile() {
        let mut coverage = Coverage::new(&[4]);
        coverage.add(0);
        assert_eq!(coverage.quantiles(&[0.0, 0.3, 1.0]), [0.25; 3]);
    }
}
