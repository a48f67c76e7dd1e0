"""Hosts: the layers of a model, what kind each is, and which of them a selector means.

A selector (`where`) means `Host`s, in stable topological order. Layers inside nested models are
addressed by path (`backbone/conv1`) or by their name where it is unique.

    select(model, "conv[0]")                      # kind, with index or slice
    select(model, ["Dense", "re:^head"], except_="logits")

A selector is tried as exact name or path, class, kind (each with `[index]` or `[slice]`), `re:`
pattern, glob; a list means all of its members. Conv and dense layers whose output reaches a model
output through activations and reshapes alone, and the activations there, are output layers: only
their exact name selects them.

A composite layer of anyone's own is a nested model here, and its class, name and path mean it as
they did before. A pattern that matches it means it too, and of what is inside only the layers whose
own names match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import keras

from ablate.errors import SurgeryError, nearest
from ablate.surgery import graph, kinds, record
from ablate.surgery.dataflow import Dataflow
from ablate.surgery.kinds import kind_of
from ablate.surgery.tracing import functional


@dataclass(frozen=True)
class Host:
    """A layer that something can be put next to.

    `path` is the names of the enclosing models and of the layer, joined by `/` (without the
    outermost model). `kind` is one of `KINDS`, or `dropout`, `model` or `other`. `activation`
    names the activation inside the layer, if it has one that is not linear. `output` marks an
    output layer. `opened` says what a nested model was before it became one.
    """

    layer: keras.Layer
    path: str
    kind: str
    activation: str | None
    output: bool
    opened: record.Opened | None = None

    @property
    def name(self) -> str:
        """The layer's own name."""
        return self.layer.name

    @property
    def layer_class(self) -> str:
        """The name of the layer's class; of a composite layer, that of the class it had."""
        return type(self.layer).__name__ if self.opened is None else self.opened.layer

    @property
    def composite(self) -> bool:
        """Whether it is a nested model that was one layer to whoever wrote it."""
        return self.opened is not None and self.opened.composite

    def is_a(self, word: str) -> bool:
        """Whether `word` is its class, by its own name or the one that Keras has registered."""
        registered = (
            keras.saving.get_registered_name(type(self.layer))
            if self.opened is None
            else self.opened.registered
        )
        return word in (self.layer_class, registered)


@dataclass(frozen=True)
class Selected:
    """A host, and whether the selector named it (rather than matched it by a pattern)."""

    host: Host
    named: bool


def select(
    model: keras.Model,
    where: str | Iterable[str],
    except_: str | Iterable[str] | None = None,
) -> list[Host]:
    """Return the hosts that `where` means and `except_` does not, in topological order.

    Args:
        model: A functional or Sequential model, nested to any depth.
        where: A selector or a list of them (see the module's docstring).
        except_: What to subtract, in the same words.

    Raises:
        SurgeryError: a selector matches nothing, a plain name is not unique, or nothing is left.
    """
    return [each.host for each in resolve(functional(model), where, except_)]


def resolve(
    model: keras.Model,
    where: str | Iterable[str],
    except_: str | Iterable[str] | None = None,
    *,
    base: keras.Model | None = None,
) -> list[Selected]:
    """Do as `select`, and return with each host whether it was named.

    With `base` the selectors mean layers of that model, and the hosts are those that have their
    paths in `model` now: others may have taken their places.
    """
    if base is not None and base is not model:
        by_path = {each.host.path: each.named for each in resolve(base, where, except_)}
        return [Selected(h, by_path[h.path]) for h in all_hosts(model) if h.path in by_path]
    hosts = all_hosts(model)
    found: dict[str, bool] = {}
    for selector in _listed(where):
        matched, named = _match(model, hosts, selector)
        for host in matched:
            found[host.path] = found.get(host.path, False) or named
    for selector in _listed(except_):
        for host in _match(model, hosts, selector)[0]:
            found.pop(host.path, None)
    if not found:
        raise SurgeryError(
            f"Nothing is left of {_shown(where)} after except: {_shown(except_)}. "
            "Expected at least one layer. Subtract less."
        )
    return [Selected(host, found[host.path]) for host in hosts if host.path in found]


def all_hosts(model: keras.Model) -> list[Host]:
    """Return every layer of `model` as a host, nested ones after the model that holds them."""
    flow = Dataflow(model)
    return [
        Host(
            layer=layer,
            path=path,
            kind=kind_of(layer),
            activation=kinds.inner_activation(layer),
            output=flow.reaches_output(layer),
            opened=record.opened(layer),
        )
        for layer, path in graph.paths(model)
    ]


def _match(model: keras.Model, hosts: list[Host], selector: str) -> tuple[list[Host], bool]:
    """Return what a single selector means, and whether it is a name."""
    if not isinstance(selector, str):
        raise SurgeryError(f"Expected a selector (a text). Received: {selector!r}.")
    if exact := [host for host in hosts if host.path == selector]:
        return exact, True
    if named := [host for host in hosts if host.name == selector]:
        if len(named) > 1:
            raise SurgeryError(
                f"'{selector}' names {len(named)} layers of '{model.name}'. Give one by its path: "
                f"{', '.join(host.path for host in named)}."
            )
        return named, True
    if found := _by_pattern(hosts, selector):
        return found, False
    classes = sorted({host.layer_class for host in hosts})
    hint = _outputs_hint(hosts, selector)
    if selector.startswith("hidden") and any(host.kind == "recurrent" for host in hosts):
        names = ", ".join(host.path for host in hosts if host.kind == "recurrent")
        hint += f" Recurrent layers ({names}) are selected by 'recurrent'."
    raise SurgeryError(
        f"'{selector}' matches no layer of '{model.name}'."
        f"{nearest(selector, {*(h.path for h in hosts), *classes, *kinds.KINDS} - {selector})} "
        "Expected a layer's name or path, a class, a kind with or without an index, a glob or "
        f"re:…{hint} Classes here: {', '.join(classes)}. "
        f"Kinds: {', '.join(kinds.KINDS)}. `ablate inspect` lists the layers."
    )


def _by_pattern(hosts: list[Host], selector: str) -> list[Host]:
    eligible = [host for host in hosts if not host.output]
    if selector.startswith("re:"):
        try:
            pattern = re.compile(selector[3:])
        except re.error as trouble:
            raise SurgeryError(
                f"'{selector}' is not a regular expression: {trouble}. Received: {selector[3:]!r}."
            ) from trouble
        return _named(eligible, lambda name: pattern.search(name) is not None)
    indexed = re.fullmatch(r"([\w.>]+)\[(-?\d+|-?\d*:-?\d*(?::-?\d*)?)\]", selector)
    word, index = indexed.groups() if indexed else (selector, None)
    found = [host for host in eligible if host.is_a(word)] or _of_kind(eligible, word)
    if found:
        return found if index is None else _indexed(found, index, selector)
    return _named(eligible, lambda name: fnmatchcase(name, selector))


def _of_kind(hosts: list[Host], kind: str) -> list[Host]:
    tests: dict[str, Callable[[Host], bool]] = {
        "hidden": lambda host: host.kind in ("conv", "dense"),
        "all": lambda host: host.kind not in ("input", "model"),
        "input": lambda host: host.kind == "input" and "/" not in host.path,
    }
    if kind not in kinds.KINDS:
        return []
    return [host for host in hosts if tests.get(kind, lambda host: host.kind == kind)(host)]


def _named(hosts: list[Host], matches: Callable[[str], bool]) -> list[Host]:
    """Hosts whose path or name matches; models and inner inputs go by their name or class only."""
    found: list[Host] = []
    whole: tuple[str, ...] = ()
    for host in hosts:  # a composite layer comes before what is inside of it
        if not host.composite and (
            host.kind == "model" or (host.kind == "input" and "/" in host.path)
        ):
            continue
        inside = host.path.startswith(whole)
        if matches(host.name) or (not inside and matches(host.path)):
            found.append(host)
            if host.composite:
                whole = (*whole, f"{host.path}/")
    return found


def _indexed(found: list[Host], index: str, selector: str) -> list[Host]:
    if ":" in index:
        parts = [int(part) if part else None for part in index.split(":")]
        if len(parts) == 3 and parts[2] == 0:
            raise SurgeryError(f"'{selector}': a slice cannot have step 0.")
        chosen = found[slice(*parts)]
    else:
        place = int(index)
        chosen = found[place : place + 1 or None] if -len(found) <= place < len(found) else []
    if not chosen:
        raise SurgeryError(
            f"'{selector}' matches no layer: there are {len(found)} ({found[0].path} … "
            f"{found[-1].path}), so indices go from {-len(found)} to {len(found) - 1}."
        )
    return chosen


def _outputs_hint(hosts: list[Host], selector: str) -> str:
    """Say so where the selector would have matched, were it not for output layers."""
    only = _by_pattern([replace(host, output=False) for host in hosts if host.output], selector)
    if not only:
        return "."
    names = ", ".join(host.path for host in only)
    return f". Output layers ({names}) are selected by their exact name only."


def _listed(where: str | Iterable[str] | None) -> list[str]:
    if where is None:
        return []
    return [where] if isinstance(where, str) else list(where)


def _shown(where: str | Iterable[str] | None) -> str:
    return ", ".join(repr(each) for each in _listed(where)) or "nothing"
