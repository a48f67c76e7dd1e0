"""`ablate insert`: put layers into a model, and certify what that did to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ablate.cli.surgical import (
    Request,
    Summary,
    arguments_option,
    each_with_reason,
    except_option,
    parted,
    some,
    stated,
    surgical,
    where_option,
)
from ablate.study.positions import POSITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ablate.study.schema.placement import Placement
    from ablate.surgery.decisions import SiteDecision


@click.command("insert")
@click.option("--layer", required=True, help="A Keras layer class, such as BatchNormalization.")
@click.option(
    "--at",
    type=click.Choice(POSITIONS),
    default="after",
    show_default=True,
    help="Where, relative to each host.",
)
@where_option("Hosts", "hidden")
@except_option
@arguments_option
@click.option("--name", help="A name for the placement, kept in the record.")
@click.option(
    "--calibrate",
    metavar="IMAGES",
    help="An npz, npy or folder on which each BatchNormalization is set to change nothing.",
)
@surgical
def command(
    request: Request,
    layer: str,
    at: Any,
    where: tuple[str, ...],
    except_: tuple[str, ...],
    arguments: tuple[str, ...],
    name: str | None,
    calibrate: str | None,
) -> None:
    """Put a layer into the model SOURCE and write the new model to OUT.

    SOURCE is a .keras or .h5 file, or a name of keras.applications. The given model is not
    touched. A certificate next to OUT says how far the outputs moved; with --calibrate a
    BatchNormalization is set to move none of them.

    \b
    ablate insert vgg16 out.keras --layer BatchNormalization \\
        --at before_activation --where hidden --calibrate images/
    """
    from ablate.study.schema.placement import Placement

    hosts, blame = list(where) or "hidden", f"--layer {layer}"
    fields = {"layer": layer, "at": at, "name": name, "calibrate": calibrate is not None}
    placement = stated(Placement, hosts, except_, arguments, blame, **fields)
    opened = request.open()

    from ablate.surgery.decisions import plan_insertions
    from ablate.surgery.diagnostics import dropout_before_norm
    from ablate.surgery.insert import carry_out

    decisions = plan_insertions(opened.model, [placement])
    new, images = request.carried_out(opened, carry_out, decisions, calibrate)
    summary = _summary(opened.words, placement, decisions, dropout_before_norm(new))
    request.finish(opened, new, images, summary)


def _summary(
    origin: str,
    placement: Placement,
    decisions: Sequence[SiteDecision],
    dropouts: list[tuple[str, str]],
) -> Summary:
    done, skipped = parted(decisions)
    lines = [
        f"Into {origin}: {len(done)} × {placement.layer} at {placement.at}: "
        f"{some([str(each.path) for each in done])}."
    ]
    if splits := [each.splits for each in done if each.splits]:
        lines.append(f"Split off {len(splits)} fused activations: {some(splits)}.")
    if bare := [each.host for each in done if "which no activation follows" in each.stands]:
        lines.append(f"No activation follows {some(bare)}: the layer goes directly after.")
    lines += each_with_reason("skipped", skipped)
    warnings = [
        f"Dropout '{dropout}' feeds '{norm}': its variance differs between training and inference."
        for dropout, norm in dropouts
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
        "skipped": [{"host": host, "reason": reason} for host, reason in skipped],
    }
    return Summary(lines, warnings, document)
