"""What must hold of a study as a whole, and can be checked without Keras.

Of a study whose fields are each valid, every problem is reported at once, as `InvalidFields`: names
that nothing has, fields that contradict each other, values that a merged section refuses, and a
search space that leads nowhere. Each check below yields its problems and knows nothing of the
others; those that need the variants run only where the variants are known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ablate.errors import StudyError, nearest
from ablate.study.declaration import SEARCH_SEEDS, Declaration
from ablate.study.metrics import LARGER, SMALLER, direction_of, flat, is_share, reported
from ablate.study.overrides import apply
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import Change
from ablate.study.schema.probes import PROBES, Probe
from ablate.study.schema.seeds import Until
from ablate.study.schema.strict import OpenModel
from ablate.study.schema.train import Train
from ablate.study.schema.variant import Variant
from ablate.study.search_points import (
    apply_point,
    check_path,
    edits_of,
    is_edit,
    parameters_of,
)
from ablate.study.validation import InvalidFields, Path, Problem, dotted, problems_of, study_error

#: What Windows keeps for devices, whatever ending follows.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


def check_new_names(study: Declaration) -> None:
    """Refuse names that a new study should not have; one that is on disk keeps what it has.

    Raises:
        StudyError: a name that Windows cannot hold as a folder, or a variant called `search`.
    """
    problems = []
    named = [(("study",), study.study), *((("variants", n), n) for n in study.variants)]
    for path, name in named:
        if _DEVICES.fullmatch(name):
            text = f"'{name}' is the name of a device on Windows, where no folder can have it."
            problems.append(Problem(path, f"{text} Choose another name."))
        elif name.endswith("."):
            text = f"'{name}' ends with a dot, which Windows drops from a folder's name."
            problems.append(Problem(path, f"{text} Choose another name."))
    for name in study.variants:
        if name.lower() == "search":
            text = "'search' is the folder in which TensorBoard shows the points of a search."
            problems.append(Problem(("variants", name), f"{text} Choose another name."))
    if problems:
        raise study_error(problems)


def check(study: Declaration, resolve: Callable[[], Sequence[ResolvedVariant]]) -> None:
    """Refuse a study that cannot be obeyed.

    Raises:
        InvalidFields: all problems found.
    """
    problems = [
        *_check_seeds(study),
        *_check_shape(study),
        *_check_overrides(study),
        *_check_probes(study),
        *_check_analysis(study),
        *_check_claims(study),
    ]
    if not problems:
        try:
            resolved = resolve()
        except InvalidFields as error:
            raise InvalidFields(*dict.fromkeys(error.problems)) from None
        problems += [*_check_names(study, resolved), *_check_search(study, resolved)]
    problems += _check_profiles(study)
    if problems:
        raise InvalidFields(*problems)


def _check_seeds(study: Declaration) -> Iterator[Problem]:
    seeds = study.seeds
    if isinstance(seeds, Until):
        yield from _check_until(study, seeds)
        return
    if isinstance(seeds, int):
        if not 1 <= seeds <= SEARCH_SEEDS:
            text = f"expected a number of seeds from 1 to {SEARCH_SEEDS}. Received: {seeds}."
            yield Problem(("seeds",), text)
        return
    if not seeds:
        yield Problem(("seeds",), "expected at least one seed. Received: [].")
    before: set[int] = set()
    for index, seed in enumerate(seeds):
        if not 0 <= seed < SEARCH_SEEDS:
            text = (
                f"expected a seed from 0 to {SEARCH_SEEDS - 1} (those above belong to searches). "
                f"Received: {seed}."
            )
            yield Problem(("seeds", index), text)
        elif seed in before:
            yield Problem(("seeds", index), f"duplicate seed {seed}.")
        before.add(seed)


def _check_until(study: Declaration, until: Until) -> Iterator[Problem]:
    """Refuse designs whose effects are no differences to a baseline with independent seeds."""
    if until.seeds.stop > SEARCH_SEEDS:
        text = (
            f"expected seeds up to {SEARCH_SEEDS - 1} (those above belong to searches). Received: "
            f"{until.at_most} from {until.first} on."
        )
        yield Problem(("seeds", "at_most"), text)
    at: Path = ("seeds", "until")
    if study.analysis.compare == "all":
        text = "not with analysis.compare: all, which asks for the same seeds of every variant. " \
            "Give a number of seeds."  # fmt: skip
        yield Problem(at, text)
    if study.factors:
        text = "not with factors: their effects are contrasts of all variants, which need the " \
            "same seeds. Give a number of seeds."  # fmt: skip
        yield Problem(at, text)
    if study.data.redrawn:
        what = "folds" if study.data.folds is not None else "split: per_seed"
        text = (
            f"not with {what}: each seed has rows of its own from one pool, and more seeds would "
            "not decide what the rows leave open. Give a number of seeds."
        )
        yield Problem(at, text)


def _check_shape(study: Declaration) -> Iterator[Problem]:
    """Check that there is something to compare, said in one way."""
    rule = study.leave_one_out
    if study.screen is not None:
        yield from _check_screen(study)
        return
    if study.variants and study.factors:
        text = "'factors' stand in place of 'variants'. Keep one of the two."
        yield Problem(("factors",), text)
    if not study.variants and not study.factors and rule is None:
        text = (
            "there is nothing to compare. Declare variants (as variants: {plain: {}, bn: {...}}), "
            "factors, leave_one_out, or screen."
        )
        yield Problem(("variants",), text)
    for factor, levels in study.factors.items():
        if len(levels) < 2:
            text = f"expected at least two levels. Received: {', '.join(levels) or 'none'}."
            yield Problem(("factors", factor), text)
    if rule is None:
        return
    own = rule.from_ == "model" and "model" not in study.variants
    if rule.by == "layer" and rule.where is None and not own:
        text = "missing. Expected which layers to leave out in turn, as [BatchNormalization]."
        yield Problem(("leave_one_out", "where"), text)
    if rule.by != "layer" and rule.where is not None:
        text = f"'where' belongs to 'by: layer'. Received: by: {rule.by}."
        yield Problem(("leave_one_out", "where"), text)
    if own and rule.by != "layer":
        text = f"'from: model' leaves out the model's own layers. Expected layer. Received: " \
            f"{rule.by!r}."  # fmt: skip
        yield Problem(("leave_one_out", "by"), text)


def _check_screen(study: Declaration) -> Iterator[Problem]:
    """Check that a screening stands alone, and that its seeds can tell an effect from noise."""
    beside = (
        "variants", "factors", "leave_one_out", "ledger", "search", "baseline", "expect",
    )  # fmt: skip
    for field in beside:
        if getattr(study, field):
            text = "'screen' says what is compared, in place of this. Keep one of the two."
            yield Problem((field,), text)
    if len(study.seed_list) < 2:
        text = (
            f"a screening needs at least 2 seeds, which tell its effects from noise. Received: "
            f"{len(study.seed_list)}."
        )
        yield Problem(("seeds",), text)


def _declared(study: Declaration) -> Iterator[tuple[Path, Variant]]:
    for name, variant in study.variants.items():
        yield ("variants", name), variant
    for factor, levels in study.factors.items():
        for level, variant in levels.items():
            yield ("factors", factor, level), variant


def _check_overrides(study: Declaration) -> Iterator[Problem]:
    """Check that overrides name fields there are; their values are judged when merged."""
    fields = list(Train.model_fields)
    for path, variant in _declared(study):
        for key in variant.train:
            if key not in fields:
                text = f"unknown key.{nearest(key, fields)} Expected one of: {', '.join(fields)}."
                yield Problem((*path, "train", key), text)
        if _merges_into_nothing(study, variant):
            text = (
                "the study states no optimizer that this could be merged into: its model may come "
                "compiled with one of its own. Name an optimizer here, or in train.optimizer."
            )
            yield Problem((*path, "train", "optimizer"), text)
        for key in variant.data:
            if key not in ("limit", "scale"):
                text = "a variant changes 'limit' or 'scale' of the data, nothing else: variants " \
                    "of other data are another study."  # fmt: skip
                yield Problem((*path, "data", key), text)


def _merges_into_nothing(study: Declaration, variant: Variant) -> bool:
    """Whether a variant changes arguments of an optimizer that only the model could tell."""
    given = variant.train.get("optimizer")
    brought = study.model.file is not None or study.model.call is not None
    whole = not isinstance(given, Mapping) or {"name", "call"} & given.keys()
    return brought and not whole and "optimizer" not in study.train.model_fields_set


def _check_probes(study: Declaration) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, probe in enumerate(study.probes):
        try:
            kind = PROBES.get(probe.name)
        except StudyError as error:
            yield Problem(("probes", index), str(error).removeprefix("probes: "))
            continue
        if kind is None:
            text = (
                f"no probe is called '{probe.name}'.{nearest(probe.name, PROBES)} "
                f"Expected one of: {', '.join(PROBES)}; or one of your own, "
                "'package.module:PROBE'."
            )
            yield Problem(("probes", index), text)
            continue
        try:
            kind.check(probe.arguments, Probe.model_fields)
        except InvalidFields as error:
            for each in error.problems:
                yield replace(each, path=("probes", index, *each.path))
        key = probe.model_dump_json()
        if key in seen:
            yield Problem(("probes", index), f"duplicate probe '{probe.name}'.")
        seen.add(key)


def beyond_shares(metric: str, margin: float | None) -> str | None:
    """Return why a margin is none for `metric`: a share of 1 has no differences as large."""
    if margin is None or margin < 1 or not is_share(metric):
        return None
    return (
        f"{margin:g} is no margin of {metric}, a share of 1: 0.01 is one point of it. Expected "
        "less than 1."
    )


def _check_analysis(study: Declaration) -> Iterator[Problem]:
    analysis = study.analysis
    if (text := beyond_shares(analysis.metric, analysis.margin)) is not None:
        yield Problem(("analysis", "margin"), text)
    if analysis.metric == "auto" or analysis.direction != "auto":
        return
    given = [study.train.metrics, *(each.train.get("metrics") for _, each in _declared(study))]
    own = [each for metrics in given for each in flat(metrics)]
    known = [each for each in own if isinstance(each, str | Mapping | OpenModel)]
    if direction_of(analysis.metric, metrics=known) is None:
        yield Problem(("analysis", "direction"), _undirected(analysis.metric))


def _undirected(metric: str) -> str:
    known = sorted(LARGER | SMALLER)
    return (
        f"'{metric}' is not a metric whose direction is known.{nearest(metric, known)} "
        "Say 'direction: max' or 'direction: min'."
    )


def _check_claims(study: Declaration) -> Iterator[Problem]:
    """Check that each claim of `expect` has what its kind needs."""
    for index, claim in enumerate(study.expect):
        at: Path = ("expect", index)
        if claim.claim in ("ordering", "ratio") and claim.than is None:
            text = f"missing. Expected the variant that the {claim.claim} compares with."
            yield Problem((*at, "than"), text)
        if claim.claim != "ordering" and claim.value is None and claim.range is None:
            text = f"missing. A claim of kind '{claim.claim}' needs a 'value' or a 'range'."
            yield Problem((*at, "value"), text)
        if claim.range is not None and not claim.range[0] <= claim.range[1]:
            low, high = claim.range
            text = f"expected [low, high]. Received: [{low:g}, {high:g}]."
            yield Problem((*at, "range"), text)
        near = claim.claim in ("value", "ratio") and claim.value is not None and not claim.range
        if claim.margin is not None and not near:
            text = (
                "a margin is for a 'value' or a 'ratio' that has a published value and no range. "
                "An ordering takes the least difference as its 'value'; a rate is held against "
                "the published one's interval."
            )
            yield Problem((*at, "margin"), text)
        elif claim.claim == "value" and (beyond := beyond_shares(claim.metric, claim.margin)):
            yield Problem((*at, "margin"), beyond)


def _check_names(study: Declaration, resolved: Sequence[ResolvedVariant]) -> Iterator[Problem]:
    """Check every place that names a variant against the variants there are."""
    names = [variant.name for variant in resolved]
    rule = study.leave_one_out
    pending = rule is not None and rule.by != "placement" and rule.found is None

    def unknown(name: str | None, path: Path) -> Iterator[Problem]:
        if name is None or name in names:
            return
        if pending and rule is not None and name.startswith(f"{rule.from_}-without-"):
            return  # known once the model is built
        text = f"no variant '{name}'.{nearest(name, names)} Expected one of: {_some(names)}."
        yield Problem(path, text)

    yield from unknown(study.baseline, ("baseline",))
    for index, claim in enumerate(study.expect):
        yield from unknown(claim.variant, ("expect", index, "variant"))
        yield from unknown(claim.than, ("expect", index, "than"))
    if rule is not None and rule.by == "placement":
        origin = next(variant for variant in resolved if variant.name == rule.from_)
        if not origin.spec.insert:
            text = f"variant '{origin.name}' inserts nothing that could be left out."
            yield Problem(("leave_one_out", "from"), text)


def _some(names: list[str]) -> str:
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")


def _check_search(study: Declaration, resolved: Sequence[ResolvedVariant]) -> Iterator[Problem]:
    search = study.search
    if search is None:
        return
    metric = search.objective.removeprefix("val_")
    if search.direction == "auto" and direction_of(metric) is None:
        yield Problem(("search", "direction"), _undirected(metric))
    names = None if study.train.callbacks else reported(study.train.metrics)
    if names is not None and not any(metric == n or metric.endswith("_" + n) for n in names):
        text = (
            f"no trial reports {search.objective!r}.{nearest(metric, names)} The metrics are: "
            f"{', '.join('val_' + name for name in names)}. Add it to train.metrics."
        )
        yield Problem(("search", "objective"), text)
    prefixes: dict[str, set[str]] = {}
    for prefix, edits in (each for variant in resolved for each in edits_of(variant.spec).items()):
        layers = {each.layer for each in edits if not isinstance(each, Change)}
        prefixes[prefix] = prefixes.get(prefix, set()) | layers
    for path in search.space:
        at: Path = ("search", "space", path)
        try:
            check_path(path, prefixes)
        except InvalidFields as error:
            yield from (Problem(at, each.text) for each in error.problems)
            continue
        yield from _check_values(study, resolved, path)


def _check_values(
    study: Declaration, resolved: Sequence[ResolvedVariant], path: str
) -> Iterator[Problem]:
    """Check that the field takes every choice, and both ends of a range."""
    assert study.search is not None
    dimension = study.search.space[path]
    having = [each for each in resolved if path in parameters_of(each, study.search)]
    variant = having[0] if having else resolved[0]  # if none takes it, any can say why
    if path.endswith(".present") and is_edit(path):
        if not all(isinstance(value, bool) for value in dimension.samples()):
            yield Problem(("search", "space", path), "'present' must be boolean: {bool: true}.")
        return
    for value in dimension.samples():
        try:
            apply_point(variant.spec, {path: value})
        except StudyError as error:
            reason = error.problems[0].text if error.problems else str(error)
            text = f"the field refuses {value!r}: {reason}"
            yield Problem(("search", "space", path, dimension.kind), text)
            return


def _check_profiles(study: Declaration) -> Iterator[Problem]:
    """Check that each profile makes a sound study; its problems are reported at its own keys."""
    document: dict[str, Any] | None = None
    for name, profile in study.profiles.items():
        if document is None:
            document = study.model_dump(by_alias=True, exclude_unset=True, exclude={"profiles"})
        changed, problems = apply(document, profile, ("profiles", name))
        if not problems:
            try:
                type(study).model_validate(changed)
            except ValueError as error:
                found = problems_of(error, type(study), changed)  # type: ignore[arg-type]
                problems = [_in_profile(each, name, profile) for each in found]
        yield from problems


def _in_profile(problem: Problem, name: str, profile: dict[str, Any]) -> Problem:
    at = dotted(problem.path)
    key = next((key for key in profile if at == key or at.startswith(f"{key}.")), None)
    if key is None:
        return Problem(("profiles", name), f"with this profile, {problem}")
    return Problem(("profiles", name, key), problem.text)
