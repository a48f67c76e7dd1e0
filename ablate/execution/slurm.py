"""The Slurm executor: one job for each group of trials, sent through submitit.

Tasks go in, messages come out, as for every executor. All machines of a Slurm cluster share a
disk, so workers write under `work/<trial>/` as on one machine and the driver reads there. A
preempted job is queued again by submitit and goes on from its checkpoint. The driver may go
away: jobs stay, `ablate status` reads what is there, and the next `ablate run` takes them up.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ablate.errors import MissingExtraError, StudyError
from ablate.execution import worker
from ablate.execution.devices import Lane
from ablate.execution.local import Processes
from ablate.execution.mailbox import Mailbox, forget_events
from ablate.execution.messages import Done, Lost, Message, Task
from ablate.store import write_text
from ablate.study.study import Execution
from ablate.study.trial import Trial

#: Pause between two looks at the shared disk, in seconds, and between two questions to Slurm.
LOOK, ASK = 0.5, 5.0

#: Jobs that may wait or run at once; Slurm's own limits come on top.
SLOTS = 256

JOBS = ".jobs"


class SlurmJobs:
    """Run tasks as Slurm jobs; `cluster` "local" and "debug" are submitit's own stand-ins.

    Raises:
        MissingExtraError: submitit is not installed.
        StudyError: there is no Slurm on this machine.
    """

    def __init__(
        self, works: Path, *, threads: int, execution: Execution, cluster: str | None = None
    ) -> None:
        self._submitit = _submitit()
        self._works = works.resolve()
        self._threads = threads
        self.slots = SLOTS if not isinstance(execution.workers, int) else execution.workers
        self._folder = self._works / JOBS
        self._folder.mkdir(parents=True, exist_ok=True)
        cluster = cluster or os.environ.get("ABLATE_SLURM_CLUSTER") or "slurm"
        try:
            self._cluster = self._submitit.AutoExecutor(folder=self._folder, cluster=cluster)
        except RuntimeError as error:
            raise StudyError(
                f"This machine cannot send jobs to Slurm: {error}. Run on a login node, "
                "or choose another executor."
            ) from None
        self._interval = LOOK if cluster == "slurm" else 0.05
        self._cluster.update_parameters(**parameters(execution, threads, cluster))
        self._flying: dict[int, tuple[Task, Mailbox, Any]] = {}
        self._asked = 0.0
        self._planner: Processes | None = None

    def warm(self) -> None:
        """Nothing to start: Slurm starts jobs when it has room."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in a worker process of this machine."""
        if self._planner is None:
            self._planner = Processes(self._works, threads=self._threads, lanes=[Lane(1)])
        return self._planner.call(function, *arguments)

    def under_way(self, trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
        """Return the groups that jobs of an earlier driver still have, to be submitted as such.

        `submit` recognises them and takes the job up instead of sending another.
        """
        wanted = {trial.id: trial for trial in trials}
        groups = []
        for note in self._notes():
            mine = tuple(wanted[name] for name in note["trials"] if name in wanted)
            if mine and not self._job(note["job"]).done():
                groups.append(mine)
        return groups

    def submit(self, task: Task) -> None:
        """Send a job, or take up the one of an earlier driver that has these trials."""
        if self._planner is not None:
            self._planner.close()
            self._planner = None
        names = tuple(trial.id for trial in task.trials)
        for note in self._notes():
            if set(names) <= set(note["trials"]) and not self._job(note["job"]).done():
                box = Mailbox(self._works, names)
                self._flying[task.number] = (task, box, self._job(note["job"]))
                return
        for name in names:
            forget_events(self._works, name)
        job = self._cluster.submit(Job(task, self._works, tuple(path for path in sys.path if path)))
        text = json.dumps({"job": job.job_id, "trials": names})
        write_text(self._folder / f"{job.job_id}.json", text)
        self._flying[task.number] = (task, Mailbox(self._works, names), job)

    def poll(self, timeout: float) -> list[Message]:
        """Return what has been said since, waiting up to `timeout` seconds."""
        until = time.monotonic() + timeout
        while True:
            ask = time.monotonic() - self._asked >= min(ASK, 10 * self._interval)
            messages = [each for number in list(self._flying) for each in self._look(number, ask)]
            if ask:
                self._asked = time.monotonic()
            left = until - time.monotonic()
            if messages or left <= 0:
                return messages
            time.sleep(min(self._interval, left))

    def stop(self, task: Task) -> None:
        """Cancel a task's job; a `Lost` follows."""
        if task.number in self._flying:
            self._flying[task.number][2].cancel(check=False)

    def close(self) -> None:
        """Leave: jobs that were sent go on, and the next run takes them up."""
        if self._planner is not None:
            self._planner.close()
        self._flying.clear()

    def _look(self, number: int, ask: bool) -> list[Message]:
        task, box, job = self._flying[number]
        ended = ask and job.done()  # before reading: what was written until then is there
        messages = box.read()
        if box.current is not None and not ended:
            return messages
        del self._flying[number]
        (self._folder / f"{job.job_id}.json").unlink(missing_ok=True)
        if box.current is None:
            return [*messages, Done(task)]
        return [*messages, Lost(task, f"its job {job.job_id} ended without it ({_reason(job)})")]

    def _notes(self) -> list[dict[str, Any]]:
        return [json.loads(each.read_text(encoding="utf-8")) for each in
                sorted(self._folder.glob("*.json"))]  # fmt: skip

    def _job(self, number: str) -> Any:
        return self._cluster.job_class(folder=self._folder, job_id=number)


class Job:
    """What Slurm runs: callable, and able to say how it is queued again when preempted."""

    def __init__(self, task: Task, works: Path, paths: tuple[str, ...]) -> None:
        self._task = task
        self._works = works
        self._paths = paths

    def __call__(self) -> None:
        """Train the trials that have not been handed in."""
        from ablate.execution.mailbox import collect

        for path in reversed(self._paths):
            if path not in sys.path:
                sys.path.insert(0, path)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        left = tuple(each for each in self._task.trials if collect(self._works, each.id) is None)
        if not left:
            return
        threads = left[0].spec.train.threads
        assert isinstance(threads, int)
        worker.prepare(threads)
        worker.train(Task(self._task.number, left), self._works)

    def checkpoint(self, *_: Any) -> Any:
        """Queue the same job again: finished trials are skipped, the one under way goes on."""
        return _submitit().helpers.DelayedSubmission(self)


def parameters(execution: Execution, threads: int, cluster: str) -> dict[str, Any]:
    """Return what submitit is asked for on behalf of an `execution` section."""
    asked: dict[str, Any] = {
        "name": "ablate",
        "tasks_per_node": 1,
        "cpus_per_task": max(1, round(execution.cpus_per_trial or threads)),
        "timeout_min": 24 * 60,
    }
    if execution.gpus_per_trial:
        asked["gpus_per_node"] = max(1, round(execution.gpus_per_trial))
    if cluster == "slurm":
        asked["slurm_array_parallelism"] = SLOTS
        if execution.partition is not None:
            asked["slurm_partition"] = execution.partition
    return asked


def _reason(job: Any) -> str:
    try:
        error = job.exception()
    except Exception:  # submitit could not read what the job left
        return str(job.state)
    return str(job.state) if error is None else str(error).strip().splitlines()[-1]


def _submitit() -> Any:
    try:
        import submitit
    except ModuleNotFoundError:
        raise MissingExtraError(
            "--executor slurm needs submitit: pip install 'keras-ablate[slurm]'."
        ) from None
    return submitit
