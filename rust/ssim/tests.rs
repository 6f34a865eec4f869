//! Values and gradients against a direct transcription in float64.

use super::*;

const SHAPE: PlaneShape = PlaneShape { height: 13, width: 19 };

fn inputs() -> (Vec<f32>, Vec<f32>) {
    let wave = |index: usize, step: usize| ((index * step) % 97) as f32 / 96.0;
    ((0..SHAPE.len()).map(|i| wave(i, 31)).collect(), (0..SHAPE.len()).map(|i| wave(i, 53)).collect())
}

/// Taps that fall off from the middle, or are all the same.
fn taps(side: usize, equal: bool) -> Vec<f64> {
    let weights: Vec<f64> =
        (0..side).map(|tap| if equal { 1.0 } else { 1.0 + tap.min(side - 1 - tap) as f64 }).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

fn ssim<T: Real>(border: Border, side: usize, equal: bool) -> Ssim<T> {
    let taps: Vec<T> = taps(side, equal).into_iter().map(T::from_f64).collect();
    match Ssim::new(&taps, [1e-4, 9e-4, 0.5].map(T::from_f64), border) {
        Ok(ssim) => ssim,
        Err(error) => panic!("{error}"),
    }
}

fn pair<'a, T>(x: &'a [T], y: &'a [T]) -> Inputs<'a, T> {
    Inputs { x, y, mask: None, shape: SHAPE }
}

/// Weights of pixels inside windows, 0 for a whole corner among others.
fn mask() -> Vec<f64> {
    (0..SHAPE.len())
        .map(|i| if i % SHAPE.width < 8 && i / SHAPE.width < 8 { 0.0 } else { ((i * 7) % 5) as f64 / 2.0 })
        .collect()
}

/// The map of 1 - SSIM in float64 by the textbook formula, window by window.
fn oracle(border: Border, taps: &[f64], x: &[f64], y: &[f64], mask: Option<&[f64]>) -> Vec<f64> {
    let radius = taps.len() as isize / 2;
    let lost = if border == Border::Valid { radius } else { 0 };
    let at = |plane: &[f64], row: isize, column: isize, outside: f64| {
        let (row, column) = (border.source(row, SHAPE.height), border.source(column, SHAPE.width));
        row.zip(column).map_or(outside, |(row, column)| plane[row * SHAPE.width + column])
    };
    let mut map = Vec::new();
    for row in lost..SHAPE.height as isize - lost {
        for column in lost..SHAPE.width as isize - lost {
            let [mut total, mut mx, mut my, mut xx, mut yy, mut xy] = [0.0; 6];
            for (i, &vertical) in taps.iter().enumerate() {
                for (j, &horizontal) in taps.iter().enumerate() {
                    let (row, column) = (row + i as isize - radius, column + j as isize - radius);
                    let share = mask.map_or(1.0, |mask| at(mask, row, column, 1.0));
                    let weight = vertical * horizontal * share;
                    let (a, b) = (at(x, row, column, 0.0), at(y, row, column, 0.0));
                    total += weight;
                    mx += weight * a;
                    my += weight * b;
                    xx += weight * a * a;
                    yy += weight * b * b;
                    xy += weight * a * b;
                }
            }
            if total <= 0.0 {
                map.push(0.0);
                continue;
            }
            let [mx, my, xx, yy, xy] = [mx, my, xx, yy, xy].map(|moment| moment / total);
            let numerator = (2.0 * mx * my + 1e-4) * (2.0 * (xy - mx * my) + 9e-4);
            let denominator = (mx * mx + my * my + 1e-4) * (xx - mx * mx + yy - my * my + 9e-4);
            map.push(1.0 - numerator / denominator);
        }
    }
    map
}

const BORDERS: [Border; 4] = [Border::Valid, Border::Reflect, Border::Symmetric, Border::Zero];

fn inputs64() -> (Vec<f64>, Vec<f64>) {
    let (x, y) = inputs();
    (x.iter().map(|&v| f64::from(v)).collect(), y.iter().map(|&v| f64::from(v)).collect())
}

#[test]
fn maps_sums_and_gradients_are_those_of_the_textbook_formula() {
    let (x, y) = inputs64();
    let (all, none) = (mask(), None);
    for border in BORDERS {
        for (side, equal) in
            [(1, true), (3, true), (5, false), (11, true), (11, false), (13, true), (13, false)]
        {
            for mask in [none, Some(&all[..])] {
                let ssim: Ssim<f64> = ssim(border, side, equal);
                let inputs = Inputs { mask, ..pair(&x, &y) };
                let taps = taps(side, equal);
                let want = oracle(border, &taps, &x, &y, mask);
                let mut map = vec![f64::NAN; want.len()];
                assert_eq!(ssim.map(inputs, &mut map), Ok(()));
                for (got, want) in map.iter().zip(&want) {
                    assert!((got - want).abs() < 1e-11, "{border:?} {side} {equal}: {got} {want}");
                }
                let (mut grad_x, mut grad_y) = (vec![f64::NAN; x.len()], vec![f64::NAN; x.len()]);
                let sums = ssim.sums_and_gradients(inputs, None, 2.0, [Some(&mut grad_x), Some(&mut grad_y)]);
                let total: f64 = want.iter().sum();
                assert!(sums.is_ok_and(|sums| (sums[0] - 2.0 * total).abs() < 1e-10 * (1.0 + total)));
                for place in [0, 7, SHAPE.width + 1, SHAPE.len() / 2, SHAPE.len() - 1] {
                    for (gradient, which) in [(&grad_x, 0), (&grad_y, 1)] {
                        let moved = |step: f64| {
                            let mut images = [x.clone(), y.clone()];
                            images[which][place] += step;
                            oracle(border, &taps, &images[0], &images[1], mask).iter().sum::<f64>()
                        };
                        let want = 2.0 * (moved(1e-6) - moved(-1e-6)) / 2e-6;
                        assert!(
                            (gradient[place] - want).abs() < 1e-6 * (1.0 + want.abs()),
                            "{border:?} {side} {equal} {place}: {} {want}",
                            gradient[place]
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_of_one_input_are_those_of_both() {
    let (x, y) = inputs();
    let ssim: Ssim<f32> = ssim(Border::Reflect, 7, false);
    let gradients = |of: [bool; 2]| {
        let mut grads = of.map(|wanted| wanted.then(|| vec![f32::NAN; x.len()]));
        let sums =
            ssim.sums_and_gradients(pair(&x, &y), None, 1.0, grads.each_mut().map(Option::as_deref_mut));
        (sums, grads)
    };
    let (sums, both) = gradients([true, true]);
    for of in [[true, false], [false, true]] {
        let (own, grads) = gradients(of);
        assert_eq!(own, sums);
        for ((grad, both), wanted) in grads.iter().zip(&both).zip(of) {
            assert_eq!(grad.is_some(), wanted);
            assert!(grad.is_none() || grad == both);
        }
    }
}

#[test]
fn float32_agrees_with_float64_for_every_side() {
    let shape = PlaneShape { height: 33, width: 75 };
    let wave = |step: usize| (0..shape.len()).map(|i| ((i * step) % 97) as f32 / 96.0).collect::<Vec<_>>();
    let (x, y) = (wave(31), wave(53));
    let wide = |plane: &[f32]| plane.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    let (x64, y64) = (wide(&x), wide(&y));
    for side in (1..=MAX_TAPS).step_by(2) {
        for equal in [true, false] {
            for border in BORDERS {
                let single = ssim::<f32>(border, side, equal);
                let double = ssim::<f64>(border, side, equal);
                let (mut grad, mut want) = (vec![f32::NAN; x.len()], vec![f64::NAN; x.len()]);
                let inputs = Inputs { x: &x, y: &y, mask: None, shape };
                let inputs64 = Inputs { x: &x64, y: &y64, mask: None, shape };
                let sums = single.sums_and_gradients(inputs, None, 1.0, [None, Some(&mut grad)]);
                let sums64 = double.sums_and_gradients(inputs64, None, 1.0, [None, Some(&mut want)]);
                let (Ok(sums), Ok(sums64)) = (sums, sums64) else { panic!("refused") };
                assert!((sums[0] - sums64[0]).abs() < 1e-6 * sums64[0], "{border:?} {side} {equal}");
                let largest = want.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
                for (got, want) in grad.iter().zip(&want) {
                    assert!((f64::from(*got) - want).abs() < 1e-5 * largest, "{border:?} {side} {equal}");
                }
            }
        }
    }
}

#[test]
fn identical_inputs_give_exactly_zero() {
    let (x, _) = inputs();
    for equal in [true, false] {
        let ssim: Ssim<f32> = ssim(Border::Reflect, 7, equal);
        let (mut map, mut gradient) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
        assert_eq!(ssim.map(pair(&x, &x), &mut map), Ok(()));
        assert_eq!(
            ssim.sums_and_gradients(pair(&x, &x), None, 1.0, [Some(&mut gradient), None]),
            Ok(vec![0.0])
        );
        assert!(map.iter().chain(&gradient).all(|&value| value == 0.0));
    }
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    assert!(ssim::<f32>(Border::Reflect, 15, true).map_shape(SHAPE).is_err());
    assert!(Ssim::new(&[0.25_f32; 4], [1e-4, 9e-4, 0.5], Border::Reflect).is_err());
    let short = Inputs { x: &[0.0_f32; 20], y: &[0.0; 20], mask: None, shape: SHAPE };
    assert!(ssim(Border::Valid, 5, true).map(short, &mut []).is_err());
}

#[test]
fn parts_of_an_image_fit_together() {
    // More than one block of rows and strip of columns, neither a whole number of registers.
    let shape = PlaneShape { height: 301, width: 1037 };
    let wave = |step: usize| (0..shape.len()).map(|i| ((i * step) % 997) as f64 / 996.0).collect::<Vec<_>>();
    let (x, y, weights) = (wave(31), wave(53), wave(17));
    for border in BORDERS {
        let ssim: Ssim<f64> = ssim(border, 5, false).with_extra(0.3, 0.7);
        let inputs = Inputs { x: &x, y: &y, mask: None, shape };
        let Ok(map_shape) = ssim.map_shape(shape) else { panic!("refused") };
        let weights = &weights[..map_shape.len()];
        let mut map = vec![f64::NAN; map_shape.len()];
        assert_eq!(ssim.map(inputs, &mut map), Ok(()));
        let want: f64 = map.iter().zip(weights).map(|(value, weight)| value * weight).sum();
        let mut whole = vec![f64::NAN; x.len()];
        let sums = ssim.sums_and_gradients(inputs, Some(weights), 1.0, [None, Some(&mut whole)]);
        assert!(sums.is_ok_and(|sums| (sums[0] - want).abs() < 1e-12 * want));
        // The same pixels in an image of their own, far from the border of either: equal to the last bit.
        let (top, left, side) = (97, 480, PlaneShape { height: 90, width: 120 });
        let cut = |plane: &[f64], width: usize| -> Vec<f64> {
            (0..side.height)
                .flat_map(|row| plane[(top + row) * width + left..][..side.width].to_vec())
                .collect()
        };
        let lost = (shape.width - map_shape.width) / 2;
        let mut own_weights = vec![0.0; x.len()];
        for row in 0..map_shape.height {
            let line = &weights[row * map_shape.width..][..map_shape.width];
            own_weights[(row + lost) * shape.width + lost..][..map_shape.width].copy_from_slice(line);
        }
        let (x, y, mut weights) =
            (cut(&x, shape.width), cut(&y, shape.width), cut(&own_weights, shape.width));
        if lost > 0 {
            let inner = |row: usize| row * side.width + lost..(row + 1) * side.width - lost;
            weights = (lost..side.height - lost).flat_map(|row| weights[inner(row)].to_vec()).collect();
        }
        let mut part = vec![f64::NAN; x.len()];
        let inputs = Inputs { x: &x, y: &y, mask: None, shape: side };
        assert!(ssim.sums_and_gradients(inputs, Some(&weights), 1.0, [None, Some(&mut part)]).is_ok());
        for row in 8..side.height - 8 {
            let line = &part[row * side.width..][8..side.width - 8];
            assert_eq!(
                line,
                &whole[(top + row) * shape.width + left..][8..side.width - 8],
                "{border:?} {row}"
            );
        }
    }
}

#[test]
fn extra_terms_stand_at_the_pixel_itself() {
    let (x, y) = inputs64();
    for border in BORDERS {
        let plain: Ssim<f64> = ssim(border, 3, false);
        let extra = plain.clone().with_extra(0.25, 1.5);
        let Ok(map_shape) = plain.map_shape(SHAPE) else { panic!("refused") };
        let (mut without, mut with) = (vec![f64::NAN; map_shape.len()], vec![f64::NAN; map_shape.len()]);
        assert_eq!(plain.map(pair(&x, &y), &mut without), Ok(()));
        assert_eq!(extra.map(pair(&x, &y), &mut with), Ok(()));
        let (mut grad, mut grad_with) = (vec![f64::NAN; x.len()], vec![f64::NAN; x.len()]);
        assert!(plain.sums_and_gradients(pair(&x, &y), None, 1.0, [Some(&mut grad), None]).is_ok());
        assert!(extra.sums_and_gradients(pair(&x, &y), None, 1.0, [Some(&mut grad_with), None]).is_ok());
        let lost = (SHAPE.height - map_shape.height) / 2;
        for (place, (with, without)) in with.iter().zip(&without).enumerate() {
            let (row, column) = (place / map_shape.width + lost, place % map_shape.width + lost);
            let place = row * SHAPE.width + column;
            let d = x[place] - y[place];
            assert!((with - without - 0.25 * d.abs() - 1.5 * d * d).abs() < 1e-14);
            let slope = if d == 0.0 { 0.0 } else { 0.25 * d.signum() + 3.0 * d };
            assert!((grad_with[place] - grad[place] - slope).abs() < 1e-12, "{border:?} {place}");
        }
    }
}

#[test]
fn rows_of_a_part_are_those_of_the_whole_to_the_last_bit() {
    let shape = PlaneShape { height: 201, width: 37 };
    let wave =
        |step: usize| -> Vec<f32> { (0..shape.len()).map(|i| ((i * step) % 97) as f32 / 96.0).collect() };
    let (x, y) = (wave(31), wave(53));
    for border in BORDERS {
        for (side, equal) in [(1, false), (7, false), (5, true), (11, true), (17, true)] {
            let ssim = ssim::<f32>(border, side, equal).with_extra(0.5, 0.25);
            let mut whole = vec![f32::NAN; shape.len()];
            let inside = ssim.inside(shape.height);
            let width = ssim.inside(shape.width).len();
            whole.truncate(inside.len() * width);
            assert_eq!(ssim.map(Inputs { x: &x, y: &y, mask: None, shape }, &mut whole), Ok(()));
            for (start, end) in
                [(0, 1), (0, 64), (9, 50), (63, 130), (64, 201), (100, 101), (190, 201), (200, 201)]
            {
                let rows = inside.start.max(start)..inside.end.min(end);
                if rows.is_empty() {
                    continue;
                }
                let reach = side / 2 + 1;
                let (top, bottom) = (rows.start.saturating_sub(reach), (rows.end + reach).min(shape.height));
                let held = top * shape.width..bottom * shape.width;
                let part = PlaneShape { height: bottom - top, width: shape.width };
                let mut found = vec![f32::NAN; rows.len() * width];
                let place = Place { height: shape.height, top };
                let inputs = Inputs { x: &x[held.clone()], y: &y[held.clone()], mask: None, shape: part };
                assert_eq!(ssim.map_rows(inputs, place, rows.clone(), &mut found), Ok(()));
                let first = (rows.start - inside.start) * width;
                assert_eq!(found, whole[first..first + found.len()], "{border:?} {side} {rows:?}");
                if top > 0 {
                    let late = Place { top: top + 1, ..place };
                    assert!(ssim.map_rows(inputs, late, rows, &mut found).is_err());
                }
            }
        }
    }
}
