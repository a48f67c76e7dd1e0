"""`ablate gc`: what can be deleted under logs, and its deletion on request."""

from __future__ import annotations

from pathlib import Path

import click

from ablate.cli.echo import echo, echo_json
from ablate.cli.options import any_study_argument, json_option, logs_option

#: `ablate.execution.leftovers.KINDS`, which the help need not wait for.
KINDS = ("work", "events", "unsound", "archives", "trials")


@click.command("gc")
@any_study_argument
@logs_option
@click.option(
    "--delete",
    type=click.Choice(KINDS),
    multiple=True,
    metavar="KIND",
    help=f"Delete what is of this kind: {', '.join(KINDS)}. May be given several times.",
)
@json_option
def command(study: str | None, logs: Path, delete: tuple[str, ...], *, as_json: bool) -> int:
    """Show what can be deleted of STUDY, or of every study under --logs, and how large it is.

    Nothing is deleted without --delete. Planned outcomes, reports and a study that is being run
    are never touched.
    """
    from ablate.execution import leftovers

    found = leftovers.find_leftovers(logs, study)
    for each in found:
        if each.kind in delete:
            leftovers.delete(each, logs)
    if as_json:
        echo_json(
            {
                "leftovers": [
                    {
                        "study": each.study,
                        "kind": each.kind,
                        "bytes": each.size,
                        "places": [str(place) for place in each.places],
                        "deleted": each.kind in delete,
                    }
                    for each in found
                ]
            }
        )
        return 0
    if not found:
        echo(f"Nothing can be deleted under {logs}/{study or ''}")
        return 0
    wide = max(len(each.study) for each in found)
    for kind, about in leftovers.KINDS.items():
        own = [each for each in found if each.kind == kind]
        if own:
            echo(f"{kind}: {about}{' (deleted)' if kind in delete else ''}")
        for each in own:
            count = len(each.places)
            noun = "file or folder" if count == 1 else "files and folders"
            echo(f"  {each.study:{wide}}  {_shown(each.size):>9}  {count} {noun}")
    left = [kind for kind in KINDS if kind not in delete and any(e.kind == kind for e in found)]
    if left:
        named = " ".join(f"--delete {kind}" for kind in left)
        target = f" {study}" if study else ""
        place = "" if logs == Path("logs") else f" --logs {logs}"
        echo(f"Delete what you choose of it: ablate gc{target}{place} {named}")
    return 0


def _shown(size: float) -> str:
    """Return a size in bytes as a person reads it.

    >>> _shown(1_234_567)
    '1.2 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
