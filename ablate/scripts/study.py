"""From a document with a `script` to one with all that the script hands to its fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.errors import StudyError, nearest, some
from ablate.scripts.captured import ENDINGS, Fit, script_of
from ablate.scripts.choice import chosen, contents
from ablate.scripts.document import COMPARED, merged, module_of, sections, write_module
from ablate.scripts.launch import capture
from ablate.study.schema.script import Script


@dataclass(frozen=True)
class Asked:
    """What a command says of a script: its arguments, how to run it, and where lines are shown."""

    say: Callable[[str], None] = lambda line: None
    arguments: tuple[str, ...] = ()
    rehearse: bool = False


def is_script(path: str | Path) -> bool:
    """Whether a STUDY is a script or a notebook, by its name."""
    return Path(path).suffix in ENDINGS


def name_of(file: str | Path) -> str:
    """Return what the study of a script is called.

    >>> name_of("examples/my model.py")
    'my-model'
    """
    return re.sub(r"[^A-Za-z0-9._+-]", "-", Path(file).stem)[:64].lstrip("._+-") or "script"


def document_of(file: str | Path) -> dict[str, Any]:
    """Return the document of a study that says nothing but its script."""
    return {"study": name_of(file), "script": {"file": str(file)}}


def asks_for_a_script(document: Mapping[str, Any]) -> bool:
    """Whether a document names a script whose fit it does not say already."""
    return isinstance(document.get("script"), Mapping) and not (
        "model" in document and "data" in document and "variants" in document
    )


def completed(
    document: Mapping[str, Any], folder: Path, inputs: Path, asked: Asked
) -> dict[str, Any]:
    """Return the document with the sections that its script gives.

    Args:
        document: with a `script`.
        folder: where the script is looked for, besides the current one.
        inputs: the study's folder for models and rows.
        asked: what the command says.

    Raises:
        StudyError: no such script, or no study can be made of it.
    """
    script = _found(Script(**document["script"]), folder, asked)
    _refuse_namesake(document, script, inputs)
    found = capture(script, inputs.resolve(), asked.say)
    fits = chosen(found)
    stated = {key: each for key, each in document.items() if key != "script"}
    compared = not any(stated.get(key) for key in COMPARED)
    made = merged(sections(found, fits, compared=compared), stated)
    if f"{module_of(found)}:" in repr(made):
        write_module(found)
    for line in (*remarks(fits, made), *budget(fits, made, Path(script.file).name)):
        asked.say(line)
    return {**made, "script": script.model_dump(exclude_defaults=True)}


def _refuse_namesake(document: Mapping[str, Any], script: Script, inputs: Path) -> None:
    """Refuse a study that is called like its script where that is the study of another script.

    Raises:
        StudyError: with another name.
    """
    other = script_of(inputs)
    here = Path(script.file)
    if document.get("study") != name_of(here) or other is None or not other.is_file():
        return  # somebody chose the name, or the script was moved here
    if not other.samefile(here):
        name = name_of(Path(f"{here.parent.name}-{here.name}"))
        raise StudyError(
            f"{inputs.parent} is the study of another script of this name, {other}. Give this one "
            f"another name: --set study={name}, or another folder: --logs FOLDER."
        )


def _found(script: Script, folder: Path, asked: Asked) -> Script:
    """Return the script with its absolute file and the arguments of the command."""
    place = Path(script.file).expanduser()
    if not place.is_file() and not place.is_absolute():
        place = folder / place
    if not place.is_file():
        near = [each.name for each in place.parent.glob("*") if is_script(each)]
        raise StudyError(
            f"script.file: there is no file '{script.file}' (looked at {place.absolute()})."
            f"{nearest(place.name, near)}"
        )
    if not is_script(place):
        raise StudyError(
            f"script.file: expected a Python script ({', '.join(ENDINGS)}). Received: "
            f"'{script.file}'."
        )
    update: dict[str, Any] = {"file": str(place.resolve())}
    if asked.arguments:
        update["arguments"] = list(asked.arguments)
    if asked.rehearse:
        update["rehearse"] = True
    return script.model_copy(update=update)


def remarks(fits: Sequence[Fit], document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a person should know of what was taken from a script, a line each."""
    first = fits[0]
    model, rows = first.model, first.data["rows"]
    what = "; ".join(contents(model))
    if len(fits) == 1:
        size = f"{model['parameters']:,} parameters"
        yield f"{first.place}: fit of '{model['name']}' ({size}): {what}."
    elif all(first.number in each.shares for each in fits[1:]):
        places = [f"{each.place} ({each.settings['epochs']} epochs)" for each in fits]
        phases = document["train"].get("phases") or ()
        are = "its phases" if phases else "one training"
        yield f"Fits of one model are {are}: {', then '.join(places)}: {what}."
        if phases and any(each.goes_on for each in fits):
            yield (
                "Otherwise than fit: each phase starts with a fresh optimizer. The script goes on "
                f"with the state of the one before, by not compiling anew ({_goes_on(fits)})."
            )
    else:
        names = some([each.model["name"] for each in fits])
        yield f"The script compares {len(fits)} models itself ({names}): they are the variants."
    counted = [f"{rows[part]:,} {word}" for part, word in _PARTS.items() if rows.get(part)]
    yield f"Rows: {', '.join(counted) or 'as the script streams them'}. {_scored(first)}"
    if compiled := first.compiled:
        yield (
            f"Trained as compiled: {compiled['optimizer']}, learning rate "
            f"{compiled['learning_rate']}, loss {compiled['loss']}, batches of "
            f"{first.settings.get('batch_size', 'their own size')}, "
            f"{first.settings['epochs']} epochs."
        )
    for line in dict.fromkeys(_of_callback(each) for fit in fits for each in fit.callbacks):
        if line is not None:
            yield line
    for text in first.settings.get("otherwise", ()):
        yield f"Otherwise than fit: {text}."
    for each in model["recurrent"]:
        drops = " and ".join(
            f"{k}={each[k]:g}" for k in ("dropout", "recurrent_dropout") if k in each
        )
        out = "with Dropout" if _changes(document, each) else "in no variant"
        yield f"'{each['path']}' drops by its own {drops}, taken out {out}."
    frozen = [each for each in model["norms"] if each["frozen"]]
    if frozen:
        inside = frozen[0].get("inside")
        yield (
            f"{len(frozen)} frozen BatchNormalization{f' of {inside!r}' if inside else ''} "
            f"{'stays' if len(frozen) == 1 else 'stay'} in every variant: the weights around "
            "them were trained with them."
        )


def _changes(document: Mapping[str, Any], layer: Mapping[str, Any]) -> bool:
    """Whether a variant sets what a recurrent layer drops by."""
    variants = (document.get("variants") or {}).values()
    where = [change.get("where") for each in variants for change in each.get("change", ())]
    return f"path:{layer.get('canonical')}" in where


def _goes_on(fits: Sequence[Fit]) -> str:
    return ", ".join(each.place for each in fits if each.goes_on)


def _of_callback(entry: Mapping[str, Any]) -> str | None:
    """Return what became of a callback, None where a trial has it as it is."""
    if entry["way"] == "dropped":
        return f"{entry['class']} is left out: {entry['why']}."
    if entry["way"] == "early_stopping":
        said = f"; {entry['why']}" if entry.get("why") else ""
        return f"{entry['class']} is train.early_stopping: {entry['text']['monitor']}{said}."
    return f"{entry['class']}: {entry['why']}." if entry.get("why") else None


def budget(fits: Sequence[Fit], document: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield how long the comparison may take at the speed of fit, and what would take less."""
    variants, seeds = document.get("variants") or {}, document.get("seeds", 5)
    rows, batch = fits[0].data["rows"].get("train"), fits[0].settings.get("batch_size")
    seconds = fits[0].seconds_per_step
    counted = len(seeds) if isinstance(seeds, list) else seeds
    if not (seconds and rows and batch and variants and isinstance(counted, int)):
        return
    train = document["train"]
    epochs = train.get("epochs") or sum(each["epochs"] for each in train.get("phases", ()))
    trial = seconds * -(-rows // batch) * epochs
    yield (
        f"{len(variants)} variants, {counted} seeds, {epochs} epochs: at most about "
        f"{_time(trial * len(variants) * counted)}, the speed of fit."
    )
    if trial * len(variants) * counted > _LONG:
        fewer, seeds_then = max(1, epochs // 4), min(counted, 3)
        yield (
            f"A smaller one, about {_time(trial * len(variants) * seeds_then * fewer / epochs)}: "
            f"ablate run {name} --seeds {seeds_then} --set train.epochs={fewer}"
        )


#: Seconds of a comparison from which a smaller one is offered.
_LONG = 300.0


def _time(seconds: float) -> str:
    """Return a time as people say it.

    >>> _time(42), _time(400), _time(9000)
    ('42 s', '7 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


_PARTS = {"train": "to train on", "val": "to validate on", "test": "to score on"}


def _scored(fit: Fit) -> str:
    """Say which rows score."""
    origin = fit.data["origin"]
    if "test" in origin:
        return f"Variants are scored on the rows of {origin['test']}."
    if "validation" in origin:
        where = origin["validation"]
        stops = any(each["way"] == "early_stopping" for each in fit.callbacks)
        hopeful = (
            " They also decide when to stop, so the scores are optimistic; give test rows by data."
            if stops
            else ""
        )
        return f"Variants are scored on the validation rows ({where}).{hopeful}"
    return (
        "fit has no validation rows, and no evaluate follows: a fifth of its rows is held out to "
        "score on (data.test)."
    )
