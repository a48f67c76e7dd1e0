"""A screening as a section of the report: the map of the network, and a row per site.

Effects come from validation rows and are for choosing; what was picked is reported by the rest of
the report, on fresh seeds.
"""

from __future__ import annotations

from collections.abc import Iterator

from ablate.analysis.screening import Factor, half_width, one_at_a_time
from ablate.report import formatting
from ablate.report.document import Column, Section, Table
from ablate.report.network_map import ScreenReport
from ablate.report.text_map import text_map
from ablate.study.screen_design import POSITION, Design


def section(report: ScreenReport) -> Section:
    """Return the screening's part of the report."""
    from ablate.report.plots.network_map import draw_map

    return Section(
        "screening",
        "Where they should stand",
        tuple(sentences(report)),
        (site_table(report),),
        tuple(draw_map(report)),
        leads=True,
        drawing=lambda width: text_map(report, width),
    )


def sentences(report: ScreenReport) -> Iterator[str]:
    """Yield what the screening says, estimates first."""
    found, scale = report.found, report.scale
    counts = found.trials
    yield (
        f"Screened {_sites(len(report.design.sites))} of {_layers(report.design)} in "
        f"{len(report.design.runs)} networks with "
        f"{formatting.counted(len(found.seeds), 'seed')} each, "
        f"{formatting.counted(counts.get('planned', 0), 'training')}; effects are on "
        f"{formatting.metric_title(found.metric)}, and for choosing only."
    )
    if report.pick is None:
        left = counts.get("planned", 0) - counts.get("completed", 0) - counts.get("lost", 0)
        if left > 0:
            yield f"{formatting.counted(left, 'training')} to come; nothing is picked before."
        elif found.reason:
            yield f"No effects can be given: {found.reason}."
        return
    chosen = [each.name for i, each in enumerate(found.sites) if report.is_picked(i)]
    on = formatting.listed([_host(report, each) for each in chosen], most=12)
    way = "above" if found.direction == "max" else "below"
    sure = [each for each in found.sites if (each.p_holm or 0.0) < 1 - found.confidence]
    which = "none of them is" if not sure else f"{len(sure)} of all are"
    if chosen:
        yield (
            f"Picked: {on}: {len(chosen)} of {len(found.sites)} sites, those whose estimated "
            f"effect is {way} 0; {which} beyond noise after correction."
        )
    else:
        yield f"Picked: none of the sites; no estimated effect is {way} 0."
    for factor in found.factors:
        if factor.name == POSITION:
            positions = next(
                each.positions
                for each in report.design.screen.placements
                if len(each.positions) > 1
            )
            first, second = (each.replace("_", " ") for each in positions)
            yield (
                f"Position: {first} rather than {second} "
                f"{_estimate(factor, scale, found.confidence)}; picked: "
                f"{(first, second)[found.position]}."
            )
    yield from _caveats(report, scale)
    cheaper = one_at_a_time(len(found.factors), len(report.design.runs), len(found.seeds))
    if len(found.factors) > 1:
        yield (
            f"It took {formatting.counted(report.trained, 'training')}, the confirmation included"
            + (f", {formatting.duration(report.seconds)} of work" if report.seconds else "")
            + f". One site at a time would take {formatting.counted(cheaper, 'training')} for the "
            f"effects that these {counts.get('planned', 0)} gave."
        )


def _caveats(report: ScreenReport, scale: formatting.Scale) -> Iterator[str]:
    found = report.found
    lost = found.trials.get("lost", 0)
    if lost:
        worst = max(found.sites, key=lambda each: abs(each.lost[0] - each.lost[1]))
        yield (
            f"{formatting.counted(lost, 'training')} of {found.trials['planned']} ended without a "
            f"score and {'is' if lost == 1 else 'are'} left out of the effects: {worst.lost[0]} "
            f"with {worst.name}, {worst.lost[1]} without it."
        )
    if found.interacts:
        words = (
            f"The sites interact (lack of fit, p = {formatting.probability(found.lack_of_fit)}): "
            "each effect is an average over the other sites."
        )
        for each in found.interactions[:3]:
            pairs = formatting.listed([f"{a} × {b}" for a, b in each.pairs], last="or", most=4)
            words += f" Of {scale.difference(each.effect)} {scale.difference_unit}".rstrip()
            words += f": {pairs}"
            if (more := len(each.pairs) - 1) > 0:
                trainings = more * len(found.seeds)
                words += (
                    f", which these runs cannot tell apart; at least {more} further "
                    f"{'run' if more == 1 else 'runs'} ({trainings} trainings) could"
                )
            words += "."
        if not found.interactions:
            words += " These runs cannot tell which pairs."
        yield words
    elif found.lack_of_fit is not None:
        yield (
            "No sign that sites interact (lack of fit, p = "
            f"{formatting.probability(found.lack_of_fit)})."
        )
    if found.curvature is not None and found.curvature_half is not None:
        every, none = found.ends
        unit, points = f" {scale.unit}".rstrip(), f" {scale.difference_unit}".rstrip()
        half = found.curvature_half
        interval = scale.interval(found.curvature - half, found.curvature + half, sign=True)
        saturates = abs(found.curvature) > half
        yield (
            f"With every site {scale.value(every)}{unit}, with none {scale.value(none)}{unit}; "
            f"their mean is {scale.difference(found.curvature)}{points} ({interval}) against that "
            "of all networks: "
            + ("what sites add does not simply add up." if saturates else "as sums would be.")
        )


def site_table(report: ScreenReport) -> Table:
    """Return the table of the sites: effect with its interval, costs, what was picked."""
    found, scale = report.found, report.scale
    order = sorted(
        range(len(found.factors)),
        key=lambda i: -(found.factors[i].effect or 0) * (1 if found.direction == "max" else -1),
    )
    lines = []
    for index in order:
        each = found.factors[index]
        site = each.name != POSITION
        lines.append((
            each.name,
            scale.difference(each.effect),
            scale.interval(each.low, each.high, sign=True),
            formatting.probability(each.p_holm),
            formatting.signed(each.parameters, 0) if site else formatting.NONE,
            _milliseconds(each) if site else formatting.NONE,
            ("picked" if report.is_picked(index) else "") if site else "",
        ))  # fmt: skip
    level = formatting.percent(found.confidence)
    return Table(
        "sites",
        "What each site is worth",
        (
            Column("Site", "left"),
            Column(scale.difference_titled("Effect")),
            Column(f"{level} interval"),
            Column("p (Holm)", drop=2),
            Column("Parameters", drop=3),
            Column("Inference (ms per 1000)", drop=4),
            Column("", "left"),
        ),
        tuple(lines),
        (
            f"Effect: mean {formatting.metric_title(found.metric)} of the networks with the site "
            "minus that of those without it, paired by seed.",
        ),
        tuple("better" if line[-1] else "" for line in lines),
    )


def _milliseconds(factor: Factor) -> str:
    """Return what a site adds to the time of inference, with half its interval's width."""
    if factor.inference is None:
        return formatting.NONE
    half = "" if factor.inference_half is None else f" ± {factor.inference_half * 1000:.0f}"
    return f"{formatting.signed(factor.inference * 1000, 0)}{half}"


def _sites(count: int) -> str:
    return formatting.counted(count, "site")


def _layers(design: Design) -> str:
    return formatting.listed(dict.fromkeys(each.layer for each in design.screen.placements))


def _host(report: ScreenReport, name: str) -> str:
    several = len({each.layer for each in report.design.screen.placements}) > 1
    site = next(each for each in report.design.sites if each.layer == name)
    return name if several else site.host


def _estimate(factor: Factor, scale: formatting.Scale, confidence: float) -> str:
    unit = f" {scale.difference_unit}" if scale.difference_unit else ""
    return (
        f"{scale.difference(factor.effect)}{unit} ({formatting.percent(confidence)} interval "
        f"{scale.interval(factor.low, factor.high, sign=True)})"
    )


def planned(design: Design, seeds: int, confirm: int, sd: float | None, metric: str) -> list[str]:
    """Return what `plan` says of a screening before anything is trained.

    Args:
        design: with its sites found.
        seeds: of the screening.
        confirm: fresh seeds of the confirmation.
        sd: of a score about what its run and seed explain, from an earlier study; None: not known.
        metric: the metric that effects are on.
    """
    runs, factors = len(design.runs), len(design.factors)
    lines = [
        f"{_sites(len(design.sites))}, {runs} networks x {formatting.counted(seeds, 'seed')} = "
        f"{formatting.counted(runs * seeds, 'training')}; then up to 4 networks x "
        f"{formatting.counted(confirm, 'fresh seed')} = {4 * confirm} at most."
    ]
    half = half_width(runs, seeds, 1.0 if sd is None else sd, 0.95)
    if sd is None:
        lines.append(
            f"Every effect's 95 % interval will be ± {half:.2g} standard deviations of a single "
            "training; a pilot says how much that is."
        )
    else:
        scale = formatting.metric_scale(metric, [half], [half / 2])
        source = "trainings that are done" if metric else f"screen.sd of {sd:g}"
        unit = f" {scale.difference_unit}" if scale.difference_unit else ""
        lines.append(
            f"Every effect's 95 % interval will be about ± {scale.value(half)}{unit}, going by "
            f"{source}."
        )
    alone = one_at_a_time(factors, runs, seeds)
    lines.append(f"One site at a time would take {alone} trainings for the same precision.")
    return lines
