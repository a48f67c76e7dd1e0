"""Augmentation in the graph: what stands before Keras's `train_step`, and at evaluation.

The state of every generator is assigned anew in each step, from the trial's seed, the epoch and
the step alone. So all variants of a seed see the same pixels, in any process and after a resume,
whatever else their networks draw. At evaluation nothing is drawn; where a RandomCrop makes
examples smaller, their centres are taken. MixUp and CutMix mix labels, too: class numbers become
a share for each class.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ablate.data import Splits, Target
from ablate.data.column import Column, extremes
from ablate.data.nested import over
from ablate.errors import AblateError, StudyError
from ablate.reasons import reason
from ablate.study.calls import resolve
from ablate.study.keras_names import AUGMENTATIONS
from ablate.study.schema.augment import MIXING, AugmentLayer, crop_of, mixes
from ablate.study.schema.train import Called, Train
from ablate.training.feed import Batch
from ablate.training.seeding import Seed, derive
from ablate.training.tracing import random_operations

#: Rows that are looked at for the range of the inputs.
_LOOKED_AT = 4096

#: How far a generator's counter goes from one step to the next: more than a step draws.
_STRIDE = 1000

Change = Callable[[Any, Any], tuple[Any, Any]]


@dataclass(frozen=True)
class _Labels:
    """How labels enter the graph: as they are, a share per class, or as numbers of one unit."""

    classes: int | None = None
    numbers: bool = False

    def __call__(self, y: Any) -> Any:
        if self.classes is not None:
            return tf.one_hot(tf.cast(y, tf.int32), self.classes)
        if self.numbers:
            return tf.cast(tf.reshape(y, (-1, 1)) if y.shape.rank == 1 else y, tf.float32)
        return y


@dataclass(frozen=True)
class Augmentation:
    """What is done to the batches of a trial before they are trained or evaluated on.

    `generators` are the variables that all draws come from. `notes` are what is to be said of it.
    """

    changes: tuple[Change, ...] = ()
    generators: tuple[Any, ...] = ()
    example: tuple[int, ...] | None = None  # of an image, where a crop made it what it is
    labels: _Labels = _Labels()
    notes: tuple[str, ...] = ()

    def seeds(self, seed: Seed, epoch: int) -> np.ndarray:
        """Return where each generator begins in an epoch (from 0), int64."""
        found = [derive(seed, "", f"augment/{i}/{epoch}") for i in range(len(self.generators))]
        return np.array(found, np.int64)

    def trained(self, batch: Batch, seeds: Any, step: Any) -> Batch:
        """Return a batch as `train_step` takes it in a step (from 0) of an epoch."""
        if not self.changes:
            return batch
        for index, state in enumerate(self.generators):
            state.assign(tf.stack([seeds[index], tf.cast(step, tf.int64) * _STRIDE]))
        x, y, *rest = batch
        y = self.labels(y)
        for change in self.changes:
            x, y = change(x, y)
        return (x, y, *rest)

    def evaluated(self, batch: Batch) -> Batch:
        """Return a batch as it is evaluated: nothing drawn, centres where there is a crop."""
        x, y, *rest = batch
        if self.example is not None and tuple(x.shape[1:]) != self.example:
            x = _centre(x, (self.example[0], self.example[1]))
        return (x, self.labels(y), *rest)

    def seen(self, splits: Splits) -> Splits:
        """Return splits whose labels are as they enter the graph."""
        if self.labels == _Labels():
            return splits
        target = splits.targets
        if self.labels.classes is not None and isinstance(target, Target):
            count = self.labels.classes
            names = target.class_names if count == target.classes else None
            target = Target("classification", (count,), count, names, one_hot=True)
        parts: dict[str, Any] = {
            name: None if y is None else self.labels(tf.convert_to_tensor(y)).numpy()
            for name, y in (
                ("y_train", splits.y_train), ("y_val", splits.y_val), ("y_test", splits.y_test)
            )
        }  # fmt: skip
        return replace(splits, targets=target, **parts)


#: No augmentation.
NONE = Augmentation()


def cropped(splits: Splits, train: Train) -> Splits:
    """Return splits whose examples are as large as a RandomCrop makes them: their centres.

    Raises:
        StudyError: the examples are no images, or smaller.
    """
    size = crop_of(train.augment)
    if size is None:
        return splits
    shape = _one_input(splits)
    if len(shape) != 3:
        raise StudyError(f"train.augment: RandomCrop crops images; an example has shape {shape}.")
    if size == shape[:2]:
        return splits
    if splits.y_train is splits.x_train:
        raise StudyError(
            "train.augment: RandomCrop changes the inputs, which are the targets here "
            "(data.target: inputs) and would be larger. Leave it out."
        )
    if size[0] > shape[0] or size[1] > shape[1]:
        raise StudyError(
            f"train.augment: RandomCrop of {size[0]}×{size[1]} is larger than the images "
            f"({shape[0]}×{shape[1]})."
        )

    def crop(leaf: Any) -> Any:
        if isinstance(leaf, Column):
            return leaf.changed(lambda rows: _centre(rows, size))
        return _centre(leaf, size)

    parts: dict[str, Any] = {}
    for name in ("x_train", "x_val", "x_test"):
        x = getattr(splits, name)
        parts[name] = None if x is None else over(crop, x)
    return replace(splits, **parts)


def augmentation_of(train: Train, model: keras.Model, splits: Splits, specs: Batch) -> Augmentation:
    """Return the augmentation of `train` for a model and its rows, tried on their shapes.

    Args:
        train: the `train` section.
        model: built; how many units it has decides what mixed labels become.
        splits: the rows as the model sees them at evaluation (`cropped`).
        specs: a batch of the training rows as it is read, (x, y, …), `tf.TensorSpec`s.

    Raises:
        StudyError: a layer or function does not take these rows, draws from a source that cannot
            be seeded for each step, or mixes labels that cannot be mixed.
    """
    if train.augment is None:
        return NONE
    notes: list[str] = []
    changes: list[Change] = []
    generators: list[Any] = []
    for index, each in enumerate(train.augment):
        field = f"train.augment[{index}]"
        with _named(field):
            change, owners = _change(each, field, splits, notes)
        changes.append(change)
        generators += [v.value for owner in owners for v in _states(owner)]
    labels = _labels(train, model, splits, notes)
    crop = crop_of(train.augment)
    example = splits.input_shape if crop is not None else None
    if crop is not None:
        notes.append(f"evaluated on the centres of the images, {crop[0]}×{crop[1]}")
    made = Augmentation(
        tuple(changes),
        tuple(generators),
        example if isinstance(example, tuple) else None,
        labels,
        tuple(notes),
    )
    _check(made, train, splits, specs)
    return made


def _check(made: Augmentation, train: Train, splits: Splits, specs: Batch) -> None:
    """Trace each change by itself: what does not fit is named by its place."""
    x = keras.tree.map_structure(_as_floats, specs[0])
    y = tf.TensorSpec((None, *_label_shape(made, specs[1])), tf.float32) \
        if made.labels != _Labels() else specs[1]  # fmt: skip
    owned = {id(each) for each in made.generators}
    for index, (change, each) in enumerate(zip(made.changes, train.augment or (), strict=True)):
        name = each.layer if isinstance(each, AugmentLayer) else each.call
        with _named(f"train.augment[{index}]: {name}"):
            graph = tf.function(change, autograph=False).get_concrete_function(x, y)
        others = [v for v in graph.variables if id(v) not in owned and tuple(v.shape) == (2,)]
        drawn = random_operations(graph.graph)
        if others or drawn:
            raise StudyError(
                f"train.augment[{index}]: {name} draws from a source of its own"
                f"{f' ({sorted(drawn)[0]})' if drawn else ''}, and variants would not see the same "
                "rows. Take 'seed', and draw with keras.random.…(seed=seed)."
            )
        x, y = keras.tree.map_structure(
            lambda leaf: tf.TensorSpec((None, *leaf.shape[1:]), leaf.dtype),
            graph.structured_outputs,
        )
    after = keras.tree.map_structure(lambda leaf: tuple(leaf.shape[1:]), x)
    if after != splits.input_shape:
        raise StudyError(
            f"train.augment: an example has shape {after} afterwards, and {splits.input_shape} at "
            "evaluation. Expected: the same."
        )


def _as_floats(spec: Any) -> Any:
    return tf.TensorSpec(spec.shape, tf.float32 if spec.dtype == tf.uint8 else spec.dtype)


def _label_shape(made: Augmentation, spec: Any) -> tuple[int, ...]:
    if made.labels.classes is not None:
        return (made.labels.classes,)
    return tuple(spec.shape[1:]) or (1,)


def _change(
    given: AugmentLayer | Called, field: str, splits: Splits, notes: list[str]
) -> tuple[Change, list[Any]]:
    """Return what one entry does to x and y, and what its draws come from."""
    if isinstance(given, AugmentLayer):
        return _layer_change(given, field, splits, notes)
    found = resolve(given.call, field)
    if isinstance(found, type):
        found = found(**given.arguments)
        if isinstance(found, keras.Layer):
            return lambda x, y: (found(x, training=True), y), [found]
    elif isinstance(found, keras.Layer):
        return lambda x, y: (found(x, training=True), y), [found]
    arguments = {} if isinstance(found, keras.Layer) else dict(given.arguments)
    parameters = inspect.signature(found).parameters
    fed = [
        name
        for name, each in parameters.items()
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        and each.default is each.empty and name != "seed" and name not in arguments
    ]  # fmt: skip
    if len(fed) not in (1, 2):
        raise StudyError(
            f"{field}: '{given.call}' takes {', '.join(fed) or 'nothing'}. Expected a function of "
            "x or of x and y, with seed if it draws; its other arguments beside the call."
        )
    owners = []
    if "seed" in parameters:
        owners = [keras.random.SeedGenerator(0)]
        arguments["seed"] = owners[0]

    def change(x: Any, y: Any) -> tuple[Any, Any]:
        if len(fed) == 1:
            return found(x, **arguments), y
        made = found(x, y, **arguments)
        if not isinstance(made, tuple | list) or len(made) != 2:
            raise StudyError(f"'{given.call}' takes x and y and has to return both.")
        return made[0], made[1]

    return change, owners


def _layer_change(
    given: AugmentLayer, field: str, splits: Splits, notes: list[str]
) -> tuple[Change, list[Any]]:
    shape, arguments = _one_input(splits), dict(given.arguments)
    if "value_range" in AUGMENTATIONS[given.layer]:
        arguments["value_range"] = _value_range(given, splits, field, notes)
    try:
        layer = getattr(keras.layers, given.layer)(**arguments, dtype="float32")
    except (TypeError, ValueError) as error:
        raise StudyError(f"{field}: {given.layer} refused: {reason(error)}") from error
    resizes = given.layer in ("RandomCrop", "ZeroPadding2D")

    def images(x: Any, y: Any) -> tuple[Any, Any]:
        made = layer(x, training=True)
        return made if resizes else tf.ensure_shape(made, x.shape), y

    def both(x: Any, y: Any) -> tuple[Any, Any]:
        made = layer({"images": x, "labels": y}, training=True)
        return tf.ensure_shape(made["images"], x.shape), tf.ensure_shape(made["labels"], y.shape)

    if given.layer in MIXING and len(shape) != 3:
        raise StudyError(f"{field}: {given.layer} mixes images; an example has shape {shape}.")
    return both if given.layer in MIXING else images, [layer]


def _value_range(
    given: AugmentLayer, splits: Splits, field: str, notes: list[str]
) -> tuple[float, float]:
    """Return the range of the inputs: as it is given, or as the scaling makes it.

    Raises:
        StudyError: the given range is not that of the rows, or theirs is none that is known.
    """
    first = splits.x_train[:_LOOKED_AT]
    low, high = (float(each) for each in extremes(first))
    where = f"the rows go from {low:.4g} to {high:.4g} (scaling: {splits.scaling})"
    asked = given.arguments.get("value_range")
    if asked is not None:
        if not isinstance(asked, list | tuple) or len(asked) != 2 or not asked[0] < asked[1]:
            raise StudyError(f"{field}: value_range: expected [low, high]. Received: {asked!r}.")
        if low < asked[0] or high > asked[1] or high - low < (asked[1] - asked[0]) / 32:
            raise StudyError(
                f"{field}: value_range {list(asked)} is not the range of what {given.layer} gets: "
                f"{where}. Leave it out, or give the range after scaling."
            )
        return float(asked[0]), float(asked[1])
    fits = [(0.0, 1.0), (0.0, 255.0)] if low >= 0 else [(-1.0, 1.0)]
    for least, most in fits:
        if least <= low and high <= most:
            notes.append(f"{given.layer} has the value_range [{least:g}, {most:g}] of the rows")
            return least, most
    raise StudyError(
        f"{field}: {given.layer} needs the range of the inputs, and {where}. Give value_range: "
        "[low, high], or data.scale: unit."
    )


def _labels(train: Train, model: keras.Model, splits: Splits, notes: list[str]) -> _Labels:
    """Return what labels become where they are mixed.

    Raises:
        StudyError: they cannot be.
    """
    if not mixes(train.augment):
        return _Labels()
    target = splits.targets
    if not isinstance(target, Target) or len(target.shape) > 1:
        raise StudyError(
            "train.augment: MixUp and CutMix mix the labels of one output with one row of labels "
            "an example; this data has others."
        )
    if target.one_hot or target.task == "regression":
        return _Labels()
    units = (getattr(model, "output_shape", None) or (None, None))[-1]
    if target.shape not in ((), (1,)) or units == 1:
        return _Labels(numbers=True)
    if isinstance(train.loss, str) and train.loss.startswith("sparse_"):
        raise StudyError(
            f"train.loss: '{train.loss}' takes class numbers, and MixUp and CutMix make shares of "
            f"classes of them. Expected: auto, or {train.loss.removeprefix('sparse_')}."
        )
    notes.append(
        "MixUp and CutMix mix labels: class numbers become a share for each class, and the loss "
        "the categorical one"
    )
    return _Labels(classes=units if isinstance(units, int) else target.classes)


def _one_input(splits: Splits) -> tuple[int, ...]:
    shape = splits.input_shape
    if isinstance(shape, tuple):
        return shape
    raise StudyError(
        "train.augment: the data has several inputs, and a layer of Keras changes one. Write a "
        "function of x and y, with seed, and give it by 'call'."
    )


def _states(owner: Any) -> Iterator[Any]:
    """Yield the states of the generators in a layer, or of a generator."""
    if isinstance(owner, keras.random.SeedGenerator):
        yield owner.state
        return
    for variable in owner.variables:
        if tuple(variable.shape) == (2,) and "int" in str(variable.dtype):
            yield variable


def _centre(images: Any, size: tuple[int, int]) -> Any:
    top, left = ((whole - part) // 2 for whole, part in zip(images.shape[1:3], size, strict=True))
    return images[:, top : top + size[0], left : left + size[1]]


class _named:
    """Turns what goes wrong within into an error that begins with the field."""

    def __init__(self, field: str) -> None:
        self.field = field

    def __enter__(self) -> _named:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, AblateError):
            raise StudyError(f"{self.field} fails on these rows: {reason(error)}") from error
