"""Ctrl-C and SIGTERM at any moment of a real command, and scripts that start TensorFlow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial

import pytest

from ablate.config import dump_study
from ablate.execution.file_channel import collect
from ablate.store import Store
from tests.execution.processes import alive, listens, wait_for, workers_of
from tests.execution.test_laws import study

pytestmark = pytest.mark.slow

LONG = study(study="long", train={"epochs": 100_000, "threads": 1})


def at_once(driver, store):
    return True


def workers_start(driver, store):
    return workers_of(driver.pid)


def trials_train(driver, store):
    return any(store.works.glob("*/events.jsonl"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
@pytest.mark.parametrize("moment", [at_once, workers_start, trials_train])
def test_a_run_that_is_stopped_says_what_is_kept_and_how_to_go_on(tmp_path, moment, number):
    file = tmp_path / "long.yaml"
    file.write_text(dump_study(LONG))
    store = Store(tmp_path / "logs", "long")
    driver = subprocess.Popen(
        [sys.executable, "-m", "ablate", "run", str(file), "--logs", str(tmp_path / "logs"),
         "--workers", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,  # a terminal sends Ctrl-C to the whole group
    )  # fmt: skip
    assert wait_for(partial(listens, driver.pid))
    assert wait_for(partial(moment, driver, store))
    workers = workers_of(driver.pid)
    os.killpg(driver.pid, number)
    said, _ = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "Stopped" in said and "Run the same command again" in said
    assert "Traceback" not in said and "KeyboardInterrupt" not in said
    assert wait_for(lambda: not any(alive(each) for each in workers), 20), "orphans"
    if moment is trials_train:
        assert "0 trials finished and saved, 8 left" in said
        statuses = {each.status for each in store.results().values()}
        assert statuses == {"interrupted"}
        assert all(collect(store.works, each) is None for each in store.results())


def test_a_guarded_script_may_start_tensorflow_when_it_is_imported(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(
        "import ablate, keras, numpy as np, tensorflow as tf\n"
        "x = np.random.default_rng(0).normal(size=(60, 4)).astype('float32')\n"
        "rows = tf.data.Dataset.from_tensor_slices((x, np.arange(60) % 3)).batch(20)\n"
        "total = float(tf.reduce_sum(x))\n"
        "def load():\n"
        "    return {'train': rows}\n"
        "if __name__ == '__main__':\n"
        "    study = ablate.Study(study='mine', model={'name': 'mlp', 'units': [4]},\n"
        "        data={'call': 'mine:load', 'load': 'memory'}, seeds=1,\n"
        "        train={'epochs': 1, 'threads': 1},\n"
        "        variants={'plain': {}, 'bn': {'insert': [\n"
        "            {'layer': 'BatchNormalization', 'at': 'before_activation'}]}})\n"
        "    results = ablate.run(study, workers=1, watchers=[])\n"
        "    print(results.counts(), [each.environment['threads'] for each in results.results])\n"
    )
    ran = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert "['1', '1']" in ran.stdout and "'completed': 2" in ran.stdout, ran.stdout + ran.stderr
