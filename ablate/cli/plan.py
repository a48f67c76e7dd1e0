"""`ablate plan`: what a study would train, without training it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.cli.echo import echo, echo_json
from ablate.cli.options import Find, rehearse_option, training_command
from ablate.errors import StudyError

if TYPE_CHECKING:
    from ablate.study.preview import AugmentedRows


@training_command(
    "plan",
    rehearse_option,
    click.option("--quick", is_flag=True, help="Build no model: no layer names, no parameters."),
    click.option(
        "--images",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE.png",
        help="Write a contact sheet: rows as train.augment makes them.",
    ),
)
def command(
    study: str,
    logs: Path,
    find: Find,
    *,
    quick: bool,
    images: Path | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Show what STUDY would train: variants, inserted layers, parameters, trials, time.

    Nothing is trained. With --quick no model is built either, which takes no TensorFlow.
    """
    from ablate.execution.status import augmented, preview
    from ablate.report.plans import print_preview
    from ablate.report.printing import console

    seen = preview(find(study), logs=logs, build=not quick)
    if as_json:
        echo_json(seen.to_json())
    else:
        print_preview(seen, console(quiet=False))
    if images is not None:
        _write(images, augmented(find(study), logs=logs))
    return 0


def _write(place: Path, sheets: Sequence[AugmentedRows]) -> None:
    """Write a sheet for each augmentation, named by its variant where there are several."""
    from ablate.report.plots.augmentation import contact_sheet

    for each in sheets:
        file = place if len(sheets) == 1 else place.with_stem(f"{place.stem}-{each.variant}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            contact_sheet(each).savefig(file, format="png")
        except OSError as error:
            raise StudyError(f"--images: '{file}' cannot be written: {error.strerror}.") from None
        echo(f"{file}: rows as {each.variant} sees them with seed {each.seed}")
