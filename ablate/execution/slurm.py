"""The Slurm executor: job arrays sent through submitit, one job for each group of trials.

All machines of a Slurm cluster share a
disk, so workers write under `work/<trial>/` as on one machine and the driver reads there. A
preempted job is queued again by submitit and goes on from its checkpoint. The driver may go
away: jobs stay, `ablate status` reads what is there, and the next `ablate run` takes them up.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.disk import write_text
from ablate.errors import MissingExtraError, StudyError
from ablate.execution import worker
from ablate.execution.file_channel import FileReader, FileReporter, forget_events
from ablate.execution.local import ClusterExecutor
from ablate.execution.messages import Done, Finished, Lost, Message, Task
from ablate.reasons import reason, sentence
from ablate.study.progress import Event
from ablate.study.schema.execution import Execution
from ablate.study.trial import Trial

#: Pause between two looks at the shared disk, in seconds, and between two questions to Slurm.
LOOK, ASK = 0.5, 5.0

#: A shared disk may show what a job wrote this much after the job has ended (seconds).
LATE = 20.0

#: Jobs that run at once, unless the study says; Slurm's own limits come on top.
SLOTS = 64

#: Jobs in an array; Slurm's own limit is about a thousand unless configured.
ARRAY = 500

#: The folder of jobs, among the work folders of trials.
JOBS = ".jobs"


@dataclass
class _Sent:
    """A task and the job that has it; `ended` is when the job was first seen to have ended."""

    task: Task
    reader: FileReader
    job: Any
    ended: float | None = None


class SlurmJobs(ClusterExecutor):
    """Run tasks as Slurm jobs; `cluster` "local" and "debug" are submitit's own stand-ins.

    Raises:
        MissingExtraError: submitit is not installed.
        StudyError: there is no Slurm on this machine.
    """

    def __init__(
        self, works: Path, *, threads: int, execution: Execution, cluster: str | None = None
    ) -> None:
        super().__init__(works.resolve(), threads)
        self._submitit = _submitit()
        self.slots = execution.workers if isinstance(execution.workers, int) else SLOTS
        self._folder = self._works / JOBS
        self._kind = cluster or os.environ.get("ABLATE_SLURM_CLUSTER") or "slurm"
        try:
            self._cluster = self._submitit.AutoExecutor(folder=self._folder, cluster=self._kind)
        except RuntimeError as error:
            raise StudyError(
                f"This machine cannot send jobs to Slurm: {error}. Run on a login node, "
                "or choose another executor."
            ) from None
        name = f"ablate-{self._works.parent.name}"
        self._cluster.update_parameters(**parameters(execution, threads, self._kind, name))
        self._gpus = bool(execution.gpus_per_trial)
        real = self._kind == "slurm"
        self.pause = LOOK if real else LOOK / 10
        self._ask_each = ASK if real else LOOK / 5
        self._late = LATE if real else 0.0
        self._waiting: list[Task] = []
        self._expected: set[str] = set()  # jobs of an earlier driver that were under way
        self._running: dict[int, _Sent] = {}
        self._asked = 0.0

    def expect(self, trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
        """Return the groups that jobs of an earlier driver still have.

        `submit` recognises them and takes the job up instead of sending another.
        """
        wanted = {trial.id: trial for trial in trials}
        groups = []
        for note in self._notes():
            mine = tuple(wanted.pop(name) for name in note["trials"] if name in wanted)
            if mine and not self._over(self._job(note["job"])):
                groups.append(mine)
                self._expected.add(note["job"])
        return groups

    def submit(self, task: Task) -> None:
        """Take up the job of an earlier driver that has these trials, or have one sent.

        A job that was under way when it was expected may have ended since: it is taken up too, so
        that what it handed in is read and not trained again.
        """
        names = tuple(trial.id for trial in task.trials)
        held = {sent.job.job_id for sent in self._running.values()}
        for note in self._notes():
            job = None if note["job"] in held else self._job(note["job"])
            if job is None or not set(names) <= set(note["trials"]):
                continue
            if note["job"] in self._expected or not self._over(job):
                self._running[task.number] = _Sent(task, FileReader(self._works, names), job)
                return
        for name in names:
            forget_events(self._works, name)
        self._waiting.append(task)  # sent at the next poll, in one array

    def receive(self) -> list[Message]:
        """Send what waits; return the messages that are new."""
        self._send()
        ask = time.monotonic() - self._asked >= self._ask_each
        messages = [each for number in list(self._running) for each in self._look(number, ask)]
        if ask:
            self._asked = time.monotonic()
        return messages

    def stop(self, task: Task) -> None:
        """Cancel a task's job; a `Lost` follows."""
        for sent in self._running.values():
            if sent.task is task:
                sent.job.cancel(check=False)

    def close(self) -> None:
        """Leave: jobs that were sent go on, and the next run takes them up."""
        super().close()
        self._running.clear()
        self._waiting.clear()
        if not self._notes():
            for each in self._folder.glob("*submission*.sh"):  # what was sent, and a link to it
                each.unlink(missing_ok=True)
            with suppress(OSError):
                self._folder.rmdir()  # unless the logs of jobs that failed stay
                self._works.rmdir()

    def _send(self) -> None:
        utils = self._submitit.core.utils
        while self._waiting:
            some, self._waiting = self._waiting[:ARRAY], self._waiting[ARRAY:]
            sent = [
                Job(task, self._works, f"{uuid.uuid4().hex}.done", self._threads, self._gpus)
                for task in some
            ]
            try:
                with self._cluster.batch():
                    jobs = [self._cluster.submit(each) for each in sent]
            except (utils.FailedJobError, utils.FailedSubmissionError, OSError) as error:
                raise StudyError(f"Slurm took no job: {sentence(str(error))}") from None
            for task, job, each in zip(some, jobs, sent, strict=True):
                names = tuple(trial.id for trial in task.trials)
                note = {"job": job.job_id, "trials": names, "mark": each.mark}
                write_text(self._folder / f"{job.job_id}.json", json.dumps(note))
                self._running[task.number] = _Sent(task, FileReader(self._works, names), job)

    def _look(self, number: int, ask: bool) -> list[Message]:
        sent = self._running[number]
        task, reader, job = sent.task, sent.reader, sent.job
        if self._kind == "debug":
            job.exception()  # runs it, here
        ended = sent.ended is not None or (ask and self._over(job))
        messages = reader.read()  # after asking: what was written until then is there
        if reader.current is not None:
            if not ended:
                return messages
            sent.ended = sent.ended or time.monotonic()
            if time.monotonic() - sent.ended < self._late:
                return messages
        elif not ended:
            return messages  # its job writes its last files
        del self._running[number]
        if reader.current is None:
            self._clear(job, logs=True)
            return [*messages, Done(task)]
        why, again = self._reason(job)
        self._clear(job, logs=False)
        return [*messages, Lost(task, why, again)]

    def _reason(self, job: Any) -> tuple[str, bool]:
        """Return why a job ended, and whether another may fare better."""
        log = job.paths.stderr
        if job.paths.result_pickle.is_file() and (error := job.exception()) is not None:
            return f"its job {job.job_id} ended: {reason(str(error))} (see {log})", False
        return f"its job {job.job_id} ended without it ({job.state}; see {log})", True

    def _clear(self, job: Any, *, logs: bool) -> None:
        """Remove what is known of a job that is over; logs tell of one that failed."""
        note = self._folder / f"{job.job_id}.json"
        with suppress(OSError, ValueError):
            (self._folder / json.loads(note.read_text(encoding="utf-8"))["mark"]).unlink()
        note.unlink(missing_ok=True)
        for each in self._folder.glob(f"{job.job_id}_*"):
            if logs or not each.name.endswith((".out", ".err")):
                each.unlink(missing_ok=True)

    def _notes(self) -> list[dict[str, Any]]:
        return [json.loads(each.read_bytes()) for each in sorted(self._folder.glob("*.json"))]

    def _job(self, number: str) -> Any:
        kind = self._submitit.LocalJob if self._kind == "local" else self._submitit.SlurmJob
        return kind(folder=self._folder, job_id=number)

    def _over(self, job: Any) -> bool:
        """Whether a job has ended, an earlier driver's included."""
        if self._kind == "local" and job._process is None:
            return job.paths.result_pickle.is_file() or not _alive(int(job.job_id))
        return bool(job.done())


class Job:
    """What Slurm runs: callable, and able to say how it is queued again when preempted."""

    def __init__(self, task: Task, works: Path, mark: str, threads: int, gpus: bool) -> None:
        self.mark = mark  # the file in which the trials handed in are noted
        self._task = task
        self._works = works
        self._threads = threads
        self._gpus = gpus
        self._paths = tuple(path for path in sys.path if path)
        self._queued_again = False

    def __call__(self) -> None:
        """Train the trials that have not been handed in.

        A driver may have collected those that were, so that nothing of them is left to be seen:
        this job keeps its own note of them.
        """
        self._queued_again = False
        for path in reversed(self._paths):
            if path not in sys.path:
                sys.path.insert(0, path)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        if not self._gpus:
            os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
        note = self._works / JOBS / self.mark
        done = set(note.read_text(encoding="utf-8").split()) if note.is_file() else set()
        left = tuple(each for each in self._task.trials if each.id not in done)
        if not left:
            return
        worker.prepare(self._threads)
        worker.train(
            Task(self._task.number, left), self._works, _JobReporter(self._works, note, self)
        )

    def checkpoint(self, *_: Any) -> Any:
        """Queue the same job again: finished trials are skipped, the one under way goes on."""
        self._queued_again = True
        return _submitit().helpers.DelayedSubmission(self)

    def leave(self) -> None:
        """End this process if the job is queued again.

        submitit's handler of the signal raises SystemExit. It mostly lands inside TensorFlow,
        whose C++ code drops an exception now and then: the job would train on next to its
        successor.
        """
        if self._queued_again:
            sys.exit(_submitit().local.local.LOCAL_REQUEUE_RETURN_CODE)


class _JobReporter(FileReporter):
    """Notes which trials were handed in; says nothing for a job that was preempted."""

    def __init__(self, works: Path, note: Path, job: Job) -> None:
        super().__init__(works)
        self._note = note
        self._job = job

    def report(self, event: Event) -> None:
        if event.kind != "step":
            self._job.leave()
        super().report(event)

    def finished(self, outcome: Finished) -> None:
        self._job.leave()
        super().finished(outcome)
        with self._note.open("a", encoding="utf-8") as stream:
            stream.write(f"{outcome.result.id}\n")


def parameters(execution: Execution, threads: int, kind: str, name: str) -> dict[str, Any]:
    """Return what submitit is asked for on behalf of an `execution` section.

    Account, quality of service, time limit and the like are Slurm's own settings: `sbatch`
    reads SBATCH_ACCOUNT, SBATCH_QOS, SBATCH_TIMELIMIT, … and they win over what stands here.
    """
    asked: dict[str, Any] = {
        "name": name,
        "nodes": 1,
        "tasks_per_node": 1,
        "cpus_per_task": max(1, round(execution.cpus_per_trial or threads)),
        "timeout_min": 24 * 60,
    }
    if execution.gpus_per_trial:
        asked["gpus_per_node"] = max(1, round(execution.gpus_per_trial))
    if kind == "slurm":
        workers = execution.workers
        asked["slurm_additional_parameters"] = {"requeue": True}  # after the loss of a machine
        asked["slurm_array_parallelism"] = workers if isinstance(workers, int) else SLOTS
        if execution.partition is not None:
            asked["slurm_partition"] = execution.partition
    return asked


def _alive(process: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(process, os.WNOHANG)  # one of ours that has ended leaves the table
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


def _submitit() -> Any:
    try:
        import submitit
    except ModuleNotFoundError:
        raise MissingExtraError(
            "--executor slurm needs submitit: pip install 'keras-ablate[slurm]'."
        ) from None
    return submitit
