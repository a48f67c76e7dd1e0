"""Whether the losses and metrics of a `train` section mean what they say for a model and its data.

A model, the section and the splits go in; out come the sentences of what does not fit, and of what
`auto` had to suppose. What is judged and what is not, `ablate.models` tells; here each loss and
metric meets its output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras

from ablate import models
from ablate.data import Splits
from ablate.errors import StudyError, nearest
from ablate.study.keras_names import is_own
from ablate.study.schema.train import CalledMetric, NamedMetric, Train


@dataclass(frozen=True)
class Agreement:
    """What does not fit: `refused` cannot be meant, `doubtful` may be."""

    refused: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()


def losses_of(model: keras.Model, given: Any) -> list[Any]:
    """Return the loss of each output in order, "auto" where none is named.

    Raises:
        StudyError: the model has no such output, or another number of them.
    """
    names = list(getattr(model, "output_names", None) or ["output"])  # a Sequential has none
    if isinstance(given, dict):
        for name in given:
            if name not in names:
                raise StudyError(
                    f"train.loss: there is no output '{name}'.{nearest(name, names)} The outputs "
                    f"are called {', '.join(names)}."
                )
        return [given.get(name, "auto") for name in names]
    if isinstance(given, list):
        if len(given) != len(names):
            raise StudyError(
                f"train.loss: there are {len(given)} losses and the model has {len(names)} "
                f"outputs ({', '.join(names)})."
            )
        return list(given)
    return [given] * len(names)


def agreement(model: keras.Model, train: Train, splits: Splits) -> Agreement:
    """Hold losses and metrics against outputs and targets.

    Raises:
        StudyError: the targets have other names than the outputs.
    """
    met = models.outputs_with_targets(model, splits.targets)
    losses = losses_of(model, train.loss) if met else []
    refused: list[str] = []
    doubtful: list[str] = []
    judged: list[models.Judged] = []
    for index, (each, loss) in enumerate(zip(met, losses, strict=True)):
        output = each.output
        judged.append(replace(each, scores=_takes_scores(loss, each)))
        name, arguments = _parts(loss)
        if name != "auto":
            wrong = None if is_own(name) else models.loss_mismatch(name, arguments, judged[-1])
            refused += [f"{_field(train.loss, output.name, index)}: {wrong}"] if wrong else []
        elif output.activation == "linear" and not output.known:
            doubtful.append(_supposed(each))
    for index, metric in enumerate([] if isinstance(train.metrics, str) else train.metrics):
        found = (_wrong_with(metric, each) for each in judged)
        told = [f"train.metrics[{index}]: {each}" for each in found if each is not None]
        # Each metric is measured of all outputs: one that fits one of them is meant for that.
        (refused if len(told) == len(judged) else doubtful).extend(told)
    return Agreement(tuple(refused), tuple(each.rstrip(".") for each in doubtful))


def _wrong_with(metric: str | NamedMetric | CalledMetric, judged: models.Judged) -> str | None:
    """Return why a metric does not fit an output; of anyone's own nothing is known."""
    if isinstance(metric, CalledMetric):
        return None
    name, arguments = _parts(metric)
    return None if is_own(name) else models.metric_mismatch(name, arguments, judged)


def _takes_scores(loss: Any, judged: models.Judged) -> bool:
    """Whether a loss takes the output as logits or margins."""
    name, arguments = _parts(loss)
    if name == "auto":
        return judged.output.activation == "linear" and judged.target.task == "classification"
    return not is_own(name) and models.takes_scores(name, arguments)


def _supposed(judged: models.Judged) -> str:
    meant = "logits" if judged.target.task == "classification" else "numbers"
    return (
        f"train.loss: what '{judged.output.by}' makes of {judged.where} cannot be known, "
        f"and auto takes it for {meant}. If it is something else, name the loss"
    )


def _field(given: Any, name: str, index: int) -> str:
    if isinstance(given, dict):
        return f"train.loss.{name}"
    return f"train.loss[{index}]" if isinstance(given, list) else "train.loss"


def _parts(given: Any) -> tuple[str, Mapping[str, Any]]:
    return (given, {}) if isinstance(given, str) else (given.name, given.arguments)
