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
from ablate.errors import StudyError
from ablate.scripts.captured import Captured, Fit

#: The keys by which a study says what it compares.
COMPARED = ("variants", "factors", "leave_one_out", "screen")

#: What a call of the script's own begins with, in entries.
OWN = "@script:"

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
    document: dict[str, Any] = {
        "data": _data(first, found.folder, own),
        "model": _model(first, found.folder, own),
        "train": _train(first, own),
    }
    if len(fits) > 1 and _is_one_model(fits):
        document["train"] |= {"phases": [_phase(each, first) for each in fits]}
        document["train"].pop("epochs", None)
    elif len(fits) > 1:
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


def _train(fit: Fit, own: str) -> dict[str, Any]:
    settings = {key: each for key, each in fit.settings.items() if key != "otherwise"}
    # What the script trains with is meant, also where a loss does not look like its output's.
    train = {"trust": True, **_named(fit.compiled.get("train", {}), own), **settings}
    callbacks = []
    for index, each in enumerate(fit.callbacks):
        text = each.get("text")
        if each["way"] == "early_stopping":
            train["early_stopping"] = text
        elif each["way"] == "call":
            callbacks.append(_named(text, own))
        elif each["way"] == "script":
            callbacks.append({"call": f"{own}:callback_{index}"})
    if callbacks:
        train["callbacks"] = callbacks
    return train


def _named(value: Any, own: str) -> Any:
    """Return an entry with the module's name where the script's own things are called."""
    if isinstance(value, Mapping):
        return {key: _named(each, own) for key, each in value.items()}
    if isinstance(value, list):
        return [_named(each, own) for each in value]
    if isinstance(value, str) and value.startswith(OWN):
        return f"{own}:{value.removeprefix(OWN)}"
    return value


def _phase(fit: Fit, first: Fit) -> dict[str, Any]:
    """Return the phase that a later fit of the same model is."""
    phase: dict[str, Any] = {"epochs": fit.settings["epochs"]}
    train, before = fit.compiled.get("train", {}), first.compiled.get("train", {})
    for key in ("learning_rate", "schedule", "optimizer"):
        if train.get(key) is not None and train.get(key) != before.get(key):
            phase[key] = train[key]
    phase["freeze"] = list(fit.model["frozen"])  # [] trains all, whatever came frozen
    for each in fit.callbacks:
        if each["way"] == "early_stopping":
            phase["early_stopping"] = each["text"]
    return phase


def _own_variants(fits: Sequence[Fit], first: Fit, own: str) -> Iterator[tuple[str, Any]]:
    """Yield the script's own models as variants."""
    base = _train(first, own)
    for each in fits:
        train = _train(each, own)
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
    if not norms and not drops:
        return {"variants": _added(model["hosts"]), "baseline": "plain"}
    parts = {}
    if hidden:
        parts["bn"] = _selected(hidden, model)
    if drops:
        parts["dropout"] = _selected(drops, model)
    variants: dict[str, Any] = {"own": {}}
    for name, layers in parts.items():
        variants[f"without-{name}"] = {"remove": layers}
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
