"""Where randomness comes from: every draw has a seed of its own.

A seed, a layer's canonical path on the base model and a role go in, an integer comes out
(SHA-256). So two variants with one seed share the initial weights of the layers they have in
common and the order of their batches (law 2): an inserted layer draws from its own path and
shifts nothing else.

`InitialState` gives a built model its initial weights for a seed, as often as needed and without
building it again: each layer is made anew from its configuration under its own seed, and the
values are copied. How a layer's weights come about is learned once; most turn out to be
constants or a single call of an initializer.
"""

from __future__ import annotations

import hashlib
import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

Seed = int | str

#: Layers that start from the weights they have, by path, or with the index of one weight.
Keep = frozenset[str | tuple[str, int]]


def derive(seed: Seed, path: str, role: str) -> int:
    """Return the seed, 0 ≤ s < 2³¹, for one `role` of the layer at `path`.

    s = the first 4 bytes of SHA-256(seed, path, role), its highest bit dropped.

    >>> derive(0, "conv2d", "kernel_initializer") == derive(0, "conv2d", "kernel_initializer")
    True
    >>> derive(0, "conv2d", "kernel_initializer") == derive(1, "conv2d", "kernel_initializer")
    False
    """
    digest = hashlib.sha256(f"{seed}\x1f{path}\x1f{role}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def order(rows: int, seed: Seed, epoch: int) -> np.ndarray:
    """Return the order of the training rows in an epoch (from 0): a permutation, int32.

    It depends on the seed, the epoch and the number of rows alone, so that variants see the
    same batches, and a resumed trial goes on with the batches it would have had.
    """
    # Raw bits of a bit generator are stable between NumPy's versions; `permutation` is not.
    bits = np.random.PCG64(derive(seed, "", f"batches/{epoch}")).random_raw(rows)
    return np.argsort(bits, kind="stable").astype(np.int32)


@dataclass
class _Layer:
    """A layer with state: its path, its variables, and what is known of their initial values."""

    path: str
    layer: keras.Layer
    keep: Keep
    weights: list[keras.Variable] = field(init=False)
    generators: list[keras.Variable] = field(init=False)
    kept: dict[int, np.ndarray] = field(default_factory=dict)
    recipe: list[Any] | None = None  # per weight: an array, a _Draw, or None (make it anew)

    def __post_init__(self) -> None:
        layer, self.weights = self.layer, list(self.layer.weights)
        metrics = [variable for metric in layer.metrics for variable in metric.variables]
        known = {id(variable) for variable in (*self.weights, *metrics)}
        self.generators = [each for each in layer.variables if id(each) not in known]
        # What `adapt` has learned from data is no initial weight.
        everything = self.path in self.keep or hasattr(layer, "adapt")
        self.kept = {
            index: _array(weight)
            for index, weight in enumerate(self.weights)
            if everything or (self.path, index) in self.keep
        }

    @property
    def composite(self) -> bool:
        """Whether weights belong to layers inside this one; their names are in the paths."""
        return any(weight.path.split("/")[-2:-1] != [self.layer.name] for weight in self.weights)

    def fits(self, other: keras.Layer | None) -> bool:
        """Whether another layer has weights of the same shapes."""
        shapes = [tuple(weight.shape) for weight in self.weights]
        return other is not None and [tuple(weight.shape) for weight in other.weights] == shapes


@dataclass(frozen=True)
class _Draw:
    """One call of an initializer gives the weight."""

    role: str
    config: dict[str, Any]


@dataclass
class InitialState:
    """The initial state of a model's layers for any seed.

    Args:
        layers: (canonical path, layer) of each layer, no container among them; a shared layer
            once.
        keep: layers, or single weights, that start from the values they have now.
        again: builds the model anew and returns its (path, layer) pairs; called, under a seed
            of its own, where a layer cannot be made again from its configuration.
    """

    layers: Iterable[tuple[str, keras.Layer]]
    keep: Keep = frozenset()
    again: Callable[[], Iterable[tuple[str, keras.Layer]]] | None = None
    _parts: list[_Layer] = field(init=False)

    def __post_init__(self) -> None:
        self._parts = []
        seen: set[int] = set()
        for path, layer in self.layers:
            if id(layer) not in seen and layer.variables:
                seen.add(id(layer))
                self._parts.append(_Layer(path, layer, self.keep))

    def of(self, seed: Seed, masks: Seed | None = None) -> Iterator[tuple[keras.Variable, Any]]:
        """Yield each variable with the value it begins with for `seed`.

        `masks` is the seed of what layers draw in training, where that is another.
        """
        masks = seed if masks is None else masks
        rebuilt: Mapping[str, keras.Layer] | None = None
        for part in self._parts:
            values: Sequence[Any] | None = [None] * len(part.weights)
            if len(part.kept) < len(part.weights):
                values = _values(part, seed)
            if values is None:
                if rebuilt is None:
                    rebuilt = self._rebuilt(seed)
                values = _taken(rebuilt, part)
            kept = (part.kept.get(index, value) for index, value in enumerate(values))
            yield from zip(part.weights, kept, strict=True)
            for index, generator in enumerate(part.generators):
                state = [derive(masks, part.path, f"generator/{index}"), 0]
                yield generator, np.array(state, dtype=generator.dtype)

    @property
    def generators(self) -> list[keras.Variable]:
        """The states of the layers' random generators."""
        return [each for part in self._parts for each in part.generators]

    def _rebuilt(self, seed: Seed) -> Mapping[str, keras.Layer]:
        if self.again is None:
            return {}
        with seeded(derive(seed, "", "model")):
            return dict(self.again())


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python, NumPy, TensorFlow and Keras; put Python's and NumPy's state back after."""
    states = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


@contextmanager
def _drawing(seed: int, layer: keras.Layer) -> Iterator[None]:
    """Seed what a layer draws while it is made.

    Keras's own layers draw from Python's generator alone, when their initializers have no seed.
    Anyone's own may draw from anywhere; seeding TensorFlow costs its compiled functions a new
    start (a tenth of a second), so it is left to them.
    """
    if not type(layer).__module__.startswith("keras."):
        with seeded(seed):
            yield
        return
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def _values(part: _Layer, seed: Seed) -> list[Any] | None:
    """Return the initial weights for `seed`, None if the layer cannot be made again."""
    if part.recipe is None:
        part.recipe = _learn(part, seed)
    if any(step is None for step in part.recipe):
        twin = _twin(part, seed)
        return None if twin is None else [weight.value for weight in twin.weights]
    return [
        step if not isinstance(step, _Draw) else _drawn(step, part, weight, seed)
        for step, weight in zip(part.recipe, part.weights, strict=True)
    ]


def _learn(part: _Layer, seed: Seed) -> list[Any]:
    """Find out how each weight comes about: make the layer twice and compare.

    A weight that two seeds share is a constant; one that an initializer of the configuration
    gives to the bit is drawn by it. The others need the whole layer made again each time.
    """
    one, other = _twin(part, seed), _twin(part, f"{seed}'")
    if one is None or other is None:
        return [None] * len(part.weights)
    draws: list[_Draw] = []
    if not part.composite:
        _reseeded(part.layer.get_config(), lambda role, each: draws.append(_Draw(role, each)))
    recipe: list[Any] = []
    for weight, first, second in zip(part.weights, one.weights, other.weights, strict=True):
        value = _array(first)
        if np.array_equal(value, _array(second), equal_nan=True):
            recipe.append(value)
            continue
        fitting = (
            draw
            for draw in draws
            if np.array_equal(value, np.asarray(_drawn(draw, part, weight, seed)))
        )
        recipe.append(next(fitting, None))
    return recipe


def _twin(part: _Layer, seed: Seed) -> keras.Layer | None:
    """Make the layer again from its configuration, drawing from its own seeds.

    Initializers get a seed per role. Inside a layer of layers (attention, a cell) one
    initializer may be copied for several weights, which would then be equal; there each copy
    draws its own seed, in the order in which the layer makes them.
    """
    layer, composite = part.layer, part.composite
    try:
        config = _reseeded(
            layer.get_config(),
            lambda role, _: None if composite else derive(seed, part.path, role),
        )
        with _drawing(derive(seed, part.path, "weights"), layer), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of builds that only guess; what counts is checked
            twin = type(layer).from_config(config)
            twin.build_from_config(layer.get_build_config() or {})
    except Exception:
        return None
    return twin if part.fits(twin) else None


def _drawn(draw: _Draw, part: _Layer, weight: keras.Variable, seed: Seed) -> Any:
    config = {**draw.config["config"], "seed": derive(seed, part.path, draw.role)}
    initializer = keras.initializers.deserialize({**draw.config, "config": config})
    return keras.ops.convert_to_tensor(initializer(tuple(weight.shape), dtype=weight.dtype))


def _is_random_initializer(config: Any) -> bool:
    if not isinstance(config, Mapping) or not isinstance(config.get("config"), Mapping):
        return False
    if "seed" not in config["config"]:
        return False
    if config.get("module") == "keras.initializers":
        return True
    registered = keras.saving.get_registered_object(
        str(config.get("registered_name") or config.get("class_name"))
    )
    return isinstance(registered, type) and issubclass(registered, keras.initializers.Initializer)


def _reseeded(config: Any, seed_of: Callable[[str, Any], int | None], at: str = "") -> Any:
    """Return a configuration with the seed of each random initializer set by its role."""
    if _is_random_initializer(config):
        return {**config, "config": {**config["config"], "seed": seed_of(at, config)}}
    if isinstance(config, Mapping):
        items = config.items()
        return {k: _reseeded(v, seed_of, f"{at}.{k}" if at else str(k)) for k, v in items}
    if isinstance(config, list):
        return [_reseeded(v, seed_of, f"{at}[{i}]") for i, v in enumerate(config)]
    return config


def _taken(rebuilt: Mapping[str, keras.Layer], part: _Layer) -> list[Any]:
    """Return the weights of the layer at `part`'s path in a model built again."""
    layer = rebuilt.get(part.path)
    if layer is None or not part.fits(layer):
        raise CannotReseedError(part.path, part.layer)
    return [weight.value for weight in layer.weights]


def _array(variable: keras.Variable) -> np.ndarray:
    return np.asarray(variable.value.numpy())


class CannotReseedError(Exception):
    """A layer that can be made again neither from its configuration nor with its model."""

    def __init__(self, path: str, layer: keras.Layer) -> None:
        super().__init__(
            f"The initial weights of layer '{path}' ({type(layer).__name__}) cannot be drawn "
            "again: its get_config() does not describe it."
        )
