"""What the probes measured, drawn from the arrays they stored.

`SECTIONS` maps a probe's name to the function that makes its section of the report; there is one
file per probe here. A function gets the `Material` and reads the arrays of each trial with
`material.arrays(trial.id)` (empty where a trial has none); it returns None when nothing was
measured. Nothing of Keras is needed: a probe is measured in `ablate.probes` and drawn here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from ablate.reasons import reason
from ablate.report.document import Section
from ablate.report.report_data import ReportData
from ablate.study.schema.probes import PROBES
from ablate.study.trial import TrialResult

if TYPE_CHECKING:
    import numpy as np


def _late(name: str) -> Callable[[ReportData], Section | None]:
    """Return a probe's section; its module, and matplotlib, are imported when it is called."""

    def section(material: ReportData) -> Section | None:
        made: Section | None = import_module(f"{__name__}.{name}").section(material)
        return made

    return section


#: Probe name -> its section. Each function draws its figures within `theme.themed`.
SECTIONS: dict[str, Callable[[ReportData], Section | None]] = {name: _late(name) for name in PROBES}


def sections(material: ReportData) -> Iterator[Section]:
    """Yield a section for every probe that measured something in the study, each by itself.

    A section that cannot be drawn (arrays of another version, say) says so in its place; one
    probe's trouble must not cost the report.
    """
    measured = dict.fromkeys(
        name for result in material.results for name in map(probe_name, result.probes)
    )
    for name in measured:
        make = SECTIONS.get(name)
        if make is None:
            continue
        try:
            section = make(material)
        except (KeyError, ValueError, IndexError, TypeError) as error:
            section = Section(
                f"probe-{name}",
                f"Probe: {name}",
                (f"What this probe stored cannot be drawn ({reason(error)}).",),
            )
        if section is not None:
            yield section


def illustrate(
    result: TrialResult, arrays: Mapping[str, np.ndarray]
) -> dict[tuple[str, int], bytes]:
    """Return the images of a trial's probes for TensorBoard, PNG by tag and epoch."""
    from ablate.report.probes import images

    return images.illustrate(result, arrays)


def probe_name(recorded: str) -> str:
    """Return the name in a trial's record of a probe, which is its canonical JSON or its name."""
    import json

    try:
        document = json.loads(recorded)
    except ValueError:
        return recorded
    return str(document.get("name", recorded)) if isinstance(document, dict) else str(document)
