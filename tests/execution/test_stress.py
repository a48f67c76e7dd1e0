"""Twenty kills at random moments, of workers and of the driver: the results stay the same bits."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial

import pytest

from ablate.config import dump_study
from ablate.execution.plan import plan
from ablate.execution.run import run
from ablate.store import Store
from ablate.study.study import Study
from tests.execution.processes import alive, wait_for, workers_of
from tests.execution.test_laws import numbers

KILLS = 20


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_twenty_kills_change_no_bit(tmp_path):
    study = Study(
        study="stress",
        data={"name": "digits"},
        model={"name": "mlp", "units": [32]},
        train={"epochs": 120, "threads": 1, "optimizer": "adam"},
        seeds=3,
        variants={
            "plain": {},
            "bn": {"insert": [{"layer": "BatchNormalization", "at": "before_activation"}]},
            "dropout": {"insert": [{"layer": "Dropout", "rate": 0.5, "at": "after_activation"}]},
        },
    )
    undisturbed = run(study, logs=tmp_path / "undisturbed", workers=2, watchers=())
    file = tmp_path / "stress.yaml"
    file.write_text(dump_study(study))
    command = [sys.executable, "-m", "ablate", "run", str(file), "--logs", str(tmp_path / "logs"),
               "--workers", "2", "--quiet"]  # fmt: skip
    store = Store(tmp_path / "logs", "stress")
    dice = random.Random(11)
    kills = 0
    while kills < KILLS:
        if not plan(study, store).todo:
            store.set_aside()  # all done before the kills were: begin again, go on killing
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while kills < KILLS:
            wait_for(partial(ended_or_training, driver, store), 60)
            if driver.poll() is not None:
                break
            time.sleep(dice.uniform(0.0, 1.5))
            workers = workers_of(driver.pid)
            kills += 1
            if workers and dice.random() < 0.5:
                kill(dice.choice(workers))
                continue
            kill(driver.pid)
            driver.wait()
            assert wait_for(partial(all_gone, workers), 20), "orphans"
            break
        if driver.poll() is None:
            driver.wait(timeout=600)
        for record in store.trials.glob("*.json"):
            assert store.load(record.stem) is not None, "a torn record"
    for _ in range(3):  # a trial that lost three workers in one run is given up by that run
        final = run(study, logs=tmp_path / "logs", workers=2, watchers=())
        if not final.counts().get("failed"):
            break
    assert numbers(final.results) == numbers(undisturbed.results)


def training(store: Store) -> bool:
    """Whether a worker has begun a trial."""
    return store.works.is_dir() and any(store.works.glob("*/events.jsonl"))


def ended_or_training(driver: subprocess.Popen, store: Store) -> bool:
    """Whether there is something to kill, or nothing any more."""
    return driver.poll() is not None or training(store)


def all_gone(workers: list[int]) -> bool:
    """Whether no worker is left."""
    return not any(alive(each) for each in workers)


def kill(pid: int) -> None:
    """Kill a process that may have just ended by itself."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
