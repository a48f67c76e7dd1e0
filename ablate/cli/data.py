"""`ablate data`: what a study trains on, row by row counted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.cli.echo import echo, echo_json
from ablate.cli.options import Find, json_option, study_options
from ablate.errors import StudyError, nearest

if TYPE_CHECKING:
    from ablate.data import Source, Splits
    from ablate.study.schema.data import Data


@click.command("data")
@click.argument("source", metavar="[STUDY|NAME]", required=False)
@study_options(execution=False)
@json_option
def command(source: str | None, logs: Path, find: Find, *, as_json: bool) -> int:
    """Show rows, classes, shapes and scaling of a study's data, or of a set by NAME.

    NAME is a name that data.name can have, an npz file or a folder of images; with it, --set
    takes the fields of the data section (--set data.scale=standard). Without an argument the
    names are listed.
    """
    from ablate.study.schema.sources import SOURCES

    SOURCES.load_installed()
    if source is None:
        _list(as_json)
        return 0
    if source in SOURCES.names or (
        Path(source).exists() and Path(source).suffix not in (".yaml", ".yml")
    ):
        found = [_described(_named(source, find.settings), None, 0, ["data"])]
    else:
        found = _of_study(source, find, SOURCES.names)
    if as_json:
        echo_json({"source": source, "splits": found})
    else:
        for each in found:
            _print(each)
    return 0


def _list(as_json: bool) -> None:
    from ablate.study.schema.sources import SOURCES

    kinds = []
    for kind in SOURCES.values():
        fields = kind.arguments.model_fields if kind.arguments else {}
        defaults = {k: v.get_default(call_default_factory=True) for k, v in fields.items()}
        entry = {"name": kind.title, "key": kind.key, "about": kind.about, "arguments": defaults}
        kinds.append(entry)
        if not as_json:
            echo(f"{kind.title:<20}{kind.about}")
            for name, default in defaults.items():
                echo(f"{'':<22}{name}: {json.dumps(default)}")
    if as_json:
        echo_json(kinds)


def _named(source: str, settings: tuple[str, ...]) -> Data:
    """Return the data section that a name or a path means, with the fields that --set gives."""
    from ablate.config import parse_override
    from ablate.study.schema.data import Data
    from ablate.study.schema.sources import SOURCES, TABLES

    key = "name" if source in SOURCES.names else "directory" if Path(source).is_dir() else "path"
    if key == "path" and Path(source).suffix.lower() in TABLES:
        key = "table"
    fields: dict[str, Any] = {key: source}
    for path, value in map(parse_override, settings):
        field = path.removeprefix("data.")
        if "." in field:
            raise StudyError(
                f"--set {path}: with a name, --set takes fields of the data section, such as "
                "data.scale=standard."
            )
        fields[field] = value
    return Data(**fields)


def _of_study(source: str, find: Find, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the description of each different data section of a study."""
    from ablate.study.expand import expand

    try:
        study = find(source)
    except StudyError as error:
        hint = nearest(source, names)
        if hint and "neither" in str(error):
            raise StudyError(f"{error}{hint if hint not in str(error) else ''}") from None
        raise
    groups: dict[str, tuple[Any, Any, list[str]]] = {}
    for variant in expand(study):
        spec = variant.spec
        key = spec.data.model_dump_json() + str(spec.model.application)
        groups.setdefault(key, (spec.data, spec.model.application, []))[2].append(variant.name)
    first = study.seed_list[0]
    return [_described(data, net, first, variants) for data, net, variants in groups.values()]


def _described(
    data: Data, application: str | None, seed: int, variants: list[str]
) -> dict[str, Any]:
    """Load and split, and return what there is to say, as plain values."""
    from ablate.study.schema.sources import KERAS_SETS

    reads_by_keras = data.kind.title in KERAS_SETS and not data.path
    if application or data.directory or data.call or reads_by_keras:
        from ablate.suppress_stderr import quiet_start

        with quiet_start():
            import keras  # noqa: F401
    from ablate.data import load, split

    source = load(data)
    splits = split(source, data, seed, application)
    return {
        "data": data.label,
        "variants": variants,
        "task": splits.task,
        "classes": splits.classes,
        "class_names": list(splits.class_names) if splits.class_names else None,
        "input_shape": splits.input_shape,
        "output_shape": splits.output_shape,
        "scaling": splits.scaling,
        "split": data.split,
        "parts": _parts(splits),
        "files": _files(data, source),
        "cautions": [*splits.cautions, *splits.unscaled],
        "notes": list(splits.notes),
    }


def _files(data: Data, source: Source) -> dict[str, Any] | None:
    """Return how many files of a folder are read, and those that are not, by the reason."""
    if data.directory is None:
        return None
    parts = (source.train, source.validation, source.test)
    skipped = {reason: list(names) for reason, names in source.skipped.items()}
    return {"read": sum(part.rows for part in parts if part is not None), "not_read": skipped}


def _parts(splits: Splits) -> dict[str, dict[str, Any] | None]:
    """Return rows, range and classes of each part."""
    import numpy as np

    from ablate.data import strata
    from ablate.data.column import extremes, mean
    from ablate.data.nested import leaves

    total = splits.classes
    found: dict[str, dict[str, Any] | None] = dict.fromkeys(splits.parts)
    for name, part in splits.parts.items():
        if part is None:
            continue
        arrays = [leaf for _, leaf in leaves(part.x) if leaf.dtype.kind != "U"]
        ends = [extremes(each) for each in arrays]
        classes = None if total is None else strata(part.y, splits.targets)
        counts = None if classes is None else np.bincount(classes, minlength=total or 0)
        found[name] = {
            "rows": part.rows,
            "least": min((float(low) for low, _ in ends), default=None),
            "largest": max((float(high) for _, high in ends), default=None),
            "mean": float(np.mean([mean(each) for each in arrays])) if arrays else None,
            "class_counts": None if counts is None else counts.tolist(),
        }
    return found


def _print(found: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    from ablate.report.printing import console

    screen = console()
    what = f"{found['classes']} classes" if found["classes"] else found["task"]
    screen.print(
        f"[bold]{escape(found['data'])}[/bold]  {what}, an example has shape "
        f"{_shape(found['input_shape'])}, scaled by {escape(found['scaling'])}"
    )
    if found["variants"] != ["data"]:
        screen.print(f"variants: {escape(', '.join(found['variants']))}")
    numbers = ("rows", "least", "mean", "largest")
    columns = (Column(each, justify="right") for each in numbers)
    table = Table("part", *columns, "rows per class", show_edge=False)
    for name, part in found["parts"].items():
        if part is None:
            table.add_row(name, "0")
            continue
        table.add_row(
            name,
            f"{part['rows']:,}",
            *("" if part[key] is None else f"{part[key]:.4g}" for key in numbers[1:]),
            escape(_counts(part["class_counts"], found["class_names"])),
        )
    screen.print(table)
    if found["files"] is not None:
        left = sum(map(len, found["files"]["not_read"].values()))
        named = " (--json names every one)" if left else ""
        screen.print(f"files: {found['files']['read']:,} read, {left:,} not read{named}")
    for caution in found["cautions"]:
        screen.print(f"[bold]caution[/bold]: {escape(caution)}")
    for note in found["notes"]:
        screen.print(f"note: {escape(note)}")


def _shape(shape: Any) -> str:
    if isinstance(shape, Mapping):
        return ", ".join(f"{name} {_shape(each)}" for name, each in shape.items())
    if isinstance(shape, list):
        return ", ".join(_shape(each) for each in shape)
    return "×".join(map(str, shape)) or "()"


def _counts(counts: list[int] | None, names: list[str] | None) -> str:
    if counts is None:
        return ""
    if len(counts) > 12:
        return f"{min(counts)} to {max(counts)}"
    if len(set(counts)) == 1:
        return f"{counts[0]} each"
    if names and max(map(len, names)) > 1:
        return ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
    return " ".join(map(str, counts))
