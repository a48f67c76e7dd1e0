"""The progress of a run, as it happens: a display on a terminal, plain lines elsewhere.

The runner tells what happens (`begin`, `started`, `epoch`, …); this module shows it. On a
terminal, and in a notebook, there is one bar over all epochs and a line per trial under way; in a
log file there is a line per finished trial, at most one every few seconds.
"""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.text import Text

from ablate.reasons import sentence
from ablate.study.pace import Pace
from ablate.study.progress import Event, Watcher
from ablate.study.trial import Trial, TrialResult

#: Seconds between two plain lines.
PAUSE = 5.0

#: Seconds without a line after which the trial under way gets one, where there is no bar.
SILENCE = 60.0

#: Seconds between two states of a notebook's bar.
OFTEN = 0.25

#: More trials than this under way are counted, not listed.
LISTED = 8


@dataclass(frozen=True)
class _UnderWay:
    """How far a trial is: epochs done, what the last one gave, the batches of the next one."""

    trial: Trial
    epoch: int
    logs: Mapping[str, float | None] = field(default_factory=dict)
    step: int = 0
    steps: int = 0
    since: float = field(default_factory=lambda: time.monotonic())

    @property
    def share(self) -> float:
        """The share of its epochs that is trained."""
        within = self.step / self.steps if self.steps else 0.0
        epochs = self.trial.spec.train.epochs
        return min((self.epoch + within) / epochs, 1.0) if epochs else 0.0

    @property
    def words(self) -> str:
        """Say it: `epoch 2/20, step 140 of 782 of the next`."""
        text = f"epoch {self.epoch}/{self.trial.spec.train.epochs}"
        return f"{text}, step {self.step} of {self.steps} of the next" if self.steps else text


class Display(Watcher):
    """Show the progress of a run on `console`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._running: dict[str, _UnderWay] = {}
        self._counts = {"completed": 0, "diverged": 0, "failed": 0}
        self._total = 0
        self._status: Status | None = None
        self._prepared = ""
        self._waiting: dict[str, Trial] = {}
        self._pace, self._epochs = Pace(), dict[str, float]()
        self._most_running = 1
        self._spoke = 0.0
        self._began = 0.0
        self._output: _Output | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        self._bar = self._progress.add_task("starting", total=1, left="")

    def preparing(self, what: str) -> None:
        """Say what is done before anything trains: beside a spinner, or as a line."""
        if what == self._prepared:
            return
        self._prepared = what
        if not self._console.is_terminal:
            self._say(f"{_plain(what)} …")
        elif self._status is None:
            self._status = self._console.status(f"{_plain(what)} …")
            self._status.start()
        else:
            self._status.update(f"{_plain(what)} …")

    def expected(self, trials: Sequence[Trial], pace: Pace) -> None:
        """Take note of what is to be trained, and of how fast such was trained before."""
        self._waiting, self._pace = {each.id: each for each in trials}, pace
        self._advance()

    def stage(self, what: str) -> None:
        """Say what comes, and count anew."""
        self._prepare_no_more()
        self._console.print(what)
        self._counts = dict.fromkeys(self._counts, 0)

    def begin(self, todo: int, kept: int, dropped: int = 0) -> None:
        """Say how many trials there are to train, are done, and are no longer planned."""
        self._prepare_no_more()
        self._total = todo
        self._counts = dict.fromkeys(self._counts, 0)  # another study may have been run first
        self._began = time.monotonic()
        self._progress.reset(self._bar)
        done = f" ({kept} already done)" if kept else ""
        text = (
            f"Training {count(todo, 'trial')}{done}."
            if todo
            else f"Nothing to train: {count(kept, 'trial')} already done."
        )
        if dropped:
            text += f" {count(dropped, 'trial')} on disk no longer planned: kept, not counted."
        self._console.print(text)
        if not todo:
            return
        self._progress.update(self._bar, total=todo)
        self._output = _Output.here()
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._picture, console=self._console, refresh_per_second=4,
                transient=True,
            )  # fmt: skip
            self._live.start()

    def built(self, lines: Sequence[str]) -> None:
        """Say which weights are kept and which are fresh."""
        for line in lines:
            self._console.print(escape(line), highlight=False)

    def planned(self, plan: Any, todo: int) -> None:
        """Count the trials that were added."""
        self._total = todo
        self._waiting |= {each.id: each for each in getattr(plan, "todo", ())}
        self._progress.update(self._bar, total=todo)

    def started(self, trial: Trial, epoch: int) -> None:
        """Show that a trial is under way."""
        self._running[trial.id] = _UnderWay(trial, epoch)
        self._most_running = max(self._most_running, len(self._running))
        if epoch > 0:
            self._say(f"{_name(trial)} goes on from epoch {epoch}.")

    def epoch(self, trial: Trial, event: Event) -> None:
        """Show how far a trial is."""
        before = self._running.get(trial.id)
        now = self._running[trial.id] = _UnderWay(trial, event.epoch, event.logs)
        if before is not None and 0 < before.epoch < now.epoch:  # the first epoch warms up
            self._epochs[trial.variant] = (now.since - before.since) / (now.epoch - before.epoch)
        self._advance()
        self._break_silence(trial)

    def step(self, trial: Trial, event: Event) -> None:
        """Show how far a trial is within a long epoch."""
        before = self._running.get(trial.id) or _UnderWay(trial, event.epoch - 1)
        self._running[trial.id] = replace(before, step=event.step, steps=event.steps)
        self._advance()
        self._break_silence(trial)

    def finished(self, trial: Trial, result: TrialResult, arrays: Mapping[str, Any]) -> None:
        """Count an outcome; say at once what went wrong."""
        self._running.pop(trial.id, None)
        self._waiting.pop(trial.id, None)
        self._pace = self._pace.updated(Pace.of([result]))
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
        elif not self._console.is_terminal and self._output is None:
            self._plain_progress()

    def lost(self, trial: Trial, reason: str, again: bool) -> None:
        """Say that a worker was lost."""
        what = "tried again" if again else "given up"
        self._say(f"[red]lost[/red]      {_name(trial)}: {_plain(reason)}; {what}.")

    def end(self) -> None:
        """Take the display down."""
        self._prepare_no_more()
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
        part = sum(each.share for each in self._running.values())
        self._progress.update(
            self._bar, completed=self._done + part, description=self._summary(), left=self._left()
        )
        if self._output is not None:
            self._output.show(self._html(self._done + part), last=self._done == self._total)

    def _html(self, done: float) -> str:
        """Return the bar, the time left and the trials under way, for a notebook."""
        words = " · ".join(filter(None, (self._summary(), self._left())))
        lines = [html.escape(each) for each in self._lines()]
        return (
            f'<progress value="{done:.3f}" max="{self._total}" aria-label="progress"></progress> '
            f"{html.escape(words)}<pre style='margin:0'>{'<br>'.join(lines)}</pre>"
        )

    def _left(self) -> str:
        """Say how long the rest takes, "" where nothing tells yet."""
        pace = self._pace.updated(Pace(self._epochs))
        seconds = pace.left(
            (
                (each.variant, each.spec.train.epochs * (1 - self._share(each)))
                for each in self._waiting.values()
            ),
            self._most_running,
            len({each.variant for each in self._waiting.values()} - pace.rates.keys()),
        )
        return "" if seconds is None or not self._waiting else f"about {duration(seconds)} left"

    def _share(self, trial: Trial) -> float:
        return self._running[trial.id].share if trial.id in self._running else 0.0

    def _prepare_no_more(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _summary(self) -> str:
        parts = [f"{self._done}/{count(self._total, 'trial')}"]
        parts += [f"{self._counts[each]} {each}" for each in ("diverged", "failed")
                  if self._counts[each]]  # fmt: skip
        return ", ".join(parts)

    def _picture(self) -> RenderableType:
        return Group(self._progress.get_renderable(), *map(Text, self._lines()))

    def _lines(self) -> list[str]:
        lines = [
            f"  {_name(each.trial):<28} {each.words}  {_logs(each.logs)}"
            for each in list(self._running.values())[:LISTED]
        ]
        if (more := len(self._running) - LISTED) > 0:
            lines.append(f"  and {more} more under way")
        return lines

    def _plain_progress(self) -> None:
        now = time.monotonic()
        if now - self._spoke < PAUSE and self._done < self._total:
            return
        self._spoke = now
        left = self._left() if self._done < self._total else ""
        ending = f", {left}" if left else ""
        self._console.print(f"{self._summary()}{ending}", highlight=False)

    def _break_silence(self, trial: Trial) -> None:
        """Say in a log file how far a trial is, where it would stay silent for long."""
        now = time.monotonic()
        if (
            self._console.is_terminal
            or self._output
            or now - max(self._spoke, self._began) < SILENCE
        ):
            return
        self._spoke = now
        under_way = self._running[trial.id]
        self._say(_plain(f"{_name(trial)}: {under_way.words}  {_logs(under_way.logs)}".rstrip()))

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False)


class _Output:
    """An output of a notebook that is shown anew, a few times a second at most."""

    def __init__(self, display: Callable[..., Any], as_html: Callable[[str], Any]) -> None:
        self._as_html = as_html
        self._handle = display(as_html(""), display_id=True)
        self._shown = 0.0

    @classmethod
    def here(cls) -> _Output | None:
        """Return an output of the notebook that this runs in, None where it runs in none."""
        if "IPython" not in sys.modules:
            return None
        from IPython import get_ipython
        from IPython.display import HTML, display

        return cls(display, HTML) if hasattr(get_ipython(), "kernel") else None

    def show(self, text: str, *, last: bool = False) -> None:
        """Show HTML in the place of what was shown."""
        now = time.monotonic()
        if last or now - self._shown > OFTEN:
            self._handle.update(self._as_html(text))
            self._shown = now


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
