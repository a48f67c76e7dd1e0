"""The phases of a training, each as a `train` section of its own.

What a phase leaves out is as the section says; its optimizer starts fresh, its schedule and its
early stopping span the phase. A section without phases is one phase.
"""

from __future__ import annotations

from ablate.study.inherit import merge
from ablate.study.schema.train import Train
from ablate.study.trial import Spec


def phases_of(train: Train) -> list[Train]:
    """Return the sections that a training goes through, in order.

    >>> train = Train(phases=[{"epochs": 2, "freeze": "conv"}, {"epochs": 3, "learning_rate": 0.1}])
    >>> [(each.epochs, each.freeze, each.learning_rate) for each in phases_of(train)]
    [(2, 'conv', 0.01), (3, None, 0.1)]
    """
    if train.phases is None:
        return [train]
    whole = train.model_dump(by_alias=True)
    found = []
    for phase in train.phases:
        given = phase.model_dump(by_alias=True, exclude_none=True)
        found.append(Train.model_validate({**merge(whole, given), "phases": [phase]}))
    return found


def spec_of_phase(spec: Spec, train: Train) -> Spec:
    """Return the spec of one phase: the network as it trains in it."""
    return spec if train is spec.train else spec.model_copy(update={"train": train})


def states_freezing(train: Train) -> bool:
    """Whether a section is that of a phase which says itself what is frozen, and so what is not."""
    phases = train.phases or []
    return len(phases) == 1 and phases[0].freeze is not None
