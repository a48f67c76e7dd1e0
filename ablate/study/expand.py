"""The variants of a study: each named, with nothing left to inherit.

Declared variants come in their order; factors are crossed in full, the first factor slowest;
`leave_one_out` follows. A generated variant equal to an earlier one is its alias and trained once.
What leave-one-out by site or by layer leaves out depends on the built model: those variants are
there once `ablate.study.leave_one_out` has written what was found into the study.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from ablate.errors import nearest
from ablate.study.declaration import Declaration
from ablate.study.inherit import Part, VariantResolver, inheritance_chain
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import Placement, Removal, shown
from ablate.study.schema.variant import Found
from ablate.study.screen_design import screen_variants
from ablate.study.trial import Spec
from ablate.study.validation import InvalidFields, Problem, invalid

#: What `leave_one_out: {from: model}` calls the base model as it comes.
MODEL = "model"

#: Fields that no number depends on: variants that differ in these alone are duplicates.
_SILENT = {
    "Train": ("metrics", "weighted_metrics", "save", "time_limit"),
    **dict.fromkeys(("Placement", "Replacement", "Change"), ("name",)),
}


def expand(study: Declaration) -> list[ResolvedVariant]:
    """Return the variants of `study`, in order; the first is the default baseline.

    Raises:
        InvalidFields: every contradiction found, with the paths of the fields at fault (a study
            that exists has none: they were reported when it was made).
    """
    resolver = VariantResolver(study)
    if study.screen is not None:
        return _single(screen_variants(study, resolver), study)
    resolved = _crossed(study, resolver) if study.factors else _declared(study, resolver)
    resolved = _single(resolved, study)
    return _with_left_out(resolved, study, resolver)


def path_name(name: str) -> str:
    """Return `name` as a folder may be called: itself, or shortened with a hash.

    >>> path_name("bn=on,dropout=off")
    'bn=on,dropout=off'
    >>> path_name("both-without-block/conv:0")
    'both-without-block_conv_0-7f4ac924'
    """
    safe = re.sub(r"[^A-Za-z0-9._+=,-]", "_", name)
    if safe == name and len(name) <= 64:
        return name
    return f"{safe[:55]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _declared(study: Declaration, resolver: VariantResolver) -> list[ResolvedVariant]:
    """Return the variants that `variants` declares."""
    resolved: list[ResolvedVariant] = []
    problems: list[Problem] = []
    for name in study.variants:
        try:
            spec = resolver.spec(inheritance_chain(name, study.variants, ("variants",)))
            resolved.append(ResolvedVariant(name, spec))
        except InvalidFields as error:
            problems += error.problems
    if problems:
        raise InvalidFields(*problems)
    return resolved


def _crossed(study: Declaration, resolver: VariantResolver) -> list[ResolvedVariant]:
    """Return the full factorial of `factors`."""
    problems: list[Problem] = []
    levels: list[list[tuple[str, list[Part]]]] = []
    for factor, declared in study.factors.items():
        parts = []
        for level in declared:
            try:
                parts.append((level, inheritance_chain(level, declared, ("factors", factor))))
            except InvalidFields as error:
                problems += error.problems
        levels.append(parts)
    problems += [] if problems else _conflicts(list(study.factors), levels)
    resolved, names = [], list(study.factors)
    for chosen in itertools.product(*levels) if not problems else ():
        factors = {factor: level for factor, (level, _) in zip(names, chosen, strict=True)}
        try:
            spec = resolver.spec([part for _, parts in chosen for part in parts])
        except InvalidFields as error:
            problems += error.problems
            continue
        name = ",".join(f"{factor}={level}" for factor, level in factors.items())
        resolved.append(ResolvedVariant(name, spec, factors, "factorial"))
    if problems:
        raise InvalidFields(*problems)
    return resolved


def _conflicts(names: list[str], levels: list[list[tuple[str, list[Part]]]]) -> Iterator[Problem]:
    """Tell every field that two factors set."""
    given = [{} for _ in names]  # type: list[dict[tuple[str, ...], Part]]
    for index, parts in enumerate(levels):
        for part in (each for _, lines in parts for each in lines):
            for path in _fields_set(part):
                given[index].setdefault(path, part)
    for (i, first), (j, second) in itertools.combinations(enumerate(given), 2):
        for path, part in second.items():
            other = next((each for each in first if _overlap(path, each)), None)
            if other is not None:
                text = (
                    f"factors '{names[i]}' and '{names[j]}' both set {'.'.join(path)}: crossing "
                    "them would hide one. Give the field to one factor."
                )
                yield Problem((*part.path, path[0]), text)


def _fields_set(part: Part) -> Iterator[tuple[str, ...]]:
    for section in ("train", "model", "data"):
        yield from _leaves(getattr(part.variant, section), (section,))
    for placement in part.variant.insert:
        yield ("insert", placement.model_dump_json(by_alias=True))
    for removal in part.variant.remove:
        yield ("remove", removal.model_dump_json(by_alias=True))
    for kind, edits in (("replace", part.variant.replace), ("change", part.variant.change)):
        for edit in edits:
            selector = shown(edit.where) + (
                f" except {shown(edit.except_)}" if edit.except_ else ""
            )
            for key in edit.arguments if kind == "change" else ("layer",):
                yield (kind, selector, key)


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict) and "name" not in value:
        for key, each in value.items():
            yield from _leaves(each, (*path, str(key)))
    else:
        yield path


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _single(resolved: list[ResolvedVariant], study: Declaration) -> list[ResolvedVariant]:
    """Make generated duplicates aliases; refuse declared ones, or salt them if allowed."""
    key_of = _Keys()
    first: dict[tuple[str, ...], ResolvedVariant] = {}
    result, problems = [], []
    copies: dict[str, int] = {}
    for variant in resolved:
        earlier = first.setdefault(key_of(variant.spec), variant)
        if earlier is variant:
            result.append(variant)
        elif variant.origin != "declared":
            result.append(replace(variant, alias_of=earlier.name))
        elif study.allow_duplicates:
            copies[earlier.name] = copies.get(earlier.name, 1) + 1
            result.append(replace(variant, salt=f"copy {copies[earlier.name]}"))
        else:
            text = (
                f"trains the same as '{earlier.name}'. Change one of the two, or set "
                "allow_duplicates: true for an A/A study."
            )
            problems.append(Problem(("variants", variant.name), text))
    if problems:
        raise InvalidFields(*problems)
    return result


class _Keys:
    """Tells equal specs: what decides their numbers, as far as that is known without files.

    Variants share their sections and placements, so each is written out once.
    """

    def __init__(self) -> None:
        self._written: dict[int, tuple[BaseModel, str]] = {}  # keeps what it has an id of

    def __call__(self, spec: Spec) -> tuple[str, ...]:
        edits = (*(spec.replace or ()), None, *(spec.change or ()))
        parts = (spec.data, spec.model, spec.train, *spec.insert, None, *spec.remove, None, *edits)
        return tuple(self._text(part) if part is not None else "" for part in parts)

    def _text(self, part: BaseModel) -> str:
        if id(part) not in self._written:
            document = part.model_dump(by_alias=True, mode="json")
            silent = _SILENT.get(type(part).__name__, ())
            kept = {key: value for key, value in document.items() if key not in silent}
            self._written[id(part)] = (part, json.dumps(kept, sort_keys=True))
        return self._written[id(part)][1]


def _with_left_out(
    resolved: list[ResolvedVariant], study: Declaration, resolver: VariantResolver
) -> list[ResolvedVariant]:
    """Return `variants` with those of `leave_one_out`, as far as they are known."""
    rule = study.leave_one_out
    if rule is None:
        return resolved
    origin = leave_one_out_origin(resolved, study, resolver)
    resolved = (
        resolved
        if any(variant.name == origin.name for variant in resolved)
        else [*resolved, origin]
    )
    key_of = _Keys()
    by_key = {key_of(variant.spec): variant for variant in reversed(resolved)}
    by_name = {variant.name: variant for variant in resolved}
    for what, spec in _lacking(origin, study):
        name = f"{origin.name}-without-{what}"
        equal = by_key.setdefault(key_of(spec), ResolvedVariant(name, spec))
        if name in by_name:
            if equal.name != name and equal.alias_of != name:
                text = f"would make '{name}', but another variant is called so. Rename that one."
                raise invalid(text, "leave_one_out")
            continue
        alias = equal.alias_of or (equal.name if equal.name != name else None)
        variant = ResolvedVariant(name, spec, {}, "leave_one_out", alias, (origin.name, what))
        by_name[name] = variant
        resolved.append(variant)
    return resolved


def leave_one_out_origin(
    resolved: list[ResolvedVariant], study: Declaration, resolver: VariantResolver
) -> ResolvedVariant:
    """Return the variant that `leave_one_out.from` names."""
    rule = study.leave_one_out
    assert rule is not None
    found = next((variant for variant in resolved if variant.name == rule.from_), None)
    if found is not None:
        return found
    if rule.from_ == MODEL:
        spec = resolver.spec([])
        key_of = _Keys()
        same = {key_of(variant.spec): variant for variant in reversed(resolved)}.get(key_of(spec))
        return ResolvedVariant(MODEL, spec, alias_of=(same.alias_of or same.name) if same else None)
    names = [variant.name for variant in resolved] + [MODEL]
    raise invalid(
        f"no variant '{rule.from_}'.{nearest(rule.from_, names)} "
        f"Expected one of: {', '.join(names)}.",
        "leave_one_out",
        "from",
    )


def _lacking(origin: ResolvedVariant, study: Declaration) -> Iterator[tuple[str, Spec]]:
    """Yield what can be left out of `origin`, by name, with the spec that lacks it."""
    rule = study.leave_one_out
    assert rule is not None
    spec = origin.spec
    if rule.by == "placement":
        for label, indices in labels(spec.insert).items():
            rest = [each for i, each in enumerate(spec.insert) if i not in indices]
            yield label, _changed(spec, insert=rest)
        return
    for found in rule.found or ():
        if rule.by == "layer":
            yield found.layer, _changed(spec, remove=[*spec.remove, Removal(where=found.host)])
        else:
            yield found.layer, _changed(spec, insert=_spared(spec.insert, found, rule.found or []))


def labels(insert: Sequence[Placement]) -> dict[str, list[int]]:
    """Return what leave-one-out calls each placement, with their indices in `insert`.

    Placements that share a `name` are one; those without one are called by their layer, a
    second by `<layer>_2`.
    """
    named: dict[str, list[int]] = {}
    for index, placement in enumerate(insert):
        label = placement.label
        if placement.name is None:
            ordinal = 2
            while label in named:
                label, ordinal = f"{placement.layer}_{ordinal}", ordinal + 1
        named.setdefault(label, []).append(index)
    return named


def _spared(
    insert: Sequence[Placement], found: Found, all_found: Sequence[Found]
) -> list[Placement]:
    """Return `insert` without the one site `found`."""
    assert found.placement is not None
    placement = insert[found.placement]
    rest = list(insert)
    if {each.host for each in all_found if each.placement == found.placement} == {found.host}:
        del rest[found.placement]  # its only site: excepting it would leave a selector with none
        return rest
    given = placement.except_
    excepted = [given] if isinstance(given, str) else list(given or ())
    update = {"except_": [*excepted, found.host]}
    rest[found.placement] = placement.model_copy(update=update)
    return rest


def _changed(spec: Spec, **update: Any) -> Spec:
    return spec.model_copy(update=update)
