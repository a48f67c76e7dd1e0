"""The Text tab's table of effects and its certificates, as Markdown.

What the analysis found enters; Markdown by title leaves. This is the short form: one row per
variant for the headline metric. The report has the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablate.analysis import Analysis
from ablate.study.arm import Arm
from ablate.study.study import Study
from ablate.study.trial import TrialResult


def texts_of(study: Study, arms: Sequence[Arm], results: Sequence[TrialResult]) -> dict[str, str]:
    """Return the table of effects and what trials say of their models, by title."""
    said = certificates(results)
    if any(each.status == "completed" for each in results):
        from ablate.analysis import analyze

        said["table"] = table(analyze(results, arms, baseline_of(study, arms), study.analysis))
    return said


def baseline_of(study: Study, arms: Sequence[Arm]) -> str:
    """Return the name of the baseline: the declared one, else the first arm."""
    return study.baseline or (arms[0].name if arms else "")


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
    lines += ["", *(f"- {guard.text}" for guard in found.guards)]
    return "\n".join(lines)


def certificates(results: Sequence[TrialResult]) -> dict[str, str]:
    """Return what trials say of their models (what calibration changed, and the like)."""
    said: dict[str, list[str]] = {}
    for each in results:
        for note in each.notes:
            said.setdefault(note, []).append(f"{each.variant} seed {each.seed}")
    if not said:
        return {}
    return {"notes": "\n".join(f"- {note} ({_among(who)})" for note, who in said.items())}


def _among(who: Sequence[str]) -> str:
    return ", ".join(who[:4]) + (f" and {len(who) - 4} more" if len(who) > 4 else "")


def _cells(
    mean: float | None, low: float | None, high: float | None, sign: str = ""
) -> tuple[str, str]:
    interval = "" if low is None or high is None else f"[{low:{sign}.4g}, {high:{sign}.4g}]"
    return _number(mean, sign), interval


def _number(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.4g}"
