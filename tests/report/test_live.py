"""The progress of a run: on a terminal, and in a log file, where long epochs break the silence."""

from __future__ import annotations

import io

from rich.console import Console

from ablate.report import live
from ablate.report.live import Display
from ablate.study.progress import Event
from ablate.study.schema.data import Data
from ablate.study.schema.model import Model
from ablate.study.schema.train import Train
from ablate.study.trial import Spec, Trial, TrialResult

SPEC = Spec(data=Data(name="digits"), model=Model(name="mlp"), train=Train(epochs=4, threads=1))
TRIAL = Trial(id="a", variant="bn", seed=2, spec=SPEC)


def display(**options) -> tuple[Display, io.StringIO]:
    text = io.StringIO()
    return Display(Console(file=text, width=100, **options)), text


def picture(shown: Display) -> str:
    text = io.StringIO()
    Console(file=text, width=100).print(shown._picture())
    return text.getvalue()


def test_a_long_epoch_shows_its_steps_and_moves_the_bar():
    shown, _ = display(force_terminal=True)
    shown._total = 1
    shown._progress.update(shown._bar, total=1)
    shown.started(TRIAL, 0)
    shown.step(TRIAL, Event("a", "step", 1, 4, step=30, steps=120))
    assert "bn seed 2" in picture(shown)
    assert "epoch 0/4, step 30 of 120 of the next" in picture(shown)
    assert "6 %" in picture(shown)  # a quarter of the first of four epochs
    shown.epoch(TRIAL, Event("a", "epoch", 1, 4, {"loss": 0.5}))
    assert "epoch 1/4  loss 0.5" in picture(shown) and "step" not in picture(shown)
    assert "25 %" in picture(shown)
    shown.finished(TRIAL, TrialResult(id="a", variant="bn", seed=2, status="completed"), {})
    assert "bn seed 2" not in picture(shown) and "100 %" in picture(shown)


def test_a_log_file_gets_a_line_when_it_was_silent_for_long(monkeypatch):
    shown, text = display()
    shown.begin(1, 0)
    shown.started(TRIAL, 0)
    shown.step(TRIAL, Event("a", "step", 1, 4, step=30, steps=120))
    assert text.getvalue() == "Training 1 trial.\n"
    monkeypatch.setattr(live, "SILENCE", 0.0)
    shown.step(TRIAL, Event("a", "step", 1, 4, step=31, steps=120))
    assert text.getvalue().splitlines()[1:] == ["bn seed 2: epoch 0/4, step 31 of 120 of the next"]
