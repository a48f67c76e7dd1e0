"""Scripts of the team's own, in the style of public tutorials, captured in this process."""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import keras
import pytest

from ablate.capture.run import Run
from ablate.capture.source import read
from ablate.config import load_study
from ablate.scripts import launch
from ablate.scripts.study import Asked

EXAMPLES = Path(__file__).parent / "examples"


@pytest.fixture(autouse=True)
def in_process(monkeypatch, tmp_path):
    """Run scripts here: a process of their own has other tests, and takes seconds to start."""

    def process(scratch, say):
        request = json.loads((scratch / "request.json").read_text())
        policy = keras.config.dtype_policy()
        with contextlib.redirect_stderr(io.StringIO()) as said:
            Run(read(Path(request["file"])), request).go()
        keras.config.set_dtype_policy(policy)
        return 0, said.getvalue()

    monkeypatch.setattr(launch, "_process", process)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(os.environ, "MPLBACKEND", "Agg")


@pytest.fixture
def study_of(tmp_path):
    """Return the study of an example, and the lines that a person sees."""

    def make(name, *arguments, rehearse=False, **settings):
        lines = []
        study = load_study(
            name if Path(name).is_absolute() else EXAMPLES / name,
            settings,
            logs=tmp_path / "logs",
            asked=Asked(lines.append, arguments, rehearse),
        )
        return study, lines

    return make
