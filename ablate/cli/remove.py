"""`ablate remove`: take layers out of a model, and certify what that did to it."""

from __future__ import annotations

import click

from ablate.cli.options import json_option, quiet_option
from ablate.cli.output import Story, deliver, some
from ablate.cli.source import image_options, open_model, weights_option, writable


@click.command("remove")
@click.argument("source")
@click.argument("out")
@click.option(
    "--where",
    multiple=True,
    metavar="SELECTOR",
    help="Layers to take out, e.g. Dropout. Repeatable.  [default: what `insert` recorded]",
)
@click.option("--except", "except_", multiple=True, metavar="SELECTOR", help="Layers that stay.")
@weights_option
@image_options
@quiet_option
@json_option
def command(
    source: str,
    out: str,
    where: tuple[str, ...],
    except_: tuple[str, ...],
    weights: str | None,
    check: str | None,
    preprocessing: str,
    batch_size: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Take layers out of the model SOURCE and write what is left to OUT.

    Without --where it undoes exactly what `ablate insert` did, and fuses the activations again
    that were split off. Beside OUT a certificate says how far the outputs moved.
    """
    place = writable(out)
    opened = open_model(source, weights)

    from ablate.cli.images import random_inputs, read_images
    from ablate.surgery.hosts import paths
    from ablate.surgery.remove import remove

    images = (
        read_images(check, opened.model, opened.application, preprocessing)
        if check
        else random_inputs(opened.model)
    )
    new = remove(opened.model, list(where) or None, list(except_) or None)
    left = {path for _, path in paths(new)}
    gone = [path for _, path in paths(opened.model) if path not in left]
    deliver(
        opened.model,
        new,
        place,
        images,
        Story(
            [f"Out of {opened.words}: {len(gone)} layers: {some(gone)}."],
            list(opened.notes),
            {"removed": gone},
        ),
        batch_size=batch_size,
        quiet=quiet,
        as_json=as_json,
    )
    return 0
