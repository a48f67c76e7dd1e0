"""The two references under `docs/`, written from the code so that they cannot drift from it.

`config_reference` tells every key of a study file from the schema's own descriptions,
`cli_reference` every command from its `--help`. `python -m ablate.cli.reference [DIR]` writes
`config.md` and `cli.md` there (`docs/` by default); a test compares the files with the code.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ablate.study.keras_names import LAYER_ARGUMENTS
from ablate.study.positions import POSITIONS
from ablate.study.registry import Kind
from ablate.study.schema import factories, sources
from ablate.study.schema.analysis import Analysis, Expect
from ablate.study.schema.data import Data, Shift
from ablate.study.schema.execution import Execution
from ablate.study.schema.model import Model
from ablate.study.schema.placement import Change, Placement, Removal, Replacement
from ablate.study.schema.probes import PROBES, Probe
from ablate.study.schema.search import Dimension, Search
from ablate.study.schema.train import (
    Called,
    CalledMetric,
    EarlyStopping,
    Named,
    NamedMetric,
    Train,
)
from ablate.study.schema.variant import Found, LeaveOneOut, Variant
from ablate.study.study import Study

_CONFIG_HEAD = """\
# Study files

Every key that a study file can have. This page is written from the code (`make docs`).

A study is YAML 1.2: `on`, `off` and `1e-4` mean what they say, and a duplicate key is
refused. The schema is strict: an unknown key or a wrong type is an error before any training,
that names the line, what was expected, what was received and the nearest valid name.
`ablate schema` prints the same as JSON Schema, so that editors complete study files, and
`ablate init` writes a commented study to start from.

Any key can be changed from the command line: `--set train.epochs=3`,
`--set 'variants.bn.insert[0].momentum=0.9'`; the value is read as YAML. `--profile quick` lays a
set of such changes upon the file, `--seeds 7` sets the seeds. A file that a study names is
looked for in the working directory, then next to the study file.
"""

_POSITIONS = {
    "before": "on the host's input (one input only)",
    "before_activation": "directly before the host's activation; a fused one is split off",
    "after_activation": "directly after the host's activation",
    "after": "on the host's output, whatever it is",
}

_INHERITANCE = """\
Parents apply left to right, then the variant. `insert` and `remove` concatenate, exact repeats
once; of `replace` and `change` there is one for each selector, its arguments merged. Mappings merge
by key; one that gives another `name` (or `file`, or `call`) replaces the whole: `optimizer:
{momentum: 0.5}` keeps the optimizer, `optimizer: {name: adam}` does not keep its momentum. Two
declared variants that would train the same are an error, unless `allow_duplicates: true` makes the
study an A/A study.
"""

_FACTORS = """\
`factors` replace `variants`: every level of each factor with every level of the
others. A level is written as a variant is. Two factors that set one field are an error.

```yaml
factors:
  bn: {off: {}, on: {insert: [{layer: BatchNormalization, at: before_activation}]}}
  lr: {low: {train: {learning_rate: 0.01}}, high: {train: {learning_rate: 0.5}}}
```
"""

_REPLACED = """\
`remove`, `replace`, `change` and `insert` apply in this order, and all selectors mean layers of the
base model. A new layer has the name of the old one, and so the seed of its weights.

```yaml
variants:
  groups: {replace: [{where: BatchNormalization, layer: GroupNormalization, groups: 8}]}
  ghost: {replace: [{where: BatchNormalization, layer: GhostBatchNormalization, parts: 4}]}
```
"""

_CHANGED = """\
Two changes of one argument of one layer are an error; a variant's change counts before one that it
inherits with the same selector. Searches reach an argument by
`change.<name, else where>.<argument>`.

```yaml
variants:
  less: {change: [{where: Dropout, rate: 0.2}, {where: recurrent, dropout: 0.1}]}
  only-gamma-and-beta:
    change:
      - {where: all, except: BatchNormalization, trainable: false}
      - {where: BatchNormalization, trainable: parameters}
```
"""

#: Key, what holds it, prose of its own, and the smaller parts with the key of each.
_SECTIONS: tuple[tuple[str, type[BaseModel], str, dict[str, type[BaseModel]]], ...] = (
    ("data", Data, "", {"data.shift": Shift}),
    ("model", Model, "", {}),
    (
        "train",
        Train,
        "",
        {
            "optimizer, schedule, loss": Named,
            "callbacks": Called,
            "metrics, by name": NamedMetric,
            "metrics, of your own": CalledMetric,
            "train.early_stopping": EarlyStopping,
        },
    ),
    ("variants", Variant, _INHERITANCE, {}),
    ("insert", Placement, "", {}),
    ("remove", Removal, "", {}),
    ("replace", Replacement, _REPLACED, {}),
    ("change", Change, _CHANGED, {}),
    ("factors", Variant, _FACTORS, {}),
    ("leave_one_out", LeaveOneOut, "", {"leave_one_out.found": Found}),
    ("probes", Probe, "", {}),
    ("analysis", Analysis, "", {}),
    ("execution", Execution, "", {}),
    ("search", Search, "", {"search.space.<path>": Dimension}),
    ("expect", Expect, "", {}),
)

#: The kinds of a section that is one of several, by the section's key.
_KINDS: Mapping[str, Mapping[str, Kind]] = {
    "data": sources.SOURCES, "probes": PROBES, "model": factories.MODELS,
}  # fmt: skip

_WORDS = {
    "Named": "name with arguments",
    "Called": "call with arguments",
    "NamedMetric": "name with arguments",
    "CalledMetric": "call with arguments",
}


def config_reference() -> str:
    """Return docs/config.md: every key of a study file, its type, default and meaning."""
    parts = [_CONFIG_HEAD, "## The study\n", _table(Study)]
    for key, model, prose, smaller in _SECTIONS:
        if model is Variant and key == "factors":
            parts += [f"## `{key}`\n", prose]
            continue
        parts += [f"## `{key}`\n", _about(model), *([prose] if prose else []), _table(model)]
        if key == "insert":
            parts += [_positions(), _layers()]
        if key == "model":
            parts += ["### Every factory\n", _table(factories.Network)]
        parts += (part for kind in _KINDS.get(key, {}).values() for part in _kind(kind))
        for path, each in smaller.items():
            parts += [f"### `{path}`\n", _about(each), _table(each)]
    return "\n".join(parts)


def cli_reference() -> str:
    """Return docs/cli.md: the help of every command."""
    from ablate.cli import cli

    # With its settings, as the command line makes it: they say which options ask for help.
    with click.Context(cli, info_name="ablate", **cli.context_settings) as context:
        parts = [
            "# Commands\n",
            "What `ablate COMMAND --help` says of each command. This page is written from the "
            "code (`make docs`).\n",
            _help(cli, context),
        ]
        for name in cli.list_commands(context):
            command = cli.get_command(context, name)
            assert command is not None, name
            with click.Context(command, info_name=name, parent=context) as inner:
                parts += [f"## `ablate {name}`\n", _help(command, inner)]
    return "\n".join(parts)


def _help(command: click.Command, context: click.Context) -> str:
    context.terminal_width = 96
    context.max_content_width = 96
    return f"```text\n{command.get_help(context).rstrip()}\n```\n"


def _about(model: type[BaseModel]) -> str:
    """Return the first paragraph of a section's own account of itself."""
    text = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0]
    return " ".join(text.split()) + "\n"


def _table(model: type[BaseModel], beyond: Iterable[str] = ()) -> str:
    """Return the fields of a model, but for those `beyond` it that are described elsewhere."""
    rows = [
        (f"`{field.alias or name}`", _type(field), _default(field), field.description or "")
        for name, field in model.model_fields.items()
        if name not in beyond
    ]
    return _rows(("key", "type", "default", "meaning"), rows)


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines) + "\n"


def _positions() -> str:
    rows = [(f"`{position}`", _POSITIONS[position]) for position in POSITIONS]
    return "### Positions (`at`)\n\n" + _rows(("position", "meaning"), rows)


def _layers() -> str:
    rows = [(f"`{layer}`", ", ".join(f"`{each}`" for each in sorted(arguments)))
            for layer, arguments in LAYER_ARGUMENTS.items()]  # fmt: skip
    return (
        "### Layers\n\nAny registered Keras layer; the arguments of these are checked without "
        "Keras:\n\n" + _rows(("layer", "arguments"), rows)
    )


def _kind(kind: Kind) -> Iterator[str]:
    """Yield the account of one kind of data or model: how it is named, what it takes."""
    called = kind.names[0] if kind.names and len(kind.names) == 1 else kind.title
    yield f"### `{kind.key}: {called}`\n" if kind.names else f"### `{kind.key}:`\n"
    yield f"{kind.about}\n"
    if kind.arguments is None:
        if kind.key == "call":
            yield "Other keys are passed on as arguments.\n"
        return
    shared = factories.Network.model_fields if issubclass(kind.arguments, factories.Network) else ()
    if set(kind.arguments.model_fields) - set(shared):
        yield _table(kind.arguments, shared)


def _type(field: FieldInfo) -> str:
    words = list(dict.fromkeys(_type_words(field.annotation)))
    return " or ".join(word for word in words if word != "null") or "null"


_PLAIN = {int: "integer", float: "number", str: "text", bool: "true/false", Any: "anything"}


def _type_words(annotation: Any) -> Iterator[str]:
    """Yield what a value may be, in a study file's words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from _type_words(arguments[0])
    elif origin in (typing.Union, types.UnionType):
        for each in arguments:
            yield from _type_words(each)
    elif origin is typing.Literal:
        yield from (f"`{_value(each)}`" for each in arguments)
    elif origin in (list, tuple):
        inner = list(dict.fromkeys(w for a in arguments if a is not ... for w in _type_words(a)))
        count = f"{len(arguments)} of " if origin is tuple and ... not in arguments else ""
        yield f"list of {count}{'/'.join(inner)}"
    elif origin is dict:
        yield f"mapping to {'/'.join(dict.fromkeys(_type_words(arguments[1])))}"
    elif annotation is type(None):
        yield "null"
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield _WORDS.get(annotation.__name__, _words(annotation.__name__))
    else:
        yield _PLAIN.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _words(name: str) -> str:
    """Return a class name as words: EarlyStopping → early stopping."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        given = default.model_dump(exclude_defaults=True)
        return f"`{_value(given)}`" if given else ""
    return "" if default is None else f"`{_value(default)}`"


def _value(value: Any) -> str:
    """Return a value as YAML writes it in a line."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return f"{value}"


def main(folder: str = "docs") -> None:
    """Write config.md and cli.md into `folder`."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / "config.md").write_text(config_reference(), encoding="utf-8")
    (target / "cli.md").write_text(cli_reference(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:2])
