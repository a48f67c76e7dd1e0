"""`ablate search`: find each variant's best point, and confirm it on fresh seeds."""

from __future__ import annotations

from pathlib import Path

from ablate.cli.echo import echo_json
from ablate.cli.options import Find, fresh_option, training_command


@training_command("search", fresh_option)
def command(study: str, logs: Path, find: Find, *, fresh: bool, quiet: bool, as_json: bool) -> int:
    """Search the space of STUDY for each variant's best point.

    Every variant gets the same budget; its winner is trained on fresh seeds, and only those are
    reported. Ctrl-C stops, and the same command goes on.
    """
    from ablate.report.printing import console
    from ablate.report.search_progress import SearchDisplay
    from ablate.report.terminal import print_search
    from ablate.suppress_stderr import quiet_start

    found = find(study)
    display = SearchDisplay(console(quiet=quiet or as_json))
    display.preparing(f"Study {found.study}: planning")  # oracles take a while to import
    with quiet_start():
        from ablate.search.driver import search
        from ablate.search.summary_text import summarize, to_json
    results = search(found, logs=logs, fresh=fresh, watchers=[display])
    if as_json:
        echo_json(to_json(results))
    else:
        confirmed = results.confirmed if results.analysis is not None else None
        print_search(summarize(results), confirmed, quiet=quiet)
    return 1 if results.counts().get("failed") else 0
