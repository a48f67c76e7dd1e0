"""What becomes of probes that were measured: a section each, and none costs another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from ablate.report import Plot, Section
from ablate.report.probe_sections import ReportedProbe, sections
from ablate.study.registry import NoArguments
from ablate.study.schema.probes import DeclaredProbe

FIGURE = Figure()


def declare(draw) -> ReportedProbe:
    return ReportedProbe(
        about="x", arguments=NoArguments, measurement="x:X", title="X", text="It is.", draw=draw
    )


def drawn(found):
    yield "It was."
    yield Plot("", "All", "", FIGURE)
    yield Plot("part", "Part", "", FIGURE)


DRAWN = declare(drawn)
EMPTY = declare(lambda found: [])
BROKEN = declare(lambda found: [found.first("plain")["missing"]])
UNDRAWN = DeclaredProbe(about="x", arguments=NoArguments, measurement="x:X")


def with_probes(digits, *recorded):
    names = [f"{__name__}:{each}" for each in recorded]
    results = tuple(replace(each, probes=tuple(names)) for each in digits.results)
    arrays = {f"{__name__}/epochs": np.array([0])}
    return replace(digits, results=results, arrays=lambda trial: arrays)


def test_what_was_measured_and_can_be_drawn_has_a_section(digits):
    stem, anchor = f"probe-{__name__}", "probe-" + __name__.replace(".", "-").replace("_", "-")
    plots = (Plot(stem, "All", "", FIGURE), Plot(f"{stem}-part", "Part", "", FIGURE))
    made = Section(anchor, "X", ("It is.", "It was."), plots=plots)
    assert list(sections(with_probes(digits, "DRAWN", "EMPTY", "UNDRAWN"))) == [made]
    assert list(sections(digits)) == []
    unknown = tuple(replace(each, probes=("of_old",)) for each in digits.results)
    assert list(sections(replace(digits, results=unknown))) == []


def test_a_probe_that_cannot_be_drawn_costs_its_section_only(digits):
    first, lost, second = sections(with_probes(digits, "BROKEN", "LOST", "DRAWN"))
    assert "cannot be drawn (KeyError: 'missing')" in first.text[0]
    assert "has no 'LOST'" in lost.text[0]
    assert second.title == "X"
