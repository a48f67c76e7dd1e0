"""An executor that trains nothing: outcomes are made up, two tasks at once, a trial per look."""

from __future__ import annotations

from ablate.execution.messages import Done, Executor, Finished


class Pretending(Executor):
    """Hands in `outcome(trial)` for each trial; Ctrl-C comes after `stop_after` of them.

    `answers` has what a function that is called in a worker returns, by function.
    """

    slots = 2

    def __init__(self, outcome, answers, stop_after=None):
        self.trained, self.tasks = [], []
        self.outcome, self.answers, self.stop_after = outcome, answers, stop_after

    def call(self, function, *arguments):
        return self.answers[function](*arguments)

    def submit(self, task):
        self.tasks.append((task, list(task.trials)))

    def receive(self):
        if self.stop_after is not None and len(self.trained) >= self.stop_after:
            self.stop_after = None
            raise KeyboardInterrupt
        found = []
        for task, left in self.tasks[: self.slots]:
            trial = left.pop(0)
            self.trained.append((trial.variant, trial.seed))
            found.append(Finished(self.outcome(trial)))
            if not left:
                found.append(Done(task))
        self.tasks = [each for each in self.tasks if each[1]]
        return found

    def stop(self, task): ...

    def close(self):
        self.tasks = []


def previews(*metrics):
    """Return what answers a preview of variants whose trials report these metrics."""
    from ablate.study.preview import VariantPlan

    def preview(resolved):
        return [
            VariantPlan(each.name, (), (), (), (), 10, 10, "softmax", "loss", {}, 1, (), metrics)
            for each in resolved
        ]

    return preview
