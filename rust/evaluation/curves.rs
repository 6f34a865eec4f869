//! Thinned curves: they have few points, and the areas of the full curves.

/// Largest step of either coordinate that a thinned curve leaves out.
const STEP: f64 = 1.0 / 2000.0;

/// A sum with Neumaier's correction, so that millions of small shares add up without drift.
#[derive(Debug, Default, Clone, Copy)]
pub struct CompensatedSum {
    total: f64,
    lost: f64,
}

impl CompensatedSum {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        let total = self.total + value;
        self.lost += if self.total.abs() >= value.abs() {
            (self.total - total) + value
        } else {
            (value - total) + self.total
        };
        self.total = total;
    }

    /// Returns the sum.
    pub fn get(self) -> f64 {
        self.total + self.lost
    }
}

/// A curve that rises from (0, 0) to (1, 1), joined by straight lines.
///
/// Between two points that are kept, the curve becomes two lines that meet where the area below them is that of the
/// lines they replace.
#[derive(Debug)]
pub struct ThinnedCurve {
    points: Vec<[f64; 2]>,
    last: [f64; 2],
    area: CompensatedSum,
    kept: Vec<f64>,
}

impl ThinnedCurve {
    /// Starts at (0, 0); the points at `kept`, ascending, are kept, so that areas up to them are those of the full curve.
    pub fn new(kept: &[f64]) -> Self {
        let mut kept = kept.to_vec();
        kept.reverse();
        Self { points: vec![[0.0; 2]], last: [0.0; 2], area: CompensatedSum::default(), kept }
    }

    /// Adds a point to the right of, or above, the last.
    pub fn add(&mut self, point: [f64; 2]) {
        while let Some(&x) = self.kept.last().filter(|&&x| x < point[0]) {
            self.kept.pop();
            if x > self.last[0] {
                let part = (x - self.last[0]) / (point[0] - self.last[0]);
                self.step([x, self.last[1] + part * (point[1] - self.last[1])]);
            }
            self.close();
        }
        self.step(point);
    }

    /// Ends at (1, 1).
    pub fn finish(mut self) -> Vec<[f64; 2]> {
        self.add([1.0, 1.0]);
        self.close();
        self.points
    }

    fn step(&mut self, point: [f64; 2]) {
        let far = |from: [f64; 2]| point[0] - from[0] >= STEP || point[1] - from[1] >= STEP;
        if far(self.last) {
            self.close(); // a long line stays as it is
        }
        self.area.add((point[0] - self.last[0]) * (self.last[1] + point[1]) / 2.0);
        self.last = point;
        if far(self.points[self.points.len() - 1]) {
            self.close();
        }
    }

    /// Keeps the last point, and one before it if that is needed for the area.
    fn close(&mut self) {
        let start = self.points[self.points.len() - 1];
        let (width, height) = (self.last[0] - start[0], self.last[1] - start[1]);
        if width <= 0.0 && height <= 0.0 {
            return;
        }
        if width > 0.0 && height > 0.0 {
            // From the top left corner of the box around both points, where the area is largest, to the bottom right.
            let part = ((width * self.last[1] - self.area.get()) / (width * height)).clamp(0.0, 1.0);
            if (part - 0.5).abs() > 1e-9 {
                // Rounding must not lead out of the box: the curve would fall.
                self.points.push([
                    (start[0] + part * width).min(self.last[0]),
                    (self.last[1] - part * height).max(start[1]),
                ]);
            }
        }
        self.points.push(self.last);
        self.area = CompensatedSum::default();
    }
}

/// Precision over recall as steps. The precision of each kept point is the mean since the one before.
#[derive(Debug, Default)]
pub struct StepCurve {
    points: Vec<[f64; 2]>,
    area: CompensatedSum,
    whole: CompensatedSum,
}

impl StepCurve {
    /// Adds a step of a width up to `recall`.
    pub fn add(&mut self, width: f64, recall: f64, precision: f64) {
        self.area.add(width * precision);
        self.whole.add(width * precision);
        let start = self.points.last().map_or(0.0, |point| point[0]);
        if recall - start >= STEP || recall >= 1.0 {
            // Rounded widths may be more than the step they make up.
            self.points.push([recall, (self.area.get() / (recall - start)).min(1.0)]);
            self.area = CompensatedSum::default();
        }
    }

    /// Area below all steps.
    pub fn area(&self) -> f64 {
        self.whole.get()
    }

    /// Returns recall and precision of the kept points.
    pub fn finish(self) -> Vec<[f64; 2]> {
        self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(points: &[[f64; 2]], limit: f64) -> f64 {
        points
            .windows(2)
            .filter(|pair| pair[1][0] <= limit)
            .map(|pair| (pair[1][0] - pair[0][0]) * (pair[0][1] + pair[1][1]) / 2.0)
            .sum()
    }

    #[test]
    fn areas_of_a_thinned_curve_are_those_of_the_curve() {
        let full: Vec<[f64; 2]> = (0..=100_000)
            .map(|index| f64::from(index) / 100_000.0)
            .flat_map(|x| [[x, x.powf(0.2)], [x, (x + 3e-6).powf(0.2).min(1.0)]])
            .collect();
        let mut thinned = ThinnedCurve::new(&[0.05, 0.3]);
        full.iter().for_each(|&point| thinned.add(point));
        let points = thinned.finish();
        assert!(points.len() < 9000);
        for limit in [0.05, 0.3, 1.0] {
            assert!((area(&points, limit) - area(&full, limit)).abs() < 1e-12);
        }
        assert!(points.windows(2).all(|pair| pair[0][0] <= pair[1][0] && pair[0][1] <= pair[1][1]));
    }

    #[test]
    fn long_lines_stay() {
        let mut thinned = ThinnedCurve::new(&[0.3]);
        thinned.add([0.0, 0.5]);
        thinned.add([0.5, 0.5]);
        assert_eq!(thinned.finish(), [[0.0, 0.0], [0.0, 0.5], [0.3, 0.5], [0.5, 0.5], [1.0, 1.0]]);
    }

    #[test]
    fn corners_that_are_rounded_lead_nowhere_back() {
        let count = 51_321.0;
        for (one, other) in (1..25).flat_map(|one| (one + 1..one + 25).map(move |other| (one, other))) {
            let mut thinned = ThinnedCurve::new(&[]);
            let (start, end) = (f64::from(one) / count, f64::from(other) / count);
            for point in [[start, 0.7 * STEP], [start, 1.3 * STEP], [end, 1.3 * STEP]] {
                thinned.add(point);
            }
            thinned.add([end, 1.9 * STEP]);
            thinned.add([end, 2.5 * STEP]);
            let points = thinned.finish();
            let rises = |pair: &[[f64; 2]]| pair[0][0] <= pair[1][0] && pair[0][1] <= pair[1][1];
            assert!(points.windows(2).all(rises), "{points:?}");
        }
    }

    #[test]
    fn precision_is_at_most_one() {
        for count in 1..500 {
            let mut steps = StepCurve::default();
            let width = 1.0 / f64::from(count);
            (1..=count).for_each(|index| steps.add(width, f64::from(index) / f64::from(count), 1.0));
            assert!(steps.finish().iter().all(|point| point[1] <= 1.0));
        }
    }

    #[test]
    fn steps_keep_their_area() {
        let mut steps = StepCurve::default();
        let mut want = 0.0;
        for index in 0..10_000 {
            let (before, recall) = (f64::from(index) / 1e4, f64::from(index + 1) / 1e4);
            steps.add(1e-4, recall, 1.0 - recall / 3.0);
            want += (recall - before) * (1.0 - recall / 3.0);
        }
        assert!((steps.area() - want).abs() < 1e-12);
        let points = steps.finish();
        assert!(points.len() <= 2000);
        let kept: f64 = points[0][0] * points[0][1]
            + points.windows(2).map(|pair| (pair[1][0] - pair[0][0]) * pair[1][1]).sum::<f64>();
        assert!((kept - want).abs() < 1e-12);
    }
}
