"""`ablate insert`: put layers into a model, and certify what that did to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ablate.cli.options import json_option, quiet_option
from ablate.cli.output import Story, deliver, shown_progress, some
from ablate.cli.source import image_options, open_model, weights_option, writable
from ablate.errors import StudyError, SurgeryError
from ablate.study.positions import POSITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ablate.cli.source import Opened
    from ablate.study.schema.placement import Placement
    from ablate.surgery.insert import SiteDecision


@click.command("insert")
@click.argument("source")
@click.argument("out")
@click.option("--layer", required=True, help="A Keras layer class, such as BatchNormalization.")
@click.option(
    "--at",
    type=click.Choice(POSITIONS),
    default="after",
    show_default=True,
    help="Where, relative to each host.",
)
@click.option(
    "--where",
    multiple=True,
    metavar="SELECTOR",
    help="Hosts: a name, a class, a kind (conv, dense, hidden, …) with [index], a glob, re:…. "
    "Repeatable.  [default: hidden]",
)
@click.option("--except", "except_", multiple=True, metavar="SELECTOR", help="Hosts to leave out.")
@click.option(
    "--arg",
    "arguments",
    multiple=True,
    metavar="NAME=VALUE",
    help="An argument of the layer, e.g. --arg rate=0.5. Repeatable.",
)
@click.option("--name", help="A name for the placement, kept in the record.")
@click.option(
    "--calibrate",
    metavar="IMAGES",
    help="An npz, npy or folder on which each BatchNormalization is set to change nothing.",
)
@weights_option
@image_options
@quiet_option
@json_option
def command(
    source: str,
    out: str,
    layer: str,
    at: Any,
    where: tuple[str, ...],
    except_: tuple[str, ...],
    arguments: tuple[str, ...],
    name: str | None,
    calibrate: str | None,
    weights: str | None,
    check: str | None,
    preprocessing: str,
    batch_size: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Put a layer into the model SOURCE and write the new model to OUT.

    SOURCE is a .keras or .h5 file, or a name of keras.applications. The given model is not
    touched. Beside OUT a certificate says how far the outputs moved; with --calibrate a
    BatchNormalization moves none of them.

    \b
    ablate insert vgg16 out.keras --layer BatchNormalization \\
        --at before_activation --where hidden --calibrate images/
    """
    placement = _placement(layer, at, where, except_, name, calibrate is not None, arguments)
    place = writable(out)
    opened = open_model(source, weights)

    from ablate.cli.images import random_inputs, read_images
    from ablate.surgery.diagnostics import dropout_before_norm
    from ablate.surgery.insert import carry_out, plan_insertions

    decisions = plan_insertions(opened.model, [placement])
    given = {
        path: read_images(path, opened.model, opened.application, preprocessing)
        for path in {calibrate, check}
        if path is not None
    }
    if calibrate:
        with shown_progress("calibrating", quiet or as_json) as progress:
            new = carry_out(
                opened.model,
                decisions,
                images=given[calibrate].x,
                batch_size=batch_size,
                progress=progress,
            )
    else:
        new = carry_out(opened.model, decisions)
    deliver(
        opened.model,
        new,
        place,
        given.get(check or calibrate or "") or random_inputs(opened.model),
        _story(opened, placement, decisions, dropout_before_norm(new)),
        batch_size=batch_size,
        quiet=quiet,
        as_json=as_json,
    )
    return 0


def _placement(
    layer: str,
    at: Any,
    where: tuple[str, ...],
    except_: tuple[str, ...],
    name: str | None,
    calibrate: bool,
    arguments: tuple[str, ...],
) -> Placement:
    from ablate.config import parse_override
    from ablate.study.schema.placement import Placement

    given: dict[str, Any] = {
        "layer": layer,
        "at": at,
        "where": list(where) or "hidden",
        "except": list(except_) or None,
        "name": name,
        "calibrate": calibrate,
    }
    for each in arguments:
        if "=" not in each:
            raise SurgeryError(f"--arg: expected NAME=VALUE, as rate=0.5. Received: '{each}'.")
        key, value = parse_override(each)
        if key in given:
            raise SurgeryError(f"--arg {key}: that is not the layer's. Use --{key}.")
        given[key] = value
    try:
        return Placement(**given)
    except StudyError as trouble:
        raise SurgeryError(f"--layer {layer}: {str(trouble).removeprefix('Placement: ')}") from None


def _story(
    opened: Opened,
    placement: Placement,
    decisions: Sequence[SiteDecision],
    cautions: list[tuple[str, str]],
) -> Story:
    done = [each for each in decisions if each.skipped is None]
    skipped = [each for each in decisions if each.skipped is not None]
    lines = [
        f"Into {opened.words}: {len(done)} × {placement.layer} at {placement.at}: "
        f"{some([str(each.path) for each in done])}."
    ]
    if splits := [each.splits for each in done if each.splits]:
        lines.append(f"Split off {len(splits)} fused activations: {some(splits)}.")
    if bare := [each.host for each in done if "which no activation follows" in each.stands]:
        lines.append(f"No activation follows {some(bare)}: the layer stands directly after.")
    for each in skipped[:10]:
        lines.append(f"Skipped {each.host}: {each.skipped}.")
    if len(skipped) > 10:
        lines.append(f"… and {len(skipped) - 10} more skipped; --json lists them all.")
    warnings = [*opened.notes]
    warnings += [
        f"Dropout '{dropout}' feeds '{norm}': its variance differs between training and inference."
        for dropout, norm in cautions
    ]
    document = {
        "inserted": [
            {
                "host": each.host,
                "layer": placement.layer,
                "path": each.path,
                "at": each.at,
                "stands": each.stands,
                "activation": each.splits,
            }
            for each in done
        ],
        "skipped": [{"host": each.host, "reason": each.skipped} for each in skipped],
    }
    return Story(lines, warnings, document)
