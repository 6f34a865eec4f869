//! Gradient of 1 - SSIM in one sweep over the map and one over the inputs.

use super::forward::Moments;
use super::lanes::{LANES, Lanes, Work, accumulate, whole_lanes};
use super::{Border, PlaneShape, Ssim, Upstream};

/// Zeros on either side of a row that the adjoint window slides over; at least three times the largest radius.
const MARGIN: usize = 48;

/// Most planes that are blurred back: e, c, and one for each input.
const PLANES: usize = 4;

/// Which rows of the map each input row takes part in, with which weight: the transpose of padding and blurring.
pub struct Adjoint {
    shape: PlaneShape,
    map_shape: PlaneShape,
    rows: Vec<Vec<(usize, f32)>>,
}

impl Adjoint {
    /// Prepares the transpose for planes of one shape.
    pub fn new(ssim: &Ssim, shape: PlaneShape, map_shape: PlaneShape) -> Self {
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

/// One plane's sum of 1 - SSIM and its gradients.
pub struct Plane<'a> {
    /// Window and constants.
    pub ssim: &'a Ssim,
    /// Transpose of the window on this shape.
    pub adjoint: &'a Adjoint,
    /// Plane of the first input.
    pub x: &'a [f32],
    /// Plane of the second input.
    pub y: &'a [f32],
    /// What the gradient is taken of.
    pub upstream: Upstream<'a>,
    /// Where dL/dx goes, if wanted.
    pub grad_x: Option<&'a mut [f32]>,
    /// Where dL/dy goes, if wanted.
    pub grad_y: Option<&'a mut [f32]>,
    /// Reused between planes.
    pub scratch: &'a mut Vec<f32>,
}

impl Work for Plane<'_> {
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

impl Plane<'_> {
    /// Sums 1 - SSIM and leaves g e, g c and the two planes of the means in `scratch`, row by row.
    #[inline(always)]
    fn sweep_map<const FMA: bool>(&mut self) -> f64 {
        let PlaneShape { height, width } = self.adjoint.map_shape;
        let stride = whole_lanes(width);
        self.scratch.resize(height * PLANES * stride, 0.0);
        let mut moments = Moments::new::<FMA>(self.ssim, self.x, self.y, self.adjoint.shape, 0);
        let mut sums = [0.0_f64; LANES];
        for (row, planes) in self.scratch.chunks_exact_mut(PLANES * stride).enumerate() {
            moments.advance::<FMA>();
            for start in (0..stride).step_by(LANES) {
                let used = LANES.min(width.saturating_sub(start));
                let mut upstream = [0.0; LANES];
                match self.upstream {
                    Upstream::Constant(value) => upstream[..used].fill(value),
                    Upstream::Map(map) => {
                        upstream[..used]
                            .copy_from_slice(&map[row * width + start..row * width + start + used]);
                    }
                }
                let (losses, terms) = terms_of(self.ssim, moments.at::<FMA>(start), &upstream);
                if used == LANES {
                    for (sum, loss) in sums.iter_mut().zip(losses) {
                        *sum += f64::from(loss);
                    }
                } else {
                    for (sum, &loss) in sums.iter_mut().zip(&losses[..used]) {
                        *sum += f64::from(loss);
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
        let mut columns: [Vec<f32>; PLANES] =
            std::array::from_fn(|_| vec![0.0; MARGIN + stride + MARGIN + extended - width + LANES]);
        let mut blurred: [Vec<f32>; PLANES] = std::array::from_fn(|_| vec![0.0; extended]);
        for (row, sources) in self.adjoint.rows.iter().enumerate() {
            for start in (0..stride).step_by(LANES) {
                let mut sums: [Lanes; PLANES] = [[0.0; LANES]; PLANES];
                for &(map_row, weight) in sources {
                    for (plane, sum) in sums.iter_mut().enumerate() {
                        let place = (map_row * PLANES + plane) * stride + start;
                        accumulate::<FMA>(sum, weight, self.scratch, place);
                    }
                }
                for (column, sum) in columns.iter_mut().zip(&sums) {
                    column[MARGIN + start..MARGIN + start + LANES].copy_from_slice(sum);
                }
            }
            for start in (0..extended).step_by(LANES) {
                let mut sums: [Lanes; PLANES] = [[0.0; LANES]; PLANES];
                for (tap, &weight) in self.ssim.taps.iter().enumerate() {
                    for (sum, column) in sums.iter_mut().zip(&columns) {
                        accumulate::<FMA>(sum, weight, column, MARGIN + start + tap - 2 * radius);
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
        }
    }

    /// Adds what lies past the left and right border to the pixels that stand for it.
    #[inline(always)]
    fn fold(&self, blurred: &mut [Vec<f32>; PLANES], reach: usize) {
        let width = self.adjoint.shape.width;
        for plane in blurred {
            for step in 1..=reach {
                for outside in [-(step as isize), (width - 1 + step) as isize] {
                    if let Some(place) = self.ssim.border.source(outside, width) {
                        plane[place + reach] += plane[(outside + reach as isize) as usize];
                    }
                }
            }
        }
    }
}

/// Returns 1 - SSIM and the planes -g e, -g c, -g (ax - e ux + c du), -g (ay - e uy - c du): the gradient of 1 - SSIM is
/// that of SSIM with the other sign.
#[inline(always)]
fn terms_of(ssim: &Ssim, moments: [Lanes; 4], upstream: &Lanes) -> (Lanes, [Lanes; PLANES]) {
    let mut losses = [0.0; LANES];
    let mut terms = [[0.0; LANES]; PLANES];
    for lane in 0..LANES {
        let [ux, du, square, product] = moments.map(|moment| moment[lane]);
        let uy = ux - du;
        let (mx, my) = (ux + ssim.shift, uy + ssim.shift);
        let a1 = 2.0 * mx * my + ssim.c1;
        let b1 = a1 + du * du;
        let a2 = 2.0 * (product - ux * uy) + ssim.c2;
        let dv = square - du * du;
        let b2 = a2 + dv;
        let (l, q) = (du * du / b1, dv / b2);
        losses[lane] = l + q - l * q;
        let g = -upstream[lane];
        let c = 2.0 * (a1 / b1) / b2;
        let e = c * q;
        let k = 2.0 * a2 / (b2 * b1 * b1);
        let ax = k * du * (my * du - a1);
        let ay = k * du * (mx * du + a1);
        terms[0][lane] = g * e;
        terms[1][lane] = g * c;
        terms[2][lane] = g * (ax - e * ux + c * du);
        terms[3][lane] = g * (ay - e * uy - c * du);
    }
    (losses, terms)
}
