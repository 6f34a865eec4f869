//! A small network over the features of places: two hidden layers, one output.

use pulp::Arch;
use rayon::prelude::*;

use crate::error::{Error, check_len};

/// Places that are computed at once.
const LANES: usize = 16;

/// Places that one thread takes.
const CHUNK: usize = 4096;

/// Spreads beyond which a feature changes nothing any more: what no good image shows is not extrapolated.
const MOST_SPREADS: f32 = 4.0;

/// One layer: `weights` are (inputs, outputs), `biases` as many as outputs.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// Weights, the outputs of one input next to each other.
    pub weights: &'a [f32],
    /// One for each output.
    pub biases: &'a [f32],
}

/// Features before the network, and its layers.
#[derive(Clone, Copy)]
pub struct Expectation<'a> {
    /// Mean of each feature that is used.
    pub mean: &'a [f32],
    /// Spread of each.
    pub spread: &'a [f32],
    /// From the features to the one output; all but the last are followed by max(0, x).
    pub layers: &'a [Layer<'a>],
}

/// Writes what is expected at places, given with `stride` features each, of which the first are used.
///
/// # Errors
/// If the slices do not fit together.
pub fn expect(
    network: Expectation<'_>,
    features: &[f32],
    stride: usize,
    out: &mut [f32],
) -> Result<(), Error> {
    check_len("features", out.len() * stride, features.len())?;
    let mut inputs = network.mean.len();
    check_len("spread", inputs, network.spread.len())?;
    if inputs == 0 || inputs > stride {
        return Err(Error::Value(format!("{inputs} features of {stride} cannot be used")));
    }
    let mut most = inputs;
    for layer in network.layers {
        let outputs = layer.biases.len();
        check_len("weights", inputs * outputs, layer.weights.len())?;
        inputs = outputs;
        most = most.max(outputs);
    }
    check_len("the last layer", 1, inputs)?;
    let arch = Arch::new();
    let places = features.par_chunks(CHUNK * stride);
    out.par_chunks_mut(CHUNK).zip(places).for_each(|(out, features)| {
        arch.dispatch(|| {
            let mut room = [vec![[0.0; LANES]; most], vec![[0.0; LANES]; most]];
            for (out, features) in out.chunks_mut(LANES).zip(features.chunks(LANES * stride)) {
                let result = forward(network, features, stride, &mut room);
                out.copy_from_slice(&result[..out.len()]);
            }
        });
    });
    Ok(())
}

/// Returns the outputs of up to [`LANES`] places.
#[inline(always)]
fn forward(
    network: Expectation<'_>,
    features: &[f32],
    stride: usize,
    room: &mut [Vec<[f32; LANES]>; 2],
) -> [f32; LANES] {
    let [values, next] = room;
    for (number, (&mean, &spread)) in network.mean.iter().zip(network.spread).enumerate() {
        for (value, place) in values[number].iter_mut().zip(features.chunks_exact(stride)) {
            *value = ((place[number] - mean) / spread).clamp(-MOST_SPREADS, MOST_SPREADS);
        }
    }
    let mut inputs = network.mean.len();
    for (number, layer) in network.layers.iter().enumerate() {
        let outputs = layer.biases.len();
        for (sums, &bias) in next.iter_mut().zip(layer.biases) {
            *sums = [bias; LANES];
        }
        for (value, weights) in values[..inputs].iter().zip(layer.weights.chunks_exact(outputs)) {
            for (sums, &weight) in next.iter_mut().zip(weights) {
                for lane in 0..LANES {
                    sums[lane] += value[lane] * weight;
                }
            }
        }
        if number + 1 < network.layers.len() {
            for sums in &mut next[..outputs] {
                *sums = sums.map(|sum| sum.max(0.0));
            }
        }
        std::mem::swap(values, next);
        inputs = outputs;
    }
    values[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_its_layers_one_after_the_other() {
        let number = |place: usize| ((place * 53 % 89) as f32 - 44.0) / 60.0;
        let (stride, places) = (5, 37);
        let features: Vec<f32> = (0..places * stride).map(number).collect();
        let (mean, spread) = ([0.1, -0.2, 0.0], [0.5, 0.1, 1.0]);
        let weights: Vec<f32> = (0..3 * 7 + 7 * 2 + 2).map(|place| number(place + 11)).collect();
        let biases: Vec<f32> = (0..10).map(|place| number(place + 5)).collect();
        let layers = [
            Layer { weights: &weights[..21], biases: &biases[..7] },
            Layer { weights: &weights[21..35], biases: &biases[7..9] },
            Layer { weights: &weights[35..], biases: &biases[9..] },
        ];
        let network = Expectation { mean: &mean, spread: &spread, layers: &layers };
        let mut found = vec![f32::NAN; places];
        assert_eq!(expect(network, &features, stride, &mut found), Ok(()));
        for (place, found) in found.iter().enumerate() {
            let mut values: Vec<f64> = (0..3)
                .map(|feature| {
                    let value = f64::from(features[place * stride + feature] - mean[feature]);
                    (value / f64::from(spread[feature])).clamp(-4.0, 4.0)
                })
                .collect();
            for (number, layer) in layers.iter().enumerate() {
                let outputs = layer.biases.len();
                values = (0..outputs)
                    .map(|output| {
                        let weighted = |(input, value): (usize, &f64)| {
                            value * f64::from(layer.weights[input * outputs + output])
                        };
                        let sum = f64::from(layer.biases[output])
                            + values.iter().enumerate().map(weighted).sum::<f64>();
                        if number < 2 { sum.max(0.0) } else { sum }
                    })
                    .collect();
            }
            assert!((f64::from(*found) - values[0]).abs() < 1e-5);
        }
        assert!(expect(network, &features, 2, &mut found).is_err());
    }
}
