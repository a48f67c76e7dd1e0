"""The interval of differences over splits that share rows.

Random splits of one pool, and folds, train on largely the same rows: their differences are not
independent, and a plain t interval over them is far too narrow (77 % instead of 95 % at 30 splits
of a small set). Nadeau and Bengio add what the shared rows hide:

    mean ± t · sd · √(1/J + n_test/n_train),  J - 1 degrees of freedom.

More splits cannot shrink it below sd·√(n_test/n_train). It is conservative for similar networks,
never below 93.8 % in simulations.

Source: Nadeau & Bengio, *Inference for the generalization error*, Machine Learning 52:239, 2003;
Bouckaert & Frank 2004 for repeated cross-validation, where n_test/n_train = 1/(k - 1).
"""

from __future__ import annotations

import numpy as np


def widening(n: np.ndarray | int, train: float, test: float) -> np.ndarray:
    """Return by how much the standard error of a mean of `n` splits grows, at least 1.

    √(1 + n · n_test/n_train): the corrected standard error over sd/√n.

    Args:
        n: the number of splits.
        train, test: rows of each, without validation rows.

    >>> round(float(widening(10, 80, 20)), 3)
    1.871
    """
    return np.sqrt(1 + np.asarray(n, float) * test / train)
