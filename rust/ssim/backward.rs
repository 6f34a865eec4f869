//! Gradient of 1 - SSIM in one sweep over the map and one over the inputs.

use super::forward::Moments;
use super::lanes::{LANES, Lanes, Work, accumulate, whole_lanes};
use super::real::Real;
use super::{Border, Extra, PlaneShape, Ssim, Upstream};

/// Zeros on either side of a row that the adjoint window slides over; at least three times the largest radius.
const MARGIN: usize = 48;

/// Most planes that are blurred back: e, c, and one for each input.
const PLANES: usize = 4;

/// Which rows of the map each input row takes part in, with which weight: the transpose of padding and blurring.
pub struct Adjoint<T> {
    shape: PlaneShape,
    map_shape: PlaneShape,
    rows: Vec<Vec<(usize, T)>>,
}

impl<T: Real> Adjoint<T> {
    /// Prepares the transpose for planes of one shape.
    pub fn new(ssim: &Ssim<T>, shape: PlaneShape, map_shape: PlaneShape) -> Self {
        let mut rows = vec![Vec::new(); shape.height];
        let before = if ssim.border == Border::Valid { 0 } else { ssim.radius() as isize };
        for map_row in 0..map_shape.height {
            for (tap, &weight) in ssim.taps.iter().enumerate() {
                if let Some(row) = ssim.border.source((map_row + tap) as isize - before, shape.height) {
                    rows[row].push((map_row, weight));
                }
            }
        }
        Self { shape, map_shape, rows }
    }
}

/// One plane's sum of the map times the upstream gradient, and its gradients.
pub struct Plane<'a, T> {
    /// Window and constants.
    pub ssim: &'a Ssim<T>,
    /// Transpose of the window on this shape.
    pub adjoint: &'a Adjoint<T>,
    /// Plane of the first input.
    pub x: &'a [T],
    /// Plane of the second input.
    pub y: &'a [T],
    /// What the gradient is taken of.
    pub upstream: Upstream<'a, T>,
    /// What is added to each pixel of the map.
    pub extra: Extra<T>,
    /// Where dL/dx goes, if wanted.
    pub grad_x: Option<&'a mut [T]>,
    /// Where dL/dy goes, if wanted.
    pub grad_y: Option<&'a mut [T]>,
    /// Reused between planes.
    pub scratch: &'a mut Vec<T>,
}

impl<T: Real> Work for Plane<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run<const FMA: bool>(mut self) -> f64 {
        let sum = self.sweep_map::<FMA>();
        if self.grad_x.is_some() || self.grad_y.is_some() {
            self.sweep_inputs::<FMA>();
        }
        sum
    }
}

impl<T: Real> Plane<'_, T> {
    /// Sums the map times the upstream gradient and leaves g e, g c and the two planes of the means in `scratch`, row by row.
    #[inline(always)]
    fn sweep_map<const FMA: bool>(&mut self) -> f64 {
        let PlaneShape { height, width } = self.adjoint.map_shape;
        let lost = self.adjoint.shape.width - width;
        let stride = whole_lanes(width);
        self.scratch.resize(height * PLANES * stride, T::default());
        let mut moments = Moments::new::<FMA>(self.ssim, self.x, self.y, self.adjoint.shape, 0);
        let mut sums = [0.0_f64; LANES];
        for (row, planes) in self.scratch.chunks_exact_mut(PLANES * stride).enumerate() {
            moments.advance::<FMA>();
            for start in (0..stride).step_by(LANES) {
                let used = LANES.min(width.saturating_sub(start));
                let mut upstream = [T::default(); LANES];
                match self.upstream {
                    Upstream::Constant(value) => upstream[..used].fill(value),
                    Upstream::Map(map) => {
                        upstream[..used]
                            .copy_from_slice(&map[row * width + start..row * width + start + used]);
                    }
                }
                let (mut losses, terms) = terms_of(self.ssim, moments.at::<FMA>(start), &upstream);
                let first = (row + lost / 2) * self.adjoint.shape.width + lost / 2 + start;
                self.extra.add(&mut losses[..used], &self.x[first..], &self.y[first..]);
                if used == LANES {
                    for ((sum, loss), weight) in sums.iter_mut().zip(losses).zip(upstream) {
                        *sum += (loss * weight).to_f64();
                    }
                } else {
                    for ((sum, &loss), weight) in sums.iter_mut().zip(&losses[..used]).zip(upstream) {
                        *sum += (loss * weight).to_f64();
                    }
                }
                for (plane, term) in terms.iter().enumerate() {
                    planes[plane * stride + start..plane * stride + start + LANES].copy_from_slice(term);
                }
            }
        }
        sums.iter().sum()
    }

    /// Blurs the planes in `scratch` back and combines them with the inputs.
    #[inline(always)]
    fn sweep_inputs<const FMA: bool>(&mut self) {
        let PlaneShape { width, .. } = self.adjoint.shape;
        let map_width = self.adjoint.map_shape.width;
        let stride = whole_lanes(map_width);
        let radius = self.ssim.radius();
        // Positions past the border exist for windows that reach there; their share is folded back onto its source.
        let reach = if self.ssim.border == Border::Valid { 0 } else { radius };
        let extended = whole_lanes(width + 2 * reach);
        let mut columns: [Vec<T>; PLANES] =
            std::array::from_fn(|_| vec![T::default(); MARGIN + stride + MARGIN + extended - width + LANES]);
        let mut blurred: [Vec<T>; PLANES] = std::array::from_fn(|_| vec![T::default(); extended]);
        for (row, sources) in self.adjoint.rows.iter().enumerate() {
            for start in (0..stride).step_by(LANES) {
                let mut sums: [Lanes<T>; PLANES] = [[T::default(); LANES]; PLANES];
                for &(map_row, weight) in sources {
                    for (plane, sum) in sums.iter_mut().enumerate() {
                        let place = (map_row * PLANES + plane) * stride + start;
                        accumulate::<T, FMA>(sum, weight, self.scratch, place);
                    }
                }
                for (column, sum) in columns.iter_mut().zip(&sums) {
                    column[MARGIN + start..MARGIN + start + LANES].copy_from_slice(sum);
                }
            }
            for start in (0..extended).step_by(LANES) {
                let mut sums: [Lanes<T>; PLANES] = [[T::default(); LANES]; PLANES];
                for (tap, &weight) in self.ssim.taps.iter().enumerate() {
                    for (sum, column) in sums.iter_mut().zip(&columns) {
                        accumulate::<T, FMA>(sum, weight, column, MARGIN + start + tap - 2 * radius);
                    }
                }
                for (blurred, sum) in blurred.iter_mut().zip(&sums) {
                    blurred[start..start + LANES].copy_from_slice(sum);
                }
            }
            self.fold(&mut blurred, reach);
            let line = row * width..(row + 1) * width;
            let inputs = self.x[line.clone()].iter().zip(&self.y[line.clone()]);
            let [e, c, mean_x, mean_y] = blurred.each_ref().map(|plane| &plane[reach..reach + width]);
            let shift = self.ssim.shift;
            if let Some(grad_x) = self.grad_x.as_deref_mut() {
                let terms = e.iter().zip(c).zip(mean_x);
                for ((grad, (&x, &y)), ((&e, &c), &mean)) in
                    grad_x[line.clone()].iter_mut().zip(inputs.clone()).zip(terms)
                {
                    *grad = (x - shift) * e - (x - y) * c + mean;
                }
            }
            if let Some(grad_y) = self.grad_y.as_deref_mut() {
                let terms = e.iter().zip(c).zip(mean_y);
                for ((grad, (&x, &y)), ((&e, &c), &mean)) in grad_y[line].iter_mut().zip(inputs).zip(terms) {
                    *grad = (y - shift) * e + (x - y) * c + mean;
                }
            }
            self.add_extra_gradient(row);
        }
    }

    /// Adds the gradient of the extra term, which touches only the pixel itself, to one row.
    #[inline(always)]
    fn add_extra_gradient(&mut self, row: usize) {
        let PlaneShape { height, width } = self.adjoint.map_shape;
        let lost = self.adjoint.shape.width - width;
        if self.extra.is_none() || !(lost / 2..lost / 2 + height).contains(&row) {
            return;
        }
        let first = row * self.adjoint.shape.width + lost / 2;
        for column in 0..width {
            let place = first + column;
            let upstream = match self.upstream {
                Upstream::Constant(value) => value,
                Upstream::Map(map) => map[(row - lost / 2) * width + column],
            };
            let slope = upstream * self.extra.slope(self.x[place] - self.y[place]);
            if let Some(grad_x) = self.grad_x.as_deref_mut() {
                grad_x[place] += slope;
            }
            if let Some(grad_y) = self.grad_y.as_deref_mut() {
                grad_y[place] += -slope;
            }
        }
    }

    /// Adds what lies past the left and right border to the pixels that stand for it.
    #[inline(always)]
    fn fold(&self, blurred: &mut [Vec<T>; PLANES], reach: usize) {
        let width = self.adjoint.shape.width;
        for plane in blurred {
            for step in 1..=reach {
                for outside in [-(step as isize), (width - 1 + step) as isize] {
                    if let Some(place) = self.ssim.border.source(outside, width) {
                        let beyond = plane[(outside + reach as isize) as usize];
                        plane[place + reach] += beyond;
                    }
                }
            }
        }
    }
}

/// Returns 1 - SSIM and the planes -g e, -g c, -g (ax - e ux + c du), -g (ay - e uy - c du): the gradient of 1 - SSIM is
/// that of SSIM with the other sign.
#[inline(always)]
fn terms_of<T: Real>(
    ssim: &Ssim<T>,
    moments: [Lanes<T>; 4],
    upstream: &Lanes<T>,
) -> (Lanes<T>, [Lanes<T>; PLANES]) {
    let two = T::from_f64(2.0);
    let mut losses = [T::default(); LANES];
    let mut terms = [[T::default(); LANES]; PLANES];
    for lane in 0..LANES {
        let [ux, du, square, product] = moments.map(|moment| moment[lane]);
        let uy = ux - du;
        let (mx, my) = (ux + ssim.shift, uy + ssim.shift);
        let a1 = two * mx * my + ssim.c1;
        let b1 = a1 + du * du;
        let a2 = two * (product - ux * uy) + ssim.c2;
        let dv = square - du * du;
        let b2 = a2 + dv;
        let (l, q) = (du * du / b1, dv / b2);
        losses[lane] = l + q - l * q;
        let g = -upstream[lane];
        let c = two * (a1 / b1) / b2;
        let e = c * q;
        let k = two * a2 / (b2 * b1 * b1);
        let ax = k * du * (my * du - a1);
        let ay = k * du * (mx * du + a1);
        terms[0][lane] = g * e;
        terms[1][lane] = g * c;
        terms[2][lane] = g * (ax - e * ux + c * du);
        terms[3][lane] = g * (ay - e * uy - c * du);
    }
    (losses, terms)
}
