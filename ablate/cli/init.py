"""`ablate init`: a commented study to start from."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ablate.cli.echo import echo
from ablate.cli.options import rehearse_option
from ablate.errors import StudyError, nearest
from ablate.examples import copy_example, find_example, heading

if TYPE_CHECKING:
    from ablate.study.study import Study

#: Layers of a model's own that are left out one at a time.
OWN = ("BatchNormalization", "Dropout")

_TEMPLATE = """\
# A study: one network, its variants, and what is the same for all of them.
#   ablate plan {file}     what would be trained, layer by layer
#   ablate run {file}      train it; run it again to go on, or after adding seeds or variants
# docs/config.md describes every key; `ablate schema` helps editors complete them.

study: {name}                # the folder under logs/

data:
  {data}
  validation: 0.15             # share of the training rows, stratified
  test: 0.2                    # used when the data has no test part of its own
  # limit: 500                 # train on the first 500 rows only

model:
  {model}

train:
  epochs: 20
  batch_size: 32
{optimizer}

seeds: 5                       # every variant is trained once per seed; at least 3 for an interval

{variants}# probes: [activations]        # measurements inside the network, written to TensorBoard

profiles:
  quick: {{train.epochs: 2, seeds: 3}}      # ablate run {file} --profile quick
"""

_VARIANTS = """\
variants:
  plain: {}                    # the network as it is
  bn:
    insert:
      # at: before, before_activation, after_activation or after each host;
      # where: a layer's name, a class (Conv2D), a kind (conv, dense, hidden), a glob, a list
      - {layer: BatchNormalization, at: before_activation, where: hidden}
  dropout:
    insert:
      - {layer: Dropout, rate: 0.5, at: after_activation, where: DROPOUT}
  both:
    extends: [bn, dropout]     # a variant may also override train, model arguments or data
  # bn-fast: {extends: bn, train: {learning_rate: 0.5}}

baseline: plain                # what the others are compared with

"""

#: Of a model that has BatchNormalization or Dropout already, the question is what each is worth.
_OWN = """\
# The model has BRINGS of its own. Each is left out in turn: how
# much better or worse is the model without it?
leave_one_out: {from: model}

# In place of that, other rates and momenta:
# factors:
#   dropout: {own: {}, half: {change: [{where: Dropout, rate: 0.5}]}}
#   momentum: {own: {}, fast: {change: [{where: BatchNormalization, momentum: 0.9}]}}

"""


@click.command("init")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option(
    "--data",
    default="digits",
    show_default=True,
    help="A data set by name, an npz file, a folder of images, or package.module:function.",
)
@click.option(
    "--model",
    default="cnn",
    show_default=True,
    help="A factory or application by name, a .keras file, or package.module:function.",
)
@click.option(
    "--script",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="A training script (.py, .ipynb), in place of --data and --model: it is run up to its "
    "fit call.",
)
@click.option(
    "--example",
    metavar="NAME",
    help="A study that comes with the package (ablate examples), in place of the others.",
)
@rehearse_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGUMENTS]")
def command(
    file: Path | None,
    data: str,
    model: str,
    script: Path | None,
    example: str | None,
    arguments: tuple[str, ...],
    *,
    rehearse: bool,
) -> int:
    """Write a commented study to FILE to start from.

    FILE is study.yaml, or the name of the example, if it is not given. Nothing is overwritten.
    """
    from ablate.config import parse_study

    if example is not None:
        return _of_example(example, file)
    file = file or Path("study.yaml")
    if script is None:
        if arguments or rehearse:
            raise StudyError("--rehearse and arguments after -- are for a --script.")
        text = template(file, data, model, _layers_of_file(model))
        # What --data or --model name is looked for before a file is written.
        study = parse_study(text, str(file))
        _check(study)
        if study.model.call is not None:
            text = template(file, data, model, _layers_of_call(study))
    else:
        text = _of_script(file, script, arguments, rehearse)
    if not file.parent.is_dir():
        raise StudyError(
            f"FILE: there is no folder '{file.parent}' for '{file.name}', and none is made. Make "
            "it first, or give another FILE."
        )
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise StudyError(
            f"{file} is there already, and nothing is overwritten. Give another name: "
            f"ablate init {file.stem}-2{file.suffix}"
        ) from None
    echo(f"Wrote {file}. Next: ablate run {file}")
    return 0


def _of_example(name: str, file: Path | None) -> int:
    """Copy an example, and say how it is run and what came with it."""
    given = click.get_current_context().get_parameter_source
    if any(given(each) is not ParameterSource.DEFAULT for each in ("data", "model", "script")):
        raise StudyError("--example is a whole study: leave out --data, --model and --script.")
    source = find_example(name)
    written = copy_example(source, file or Path(source.name))
    verb = re.search(r"^#\s+ablate (run|screen|search|plan)\b", heading(source), re.MULTILINE)
    echo(f"Wrote {', '.join(map(str, written))}.")
    echo(f"Next: ablate {verb.group(1) if verb else 'run'} {written[0]}")
    return 0


_SCRIPT = """\
A study of {script}. Model, data and training are those of its fit call, taken anew when it
changes; what stands here wins: train: {{epochs: 5}}, say.
  ablate plan {file}     what would be trained, layer by layer
  ablate run {file}      train it; run it again to go on, or after adding seeds or variants

{remarks}

To leave out each BatchNormalization and Dropout that the model has, one at a time, write in place
of variants:  leave_one_out: {{from: model}}
To try other rates and momenta of those:
  factors:
    dropout: {{own: {{}}, half: {{change: [{{where: Dropout, rate: 0.5}}]}}}}
    momentum: {{own: {{}}, fast: {{change: [{{where: BatchNormalization, momentum: 0.9}}]}}}}
"""


def _of_script(file: Path, script: Path, arguments: tuple[str, ...], rehearse: bool) -> str:
    """Return the text of a study of a training script."""
    from ablate.config import dump_study, load_study
    from ablate.scripts.study import Asked

    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        echo(line, err=True)

    study = load_study(script, asked=Asked(say, arguments, rehearse))
    assert study.script is not None
    relative = os.path.relpath(script, file.parent)
    said = study.script.model_copy(update={"file": Path(relative).as_posix()})
    study = study.model_copy(update={"script": said})
    remarks = "\n".join(line for line in lines if not line.startswith(("Running ", "  ")))
    heading = _SCRIPT.format(script=script.name, file=file.as_posix(), remarks=remarks)
    return dump_study(study, heading, without=("data", "model", "train", "analysis"))


def _check(study: Study) -> None:
    """Refuse data and a model that are not there.

    Raises:
        StudyError: no such file, folder or module, named with the option that asked for it.
    """
    from ablate.study.archives import check_archive
    from ablate.study.digests import source_digest

    data, model = study.data, study.model
    for option, given, kind in (
        ("--data", data.path, "file"),
        ("--data", data.directory, "folder"),
        ("--model", model.file, "file"),
    ):
        if given is None:
            continue
        place = Path(given).expanduser()
        if not (place.is_dir() if kind == "folder" else place.is_file()):
            siblings = (
                [each.name for each in place.parent.iterdir()] if place.parent.is_dir() else []
            )
            raise StudyError(
                f"{option}: there is no {kind} '{given}' (looked at {place.absolute()})."
                f"{nearest(place.name, siblings)}"
            )
        if place.suffix == ".npz" and not zipfile.is_zipfile(place):
            raise StudyError(
                f"{option}: '{given}' is no npz file. Expected a file that numpy.savez wrote."
            )
        if place.suffix == ".keras":
            check_archive(place)
    for option, call in (("--data", data.call), ("--model", model.call)):
        if call is not None:
            try:
                source_digest(call)
            except StudyError as error:
                raise StudyError(f"{option}: {error}") from None


def _layers_of_file(model: str) -> list[str]:
    """Return the classes of the layers in a saved model."""
    from ablate.study.archives import layer_classes

    return layer_classes(Path(model).expanduser()) if _is_saved(model) else []


def _layers_of_call(study: Study) -> list[str]:
    """Return the classes of the layers of what a `call` makes for the study's data."""
    from ablate.reasons import sentence
    from ablate.suppress_stderr import quiet_start

    echo(f"Looking into what {study.model.call} makes …", err=True)
    with quiet_start():
        from ablate.training import network_of
    try:
        return [node.layer for node in network_of(study.resolved[0])]
    except Exception as error:  # anyone's code; the study to be written is sound without
        why = f"It cannot be made for this data: {sentence(error)} `ablate plan` tells more."
        echo(why, err=True)
        return []


def template(file: Path, data: str, model: str, layers: Sequence[str] = ()) -> str:
    """Return the text of a study on `data` and `model`, as the options of `ablate init` say.

    Args:
        file: where it will stand.
        data: as `--data` has it.
        model: as `--model` has it.
        layers: the classes of the layers that the model has, where that is known.
    """
    name = re.sub(r"[^A-Za-z0-9._+-]", "-", file.stem)[:64].lstrip("._+-") or "study"
    section = _section(model, {".keras": "file", ".h5": "file", ".hdf5": "file"}, None)
    return _TEMPLATE.format(
        file=file.as_posix(),
        name=name,
        data=_data(data),
        model=section + ("\n  filters: [16, 32]" if model == "cnn" else ""),
        optimizer=_optimizer(model),
        variants=_variants(model, layers),
    )


def _optimizer(model: str) -> str:
    """Return the lines on optimizer and rate; those of a model that came compiled are taken."""
    from ablate.study.archives import compiled_in

    if _is_saved(model) and compiled_in(Path(model).expanduser()) is not None:
        return "  # optimizer, rate, loss and metrics are those that the model was compiled with"
    return (
        "  optimizer: {name: sgd, momentum: 0.9}   # any Keras optimizer with its arguments\n"
        "  learning_rate: 0.05"
    )


def _is_saved(model: str) -> bool:
    place = Path(model).expanduser()
    return place.suffix.lower() in (".keras", ".h5", ".hdf5") and place.is_file()


def _variants(model: str, layers: Sequence[str]) -> str:
    """Return what is compared: the parts that a model has, else BN and Dropout inserted."""
    counts = Counter(layers)
    if own := [f"{counts[kind]} {kind}" for kind in OWN if counts[kind]]:
        return _OWN.replace("BRINGS", " and ".join(own))
    # A network with a hidden Dense layer gets its Dropout there, as is usual.
    where = "Dense" if model in ("cnn", "mlp", "lenet", "vgg") else "hidden"
    return _VARIANTS.replace("DROPOUT", where)


def _data(data: str) -> str:
    section = _section(data, {".npz": "path"}, "directory")
    return section + ("\n  image_size: [64, 64]" if section.startswith("directory:") else "")


def _section(value: str, files: dict[str, str], folder: str | None) -> str:
    """Return the line that says where data or a model comes from."""
    suffix = Path(value).suffix.lower()
    if suffix in files:
        key = files[suffix]
    elif re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", value):
        key = "call"
    elif folder is not None and (value.endswith("/") or Path(value).is_dir()):
        key = folder
    else:
        key = "name"
    plain = re.fullmatch(r"[\w./+-]+(:\w+)?", value)
    return f"{key}: {value if plain else json.dumps(value)}"
