"""Numbers that a claim speaks of and that no metric holds: of probes, and of the curves.

`expect` may name `probe/<probe>/<scalar>`, what the probe measured after the last epoch
(`probe/dropout/encoder1/mean`), or `curve/<name>`, the curve's last value (`curve/loss` is the
running loss of the last epoch, `train_loss` what the trained network has in inference mode).
Claims, results and the probes' arrays go in; measurements as `analyze` takes them come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ablate.study.schema.analysis import Expect
from ablate.study.trial import TrialResult

if TYPE_CHECKING:
    import numpy as np

Measurements = dict[str, dict[tuple[str, int], float]]


def measured(
    expect: Iterable[Expect],
    results: Sequence[TrialResult],
    arrays: Callable[[str], Mapping[str, np.ndarray]],
) -> Measurements:
    """Return what the claims ask of probes and curves: by name, then by variant and seed.

    Args:
        expect: the claims of a study.
        results: its trials.
        arrays: what the probes of a trial stored, by trial id; read only if a claim needs it.

    A trial that did not measure a number has none; a name that no trial measured is left out.
    """
    names = {claim.metric for claim in expect}
    probes = sorted(name for name in names if name.startswith("probe/"))
    found: Measurements = {}
    for result in results:
        at = (result.variant, result.seed)
        for name in names:
            if name.startswith("curve/"):
                curve = [each for each in result.curves.get(name[6:], ()) if each is not None]
                if curve:
                    found.setdefault(name, {})[at] = float(curve[-1])
        stored = arrays(result.id) if probes and result.probes else {}
        for name in probes:
            _, probe, *scalar = name.split("/")
            series = stored.get(f"{probe}/scalar/{'/'.join(scalar)}")
            if series is not None and len(series):
                found.setdefault(name, {})[at] = float(series[-1])
    return found
