"""The end of every surgical command: measure, write, and say so in short.

The model before and after and images enter; the model and its certificate are written, whole or
not at all, and printed in short (or as one JSON document). `insert`, `remove` and `fold` share it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.cli.echo import echo
from ablate.cli.source import write
from ablate.errors import DataError

if TYPE_CHECKING:
    import keras

    from ablate.cli.images import Images
    from ablate.surgery.calibrate import Progress
    from ablate.surgery.certificate import Certificate


@dataclass(frozen=True)
class Story:
    """What a command did, for people and for programs.

    `lines` say what was done; `warnings` what to beware of; `document` holds the same (and more)
    for `--json`.
    """

    lines: list[str]
    warnings: list[str] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)


def deliver(
    before: keras.Model,
    after: keras.Model,
    out: Path,
    images: Images,
    story: Story,
    *,
    batch_size: int = 32,
    quiet: bool = False,
    as_json: bool = False,
) -> Certificate:
    """Certify `after` against `before` on `images`, write it to `out`, and report.

    Raises:
        StoreError: the files cannot be written.
        DataError: the images do not fit the models.
    """
    from ablate.surgery.certify import certify

    try:
        with shown_progress("certifying", quiet or as_json) as progress:
            certificate = certify(
                before,
                after,
                images.x,
                batch_size=batch_size,
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
    beside = write(out, after, certificate)
    if as_json:
        echo(
            json.dumps(
                {
                    **story.document,
                    "warnings": story.warnings,
                    "model": str(out),
                    "certificate": json.loads(certificate.to_json()),
                },
                ensure_ascii=False,
            )
        )
        return certificate
    if not quiet:
        for line in story.lines:
            echo(line)
        for warning in story.warnings:
            echo(f"Note: {warning}", err=True)
        echo(f"Wrote {out} and {beside}")
        if drift := certificate.training_drift:
            echo(
                f"In training, batches of {drift.batch_size} move the outputs by "
                f"{drift.max_rel_diff:.2g} of the largest, through {drift.layers} "
                f"BatchNormalization layer{'s' if drift.layers != 1 else ''}."
            )
        echo(f"Measured on {images.words}.")
    echo(certificate.verdict)
    return certificate


@contextmanager
def shown_progress(what: str, hidden: bool = False) -> Iterator[Progress]:
    """Show a bar on the terminal's error stream while images go by; nothing in a pipe."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=hidden or not console.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=None)

        def progress(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield progress


def some(names: list[str], shown: int = 6) -> str:
    """Name the first few of many."""
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")
