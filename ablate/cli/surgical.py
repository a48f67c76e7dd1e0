"""What `insert`, `remove` and `fold` share: options, loading, certificate and report.

Each of them is a function of a `Request`: it opens the model, changes it, and hands the new one
back with a `Summary`. The new model is certified against the old one, both files are written
whole or not at all, and the result is printed in short or as one JSON document.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.cli.echo import echo
from ablate.cli.options import json_option, quiet_option
from ablate.cli.source import Opened, open_model, weights_option, writable, write
from ablate.errors import DataError, StoreError

if TYPE_CHECKING:
    import keras

    from ablate.cli.images import Images
    from ablate.surgery.batches import Progress

#: Layers listed one by one with a reason; all are in the JSON.
LISTED = 10


@dataclass(frozen=True)
class Summary:
    """What a command did: `lines` and `warnings` for people, `document` for `--json`."""

    lines: list[str]
    warnings: list[str] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """The arguments and options that every surgical command takes."""

    source: str
    out: str
    weights: str | None
    check: str | None
    preprocessing: str
    batch_size: int
    quiet: bool
    as_json: bool

    def open(self) -> Opened:
        """Return the model SOURCE, having checked first that OUT can be written."""
        out = writable(self.out)
        if out.exists() and Path(self.source).exists() and out.samefile(self.source):
            raise StoreError(
                f"OUT: '{self.out}' is SOURCE itself, which stays as it is. Name another file."
            )
        return open_model(self.source, self.weights)

    def images(self, opened: Opened, path: str | None) -> Images:
        """Return the images at `path`, prepared for the model; random inputs without a path."""
        from ablate.cli.images import random_inputs, read_images

        if path is None:
            return random_inputs(opened.model)
        return read_images(path, opened.model, opened.application, self.preprocessing)

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress]:
        """Show a bar on the terminal's error stream while images go by; nothing in a pipe."""
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

        console = Console(stderr=True)
        bar = Progress(
            *Progress.get_default_columns()[:2],
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=self.quiet or self.as_json or not console.is_terminal,
        )
        with bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def finish(self, opened: Opened, new: keras.Model, images: Images, summary: Summary) -> None:
        """Certify `new` against the model that was opened, write it to OUT, and report.

        Raises:
            StoreError: the files cannot be written.
            DataError: the images do not fit the models.
        """
        from ablate.surgery.certify import certify

        try:
            with self.progress("certifying") as progress:
                certificate = certify(
                    opened.model,
                    new,
                    images.x,
                    batch_size=self.batch_size,
                    images=images.words,
                    progress=progress,
                )
        except DataError as trouble:
            if not images.invented:
                raise
            raise DataError(
                f"The certificate is measured on {images.words}, and these do not fit: {trouble} "
                "Give inputs that the model takes with --check FILE.npz."
            ) from trouble
        out = writable(self.out)
        evidence = write(out, new, certificate)
        warnings = [*opened.notes, *summary.warnings]
        if self.as_json:
            document = {
                **summary.document,
                "warnings": warnings,
                "model": str(out),
                "certificate": json.loads(certificate.to_json()),
            }
            echo(json.dumps(document, ensure_ascii=False))
            return
        if not self.quiet:
            for line in summary.lines:
                echo(line)
            for warning in warnings:
                echo(f"Note: {warning}", err=True)
            echo(f"Wrote {out} and {evidence}")
            if drift := certificate.training_drift:
                echo(
                    f"In training mode with batches of {drift.batch_size}, outputs differ by up "
                    f"to {drift.max_rel_diff:.2g} × their largest value, through {drift.layers} "
                    f"BatchNormalization layer{'s' if drift.layers != 1 else ''}."
                )
            echo(f"Measured on {images.words}.")
        echo(certificate.verdict)


def surgical(operate: Callable[..., None]) -> Callable[..., int]:
    """Give a command SOURCE, OUT and the shared options; `operate` gets them as a `Request`."""

    @click.argument("source")
    @click.argument("out")
    @weights_option
    @click.option(
        "--check",
        metavar="IMAGES",
        help="An npz, npy or folder to measure the certificate on.  [default: 32 random inputs]",
    )
    @click.option(
        "--preprocessing",
        default="auto",
        show_default=True,
        metavar="auto|none|NAME",
        help="auto: that of the application for images from 0 to 255, else x/255 for uint8; "
        "or that of a keras.applications name.",
    )
    @click.option(
        "--batch-size",
        type=click.IntRange(1),
        default=32,
        show_default=True,
        help="Images at once.",
    )
    @quiet_option
    @json_option
    @functools.wraps(operate)
    def command(**given: Any) -> int:
        shared = {each.name: given.pop(each.name) for each in fields(Request)}
        operate(Request(**shared), **given)
        return 0

    return command


def some(names: list[str], shown: int = 6) -> str:
    """Name the first few of many."""
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")


def each_with_reason(action: str, reasons: Sequence[tuple[str, str | None]]) -> list[str]:
    """Return a line for each of the first layers that were skipped or kept, and why."""
    lines = [f"{action.capitalize()} {layer}: {reason}." for layer, reason in reasons[:LISTED]]
    if (more := len(reasons) - LISTED) > 0:
        lines.append(f"… and {more} more {action}; --json lists them all.")
    return lines
