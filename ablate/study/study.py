"""A study: all that its file says, as one frozen value.

A study that exists is sound: what can be checked without Keras was checked when it was made
(`ablate.study.checks`). `resolved` has its variants with nothing left to inherit;
`ablate.study.expand` says how they come about. Its fields stand in `ablate.study.declaration`.
"""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from typing import Any

from pydantic import PrivateAttr, model_validator

from ablate.study.checks import check
from ablate.study.declaration import Declaration
from ablate.study.expand import expand
from ablate.study.in_memory import InMemory, materialise, take
from ablate.study.resolved import ResolvedVariant


class Study(Declaration):
    """All that a study says.

    `model` and `data` also take objects in memory: a Keras model, a tuple `(x, y)`, a mapping of
    arrays, or a callable that returns one of these; `materialised` turns them into files.

    >>> study = Study(
    ...     study="mine", data={"name": "digits"}, model={"name": "cnn"},
    ...     variants={"plain": {}, "bn": {"insert": [{"layer": "BatchNormalization"}]}},
    ... )
    >>> study
    Study('mine': 2 variants x 5 seeds = 10 trials, baseline 'plain')

    Raises:
        StudyError: something in it cannot be obeyed; every problem is reported at once.
    """

    _in_memory: InMemory | None = PrivateAttr(default=None)
    _resolved: tuple[ResolvedVariant, ...] | None = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _sound(cls, document: Any, make: Any) -> Study:
        """Take objects out of the document, make the study, and check it as a whole."""
        document, objects = take(document)
        study: Study = make(document)
        if objects is not None:
            study._in_memory = objects
        check(study, lambda: study.resolved)
        return study

    @property
    def resolved(self) -> tuple[ResolvedVariant, ...]:
        """The variants with nothing left to inherit, in order, as far as they are known."""
        if self._resolved is None:
            self._resolved = tuple(expand(self))
        return self._resolved

    @property
    def baseline_name(self) -> str:
        """The baseline's name: as declared, else the first variant's."""
        return self.baseline if self.baseline is not None else self.resolved[0].name

    @property
    def in_memory(self) -> InMemory | None:
        """The model or data that is an object, and has to be materialised to run."""
        return self._in_memory

    def materialised(self, folder: str | os.PathLike[str]) -> Study:
        """Return this study with its objects as files in `folder` (itself if it has none).

        The model becomes `model.keras`, the arrays `data.npz`. Equal objects give equal files,
        byte for byte, so a study made again in a new session finds its finished trials.
        """
        if self._in_memory is None:
            return self
        return Study(**{**self._fields(), **materialise(self, self._in_memory, folder)})

    def with_objects(self, objects: InMemory, **update: Any) -> Study:
        """Return this study with other objects in memory, and `update` unchecked."""
        made = self.model_copy(update=update)
        made._in_memory = objects
        return made

    def with_leave_one_out(self, **update: Any) -> Study:
        """Return this study with `update` in its `leave_one_out`, checked anew."""
        assert self.leave_one_out is not None
        return self.with_fields(leave_one_out=self.leave_one_out.model_copy(update=update))

    def with_fields(self, **fields: Any) -> Study:
        """Return this study with other values of some fields, checked anew."""
        made = Study(**{**self._fields(), **fields})
        made._in_memory = self._in_memory
        return made

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Study.model_fields}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Study:
        """Return a copy, with `update` unchecked, as pydantic does; its variants are its own."""
        copy = super().model_copy(update=update, deep=deep)
        copy._resolved = None
        return copy

    def __eq__(self, other: object) -> bool:
        # What a study has worked out of itself makes it no other study.
        return (
            isinstance(other, Study)
            and self._fields() == other._fields()
            and self._in_memory == other._in_memory
        )

    def __repr__(self) -> str:
        own, seeds = sum(each.alias_of is None for each in self.resolved), len(self.seed_list)
        if self.until is not None:
            most = self.until.at_most
            return (
                f"Study({self.study!r}: {_count(len(self.resolved), 'variant')} x {seeds} to "
                f"{_count(most, 'seed')} = {own * seeds} to {_count(own * most, 'trial')}, "
                f"baseline {self.baseline_name!r})"
            )
        trials = own * seeds
        return (
            f"Study({self.study!r}: {_count(len(self.resolved), 'variant')} x "
            f"{_count(seeds, 'seed')} = {_count(trials, 'trial')}, "
            f"baseline {self.baseline_name!r})"
        )

    __str__ = __repr__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(each.name)}{' (baseline)' * (each.name == self.baseline_name)}"
            f"</td><td>{html.escape(_described(each))}</td></tr>"
            for each in self.resolved
        )
        return (
            f"<p>{html.escape(repr(self))}</p>"
            f"<table><tr><th>variant</th><th>what it is</th></tr>{rows}</table>"
        )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _described(variant: ResolvedVariant) -> str:
    """Say in a line what a variant's model has that the base model has not."""
    if variant.alias_of is not None:
        return f"the same as {variant.alias_of}"
    parts = [f"{each.layer} {each.at} {each.where}" for each in variant.spec.insert]
    parts += [f"without {each.where}" for each in variant.spec.remove]
    parts += [f"{each.layer} for {each.where}" for each in variant.spec.replace or ()]
    parts += [f"{each.arguments} at {each.where}" for each in variant.spec.change or ()]
    return "; ".join(parts) or "the base model"
