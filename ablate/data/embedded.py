"""The sets that need no file: scikit-learn's digits and the generated teaching sets.

Digits come with scikit-learn; the noisy line and the badly scaled inputs are drawn from a seed,
so they are the same on every machine and can be drawn anew for each seed of a study.
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
