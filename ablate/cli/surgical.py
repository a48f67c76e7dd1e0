"""What the surgical commands share: options, loading, certificate and report.

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
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ablate.cli.echo import echo
from ablate.cli.options import json_option, quiet_option
from ablate.cli.source import Opened, open_model, source_options, writable, write
from ablate.errors import DataError, StoreError, StudyError, SurgeryError

if TYPE_CHECKING:
    import keras

    from ablate.cli.images import Images
    from ablate.study.schema.placement import Change, Replacement
    from ablate.surgery.batches import Progress
    from ablate.surgery.decisions import SiteDecision
    from ablate.surgery.exchange import LayerDecision

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
    batch_size: int | None
    quiet: bool
    as_json: bool

    def open(self) -> Opened:
        """Return the model SOURCE, having checked first that OUT can be written."""
        out = writable(self.out)
        if out.exists() and Path(self.source).exists() and out.samefile(self.source):
            raise StoreError(
                f"OUT: '{self.out}' is SOURCE itself, which stays as it is. Name another file."
            )
        with self.progress("opening"):
            return open_model(self.source, self.weights)

    def images(self, opened: Opened, path: str | None) -> Images:
        """Return the images at `path`, prepared for the model; random inputs without a path."""
        from ablate.cli.images import random_inputs, read_images

        if path is None:
            return random_inputs(opened.model)
        return read_images(path, opened.model, opened.application, self.preprocessing)

    def carried_out(
        self,
        opened: Opened,
        carry_out: Callable[..., keras.Model],
        decisions: Sequence[Any],
        calibrate: str | None,
    ) -> tuple[keras.Model, Images]:
        """Return the new model and the images to certify it on, which may be those of `calibrate`.

        Args:
            opened: The model that was opened.
            carry_out: That of what is done: it takes the model, the decisions, and images.
            decisions: What is to be done.
            calibrate: Where the images to calibrate on are, if they are asked for.
        """
        images = self.images(opened, self.check or calibrate)
        if calibrate is None:
            with self.progress("rebuilding"):
                return carry_out(opened.model, decisions), images
        same = self.check in (None, calibrate)
        measured_on = images if same else self.images(opened, calibrate)
        with self.progress("calibrating") as progress:
            new = carry_out(
                opened.model,
                decisions,
                images=measured_on.x,
                batch_size=self.batch_size,
                progress=progress,
            )
        return new, images

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
                    batch_size=self.batch_size or 32,
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
        with self.progress("writing"):
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
    @source_options
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
        help="Images at once.  [default: 32; to calibrate on, as many as memory bears]",
    )
    @quiet_option
    @json_option
    @functools.wraps(operate)
    def command(**given: Any) -> int:
        shared = {each.name: given.pop(each.name) for each in fields(Request)}
        operate(Request(**shared), **given)
        return 0

    return command


def where_option(what: str, default: str | None = None) -> Callable[..., Any]:
    """Return the option `--where`, which selects `what`; it is required without a default."""
    words = f"{what}: a name, a class, a kind (conv, dense, norm, …) with [index], a glob, re:…. "
    return click.option(
        "--where",
        multiple=True,
        required=default is None,
        metavar="SELECTOR",
        help=words + ("Repeatable." if default is None else f"Repeatable.  [default: {default}]"),
    )


#: What the selectors of `--where` leave out.
except_option = click.option(
    "--except", "except_", multiple=True, metavar="SELECTOR", help="Layers to leave out."
)

#: Arguments of layers.
arguments_option = click.option(
    "--arg",
    "arguments",
    multiple=True,
    metavar="NAME=VALUE",
    help="An argument of the layer, e.g. --arg rate=0.5. Repeatable.",
)

Stated = TypeVar("Stated")
Decision = TypeVar("Decision", "LayerDecision", "SiteDecision")


def stated(
    kind: Callable[..., Stated],
    where: list[str] | str,
    except_: Sequence[str],
    arguments: Sequence[str],
    blame: str,
    **fields: Any,
) -> Stated:
    """Return the placement, replacement or change that options and `--arg`s state.

    Raises:
        SurgeryError: they do not fit; `blame` is the option that the message begins with.
    """
    from ablate.config import parse_override

    given: dict[str, Any] = {"where": where, "except": list(except_) or None, **fields}
    for each in arguments:
        if "=" not in each:
            raise SurgeryError(f"--arg: expected NAME=VALUE, as rate=0.5. Received: '{each}'.")
        key, value = parse_override(each, "--arg")
        if key in given:
            raise SurgeryError(f"--arg {key}: that is not the layer's. Use --{key}.")
        given[key] = value
    try:
        return kind(**given)
    except StudyError as trouble:
        name = getattr(kind, "__name__", "")
        raise SurgeryError(f"{blame}: {str(trouble).removeprefix(f'{name}: ')}") from None


def exchange(request: Request, asked: Change | Replacement, calibrate: str | None = None) -> None:
    """Carry out what replace or change asks for, from the model SOURCE to the report."""
    opened = request.open()

    from ablate.study.schema.placement import Change
    from ablate.surgery.exchange import carry_out, plan_changes, plan_replacements

    if isinstance(asked, Change):
        words, decisions = "changed", plan_changes(opened.model, [asked])
    else:
        words, decisions = "replaced", plan_replacements(opened.model, [asked])
    new, images = request.carried_out(opened, carry_out, decisions, calibrate)
    request.finish(opened, new, images, _exchanged(words, decisions, opened, new))


def _exchanged(
    words: str, decisions: Sequence[LayerDecision], opened: Opened, new: keras.Model
) -> Summary:
    """Return what replace and change say of the layers that they made anew."""
    from ablate.surgery.conversion import takes_over
    from ablate.surgery.diagnostics import constant_means, constant_words
    from ablate.surgery.exchange import described
    from ablate.surgery.graph import paths
    from ablate.surgery.tracing import functional

    done, skipped = parted(decisions)
    lines = [f"In {opened.words}:", *(f"  {line}" for line in described(done))]
    lines += each_with_reason("skipped", skipped)
    ours, theirs = (
        {path: each for each, path in paths(functional(m))} for m in (opened.model, new)
    )
    hosts = {each.host for each in done}
    anew = [path for path in ours if path in hosts and not takes_over(ours[path], theirs[path])]
    warnings = [constant_words(*found) + "." for found in constant_means(new) if found[0] in hosts]
    if anew:
        warnings.append(f"{some(anew)}: took over no weights, so theirs are fresh.")
    document = {
        words: [
            {"path": each.host, "layer": each.layer_class, "before": each.before,
             "after": each.after}
            for each in done
        ],
        "skipped": [{"path": host, "reason": reason} for host, reason in skipped],
    }  # fmt: skip
    return Summary(lines, warnings, document)


def parted(decisions: Sequence[Decision]) -> tuple[list[Decision], list[tuple[str, str]]]:
    """Return the decisions that are carried out, and layer and reason of those that are not."""
    done = [each for each in decisions if each.skipped is None]
    return done, [(each.host, each.skipped) for each in decisions if each.skipped is not None]


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
