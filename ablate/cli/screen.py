"""`ablate screen`: find where layers should stand, and confirm it on fresh seeds."""

from __future__ import annotations

from pathlib import Path

from ablate.cli.echo import echo
from ablate.cli.options import Find, fresh_option, training_command


@training_command("screen", fresh_option, scripts=False)
def command(study: str, logs: Path, find: Find, *, fresh: bool, quiet: bool, as_json: bool) -> int:
    """Find where the layers of STUDY should stand.

    Every site that `screen.placements` find is switched on and off in a design in which each
    training tells of every site. The sites that may help are then trained on fresh seeds, beside
    their runner-up, all and none; only those are reported. Ctrl-C stops, and the same command
    goes on.
    """
    from ablate.execution.screen import report_on, screen
    from ablate.report.live import Display
    from ablate.report.printing import console
    from ablate.report.tabular import as_json as document
    from ablate.report.terminal import print_report

    shown = console(quiet=quiet or as_json)
    results = screen(find(study), logs=logs, fresh=fresh, watchers=[Display(shown)])
    report = report_on(results, command=f"ablate screen {Path(study).name}")
    if as_json:
        echo(document(report), nl=False)
    else:
        print_report(report, quiet=quiet)
    return 1 if results.counts().get("failed") else 0
