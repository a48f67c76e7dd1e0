"""Kills and signals at random moments, of workers and driver: the results stay the same bits.

`ABLATE_KILLS=100 python -m pytest -m slow tests/execution/test_stress.py` hits a hundred times.
"""

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
from tests.execution.processes import alive, listens, wait_for, workers_of
from tests.execution.test_laws import numbers

#: Kills and signals; `ABLATE_KILLS=100` asks for another number of them.
KILLS = int(os.environ.get("ABLATE_KILLS", "20"))


@pytest.mark.slow
@pytest.mark.timeout(300 + 90 * KILLS)
def test_kills_and_signals_at_any_moment_change_no_bit(tmp_path):
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
    with (tmp_path / "said").open("wb") as said:
        while kills < KILLS:
            if not plan(study, store).todo:
                store.set_aside()  # all done before the kills were: begin again, go on killing
            driver = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
            kills += disturbed(driver, store, dice, KILLS - kills)
            driver.wait(timeout=600)
            for record in store.trials.glob("*.json"):
                assert store.load(record.stem) is not None, "a torn record"
    assert b"Traceback" not in (tmp_path / "said").read_bytes()
    for _ in range(3):  # a trial that lost three workers in one run is given up by that run
        final = run(study, logs=tmp_path / "logs", workers=2, watchers=())
        if not final.counts().get("failed"):
            break
    assert numbers(final.results) == numbers(undisturbed.results)


def disturbed(driver: subprocess.Popen, store: Store, dice: random.Random, most: int) -> int:
    """Kill workers of a run, and in the end its driver, by chance; return how often it was hit.

    Half of the runs are first hit while they start, the others once they train.
    """
    hits = 0
    wait_for(lambda: driver.poll() is not None or listens(driver.pid))
    starting = dice.random() < 0.5
    while hits < most:
        if starting:
            time.sleep(dice.uniform(0.0, 4.0))
        else:
            wait_for(partial(ended_or_training, driver, store), 60)
            time.sleep(dice.uniform(0.0, 1.5))
        if driver.poll() is not None:
            break
        workers = workers_of(driver.pid)
        hits += 1
        if workers and dice.random() < 0.5:
            send(dice.choice(workers), signal.SIGKILL)
            starting = dice.random() < 0.3
            continue
        number = dice.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
        # A terminal sends Ctrl-C to all that it started.
        (send_group if number == signal.SIGINT else send)(driver.pid, number)
        code = driver.wait(timeout=120)
        assert code in ({-9} if number == signal.SIGKILL else {0, 1, 130}), code
        assert wait_for(partial(all_gone, workers), 20), "orphans"
        break
    return hits


def training(store: Store) -> bool:
    """Whether a worker has begun a trial."""
    return store.works.is_dir() and any(store.works.glob("*/events.jsonl"))


def ended_or_training(driver: subprocess.Popen, store: Store) -> bool:
    """Whether there is something to kill, or nothing any more."""
    return driver.poll() is not None or training(store)


def all_gone(workers: list[int]) -> bool:
    """Whether no worker is left."""
    return not any(alive(each) for each in workers)


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may have just ended by itself."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def send_group(pid: int, number: int) -> None:
    """Send a signal to a session's processes, which may have just ended by themselves."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
