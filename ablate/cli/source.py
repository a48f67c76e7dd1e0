"""Models in and out of the surgical commands: SOURCE, OUT and the certificate next to it.

SOURCE is a file that Keras wrote (`.keras`, or `.h5` under any name), or a network of
`keras.applications`; subclassed models and composite layers in it are opened
(`ablate.surgery.tracing`). A model and its certificate are written whole or not at all. Keras's
safe mode stays on. Images are read in `ablate.cli.images`.

    opened = open_model(source, weights)      # opened.model, opened.application, opened.words
    out = writable(out)                       # at once, before any work
    place = write(out, model, certificate)    # the place of the certificate
"""

from __future__ import annotations

import logging
import os
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.errors import AblateError, StoreError, SurgeryError, nearest
from ablate.reasons import reason
from ablate.study.archives import check_archive
from ablate.study.calls import import_module
from ablate.suppress_stderr import quiet_start

if TYPE_CHECKING:
    import keras

    from ablate.surgery.certificate import Certificate

_SUFFIXES = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True)
class Opened:
    """A model, the application whose preprocessing it expects (if known), its origin, and what
    there is to note of how it loaded and what was opened."""

    model: keras.Model
    application: str | None
    words: str
    notes: tuple[str, ...] = ()


_IMPORTS = "ablate.cli.source.imports"


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--weights`, which it gets, and `--import`, which `open_model` obeys."""

    def remember(context: click.Context, option: click.Parameter, modules: tuple[str, ...]) -> None:
        context.meta[_IMPORTS] = modules

    weights = click.option(
        "--weights",
        metavar="imagenet|PATH|none",
        help="Weights of a keras.applications name.  [default: imagenet]",
    )
    imports = click.option(
        "--import",
        "imports",
        multiple=True,
        metavar="MODULE",
        expose_value=False,
        callback=remember,
        help="A module to import first, which registers the classes that SOURCE needs. Repeatable.",
    )
    return weights(imports(command))


def open_model(source: str, weights: str | None = None, usual: str = "imagenet") -> Opened:
    """Return the model that SOURCE names.

    Args:
        source: A file that Keras wrote, or a name of `keras.applications` in any case.
        weights: Of an application: `imagenet`, `none` (random, seeded), or a file.
        usual: The weights of an application where none are given.

    Raises:
        SurgeryError: SOURCE is neither, or the file holds no model that can be loaded.
    """
    from ablate.study.schema.factories import APPLICATIONS

    name = source.lower().replace("_", "")
    if not _there(Path(source)) and name in APPLICATIONS:
        return _application(name, weights or usual)
    if weights is not None:
        raise SurgeryError(
            f"--weights belongs to names of keras.applications; '{source}' is taken for a file, "
            f"which has its own.{nearest(source, APPLICATIONS)}"
        )
    place = Path(source).expanduser()
    if not _there(place):
        around = [each.as_posix() for each in _neighbours(place)]
        raise SurgeryError(
            f"SOURCE: there is no file '{source}' (looked at {place.absolute()}), and no network "
            f"of keras.applications has that name.{nearest(source, [*APPLICATIONS, *around])} "
            "Expected a .keras or .h5 file, or a name such as vgg16 (`ablate models` lists them)."
        )
    return _file(place)


def writable(out: str | Path) -> Path:
    """Return the place of OUT, having checked that it can be written.

    Raises:
        StoreError: OUT does not end in `.keras`, or its folder is not there or not writable.
    """
    place = Path(out).expanduser()
    if not place.name:
        raise StoreError(f"OUT: expected the name of a .keras file. Received: '{out}'.")
    if place.suffix != ".keras":
        raise StoreError(
            f"OUT: expected a name that ends in .keras. Received: '{out}'. "
            f"For example: {place.with_suffix('.keras').as_posix()}"
        )
    try:
        if place.is_dir():
            raise StoreError(f"OUT: '{out}' is a folder. Expected the name of a .keras file.")
        if place.exists() and not place.is_file():
            raise StoreError(f"OUT: '{out}' is no regular file, and is not written over.")
        # The certificate's name is the longer one.
        place.with_name(f".{place.stem}-temporary.certificate.json").exists()
    except (OSError, ValueError) as trouble:
        raise StoreError(f"OUT: '{out}' cannot be the name of a file: {reason(trouble)}") from None
    folder = place.absolute().parent
    if not folder.is_dir():
        raise StoreError(f"OUT: there is no folder '{folder}' to write '{place.name}' into.")
    if not os.access(folder, os.W_OK):
        raise StoreError(f"OUT: the folder '{folder}' cannot be written to.")
    return place


def write(out: Path, model: keras.Model, certificate: Certificate) -> Path:
    """Write the model and its certificate, each whole or not at all; return the latter's path.

    Raises:
        StoreError: the disk is full, or the model cannot be saved.
    """
    evidence = out.with_name(f"{out.stem}.certificate.json")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.stem}-", dir=out.absolute().parent) as new:
            new_model, new_evidence = Path(new, out.name), Path(new, evidence.name)
            model.save(new_model)
            new_evidence.write_text(certificate.to_json() + "\n", encoding="utf-8")
            os.replace(new_model, out)
            os.replace(new_evidence, evidence)
    except Exception as trouble:
        raise StoreError(f"'{out}' could not be written: {reason(trouble)}") from trouble
    return evidence


def _start() -> None:
    """Start Keras without the remarks of its backend, at its import and at its first tensor."""
    with quiet_start():
        import keras

        keras.ops.zeros(())
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _application(name: str, weights: str) -> Opened:
    from ablate.study.schema.factories import APPLICATIONS

    application = APPLICATIONS[name]
    words = f"{application.function} with weights of {weights}"
    if weights not in ("imagenet", "none") and not Path(weights).expanduser().is_file():
        raise SurgeryError(
            f"--weights: expected imagenet, none or a file of weights. Received: '{weights}', "
            "which is no file."
        )
    _start()
    import keras

    if weights == "none":
        words = f"{application.function} with random weights (seed 0)"
        keras.utils.set_random_seed(0)
    try:
        made = getattr(keras.applications, application.function)
        model = made(weights=None if weights == "none" else weights)
    except Exception as trouble:
        remedy = (
            "They are downloaded when first used; for a network without weights: --weights none."
            if weights == "imagenet"
            else "Expected a file that save_weights wrote for this very network."
        )
        raise SurgeryError(
            f"--weights: '{weights}' could not be loaded into {application.function}. {remedy} "
            f"Keras says: {reason(trouble)}"
        ) from trouble
    return Opened(model, name, words)


def _file(place: Path) -> Opened:
    from ablate.study.schema.factories import APPLICATIONS

    if not place.is_file():
        what = "a folder" if place.is_dir() else "no regular file"
        raise SurgeryError(f"SOURCE: expected a .keras or .h5 file. Received: '{place}', {what}.")
    if not _looks_like_a_model(place) and place.suffix not in _SUFFIXES:
        raise SurgeryError(
            f"SOURCE: expected a .keras or .h5 file. Received: '{place}', a file that ends in "
            f"'{place.suffix}' and is neither by its content."
        )
    if not _looks_like_a_model(place):
        raise SurgeryError(
            f"SOURCE: '{place}' is not a Keras model file, or not a whole one "
            f"({place.stat().st_size} bytes). Expected a file that model.save('….keras') wrote."
        )
    try:
        check_archive(place)  # before TensorFlow starts
    except AblateError as trouble:
        raise SurgeryError(f"SOURCE: {trouble}") from None
    _start()
    from ablate.models import file

    notes: list[str] = []
    try:
        context = click.get_current_context(silent=True)
        for module in context.meta.get(_IMPORTS, ()) if context else ():
            import_module(module, "--import")
        model = file.load(place, compiled=True, notes=notes)
    except AblateError as trouble:
        raise SurgeryError(f"SOURCE: {trouble}") from trouble
    known = model.name.lower().replace("_", "")
    application = known if known in APPLICATIONS else None
    return _traced(model, application, str(place), notes)


def _traced(model: keras.Model, application: str | None, words: str, notes: list[str]) -> Opened:
    """Return a model with what can be opened in it, and say what was, and what was not."""
    from ablate.surgery.tracing import trace

    found = trace(model)
    if classes := Counter(cls for _, cls in found.opened if cls not in ("Functional", "Model")):
        shown = ", ".join(f"{count} × {cls}" for cls, count in classes.items())
        notes.append(f"opened as functional models, whose classes are not kept: {shown}.")
    notes += [f"{each[0].upper()}{each[1:]}" for each in found.notes]
    notes += [
        f"'{each.name}' ({each.layer_class}) is operated on as a whole: {each.reason}."
        for each in found.closed
    ]
    return Opened(found.model, application, words, tuple(notes))


def _looks_like_a_model(place: Path) -> bool:
    """Whether a file is what Keras writes, by its content: a name says little."""
    if zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            return "config.json" in archive.namelist()
    with place.open("rb") as stream:
        return stream.read(8) == b"\x89HDF\r\n\x1a\n"


def _there(place: Path) -> bool:
    """Whether something stands at a path, which may be no path at all."""
    try:
        return place.exists()
    except (OSError, ValueError):
        return False


def _neighbours(place: Path) -> list[Path]:
    folder = place.parent
    if not folder.is_dir():
        return []
    return [each for each in sorted(folder.iterdir()) if each.suffix in _SUFFIXES][:200]
