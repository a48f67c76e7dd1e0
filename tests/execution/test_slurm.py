"""Slurm: the scripts that would be sent, preemption, and jobs that outlive their driver.

There is no Slurm here: `sbatch`, `srun` and `sacct` are stand-ins that run an array's jobs on
this machine, so that the way from a study to its results is walked whole.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ablate.config import dump_study
from ablate.errors import StudyError
from ablate.execution import slurm
from ablate.execution.messages import Done, Finished, Task
from ablate.execution.plan import plan
from ablate.execution.run import run
from ablate.execution.screen import screen
from ablate.execution.slurm import JOBS, SlurmJobs, parameters
from ablate.execution.status import progress
from ablate.store import Store
from ablate.study.progress import Event
from ablate.study.schema.execution import Execution
from ablate.study.study import Study

pytest.importorskip("submitit")

SBATCH = """#!{python}
import os, re, subprocess, sys
from pathlib import Path
place = Path({place!r})
script = Path(sys.argv[1]).read_text()
number = 100 + len(list(place.glob("sent-*")))
(place / f"sent-{{number}}").write_text(script)
array = re.search(r"--array=0-([0-9]+)", script)
for task in range(int(array.group(1)) + 1) if array else [None]:
    name = str(number) if task is None else f"{{number}}_{{task}}"
    more = {{"SLURM_JOB_ID": name}} if task is None else {{
        "SLURM_JOB_ID": str(number), "SLURM_ARRAY_JOB_ID": str(number),
        "SLURM_ARRAY_TASK_ID": str(task)}}
    environment = {{**os.environ, **more, "SLURM_PROCID": "0", "SLURM_LOCALID": "0",
                   "SLURM_NODEID": "0", "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1"}}
    with open(place / f"log-{{name}}", "w") as log:
        job = subprocess.Popen(["bash", sys.argv[1]], env=environment, start_new_session=True,
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    (place / f"process-{{name}}").write_text(str(job.pid))
print(f"Submitted batch job {{number}}")
"""

SRUN = """#!{python}
import os, sys
command = sys.argv[1 + next(k for k, each in enumerate(sys.argv[1:]) if "python" in each):]
os.execv(command[0], command)
"""

SCONTROL = """#!{python}
import os, signal, subprocess, sys, time
from pathlib import Path
place, number = Path({place!r}), sys.argv[sys.argv.index("requeue") + 1]
running = int((place / f"process-{{number}}").read_text())
(place / f"requeued-{{number}}").touch()
again = "while kill -0 -- -$0 2>/dev/null; do sleep 0.1; done; exec bash $1"
environment = {{key: value for key, value in os.environ.items() if key != "SUBMITIT_EXECUTOR"}}
with open(place / f"log-{{number}}", "a") as log:
    job = subprocess.Popen(["bash", "-c", again, str(running), str(place / f"sent-{{number}}")],
                           env=environment, start_new_session=True, stdin=subprocess.DEVNULL,
                           stdout=log, stderr=log)
(place / f"process-{{number}}").write_text(str(job.pid))
end = "kill -TERM -- -$0; sleep 30; kill -KILL -- -$0"  # the first one submitit passes over
subprocess.Popen(["bash", "-c", end, str(running)], start_new_session=True,
                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""

SACCT = """#!{python}
import os, pathlib
print("JobID|State|NodeList")
for each in sorted(pathlib.Path({place!r}).glob("process-*")):
    state = "RUNNING" if os.path.exists(f"/proc/{{each.read_text()}}") else "COMPLETED"
    print(f"{{each.name.partition('-')[2]}}|{{state}}|here")
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder that holds stand-ins for Slurm's commands, and what they were asked."""
    place = tmp_path / "slurm"
    place.mkdir()
    for name, text in (
        ("sbatch", SBATCH), ("srun", SRUN), ("sacct", SACCT), ("scontrol", SCONTROL),
    ):  # fmt: skip
        file = place / name
        file.write_text(text.format(python=sys.executable, place=str(place)))
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "LOOK", 0.1)
    monkeypatch.setattr(slurm, "ASK", 0.5)
    yield place
    for each in place.glob("process-*"):
        try:
            os.killpg(int(each.read_text()), signal.SIGKILL)
        except OSError:
            continue


def study(**changes) -> Study:
    return Study(
        **{
            "study": "arrays",
            "data": {"name": "digits", "limit": 96},
            "model": {"name": "mlp", "units": [12]},
            "train": {"epochs": 3, "threads": 1},
            "seeds": 1,
            "variants": {"plain": {}, "dropout": {"insert": [
                {"layer": "Dropout", "rate": 0.5, "at": "after_activation"}]}},
            "execution": {"executor": "slurm", "partition": "short", "workers": 2},
            **changes,
        }
    )  # fmt: skip


def effects(results) -> list:
    return [(each.name, each.effect, each.low, each.high) for each in results.found.factors]


def numbers(results) -> dict:
    return {
        each.id: (each.status, dict(each.metrics), {k: list(v) for k, v in each.curves.items()})
        for each in results
    }


@pytest.mark.slow
def test_a_study_goes_out_as_one_array_and_comes_back_whole(cluster, tmp_path):
    found = run(study(), logs=tmp_path / "logs", watchers=[])
    (script,) = [each.read_text() for each in cluster.glob("sent-*")]
    flags = dict(re.findall(r"#SBATCH --([a-z-]+)=(\S+)", script))
    assert flags["job-name"] == "ablate-arrays"
    assert flags["partition"] == "short"
    assert flags["array"] == "0-1%2"
    assert flags["cpus-per-task"] == "1" and flags["nodes"] == "1"
    assert flags["signal"].startswith("USR2@") and "#SBATCH --requeue" in script
    assert "submitit.core._submit" in script and "gpus" not in script
    serial = run(study(), logs=tmp_path / "serial", executor="serial", watchers=[])
    assert numbers(found.results) == numbers(serial.results)
    assert not Store(tmp_path / "logs", "arrays").works.exists()


@pytest.mark.slow
def test_jobs_outlive_their_driver_and_the_next_run_takes_them_up(cluster, tmp_path):
    mine = study(study="away", train={"epochs": 1500, "threads": 1})
    file = tmp_path / "away.yaml"
    file.write_text(dump_study(mine))
    logs = tmp_path / "logs"
    command = [sys.executable, "-m", "ablate", "run", str(file), "--logs", str(logs), "--quiet"]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    works = Store(logs, "away").works
    assert wait_for(lambda: len(list(works.glob("*/events.jsonl"))) == 2)
    driver.kill()
    driver.wait()
    assert len(progress(mine, logs=logs).running) + progress(mine, logs=logs).todo > 0
    found = run(mine, logs=logs, watchers=[])
    assert found.counts() == {"completed": 2}
    assert [each.attempts for each in found.results] == [1, 1]
    assert len(list(cluster.glob("sent-*"))) == 1, "sent a second time"
    assert not works.exists()


@pytest.mark.slow
def test_a_preempted_job_goes_on_and_skips_what_was_handed_in(cluster, tmp_path):
    mine = study(
        study="preempted",
        variants={"plain": {}, "long": {"train": {"epochs": 4000}}},
        execution={"executor": "slurm", "workers": 1},
    )
    store = Store(tmp_path, "preempted")
    short, long = sorted(plan(mine, store).trials, key=lambda each: each.spec.train.epochs)
    jobs = SlurmJobs(store.works, threads=1, execution=mine.execution, cluster="slurm")
    jobs.submit(Task(1, (short, long)))
    said: list = []
    preempted = False
    until = time.monotonic() + 300
    while not any(isinstance(each, Done) for each in said) and time.monotonic() < until:
        new = jobs.poll(0.5)
        said += new
        for each in new:
            if isinstance(each, Finished):
                store.clear_work(each.result.id)  # as the runner does
        if not preempted and list(store.work(long.id).glob("checkpoint*")):
            preempted = True
            # As Slurm does: to the steps of the job, not to the shell that runs its script.
            script = psutil.Process(int((cluster / "process-100").read_text()))
            for step in script.children():
                step.send_signal(signal.SIGUSR2)
    jobs.close()
    assert (cluster / "requeued-100").exists() and len(list(cluster.glob("sent-*"))) == 1
    assert [each.result.id for each in said if isinstance(each, Finished)] == [short.id, long.id]
    started = [each for each in said if isinstance(each, Event) and each.kind == "started"]
    assert [each.trial for each in started] == [short.id, long.id, long.id]
    assert started[2].epoch > 0, "began anew"
    assert all(e.result.status == "completed" for e in said if isinstance(e, Finished))
    assert not (store.works / JOBS).exists()


@pytest.mark.slow
def test_a_screening_whose_driver_is_killed_picks_what_it_would_have(cluster, tmp_path):
    mine = study(
        study="where",
        model={"name": "mlp", "units": [6, 6]},
        train={"epochs": 1, "threads": 1},
        seeds=2,
        variants={},
        screen={
            "placements": [{"layer": "BatchNormalization", "at": "before_activation"}],
            "confirm_seeds": 2,
        },
    )
    file, logs = tmp_path / "where.yaml", tmp_path / "logs"
    file.write_text(dump_study(mine))
    command = [sys.executable, "-m", "ablate", "screen", str(file), "--logs", str(logs), "--quiet"]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    trials = Store(logs, "where").trials
    assert wait_for(lambda: len(list(trials.glob("*.json"))) > 1)
    driver.kill()
    driver.wait()
    found = screen(mine, logs=logs, watchers=[])
    serial = mine.with_fields(execution={"executor": "serial"})
    wanted = screen(serial, logs=tmp_path / "serial", watchers=[])
    assert found.pick == wanted.pick
    assert effects(found) == effects(wanted)  # all but what inference took
    assert numbers(found.confirmed.results) == numbers(wanted.confirmed.results)


def test_a_job_that_is_queued_again_ends_though_its_exit_was_dropped(tmp_path, monkeypatch):
    """TensorFlow's C++ drops exceptions that a signal raises in it; the next report is the end."""
    mine = study(study="dropped")
    (first, *_) = plan(mine, Store(tmp_path, "dropped")).trials
    (tmp_path / JOBS).mkdir()
    job = slurm.Job(Task(1, (first,)), tmp_path, "mark", 1, False)
    epochs = []

    def train(task, works, reporter):
        for epoch in (0, 1, 2):
            reporter.report(Event(first.id, "epoch", epoch, 3))
            epochs.append(epoch)
            if epoch == 1:
                job.checkpoint()

    monkeypatch.setattr(slurm.worker, "train", train)
    monkeypatch.setattr(slurm.worker, "prepare", lambda threads: None)
    with pytest.raises(SystemExit):
        job()
    assert epochs == [0, 1]
    with pytest.raises(SystemExit):
        job()
    assert epochs == [0, 1, 0, 1], "the job that was queued again trains"


def test_what_slurm_is_asked_for():
    execution = Execution(executor="slurm", partition="gpu", gpus_per_trial=0.25, cpus_per_trial=3)
    assert parameters(execution, 2, "slurm", "ablate-x") == {
        "name": "ablate-x",
        "nodes": 1,
        "tasks_per_node": 1,
        "cpus_per_task": 3,
        "timeout_min": 1440,
        "gpus_per_node": 1,
        "slurm_additional_parameters": {"requeue": True},
        "slurm_array_parallelism": slurm.SLOTS,
        "slurm_partition": "gpu",
    }
    assert "gpus_per_node" not in parameters(Execution(executor="slurm"), 2, "local", "ablate-x")


def test_a_machine_without_slurm_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StudyError, match="cannot send jobs to Slurm"):
        SlurmJobs(tmp_path / "work", threads=1, execution=Execution(executor="slurm"))


def test_the_notes_of_jobs_survive_tidying(tmp_path):
    store = Store(tmp_path, "tidy")
    note = store.works / JOBS / "7.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"job": "7", "trials": ["a"], "mark": "m"}))
    (store.works / "gone").mkdir()
    store.tidy_works(keep=[])
    assert [each.name for each in Path(store.works).iterdir()] == [JOBS]


def wait_for(condition, seconds: float = 200.0) -> bool:
    """Wait until something outside this process is so; False if it does not come."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False
