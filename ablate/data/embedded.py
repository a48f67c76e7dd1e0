"""The sets that need no file: those that come with scikit-learn, and generated ones.

The noisy line, the badly scaled inputs and MNIST-1D are drawn from a seed, so they are the same on
every machine; the first two can be drawn anew for each seed of a study.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ablate.data.check import source
from ablate.data.rng import generator
from ablate.data.source import Source
from ablate.study.schema.data import Data


def digits(data: Data, labels: bool) -> Source:
    """Return the 1797 handwritten digits of scikit-learn, 8×8×1 pixels from 0 to 16.

    They come unsplit. Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten
    Digits, UCI Machine Learning Repository, 1998 (its test part).
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    arrays = {"x_train": x.reshape(-1, 8, 8, 1), "y_train": y}
    names = tuple(str(digit) for digit in range(10))
    # The pixels count the dark points in a 4×4 field: 0 to 16.
    return source("digits", arrays, labels=labels, classes=10, class_names=names, full_scale=16.0)


def table_of_sklearn(data: Data, labels: bool) -> Source:
    """Return a table that comes with scikit-learn: wine, breast_cancer or diabetes, unsplit.

    The target of diabetes is divided by its standard deviation, 77.09, so that it can be learnt at
    usual rates. Sources: Forina et al. 1991; Wolberg et al. 1995 (both UCI Machine Learning
    Repository); Efron et al., Least Angle Regression, 2004.
    """
    from sklearn import datasets

    assert data.name is not None
    found = getattr(datasets, f"load_{data.name}")()
    x, y = found.data, found.target
    if data.name == "diabetes":
        arrays = {"x_train": x, "y_train": (y / y.std())[:, None]}
        return source(data.name, arrays, labels=labels, task="regression")
    names = tuple(map(str, found.target_names))
    arrays = {"x_train": x, "y_train": y}
    return source(data.name, arrays, labels=labels, classes=len(names), class_names=names)


#: Heights of the digits' curves at 12 points, of MNIST-1D.
_CURVES = np.array([
    [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
    [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
    [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
    [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
    [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
    [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
    [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
    [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
])  # fmt: skip


def mnist1d(data: Data, labels: bool) -> Source:
    """Return MNIST-1D: curves of 40 points of ten digits, 40×1, mean 0 and deviation 1 over all.

    Each curve is its digit's template (whitened, from 0 to 0, a sixth of its height), followed by
    36 to 60 zeros, stretched to 72 points, scaled by 0.8 to 1.2, moved round by up to 47 points,
    with smooth noise where it is zero and white noise everywhere, sheared, and read at 40 points.
    The recipe is the published one; the draws are NumPy's own, so the rows differ from the file's.
    """
    arguments = data.complete_arguments()
    random = generator(arguments["seed"], "mnist1d", None)
    whole = arguments["size"] + arguments["test_size"]
    y = random.permutation(np.arange(whole) % 10).astype(np.int32)
    curves = _CURVES - _CURVES.mean(axis=1, keepdims=True)
    curves /= curves.std(axis=1, keepdims=True)
    curves = (curves - curves[:, :1]) / 6
    x = np.stack([_curve(curves[digit], random) for digit in y])
    x = ((x - x.mean()) / x.std())[..., None]
    size = arguments["size"]
    arrays = {"x_train": x[:size], "y_train": y[:size]}
    if arguments["test_size"]:
        arrays |= {"x_test": x[size:], "y_test": y[size:]}
    names = tuple(map(str, range(10)))
    return source("mnist1d", arrays, labels=labels, classes=10, class_names=names)


def _curve(template: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return one noisy curve of 40 points."""
    from scipy.ndimage import gaussian_filter1d

    padded = np.concatenate([template + 1e-8, np.zeros(random.integers(36, 61))])
    x = _read_at(padded, 72) * random.uniform(0.8, 1.2)
    x = np.roll(x, random.integers(0, 48))
    smooth = gaussian_filter1d(0.25 * random.standard_normal(72), 2)
    x = np.where(x == 0, smooth, x) + 0.02 * random.standard_normal(72)
    x -= 0.75 * random.uniform(-0.5, 0.5) * np.linspace(-0.5, 0.5, 72)
    return _read_at(x, 40)


def _read_at(x: np.ndarray, points: int) -> np.ndarray:
    return np.interp(np.linspace(0, 1, points), np.linspace(0, 1, len(x)), x)


def noisy_line(data: Data, labels: bool, redraw: int | None = None) -> Source:
    """Return the 1-D regression y = slope·x + noise·ε with ε ~ N(0, 1).

    x is an even grid over [-1, 1] in each part; the parts differ by their noise, so the test
    error of the true line is noise².
    """
    arguments = data.complete_arguments()
    random = generator(arguments["seed"], "noisy_line", redraw)
    arrays = {}
    for part, key in (("train", "size"), ("val", "validation_size"), ("test", "test_size")):
        if rows := arguments[key]:
            x = np.linspace(-1.0, 1.0, rows)[:, None]
            arrays[f"x_{part}"] = x
            arrays[f"y_{part}"] = arguments["slope"] * x + arguments["noise"] * (
                random.standard_normal((rows, 1))
            )
    made = source("noisy_line", arrays, labels=labels, task="regression")
    return replace(made, redraw=lambda seed: noisy_line(data, labels, seed))


def badly_scaled(data: Data, labels: bool, redraw: int | None = None) -> Source:
    """Return two classes, inside (1) and outside (0) an ellipse in inputs of unlike range.

    Input j is uniform in ±ranges[j]. With u_j = x_j / ranges[j] the class is 1 where Σu_j² is
    below its median over all rows, so the classes are equally frequent.
    """
    arguments = data.complete_arguments()
    random = generator(arguments["seed"], "badly_scaled", redraw)
    sizes = [arguments[key] for key in ("size", "validation_size", "test_size")]
    ranges = np.asarray(arguments["ranges"])
    u = random.uniform(-1.0, 1.0, (sum(sizes), len(ranges)))
    radius = (u**2).sum(axis=1)
    y = (radius < np.median(radius)).astype(np.int32)
    x = u * ranges
    arrays = {}
    start = 0
    for part, rows in zip(("train", "val", "test"), sizes, strict=True):
        if rows:
            arrays[f"x_{part}"] = x[start : start + rows]
            arrays[f"y_{part}"] = y[start : start + rows]
        start += rows
    made = source("badly_scaled", arrays, labels=labels, classes=2)
    return replace(made, redraw=lambda seed: badly_scaled(data, labels, seed))
