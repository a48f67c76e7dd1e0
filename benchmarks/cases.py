"""The studies that the measurements train: the same trials for every contender.

A case is a study file; `ablate` runs it as a user would, the other contenders read the same
file and train the same variants, seeds, rows and epochs their own way.
"""

from __future__ import annotations

from pathlib import Path

DIGITS = """\
study: {name}
data: {{name: digits}}
model: {{name: cnn, filters: [16, 32]}}
train: {{epochs: 20, batch_size: 32, learning_rate: 0.05, optimizer: {{name: sgd, momentum: 0.9}}}}
seeds: {seeds}
variants:
  plain: {{}}
  bn: {{insert: [{{layer: BatchNormalization, at: before_activation, where: hidden}}]}}
  dropout: {{insert: [{{layer: Dropout, rate: 0.5, at: after_activation, where: dense}}]}}
  both: {{extends: [bn, dropout]}}
"""

LENET = """\
study: {name}
data: {{path: {mnist}, limit: 10000, validation: 0.05}}
model: {{name: lenet}}
train: {{epochs: 2, batch_size: 64, learning_rate: 0.05}}
seeds: {seeds}
variants:
  bn: {{insert: [{{layer: BatchNormalization, at: after, where: pool}}]}}
"""


def write(folder: Path, name: str, text: str, **values: object) -> Path:
    """Write a case's study file and return its path."""
    path = folder / f"{name}.yaml"
    path.write_text(text.format(name=name, **values), encoding="utf-8")
    return path
