"""What a variant is, in words: what it inserts, removes, replaces, changes, and trains differently.

Two variants that differ are never described alike: every argument of a placement is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablate.analysis.formatting import listing
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import Change, Placement, Replacement

#: Differences that stand behind a name in running text; more are in the table of variants.
MOST_DIFFERENCES = 3

_KINDS = {
    "hidden": "every hidden layer",
    "conv": "every convolution",
    "dense": "every dense layer",
    "recurrent": "every recurrent layer",
    "embedding": "every embedding",
    "norm": "every normalization",
    "pool": "every pooling layer",
    "activation": "every activation layer",
    "input": "the input",
    "all": "every layer",
}
_POSITIONS = {
    "before": "on the input of",
    "before_activation": "before the activation of",
    "after_activation": "after the activation of",
    "after": "after",
}


def placement_words(placement: Placement, *, short: bool = False) -> str:
    """Return what a placement does: "Dropout 0.5 after the activation of Dense".

    `short`, as running text has it: "BN before the activation", the hosts left out where they are
    every hidden layer. All else that is said of a placement is said either way.
    """
    arguments = dict(placement.arguments)
    rate = arguments.pop("rate", None)
    name = "BN" if short and placement.layer == "BatchNormalization" else placement.layer
    name += f" {rate:g}" if isinstance(rate, int | float) else f" {rate}" if rate else ""
    extra = ", ".join(f"{key}={value}" for key, value in arguments.items())
    hosts = placement.where if isinstance(placement.where, list) else [placement.where]
    place = f"{_POSITIONS[placement.at]} {_hosts(hosts)}"
    if short:
        place = place.removesuffix(" of every hidden layer")
    words = f"{name}{f' ({extra})' if extra else ''} {place}"
    if placement.except_:
        beyond = placement.except_
        words += f" except {listing([beyond] if isinstance(beyond, str) else beyond)}"
    if placement.calibrate == "statistics":
        return words + ", with the statistics of the training rows"
    return words + (", calibrated" if placement.calibrate else "")


def _hosts(selectors: list[str]) -> str:
    """Return what a selector selects, in words where it is a kind of layer."""
    return listing([_KINDS.get(each, each) for each in selectors])


def _replacement_words(replacement: Replacement) -> str:
    """Return what a replacement does: "GroupNormalization (groups=8) in place of …"."""
    extra = ", ".join(f"{key}={value}" for key, value in replacement.arguments.items())
    words = f"{replacement.layer}{f' ({extra})' if extra else ''} in place of "
    words += _selected(replacement)
    return words + (", moments kept" if replacement.calibrate else "")


def _change_words(change: Change) -> str:
    """Return what a change does: "rate 0.2 at Dropout"."""
    given = [f"{key} {_setting(value)}" for key, value in change.arguments.items()]
    return f"{', '.join(given)} at {_selected(change)}"


def _selected(edit: Replacement | Change) -> str:
    where, beyond = (
        [each] if isinstance(each, str) else list(each or []) for each in (edit.where, edit.except_)
    )
    return _hosts(where) + (f" except {listing(beyond)}" if beyond else "")


def variant_words(variant: ResolvedVariant, baseline: ResolvedVariant | None = None) -> str:
    """Return what a variant is, in words: its placements and what differs from the baseline's spec.

    >>> from ablate.study.trial import Spec
    >>> spec = Spec(data={"name": "digits"}, model={"name": "cnn"}, train={})
    >>> variant_words(ResolvedVariant("plain", spec))
    'the base model as it is'
    """
    parts = _edits(variant)
    if baseline is not None and baseline.name != variant.name:
        parts += _settings(variant, baseline)
    return "; ".join(parts) or "the base model as it is"


def described(variant: ResolvedVariant, baseline: ResolvedVariant) -> str:
    """Return a variant's name and what it differs in from the baseline, where that is short.

    Variants of factors have names that say it, and so have those that lack a part.
    """
    if variant.factors or variant.origin != "declared" or variant.name == baseline.name:
        return variant.name
    known = _edits(baseline, short=True)
    own = _edits(variant, short=True)
    added = [each for each in own if each not in known]
    added += [f"no {each}" for each in known if each not in own]
    added += _settings(variant, baseline)
    if not 1 <= len(added) <= MOST_DIFFERENCES:
        return variant.name
    return f"{variant.name} ({listing(added)})"


def _edits(variant: ResolvedVariant, *, short: bool = False) -> list[str]:
    """Return what is inserted, removed, replaced and changed, in words."""
    parts = [placement_words(each, short=short) for each in variant.spec.insert]
    for removal in variant.spec.remove:
        where = removal.where if isinstance(removal.where, list) else [removal.where]
        parts.append(f"without {listing(where)}")
    parts += [_replacement_words(each) for each in variant.spec.replace or ()]
    return parts + [_change_words(each) for each in variant.spec.change or ()]


def _settings(variant: ResolvedVariant, baseline: ResolvedVariant) -> list[str]:
    """Return what of training, model and data is another than the baseline's, in words."""
    parts = []
    for section in ("train", "model", "data"):
        own = getattr(variant.spec, section).model_dump(mode="json", by_alias=True)
        base = getattr(baseline.spec, section).model_dump(mode="json", by_alias=True)
        parts += [
            f"{key.replace('_', ' ')} {_setting(own.get(key))}"
            for key in [*own, *(each for each in base if each not in own)]
            if own.get(key) != base.get(key)
        ]
    return parts


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        said = {key: each for key, each in value.items() if key != "name" and each is not None}
        rest = [f"{key.replace('_', ' ')} {_setting(each)}" for key, each in said.items()]
        return " ".join([str(value.get("name", "")), *rest]).strip()
    if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        return ", then ".join(_setting(each) for each in value)
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)
