"""Intervals and p values that stay valid however often one looks while seeds are added.

A fixed-n t interval covers with 95 % at a number of seeds chosen beforehand. Who looks after every
seed and stops when it looks good reads a false difference in a quarter of studies. Here the
t statistic is weighed against a Gaussian mixture of effects: the evidence E is a martingale under
no effect, so that P(E ever reaches 1/α) ≤ α. The price is width: about 1.75 times the t interval
at 10 seeds and more, 1.9 times at 5.

With the prior μ/σ ~ N(0, g), c = 1 + n·g, t = √n·mean/sd:

    E = c^(-1/2) · [(1 + t²/(n - 1)) / (1 + t²/((n - 1)·c))]^(n/2)

g = 4, and no decision before four seeds: with three, tied differences could decide by chance.
Strong one-sided skew breaks the bound (exponential differences: 13 % instead of 5 % at a look
after every seed to 60); the guard on skew says so.

Source: Wang & Ramdas, *Anytime-valid t-tests and confidence sequences for Gaussian means with
unknown variance*, 2023 (arXiv 2310.03722); Lindon et al. 2022 (arXiv 2210.08589).
"""

from __future__ import annotations

import numpy as np

#: The prior variance of the effect in standard deviations of the difference.
PRIOR = 4.0

#: Seeds before which nothing is decided.
FIRST_LOOK = 4


def log_evidence(n: np.ndarray, mean: np.ndarray, sd: np.ndarray, null: float = 0.0) -> np.ndarray:
    """Return log E of `n` differences against a true mean of `null`.

    Args:
        n: the number of differences, at least 2.
        mean, sd: theirs, in any unit; sd with n - 1.
        null: the mean under test, in the same unit.

    Returns:
        log E in the broadcast shape; 0 where all differences equal `null`.
    """
    n, mean, sd = np.broadcast_arrays(*(np.asarray(each, float) for each in (n, mean, sd)))
    c = 1 + n * PRIOR
    shift = n * (mean - null) ** 2
    squares = (n - 1) * sd**2
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = 0.5 * n * (np.log(squares + shift) - np.log(squares + shift / c))
    return -0.5 * np.log(c) + np.where(squares + shift > 0, gain, 0.0)


def half_width(n: np.ndarray | int, sd: np.ndarray | float, alpha: float) -> np.ndarray:
    """Return half the width of the always-valid interval around the mean of `n` differences.

    sd·√((n - 1)/n · (K - 1)/(1 - K/c)) with K = (c/α²)^(1/n); infinite while no mean could be
    excluded yet, and before `FIRST_LOOK`.

    >>> round(float(half_width(10, 1.0, 0.05)), 2)
    1.26
    """
    n, sd = np.asarray(n, float), np.asarray(sd, float)
    c = 1 + n * PRIOR
    with np.errstate(divide="ignore", invalid="ignore"):
        k = (c / alpha**2) ** (1 / n)
        width = sd * np.sqrt((n - 1) / n * (k - 1) / (1 - k / c))
    return np.where((n >= FIRST_LOOK) & (k < c), width, np.inf)


def p_values(differences: np.ndarray, null: float = 0.0) -> np.ndarray:
    """Return the always-valid p of each column: 1 / the largest E at any number of seeds so far.

    Args:
        differences: (seeds, columns) in the order in which the seeds were drawn; NaN where a pair
            is missing, which is passed over.
        null: the mean under test.

    Returns:
        (columns,): p in (0, 1]; 1 before `FIRST_LOOK`. A p that once was small stays small, which
        is what lets Holm be applied whenever one looks.
    """
    differences = np.asarray(differences, float)
    found = np.ones(differences.shape[1])
    for column in range(differences.shape[1]):
        values = differences[:, column]
        values = values[np.isfinite(values)]
        if len(values) < FIRST_LOOK:
            continue
        # Deviations from the first value: cumulative sums lose nothing to a common offset.
        origin = values[0]
        shifted = values - origin
        n = np.arange(1, len(values) + 1)
        means = np.cumsum(shifted) / n
        squares = np.maximum(np.cumsum(shifted**2) - n * means**2, 0.0)
        late = n >= FIRST_LOOK
        sds = np.sqrt(squares[late] / (n[late] - 1))
        evidence = log_evidence(n[late], means[late] + origin, sds, null)
        found[column] = min(1.0, float(np.exp(-max(0.0, evidence.max()))))
    return found
