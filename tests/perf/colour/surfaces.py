"""Three made-up surfaces in colour, each with a noisy blue channel as most cameras have: cloth, a print, wood."""

import numpy as np

NOISE = 0.012, 0.012, 0.05
"""Standard deviation of the noise of red, green and blue, of values in [0, 1]."""


def make_images(surface, *, seed, count, side):
    """Return so many good images of a surface of :data:`SURFACES`, each (side, side, 3), float32 in [0, 1]."""
    return [_image(SURFACES[surface], np.random.default_rng([seed, number]), side) for number in range(count)]


def _image(make, rng, side):
    clean = make(rng, side)
    return np.clip(clean + rng.normal(0, NOISE, clean.shape), 0, 1).astype(np.float32)


def _brushed_cloth(rng, side):
    """Fibres brushed along the rows over a weave that they half hide; one dye, lighter where fibres stand up."""
    rows, columns = np.mgrid[:side, :side]
    start = rng.uniform(0, 2 * np.pi, 2)
    weave = np.sin(2 * np.pi * rows / 7 + start[0]) * np.sin(2 * np.pi * columns / 9 + start[1])
    fibres = _grain(rng, side, 1.0, 12.0) + 0.5 * _grain(rng, side, 0.8, 4.0)
    return np.array([0.52, 0.38, 0.34]) + _planes(0.05 * weave + 0.05 * fibres) * np.array([1.0, 0.9, 0.7])


def _print(rng, side):
    """Dots of one ink and stripes of another on white paper; the inks cover a little unevenly and shift."""
    rows, columns = np.mgrid[:side, :side] + rng.uniform(0, 48, (2, 1, 1))
    shift = rng.normal(0, 0.5)  # of the second printing plate, in pixels
    dots = np.cos(2 * np.pi * rows / 12) + np.cos(2 * np.pi * columns / 12) - 0.4
    stripes = np.cos(2 * np.pi * (rows + columns + shift) / 16) - 0.2
    colour = np.array([0.93, 0.91, 0.86])
    for shape, ink in ((dots, [0.15, 0.55, 0.75]), (stripes, [0.85, 0.25, 0.5])):
        cover = np.clip(0.5 + 1.5 * shape, 0, 1) * (0.85 + 0.04 * _grain(rng, side, 3.0, 3.0))
        colour = colour * (1 - _planes(cover) * (1 - np.array(ink)))
    return colour


def _wood(rng, side):
    """Rings that wander across the columns between light and dark wood, and fine pores along them."""
    columns = np.arange(side) + 10 * _grain(rng, side, 40.0, 12.0) + rng.uniform(0, 100)
    rings = (0.5 + 0.5 * np.sin(2 * np.pi * columns / 14)) ** 2
    pores = np.clip(_grain(rng, side, 8.0, 0.8) - 1, 0, None)
    light, dark = np.array([0.76, 0.58, 0.42]), np.array([0.52, 0.34, 0.22])
    return (light + _planes(rings) * (dark - light)) * (1 - 0.15 * _planes(pores))


SURFACES = {"brushed cloth": _brushed_cloth, "print in two inks": _print, "wood": _wood}


def _grain(rng, side, down, across):
    """Return noise (side, side) of variance 1 that a Gaussian of these standard deviations has smoothed."""
    frequencies = np.fft.fftfreq(side), np.fft.rfftfreq(side)
    low_pass = [np.exp(-2 * (np.pi * width * f) ** 2) for width, f in zip((down, across), frequencies)]
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(side, side))) * np.outer(*low_pass), (side, side))
    return noise / noise.std()


def _planes(values):
    return values[:, :, None]
