"""What a certificate says: measured evidence that two models compute the same function.

It holds the numbers that `certify` measured, prints itself and survives JSON. The value is kept
apart from the measuring, so that a certificate can be read back without running a model.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter
from pydantic_core import from_json
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table

from ablate.errors import AblateError

#: Execution in which the models ran: op by op, one TensorFlow graph, or compiled by XLA, at
#: inference; and as plain calls, `model(x)`, in which a `training` that was built in holds.
PATHS = ("eager", "graph", "xla", "call")

#: A difference of values that are not finite is infinite, which is null in JSON.
Gap = Annotated[float, BeforeValidator(lambda value: math.inf if value is None else value)]


@dataclass(frozen=True)
class Difference:
    """How far two sets of outputs are apart.

    `max_rel_diff` is `max|a - b| / max|a|`: relative to the largest output, not to each.
    `top1_agreement` is the share of rows (or positions) with the same largest output, None
    where the outputs have no classes to choose from. `non_finite` counts values that are NaN or
    infinite in one of the two only, or at all in an unequal way.
    """

    identical: bool
    max_abs_diff: Gap
    max_rel_diff: Gap
    top1_agreement: float | None = None
    non_finite: int = 0

    @property
    def sentence(self) -> str:
        """The difference in a few words."""
        if self.identical:
            return "identical"
        words = f"max |Δ| {self.max_abs_diff:.2g} ({self.max_rel_diff:.2g} of the largest output)"
        if self.top1_agreement is not None:
            words += f", same top-1 in {_share(self.top1_agreement)}"
        if self.non_finite:
            words += f", {self.non_finite} values not finite"
        return words


@dataclass(frozen=True)
class LayerDifference:
    """How far an inserted layer moves what passes through it: its output against its input.

    `top1_agreement` is the share of positions whose strongest channel stays the same.
    """

    layer: str
    host: str | None
    identical: bool
    max_abs_diff: Gap
    max_rel_diff: Gap
    top1_agreement: float | None = None


@dataclass(frozen=True)
class Drift:
    """How far batch statistics move the function, at a given number of rows in a batch.

    The second model's BN layers run as in training and every other layer as at inference; its
    outputs are compared with its own at inference. `layers` counts the BN layers that moved.
    """

    batch_size: int
    layers: int
    max_abs_diff: Gap
    max_rel_diff: Gap
    top1_agreement: float | None = None


@dataclass(frozen=True)
class Certificate:
    """Hold what was measured of two models: the same function, or how far apart.

    `paths` gives the outputs' difference by execution path, `per_layer` that of each inserted
    layer, `training_drift` the movement under batch statistics. It prints itself, shows itself
    in notebooks and survives JSON.
    """

    first: str
    second: str
    rows: int
    batch_size: int
    dtype: str
    paths: Mapping[str, Difference]
    per_layer: tuple[LayerDifference, ...] = ()
    training_drift: Drift | None = None
    images: str = ""
    backend: str = ""

    @property
    def identical(self) -> bool:
        """Whether every output was equal (`==`) on every path that was run."""
        return all(each.identical for each in self.paths.values())

    @property
    def max_abs_diff(self) -> float:
        """The largest absolute difference of any output on any path."""
        return max(each.max_abs_diff for each in self.paths.values())

    @property
    def max_rel_diff(self) -> float:
        """The largest difference on any path, relative to the largest output."""
        return max(each.max_rel_diff for each in self.paths.values())

    @property
    def top1_agreement(self) -> float | None:
        """The least share of equal choices on any path; None where nothing is chosen."""
        shares = [each.top1_agreement for each in self.paths.values()]
        known = [each for each in shares if each is not None]
        return min(known) if known else None

    @property
    def verdict(self) -> str:
        """The certificate in one line, the word `identical` last where it holds."""
        where = f"on {self.rows} rows"
        if self.identical:
            return f"'{self.first}' and '{self.second}' {where}: identical"
        parts = [f"{path}: {each.sentence}" for path, each in self.paths.items()]
        return f"'{self.first}' and '{self.second}' {where}: " + "; ".join(parts)

    def to_json(self, indent: int | None = 2) -> str:
        """Return the certificate as a JSON document; numbers that are not finite are null."""
        values = from_json(_ADAPTER.dump_json(self))
        document = {"identical": self.identical, **values, "verdict": self.verdict}
        return json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Certificate:
        """Read a certificate that `to_json` wrote.

        Raises:
            AblateError: The text is not such a document.
        """
        try:
            return _ADAPTER.validate_python(from_json(text))
        except ValueError as error:
            raise AblateError(
                f"certificate: expected a document as Certificate.to_json writes it. "
                f"Received text of {len(text)} characters that does not read as one ({error!r})."
            ) from error

    def __str__(self) -> str:
        return _rendered(self, lambda console: console.export_text().rstrip())

    def _repr_html_(self) -> str:
        layout = (
            "<pre style='line-height:normal; font-family:monospace; overflow-x:auto'>{code}</pre>"
        )
        return _rendered(
            self, lambda console: console.export_html(inline_styles=True, code_format=layout)
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        title = f"Certificate: {escape(self.first)} and {escape(self.second)}"
        table = Table(title=title, title_justify="left")
        table.add_column("")
        for name in ("identical", "max |Δ|", "relative", "top-1"):
            table.add_column(name, justify="right")
        for path, difference in self.paths.items():
            table.add_row(f"{path} outputs", *_cells(difference))
        for layer in _worst(self.per_layer):
            table.add_row(f"  {escape(layer.layer)}", *_cells(layer))
        if self.training_drift is not None:
            name = f"training drift, batches of {self.training_drift.batch_size}"
            table.add_row(name, "", *_cells(self.training_drift)[1:])
        yield table
        if len(self.per_layer) > len(_worst(self.per_layer)):
            same = sum(each.identical for each in self.per_layer)
            yield f"{same} of {len(self.per_layer)} inserted layers return their input unchanged."
        images = f" {self.images}." if self.images else ""
        yield escape(f"{self.dtype}, {self.backend}, {self.rows} rows.{images}")
        yield escape(self.verdict)


_ADAPTER = TypeAdapter(Certificate)

#: Inserted layers shown in print; all are in the JSON.
SHOWN = 20


def _worst(layers: tuple[LayerDifference, ...]) -> list[LayerDifference]:
    """Return the layers to print: all of a few, else those that move their input, worst first."""
    if len(layers) <= SHOWN:
        return list(layers)
    moved = [each for each in layers if not each.identical]
    return sorted(moved, key=lambda each: -each.max_rel_diff)[:SHOWN]


def _rendered(value: Any, export: Callable[[Console], str]) -> str:
    # In a notebook a console shows by itself what it is asked to record.
    console = Console(record=True, width=100, file=io.StringIO(), force_jupyter=False)
    console.print(value, soft_wrap=False)
    return export(console)


def _cells(difference: Difference | LayerDifference | Drift) -> list[str]:
    return [
        "yes" if getattr(difference, "identical", False) else "no",
        f"{difference.max_abs_diff:.2g}",
        f"{difference.max_rel_diff:.2g}",
        _share(difference.top1_agreement),
    ]


def _share(value: float | None) -> str:
    if value is None:
        return ""
    # 0.99996 must not read as all of them.
    return "100 %" if value == 1 else f"{min(100 * value, 99.99):.4g} %"
