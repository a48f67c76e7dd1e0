"""`ablate atlas`: what BN and Dropout do across networks and data sets, trained and written."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.cli.echo import echo, echo_json
from ablate.cli.options import document_options, json_option, logs_option, quiet_option

if TYPE_CHECKING:
    from ablate.execution.atlas import Atlas
    from ablate.report.atlas_data import AtlasReport


@click.command("atlas")
@document_options("docs/atlas.md", "its table (CSV) and its picture go", "configs/atlas")
@click.option(
    "--path",
    "paths",
    multiple=True,
    metavar="NAME=FILE",
    help="The file of a data set that Keras would download: mnist=mnist.npz.",
)
@click.option("--plan", "planned", is_flag=True, help="Say what there is to train; train nothing.")
@click.option("--write", is_flag=True, help="Write the document from what is there; train nothing.")
@click.option(
    "--held-back",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Combinations that are foretold before they are trained.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses what is held back.")
@click.option(
    "--executor",
    type=click.Choice(["inline", "processes", "serial"]),
    default="inline",
    show_default=True,
    help="Where trials run: inline keeps one process for all studies, which are small.",
)
@logs_option
@quiet_option
@json_option
def command(
    output: Path,
    configs: Path | None,
    paths: tuple[str, ...],
    planned: bool,
    write: bool,
    held_back: int,
    seed: int,
    executor: str,
    logs: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Train the studies of configs/atlas, and write what they say together to docs/atlas.md.

    What was trained before is kept, so that it can be stopped and goes on. Started again beside
    itself, it shares the work. Some combinations of network and data set are held back: when all
    others are trained, what is expected of them is written to atlas-predictions.json under
    --logs, and then they are trained and held against it.
    """
    from ablate.execution import atlas as engine
    from ablate.report.atlas_data import AtlasReport
    from ablate.report.files import write_atlas

    files = _paths(paths)
    found = engine.find(configs, logs, files, seed=seed, held_back=held_back)
    say = (lambda line: None) if quiet or as_json else echo
    if planned:
        return _plan(found, logs, as_json)
    if not write:
        engine.carry_out(found, logs, lambda entry: engine.trained_here(entry, logs, executor), say)
    # Where files lie is a machine's own affair; which they are is part of the command.
    given = "".join(f" --path {name}={file.name}" for name, file in files.items())
    report = AtlasReport(
        tuple(engine.combinations(found, logs)),
        tuple(engine.predictions(found)),
        found.held_back,
        found.absent,
        f"ablate atlas{given}",
    )
    write_atlas(report, output)
    if as_json:
        echo_json(_entry(report, output))
    else:
        echo(str(output))
    return 0


def _entry(report: AtlasReport, output: Path) -> dict[str, Any]:
    """Return what a program wants to know: claims, predictions, where the document is."""
    return {
        "document": str(output),
        "trials": sum(len(each.results) for each in report.combinations),
        "claims": [asdict(claim) for own in report.claims.values() for claim in own],
        "predictions": [
            {**asdict(each), "came": came, "hit": hit} for each, came, hit in report.hits
        ],
        "absent": dict(report.absent),
    }


def _paths(given: tuple[str, ...]) -> dict[str, Path]:
    from ablate.errors import StudyError, nearest
    from ablate.study.schema.sources import KERAS_SETS

    found = {}
    for each in given:
        name, equals, file = each.partition("=")
        if not equals or not Path(file).is_file():
            raise StudyError(
                f"--path {each}: expected NAME=FILE with a file that is there, as in "
                "mnist=mnist.npz."
            )
        if name not in KERAS_SETS:
            raise StudyError(
                f"--path {each}: '{name}' is no data set of Keras.{nearest(name, KERAS_SETS)}"
            )
        found[name] = Path(file)
    return found


def _plan(found: Atlas, logs: Path, as_json: bool) -> int:
    from ablate.execution.atlas import combinations

    every = combinations(found, logs)
    done = {each.name: sum(result.final for result in each.results) for each in every}
    if as_json:
        rows = [
            {
                "name": each.name,
                "trials": each.planned,
                "done": done[each.name],
                "held_back": each.name in found.held_back,
            }
            for each in every
        ]
        echo_json({"combinations": rows, "absent": dict(found.absent)})
        return 0
    for each in every:
        held = "   held back" if each.name in found.held_back else ""
        echo(f"{each.name}: {done[each.name]} of {each.planned} trials{held}")
    for name, why in found.absent.items():
        echo(f"{name}: left out, {why}")
    total = sum(each.planned for each in every)
    echo(f"{len(every)} combinations, {sum(done.values())} of {total} trials done.")
    return 0
