"""Which fit of a script is meant: never silently the first of several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ablate.errors import StudyError, some
from ablate.scripts.captured import Captured, Fit
from ablate.scripts.failures import failure


def chosen(found: Captured) -> tuple[Fit, ...]:
    """Return the fits that a study is made of.

    One; or those of one model on the same rows, its phases; or those of several models on the
    same rows, which the script compares itself.

    Raises:
        StudyError: there is none, there are several and none is named, or what is named cannot be
            taken over; lists what there is.
    """
    wanted = found.script.fit
    if wanted is not None:
        fits = [each for each in found.fits if each.number == wanted]
    elif found.script.rehearse:
        fits = list(found.fits)
    else:
        fits = list(found.fits[:1])
        if fits and fits[0].another is not None:
            raise StudyError(_ask(found, fits[0]))
    if not fits:
        raise failure(found)
    for each in fits:
        if each.refused is not None:
            raise StudyError(f"{each.place}: this fit cannot be taken over: {each.refused}")
    if len(fits) > 1 and not _belong_together(fits):
        raise StudyError(_ask_which(found))
    return tuple(fits)


def _belong_together(fits: Sequence[Fit]) -> bool:
    rows = {each.data.get("digest") for each in fits}
    shared = [fits[0].number in each.shares for each in fits[1:]]
    return len(rows) == 1 and None not in rows and (all(shared) or not any(shared))


def _ask(found: Captured, first: Fit) -> str:
    name = Path(found.script.file).name
    return (
        f"{first.place}: this may not be the only fit of {name}: {first.another}. The first one "
        f"is\n{listed(first)}\nSay that it is meant: --set script.fit=1. To see all of them, let "
        f"the script run on with one step for every fit: ablate run {name} --rehearse"
    )


def _ask_which(found: Captured) -> str:
    name, fits = Path(found.script.file).name, found.fits
    lines = "\n".join(listed(each) for each in fits)
    rows = {each.data.get("digest") for each in fits}
    again = [each for each in fits if each.shares]
    why = ""
    if len(rows) > 1 and again:
        why = (
            " One and the same model is fitted again on other rows, so that what it learnt from "
            "the first is in it when it is scored on the second."
        )
    return (
        f"{name} fits {len(fits)} times:\n{lines}\nThey are on different rows, so no study holds "
        f"them all.{why} Say which one is meant: --set script.fit=N."
    )


def listed(fit: Fit) -> str:
    """Return the line of a fit in a list: where it stands, its model, what is in it, how long."""
    if fit.refused is not None:
        return f"  fit {fit.number}, {fit.place}: cannot be taken over: {fit.refused}"
    model = fit.model
    rows = fit.data["rows"].get("train")
    again = f" (that of fit {fit.shares[0]})" if fit.shares else ""
    parts = [
        f"'{model['name']}'{again}, {model['parameters']:,} parameters",
        f"{fit.settings['epochs']} epochs" + (f" on {rows:,} rows" if rows else ""),
        *contents(model),
    ]
    return f"  fit {fit.number}, {fit.place}: {'; '.join(parts)}"


def contents(model: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a model has of BatchNormalization and Dropout, in words."""
    frozen = [each for each in model["norms"] if each["frozen"]]
    norms = [each for each in model["norms"] if not each["frozen"]]
    if norms:
        on_input = [each for each in norms if each.get("input")]
        more = ", on the input" if on_input and len(norms) == len(on_input) else ""
        yield f"{len(norms)} BatchNormalization ({some([each['path'] for each in norms])}{more})"
    if frozen:
        yield f"{len(frozen)} frozen BatchNormalization"
    if drops := model["dropouts"]:
        rates = [
            f"{each['path']} {each['rate']:g}" if each.get("rate") is not None else each["path"]
            for each in drops
        ]
        yield f"{len(drops)} Dropout ({some(rates)})"
    if not norms and not frozen and not drops:
        yield "no BatchNormalization, no Dropout"
    for each in model["recurrent"]:
        yield f"'{each['path']}' drops by an argument of its own"
