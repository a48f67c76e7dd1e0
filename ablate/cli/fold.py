"""`ablate fold`: merge BatchNormalization into weights, and certify what that did to the model."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ablate.cli.options import json_option, quiet_option
from ablate.cli.output import Story, deliver, some
from ablate.cli.source import image_options, open_model, weights_option, writable

if TYPE_CHECKING:
    from ablate.cli.source import Opened
    from ablate.surgery.fold import FoldReport

#: Layers that are kept and told of one by one; all stand in the JSON.
SHOWN = 10


@click.command("fold")
@click.argument("source")
@click.argument("out")
@weights_option
@image_options
@quiet_option
@json_option
def command(
    source: str,
    out: str,
    weights: str | None,
    check: str | None,
    preprocessing: str,
    batch_size: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Merge BatchNormalization into the weights of the model SOURCE, and write it to OUT.

    Merged is what can be merged exactly: into the convolution or dense layer before it, or
    after it. A layer that is the identity is taken out, and an activation that `ablate insert`
    split off is fused again. Layers that have to stay are listed with the reason. Beside OUT a
    certificate says how far the outputs moved.
    """
    place = writable(out)
    opened = open_model(source, weights)

    from ablate.cli.images import random_inputs, read_images
    from ablate.surgery.fold import Folding, FoldReport, fold

    images = (
        read_images(check, opened.model, opened.application, preprocessing)
        if check
        else random_inputs(opened.model)
    )
    told: list[Folding] = []
    new = fold(opened.model, report=told)
    deliver(
        opened.model,
        new,
        place,
        images,
        _story(opened, FoldReport(tuple(told))),
        batch_size=batch_size,
        quiet=quiet,
        as_json=as_json,
    )
    return 0


def _story(opened: Opened, report: FoldReport) -> Story:
    lines = [f"In {opened.words}: {report.summary}."]
    for action in ("merged", "removed"):
        if names := [each.layer for each in report.foldings if each.action == action]:
            lines.append(f"{action.capitalize()}: {some(names)}.")
    kept = [each for each in report.foldings if each.action == "kept"]
    lines += [f"Kept {each.layer}: {each.reason}." for each in kept[:SHOWN]]
    if len(kept) > SHOWN:
        lines.append(f"… and {len(kept) - SHOWN} more kept; --json lists them all.")
    document = {"folded": [asdict(each) for each in report.foldings]}
    return Story(lines, list(opened.notes), document)
