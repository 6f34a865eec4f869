//! Values and gradients against a direct transcription in float64.

use super::*;

const SHAPE: PlaneShape = PlaneShape { height: 13, width: 19 };

fn inputs() -> (Vec<f32>, Vec<f32>) {
    let wave = |index: usize, step: usize| ((index * step) % 97) as f32 / 96.0;
    ((0..SHAPE.len()).map(|i| wave(i, 31)).collect(), (0..SHAPE.len()).map(|i| wave(i, 53)).collect())
}

fn ssim(border: Border, side: usize) -> Ssim<f32> {
    Ssim { taps: vec![1.0 / side as f32; side], c1: 1e-4, c2: 9e-4, shift: 0.5, border }
}

/// Sum of 1 - SSIM in float64 by the textbook formula, window by window.
fn oracle(ssim: &Ssim<f32>, x: &[f64], y: &[f64]) -> f64 {
    let radius = if ssim.border == Border::Valid { 0 } else { ssim.radius() as isize };
    let Ok(map) = ssim.map_shape(SHAPE) else { panic!("refused") };
    let at = |plane: &[f64], row: isize, column: isize| {
        let row = ssim.border.source(row, SHAPE.height);
        let column = ssim.border.source(column, SHAPE.width);
        row.zip(column).map_or(0.0, |(row, column)| plane[row * SHAPE.width + column])
    };
    let mut total = 0.0;
    for row in 0..map.height as isize {
        for column in 0..map.width as isize {
            let [mut mx, mut my, mut xx, mut yy, mut xy] = [0.0; 5];
            for (i, &vertical) in ssim.taps.iter().enumerate() {
                for (j, &horizontal) in ssim.taps.iter().enumerate() {
                    let weight = f64::from(vertical) * f64::from(horizontal);
                    let (row, column) = (row + i as isize - radius, column + j as isize - radius);
                    let (a, b) = (at(x, row, column), at(y, row, column));
                    mx += weight * a;
                    my += weight * b;
                    xx += weight * a * a;
                    yy += weight * b * b;
                    xy += weight * a * b;
                }
            }
            let (c1, c2) = (f64::from(ssim.c1), f64::from(ssim.c2));
            let numerator = (2.0 * mx * my + c1) * (2.0 * (xy - mx * my) + c2);
            let denominator = (mx * mx + my * my + c1) * (xx - mx * mx + yy - my * my + c2);
            total += 1.0 - numerator / denominator;
        }
    }
    total
}

#[test]
fn sums_and_gradients_are_those_of_the_textbook_formula() {
    let (x, y) = inputs();
    let (x64, y64): (Vec<f64>, Vec<f64>) =
        (x.iter().map(|&v| f64::from(v)).collect(), y.iter().map(|&v| f64::from(v)).collect());
    for border in [Border::Valid, Border::Reflect, Border::Symmetric, Border::Zero] {
        for side in [1, 5, 11, 13] {
            let ssim = ssim(border, side);
            let (mut grad_x, mut grad_y) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
            let upstream = Upstream::Constant(1.0);
            let sums = ssim.sums_and_gradients(
                &x,
                &y,
                SHAPE,
                Extra::none(),
                upstream,
                [Some(&mut grad_x), Some(&mut grad_y)],
            );
            let want = oracle(&ssim, &x64, &y64);
            assert!(sums.is_ok_and(|sums| (sums[0] - want).abs() < 1e-4 * want), "{border:?} {side}");
            for place in [0, 7, SHAPE.len() / 2, SHAPE.len() - 1] {
                for (gradient, which) in [(&grad_x, 0), (&grad_y, 1)] {
                    let step = 1e-5;
                    let moved = |sign: f64| {
                        let (mut x, mut y) = (x64.clone(), y64.clone());
                        if which == 0 {
                            x[place] += sign * step
                        } else {
                            y[place] += sign * step
                        }
                        oracle(&ssim, &x, &y)
                    };
                    let want = (moved(1.0) - moved(-1.0)) / (2.0 * step);
                    let got = f64::from(gradient[place]);
                    assert!(
                        (got - want).abs() < 2e-3 * (1.0 + want.abs()),
                        "{border:?} {side} {place}: {got} {want}"
                    );
                }
            }
        }
    }
}

#[test]
fn map_sums_to_the_sum_and_identical_inputs_give_zero() {
    let (x, y) = inputs();
    let ssim = ssim(Border::Reflect, 7);
    let mut map = vec![f32::NAN; x.len()];
    assert_eq!(ssim.map(&x, &y, SHAPE, Extra::none(), &mut map), Ok(()));
    let total: f64 = map.iter().map(|&value| f64::from(value)).sum();
    let sums = ssim.sums_and_gradients(&x, &y, SHAPE, Extra::none(), Upstream::Constant(1.0), [None, None]);
    assert!(sums.is_ok_and(|sums| (sums[0] - total).abs() < 1e-6 * total));
    let mut gradient = vec![f32::NAN; x.len()];
    let sums = ssim.sums_and_gradients(
        &x,
        &x,
        SHAPE,
        Extra::none(),
        Upstream::Constant(1.0),
        [Some(&mut gradient), None],
    );
    assert_eq!(sums, Ok(vec![0.0]));
    assert!(gradient.iter().all(|&value| value == 0.0));
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    assert!(ssim(Border::Reflect, 15).map_shape(SHAPE).is_err());
    assert!(ssim(Border::Reflect, 4).map_shape(SHAPE).is_err());
    assert!(ssim(Border::Valid, 5).map(&[0.0; 20], &[0.0; 20], SHAPE, Extra::none(), &mut []).is_err());
}

#[test]
fn double_precision_with_weights_and_extra_terms_is_exact_to_rounding() {
    let (x, y) = inputs();
    let (x, y): (Vec<f64>, Vec<f64>) =
        (x.iter().map(|&v| f64::from(v)).collect(), y.iter().map(|&v| f64::from(v)).collect());
    let extra = Extra { l1: 0.25, l2: 1.5 };
    for border in [Border::Valid, Border::Reflect, Border::Symmetric, Border::Zero] {
        let ssim = Ssim { taps: vec![0.2, 0.6, 0.2], c1: 1e-4, c2: 9e-4, shift: 0.5, border };
        let Ok(map_shape) = ssim.map_shape(SHAPE) else { panic!("refused") };
        let weights: Vec<f64> = (0..map_shape.len()).map(|i| ((i * 7) % 5) as f64).collect();
        let weighted = |x: &[f64], y: &[f64]| {
            let mut map = vec![f64::NAN; map_shape.len()];
            assert_eq!(ssim.map(x, y, SHAPE, extra, &mut map), Ok(()));
            map.iter().zip(&weights).map(|(value, weight)| value * weight).sum::<f64>()
        };
        let plain = {
            let mut map = vec![f64::NAN; map_shape.len()];
            assert_eq!(ssim.map(&x, &y, SHAPE, Extra::none(), &mut map), Ok(()));
            map
        };
        // The extra term stands at the pixel itself, whatever the border takes off.
        let lost = (SHAPE.height - map_shape.height) / 2;
        let mut with = vec![f64::NAN; map_shape.len()];
        assert_eq!(ssim.map(&x, &y, SHAPE, extra, &mut with), Ok(()));
        for (place, (with, plain)) in with.iter().zip(&plain).enumerate() {
            let (row, column) = (place / map_shape.width + lost, place % map_shape.width + lost);
            let d = x[row * SHAPE.width + column] - y[row * SHAPE.width + column];
            assert!((with - plain - 0.25 * d.abs() - 1.5 * d * d).abs() < 1e-14);
        }
        let (mut grad_x, mut grad_y) = (vec![f64::NAN; x.len()], vec![f64::NAN; x.len()]);
        let upstream = Upstream::Map(&weights);
        let sums =
            ssim.sums_and_gradients(&x, &y, SHAPE, extra, upstream, [Some(&mut grad_x), Some(&mut grad_y)]);
        let want = weighted(&x, &y);
        assert!(sums.is_ok_and(|sums| (sums[0] - want).abs() < 1e-12 * want), "{border:?}");
        for place in [0, 3, SHAPE.width + 1, SHAPE.len() / 2, SHAPE.len() - 1] {
            for (gradient, which) in [(&grad_x, 0), (&grad_y, 1)] {
                let moved = |step: f64| {
                    let (mut x, mut y) = (x.clone(), y.clone());
                    if which == 0 {
                        x[place] += step
                    } else {
                        y[place] += step
                    }
                    weighted(&x, &y)
                };
                let want = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!(
                    (gradient[place] - want).abs() < 1e-6 * (1.0 + want.abs()),
                    "{border:?} {place} {want}"
                );
            }
        }
    }
}
