"""Probes: measurements inside a network between epochs, one file each.

A probe sees a few validation rows (`probe_rows`), between epochs, and changes nothing that a trial
is judged by: all probes on gives the same bits as none. What it measures goes to the trial's
record as arrays; TensorBoard and the report draw it. Its arguments and its section of the report
are declared without Keras in `ablate.report.probes`; the declaration names the class here.
"""

from __future__ import annotations

from typing import Any

from ablate.errors import StudyError
from ablate.probes.measurement import Context, Measurement
from ablate.reasons import reason
from ablate.study.calls import resolve
from ablate.study.schema.probes import PROBES, declared

__all__ = ["Context", "Measurement", "make"]


def make(name: str, /, **arguments: Any) -> Measurement:
    """Return the measurement of the probe `name`, what is not given by its defaults.

    Raises:
        StudyError: there is no such probe, or it refuses its arguments.
    """
    probe = declared(name)
    if probe is None:
        raise StudyError(f"probes: no probe is called '{name}'. There are: {', '.join(PROBES)}.")
    measurement = resolve(probe.measurement, "probes")
    try:
        made: Measurement = measurement(**PROBES[name].complete(arguments))
    except TypeError as error:
        raise StudyError(f"probes: '{name}' refused its arguments: {reason(error)}") from error
    return made
