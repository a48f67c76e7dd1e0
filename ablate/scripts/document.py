"""A study of what was captured: its sections, and the variants that answer for its model.

Rows are taken as `fit` was handed them, unscaled; what the study states itself wins. What only the
script can make (classes and functions of its own, datasets) is imported from a module that is
written beside the captured files: it runs the script again up to the same call.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ablate.disk import write_text
from ablate.errors import StudyError, some
from ablate.scripts.captured import Captured, Fit

#: The keys by which a study says what it compares.
COMPARED = ("variants", "factors", "leave_one_out", "screen")

#: What a call of the script's own begins with, in entries.
OWN = "@script:"

#: What a call begins with that is handed to a fit, or compiled into its model, and has no name.
HANDED = "@fit:"

_MODULE = '''\
"""What {name} hands to its fit call, made anew: the file runs again up to that call.

Written by `ablate`; it stands for the file as it was captured, whose digest is
{source}.
"""

from pathlib import Path

from ablate.capture.rerun import Rerun

_again = Rerun(Path(__file__).parent, {source!r})


def __getattr__(name):
    return _again.attribute(name)
'''


def sections(found: Captured, fits: Sequence[Fit], *, compared: bool = True) -> dict[str, Any]:
    """Return `data`, `model`, `train` and, if `compared`, the variants of a study of `fits`.

    Several fits are those of one model, which become phases, or of several models on the same
    rows, which become variants.
    """
    first = fits[0]
    own = module_of(found)
    one_model = len(fits) > 1 and _is_one_model(fits)
    document: dict[str, Any] = {
        "data": _data(first, found.folder, own),
        "model": _model(first, found.folder, own),
        "train": _of_phases(fits, own) if one_model else _train(first, own),
    }
    if len(fits) > 1 and not one_model:
        document["model"] = {"call": f"{own}:model"}
        document["variants"] = dict(_own_variants(fits, first, own))
        return document
    return document | (variants_of(first) if compared else {})


def module_of(found: Captured) -> str:
    """Return the name of the module that makes anew what the script hands over."""
    stem = re.sub(r"\W", "_", Path(found.script.file).stem)
    return f"{stem}_again_{found.source[:12]}"


def write_module(found: Captured) -> None:
    """Write that module where `make_importable` lets it be found."""
    name = module_of(found)
    text = _MODULE.format(name=Path(found.script.file).name, source=found.source)
    write_text(found.folder / f"{name}.py", text)


def make_importable(inputs: Path, script: object) -> None:
    """Let imports find that module and those beside the script, here and in workers."""
    beside = [str(Path(script).parent)] if isinstance(script, str) else []
    for folder in (str(inputs.resolve()), *beside):
        if folder not in sys.path:
            sys.path.append(folder)


def _is_one_model(fits: Sequence[Fit]) -> bool:
    return all(fits[0].number in each.shares for each in fits[1:])


def _model(fit: Fit, folder: Path, own: str) -> dict[str, Any]:
    file, kept = fit.model.get("file"), fit.model["kept"]
    if file is None:
        return {"call": f"{own}:model"}
    weights = {"weights": "keep", "kept": kept} if kept else {"weights": "fresh"}
    return {"file": str(folder / file), **weights}


def _data(fit: Fit, folder: Path, own: str) -> dict[str, Any]:
    parts = fit.data["parts"]
    has = {
        name: any(each in parts for each in (name, f"x_{name[:3]}", f"x_{name}"))
        for name in ("validation", "test")
    }
    shares: dict[str, Any] = {"validation": 0.0}
    shares["test"] = 0.0 if has["validation"] or has["test"] else 0.2
    kind = fit.data["kind"]
    where = {"path": str(folder / fit.data["file"])} if kind == "file" else {"call": f"{own}:data"}
    as_it_is: dict[str, Any] = {"scale": "none"}
    if kind == "file":
        as_it_is["add_channel"] = False
    return {**where, **shares, **as_it_is}


def _train(fit: Fit, own: str, meant: Fit | None = None) -> dict[str, Any]:
    """Return the `train` section of a fit; `meant` is the one that the module makes anew."""
    settings = {key: each for key, each in fit.settings.items() if key != "otherwise"}
    # What the script trains with is meant, also where a loss does not look like its output's.
    train = {"trust": True, **fit.compiled.get("train", {}), **settings}
    callbacks = [each["text"] for each in fit.callbacks if each["way"] in ("call", "script")]
    if callbacks:
        train["callbacks"] = callbacks
    for each in fit.callbacks:
        if each["way"] == "early_stopping":
            train["early_stopping"] = each["text"]
    other = "" if meant is None or fit is meant else f"_of_fit_{fit.number}"
    named: dict[str, Any] = _named(train, own, other)
    return named


def _named(value: Any, own: str, other: str) -> Any:
    """Return an entry with the module's name where the script's own things are called."""
    if isinstance(value, Mapping):
        return {key: _named(each, own, other) for key, each in value.items()}
    if isinstance(value, list):
        return [_named(each, own, other) for each in value]
    if isinstance(value, str) and value.startswith(OWN):
        return f"{own}:{value.removeprefix(OWN)}"
    if isinstance(value, str) and value.startswith(HANDED):
        return f"{own}:{value.removeprefix(HANDED)}{other}"
    return value


#: What a phase may have otherwise than the others.
_OF_A_PHASE = ("epochs", "learning_rate", "schedule", "optimizer", "early_stopping", "callbacks")


def _of_phases(fits: Sequence[Fit], own: str) -> dict[str, Any]:
    """Return the `train` section of several fits of one model: each is a phase.

    One that goes on with the optimizer of the fit before, and is like it, is more epochs of it.

    Raises:
        StudyError: they differ in what phases have in common.
    """
    first = fits[0]
    phases: list[dict[str, Any]] = []
    for fit in fits:
        train = _train(fit, own, first)
        common = {key: each for key, each in train.items() if key not in _OF_A_PHASE}
        if fit is first:
            of_all = common
        elif other := sorted(k for k in {*common, *of_all} if common.get(k) != of_all.get(k)):
            raise StudyError(
                f"{fit.place}: this fit of '{fit.model['name']}' has another {some(other)} than "
                f"that of {first.place}, and phases of one trial have that in common. Say which "
                f"fit is meant: --set script.fit={fit.number} trains those before it once."
            )
        phase = {key: train[key] for key in _OF_A_PHASE if key in train}
        if fit is first:
            optimizer = train.get("optimizer", {})
        elif not optimizer.items() <= train.get("optimizer", {}).items():
            # It is laid over that of the first phase, of which nothing may be left.
            phase["optimizer"] = _named(fit.compiled["whole_optimizer"], own, "")
        phase["freeze"] = list(fit.model["frozen"])  # [] trains all, whatever came frozen
        if phases and _is_more_of(fit, phase, phases[-1]):
            phases[-1]["epochs"] += phase["epochs"]
        else:
            phases.append(phase)
    if len(phases) == 1:
        phases[0].pop("freeze")  # as the model comes
        return {**of_all, **phases[0]}
    shared: dict[str, Any] = {
        key: phases[0][key] for key in ("learning_rate", "optimizer") if key in phases[0]
    }
    for phase in phases:
        for key, value in shared.items():
            if phase.get(key) == value:
                phase.pop(key)
    return {**of_all, **shared, "phases": phases}


def _is_more_of(fit: Fit, phase: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether a fit goes on exactly as the one before it did."""
    same = {**phase, "epochs": 0} == {**before, "epochs": 0}
    return fit.goes_on and same and not {"early_stopping", "callbacks"} & phase.keys()


def _own_variants(fits: Sequence[Fit], first: Fit, own: str) -> Iterator[tuple[str, Any]]:
    """Yield the script's own models as variants."""
    base = _train(first, own)
    for each in fits:
        train = _train(each, own, first)
        changed = {key: value for key, value in train.items() if base.get(key) != value}
        name = f"fit-{each.number}"
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,40}", each.model["name"]) and not re.match(
            r"(sequential|functional|model)(_\d+)?$", each.model["name"]
        ):
            name = each.model["name"]
        variant: dict[str, Any] = {"model": {"fit": each.number}}
        if changed:
            variant["train"] = changed
        yield name, variant


def variants_of(fit: Fit) -> dict[str, Any]:
    """Return what is compared: what the model has is taken out, what it lacks is put in."""
    model = fit.model
    if not model["readable"]:
        raise StudyError(
            f"{fit.place}: '{model['name']}' is a {model['class']}, a subclass of keras.Model "
            "whose layers surgery cannot reach: BN and Dropout can be neither taken out nor put "
            "in. What can be compared is how it is trained: write variants that override train "
            f"(ablate init study.yaml --script {Path(fit.place.split(':')[0]).name}), or build it "
            "with keras.Sequential or keras.Model(inputs, outputs)."
        )
    norms = [each for each in model["norms"] if not each["frozen"]]
    hidden = [each for each in norms if not each["input"]]
    on_input = [each for each in norms if each["input"]]
    drops = [each for each in model["dropouts"] if not each["frozen"]]
    recurrent = [each for each in model["recurrent"] if not each["frozen"]]
    if not norms and not drops and not recurrent:
        return {"variants": _added(model["hosts"]), "baseline": "plain"}
    parts: dict[str, dict[str, Any]] = {}
    if hidden:
        parts["bn"] = {"remove": _selected(hidden, model)}
    if drops:
        parts["dropout"] = {"remove": _selected(drops, model)}
    if recurrent:
        parts.setdefault("dropout", {})["change"] = [
            {"where": f"path:{each['canonical']}"}
            | {key: 0.0 for key in ("dropout", "recurrent_dropout") if key in each}
            for each in recurrent
        ]
    variants: dict[str, Any] = {"own": {}}
    for name, changes in parts.items():
        variants[f"without-{name}"] = changes
    if len(parts) == 2:
        variants["without-either"] = {"extends": ["without-bn", "without-dropout"]}
    if on_input:
        variants["without-input-bn"] = {"remove": _selected(on_input, model)}
    return {"variants": variants, "baseline": "own"}


def _selected(layers: Sequence[Mapping[str, Any]], model: Mapping[str, Any]) -> list[str]:
    """Return selectors of layers: a class where all of it are meant, else each by its path.

    The names that Keras gives differ where a model is made anew, canonical paths do not.
    """
    everything = [each["class"] for each in (*model["norms"], *model["dropouts"])]
    meant = [each["class"] for each in layers]
    found = []
    for each in layers:
        whole = meant.count(each["class"]) == everything.count(each["class"])
        found.append(each["class"] if whole else f"path:{each['canonical']}")
    return list(dict.fromkeys(found))


def _added(hosts: Mapping[str, int]) -> dict[str, Any]:
    """Return the variants of a model that has neither: plain, BN, Dropout, both."""
    known = hosts.get("conv", 0) + hosts.get("dense", 0)
    if known:
        bn = {"layer": "BatchNormalization", "at": "before_activation", "where": "hidden"}
        where = "Dense" if hosts.get("dense") else "hidden"
        dropout = {"layer": "Dropout", "rate": 0.5, "at": "after_activation", "where": where}
    else:
        where = "recurrent" if hosts.get("recurrent") else "all"
        bn = {"layer": "BatchNormalization", "at": "after", "where": where}
        dropout = {"layer": "Dropout", "rate": 0.5, "at": "after", "where": where}
    return {
        "plain": {},
        "bn": {"insert": [bn]},
        "dropout": {"insert": [dropout]},
        "both": {"extends": ["bn", "dropout"]},
    }


def merged(taken: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study's document: what was taken from the script, under what the study states.

    A section of another source (`data`, `model`) replaces the script's; other keys merge by key.
    """
    document = {**taken, **stated}
    for section, sources in (
        ("data", ("name", "path", "directory", "call", "table")),
        ("model", ("name", "file", "call", "study")),
        ("train", ()),
    ):
        own = stated.get(section)
        if isinstance(own, Mapping) and not any(key in own for key in sources):
            document[section] = {**taken[section], **own}
    if any(stated.get(key) for key in COMPARED):
        for key in ("variants", "baseline"):
            if key not in stated:
                document.pop(key, None)
    return document
