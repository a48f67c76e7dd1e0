"""`ablate status`: what is done, what is left, what went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.cli.echo import echo, echo_json
from ablate.cli.options import Find, any_study_argument, json_option, logs_option
from ablate.errors import AblateError

if TYPE_CHECKING:
    from ablate.execution.status import StudyStatus
    from ablate.report.search_progress import SearchProgress
    from ablate.study.study import Study


@click.command("status")
@any_study_argument
@logs_option
@json_option
def command(study: str | None, logs: Path, as_json: bool) -> int:
    """Show how far STUDY is, or every study under --logs.

    Reads the store alone: it works while a study runs, here or on a cluster.
    """
    from ablate.execution.status import progress
    from ablate.report.plans import print_progress
    from ablate.report.printing import console
    from ablate.report.search_progress import print_search_progress
    from ablate.store import studies

    seen: list[tuple[StudyStatus, SearchProgress | None]] = []
    errors = []
    for name in [study] if study else studies(logs):
        try:
            found = Find(logs)(name)
            seen.append((progress(found, logs=logs), _search(found, logs)))
        except AblateError as error:
            if study:
                raise
            errors.append(error)  # one study that cannot be read hides no other
    if as_json:
        documents = [
            each.to_json() | ({} if search is None else {"search": search.to_json()})
            for each, search in seen
        ]
        echo_json(documents[0] if study else documents)
    elif not seen and not errors:
        echo(f"No study lies under {logs}/ yet. Start one: ablate run configs/digits.yaml")
    else:
        screen = console(quiet=False)
        if own := [each for each, search in seen if search is None or _was_run(each)]:
            print_progress(own, screen)
        for _, search in seen:
            if search is not None:
                print_search_progress(search, screen)
    for each in errors:
        echo(f"Error: {each}", err=True)
    return 2 if errors else 0


def _was_run(seen: StudyStatus) -> bool:
    """Whether a study has trials of its own: of one that was only searched none are to do."""
    return bool(seen.running) or any(set(row.statuses) - {"to do"} for row in seen.rows)


def _search(study: Study, logs: Path) -> SearchProgress | None:
    """Return how far a study's search is, None if it has not been searched."""
    if study.search is None:
        return None
    from ablate.search.results import found
    from ablate.store import Store

    results = found(study, Store(logs, study.study))
    return None if results is None else results.progress()
