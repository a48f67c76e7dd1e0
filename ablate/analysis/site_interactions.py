"""Which sites of a screening interact, where effects that simply add up do not explain the runs.

The runs of most designs confound pairs of sites: what one pair adds together, another seems to.
Where pairs are confounded wholly or not at all, each string of them has a contrast of its own.
Where they are confounded in part (24, 40 and 48 runs), no contrast is a pair's own: then those
pairs are named that explain the runs by themselves, else those twos of pairs that do so together,
and none where several such explanations are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablate.analysis.paired import holm

_LEVEL = 0.05


@dataclass(frozen=True)
class Interaction:
    """Pairs of sites of which these runs cannot tell which interacts, and what it adds."""

    pairs: tuple[tuple[str, str], ...]
    effect: float


def interactions(
    names: Sequence[str], x: np.ndarray, means: np.ndarray, error: float, degrees: int
) -> tuple[Interaction, ...]:
    """Return the interactions that are there, the largest first.

    Args:
        names: of the k factors.
        x: (runs, k) their levels.
        means: the mean score of each run.
        error: standard error of such a mean, with its `degrees` of freedom.
    """
    strings = _strings(x)
    if not strings or error <= 0:
        return ()
    # What effects that add up leave, of the scores and of each string's products.
    basis, _ = np.linalg.qr(np.column_stack([np.ones(len(x)), x]))
    products = np.stack([x[:, group[0][0]] * x[:, group[0][1]] for group in strings], axis=1)
    products = products - basis @ (basis.T @ products)
    left = means - basis @ (basis.T @ means)
    between = products.T @ products
    clear = np.allclose(between, np.diag(between.diagonal()), atol=1e-6)
    look = _with_contrasts if clear else _that_explain
    found = look(products, between, left, error, degrees)
    named = [
        Interaction(
            tuple((names[i], names[j]) for at in alike for i, j in strings[at]),
            float(2 * coefficient),
        )
        for alike, coefficient in found
    ]
    return tuple(sorted(named, key=lambda each: -abs(each.effect)))


def _strings(x: np.ndarray) -> list[list[tuple[int, int]]]:
    """Return the pairs of factors, those together whose products are equal or opposite."""
    strings: dict[bytes, list[tuple[int, int]]] = {}
    for i in range(x.shape[1]):
        for j in range(i + 1, x.shape[1]):
            product = x[:, i] * x[:, j]
            strings.setdefault((product * (product[0] or 1.0)).tobytes(), []).append((i, j))
    return list(strings.values())


def _with_contrasts(
    products: np.ndarray, between: np.ndarray, left: np.ndarray, error: float, degrees: int
) -> list[tuple[list[int], float]]:
    """Return each string whose contrast is beyond noise, by Holm, with its coefficient."""
    from scipy import special

    length = between.diagonal()
    free = np.flatnonzero(length > 1e-6)
    coefficients = products[:, free].T @ left / length[free]
    p = holm(2 * special.stdtr(degrees, -np.abs(coefficients) * np.sqrt(length[free]) / error))
    return [
        ([int(at)], float(each))
        for at, each, chance in zip(free, coefficients, p, strict=True)
        if chance < _LEVEL
    ]


def _that_explain(
    products: np.ndarray, between: np.ndarray, left: np.ndarray, error: float, degrees: int
) -> list[tuple[list[int], float]]:
    """Return the strings that explain what is left but for noise: one of some, or two together."""
    from scipy import special

    spare = int(np.linalg.matrix_rank(products))
    whole, sums, length = float(left @ left), products.T @ left, between.diagonal()

    def most(count: int) -> float:
        """Return the square that noise may leave where so many strings are in."""
        rest = spare - count
        return rest * float(special.fdtri(rest, degrees, 1 - _LEVEL)) * error**2 if rest > 0 else -1

    alone = np.flatnonzero(whole - sums**2 / length <= most(1))
    if len(alone):
        order = sorted(alone.tolist(), key=lambda at: -(sums[at] ** 2 / length[at]))
        return [(order, sums[order[0]] / length[order[0]])]
    with np.errstate(divide="ignore", invalid="ignore"):
        area = np.outer(length, length) - between**2
        explained = (
            np.outer(sums**2, length) + np.outer(length, sums**2)
            - 2 * np.outer(sums, sums) * between
        ) / np.where(area > 1e-6, area, np.inf)  # fmt: skip
    together = whole - explained <= most(2)
    if not together.any():
        return []
    first, second = np.unravel_index(int(np.argmax(explained)), explained.shape)
    like_first, like_second = np.flatnonzero(together[second]), np.flatnonzero(together[first])
    if together.sum() != 2 * len(like_first) * len(like_second):
        return []  # other twos explain it, too
    both = [int(first), int(second)]
    coefficients = np.linalg.solve(between[np.ix_(both, both)], sums[both])
    return [
        (like_first.tolist(), float(coefficients[0])),
        (like_second.tolist(), float(coefficients[1])),
    ]
