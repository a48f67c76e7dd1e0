"""The progress of a run, as it happens: a display on a terminal, plain lines elsewhere.

The runner tells what happens (`begin`, `started`, `epoch`, …); this module shows it. On a
terminal there is one bar over all epochs and a line per trial under way; in a log file there
is a line per finished trial, at most one every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from ablate.reasons import sentence
from ablate.study.trial import Trial, TrialResult

#: Seconds between two plain lines.
PAUSE = 5.0

#: More trials than this under way are counted, not listed.
LISTED = 8


class Display:
    """Show the progress of a run on `console`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._running: dict[str, tuple[Trial, int, Mapping[str, float | None]]] = {}
        self._counts = {"completed": 0, "diverged": 0, "failed": 0}
        self._total = 0
        self._epochs: dict[str, int] = {}
        self._spoke = 0.0
        self._began = 0.0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
        )
        self._bar = self._progress.add_task("starting", total=1)

    def begin(self, todo: int, kept: int, dropped: int = 0) -> None:
        """Say how many trials there are to train, are done, and are no longer planned."""
        self._total = todo
        self._began = time.monotonic()
        done = f" ({kept} already done)" if kept else ""
        said = (
            f"Training {count(todo, 'trial')}{done}."
            if todo
            else f"Nothing to train: {count(kept, 'trial')} already done."
        )
        if dropped:
            said += f" {count(dropped, 'trial')} on disk no longer planned: kept, not counted."
        self._console.print(said)
        if not todo:
            return
        self._progress.update(self._bar, total=todo)
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._picture, console=self._console, refresh_per_second=4,
                transient=True,
            )  # fmt: skip
            self._live.start()

    def started(self, trial: Trial, epoch: int) -> None:
        """Show that a trial is under way."""
        self._running[trial.id] = (trial, epoch, {})
        if epoch > 0:
            self._say(f"{_name(trial)} goes on from epoch {epoch}.")

    def epoch(self, trial: Trial, said: Any) -> None:
        """Show how far a trial is."""
        self._running[trial.id] = (trial, said.epoch, said.logs)
        self._advance()

    def finished(self, trial: Trial, result: TrialResult, arrays: Mapping[str, Any]) -> None:
        """Count an outcome; say at once what went wrong."""
        self._running.pop(trial.id, None)
        if result.status in self._counts:
            self._counts[result.status] += 1
        self._advance()
        if result.status == "failed":
            why = _plain(sentence(result.error or ""))
            self._say(f"[red]failed[/red]    {_name(trial)}: {why}")
        elif result.status == "diverged":
            at = result.diverged or {}
            self._say(
                f"[yellow]diverged[/yellow]  {_name(trial)} at epoch {at.get('epoch', '?')}, "
                f"step {at.get('step', '?')}"
            )
        elif not self._console.is_terminal:
            self._plain_progress()

    def lost(self, trial: Trial, reason: str, again: bool) -> None:
        """Say that a worker was lost."""
        what = "tried again" if again else "given up"
        self._say(f"[red]lost[/red]      {_name(trial)}: {_plain(reason)}; {what}.")

    def end(self) -> None:
        """Take the display down."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._total:
            seconds = time.monotonic() - self._began
            self._console.print(f"{self._summary()} in {duration(seconds)}.")

    @property
    def _done(self) -> int:
        return sum(self._counts.values())

    def _advance(self) -> None:
        # A trial under way counts by the share of its epochs, so that the time left is smooth.
        part = sum(
            min(epoch / trial.spec.train.epochs, 1.0) if trial.spec.train.epochs else 0.0
            for trial, epoch, _ in self._running.values()
        )
        self._progress.update(self._bar, completed=self._done + part, description=self._summary())

    def _summary(self) -> str:
        parts = [f"{self._done}/{count(self._total, 'trial')}"]
        parts += [f"{self._counts[each]} {each}" for each in ("diverged", "failed")
                  if self._counts[each]]  # fmt: skip
        return ", ".join(parts)

    def _picture(self) -> RenderableType:
        lines = [
            Text(f"  {_name(trial):<28} epoch {epoch}/{trial.spec.train.epochs}  {_logs(logs)}")
            for trial, epoch, logs in list(self._running.values())[:LISTED]
        ]
        more = len(self._running) - LISTED
        if more > 0:
            lines.append(Text(f"  and {more} more under way"))
        return Group(self._progress.get_renderable(), *lines)

    def _plain_progress(self) -> None:
        now = time.monotonic()
        if now - self._spoke < PAUSE and self._done < self._total:
            return
        self._spoke = now
        left = (now - self._began) / max(self._done, 1) * (self._total - self._done)
        ending = f", about {duration(left)} left" if self._done < self._total else ""
        self._console.print(f"{self._summary()}{ending}", highlight=False)

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False)


def _name(trial: Trial) -> str:
    return f"{trial.variant} seed {trial.seed}"


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _logs(logs: Mapping[str, float | None]) -> str:
    shown = [name for name in ("loss", "accuracy", "val_loss", "val_accuracy") if name in logs]
    return "  ".join(f"{name} {logs[name]:.4g}" for name in shown if logs[name] is not None)


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
