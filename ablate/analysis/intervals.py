"""What an interval of per-seed differences is valid for, and the test that goes with it.

Every kind is mean ± c·sd, so that one value says how wide it is, which p belongs to it and what
power it has:

- `fixed_n`, c = t/√n: for a number of seeds that was chosen before any was seen;
- `always_valid`, `anytime.half_width`: however often one looks while seeds are added;
- `overlapping_splits`, c = t·√(1/n + n_test/n_train): rows drawn anew with each seed, from one
  pool that all seeds share (`overlap`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablate.analysis import anytime, overlap
from ablate.analysis.descriptive import MINIMUM_SEEDS, Moments
from ablate.analysis.effects import IntervalKind
from ablate.analysis.equivalence import equivalence_p


@dataclass(frozen=True)
class Interval:
    """How intervals are made: the kind and, for overlapping splits, test rows per training row."""

    kind: IntervalKind = "fixed_n"
    test_share: float = 0.0

    def standard_error(self, n: np.ndarray | int) -> np.ndarray:
        """Return the standard error of the mean of `n` differences, in their deviations."""
        n = np.asarray(n, float)
        with np.errstate(divide="ignore"):
            return overlap.widening(n, 1.0, self.test_share) / np.sqrt(n)

    def half_width(self, n: np.ndarray | int, alpha: float) -> np.ndarray:
        """Return half the width of the 1 - α interval, in deviations of the differences.

        Infinite where `n` differences could not exclude any mean yet.
        """
        from scipy import special

        n = np.asarray(n, float)
        if self.kind == "always_valid":
            return anytime.half_width(n, 1.0, alpha)
        with np.errstate(invalid="ignore"):
            t = special.stdtrit(np.maximum(n - 1, 1), 1 - alpha / 2)
        return np.where(n >= MINIMUM_SEEDS, t * self.standard_error(n), np.inf)

    def ends(self, stats: Moments, alpha: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of each column's interval, NaN where it has none (no spread, too few)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            half = stats.sd * self.half_width(stats.n, alpha)
        half = np.where(np.isfinite(half) & (half > 0), half, np.nan)
        return stats.mean - half, stats.mean + half

    def p_difference(self, differences: np.ndarray, stats: Moments) -> np.ndarray:
        """Return the two-sided p of a zero mean for each column, from three seeds on.

        2·P(T > |mean| / (sd · standard error)), T with n - 1 degrees of freedom, or the
        always-valid p. Without spread there is no test: differences that are all 0 have p = 1,
        others that are all equal have none, as equal accuracies on few rows are a matter of
        rounding.

        Args:
            differences: (seeds, columns), in the order in which seeds were added.
            stats: their moments.
        """
        from scipy import special

        if self.kind == "always_valid":
            p = anytime.p_values(differences)
        else:
            with np.errstate(invalid="ignore", divide="ignore"):
                t = np.abs(stats.mean) / (stats.sd * self.standard_error(stats.n))
                p = 2 * special.stdtr(np.maximum(stats.n - 1, 1), -t)
        p = np.where(stats.sd == 0, np.where(stats.mean == 0, 1.0, np.nan), p)
        return np.where(stats.n >= MINIMUM_SEEDS, p, np.nan)

    def p_equivalence(self, differences: np.ndarray, stats: Moments, margin: float) -> np.ndarray:
        """Return the p of "the true mean is `margin` or more away from zero", per column.

        The larger p of the two ends of the margin. NaN under three seeds and without spread.

        Args:
            differences, stats: as in `p_difference`.
            margin: in the metric's unit, above 0.
        """
        if self.kind != "always_valid":
            return equivalence_p(
                stats.n, stats.mean, stats.sd, margin, self.standard_error(stats.n)
            )
        ends = [anytime.p_values(differences, null) for null in (-margin, margin)]
        # Both ends are excluded, and the mean lies between them: so does the whole interval.
        p = np.where(np.abs(stats.mean) < margin, np.maximum(*ends), 1.0)
        return np.where((stats.n >= MINIMUM_SEEDS) & (stats.sd > 0), p, np.nan)


#: The t interval: what is used where nothing else is said.
FIXED = Interval()
