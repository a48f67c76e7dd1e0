"""The Text tab's account of a study, as Markdown.

What the analysis found enters; Markdown by title leaves. This is the short form: the answer, one
row per variant for the headline metric, and all that must be said. The report has the rest.
"""

from __future__ import annotations

from ablate.analysis import Analysis, analyze
from ablate.study.results import StudyResults


def texts_of(outcome: StudyResults) -> dict[str, str]:
    """Return what is said of a study's results, by title; nothing where there are none."""
    return {"table": table(analyze(outcome))} if outcome.results else {}


def table(found: Analysis) -> str:
    """Return the answer in words and one row per variant."""
    lines = [*found.answer, "", f"`{found.metric}` of each variant. {found.coverage}", ""]
    lines += [
        "| variant | seeds | lost | mean | interval | minus baseline | interval | p (Holm) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in found.variants:
        metric, effect = each.metrics.get(found.metric), found.effect(each.name)
        cells = [
            f"**{each.name}** (baseline)" if each.name == found.baseline else each.name,
            str(each.n),
            f"{each.failures.lost.count} of {each.failures.lost.of}",
            *(_cells(metric.mean, metric.low, metric.high) if metric else ("", "")),
            *(_cells(effect.mean, effect.low, effect.high, "+") if effect else ("", "")),
            _number(effect.p_holm) if effect else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"- {guard.words}" for guard in found.guards)]
    return "\n".join(lines)


def _cells(
    mean: float | None, low: float | None, high: float | None, sign: str = ""
) -> tuple[str, str]:
    interval = "" if low is None or high is None else f"[{low:{sign}.4g}, {high:{sign}.4g}]"
    return _number(mean, sign), interval


def _number(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.4g}"
