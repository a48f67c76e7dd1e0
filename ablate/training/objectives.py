"""What a model is compiled with: optimizer, loss, metrics, from the `train` section.

Names become Keras's objects here. What `auto` means, by labels *and* output, and which loss or
metric fits which output, `ablate.models` knows. Whatever does not fit is an error before any
training, unless `train.trust` is set.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras

from ablate import models
from ablate.data import Splits
from ablate.errors import StudyError, nearest
from ablate.reasons import reason
from ablate.study.calls import resolve
from ablate.study.keras_names import is_own, loss_name, metric_name, optimizer_name, snake
from ablate.study.metrics import SHORT_FORMS, alike, by_output
from ablate.study.schema.optimizing import Called, Named
from ablate.study.schema.train import CalledMetric, NamedMetric, Train


def compile_for(model: keras.Model, train: Train, splits: Splits) -> tuple[str, ...]:
    """Compile `model` as the `train` section says.

    Args:
        model: built; its layers are frozen or not already.
        train: the `train` section.
        splits: the data, whose targets the loss has to fit.

    Returns:
        What does not fit and is trusted (`train.trust`), and what was supposed.

    Raises:
        StudyError: a name that Keras does not know, a loss that fits no output, or one or a
            metric that means something else for this output or these labels.
    """
    losses = _losses(model, train, splits)
    metrics = _metrics(model, train, splits)
    weighted = None
    if train.weighted_metrics is not None:
        weighted = _named_metrics("train.weighted_metrics", train.weighted_metrics, model, splits)
    refused, doubtful = _mismatches(model, train, splits)
    if refused and not train.trust:
        raise StudyError(f"{refused[0]} If it is meant so, train.trust: true goes on.")
    model.compile(
        optimizer=optimizer_of(train),
        loss=losses,
        loss_weights=_loss_weights(model, train, splits),
        metrics=metrics,
        weighted_metrics=weighted,
        jit_compile=train.jit_compile,
    )
    if train.jit_compile and not model.jit_compile:
        raise StudyError("train.jit_compile: a layer of this model cannot be compiled with XLA.")
    trusted = [f"trusted (train.trust): {each.rstrip('.')}" for each in refused]
    return (*trusted, *doubtful)


def loss_names(model: keras.Model) -> str:
    """Return the name of the loss that a model was compiled with, one per output."""
    losses = keras.tree.flatten(model.loss)
    return ", ".join(_name_of(each) for each in losses)


def _name_of(loss: Any) -> str:
    return loss if isinstance(loss, str) else str(getattr(loss, "name", None) or loss.__name__)


def optimizer_of(train: Train) -> keras.Optimizer:
    """Return a new optimizer with the learning rate as a number.

    Raises:
        StudyError: Keras has no such optimizer, or it does not take an argument.
    """
    given, rate = train.optimizer, {"learning_rate": train.learning_rate}
    if isinstance(given, Called):
        made = _called("train.optimizer", given.call, {**given.arguments, **rate})
        if not isinstance(made, keras.Optimizer):
            raise StudyError(
                f"train.optimizer: expected a keras.Optimizer from '{given.call}'. Received: "
                f"{type(made).__name__}."
            )
        return made
    name = given.name
    kind = _registered("train.optimizer", name) if is_own(name) else _OPTIMIZERS.get(name)
    if kind is None:
        raise StudyError(
            f"train.optimizer: this Keras has no optimizer '{name}'.{nearest(name, _OPTIMIZERS)}"
        )
    return _made("train.optimizer", kind, {**given.arguments, **rate})


def _losses(model: keras.Model, train: Train, splits: Splits) -> Any:
    given = train.loss
    if given == "auto":
        return models.auto_loss(model, splits.targets)
    if not isinstance(given, dict | list):
        return _per_output(model, splits, lambda: _loss(given))
    chosen, names = losses_of(model, given), _output_names(model)
    auto: Any = None
    if "auto" in chosen:
        auto = models.auto_loss(model, splits.targets, lambda index: chosen[index] == "auto")
    if isinstance(splits.targets, Mapping):
        by_name = dict(zip(names, chosen, strict=True))
        return {n: auto[n] if each == "auto" else _loss(each) for n, each in by_name.items()}
    found = [
        _loss(each) if each != "auto" else auto[index] if isinstance(auto, list) else auto
        for index, each in enumerate(chosen)
    ]
    return found if isinstance(splits.targets, list) else found[0]


def losses_of(model: keras.Model, given: Any) -> list[Any]:
    """Return the loss of each output in order, "auto" where none is named.

    Raises:
        StudyError: the model has no such output, or another number of them.
    """
    if isinstance(given, dict | list):
        return _by_output("train.loss", given, _output_names(model), "losses", "auto")
    return [given] * len(_output_names(model))


def _by_output(field: str, given: Any, names: list[str], what: str, default: Any) -> list[Any]:
    """Return what is given for each output in order, from a mapping by name or a list.

    Raises:
        StudyError: the model has no such output, or another number of them.
    """
    if isinstance(given, dict):
        for name in given:
            if name not in names:
                raise StudyError(
                    f"{field}: there is no output '{name}'.{nearest(name, names)} The outputs "
                    f"are called {', '.join(names)}."
                )
        return [given.get(name, default) for name in names]
    if len(given) != len(names):
        raise StudyError(
            f"{field}: there are {len(given)} {what} and the model has {len(names)} "
            f"output{'s' if len(names) > 1 else ''} ({', '.join(names)})."
        )
    return list(given)


def _loss_weights(model: keras.Model, train: Train, splits: Splits) -> Any:
    """Return what each output's loss counts, in the structure of the targets; None if nothing."""
    given, names = train.loss_weights, _output_names(model)
    if given is None:
        return None
    if not isinstance(given, dict | list):
        if len(names) > 1:
            raise StudyError(
                f"train.loss_weights: expected a weight for each output ({', '.join(names)}). "
                f"Received: {given:g}."
            )
        given = [given]
    found = _by_output("train.loss_weights", given, names, "weights", 1.0)
    return _structured(found, model, splits)


def _metrics(model: keras.Model, train: Train, splits: Splits) -> Any:
    if train.metrics == "auto":
        found = models.auto_metrics(model, splits.targets)
        return found if isinstance(found, dict) else list(found)
    return _named_metrics("train.metrics", train.metrics, model, splits)


def _named_metrics(field: str, given: Any, model: keras.Model, splits: Splits) -> Any:
    """Return the metrics that are named: of all outputs in a flat list, or of each."""
    lists = by_output(given)
    if not isinstance(given, dict) and all(path == () for path, _ in lists):
        flat = [each for _, found in lists for each in found]
        return _per_output(model, splits, lambda: _distinct(field, flat))
    names = _output_names(model)
    chosen = _by_output(field, given, names, "lists of metrics", [])
    return _structured([_distinct(field, each) for each in chosen], model, splits)


def _distinct(field: str, given: list[Any]) -> list[Any]:
    """Return the metrics, none of which is called as another is."""
    first: dict[str, Any] = {}
    made = [_metric(each, field) for each in given]
    for each, metric in zip(given, made, strict=True):
        name = metric if isinstance(metric, str) else metric.name
        if name in first:
            raise StudyError(f"{field}: {alike(name, first[name], each)}")
        first[name] = each
    return made


def _structured(found: list[Any], model: keras.Model, splits: Splits) -> Any:
    """Return a value for each output, in order, in the structure of the targets."""
    if isinstance(splits.targets, Mapping):
        return dict(zip(model.output_names, found, strict=True))
    return found if isinstance(splits.targets, list) else found[0]


def _per_output(model: keras.Model, splits: Splits, make: Callable[[], Any]) -> Any:
    """Return what `make` makes, anew for each output, in the structure of the targets."""
    if isinstance(splits.targets, Mapping):
        return {name: make() for name in model.output_names}
    if isinstance(splits.targets, list):
        return [make() for _ in splits.targets]
    return make()


def _loss(given: str | Named | Called) -> Any:
    if isinstance(given, Called):
        return _called("train.loss", given.call, given.arguments)
    name, arguments = _parts(given)
    kind = _registered("train.loss", name) if is_own(name) else _LOSSES.get(name)
    if kind is None:
        raise StudyError(f"train.loss: this Keras has no loss '{name}'.{nearest(name, _LOSSES)}")
    return _made("train.loss", kind, arguments)


def _metric(given: str | NamedMetric | CalledMetric, field: str = "train.metrics") -> Any:
    """Return a metric under its one name; a short form of Keras's as the text it is."""
    if isinstance(given, CalledMetric):
        return _renamed(_called(field, given.call, given.arguments), given.as_)
    name, arguments = _parts(given)
    renamed = None if isinstance(given, str) else given.as_
    if is_own(name):
        return _renamed(_made(field, _registered(field, name), arguments), renamed)
    kind = _METRICS.get(snake(name)) if name not in SHORT_FORMS else None
    if kind is not None:
        return _renamed(_made(field, kind, arguments), renamed or metric_name(name))
    if arguments or renamed:
        what = "arguments" if arguments else "other name"
        raise StudyError(
            f"{field}: '{name}' is a short form, of which Keras chooses the class; it takes "
            f"no {what}. Name the class.{nearest(name, _METRICS)}"
        )
    return name


def _called(field: str, call: str, arguments: Mapping[str, Any]) -> Any:
    """Return what a `call` with its arguments stands for.

    A class is made, and so is what a function returns that can be called with the arguments
    alone. Any other function is meant itself, of targets and outputs, the arguments fixed.

    Raises:
        StudyError: it cannot be found, or refuses.
    """
    found = resolve(call, field)
    try:
        inspect.signature(found).bind(**arguments)
    except TypeError as error:
        if not isinstance(found, type):
            parameters = inspect.signature(found).parameters
            loose = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
            strange = next((key for key in arguments if key not in parameters), None)
            if strange is None or loose:
                return _Fixed(found, arguments) if arguments else found
            raise StudyError(f"{field}: '{call}' refused: it takes no '{strange}'.") from error
        raise StudyError(f"{field}: '{call}' refused: {error}.") from error
    except ValueError:
        return found  # a builtin without a signature
    try:
        return found(**arguments)
    except Exception as error:
        raise StudyError(f"{field}: '{call}' refused: {reason(error)}") from error


class _Fixed:
    """A function of targets and outputs with further arguments fixed, called as it is called."""

    def __init__(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        self.function, self.arguments = function, dict(arguments)
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(y_true, y_pred, **self.arguments)


def _renamed(metric: Any, name: str | None) -> Any:
    """Return a metric that is called `name`; by itself, without the counter of Keras.

    Keras counts the metrics of a class in a process (`auc`, `auc_2`), so that the name would
    hang on which variants were built before.
    """
    kind = snake(getattr(metric, "__name__", None) or type(metric).__name__)
    own = str(getattr(metric, "name", kind))
    name = name or re.sub(r"\W", "", kind if re.fullmatch(rf"{re.escape(kind)}_\d+", own) else own)
    if not isinstance(metric, keras.Metric):
        # A function of targets and outputs, which Keras would average in the same way.
        return keras.metrics.MeanMetricWrapper(metric, name=name)
    metric.name = name
    return metric


def _mismatches(model: keras.Model, train: Train, splits: Splits) -> tuple[list[str], list[str]]:
    """Return what of the losses and metrics cannot be meant for the outputs, and what may not be.

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
            wrong = None if _is_unknown(loss) else models.loss_mismatch(name, arguments, judged[-1])
            refused += [f"{_field(train.loss, output.name, index)}: {wrong}"] if wrong else []
        elif output.activation == "linear" and not output.known:
            doubtful.append(_supposed(each))
    for field in ("metrics", "weighted_metrics"):
        for path, metrics in by_output(getattr(train, field)):
            at = f"train.{field}" + "".join(
                f".{each}" if isinstance(each, str) else f"[{each}]" for each in path
            )
            mine = [
                each
                for index, each in enumerate(judged)
                if not path or path[0] in (index, each.output.name)
            ]
            for index, metric in enumerate(metrics):
                found = (_wrong_with(metric, each) for each in mine)
                misfits = [f"{at}[{index}]: {each}" for each in found if each is not None]
                # One in a flat list is measured of all outputs: it may be meant for one of them.
                (refused if len(misfits) == len(mine) else doubtful).extend(misfits)
    return refused, [each.rstrip(".") for each in doubtful]


def _is_unknown(given: Any) -> bool:
    """Whether a loss or a metric is of anyone's own, of which nothing is known."""
    return isinstance(given, Called) or is_own(_parts(given)[0])


def _wrong_with(metric: str | NamedMetric | CalledMetric, judged: models.Judged) -> str | None:
    """Return why a metric does not fit an output; of anyone's own nothing is known."""
    if _is_unknown(metric):
        return None
    name, arguments = _parts(metric)
    return models.metric_mismatch(name, arguments, judged)


def _takes_scores(loss: Any, judged: models.Judged) -> bool:
    """Whether a loss takes the output as logits or margins."""
    name, arguments = _parts(loss)
    if name == "auto":
        return judged.output.activation == "linear" and judged.target.task == "classification"
    return not _is_unknown(loss) and models.takes_scores(name, arguments)


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
    if isinstance(given, str):
        return given, {}
    return getattr(given, "name", None) or given.call, given.arguments


def _output_names(model: keras.Model) -> list[str]:
    return list(getattr(model, "output_names", None) or ["output"])  # a Sequential has none


def _registered(field: str, name: str) -> Any:
    found = keras.saving.get_registered_object(name)
    if found is None:
        raise StudyError(
            f"{field}: nothing is registered with Keras as '{name}'. The module that registers it "
            "has to be imported: let model.call, data.call or a callback be in it."
        )
    return found


def _made(field: str, kind: Any, arguments: Mapping[str, Any]) -> Any:
    """Make an object of Keras, or say in plain words which argument it does not take."""
    try:
        return kind(**arguments) if isinstance(kind, type) else kind
    except (TypeError, ValueError) as error:
        raise StudyError(
            f"{field}: {getattr(kind, '__name__', kind)} refused: {reason(error)}"
        ) from error


def _classes(module: Any, parent: type, key: Any) -> dict[str, type]:
    found = vars(module).values()
    return {
        key(kind.__name__): kind
        for kind in found
        if isinstance(kind, type) and issubclass(kind, parent)
    }


_OPTIMIZERS = _classes(keras.optimizers, keras.Optimizer, optimizer_name)
_LOSSES = _classes(keras.losses, keras.Loss, loss_name)
_METRICS = _classes(keras.metrics, keras.Metric, snake)
_METRICS["fbeta_score"] = keras.metrics.FBetaScore  # as its results are called
