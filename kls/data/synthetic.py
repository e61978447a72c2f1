"""Pictures of the shape of CIFAR-10, made from a seed: the data set that needs no download.

They are *not* natural pictures: each is a random texture of its class over a random texture. They are hard
for fully connected networks in the way CIFAR-10 is, so that the published effects of depth, batch
normalisation, initialisation and weight decay show on them. Their numbers are not CIFAR-10's.

Picture x of true class c, in grey levels, with new random numbers for every picture:

    x = round(clip(127.5 + 20 b + 50 exp(0.25 g) * (exp(0.4 h) * view(0.28 L_c + s 0.4 T_ck) + B)))

L_c, the layout of class c, and T_ck, its textures k = 0..9, are drawn once for a seed; B, the background, is
new in every picture. All three are Gaussian random fields of a grey and two colour-difference components
with amplitudes 1 / frequency^2 (L, T) and 1 / frequency^1.25 (B) and a standard deviation of 1 (of grey, in
B). s = +1 or -1 and k are uniform, and b, g, h standard normal. A view is shifted by up to 4 pixels in each
direction, and mirrored with probability 1/2. The layout can be seen in the class means, which a linear
classifier can learn from; the textures cannot, because their sign s changes.

15 % of the labels, in the test part too, are replaced by one of the nine others: nothing is right for more
than 85 % of the pictures. (CIFAR-10's labels are nearly all right; this stands for its ambiguous pictures.)

Measured on the pictures of seed 0: accuracy in %, mean (lowest to highest) of three training seeds; 45,000
training and 5,000 validation pictures, lam 0.005, batches of 100, SGD with two cycles (9000 steps) of a
triangular learning rate from 1e-5 to 0.1, n_s 2250. He initialisation with batch normalisation (BN), variance
1 / fan_in without.

    network                                             test accuracy
    softmax regression, learning rate up to 0.01        41.4 (41.2 to 41.5)
    3 layers with BN                                    54.4 (54.0 to 54.8)
    3 layers without                                    53.4 (53.2 to 53.7)
    9 layers with BN                                    52.1 (51.5 to 53.1)
    9 layers without                                    23.8 (18.9 to 32.8)
    9 layers with BN, weights of N(0, 1e-3^2)           47.3 (45.2 to 49.9)
    9 layers without, weights of N(0, 1e-3^2)           10.0 ( 9.9 to 10.2)
    3 layers with BN, 20,000 pictures, n_s 1000         44.5 (44.3 to 44.6)
    3 layers with BN, 9,000 pictures, 1 cycle, n_s 180  35.1 (35.0 to 35.3)

    lam (3 layers with BN)                              validation accuracy
    1e-5                                                51.5 (51.0 to 52.1)
    1e-4                                                51.7 (50.5 to 52.4)
    1e-3                                                53.1 (52.4 to 53.8)
    1e-2                                                55.5 (55.1 to 55.8)
    1e-1                                                45.2 (44.7 to 45.6)

9 layers are [50, 30, 20, 20, 10, 10, 10, 10] hidden units, 3 layers [50, 50].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kls.errors import UserError

NAME = "synthetic-10"
CLASS_NAMES = tuple(f"texture {i}" for i in range(10))
VERSION = 1  # part of the cache's file name: raise it with every change that alters a picture

SIDE = 32
CHANNELS = 3
BLOCK = 100  # pictures made at a time, from a seed of their own; a multiple of the number of classes

TEXTURES = 10  # per class
LAYOUT_WEIGHT, TEXTURE_WEIGHT = 0.28, 0.4  # standard deviations, in units of the background's
OBJECT_SLOPE, BACKGROUND_SLOPE = 2.0, 1.25  # of the amplitude spectrum, 1 / frequency^slope
CHROMA = 0.4  # standard deviation of a colour-difference field over that of the grey field
MAX_SHIFT = 4  # pixels, either way
STRENGTH_SPREAD, CONTRAST_SPREAD = 0.4, 0.25  # standard deviations of a logarithm
AMPLITUDE, BRIGHTNESS_SPREAD = 50.0, 20.0  # grey levels
WRONG_SHARE = 0.15  # of the labels, in the training and in the test part

Floats = NDArray[np.float32]
Part = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def make_pictures(
    seed: int, n_train: int = 50_000, n_test: int = 10_000
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Make the training and test part of `seed`; the same objects appear in both.

    A smaller part is the beginning of a larger one: picture i depends on `seed` and i alone. Two calls
    give the same bits; another NumPy release may draw other numbers or round a pixel otherwise.

    Args:
        seed: at least 0.
        n_train: number of training pictures, at least 0.
        n_test: number of test pictures, at least 0.

    Returns:
        train_x (n_train, 3072) uint8, train_y (n_train,) uint8 in 0..9, test_x, test_y; a row of x is the
        red, then the green, then the blue channel, each 32 x 32 in row-major order.

    Raises:
        UserError: a negative argument.
    """
    for name, value in (("seed", seed), ("n_train", n_train), ("n_test", n_test)):
        if value < 0:
            raise UserError(f"synthetic pictures: {name} is {value}; it must be at least 0")
    objects = _objects(_generator(seed, 0))
    return *_part(objects, n_train, seed, 1), *_part(objects, n_test, seed, 2)


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))


def _part(objects: Floats, n: int, seed: int, part: int) -> Part:
    x = np.empty((n, CHANNELS * SIDE * SIDE), dtype=np.uint8)
    y = np.empty(n, dtype=np.uint8)
    background = _spectrum(SIDE, BACKGROUND_SLOPE)
    for start in range(0, n, BLOCK):
        pixels, labels = _block(objects, background, _generator(seed, part, start // BLOCK))
        stop = min(start + BLOCK, n)
        x[start:stop] = pixels[: stop - start]
        y[start:stop] = labels[: stop - start]
    return x, y


def _block(objects: Floats, background: Floats, rng: np.random.Generator) -> Part:
    """BLOCK pictures, equally many of each class before some labels are made wrong."""
    classes, kinds, mirrored, rows, columns = objects.shape[:5]
    true = rng.permutation(np.arange(BLOCK) % classes)
    place = [rng.integers(0, size, BLOCK) for size in (kinds, mirrored, rows, columns)]
    strength, contrast, brightness = rng.standard_normal((3, BLOCK, 1, 1, 1), dtype=np.float32)
    wrong = (true + rng.integers(1, classes, BLOCK)) % classes
    labels = np.where(rng.random(BLOCK) < WRONG_SHARE, wrong, true)

    x = objects[true, *place]
    x *= _exp(STRENGTH_SPREAD * strength)
    x += _fields(rng, (BLOCK,), background)
    x *= AMPLITUDE * _exp(CONTRAST_SPREAD * contrast)
    x += 128 + BRIGHTNESS_SPREAD * brightness  # 127.5, and 0.5 because the conversion to uint8 cuts off
    np.clip(x, 0, 255, out=x)
    return x.astype(np.uint8).reshape(BLOCK, -1), labels.astype(np.uint8)


def _exp(x: Floats) -> Floats:
    """exp(x) by way of float64: NumPy's float32 exp differs between processors in its last bit."""
    return np.exp(x.astype(np.float64)).astype(np.float32)


def _objects(rng: np.random.Generator) -> Floats:
    """Views (class, kind, mirrored, row shift, column shift, channel, 32, 32) of every object.

    The kinds of a class are its layout plus and minus each of its textures.
    """
    size = SIDE + 2 * MAX_SHIFT
    spectrum = _spectrum(2 * SIDE, OBJECT_SLOPE)  # twice the side, so that an object does not wrap round

    def standardised(shape: tuple[int, ...]) -> Floats:
        fields = _fields(rng, shape, spectrum)[..., :size, :size]
        fields = fields - fields.mean(axis=(-3, -2, -1), keepdims=True)
        return fields / fields.std(axis=(-3, -2, -1), keepdims=True)

    layouts = LAYOUT_WEIGHT * standardised((len(CLASS_NAMES), 1))
    textures = TEXTURE_WEIGHT * standardised((len(CLASS_NAMES), TEXTURES))
    objects = np.concatenate([layouts + textures, layouts - textures], axis=1)
    both = np.stack([objects, objects[..., ::-1]], axis=2)
    windows = np.lib.stride_tricks.sliding_window_view(both, (SIDE, SIDE), axis=(-2, -1))
    return np.moveaxis(windows, 3, 5)


def _spectrum(n: int, slope: float) -> Floats:
    """Amplitudes (3, n, n/2 + 1) of the Fourier coefficients of `_fields`: grey and two colour differences.

    The grey field gets a variance of 1 and a mean of 0. Frequencies are in cycles per 32 pixels.
    """
    ky, kx = np.fft.fftfreq(n, d=1 / n)[:, None], np.fft.rfftfreq(n, d=1 / n)
    frequency = np.hypot(ky, kx) * SIDE / n
    frequency[0, 0] = np.inf
    amplitude = frequency**-slope
    # The inverse transform takes only the real part of the first and the last column.
    amplitude[:, [0, -1]] *= np.sqrt(2)
    copies = np.where((kx == 0) | (kx == n / 2), 1, 4)
    amplitude *= n * n / np.sqrt(np.sum(copies * amplitude**2))
    return (amplitude * np.array([1, CHROMA, CHROMA])[:, None, None]).astype(np.float32)


def _fields(rng: np.random.Generator, shape: tuple[int, ...], spectrum: Floats) -> Floats:
    """Periodic Gaussian random fields (*shape, 3, n, n): red, green, blue."""
    n = spectrum.shape[1]
    noise = rng.standard_normal((*shape, *spectrum.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    noise *= spectrum
    grey, first, second = np.moveaxis(noise, -3, 0)
    colours = np.empty_like(noise)
    np.add(grey, first, out=colours[..., 0, :, :])
    first *= 0.5
    second *= np.float32(np.sqrt(0.75))
    grey -= first
    np.add(grey, second, out=colours[..., 1, :, :])
    np.subtract(grey, second, out=colours[..., 2, :, :])
    return np.fft.irfft2(colours, s=(n, n), axes=(-2, -1)).astype(np.float32, copy=False)
